"""Shape rules: the core shape of a result from those of the arguments; ValueError where they do not fit.

Also what is read off shapes alone: axes, indices in a hashable form, the labels of an einsum.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError

Shape = tuple[int, ...]
_LABELS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"  # Z is the batch


def broadcast_shapes(*shapes: Shape, **attributes: Any) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from None


def full_shape(shape: Shape | int, size: int) -> Shape:
    """A shape with its one -1 replaced by what makes the size right."""
    wanted = tuple(shape) if isinstance(shape, list | tuple) else (shape,)
    if not all(isinstance(n, int | np.integer) for n in wanted):
        raise TemplateError(f"shape {shape!r} is no tuple of integers")
    if wanted.count(-1) > 1:
        raise TemplateError(f"shape {wanted} leaves more than one size open; at most one may be -1")
    rest = math.prod(n for n in wanted if n != -1)
    return tuple(size // rest if n == -1 and rest else n for n in wanted)


def matmul_shape(a: Shape, b: Shape, ranks: tuple[int, int]) -> Shape:
    inner = b[0] if ranks[1] == 1 else b[-2]
    if a[-1] != inner:
        raise ValueError(f"shapes {a} and {b} do not chain: {a[-1]} columns against {inner} rows")
    if ranks[1] == 1:
        return a[:-1]
    return (*broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def inner_shape(a: Shape, b: Shape) -> Shape:
    if a != b:
        raise ValueError(f"shapes {a} and {b} differ; an inner product needs two vectors of one size")
    return ()


def outer_shape(a: Shape, b: Shape) -> Shape:
    if len(a) != 1 or len(b) != 1:
        raise ValueError(f"outer takes two vectors, not shapes {a} and {b}; use einsum for more axes")
    return a + b


def square_shape(a: Shape) -> Shape:
    if len(a) < 2 or a[-1] != a[-2]:
        raise ValueError(f"shape {a} is not that of a square matrix")
    return a


def einsum_shape(*shapes: Shape, inputs: tuple[str, ...], output: str) -> Shape:
    size: dict[str, int] = {}
    for shape, labels in zip(shapes, inputs, strict=True):
        for n, label in zip(shape, labels, strict=True):
            if size.setdefault(label, n) != n:
                raise ValueError(f"label {label!r} has sizes {size[label]} and {n}")
    return tuple(size[label] for label in output)


def broadcast_shape(a: Shape, shape: Shape) -> Shape:
    if broadcast_shapes(a, shape) != shape:
        raise ValueError(f"shape {a} cannot be repeated to {shape}")
    return shape


def concatenate_shape(*shapes: Shape, axis: int, sizes: tuple[int, ...]) -> Shape:
    rests = {shape[:axis] + (shape[axis + 1 :] if axis != -1 else ()) for shape in shapes}
    if len(rests) != 1:
        raise ValueError(f"shapes {' and '.join(map(str, shapes))} differ beside axis {axis}")
    joined = list(shapes[0])
    joined[axis] = sum(sizes)
    return tuple(joined)


def index_shape(a: Shape, key: tuple[Any, ...], shape: Shape) -> Shape:
    return tuple(len(range(*k[1:])) for k in key if spans(k))


def scatter_shape(a: Shape, key: tuple[Any, ...], shape: Shape) -> Shape:
    if a != index_shape(shape, key, shape):
        raise ValueError(f"shape {a} does not fit index [{key_text(key, shape)}] of shape {shape}")
    return shape


def reduced_shape(a: Shape, axis: tuple[int, ...], keepdims: bool = False) -> Shape:
    axes = {k + len(a) for k in axis}
    return tuple(1 if k in axes else n for k, n in enumerate(a) if keepdims or k not in axes)


def cross_entropy_shape(logits: Shape, target: Shape) -> Shape:
    if not logits or logits != target:
        hint = "declare the target with classes=, or give it the shape of the logits"
        raise ValueError(f"logits of shape {logits} against a target of shape {target}; {hint}")
    return logits[:-1]


def einsum_labels(
    subscripts: str, operands: tuple[Any, ...], shape_of: Callable[[Any], Shape]
) -> tuple[tuple[str, ...], str, tuple[Any, ...]]:
    """Check the subscripts and make each label occur once in an operand.

    A label that an operand repeats (a diagonal) becomes two labels and an identity matrix between them.
    """
    if not isinstance(subscripts, str):
        raise TemplateError("einsum takes the subscripts first, as einsum('ij,j->i', W, h)")
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if "." in subscripts or len(inputs) != len(operands):
        mend = "write one comma-separated group a operand, without an ellipsis"
        raise TemplateError(f"einsum {subscripts!r} does not fit {len(operands)} operands; {mend}")
    if not arrow:
        output = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    if not (left.replace(",", "") + output).isalpha():
        raise TemplateError(f"einsum {subscripts!r}: labels must be letters")
    if missing := set(output) - set(left):
        raise TemplateError(f"einsum {subscripts!r}: output label {sorted(missing)[0]!r} occurs in no operand")
    if len(set(output)) != len(output):
        raise TemplateError(
            f"einsum {subscripts!r}: the output repeats a label; multiply by an identity matrix instead"
        )
    names = dict(zip(dict.fromkeys(left.replace(",", "")), _LABELS, strict=False))
    inputs = ["".join(names[c] for c in labels) for labels in inputs]
    output = "".join(names[c] for c in output)
    spare = iter(_LABELS[len(names) :])
    more: list[tuple[str, Any]] = []
    for k, labels in enumerate(inputs):
        shape = shape_of(operands[k])
        if len(labels) != len(shape):
            raise TemplateError(f"einsum {subscripts!r}: {labels!r} names {len(labels)} axes of shape {shape}")
        for position in range(1, len(labels)):
            if labels[position] in labels[:position]:
                fresh = next(spare)
                more.append((labels[position] + fresh, np.eye(shape[position])))
                labels = labels[:position] + fresh + labels[position + 1 :]
        inputs[k] = labels
    return (*inputs, *(labels for labels, _ in more)), output, (*operands, *(eye for _, eye in more))


def encode_key(key: Any, shape: Shape) -> tuple[Any, ...]:
    """An index as a hashable tuple with one entry per core axis: an integer or ("slice", start, stop, step)."""
    parts = list(key) if isinstance(key, tuple) else [key]
    places = [k for k, part in enumerate(parts) if part is Ellipsis]
    at = places[0] if places else len(parts)
    missing = len(shape) - (len(parts) - len(places))
    if missing < 0 or len(places) > 1:
        raise TemplateError(f"index {key!r} has more entries than shape {shape} has axes")
    parts[at : at + 1] = [slice(None)] * missing
    return tuple(_encode_part(part, size, shape) for part, size in zip(parts, shape, strict=True))


def _encode_part(part: Any, size: int, shape: Shape) -> Any:
    if isinstance(part, slice):
        return ("slice", *part.indices(size))
    if not isinstance(part, int | np.integer):
        raise TemplateError(f"index {part!r} is not an integer or a slice; for a lookup multiply by a one-hot vector")
    if not -size <= part < size:
        raise TemplateError(f"index {part} is outside an axis of size {size} of shape {shape}")
    return int(part) % size


def spans(part: Any) -> bool:
    """Whether an entry of an encoded index is a slice, which keeps its axis."""
    return isinstance(part, tuple)


def key_text(key: tuple[Any, ...], shape: Shape) -> str:
    """An encoded index as it is written in Python."""
    parts = [part_text(part, size) for part, size in zip(key, shape, strict=True)]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def part_text(part: Any, size: int) -> str:
    """An entry of an encoded index as it is written in Python."""
    if not spans(part):
        return str(part)
    _, start, stop, step = part
    if step > 0:
        bounds = f"{start or ''}:{'' if stop == size else stop}"
    else:
        bounds = f"{'' if start == size - 1 else start}:{'' if stop < 0 else stop}"
    return bounds + (f":{step}" if step != 1 else "")

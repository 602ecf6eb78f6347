"""The numerical kernels behind the table of operations, and their shape rules.

A kernel gets arrays whose last axes are the core axes; axes of the batch may stand before them, in some arguments and
not in others. Shape rules get core shapes and raise ValueError where these do not fit.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dbn_bptt.errors import TemplateError

Array = NDArray[Any]
Shape = tuple[int, ...]


# ------------------------------------------------------------------------------------------------- shapes in general
def broadcast_shapes(*shapes: Shape, **attributes: Any) -> Shape:
    """The shape rule of elementwise operations."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from None


def full_shape(shape: Shape | int, size: int) -> Shape:
    """A shape with its one -1 replaced by what makes the size right."""
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    if wanted.count(-1) > 1:
        raise TemplateError(f"shape {wanted} leaves more than one size open; at most one may be -1")
    rest = math.prod(n for n in wanted if n != -1)
    return tuple(size // rest if n == -1 and rest else n for n in wanted)


def _lead(a: Array, rank: int) -> Shape:
    """The batch axes of an array with `rank` core axes."""
    return a.shape[: a.ndim - rank]


# -------------------------------------------------------------------------------------------------------- elementwise
def power(a: Array, exponent: float) -> Array:
    """a ** exponent for a number as exponent, in the type of a."""
    return a**exponent


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), safe from overflow."""
    return expit(a)


def step(a: Array) -> Array:
    """1 where a > 0 and 0 elsewhere, in the type of a."""
    return (a > 0).astype(a.dtype)


def relu(a: Array) -> Array:
    """max(a, 0)."""
    return np.maximum(a, 0)


def softplus(a: Array) -> Array:
    """log(1 + exp(a)), safe from overflow."""
    return np.logaddexp(a, a.dtype.type(0))


def select(mask: Array, a: Array, b: Array) -> Array:
    """a where the mask is not 0, and b elsewhere."""
    return np.where(mask != 0, a, b)


# ----------------------------------------------------------------------------------------------------- linear algebra
def matmul(a: Array, b: Array, ranks: tuple[int, int]) -> Array:
    """The product for core ranks (2, 1), (1, 1) or equal ranks from 2 on.

    A matrix without batch axes times a batch of vectors is one matrix product, not B of them.
    """
    if ranks == (2, 1):
        return b @ a.T if a.ndim == 2 else np.matmul(a, b[..., None])[..., 0]
    if ranks == (1, 1):
        return np.einsum("...i,...i->...", a, b)
    return np.matmul(a, b)


def matmul_shape(a: Shape, b: Shape, ranks: tuple[int, int]) -> Shape:
    """The shape of a product."""
    inner = b[0] if ranks[1] == 1 else b[-2]
    if a[-1] != inner:
        raise ValueError(f"shapes {a} and {b} do not chain: {a[-1]} columns against {inner} rows")
    if ranks[1] == 1:
        return a[:-1]
    return (*broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def outer(a: Array, b: Array) -> Array:
    """The outer product of vectors."""
    return a[..., :, None] * b[..., None, :]


def outer_batch_sum(a: Array, b: Array, batch: Shape) -> Array:
    """The outer products of a batch, summed: one matrix product."""
    if a.ndim == b.ndim:
        summed = a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])
        return summed if a.ndim > 1 else summed * math.prod(batch)
    return outer(a.reshape(-1, a.shape[-1]).sum(0), b.reshape(-1, b.shape[-1]).sum(0))


def outer_shape(a: Shape, b: Shape) -> Shape:
    """The shape of an outer product."""
    if len(a) != 1 or len(b) != 1:
        raise ValueError(f"outer takes two vectors, not shapes {a} and {b}; use einsum for more axes")
    return a + b


def square_shape(a: Shape) -> Shape:
    """The shape rule of functions of square matrices."""
    if len(a) < 2 or a[-1] != a[-2]:
        raise ValueError(f"shape {a} is not that of a square matrix")
    return a


def logdet(a: Array) -> Array:
    """log |det a|."""
    return np.linalg.slogdet(a)[1]


def einsum_labels(
    subscripts: str, operands: tuple[Any, ...], shape_of: Callable[[Any], Shape]
) -> tuple[tuple[str, ...], str, tuple[Any, ...]]:
    """Check the subscripts and make each label occur once in an operand.

    A label that an operand repeats (a diagonal) becomes two labels and an identity matrix between them.
    """
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if "." in subscripts or len(inputs) != len(operands):
        mend = "write one comma-separated group a operand, without an ellipsis"
        raise TemplateError(f"einsum {subscripts!r} does not fit {len(operands)} operands; {mend}")
    if not arrow:
        output = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    if missing := set(output) - set(left):
        raise TemplateError(f"einsum {subscripts!r}: output label {sorted(missing)[0]!r} occurs in no operand")
    if len(set(output)) != len(output):
        raise TemplateError(f"einsum {subscripts!r}: the output repeats a label; multiply by an identity matrix instead")
    spare = iter(c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY" if c not in subscripts)
    more: list[tuple[str, Array]] = []
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


def einsum(*operands: Array, inputs: tuple[str, ...], output: str) -> Array:
    """`numpy.einsum`, the batch axes of all operands broadcast."""
    subscripts = ",".join("..." + labels for labels in inputs) + "->..." + output
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)


def einsum_batch_sum(*operands: Array, inputs: tuple[str, ...], output: str, batch: Shape) -> Array:
    """An einsum summed over the batch: the batch is one more label that the output lacks."""
    batched = [a.ndim > len(labels) for a, labels in zip(operands, inputs, strict=True)]
    flat = [a.reshape(-1, *a.shape[-len(s) or a.ndim :]) if b else a for a, s, b in zip(operands, inputs, batched, strict=True)]
    labels = ["Z" + s if b else s for s, b in zip(inputs, batched, strict=True)]
    summed = np.einsum(",".join(labels) + "->" + output, *flat, optimize=len(operands) > 1)
    return summed if any(batched) else summed * math.prod(batch)


def einsum_shape(*shapes: Shape, inputs: tuple[str, ...], output: str) -> Shape:
    """The shape of an einsum."""
    size: dict[str, int] = {}
    for shape, labels in zip(shapes, inputs, strict=True):
        for n, label in zip(shape, labels, strict=True):
            if size.setdefault(label, n) != n:
                raise ValueError(f"label {label!r} has sizes {size[label]} and {n}")
    return tuple(size[label] for label in output)


# -------------------------------------------------------------------------------------------------------------- shape
def transpose(a: Array, axes: tuple[int, ...]) -> Array:
    """Permute the core axes."""
    lead = a.ndim - len(axes)
    return np.transpose(a, (*range(lead), *(lead + k for k in axes)))


def reshape(a: Array, shape: Shape, rank: int) -> Array:
    """Reshape the last `rank` axes."""
    return a.reshape(_lead(a, rank) + shape)


def broadcast(a: Array, shape: Shape) -> Array:
    """Repeat core axes of size 1."""
    return np.broadcast_to(a, _lead(a, len(shape)) + shape)


def broadcast_shape(a: Shape, shape: Shape) -> Shape:
    """The shape rule of `broadcast`."""
    if broadcast_shapes(a, shape) != shape:
        raise ValueError(f"shape {a} cannot be repeated to {shape}")
    return shape


def concatenate(*parts: Array, axis: int, sizes: tuple[int, ...]) -> Array:
    """Join along a core axis."""
    rank = max(p.ndim for p in parts)
    lead = np.broadcast_shapes(*(p.shape[: p.ndim - _core(parts)] for p in parts)) if rank > _core(parts) else ()
    return np.concatenate([np.broadcast_to(p, lead + p.shape[p.ndim - _core(parts) :]) for p in parts], axis=axis)


def _core(parts: tuple[Array, ...]) -> int:
    return min(p.ndim for p in parts)


def concatenate_shape(*shapes: Shape, axis: int, sizes: tuple[int, ...]) -> Shape:
    """The shape of the joined parts."""
    rests = {shape[:axis] + (shape[axis + 1 :] if axis != -1 else ()) for shape in shapes}
    if len(rests) != 1:
        raise ValueError(f"shapes {' and '.join(map(str, shapes))} differ beside axis {axis}")
    joined = list(shapes[0])
    joined[axis] = sum(sizes)
    return tuple(joined)


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


def _decode(key: tuple[Any, ...]) -> tuple[Any, ...]:
    parts = (slice(start, None if stop < 0 else stop, by) for start, stop, by in (k[1:] for k in key if _spans(k)))
    return (Ellipsis, *(next(parts) if _spans(k) else k for k in key))


def _spans(part: Any) -> bool:
    return isinstance(part, tuple)


def key_text(key: tuple[Any, ...], shape: Shape) -> str:
    """An encoded index as it is written in Python."""
    parts = [_part_text(part, size) for part, size in zip(key, shape, strict=True)]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def _part_text(part: Any, size: int) -> str:
    if not _spans(part):
        return str(part)
    _, start, stop, step = part
    bounds = f"{start or ''}:{'' if stop in (-1, size) else stop}" if step > 0 or start == size - 1 else f"{start}:{stop}"
    return bounds + (f":{step}" if step != 1 else "")


def index(a: Array, key: tuple[Any, ...], shape: Shape) -> Array:
    """Basic indexing of the core axes."""
    return a[_decode(key)]


def index_shape(a: Shape, key: tuple[Any, ...], shape: Shape) -> Shape:
    """The shape of what an index picks."""
    return tuple(len(range(*k[1:])) for k in key if _spans(k))


def scatter(a: Array, key: tuple[Any, ...], shape: Shape) -> Array:
    """Zeros of a shape with `a` at the index."""
    rank = sum(map(_spans, key))
    out = np.zeros(_lead(a, rank) + shape, a.dtype)
    out[_decode(key)] = a
    return out


def scatter_shape(a: Shape, key: tuple[Any, ...], shape: Shape) -> Shape:
    """The shape rule of `scatter`."""
    if a != index_shape(shape, key, shape):
        raise ValueError(f"shape {a} does not fit index [{key_text(key, shape)}] of shape {shape}")
    return shape


# --------------------------------------------------------------------------------------------------------- reductions
def reduced_shape(a: Shape, axis: tuple[int, ...], keepdims: bool = False) -> Shape:
    """The shape of a reduction."""
    axes = {k + len(a) for k in axis}
    return tuple(1 if k in axes else n for k, n in enumerate(a) if keepdims or k not in axes)


def sum_(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """The sum over core axes."""
    return a.sum(axis, keepdims=keepdims)


def max_(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """The maximum over core axes."""
    return a.max(axis, keepdims=keepdims)


def is_max(a: Array, axis: tuple[int, ...]) -> Array:
    """1 at the maximum; equal shares where it is attained more than once."""
    hits = (a == a.max(axis, keepdims=True)).astype(a.dtype)
    return hits / hits.sum(axis, keepdims=True)


def _shifted_exp(a: Array, axis: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """exp(a - m), its sum, and m, the maximum over the axis (0 where that is infinite)."""
    m = a.max(axis, keepdims=True)
    m = np.where(np.isfinite(m), m, a.dtype.type(0))
    e = np.exp(a - m)
    return e, e.sum(axis, keepdims=True), m


def logsumexp(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """log sum exp over core axes."""
    _, total, m = _shifted_exp(a, axis)
    with np.errstate(divide="ignore"):
        out = np.log(total) + m
    return out if keepdims else out.reshape(reduced_shape(a.shape, axis))


def softmax(a: Array, axis: tuple[int, ...]) -> Array:
    """exp(a) / sum exp(a); zeros where every element is -inf."""
    e, total, _ = _shifted_exp(a, axis)
    return e / np.where(total == 0, a.dtype.type(1), total)


def log_softmax(a: Array, axis: tuple[int, ...]) -> Array:
    """a - log sum exp(a)."""
    return a - logsumexp(a, axis, keepdims=True)


# ------------------------------------------------------------------------------------------------------------- losses
def cross_entropy(logits: Array, target: Array) -> Array:
    """-sum target * log_softmax(logits) over the last axis."""
    return -np.einsum("...k,...k->...", log_softmax(logits, (-1,)), target)


def half_square(difference: Array, rank: int) -> Array:
    """Half the sum of squares over the core axes."""
    return 0.5 * np.square(difference).sum(tuple(range(-rank, 0)))


def cross_entropy_shape(logits: Shape, target: Shape) -> Shape:
    """The shape of the losses."""
    if not logits or logits != target:
        hint = "declare the target with classes=, or give it the shape of the logits"
        raise ValueError(f"logits of shape {logits} against a target of shape {target}; {hint}")
    return logits[:-1]


def one_hot(classes: Array, K: int) -> Array:
    """Class indices as indicator vectors of K entries."""
    if not np.issubdtype(classes.dtype, np.integer) or classes.size and not 0 <= classes.min() <= classes.max() < K:
        raise TemplateError(f"class indices must be integers from 0 to {K - 1}, not {np.unique(classes)[:5]}")
    return np.eye(K)[classes]


# -------------------------------------------------------------------------------------------------------------- batch
def batch_sum(a: Array, rank: int, batch: Shape) -> Array:
    """The sum over the batch axes; an array without them counts once for every sequence."""
    lead = a.ndim - rank
    return a.sum(tuple(range(lead))) if lead else a * math.prod(batch)

"""The table of primitive operations.

A VJP is written once, with the overloaded operations of this file: `lambda g, y, a: g * (1 - square(y))` returns an
array for arrays and an expression for expressions, where g is the adjoint of the result y, and a the argument.
"""

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops import kernels, shapes
from dbn_bptt.ops.rows import (
    ATOM,
    JUXTAPOSED,
    PRODUCT,
    RAISED,
    SUM,
    Operation,
    Symbolic,
    Vjp,
    ndim,
    operation,
    shape_of,
)
from dbn_bptt.ops.shapes import Shape

Axes = int | Sequence[int] | None


def axes_from_end(a: Any, axis: Axes) -> tuple[int, ...]:
    """Axes counted from the end, so that batch axes before them do not matter; all axes for None."""
    rank = ndim(a)
    axes: Sequence[int] = range(rank) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    for k in axes:
        if not isinstance(k, int | np.integer) or not -rank <= k < rank:
            raise TemplateError(f"axis {k} does not exist: the shape is {shape_of(a)}; axes run from {-rank} to -1")
    ends = tuple(sorted(int(k) - rank if k >= 0 else int(k) for k in axes))
    if len(set(ends)) != len(ends):
        raise TemplateError(f"axes {axis} name an axis twice; name each once")
    return ends


def sum_to(a: Any, like: Any) -> Any:
    """Undo broadcasting: sum or spread `a` so that it gets the shape of `like`."""
    have, want = shape_of(a), shape_of(like)
    if have == want:
        return a
    if math.prod(have) < math.prod(want):
        return broadcast_to(a, want)
    lead = len(have) - len(want)
    stretched = [k - len(want) for k, size in enumerate(want) if size == 1 and have[lead + k] != 1]
    summed = sum(a, axis=[k - len(have) for k in range(lead)] + stretched)
    return reshape(summed, want)


# ---------------------------------------------------------------------------------------------------- arithmetic
add = operation(
    "add", np.add, [lambda g, y, a, b: g, lambda g, y, a, b: g],
    latex="{0} + {1}", text="{0} + {1}", level=SUM, needs=(SUM, SUM),
)  # fmt: skip
subtract = operation(
    "subtract", np.subtract, [lambda g, y, a, b: g, lambda g, y, a, b: -g],
    latex="{0} - {1}", text="{0} - {1}", level=SUM, needs=(SUM, PRODUCT),
)  # fmt: skip
multiply = operation(
    "multiply", np.multiply, [lambda g, y, a, b: g * b, lambda g, y, a, b: g * a],
    latex=r"{0} \odot {1}", text="{0} * {1}", level=PRODUCT, needs=(PRODUCT, PRODUCT),
)  # fmt: skip
divide = operation(
    "divide", np.divide, [lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b],
    latex=r"\frac{{0}}{{1}}", text="{0} / {1}", level=PRODUCT, needs=(PRODUCT, RAISED),
)  # fmt: skip
negative = operation(
    "negative", np.negative, [lambda g, y, a: -g], latex="-{0}", text="-{0}", level=SUM, needs=(PRODUCT,)
)
square = operation(
    "square", np.square, [lambda g, y, a: 2 * g * a], latex="{0}^{2}", text="{0}^2", level=RAISED, needs=(ATOM,)
)
power = operation(
    "power", kernels.power, [lambda g, y, a, exponent: g * (exponent * a ** (exponent - 1))],
    shape=lambda a, exponent: a,
    latex=lambda a, exponent: f"{a}^{{{exponent:g}}}", text=lambda a, exponent: f"{a}^{exponent:g}",
    level=RAISED, needs=(ATOM,),
)  # fmt: skip
exp = operation("exp", np.exp, [lambda g, y, a: g * y], latex=r"\exp({0})")
log = operation("log", np.log, [lambda g, y, a: g / a], latex=r"\log({0})")
sqrt = operation("sqrt", np.sqrt, [lambda g, y, a: 0.5 * g / y], latex=r"\sqrt{{0}}")

# ------------------------------------------------------------------------------------------------ nonlinearities
tanh = operation("tanh", np.tanh, [lambda g, y, a: g * (1 - square(y))], latex=r"\tanh({0})", activation=True)
sigmoid = operation(
    "sigmoid", kernels.sigmoid, [lambda g, y, a: g * (y * (1 - y))], latex=r"\sigma({0})", activation=True
)
step = operation("step", kernels.step, [None], latex=r"[{0} > 0]", text="[{0} > 0]", kinked=True)
relu = operation(
    "relu", kernels.relu, [lambda g, y, a: g * step(a)], latex=r"\mathrm{relu}({0})", activation=True, kinked=True
)
softplus = operation("softplus", kernels.softplus, [lambda g, y, a: g * sigmoid(a)], activation=True)
select: Operation = operation(
    "select", kernels.select,
    [None, lambda g, y, m, a, b: select(m, g, 0.0), lambda g, y, m, a, b: select(m, 0.0, g)],
    latex=r"\{{1} \text{ if } {0} \text{ else } {2}\}", text="({1} if {0} else {2})",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ linear algebra
def matmul(a: Any, b: Any) -> Any:
    """The matrix product, as `numpy.matmul` defines it for the core shapes, broadcasting included.

    Examples
    --------
    >>> matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    ranks = ndim(a), ndim(b)
    if 0 in ranks:
        raise TemplateError(f"a matrix product needs at least one axis: shapes {shape_of(a)} and {shape_of(b)}; use *")
    if min(ranks) == 1 and builtins.max(ranks) > 2:  # a stack of matrices times one vector: make the vector a matrix
        if ranks[0] == 1:
            stack = matmul(reshape(a, (1, *shape_of(a))), b)
            return reshape(stack, (*shape_of(stack)[:-2], shape_of(stack)[-1]))
        stack = matmul(a, reshape(b, (*shape_of(b), 1)))
        return reshape(stack, shape_of(stack)[:-1])
    if ranks == (1, 1):
        return inner(a, b)
    if ranks == (1, 2):
        return matmul(transpose(b), a)
    if min(ranks) > 1:
        rank = builtins.max(ranks)
        a, b = (reshape(m, (1,) * (rank - ndim(m)) + shape_of(m)) for m in (a, b))
        ranks = rank, rank
    return _matmul(a, b, ranks=ranks)


_matmul = operation(
    "matmul", kernels.matmul,
    [
        lambda g, y, a, b, ranks: outer(g, b) if ranks == (2, 1) else sum_to(matmul(g, swap(b)), a),
        lambda g, y, a, b, ranks: sum_to(matmul(swap(a), g), b),
    ],
    shape=shapes.matmul_shape,
    latex=lambda a, b, ranks: f"{a} {b}", text=lambda a, b, ranks: f"{a} {b}",
    level=JUXTAPOSED, needs=(JUXTAPOSED, JUXTAPOSED),
)  # fmt: skip
inner = operation(
    "inner", kernels.inner, [lambda g, y, a, b: g * b, lambda g, y, a, b: g * a], shape=shapes.inner_shape,
    latex=r"{0}^\top {1}", text="{0}' {1}", level=JUXTAPOSED, needs=(ATOM, JUXTAPOSED),
)  # fmt: skip
outer: Operation = operation(
    "outer", kernels.outer, [lambda g, y, a, b: matmul(g, b), lambda g, y, a, b: matmul(a, g)],
    shape=shapes.outer_shape, latex=r"{0} {1}^\top", text="{0} {1}'", level=JUXTAPOSED, needs=(JUXTAPOSED, ATOM),
    batch_sum=kernels.outer_batch_sum,
)  # fmt: skip
inverse = operation(
    "inverse", np.linalg.inv, [lambda g, y, a: -matmul(matmul(swap(y), g), swap(y))], shape=shapes.square_shape,
    latex="{0}^{-1}", text="{0}^-1", level=RAISED, needs=(ATOM,),
)  # fmt: skip
logdet = operation(
    "logdet", kernels.logdet, [lambda g, y, a: reshape(g, (*shape_of(g), 1, 1)) * swap(inverse(a))],
    shape=lambda a: shapes.square_shape(a)[:-2], latex=r"\log|{0}|", text="log|{0}|",
)  # fmt: skip


def einsum(subscripts: str, *operands: Any) -> Any:
    """`numpy.einsum` over the core axes, with an explicit or implicit output and without an ellipsis.

    Examples
    --------
    >>> einsum("ij,j->i", np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    inputs, output, operands = shapes.einsum_labels(subscripts, operands, shape_of)
    return _einsum(*operands, inputs=inputs, output=output)


def _einsum_vjp(position: int) -> Vjp:
    def vjp(g: Any, y: Any, *operands: Any, inputs: tuple[str, ...], output: str) -> Any:
        others = [k for k in range(len(operands)) if k != position]
        reached = set(output).union(*(inputs[k] for k in others))
        wanted = "".join(label for label in inputs[position] if label in reached)
        labels = (output, *(inputs[k] for k in others))
        message = _einsum(g, *(operands[k] for k in others), inputs=labels, output=wanted)
        mine = shape_of(operands[position])
        kept = tuple(n if label in reached else 1 for label, n in zip(inputs[position], mine, strict=True))
        return broadcast_to(reshape(message, kept), mine)

    return vjp


_einsum = operation(
    "einsum", kernels.einsum, _einsum_vjp, shape=shapes.einsum_shape,
    latex=lambda *a, inputs, output: rf"\mathrm{{einsum}}_{{{','.join(inputs)}\to {output}}}({', '.join(a)})",
    text=lambda *a, inputs, output: f"einsum({','.join(inputs)}->{output}; {', '.join(a)})",
    batch_sum=kernels.einsum_batch_sum,
)  # fmt: skip


# --------------------------------------------------------------------------------------------------------- shape
def transpose(a: Any, axes: Sequence[int] | None = None) -> Any:
    """Permute the axes; reverse them without `axes`.

    Examples
    --------
    >>> transpose(np.array([[1.0, 2.0, 3.0]])).shape
    (3, 1)
    """
    rank = ndim(a)
    order = tuple(range(rank))[::-1] if axes is None else tuple(k + rank if k < 0 else k for k in map(int, axes))
    if sorted(order) != list(range(rank)):
        raise TemplateError(f"axes {axes} do not permute the {ndim(a)} axes of shape {shape_of(a)}")
    return a if order == tuple(range(ndim(a))) else _transpose(a, axes=order)


def swap(a: Any) -> Any:
    """Transpose the last two axes."""
    rank = ndim(a)
    return transpose(a, (*range(rank - 2), rank - 1, rank - 2))


def reshape(a: Any, shape: Shape | int) -> Any:
    """Give the core shape another form with as many elements; one size may be -1.

    Examples
    --------
    >>> reshape(np.arange(6.0), (2, -1))
    array([[0., 1., 2.],
           [3., 4., 5.]])
    """
    old, new = shape_of(a), shapes.full_shape(shape, math.prod(shape_of(a)))
    if math.prod(old) != math.prod(new):
        raise TemplateError(f"shape {old} cannot be reshaped to {new}: {math.prod(old)} and {math.prod(new)} elements")
    return a if old == new else _reshape(a, shape=new, rank=len(old))


def broadcast_to(a: Any, shape: Shape) -> Any:
    """Repeat along new axes and axes of size 1, as `numpy.broadcast_to`."""
    if shape_of(a) == tuple(shape):
        return a
    return _broadcast(reshape(a, (1,) * (len(shape) - ndim(a)) + shape_of(a)), shape=tuple(shape))


def concatenate(parts: Sequence[Any], axis: int = -1) -> Any:
    """Join along an axis that exists.

    Examples
    --------
    >>> concatenate([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    if not isinstance(parts, list | tuple) or len(parts) == 0:
        raise TemplateError("concatenate takes a list of parts, at least one: concatenate([a, b])")
    if any(ndim(p) == 0 for p in parts):
        raise TemplateError("concatenate joins along an axis, which a scalar lacks; reshape it to (1,)")
    (axis,) = axes_from_end(parts[0], axis)
    return _concatenate(*parts, axis=axis, sizes=tuple(shape_of(p)[axis] if ndim(p) >= -axis else 0 for p in parts))


def index(a: Any, key: Any) -> Any:
    """Basic indexing by integers, slices and an ellipsis, as `a[key]`."""
    return _index(a, key=shapes.encode_key(key, shape_of(a)), shape=shape_of(a))


def _concatenate_vjp(position: int) -> Vjp:
    def vjp(g: Any, y: Any, *parts: Any, axis: int, sizes: tuple[int, ...]) -> Any:
        start = builtins.sum(sizes[:position])
        span = slice(start, start + sizes[position])
        return index(g, (Ellipsis, span, *(slice(None),) * (-axis - 1)))

    return vjp


_transpose = operation(
    "transpose", kernels.transpose, [lambda g, y, a, axes: transpose(g, [axes.index(k) for k in range(len(axes))])],
    shape=lambda a, axes: tuple(a[k] for k in axes),
    latex=lambda a, axes: rf"{a}^\top", text=lambda a, axes: f"{a}'", level=RAISED, needs=(ATOM,),
)  # fmt: skip
_reshape = operation(
    "reshape", kernels.reshape, [lambda g, y, a, shape, rank: reshape(g, shape_of(a))],
    shape=lambda a, shape, rank: shape,
    latex=lambda a, shape, rank: rf"\mathrm{{reshape}}_{{{shape}}}({a})",
    text=lambda a, shape, rank: f"reshape({a}, {' x '.join(map(str, shape)) or 'scalar'})",
)  # fmt: skip
_broadcast = operation(
    "broadcast", kernels.broadcast, [lambda g, y, a, shape: sum_to(g, a)], shape=shapes.broadcast_shape,
    latex=lambda a, shape: a, text=lambda a, shape: a, needs=(ATOM,),
)  # fmt: skip
_concatenate = operation(
    "concatenate", kernels.concatenate, _concatenate_vjp, shape=shapes.concatenate_shape,
    latex=lambda *a, axis, sizes: rf"[{'; '.join(a)}]", text=lambda *a, axis, sizes: f"[{'; '.join(a)}]",
)  # fmt: skip
_index = operation(
    "index", kernels.index, [lambda g, y, a, key, shape: _scatter(g, key=key, shape=shape)],
    shape=shapes.index_shape,
    latex=lambda a, key, shape: f"{a}[{shapes.key_text(key, shape)}]",
    text=lambda a, key, shape: f"{a}[{shapes.key_text(key, shape)}]", needs=(ATOM,),
)  # fmt: skip
_scatter: Operation = operation(
    "scatter", kernels.scatter, [lambda g, y, a, key, shape: _index(g, key=key, shape=shape)],
    shape=shapes.scatter_shape,
    latex=lambda a, key, shape: rf"\mathrm{{scatter}}_{{[{shapes.key_text(key, shape)}]}}({a})",
    text=lambda a, key, shape: f"scatter([{shapes.key_text(key, shape)}], {a})",
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------- reductions
def sum(a: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The sum over axes; over all of them without `axis`.

    Examples
    --------
    >>> sum(np.ones((2, 3)), axis=0)
    array([2., 2., 2.])
    """
    axes = axes_from_end(a, axis)
    return _sum(a, axis=axes, keepdims=keepdims) if axes else a


def max(a: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The maximum over axes. Where several elements attain it, they share its derivative equally.

    Examples
    --------
    >>> float(max(np.array([1.0, 3.0, 2.0])))
    3.0
    """
    axes = axes_from_end(a, axis)
    return _max(a, axis=axes, keepdims=keepdims) if axes else a


def logsumexp(a: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """log(sum(exp(a))) over axes, safe from overflow; -inf where all elements are -inf.

    Examples
    --------
    >>> round(float(logsumexp(np.array([1000.0, 1000.0]))), 6)
    1000.693147
    """
    return _logsumexp(a, axis=axes_from_end(a, axis), keepdims=keepdims)


def softmax(a: Any, axis: int = -1) -> Any:
    """exp(a) / sum(exp(a)) along an axis.

    Examples
    --------
    >>> softmax(np.array([0.0, math.log(3.0)])).round(6)
    array([0.25, 0.75])
    """
    return _softmax(a, axis=axes_from_end(a, axis))


def log_softmax(a: Any, axis: int = -1) -> Any:
    """a - logsumexp(a) along an axis.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 0.0])).round(6)
    array([-0.693147, -0.693147])
    """
    return _log_softmax(a, axis=axes_from_end(a, axis))


def _spread(g: Any, a: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Repeat the adjoint of a reduction over the axes that were reduced."""
    rank = ndim(a)
    kept = tuple(1 if k - rank in axis else size for k, size in enumerate(shape_of(a)))
    return broadcast_to(g if keepdims else reshape(g, kept), shape_of(a))


def _reduction(symbol: str) -> dict[str, Any]:
    """Shape rule and notation of an operation that reduces axes."""
    return {
        "shape": shapes.reduced_shape,
        "latex": lambda a, axis, keepdims: rf"{symbol}({a})",
        "text": lambda a, axis, keepdims: f"{symbol.strip(chr(92))}({a})",
    }


_sum = operation("sum", kernels.sum_, [lambda g, y, a, **over: _spread(g, a, **over)], **_reduction(r"\sum"))
_max = operation(
    "max", kernels.max_, [lambda g, y, a, axis, keepdims: _spread(g, a, axis, keepdims) * _is_max(a, axis=axis)],
    kinked=True, **_reduction(r"\max"),
)  # fmt: skip
_is_max: Operation = operation(
    "is_max", kernels.is_max, [None], shape=lambda a, axis: a,
    latex=lambda a, axis: rf"[{a} = \max {a}]", text=lambda a, axis: f"[{a} = max]", needs=(ATOM,),
)  # fmt: skip
peak = operation(  # what exponentials are shifted by: it cancels, so that it has no derivative
    "peak", kernels.peak, [None], shape=lambda a, axis: shapes.reduced_shape(a, axis, True),
    latex=lambda a, axis: rf"\max {a}", text=lambda a, axis: f"max {a}", needs=(ATOM,),
)  # fmt: skip
_logsumexp = operation(
    "logsumexp", kernels.logsumexp,
    [lambda g, y, a, axis, keepdims: _spread(g, a, axis, keepdims) * _softmax(a, axis=axis)],
    **_reduction("logsumexp") | {"latex": lambda a, axis, keepdims: rf"\log \sum \exp({a})"},
)  # fmt: skip
_softmax: Operation = operation(
    "softmax", kernels.softmax, [lambda g, y, a, axis: y * (g - sum(g * y, axis, keepdims=True))],
    shape=lambda a, axis: a,
    latex=lambda a, axis: rf"\mathrm{{softmax}}({a})", text=lambda a, axis: f"softmax({a})",
)  # fmt: skip
_log_softmax = operation(
    "log_softmax", kernels.log_softmax,
    [lambda g, y, a, axis: g - _softmax(a, axis=axis) * sum(g, axis, keepdims=True)],
    shape=lambda a, axis: a,
    latex=lambda a, axis: rf"\log \mathrm{{softmax}}({a})", text=lambda a, axis: f"log softmax({a})",
)  # fmt: skip


def stop_gradient(a: Any) -> Any:
    """The value of a, through which no message is sent.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate("half of a square")
    >>> w = t.parameter("w", ())
    >>> t.loss("L", stop_gradient(w) * w)
    >>> float(db.bptt(t, {"w": 3.0}, T=1).gradients["w"])
    3.0
    """
    return _stop_gradient(a)


_stop_gradient = operation(
    "stop_gradient", kernels.identity, [None], shape=lambda a: a, latex="{0}", text="{0}", needs=(ATOM,)
)


# -------------------------------------------------------------------------------------------------------- losses
def cross_entropy(logits: Any, target: Any) -> Any:
    """-sum_k target_k log softmax(logits)_k over the last axis, in nats.

    The target is an array of probabilities, or of class indices with one axis less. In a template, a target that is
    declared with `classes=` takes either form of data.

    Examples
    --------
    >>> round(float(cross_entropy(np.array([0.0, 0.0, 0.0]), 2)), 6) == round(math.log(3), 6)
    True
    """
    if _is_distribution(logits):
        raise TemplateError("cross_entropy takes the logits first: cross_entropy(o, y) for a target y")
    if not isinstance(target, Symbolic) and ndim(target) == ndim(logits) - 1:
        target = kernels.one_hot(np.asarray(target), shape_of(logits)[-1])
    return _cross_entropy(logits, target)


def squared_error(a: Any, b: Any) -> Any:
    """Half the squared distance, sum((a - b)^2) / 2 over all axes, so that its derivative in a is a - b.

    Both have one shape, or one of them is a scalar.

    Examples
    --------
    >>> float(squared_error(np.array([1.0, 2.0]), np.array([1.0, 5.0])))
    4.5
    """
    if shape_of(a) != shape_of(b) and () not in (shape_of(a), shape_of(b)):
        raise TemplateError(f"squared_error of shapes {shape_of(a)} and {shape_of(b)}; give both one shape")
    return _squared_error(a - b, rank=builtins.max(ndim(a), ndim(b)))


_squared_error = operation(
    "squared_error", kernels.half_square, [lambda g, y, d, rank: reshape(g, (1,) * rank) * d],
    shape=lambda d, rank: (),
    latex=r"\tfrac{1}{2} \lVert {0} \rVert^{2}", text="1/2 |{0}|^2", level=PRODUCT,
)  # fmt: skip


def total_probability(p: Any, keepdims: bool = False) -> Any:
    """The sum over the last axis, known to be 1 for a target of distributions in its own slice; before and after the
    sequence, where such a target is 0, it is not."""
    if _is_distribution(p) and not p.delay:
        return np.ones((*shape_of(p)[:-1], 1) if keepdims else shape_of(p)[:-1])
    return sum(p, -1, keepdims)


def _is_distribution(p: Any) -> bool:
    """Whether something is a target whose data sum to 1."""
    return bool(getattr(getattr(p, "symbol", None), "probabilities", False))


_cross_entropy = operation(
    "cross_entropy", kernels.cross_entropy,
    [
        lambda g, y, o, p: reshape(g, (*shape_of(g), 1)) * (softmax(o) * total_probability(p, keepdims=True) - p),
        lambda g, y, o, p: -reshape(g, (*shape_of(g), 1)) * log_softmax(o),
    ],
    shape=shapes.cross_entropy_shape, elementwise=False,
    latex=r"-{1}^\top \log \mathrm{softmax}({0})", text="-{1}' log softmax({0})", level=SUM, needs=(SUM, ATOM),
)  # fmt: skip

# --------------------------------------------------------------------------------------------------------- batch
batch_sum = operation(
    "batch_sum", kernels.batch_sum, [lambda g, y, a, rank: g], shape=lambda a, rank: a,
    latex=lambda a, rank: a, text=lambda a, rank: a, needs=(ATOM,),
)  # fmt: skip

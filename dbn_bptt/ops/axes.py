"""Operations on axes: they move, repeat, join, pick and sum numbers."""

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops import kernels, nests, shapes
from dbn_bptt.ops.nests import Nest, formula
from dbn_bptt.ops.rows import ATOM, Fold, Move, Operation, Vjp, ndim, operation, shape_of
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


# -------------------------------------------------------------------------------------------------- moves and parts
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


_reshape = operation(
    "reshape", kernels.reshape, [lambda g, y, a, shape, rank: reshape(g, shape_of(a))],
    shape=lambda a, shape, rank: shape,
    latex=lambda a, shape, rank: rf"\mathrm{{reshape}}_{{{shape}}}({a})",
    text=lambda a, shape, rank: f"reshape({a}, {' x '.join(map(str, shape)) or 'scalar'})",
    role=Move(in_order=True), nest=nests.reshaped,
)  # fmt: skip
_broadcast = operation(
    "broadcast", kernels.broadcast, [lambda g, y, a, shape: sum_to(g, a)], shape=shapes.broadcast_shape,
    latex="{0}", text="{0}", needs=(ATOM,), role=Move(repeats=True), nest=formula("{0}"),
)  # fmt: skip
_concatenate = operation(
    "concatenate", kernels.concatenate, _concatenate_vjp, shape=shapes.concatenate_shape,
    latex=lambda *a, axis, sizes: rf"[{'; '.join(a)}]", text=lambda *a, axis, sizes: f"[{'; '.join(a)}]",
    fresh=True, nest=nests.joined,
)  # fmt: skip


def _picked_view(whole: Shape, key: tuple[Any, ...], shape: Shape) -> str:
    return f"[..., {', '.join(map(shapes.part_text, key, whole))}]"


_index = operation(
    "index", kernels.index, [lambda g, y, a, key, shape: _scatter(g, key=key, shape=shape)],
    shape=shapes.index_shape,
    latex=lambda a, key, shape: f"{a}[{shapes.key_text(key, shape)}]",
    text=lambda a, key, shape: f"{a}[{shapes.key_text(key, shape)}]", needs=(ATOM,), role=Move(_picked_view),
    nest=nests.picked,
)  # fmt: skip
_scatter: Operation = operation(
    "scatter", kernels.scatter, [lambda g, y, a, key, shape: _index(g, key=key, shape=shape)],
    shape=shapes.scatter_shape,
    latex=lambda a, key, shape: rf"\mathrm{{scatter}}_{{[{shapes.key_text(key, shape)}]}}({a})",
    text=lambda a, key, shape: f"scatter([{shapes.key_text(key, shape)}], {a})", fresh=True, nest=nests.scattered,
    traced=kernels.scatter_traced,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- sums
def sum(a: Any, axis: Axes = None, keepdims: bool = False) -> Any:
    """The sum over axes; over all of them without `axis`.

    Examples
    --------
    >>> sum(np.ones((2, 3)), axis=0)
    array([2., 2., 2.])
    """
    axes = axes_from_end(a, axis)
    return _sum(a, axis=axes, keepdims=keepdims) if axes else a


def spread(g: Any, a: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Repeat the adjoint of a reduction over the axes that were reduced."""
    rank = ndim(a)
    kept = tuple(1 if k - rank in axis else size for k, size in enumerate(shape_of(a)))
    return broadcast_to(g if keepdims else reshape(g, kept), shape_of(a))


def reduction(symbol: str, nest: Nest, ufunc: np.ufunc | None = None) -> dict[str, Any]:
    """The columns of an operation that reduces axes, by a ufunc where that is all that it does."""
    return {
        "shape": shapes.reduced_shape,
        "latex": symbol + "({0})",
        "text": symbol.strip("\\") + "({0})",
        "fresh": True,
        "nest": nest,
        **({"role": Fold(ufunc)} if ufunc else {}),
    }


_sum = operation(
    "sum",
    kernels.sum_,
    [lambda g, y, a, **over: spread(g, a, **over)],
    **reduction(r"\sum", nests.folded("0.0", "total + {0}"), np.add),
)

# ------------------------------------------------------------------------------------------------------------ batch
batch_sum = operation(
    "batch_sum", kernels.batch_sum, [lambda g, y, a, rank: g], shape=lambda a, rank: a,
    latex="{0}", text="{0}", needs=(ATOM,), over_batch=True,
)  # fmt: skip

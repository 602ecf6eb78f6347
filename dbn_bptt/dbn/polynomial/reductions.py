"""How states are eliminated from a product of factors: summed, maximised, or drawn at random.

All three are the same recursion, and one reverse sweep answers each. A sum passes its adjoint on to every term: what
arrives at an indicator is a posterior probability. A maximum passes it on to the first largest term alone: what arrives
is the most probable path. A draw has the value of a sum, but passes its adjoint on to one term, chosen with the
probability that it has among the others: what arrives is a path drawn from the posterior (forward filtering, backward
sampling). Sums run on probabilities, which is fastest; the others on logarithms, and sums too where probabilities would
become too small for a number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt import ops
from dbn_bptt.ops import kernels, nests
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.nests import Entries
from dbn_bptt.ops.reductions import LARGEST
from dbn_bptt.ops.rows import ATOM, Fold, operation
from dbn_bptt.ops.shapes import reduced_shape


@dataclass(frozen=True)
class Reduction:
    """A way to eliminate axes: ``reduce(expression, axes, keepdims)``.

    Where `logs` is set, factors are logarithms, and products sums: nothing is too small for it. With `adds`, K equal
    terms make K times one of them.
    """

    name: str
    reduce: Callable[..., Any]
    logs: bool = False
    adds: bool = True

    def share(self, K: int) -> float:
        """The factor of which K equal ones make 1."""
        one = 1.0 / K if self.adds else 1.0
        return math.log(one) if self.logs else one


def _flat(a: Array, axis: tuple[int, ...]) -> Array:
    """The reduced axes as one, at the end."""
    last = np.moveaxis(a, axis, range(-len(axis), 0))
    return last.reshape(*last.shape[: last.ndim - len(axis)], -1)


def _chosen(a: Array, at: Array, value: Array, axis: tuple[int, ...]) -> Array:
    """Zeros of the shape of a, with a value at one place of the reduced axes."""
    flat = np.zeros_like(_flat(a, axis))
    np.put_along_axis(flat, at[..., None], value, -1)
    sizes = [a.shape[k] for k in axis]
    return np.moveaxis(flat.reshape(*flat.shape[:-1], *sizes), range(-len(axis), 0), axis)


def first_largest(a: Array, axis: tuple[int, ...]) -> Array:
    """1 at the first of the largest elements over core axes, 0 elsewhere."""
    return _chosen(a, _flat(a, axis).argmax(-1), np.ones((), a.dtype), axis)


def drawn(a: Array, u: Array, axis: tuple[int, ...], rank: int) -> Array:
    """1 at the element that a number u of [0, 1) falls on when the exponentials of a lie end to end, 0 elsewhere."""
    flat = _flat(_batched(a, u, rank), axis)
    ends = np.cumsum(np.exp(flat - flat.max(-1, keepdims=True)), -1)
    mark = np.asarray(u).reshape(*np.shape(u), *(1,) * (ends.ndim - np.ndim(u)))  # one number for all that stays
    at = (ends > mark * ends[..., -1:]).argmax(-1)
    return _chosen(_batched(a, u, rank), at, np.ones((), a.dtype), axis)


def first_largest_traced(xp: Any, a: Any, axis: tuple[int, ...]) -> Any:
    """`first_largest`, traced."""
    return _chosen_traced(xp, a, axis, lambda flat: flat.argmax(-1))


def drawn_traced(xp: Any, a: Any, u: Any, axis: tuple[int, ...], rank: int) -> Any:
    """`drawn`, traced."""

    def place(flat: Any) -> Any:
        ends = xp.cumsum(xp.exp(flat - flat.max(-1, keepdims=True)), -1)
        mark = u.reshape(*u.shape, *(1,) * (ends.ndim - u.ndim))
        return (ends > mark * ends[..., -1:]).argmax(-1)

    return _chosen_traced(xp, xp.broadcast_to(a, u.shape + a.shape) if a.ndim == rank else a, axis, place)


def _chosen_traced(xp: Any, a: Any, axis: tuple[int, ...], place: Callable[[Any], Any]) -> Any:
    """1 at one place of the reduced axes, 0 elsewhere."""
    last = tuple(range(-len(axis), 0))
    moved = xp.moveaxis(a, axis, last)
    flat = moved.reshape(*moved.shape[: moved.ndim - len(axis)], -1)
    chosen = (xp.arange(flat.shape[-1]) == place(flat)[..., None]).astype(a.dtype)
    return xp.moveaxis(chosen.reshape(moved.shape), last, axis)


def draw_traced(xp: Any, a: Any, u: Any, axis: tuple[int, ...], keepdims: bool, rank: int) -> Any:
    """`draw`, traced."""
    whole = xp.broadcast_to(a, u.shape + a.shape) if a.ndim == rank else a
    m = whole.max(axis, keepdims=True)
    m = xp.where(xp.isfinite(m), m, 0)
    out = xp.log(xp.exp(whole - m).sum(axis, keepdims=True)) + m
    return out if keepdims else out.reshape(reduced_shape(out.shape, axis))


def draw(a: Array, u: Array, axis: tuple[int, ...], keepdims: bool, rank: int) -> Array:
    """log sum exp over core axes."""
    return kernels.logsumexp(_batched(a, u, rank), axis, keepdims)


def _batched(a: Array, u: Array, rank: int) -> Array:
    """An array that is the same in all slices and sequences, repeated for each random number."""
    return np.broadcast_to(a, np.shape(u) + a.shape) if a.ndim == rank else a


def _spread(g: Any, a: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    kept = tuple(1 if k - len(a.shape) in axis else n for k, n in enumerate(a.shape))
    return ops.broadcast_to(g if keepdims else ops.reshape(g, kept), a.shape)


AT_PLACE = "{1} = 1.0 if n == place else 0.0"


def _nest_of_first_largest(out: Entries, a: Entries, axis: tuple[int, ...]) -> list[str]:
    return nests.reduced(
        out, a, axis,
        lambda _, over: [
            "top, place, n = -np.inf, 0, 0",
            *over("if {0} > top:", "    top, place = {0}, n", "n += 1"),
            "n = 0", *over(AT_PLACE, "n += 1"),
        ],
    )  # fmt: skip


def _nest_of_drawn(out: Entries, a: Entries, u: Entries, axis: tuple[int, ...], rank: int) -> list[str]:
    return nests.reduced(
        out, a, axis,
        lambda _, over: [
            "top, total = -np.inf, 0.0", *over("top = max(top, {0})"), *over("total += np.exp({0} - top)"),
            f"mark, end, place, n = total * {u.at()}, 0.0, -1, 0",
            *over("end += np.exp({0} - top)", "if place < 0 and end > mark:", "    place = n", "n += 1"),
            "place, n = max(place, 0), 0", *over(AT_PLACE, "n += 1"),
        ],
    )  # fmt: skip


_first_largest = operation(
    "first_largest", first_largest, [None], shape=lambda a, axis: a, nest=_nest_of_first_largest,
    traced=first_largest_traced,
)  # fmt: skip
_drawn = operation(
    "drawn", drawn, [None, None], shape=lambda a, u, axis, rank: a, nest=_nest_of_drawn, traced=drawn_traced
)  # fmt: skip
_largest = operation(
    "largest", kernels.max_,
    [lambda g, y, a, axis, keepdims: _spread(g, a, axis, keepdims) * _first_largest(a, axis=axis)],
    shape=reduced_shape, latex=lambda a, axis, keepdims: rf"\max({a})", text=lambda a, axis, keepdims: f"max({a})",
    kinked=True, nest=LARGEST, role=Fold(np.maximum),
)  # fmt: skip
_draw = operation(
    "draw", draw,
    [lambda g, y, a, u, axis, keepdims, rank: _spread(g, a, axis, keepdims) * _drawn(a, u, axis=axis, rank=rank), None],
    shape=lambda a, u, axis, keepdims, rank: reduced_shape(a, axis, keepdims),
    latex=lambda a, u, **_: rf"\log \sum \exp({a})", text=lambda a, u, **_: f"logsumexp({a})",
    nest=lambda out, a, u, axis, keepdims, rank: nests.log_sum_exp(out, a, axis),
    role=Fold(np.logaddexp), traced=draw_traced,
)  # fmt: skip


_indicator = operation(
    "indicator", lambda a, **of: a, [lambda g, y, a, logs, whole: _posterior(g if logs else g * a, whole)],
    shape=lambda a, **of: a, latex="{0}", text="{0}", needs=(ATOM,), lower=lambda a, **of: a, stops=True,
)  # fmt: skip
NEXT_TO_NOTHING = 1e-300


def _posterior(reached: Any, whole: bool) -> Any:
    """What reached the states of a variable, none of it positive, as probabilities; 0 where nothing did."""
    if whole:
        return -reached
    total = ops.sum(reached, tuple(range(len(reached.shape))), keepdims=True)
    return reached / (total - NEXT_TO_NOTHING)


def indicator(e: Any, by: Reduction, alone: bool) -> Any:
    """Indicators of a variable whose adjoint is its posterior: minus what would reach them, times these.

    Its sum is 1 but for rounding, which grows with the number of slices and the size of logarithms, and is made 1 then.
    """
    return _indicator(e, logs=by.logs, whole=alone and not by.logs)


def _from_end(e: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(k - len(e.shape) for k in axes)


SUM = Reduction("sum", lambda e, axes, keepdims: ops.sum(e, axes, keepdims))
LOG_SUM = Reduction("sum in logarithms", lambda e, axes, keepdims: ops.logsumexp(e, axes, keepdims), logs=True)
MAX = Reduction("max", lambda e, axes, keepdims: _largest(e, axis=_from_end(e, axes), keepdims=keepdims), True, False)
POSSIBLE = Reduction(
    "possible", lambda e, axes, keepdims: _largest(e, axis=_from_end(e, axes), keepdims=keepdims), adds=False
)
DRAW = Reduction(
    "draw",
    lambda e, axes, keepdims, u: _draw(e, u, axis=_from_end(e, axes), keepdims=keepdims, rank=len(e.shape)),
    logs=True,
)

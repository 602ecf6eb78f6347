"""Maxima, and what is made of exponentials: log-sum-exp, softmax."""

from typing import Any

import numpy as np

from dbn_bptt.ops import kernels, nests, shapes
from dbn_bptt.ops.axes import Axes, axes_from_end, reduction, spread, sum
from dbn_bptt.ops.elementwise import exp, log
from dbn_bptt.ops.rows import ATOM, Operation, operation


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
    >>> softmax(np.array([0.0, np.log(3.0)])).round(6)
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


def exponentials(a: Any, axis: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """a less its maximum, the exponential of that, and its sum: what the functions of one array share."""
    shifted = a - peak(a, axis=axis)
    e = exp(shifted)
    return shifted, e, sum(e, axis, keepdims=True)


def _lowered_softmax(a: Any, axis: tuple[int, ...]) -> Any:
    _, e, total = exponentials(a, axis)
    return e / total


def _lowered_log_softmax(a: Any, axis: tuple[int, ...]) -> Any:
    shifted, _, total = exponentials(a, axis)
    return shifted - log(total)


LARGEST = nests.folded("-np.inf", "max(total, {0})")

_max = operation(
    "max", kernels.max_, [lambda g, y, a, axis, keepdims: spread(g, a, axis, keepdims) * _is_max(a, axis=axis)],
    kinked=True, **reduction(r"\max", LARGEST, np.maximum),
)  # fmt: skip
_is_max: Operation = operation(
    "is_max", kernels.is_max, [None], shape=lambda a, axis: a,
    latex=r"[{0} = \max {0}]", text="[{0} = max]", needs=(ATOM,), fresh=True, nest=nests.is_max,
)  # fmt: skip
peak = operation(  # what exponentials are shifted by: it cancels, so that it has no derivative
    "peak", kernels.peak, [None], shape=lambda a, axis: shapes.reduced_shape(a, axis, True),
    latex=r"\max {0}", text="max {0}", needs=(ATOM,), fresh=True, nest=nests.peak,
    traced=kernels.peak_traced,
)  # fmt: skip
_logsumexp = operation(
    "logsumexp", kernels.logsumexp,
    [lambda g, y, a, axis, keepdims: spread(g, a, axis, keepdims) * _softmax(a, axis=axis)],
    **reduction("logsumexp", nests.log_sum_exp, np.logaddexp) | {"latex": r"\log \sum \exp({0})"},
)  # fmt: skip
_softmax: Operation = operation(
    "softmax", kernels.softmax, [lambda g, y, a, axis: y * (g - sum(g * y, axis, keepdims=True))],
    shape=lambda a, axis: a, lower=_lowered_softmax,
)  # fmt: skip
_log_softmax = operation(
    "log_softmax", kernels.log_softmax,
    [lambda g, y, a, axis: g - _softmax(a, axis=axis) * sum(g, axis, keepdims=True)],
    shape=lambda a, axis: a, latex=r"\log \mathrm{softmax}({0})", text="log softmax({0})",
    lower=_lowered_log_softmax,
)  # fmt: skip

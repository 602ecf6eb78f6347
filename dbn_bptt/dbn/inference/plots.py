"""Posteriors over time as matplotlib figures, with what was seen below them."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, DbnBpttError
from dbn_bptt.ops.kernels import Array

BLUE, VERMILLION = "#0072B2", "#D55E00"  # Okabe and Ito's
MOST = 12  # states that are named on an axis


def heat_maps(
    marginals: Mapping[Any, Array], states: Mapping[Any, tuple[Hashable, ...]], start: int, seen: Mapping[Any, Array]
) -> Any:
    """A row for each variable: time across, states up, dark where probable; below, a row for each of what was seen."""
    rows = [(name, a.T) for name, a in marginals.items()]
    figure, axes = _axes([max(0.5, min(2.0, 0.22 * len(a))) for _, a in rows] + [1.0] * len(seen))
    T = rows[0][1].shape[1]
    for axis, (name, a) in zip(axes, rows, strict=False):
        box = (start - 0.5, start + T - 0.5, -0.5, len(a) - 0.5)
        axis.imshow(a, cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower", extent=box, interpolation="nearest")
        if len(a) <= MOST:
            axis.set_yticks(range(len(a)), [str(state) for state in states[name]])
        axis.set_ylabel(str(name))
    _seen(axes[len(rows) :], seen, start)
    return figure


def bands(
    mean: Array, deviation: Array, start: int, seen: Mapping[Any, Array], names: tuple[Hashable, ...] = ()
) -> Any:
    """A row for each number of a state: its mean, and two standard deviations to either side."""
    figure, axes = _axes([1.0] * (mean.shape[1] + len(seen)))
    t = np.arange(start, start + len(mean))
    for i in range(mean.shape[1]):
        axes[i].plot(t, mean[:, i], color=BLUE)
        low, high = mean[:, i] - 2 * deviation[:, i], mean[:, i] + 2 * deviation[:, i]
        axes[i].fill_between(t, low, high, color=BLUE, alpha=0.2, linewidth=0)
        axes[i].set_ylabel(str(names[i]) if names else f"state {i}")
    _seen(axes[mean.shape[1] :], seen, 0)
    return figure


def one_sequence(values: Any, sequence: int, batched: bool, name: Any) -> Array:
    """What was seen of one sequence, (T, d)."""
    array = np.asarray(values)
    if batched and array.ndim >= 2:
        array = array[sequence]
    if array.ndim not in (1, 2):
        raise DataError(f"evidence of {name!r} has shape {np.shape(values)}; give what the posterior was given")
    return array if array.ndim == 2 else array[:, None]


def _axes(heights: list[float]) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DbnBpttError("plots need matplotlib; pip install matplotlib") from None
    figure = Figure(figsize=(7.0, 0.6 + 1.1 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights).ravel()
    axes[-1].set_xlabel("slice")
    return figure, list(axes)


def _seen(axes: list[Any], seen: Mapping[Any, Array], start: int) -> None:
    """Numbers as dots joined by lines; states, given by name, as dots in their rows."""
    for axis, (name, a) in zip(axes, seen.items(), strict=True):
        t = np.arange(start, start + len(a))
        if a.dtype.kind in "biuf":
            axis.plot(t, np.where(a == -1, np.nan, a) if a.dtype.kind == "i" else a, "o-", markersize=3, linewidth=0.8)
        else:
            shown = np.array([value is not None and value == value for value in a[:, 0]])
            axis.plot(t[shown], [str(value) for value in a[shown, 0]], "o", markersize=3, color=VERMILLION)
        axis.set_ylabel(str(name))

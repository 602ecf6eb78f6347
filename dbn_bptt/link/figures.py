"""Figures for teaching: each function computes what it shows and returns a matplotlib figure.

matplotlib is imported when a figure is drawn (``pip install dbn_bptt[figures]``). Lines differ in colour (Okabe and
Ito's, which colour-blind readers can tell apart) and in marker or dash.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dbn_bptt.cells import elman
from dbn_bptt.dbn.cost_to_go import value_function
from dbn_bptt.dbn.state_space.kalman import kalman_data, linear_gaussian
from dbn_bptt.dbn.stochastic_units import sigmoid_belief, unit_posterior
from dbn_bptt.errors import DbnBpttError
from dbn_bptt.link import all_slices
from dbn_bptt.link.all_slices import newton_iterates
from dbn_bptt.ops.kernels import Array
from dbn_bptt.paths import Credit
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.template.builder import SliceTemplate

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1)), (0, (1, 1)))


def _axes(title: str, x: str, y: str, log: str = "") -> Any:
    """The axes of an empty figure."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DbnBpttError("figures need matplotlib; pip install matplotlib") from None
    axes = Figure(figsize=(6.4, 4.2), layout="constrained").subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    return axes


def _with_legend(axes: Any) -> Any:
    axes.legend(frameon=False)
    return axes.figure


def _line(axes: Any, k: int, x: Any, y: Any, label: str) -> None:
    axes.plot(x, y, color=COLORS[k], linestyle=DASHES[k], marker=MARKERS[k], markersize=5, label=label)


def _straight(axes: Any, x: Sequence[float], y: Any, power: int) -> None:
    """A line of some slope through the last point, on logarithmic axes."""
    drawn = np.array(x, float) ** power
    axes.plot(x, y[-1] * drawn / drawn[-1], color="0.5", linewidth=1, label=f"slope {power}")


def _small(seed: int, hidden: int = 1) -> tuple[SliceTemplate, dict[str, Array], dict[str, Array]]:
    """A small network with random parameters, over five slices."""
    rng = np.random.default_rng(seed)
    rnn = elman(2, hidden, 2)
    theta = {name: rng.normal(size=rnn.symbols[name].shape) for name in rnn.names("parameter")}
    return rnn, theta, {"x": rng.normal(size=(5, 2)), "y": rng.integers(0, 2, 5)}


def many_copies(seed: int = 0, copies: Sequence[int] = (5, 10, 20, 50, 100, 200)) -> Any:
    """The deltas of the network's own DBN against BPTT's, with a growing number n of copies a unit: slope -1.

    Examples
    --------
    >>> from dbn_bptt.link import figures
    >>> figures.many_copies(copies=(5, 10)).axes[0].get_title()
    'Prior minus posterior mean becomes the BPTT delta'
    """
    rnn, theta, data = _small(seed)
    delta = bptt(rnn, theta, data).messages.stack("a")
    errors = [np.abs(unit_posterior(sigmoid_belief(2, 1, 2, n), theta, data).delta - delta).max() for n in copies]
    title = "Prior minus posterior mean becomes the BPTT delta"
    axes = _axes(title, "copies n of each unit", "largest difference of the deltas", log="xy")
    _line(axes, 0, copies, errors, "network's own DBN")
    _straight(axes, copies, errors, -1)
    return _with_legend(axes)


def wrong_limit(gains: Sequence[float] = (0.5, 1, 2, 4, 8, 16)) -> Any:
    """The other way to make a stochastic unit deterministic, a growing gain: likelihoods agree, gradients do not."""
    rnn, noisy = elman(1, 1, 2), sigmoid_belief(1, 1, 2, copies=1)
    theta = {"W": [[1.0]], "U": [[1.0]], "b": [0.3], "V": [[0.5], [-0.5]], "c": [0.0, 0.2]}
    data = {"x": np.array([[0.4], [-0.9], [0.7]]), "y": np.array([0, 1, 0])}
    gaps, ratios = [], []
    for gain in gains:
        scaled = {**theta, **{name: gain * np.asarray(theta[name]) for name in ("W", "U", "b")}}
        limit, exact = bptt(rnn, scaled, data), bptt(noisy, scaled, data)
        gaps.append(abs(limit.loss - exact.loss))
        ratios.append(float(exact.gradients["W"][0, 0] / limit.gradients["W"][0, 0]))
    axes = _axes("The wrong limit: one copy, growing gain", "gain", "", log="x")
    _line(axes, 0, gains, gaps, "difference of the losses (goes to 0)")
    _line(axes, 1, gains, ratios, "dL/dW of the DBN / dL/dW of BPTT (does not go to 1)")
    axes.axhline(1, color="0.5", linewidth=1)
    return _with_legend(axes)


def value_and_tangent(seed: int = 0, t: int = 1) -> Any:
    """-log beta of the deterministic DBN as a curve over the state, with BPTT's message as its tangent."""
    rnn, theta, data = _small(seed)
    result, J = bptt(rnn, theta, data), value_function(rnn, theta, data, t)
    h, slope = result.values["h", t], result.messages.adjoint["h", t]
    states = np.linspace(-1, 1, 200)[:, None]
    axes = _axes("BPTT's message is the tangent of the cost-to-go", f"state h at slice {t}", "loss still to come")
    axes.plot(states[:, 0], J(states), color=COLORS[0], label=f"J_{t}(h) = -log beta_{t}(h)")
    near = h[0] + np.array([-0.6, 0.6])
    axes.plot(near, J(h) + slope[0] * (near - h[0]), color=COLORS[1], linestyle="--", label=f"slope dL/dh_{t}")
    axes.plot(h[0], J(h), "o", color=COLORS[1], label="forward value")
    return _with_legend(axes)


def credit_matrix(credit: Credit, parameter: str = "W") -> Any:
    """The norms of dL_s/dW^(t): who is to blame for which slice's loss."""
    norms = credit.norms(parameter)
    axes = _axes(f"|dL_s / d{parameter}^(t)|", "slice t of the copy", "slice s of the loss")
    shown = axes.imshow(np.ma.masked_equal(norms, 0), cmap="viridis")
    axes.grid(visible=False)
    axes.figure.colorbar(shown, ax=axes, shrink=0.8)
    return axes.figure


def gradient_by_lag(credit: Credit, parameter: str = "W") -> Any:
    """How much of a gradient comes from how long ago, and what truncation keeps of it."""
    by_lag = credit.by_lag(parameter)
    size = np.array([np.linalg.norm(part) for part in by_lag])
    kept = np.cumsum(by_lag, 0)
    off = [np.linalg.norm(part - kept[-1]) for part in kept]
    axes = _axes(f"The gradient of {parameter} by lag", "lag, in slices", "norm")
    _line(axes, 0, range(len(size)), size, "part of this lag")
    _line(axes, 1, range(len(size)), off, "error of truncation after this lag")
    return _with_legend(axes)


def adjoint_norms(radii: Sequence[float] = (0.7, 1.0, 1.4), slices: int = 40, seed: int = 0) -> Any:
    """The adjoints of the last slice's loss, backwards in time, for three spectral radii of W."""
    rng = np.random.default_rng(seed)
    rnn = elman(3, 20, 2, activation="identity", output="linear", loss_at="last")
    theta = rnn.initial_parameters(seed)
    data = {"x": rng.normal(size=(slices, 3)), "y": rng.normal(size=(slices, 2))}
    radius = np.abs(np.linalg.eigvals(theta["W"])).max()
    axes = _axes("Vanishing and exploding gradients", "slices before the loss", "|dL/dh_t|, relative", log="y")
    for k, wanted in enumerate(radii):
        messages = bptt(rnn, {**theta, "W": theta["W"] * wanted / radius}, data).messages
        norms = np.linalg.norm(messages.stack("h"), axis=1)[::-1]
        axes.plot(norms / norms[0], color=COLORS[k], linestyle=DASHES[k], label=f"spectral radius {wanted:g}")
    return _with_legend(axes)


def vanishing_noise(noise: Sequence[float] = (1.0, 0.1, 0.01, 1e-3, 1e-4), seed: int = 0) -> Any:
    """The smoother's adjoint against BPTT of the noiseless network, as the process noise goes to 0: slope 1."""
    rng = np.random.default_rng(seed)
    A, C, R, mean = 0.5 * rng.normal(size=(3, 3)), rng.normal(size=(2, 3)), np.eye(2), rng.normal(size=3)
    y = rng.normal(size=(6, 2))
    states = [mean]
    for _ in range(5):
        states.append(A @ states[-1])
    lam: Any = np.zeros(3)
    for t in range(5, -1, -1):
        lam = C.T @ np.linalg.solve(R, C @ states[t] - y[t]) + A.T @ lam
    gaps = []
    for q in noise:
        kalman = linear_gaussian(A, C, q * np.eye(3), R, mean, q * np.eye(3))
        messages = bptt(kalman, {}, kalman_data(kalman, {"y": y})).messages
        gaps.append(np.abs(messages.adjoint["m_pred", 0] - lam).max())
    title = "Without noise, smoothing is back-propagation"
    axes = _axes(title, "process noise q", "difference of the adjoints at slice 0", log="xy")
    _line(axes, 0, noise, gaps, "Bryson-Frazier against BPTT")
    _straight(axes, noise, gaps, 1)
    return _with_legend(axes)


def newton(seed: int = 0, T: int = 40, steps: int = 5) -> Any:
    """The iterates of Newton's method on all slices at once, over time, against the forward sweep.

    Examples
    --------
    >>> from dbn_bptt.link import figures
    >>> len(figures.newton(steps=3).axes[0].lines)
    5
    """
    rng = np.random.default_rng(seed)
    rnn = elman(1, 2, 2)
    theta = {name: rng.normal(size=rnn.symbols[name].shape) for name in rnn.names("parameter")}
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    theta |= {"W": 1.15 * turn, "U": np.ones((2, 1)), "b": np.zeros(2)}  # goes round, and forgets slowly
    x = 0.2 * rng.normal(size=(T, 1))
    axes = _axes("Newton's method solves all slices at once", "slice t", "first number of h_t")
    for k, h in enumerate(newton_iterates(theta, x, steps)):
        axes.plot(
            h[:, 0], color=COLORS[k % len(COLORS)], linestyle=DASHES[k % len(DASHES)], label=f"step {k}", alpha=0.9
        )
    exact = bptt(rnn, theta, {"x": x, "y": np.zeros(T, int)}).values.stack("h")[:, 0]
    axes.plot(exact, color="0.2", linewidth=4, alpha=0.25, label="forward sweep", zorder=0)
    axes.set_ylim(-1.5, 1.5)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return axes.figure


def scan_tree(T: int = 8) -> Any:
    """The associative scan of T slices as a network: in each round compositions that do not wait for each other.

    Examples
    --------
    >>> from dbn_bptt.link import figures
    >>> figures.scan_tree(8).axes[0].get_title()
    'A scan of 8 slices: 4 rounds instead of 7'
    """
    tree = all_slices.scan_tree(T)
    rounds = dict(tree.nodes(data="round"))
    axes = _axes(f"A scan of {T} slices: {max(rounds.values())} rounds instead of {T - 1}", "last slice", "round")
    for a, b in tree.edges:
        axes.plot([a[1], b[1]], [rounds[a], rounds[b]], color="0.6", linewidth=1, zorder=1)
    for first, last in tree:
        color = COLORS[0] if first else COLORS[1]
        label = f"{first}" if first == last else f"{first}..{last}"
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": color}
        axes.text(last, rounds[first, last], label, ha="center", va="center", fontsize=9, bbox=box, zorder=2)
    axes.set(
        xlim=(-0.6, T - 0.4),
        ylim=(-0.5, max(rounds.values()) + 0.5),
        xticks=range(T),
        yticks=sorted(set(rounds.values())),
    )
    axes.grid(visible=False)
    return axes.figure

"""Figures are drawn, and show what they say."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import paths
from dbn_bptt.link import figures

pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: figures)")


def _credit():
    rng = np.random.default_rng(0)
    rnn = db.cells.elman(2, 3, 2)
    return paths.credit(rnn, rnn.initial_parameters(0), {"x": rng.normal(size=(6, 2)), "y": rng.integers(0, 2, 6)})


FIGURES = {
    "many_copies": figures.many_copies,
    "wrong_limit": figures.wrong_limit,
    "value_and_tangent": figures.value_and_tangent,
    "credit_matrix": lambda: figures.credit_matrix(_credit()),
    "gradient_by_lag": lambda: figures.gradient_by_lag(_credit()),
    "adjoint_norms": figures.adjoint_norms,
    "vanishing_noise": figures.vanishing_noise,
    "newton": figures.newton,
    "scan_tree": figures.scan_tree,
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn(name, tmp_path):
    figure = FIGURES[name]()
    figure.savefig(tmp_path / "figure.png")
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    assert figure.axes[0].get_title()


def _slope(figure) -> float:
    x, y = figure.axes[0].lines[0].get_data()
    return float(np.polyfit(np.log(np.asarray(x, float)), np.log(y), 1)[0])


def test_the_error_of_n_copies_falls_as_one_over_n():
    assert _slope(figures.many_copies(copies=(50, 100, 200))) == pytest.approx(-1, abs=0.05)


def test_the_gap_of_smoothing_falls_with_the_noise():
    assert _slope(figures.vanishing_noise(noise=(1e-2, 1e-3, 1e-4))) == pytest.approx(1, abs=0.05)


def test_adjoints_vanish_and_explode():
    shrinking, _, growing = (line.get_ydata() for line in figures.adjoint_norms().axes[0].lines)
    assert shrinking[-1] < 1e-3 * shrinking[0]
    assert growing[-1] > 1e3 * growing[0]


def test_the_tangent_touches_the_curve():
    axes = figures.value_and_tangent().axes[0]
    curve, tangent = (np.array(line.get_data()) for line in axes.lines[:2])
    at = axes.lines[2].get_data()
    slope = (tangent[1, 1] - tangent[1, 0]) / (tangent[0, 1] - tangent[0, 0])
    nearby = np.abs(curve[0] - at[0]) < 0.05
    numeric = np.polyfit(curve[0, nearby], curve[1, nearby], 1)[0]
    assert slope == pytest.approx(numeric, rel=0.02)


def test_newtons_iterates_come_to_the_forward_sweep():
    *iterates, exact = (line.get_ydata() for line in figures.newton(steps=12).axes[0].lines)
    errors = [np.abs(h - exact).max() for h in iterates]
    assert errors[0] > 0.1
    assert errors[-1] < 1e-8


@pytest.mark.parametrize("T", [2, 8, 13, 64])
def test_the_tree_of_a_scan_is_as_deep_as_the_logarithm(T):
    axes = figures.scan_tree(T).axes[0]
    assert {text.get_text() for text in axes.texts} >= {f"0..{t}" for t in range(1, T)} | {"0"}
    assert max(text.get_position()[1] for text in axes.texts) <= 2 * np.log2(T)

"""Equations as they are printed."""

import re

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells
from dbn_bptt.template.equations import Writer
from tests.cases import CASES, Case


def test_the_adjoint_of_the_elman_network_is_section_1_of_the_theory():
    r"""lam_t = V' e_t + W' del_{t+1}; dc = sum e_t; dV = sum e_t h_t'; ...; dh_0 = W' del_1; dx_t = U' del_t."""
    lines = db.equations(db.adjoint(cells.elman(3, 4, 2))).splitlines()
    assert [line.rstrip(" \\").replace("&", "") for line in lines[1:-1]] == [
        r"\bar{o}_{t} = \hat{y}_{t} - y_{t}",
        r"\bar{h}_{t} = V^\top \bar{o}_{t} + W^\top \bar{a}_{t+1}",
        r"\bar{h}_{T-1} = V^\top \bar{o}_{T-1}",
        r"\bar{h}_{-1} = W^\top \bar{a}_{0}",
        r"\bar{a}_{t} = \bar{h}_{t} \odot (1 - h_{t}^{2})",
        r"\bar{x}_{t} = U^\top \bar{a}_{t}",
        r"\bar{W} = \sum_{t} \bar{a}_{t} h_{t-1}^\top",
        r"\bar{U} = \sum_{t} \bar{a}_{t} x_{t}^\top",
        r"\bar{b} = \sum_{t} \bar{a}_{t}",
        r"\bar{V} = \sum_{t} \bar{o}_{t} h_{t}^\top",
        r"\bar{c} = \sum_{t} \bar{o}_{t}",
    ]


TEXTS = [
    (lambda: cells.elman(3, 4, 2, activation="sigmoid"), "a_bar_t = h_bar_t * h_t * (1 - h_t)"),
    (lambda: cells.elman(3, 4, 2, activation="relu"), "a_bar_t = h_bar_t * [a_t > 0]"),
    (lambda: cells.elman(3, 4, 2, activation="identity"), "a_bar_t = h_bar_t"),
    (lambda: cells.elman(3, 4, 2, output="linear"), "o_bar_t = o_t - y_t"),
    (lambda: cells.elman(3, 4, 2, loss_at="last"), "o_bar_{T-1} = yhat_{T-1} - y_{T-1}"),
    (lambda: cells.elman(3, 4, 2, loss_at="last"), "o_bar_t = 0"),
    (lambda: cells.lstm(3, 4, 2), "delta_f_t = f_bar_t * f_t * (1 - f_t)"),
    (lambda: cells.lstm(3, 4, 2), "f_bar_t = s_bar_t * s_{t-1}"),
    (lambda: cells.lstm(3, 4, 2), "s_bar_t = h_bar_t * q_t * (1 - tanh(s_t)^2) + s_bar_{t+1} * f_{t+1}"),
    (lambda: cells.lstm(3, 4, 2), "W_f_bar = sum_t delta_f_t h_{t-1}'"),
    (lambda: cells.gru(3, 4, 2, reset="before"), "r_bar_t = W_n' delta_n_t * h_{t-1}"),
    (lambda: cells.jordan(3, 4, 2), "yhat_bar_{T-1} = 0"),
    (lambda: cells.bidirectional("elman", 3, 4, 2), "h_bw_bar_T = W_bw' a_bw_bar_{T-1}"),
]


@pytest.mark.parametrize(("make", "line"), TEXTS)
def test_lines_of_adjoints(make, line):
    assert line in db.equations(db.adjoint(make()), format="text").splitlines()


def _totals(name, total):
    """The lines of one total of a case's adjoint."""
    lines = db.equations(db.adjoint(next(c for c in CASES if c.name == name).make()), format="text").splitlines()
    return [line for line in lines if line.startswith(f"{total} = ")]


@pytest.mark.parametrize(
    ("name", "total", "line"),
    [
        ("several losses", "b_bar", "b_bar = sum_t sum(delta_h_t) + 2 b"),
        (
            "learned initial",
            "g0_bar",
            "g0_bar = sum_t scatter([1], delta_h_t) + scatter([0], g_bar_{-2}) + scatter([1], g_bar_{-1})",
        ),
        ("first slice", "W_bar", "W_bar = sum_{t=1..T-1} delta_h_t h_{t-1}'"),
        ("first slice", "p_bar", "p_bar = 2 delta_h_0 * p"),
        ("defaults", "unused_bar", "unused_bar = 0"),
    ],
)
def test_totals_have_every_term_over_its_own_slices(name, total, line):
    assert _totals(name, total) == [line]


def test_borders_of_equal_form_stand_together():
    lines = db.equations(db.adjoint(next(c for c in CASES if c.name == "lags").make()), format="text").splitlines()
    assert "h_bar_t = h_t - y_t + W' delta_h_{t+1}  for T-3 <= t <= T-2" in lines
    assert "h_bar_{T-1} = h_{T-1} - y_{T-1}" in lines
    assert "h_bar_t = V' delta_h_{t+3}  for -3 <= t <= -2" in lines


def _expression(build):
    t = db.SliceTemplate("written")
    names = {"W": t.parameter("W", (3, 3)), "s": t.parameter("s", ()), "x": t.input("x", 3), "v": t.input("v", 3)}
    return build(**names)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda W, s, x, v: (W @ x) @ v, "(W x_t)' v_t"),
        (lambda W, s, x, v: x / (2 * v), "x_t / (2 v_t)"),
        (lambda W, s, x, v: 2 * (0.5 * x), "x_t"),
        (lambda W, s, x, v: 0.5 * (3 * (s * x)), "1.5 s x_t"),
        (lambda W, s, x, v: x * 2.0, "2 x_t"),
        (lambda W, s, x, v: 0.1 * db.squared_error(x, v), "0.1 (1/2 |x_t - v_t|^2)"),
        (lambda W, s, x, v: x[2::-1], "x_t[::-1]"),
        (lambda W, s, x, v: x[:2], "x_t[:2]"),
        (lambda W, s, x, v: db.sum(W, axis=0), "sum(W, axis 0)"),
        (lambda W, s, x, v: db.sum(W, axis=1), "sum(W, axis 1)"),
        (lambda W, s, x, v: db.sum(W), "sum(W)"),
        (lambda W, s, x, v: W + x, "W + x_t"),
        (lambda W, s, x, v: W + db.reshape(x, (3, 1)), "W + reshape(x_t, 3 x 1)"),
        (lambda W, s, x, v: x * np.array([1.0, 2.0, 3.5]), "x_t * [1, 2, 3.5]"),
        (lambda W, s, x, v: x + 1234567.0, "x_t + 1234567"),
        (lambda W, s, x, v: x - (v - x), "x_t - (v_t - x_t)"),
        (lambda W, s, x, v: db.square(x) @ v, "(x_t^2)' v_t"),
    ],
)
def test_expressions_are_written_without_ambiguity(build, text):
    assert Writer("text").expression(_expression(build))[0] == text


@pytest.mark.parametrize("layers", [["elman", "elman"], ["lstm", "gru"], [cells.both_directions("gru")] * 2])
def test_latex_has_no_double_superscript(layers):
    text = db.equations(db.adjoint(cells.stacked(layers, 3, 4, 2)))
    assert not re.search(r"\^(\{[^{}]*\}|\\top)\s*\^", text)
    assert not re.search(r"\^\{\(\d\)\}(_\{[^{}]*\})?\^", text)


MODELS = [
    ("jordan", "a_t = b + W yhat_{t-1} + U x_t"),
    ("gru", "h_t = (1 - z_t) * n_t + z_t * h_{t-1}"),
    ("gru", "n_t = tanh(b_n + U_n x_t + r_t * (d_n + W_n h_{t-1}))"),
    ("elman, loss at the last slice", "L = -y_{T-1}' log(yhat_{T-1})"),
    ("bidirectional", "h_t = [h_fw_t; h_bw_t]"),
    ("first slice", "h_0 = sigmoid(p * p)"),
    ("first slice", "h_t = tanh(W h_{t-1} + U x_t)  for 1 <= t <= T-1"),
    ("learned initial", "h_{-1} = h0"),
    ("learned initial", "g_{-2} = g0[0]"),
    ("matrices", "S_t = C (A P_{t-1} A' + q q' + I) C' + 1"),
    ("backward chain", "g_t = tanh(G g_{t+1} + h_t)"),
    ("backward chain", "L = sum_t 1/2 |g_t - y_t|^2"),
    ("several losses", "end = logsumexp(h_{T-1})"),
    ("lags", "h_t = tanh(W h_{t-1} + V h_{t-3} + U x_t + U x_{t-2})"),
]


@pytest.mark.parametrize(("name", "line"), MODELS)
def test_lines_of_models(name, line):
    case = next(c for c in CASES if c.name == name)
    assert line in db.equations(case.make(), format="text").splitlines()


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_latex_is_balanced_and_whole(case: Case):
    for template in (case.make(), db.adjoint(case.make())):
        text = db.equations(template)
        assert text.startswith("\\begin{aligned}\n")
        assert text.count("{") == text.count("}")
        assert text.count("(") == text.count(")")
        assert not re.search(r"None|shape=|rank=|\.\.\.", text)


LATEX = [
    ("W_i2_bar", r"{\bar{W}^{(2)}_{i}}"),
    ("h_fw", r"\overrightarrow{h}"),
    ("alpha", r"\alpha"),
    ("yhat", r"\hat{y}"),
    ("rate", r"\mathrm{rate}"),
    ("h_bar_bar2", r"\tilde{\bar{h}}"),
    ("delta_h", r"\delta_{h}"),
]


@pytest.mark.parametrize(("name", "latex"), LATEX)
def test_names_in_latex(name, latex):
    assert Writer("latex").name(name) == latex


def test_a_window_that_the_first_slice_does_not_see_is_left_out():
    t = db.SliceTemplate("nothing before")
    w, x = t.parameter("w", ()), t.input("x", ())
    t.loss("L", (w * x).prev + w, at="first")
    assert db.equations(t, format="text") == "L = w"
    assert db.equations(db.adjoint(t), format="text") == "x_bar_t = 0\nw_bar = 1"

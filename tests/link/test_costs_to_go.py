"""THEORY.md, sections 1, 3 and 4: matrix form, the costate, the deterministic DBN on a grid, belief propagation."""

import numpy as np
import pytest
from scipy.special import softmax

import dbn_bptt as db
from dbn_bptt import dbn
from tests.helpers import assert_close, directional_difference
from tests.paths.networks import elman


def test_the_gradients_in_matrix_form():
    rnn, theta, data = elman(T=5)
    W, U, V = theta["W"], theta["U"], theta["V"]
    result = db.bptt(rnn, theta, data)
    h, e = result.values.stack("h"), softmax(result.values.stack("o"), 1) - np.eye(2)[data["y"]]
    T = len(h)
    before = np.concatenate([np.zeros((1, 3)), h[:-1]])
    lam, delta = np.zeros((T, 3)), np.zeros((T + 1, 3))
    for t in range(T - 1, -1, -1):
        lam[t] = V.T @ e[t] + W.T @ delta[t + 1]
        delta[t] = (1 - h[t] ** 2) * lam[t]
    expected = {
        "c": e.sum(0), "V": e.T @ h, "b": delta.sum(0), "W": delta[:-1].T @ before, "U": delta[:-1].T @ data["x"],
    }  # fmt: skip
    for name, gradient in expected.items():
        assert_close(result.gradients[name], gradient, 1e-13, name)
    assert_close(result.messages.initial_gradients["h"], W.T @ delta[0], 1e-13)
    assert_close(result.messages.input_gradients["x"], delta[:-1] @ U, 1e-13)
    assert_close(result.messages.stack("h"), lam, 1e-13)


def test_messages_are_the_gradient_of_the_value_function():
    rnn, theta, data = elman(T=5)
    result = db.bptt(rnn, theta, data)
    for t in range(5):
        J = dbn.value_function(rnn, theta, data, t)
        h = result.values["h", t]
        assert_close(J.gradient(h), result.messages.adjoint["h", t], 1e-12)
        assert J(h) == pytest.approx(sum(float(result.values["L", s]) for s in range(t, 5)))
        numeric = [directional_difference(lambda at, J=J: float(J(at)), h, direction) for direction in np.eye(3)]
        assert_close(J.gradient(h), numeric, 1e-8)
        numeric = [directional_difference(lambda at, J=J: J.gradient(at), h, direction) for direction in np.eye(3)]
        assert_close(J.hessian(h), numeric, 1e-7)


def test_the_second_order_costate():
    """P_t = Hess l_t + F' P_{t+1} F + W' diag(lam_{t+1} f'') W."""
    rnn, theta, data = elman(T=5)
    result = db.bptt(rnn, theta, data)
    W, V = theta["W"], theta["V"]
    P = np.zeros((3, 3))
    for t in range(4, -1, -1):
        p = softmax(result.values["o", t])
        own = V.T @ (np.diag(p) - np.outer(p, p)) @ V
        if t < 4:
            after, lam = result.values["h", t + 1], result.messages.adjoint["h", t + 1]
            F = (1 - after**2)[:, None] * W
            P = F.T @ P @ F + W.T @ np.diag(lam * -2 * after * (1 - after**2)) @ W
        P = own + P
        assert_close(dbn.value_function(rnn, theta, data, t).hessian(result.values["h", t]), P, 1e-11)


def test_the_value_function_refuses_what_has_no_single_state():
    lstm = db.cells.lstm(2, 3, 2)
    data = {"x": np.ones((3, 2)), "y": [0, 1, 0]}
    with pytest.raises(db.TemplateError, match="the interface is s, h"):
        dbn.value_function(lstm, lstm.initial_parameters(0), data, 1)
    rnn, theta, data = elman(T=5)
    with pytest.raises(db.DataError, match="t is 5; T is 5"):
        dbn.value_function(rnn, theta, data, 5)
    with pytest.raises(db.DataError, match="the last axis must have size 3"):
        dbn.value_function(rnn, theta, data, 1)(np.zeros(4))


def test_value_functions_of_later_slices_know_no_first_slice():
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(4, 2)), "y": rng.integers(0, 2, 4)}
    first = db.cells.elman(2, 3, 2, loss_at="first")
    theta = first.initial_parameters(0)
    assert dbn.value_function(first, theta, data, 2)(np.ones(3)) == 0
    t = db.SliceTemplate("first")
    W, x, h, o = t.parameter("W", (3, 3)), t.input("x", 3), t.variable("h", 3), t.variable("o", 3)
    t.define(h, db.tanh(W @ h.prev + x), first=db.tanh(x))
    t.define(o, h * h, first=h)
    t.loss("L", db.sum(o))
    given = {"W": rng.normal(size=(3, 3))}
    result = db.bptt(t, given, {"x": rng.normal(size=(4, 3))})
    for s in range(4):
        J = dbn.value_function(t, given, {"x": result.values.stack("x")}, s)
        assert_close(J.gradient(result.values["h", s]), result.messages.adjoint["h", s], 1e-12)


@pytest.mark.parametrize("spoil", ["lagged input", "second reader", "lag 2", "ahead"])
def test_value_functions_refuse_what_knows_more_than_the_state(spoil):
    t = db.SliceTemplate(spoil)
    x, h = t.input("x", 2), t.variable("h", 2)
    t.define(h, db.tanh(x + (h.next if spoil == "ahead" else h.lag(2) if spoil == "lag 2" else h.prev)))
    t.loss("L", db.sum(h * {"lagged input": x.prev, "second reader": h.prev}.get(spoil, h)))
    with pytest.raises(db.TemplateError, match=r"knows the state h alone|reads h of the slice before"):
        dbn.value_function(t, {}, {"x": np.ones((3, 2))}, 1)


def test_a_grid_must_keep_the_mean():
    """log beta of interpolating CPDs has BPTT's message as its slope; that of rounding CPDs does not."""
    rnn, theta, data = elman(1, T=4, n=1, H=1, K=2)
    result = db.bptt(rnn, theta, data)
    grid = np.linspace(-1, 1, 2001)
    step = grid[1] - grid[0]

    def slope(interpolating: bool) -> list[float]:
        beta = np.ones(len(grid))
        found = []
        for t in range(3, -1, -1):
            if t < 3:
                after = np.tanh(theta["b"] + theta["W"][0] * grid[:, None] + theta["U"] @ data["x"][t + 1])[:, 0]
                at = (after + 1) / step
                low = np.clip(np.floor(at).astype(int), 0, len(grid) - 2)
                share = at - low if interpolating else np.round(at - low)
                beta = (1 - share) * beta[low] + share * beta[low + 1]
            p = softmax(theta["c"] + grid[:, None] * theta["V"][:, 0], 1)[:, data["y"][t]]
            beta = p * beta
            h = float(result.values["h", t][0])
            k = int((h + 1) / step)
            found.append(-(np.log(beta[k + 1]) - np.log(beta[k])) / step)
        return found[::-1]

    messages = [float(result.messages.adjoint["h", t][0]) for t in range(4)]
    assert np.abs(np.subtract(slope(True), messages)).max() < 5e-3
    assert np.abs(np.subtract(slope(False), messages)).max() > 5e-2


def test_belief_propagation_generalises_back_propagation():
    """Messages on the graph of numbers with deltas at the forward values, loopy as it is (arXiv 2210.00610).

    The message from a number's child is the logarithm of its belief in the child, as a function of that number with the
    child's other parents held at their forward values. The slope of their sum there is minus the adjoint; the sum is not
    minus the cost-to-go elsewhere, for several paths to one node are counted as if they were independent.
    """
    rnn, theta, data = elman(0, T=3, n=2, H=2, K=2)
    result = db.bptt(rnn, theta, data)
    h = np.concatenate([np.zeros((1, 2)), result.values.stack("h")])

    def message(t: int, i: int, value: float) -> float:
        """What the children of h_{t,i} say about its having some value; t = 0 is the initial state."""
        state = h[t].copy()
        state[i] = value
        said = 0.0
        if t:
            scores = theta["c"] + theta["V"] @ state
            said += scores[data["y"][t - 1]] - np.log(np.exp(scores).sum())
        if t < 3:
            after = np.tanh(theta["b"] + theta["W"] @ state + theta["U"] @ data["x"][t])
            said += sum(message(t + 1, j, after[j]) for j in range(2))
        return float(said)

    for t in range(4):
        adjoint = result.messages.adjoint["h", t - 1]
        for i in range(2):
            slope = directional_difference(lambda v, t=t, i=i: message(t, i, v), h[t, i], 1.0, step=1e-3)
            assert slope == pytest.approx(-adjoint[i], abs=1e-9)
    moved = h[1] + [0.5, 0.0]
    J = dbn.value_function(rnn, theta, data, 0)
    exact, believed = J(h[1]) - J(moved), message(1, 0, moved[0]) - message(1, 0, h[1, 0])
    assert abs(exact - believed) > 1e-4

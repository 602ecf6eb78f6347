"""THEORY.md, section 7: the network's own DBN, of stochastic units."""

import itertools

import numpy as np
import pytest
from pgmpy.inference import VariableElimination
from scipy.special import softmax

import dbn_bptt as db
from dbn_bptt import dbn
from tests.helpers import assert_close
from tests.paths.networks import elman


def _noisy(copies: int, activation: str = "tanh", seed: int = 0, T: int = 3):
    _, theta, data = elman(seed, T=T, n=2, H=2, K=3, activation=activation)
    return dbn.sigmoid_belief(2, 2, 3, copies, activation), theta, data


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_sigmoid_belief_networks_equal_variable_elimination(copies: int, activation: str):
    noisy, theta, data = _noisy(copies, activation)
    h0 = np.array([0.3, -0.2])
    found = dbn.unit_posterior(noisy, theta, data, initial={"h": h0})
    engine = VariableElimination(dbn.sigmoid_belief_as_pgmpy(noisy, theta, data["x"], h0))
    seen = {f"y_{t}": int(data["y"][t]) for t in range(3)}
    levels = np.arange(copies + 1) / copies
    levels = 2 * levels - 1 if activation == "tanh" else levels
    for t in range(3):
        for i in range(2):
            p = engine.query([f"h{i}_{t}"], evidence=seen, show_progress=False).values
            assert found.means[t, i] == pytest.approx(p @ levels, abs=1e-12)


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_delta_is_prior_minus_posterior_mean(copies: int):
    """del_t = n (E f(a_t) - E h_t) given y, and the gradients are its outer products averaged over the posterior."""
    noisy, theta, data = _noisy(copies)
    result = db.bptt(noisy, theta, data)
    found = dbn.unit_posterior(noisy, theta, data)
    assert db.compare(noisy, theta, data).ok
    states = -result.messages.stack("log_evidence")  # posterior of the states, (T, S)
    means = noisy.arrays["means"]
    prior = np.tanh(theta["b"] + theta["U"] @ data["x"][0])
    assert_close(found.delta[0], copies * (prior - found.means[0]), 1e-12)
    for t in (1, 2):
        prior = states[t - 1] @ np.tanh(theta["b"] + means @ theta["W"].T + theta["U"] @ data["x"][t])
        assert_close(found.delta[t], copies * (prior - found.means[t]), 1e-12)
    assert_close(found.gradients["b"], found.delta.sum(0), 1e-12)
    assert_close(found.gradients["U"], found.delta.T @ data["x"], 1e-12)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_with_many_copies_the_dbn_is_the_recurrent_network(activation: str):
    """Everything converges as 1/n: the error times n is flat."""
    rnn, theta, data = elman(0, T=4, n=2, H=1, K=2, activation=activation)
    limit = db.bptt(rnn, theta, data)
    errors = []
    for copies in (100, 200, 400):
        found = dbn.unit_posterior(dbn.sigmoid_belief(2, 1, 2, copies, activation), theta, data)
        rows = [np.abs(found.gradients[name] - gradient).max() for name, gradient in limit.gradients.items()]
        rows.append(np.abs(found.delta - limit.messages.stack("a")).max())
        rows.append(abs(found.log_likelihood + limit.loss))
        errors.append(np.array(rows) * copies)
    np.testing.assert_allclose(errors[0], errors[2], rtol=0.15)
    np.testing.assert_allclose(errors[1], errors[2], rtol=0.08)


def test_the_first_correction_of_the_likelihood():
    """log p_n = -L + (1/2n) sum_t tr[diag(f'(a_t)) (lam_t lam_t' - P_t)] + O(1/n^2)."""
    rnn, theta, data = elman(2, T=3, n=2, H=1, K=2)
    result = db.bptt(rnn, theta, data)
    correction = 0.0
    for t in range(3):
        h, lam = result.values["h", t], result.messages.adjoint["h", t]
        P = dbn.value_function(rnn, theta, data, t).hessian(h)
        correction += np.sum((1 - h**2) * (lam**2 - np.diag(P))) / 2
    rest = []
    for copies in (100, 200, 400):
        exact = dbn.unit_posterior(dbn.sigmoid_belief(2, 1, 2, copies), theta, data).log_likelihood
        rest.append((exact + result.loss - correction / copies) * copies**2)
    np.testing.assert_allclose(rest[0], rest[2], rtol=0.1)


def test_the_wrong_limit():
    """With growing gain the likelihoods agree, but not the gradients: a difference takes the place of the derivative."""
    rnn = db.cells.elman(1, 1, 2)
    noisy = dbn.sigmoid_belief(1, 1, 2, copies=1)
    theta = {"W": [[1.0]], "U": [[1.0]], "b": [0.3], "V": [[0.5], [-0.5]], "c": [0.0, 0.2]}
    data = {"x": np.array([[0.4], [-0.9], [0.7]]), "y": np.array([0, 1, 0])}
    ratios, gaps = [], []
    for gain in (2.0, 8.0, 20.0):
        scaled = {**theta, **{name: gain * np.asarray(theta[name]) for name in ("W", "U", "b")}}
        limit, exact = db.bptt(rnn, scaled, data), db.bptt(noisy, scaled, data)
        gaps.append(abs(limit.loss - exact.loss))
        ratios.append(float(exact.gradients["W"][0, 0] / limit.gradients["W"][0, 0]))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3
    assert abs(ratios[2] - 1) > 0.2


def test_too_many_states_are_refused():
    with pytest.raises(db.DataError, match="100 copies of 3 units are 1030301 states"):
        dbn.sigmoid_belief(2, 3, 2, copies=100)


@pytest.mark.parametrize("copies", [1, 2])
def test_fishers_identity_is_an_outer_product_averaged_over_the_posterior(copies: int):
    """-d log p / dW = sum_t E[del_t(h_{t-1}) h_{t-1}' | y], by enumeration of all paths of states."""
    noisy, theta, data = _noisy(copies)
    means, counts = noisy.arrays["means"], noisy.arrays["counts"]
    ways = np.exp(noisy.arrays["log_ways"])
    total, expected = 0.0, np.zeros((2, 2))
    for path in itertools.product(range(len(means)), repeat=3):
        before, weight, outer = np.zeros(2), 1.0, np.zeros((2, 2))
        for t, k in enumerate(path):
            a = theta["b"] + theta["W"] @ before + theta["U"] @ data["x"][t]
            p = 1 / (1 + np.exp(-2 * a))
            weight *= ways[k] * np.prod(p ** counts[k] * (1 - p) ** (copies - counts[k]))
            weight *= softmax(theta["c"] + theta["V"] @ means[k])[data["y"][t]]
            outer += np.outer(copies * (np.tanh(a) - means[k]), before)
            before = means[k]
        total += weight
        expected += weight * outer
    assert_close(dbn.unit_posterior(noisy, theta, data).gradients["W"], expected / total, 1e-12)

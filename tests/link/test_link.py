"""THEORY.md, sections 1, 3, 4, 6 and 7: the costate, the deterministic DBN, the Kalman smoother, the network's own DBN."""

import importlib
import itertools
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from pgmpy.inference import VariableElimination
from scipy.special import softmax

import dbn_bptt as db
from dbn_bptt import dbn, link, paths
from dbn_bptt.link import checks
from tests.helpers import assert_close, directional_difference

correspondences = importlib.import_module("dbn_bptt.link.table")


def _elman(seed: int = 0, T: int = 5, n: int = 2, H: int = 3, K: int = 2, activation: str = "tanh"):
    rng = np.random.default_rng(seed)
    rnn = db.cells.elman(n, H, K, activation=activation)
    theta = {name: rng.normal(size=a.shape) for name, a in rnn.initial_parameters(0).items()}
    return rnn, theta, {"x": rng.normal(size=(T, n)), "y": rng.integers(0, K, T)}


# ------------------------------------------------------------------------------------------- section 1: matrix form
def test_the_gradients_in_matrix_form():
    rnn, theta, data = _elman()
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


# ------------------------------------------------------------------------------------------------ section 3: costate
def test_messages_are_the_gradient_of_the_value_function():
    rnn, theta, data = _elman()
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


def test_the_value_function_obeys_bellmans_equation():
    rnn, theta, data = _elman()
    states = np.random.default_rng(1).uniform(-1, 1, (4, 6, 3))
    last = dbn.value_function(rnn, theta, data, 4)
    for t in range(3, -1, -1):
        J = dbn.value_function(rnn, theta, data, t)
        scores = theta["c"] + states @ theta["V"].T
        own = np.log(np.exp(scores).sum(-1)) - scores[..., data["y"][t]]
        after = np.tanh(theta["b"] + states @ theta["W"].T + theta["U"] @ data["x"][t + 1])
        assert_close(J(states), own + last(after), 1e-12)
        last = J


def test_the_second_order_costate():
    """P_t = Hess l_t + F' P_{t+1} F + W' diag(lam_{t+1} f'') W."""
    rnn, theta, data = _elman()
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
    rnn, theta, data = _elman()
    with pytest.raises(db.DataError, match="t is 5; T is 5"):
        dbn.value_function(rnn, theta, data, 5)
    with pytest.raises(db.DataError, match="the last axis must have size 3"):
        dbn.value_function(rnn, theta, data, 1)(np.zeros(4))


# --------------------------------------------------------------------- section 4: the deterministic DBN on a grid
def test_a_grid_must_keep_the_mean():
    """log beta of interpolating CPDs has BPTT's message as its slope; that of rounding CPDs does not."""
    rnn, theta, data = _elman(1, T=4, n=1, H=1, K=2)
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


# ------------------------------------------------------------------------------------ section 6: the Kalman smoother
def _gaussian(seed: int = 0, d: int = 3, k: int = 2):
    rng = np.random.default_rng(seed)

    def spd(n: int) -> Any:
        a = rng.normal(size=(n, n))
        return a @ a.T + 0.3 * np.eye(n)

    return {
        "A": 0.5 * rng.normal(size=(d, d)), "C": rng.normal(size=(k, d)), "Q": spd(d), "R": spd(k),
        "mean": rng.normal(size=d), "covariance": spd(d),
    }  # fmt: skip


def joint_gaussian(model: dict[str, Any], y: Any, shift: Any) -> tuple[Any, Any, float]:
    """Posterior and log-likelihood from the joint normal distribution of all states and observations."""
    A, C, Q, R = (model[name] for name in "ACQR")
    T, d = len(y), len(A)
    mean, cov = np.zeros((T, d)), np.zeros((T * d, T * d))
    mean[0], block = model["mean"], model["covariance"]
    cov[:d, :d] = block
    for t in range(1, T):
        mean[t] = A @ mean[t - 1] + shift[t]
        rows, last = slice(t * d, (t + 1) * d), slice((t - 1) * d, t * d)
        cov[rows, : t * d] = A @ cov[last, : t * d]
        cov[: t * d, rows] = cov[rows, : t * d].T
        cov[rows, rows] = A @ cov[last, last] @ A.T + Q
    big = np.kron(np.eye(T), C)
    seen = ~np.isnan(y).ravel()
    G = (big @ cov @ big.T + np.kron(np.eye(T), R))[np.ix_(seen, seen)]
    cross = (cov @ big.T)[:, seen]
    innovation = (y.ravel() - big @ mean.ravel())[seen]
    gain = cross @ np.linalg.inv(G)
    smoothed = mean.ravel() + gain @ innovation
    covariance = cov - gain @ cross.T
    log_p = -0.5 * (innovation @ np.linalg.solve(G, innovation) + np.linalg.slogdet(2 * np.pi * G)[1])
    blocks = np.stack([covariance[t * d : (t + 1) * d, t * d : (t + 1) * d] for t in range(T)])
    return smoothed.reshape(T, d), blocks, float(log_p)


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("inputs", [False, True])
def test_smoothing_is_bptt_through_the_kalman_filter(missing: float, inputs: bool):
    model, rng = _gaussian(), np.random.default_rng(1)
    y = rng.normal(size=(6, 2))
    y[rng.random(y.shape) < missing] = np.nan
    B, u = rng.normal(size=(3, 2)), rng.normal(size=(6, 2))
    kalman = dbn.linear_gaussian(**model, B=B if inputs else None)
    found = dbn.smooth(kalman, {"y": y, "u": u} if inputs else {"y": y})
    mean, covariance, log_p = joint_gaussian(model, y, u @ B.T if inputs else np.zeros((6, 3)))
    assert_close(found.mean, mean, 1e-11)
    assert_close(found.covariance, covariance, 1e-11)
    assert found.log_likelihood == pytest.approx(log_p)
    assert found.to_frame().shape == (6, 6)


def test_the_bryson_frazier_recursion_is_the_reverse_sweep():
    model, y = _gaussian(), np.random.default_rng(1).normal(size=(6, 2))
    A, C, R = model["A"], model["C"], model["R"]
    kalman = dbn.linear_gaussian(**model)
    result = db.bptt(kalman, {}, dbn.kalman_data(kalman, {"y": y}))
    smoothed = dbn.smooth(kalman, {"y": y}).mean
    lam = np.zeros(3)
    for t in range(5, -1, -1):
        S, K, v = (result.values[name, t] for name in ("S", "K", "v"))
        lam = -C.T @ np.linalg.solve(S, v) + (np.eye(3) - K @ C).T @ A.T @ lam
        assert_close(result.messages.adjoint["m_pred", t], lam, 1e-11)
    later = np.zeros(3)
    for t in range(5, -1, -1):
        later = C.T @ np.linalg.solve(R, C @ smoothed[t] - y[t]) + A.T @ later
        assert_close(result.messages.adjoint["m_pred", t], later, 1e-11)


def test_batches_and_gradients_of_the_kalman_filter():
    model, y = _gaussian(), np.random.default_rng(1).normal(size=(4, 6, 2))
    kalman = dbn.linear_gaussian(**model)
    whole = dbn.smooth(kalman, {"y": y})
    for k in range(4):
        assert_close(whole.mean[k], dbn.smooth(kalman, {"y": y[k]}).mean, 1e-12)
    assert db.compare(kalman, model, dbn.kalman_data(kalman, {"y": y})).ok


def test_as_noise_vanishes_smoothing_becomes_bptt():
    """Process noise q leaves a gap O(q) between the smoother's adjoint and BPTT of the noiseless network."""
    model, y = _gaussian(), np.random.default_rng(1).normal(size=(6, 2))
    A, C, R, m0 = model["A"], model["C"], model["R"], model["mean"]
    z = [m0]
    for _ in range(5):
        z.append(A @ z[-1])
    lam = np.zeros(3)
    messages = []
    for t in range(5, -1, -1):  # BPTT of the loss 1/2 (y - C z)' R^-1 (y - C z) of the deterministic network
        lam = C.T @ np.linalg.solve(R, C @ z[t] - y[t]) + A.T @ lam
        messages.append(lam)
    gaps = []
    for q in (1e-2, 1e-3, 1e-4):
        kalman = dbn.linear_gaussian(**{**model, "Q": q * np.eye(3), "covariance": q * np.eye(3)})
        result = db.bptt(kalman, {}, dbn.kalman_data(kalman, {"y": y}))
        gaps.append(np.abs(result.messages.adjoint["m_pred", 0] - messages[-1]).max())
    assert 8 < gaps[0] / gaps[1] < 12
    assert 9 < gaps[1] / gaps[2] < 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Q": np.eye(2)}, r"Q has shape \(2, 2\); it must be \(3, 3\)"),
        ({"R": -np.eye(2)}, "R is no covariance"),
        ({"B": np.ones(3)}, "B has shape"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(change, message):
    with pytest.raises(db.DataError, match=message):
        dbn.linear_gaussian(**{**_gaussian(), **change})


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"z": [1.0]}, "unknown input 'z'"),
        ({}, "no observations 'y'"),
        ([1.0], "must be a dict"),
        ({"y": np.ones((3, 5))}, "y has shape"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(evidence, message):
    with pytest.raises(db.DbnBpttError, match=message):
        dbn.smooth(dbn.linear_gaussian(**_gaussian()), evidence)


# ---------------------------------------------------------------------------------- section 7: the network's own DBN
def _noisy(copies: int, activation: str = "tanh", seed: int = 0, T: int = 3):
    _, theta, data = _elman(seed, T=T, n=2, H=2, K=3, activation=activation)
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
    rnn, theta, data = _elman(0, T=4, n=2, H=1, K=2, activation=activation)
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
    rnn, theta, data = _elman(2, T=3, n=2, H=1, K=2)
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


# --------------------------------------------------------------------------------------------- the table of all of it
@pytest.mark.parametrize("cell", ["elman", "jordan", "lstm", "gru"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_correspondences_hold(cell: str, seed: int):
    table = link.correspondences(cell, seed)
    assert table.ok, str(table)
    assert len(table.rows) >= 19


def test_a_correspondence_can_fail(monkeypatch):
    """The table is computed: spoil one side of a row, and it says so."""
    spoilt = [
        replace(c, check=lambda s: 1e-3) if c.inference == "backward algorithm" else c for c in correspondences.CLAIMS
    ]
    monkeypatch.setattr(correspondences, "CLAIMS", spoilt)
    table = link.correspondences()
    assert [row.inference for row in table.rows if not row.ok] == ["backward algorithm"]
    assert "1e-03 FAILS" in str(table)
    assert str(table).endswith("A CORRESPONDENCE FAILS")


def test_the_checks_see_a_wrong_recursion(monkeypatch):
    monkeypatch.setattr(checks, "_textbook", lambda pi, A, B, y: (np.full((4, 3), 0.3), np.ones((4, 3))))
    failing = {row.inference for row in link.correspondences().rows if not row.ok}
    assert failing == {"forward algorithm", "backward algorithm", "filtering"}


def test_an_unknown_cell_is_refused():
    with pytest.raises(db.UnknownNameError, match="unknown cell 'lstn'; did you mean 'lstm'"):
        link.correspondences("lstn")


def test_the_smoother_equals_pgmpys_linear_gaussian_network():
    """The unrolled network in pgmpy, whose joint distribution is rounded to 8 decimals."""
    from pgmpy.factors.continuous import LinearGaussianCPD
    from pgmpy.models import LinearGaussianBayesianNetwork

    a, c, q, r, mean, variance, y = 0.8, 1.3, 0.5, 0.7, 0.4, 1.2, np.array([1.0, -0.3, np.nan, 0.8])
    network = LinearGaussianBayesianNetwork()
    for t in range(4):
        if t:
            network.add_edge(f"z{t - 1}", f"z{t}")
        network.add_edge(f"z{t}", f"y{t}")
    for t in range(4):
        state = (
            LinearGaussianCPD(f"z{t}", [0, a], np.sqrt(q), [f"z{t - 1}"])
            if t
            else LinearGaussianCPD("z0", [mean], np.sqrt(variance))
        )
        network.add_cpds(state, LinearGaussianCPD(f"y{t}", [0, c], np.sqrt(r), [f"z{t}"]))
    centre, covariance = network.to_joint_gaussian()
    order = list(nx.topological_sort(network))
    seen, hidden = [order.index(f"y{t}") for t in (0, 1, 3)], [order.index(f"z{t}") for t in range(4)]
    gain = covariance[np.ix_(hidden, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    expected = np.asarray(centre)[hidden] + gain @ (y[[0, 1, 3]] - np.asarray(centre)[seen])
    found = dbn.smooth(dbn.linear_gaussian([[a]], [[c]], [[q]], [[r]], [mean], [[variance]]), {"y": y})
    np.testing.assert_allclose(found.mean[:, 0], expected, atol=1e-6)


# ------------------------------------------------------------------ section 5: temperature and entropy of the posterior
def test_at_temperature_zero_inference_is_the_most_probable_path():
    model = dbn.umbrella()
    umbrella = [1, 1, 0, 1, 1, 0, 0]
    template = dbn.template(model)
    path = dbn.viterbi(model, {"Umbrella": umbrella})["Rain"]
    distances = []
    for power in (1, 4, 16, 64):
        cold = {name: template.arrays[name] ** power for name in template.names("parameter")}
        result = db.bptt(template, cold, {"e_Umbrella": np.eye(2)[umbrella]})
        distances.append(np.abs(-result.messages.stack("e_Rain") - np.eye(2)[path]).max())
    assert distances[0] > distances[1] > distances[2] > distances[3]
    assert distances[-1] < 1e-6


def test_the_entropy_of_the_posterior():
    """By the expectation semiring on the trellis, by expected counts, and by enumeration of all paths."""
    model, umbrella = dbn.umbrella(), [1, 0, 1, 1]
    cpds = {tuple(c.variables[0]): c.values for c in model.cpds}
    pi, A, B = cpds["Rain", 0], cpds["Rain", 1], cpds["Umbrella", 0]
    trellis = nx.DiGraph()
    for z in range(2):
        trellis.add_edge("start", (0, z), weight=pi[z] * B[umbrella[0], z])
        trellis.add_edge((3, z), "end", weight=1.0)
        for t in range(1, 4):
            trellis.add_edges_from(
                [((t - 1, before), (t, z), {"weight": A[z, before] * B[umbrella[t], z]}) for before in range(2)]
            )
    by_semiring = paths.path_entropy(paths.sweep(trellis, "end", paths.ENTROPY)["start"])
    weights = np.array([
        pi[z[0]] * np.prod([A[z[t], z[t - 1]] for t in range(1, 4)]) * np.prod(B[umbrella, list(z)])
        for z in itertools.product(range(2), repeat=4)
    ])  # fmt: skip
    shares = weights / weights.sum()
    assert by_semiring == pytest.approx(-(shares * np.log(shares)).sum())
    counts = dbn.expected_counts(model, {"Umbrella": umbrella})
    log_joint = sum((counts[key] * np.log(cpds[key])).sum() for key in [("Rain", 0), ("Rain", 1), ("Umbrella", 0)])
    assert by_semiring == pytest.approx(dbn.log_likelihood(model, {"Umbrella": umbrella}) - log_joint)


# ------------------------------------------------------------------------- section 7.2 and the correction of section 8
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


def test_the_correction_of_random_truncation_makes_it_unbiased():
    """Each lag survives with (1 - c)^k; weighted by its inverse, the mean is the whole gradient (ARTBP)."""
    rnn, theta, data = _elman(0, T=4)
    items, c = paths.credit(rnn, theta, data)["W"], 0.4
    mean, plain = np.zeros((3, 3)), np.zeros((3, 3))
    for cuts in itertools.product([False, True], repeat=3):
        chance = np.prod([c if cut else 1 - c for cut in cuts])
        piece = np.r_[0, np.cumsum(cuts)]
        for s in range(4):
            for t in range(s + 1):
                if piece[s] == piece[t]:
                    mean += chance * items[s, t] / (1 - c) ** (s - t)
                    plain += chance * items[s, t]
    gradient = db.bptt(rnn, theta, data).gradients["W"]
    assert_close(mean, gradient, 1e-12)
    assert np.abs(plain - gradient).max() > 1e-2


# ------------------------------------------------------------------------------------------- what a review found
def test_the_kalman_filter_of_an_unstable_system_stays_symmetric():
    A, C = np.array([[1.3, 0.1], [0, 1.2]]), np.array([[1.0, 0]])
    y = np.random.default_rng(0).normal(size=(300, 1))
    kalman = dbn.linear_gaussian(A, C, np.eye(2), np.eye(1), np.zeros(2), np.eye(2))
    found = dbn.smooth(kalman, {"y": y})
    assert found.log_likelihood == pytest.approx(-596.92, abs=0.01)
    assert np.diagonal(found.covariance, axis1=1, axis2=2).min() > 0
    assert np.abs(found.mean).max() < 100


def test_a_diffuse_prior_is_refused_rather_than_wrong():
    A, C = np.array([[1.0, 1], [0, 1]]), np.array([[1.0, 0]])
    wide = dbn.linear_gaussian(A, C, np.eye(2), np.eye(1), np.zeros(2), 1e10 * np.eye(2))
    with pytest.raises(db.DataError, match="lost in rounding; give a smaller initial covariance"):
        dbn.smooth(wide, {"y": [1.0, 2, 3, 1]})
    flat = dbn.linear_gaussian([[1.0]], [[1.0]], [[0.0]], [[0.0]], [0.0], [[1.0]])
    with pytest.raises(db.DataError, match="singular"):
        dbn.smooth(flat, {"y": [1.0, 2.0]})


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


@pytest.mark.parametrize("seed", [10, 25, 40])
def test_correspondences_hold_where_a_review_saw_them_fail(seed):
    assert link.correspondences(seed=seed).ok


def test_belief_propagation_generalises_back_propagation():
    """Messages on the graph of numbers with deltas at the forward values, loopy as it is (arXiv 2210.00610).

    The message from a number's child is the logarithm of its belief in the child, as a function of that number with the
    child's other parents held at their forward values. The slope of their sum there is minus the adjoint; the sum is not
    minus the cost-to-go elsewhere, for several paths to one node are counted as if they were independent.
    """
    rnn, theta, data = _elman(0, T=3, n=2, H=2, K=2)
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

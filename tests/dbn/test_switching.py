"""Switching between linear-Gaussian models: against a Kalman smoother for every path of regimes."""

import itertools

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from dbn_bptt.dbn.state_space.regimes import merged


def smoothed(models, path, y):
    """Kalman filter and Rauch-Tung-Striebel smoother along one path: filtered and smoothed moments, log p of each slice."""
    ps, T = [models[s].parameters for s in path], len(y)
    forward, ahead, logs = [], [], np.zeros(T)
    m, P = ps[0]["mean"], ps[0]["covariance"]
    for t, p in enumerate(ps):
        if t:
            m, P = p["A"] @ m, p["A"] @ P @ p["A"].T + p["Q"]
        ahead.append((m, P))
        there = ~np.isnan(y[t])
        if there.any():
            C = p["C"][there]
            S = C @ P @ C.T + p["R"][np.ix_(there, there)]
            v, gain = y[t][there] - C @ m, P @ C.T @ np.linalg.inv(S)
            logs[t] = -0.5 * (v @ np.linalg.solve(S, v) + np.linalg.slogdet(2 * np.pi * S)[1])
            m, P = m + gain @ v, P - gain @ S @ gain.T
        forward.append((m, P))
    found = [forward[-1]]
    for t in reversed(range(T - 1)):
        m, P = forward[t]
        gain = P @ ps[t + 1]["A"].T @ np.linalg.inv(ahead[t + 1][1])
        later = found[-1]
        found.append((m + gain @ (later[0] - ahead[t + 1][0]), P + gain @ (later[1] - ahead[t + 1][1]) @ gain.T))
    return forward, found[::-1], logs


def enumerated(transition, initial, models, y):
    """Filtered and smoothed probabilities, means and covariances, and log p(y), from all K^T paths."""
    T, K = len(y), len(models)
    paths = np.array(list(itertools.product(range(K), repeat=T)))
    runs = [smoothed(models, path, y) for path in paths]
    with np.errstate(divide="ignore"):
        priors = np.log(np.array([[initial[s[0]], *(transition[s[t], s[t - 1]] for t in range(1, T))] for s in paths]))
    until = np.cumsum(priors + np.array([logs for *_, logs in runs]), 1)  # log p of a path and y, up to each slice

    def mixed(which, t, logs):
        weights = np.exp(logs - logs.max())
        weights = weights / weights.sum()
        regimes = np.array([weights[paths[:, t] == k].sum() for k in range(K)])
        m, P = (np.array([run[which][t][part] for run in runs]) for part in (0, 1))
        return regimes, *merged(weights, m, P)

    def stacked(of):
        return [np.array(part) for part in zip(*of, strict=True)]

    total = np.logaddexp.reduce(until[:, -1])
    return (
        stacked(mixed(0, t, until[:, t]) for t in range(T)),
        stacked(mixed(1, t, until[:, -1]) for t in range(T)),
        total,
    )


def drawn(seed, d=None, memory=1.0, zeros=False):
    rng = np.random.default_rng(seed)
    K = 2 + seed % 2
    d, T = d or 1 + seed % 2, 8 if K == 2 else 6
    transition = 0.5 * rng.dirichlet(np.ones(K), K).T + 0.5 * np.eye(K)
    if zeros:
        transition[0, 1:], transition[:, 0] = 0.0, np.eye(K)[0]
        transition /= transition.sum(0)
    models = [
        dbn.linear_gaussian(
            0.6 * memory * rng.normal(size=(d, d)), rng.normal(size=(1, d)), np.eye(d) * rng.uniform(0.1, 2),
            np.eye(1) * rng.uniform(0.1, 1), np.zeros(d), np.eye(d),
        )
        for _ in range(K)
    ]  # fmt: skip
    return (transition, np.ones(K) / K, models), 2 * rng.normal(size=(T, 1))


def errors(found, right):
    return [
        np.abs(a - b).max() for a, b in zip((found.probabilities, found.mean, found.covariance), right, strict=True)
    ]


def test_approximations_are_as_good_as_is_said():
    """The numbers in `switching`'s docstring, over forty random models with enumeration of up to 729 paths."""
    wrong = {"gpb2": [], "gpb2 smoothed": [], "imm": []}
    for seed in range(40):
        model, y = drawn(seed)
        forward, back, total = enumerated(*model, y)
        gpb2, imm = dbn.switching(*model), dbn.switching(*model, method="imm")
        smooth = dbn.smooth(gpb2, {"y": y})
        assert np.linalg.eigvalsh(smooth.covariances).min() > 0
        assert dbn.log_likelihood(gpb2, {"y": y}) == pytest.approx(total, abs=0.2)
        wrong["gpb2"].append(errors(dbn.filter(gpb2, {"y": y}), forward))
        wrong["gpb2 smoothed"].append(errors(smooth, back))
        wrong["imm"].append(errors(dbn.filter(imm, {"y": y}), forward))
    bars = {"gpb2": (0.0005, 0.06), "gpb2 smoothed": (0.002, 0.08), "imm": (0.02, 0.3)}
    for name, (middle, worst) in bars.items():
        regimes = np.array(wrong[name])[:, 0]
        assert np.median(regimes) < middle, name
        assert regimes.max() < worst, name
    assert np.median(np.array(wrong["gpb2"])[:, 1]) < 0.002  # of the means, whose deviations are about 1
    assert np.median(np.array(wrong["gpb2 smoothed"])[:, 1]) < 0.005


@pytest.mark.parametrize("method", ["gpb2", "imm"])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_without_memory_of_the_state_it_is_exact(method, zeros, missing):
    model, y = drawn(1, memory=0.0, zeros=zeros)
    if missing:
        y[[0, 3]] = np.nan
    forward, back, total = enumerated(*model, y)
    switching = dbn.switching(*model, method=method)
    assert errors(dbn.filter(switching, {"y": y}), forward) == pytest.approx([0, 0, 0], abs=1e-12)
    assert dbn.log_likelihood(switching, {"y": y}) == pytest.approx(total, abs=1e-12)
    if method == "gpb2":
        assert errors(dbn.smooth(switching, {"y": y}), back) == pytest.approx([0, 0, 0], abs=1e-11)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_two_slices_are_exact_with_gpb2(engine):
    """The mixtures are merged, but nothing merged is used any more."""
    if engine == "native":
        pytest.importorskip("llvmlite")
    model, y = drawn(0)
    forward, back, total = enumerated(*model, y[:2])
    switching = dbn.switching(*model)
    found = dbn.filter(switching, {"y": y[:2]}, engine=engine)
    assert errors(found, forward) == pytest.approx([0, 0, 0], abs=1e-12)
    assert found.log_likelihood == pytest.approx(total, abs=1e-12)
    assert errors(dbn.smooth(switching, {"y": y[:2]}), back) == pytest.approx([0, 0, 0], abs=1e-11)


@pytest.mark.parametrize("method", ["gpb2", "imm"])
def test_one_regime_is_a_kalman_filter(method):
    rng = np.random.default_rng(0)
    kalman = dbn.linear_gaussian(
        0.5 * rng.normal(size=(2, 2)), rng.normal(size=(2, 2)), np.eye(2), np.eye(2), [1.0, 0], np.eye(2)
    )
    y = rng.normal(size=(3, 9, 2))
    y[rng.random(y.shape) < 0.2] = np.nan
    one = dbn.switching([[1.0]], [1.0], [kalman], method)
    verbs = [dbn.filter, dbn.smooth, lambda *given: dbn.predict(given[0], 3, given[1])]
    for verb in verbs:
        found, right = verb(one, {"y": y}), verb(kalman, {"y": y})
        np.testing.assert_allclose(found.mean, right.mean, atol=1e-12)
        np.testing.assert_allclose(found.covariance, right.covariance, atol=1e-12)
        assert found.start == right.start
        assert (found.probabilities == 1).all()
    np.testing.assert_allclose(dbn.log_likelihood(one, {"y": y}), dbn.log_likelihood(kalman, {"y": y}), atol=1e-12)


def test_batches():
    model, y = drawn(2)
    switching, ys = dbn.switching(*model), np.stack([y, y + 1])
    for verb in (dbn.filter, dbn.smooth):
        both = verb(switching, {"y": ys})
        for k in range(2):
            one = verb(switching, {"y": ys[k]})
            np.testing.assert_allclose(both.probabilities[k], one.probabilities, atol=1e-12)
            np.testing.assert_allclose(both.covariance[k], one.covariance, atol=1e-12)
            assert both.log_likelihood[k] == pytest.approx(one.log_likelihood)
    assert repr(both).startswith(
        "Switching posterior, probabilities (2, 8, 2), means (2, 8, 2, 1), log-likelihood about"
    )


def test_predictions_follow_the_chain():
    model, y = drawn(0)
    found = dbn.predict(dbn.switching(*model), 3, {"y": y})
    regimes = dbn.filter(dbn.switching(*model), {"y": y}).probabilities[-1]
    for t in range(3):
        regimes = model[0] @ regimes
        np.testing.assert_allclose(found.probabilities[t], regimes, atol=1e-12)
    assert found.start == len(y)


def test_the_smoother_says_how_the_likelihood_changes():
    """Probabilities of regimes are derivatives of log p(y) in their indicators."""
    model, y = drawn(0)
    switching = dbn.switching(*model)
    program, data = db.compile(switching), dbn.kalman_data(switching, {"y": y})
    found = dbn.smooth(switching, {"y": y}).probabilities
    ends = []
    for sign in (1, -1):
        e = np.ones((8, 2))
        e[3, 1] += sign * 1e-5
        ends.append(-program.loss({}, {**data, "e": e}))
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(found[3, 1], rel=1e-7)


@pytest.mark.parametrize("method", ["gpb2", "imm"])
def test_gradients_are_those_of_differences(method):
    model, y = drawn(0)
    switching = dbn.switching(*model, method=method)
    program, data, theta = db.compile(switching, "numpy"), dbn.kalman_data(switching, {"y": y}), switching.parameters
    _, gradients = program.value_and_grad(theta, data)
    rng = np.random.default_rng(0)
    for name in ("A", "Q", "R", "transition", "C"):
        along = rng.normal(size=theta[name].shape)
        ends = [program.loss({**theta, name: theta[name] + h * along}, data) for h in (1e-5, -1e-5)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx((gradients[name] * along).sum(), rel=1e-6, abs=1e-8), name


ONE = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]])
TWO = dbn.linear_gaussian(np.eye(2), np.ones((1, 2)), np.eye(2), np.eye(1), np.zeros(2), np.eye(2))
MOVED = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]], B=[[1.0]])
STAY, HALF = np.eye(2), [0.5, 0.5]
REFUSED = {
    "a method": (lambda: dbn.switching(STAY, HALF, [ONE, ONE], "kim"), "method is 'kim'; it must be 'gpb2' or 'imm'"),
    "no models": (lambda: dbn.switching(STAY, HALF, []), "one for each regime"),
    "other models": (lambda: dbn.switching(STAY, HALF, [dbn.umbrella()] * 2), "templates from linear_gaussian"),
    "two sizes": (lambda: dbn.switching(STAY, HALF, [ONE, TWO]), "the models' A have shapes"),
    "inputs": (lambda: dbn.switching(STAY, HALF, [MOVED, MOVED]), "no models with inputs"),
    "a table too large": (lambda: dbn.switching(np.eye(3), HALF, [ONE, ONE]), r"transition has shape \(3, 3\); it must be \(2, 2\)"),
    "rows for columns": (lambda: dbn.switching([[0.9, 0.1], [0.3, 0.7]], HALF, [ONE, ONE]), "columns of transition must be"),
    "no distribution": (lambda: dbn.switching(STAY, [0.5, 0.6], [ONE, ONE]), "initial must be one"),
    "smoothing IMM": (lambda: dbn.smooth(dbn.switching(STAY, HALF, [ONE, ONE], "imm"), {"y": [1.0]}), "by 'gpb2' alone"),
    "sampling": (lambda: dbn.sample(dbn.switching(STAY, HALF, [ONE, ONE]), 1, {"y": [1.0]}), "no switching filter"),
    "other evidence": (lambda: dbn.filter(dbn.switching(STAY, HALF, [ONE, ONE]), {"x": [1.0]}), "unknown input 'x'"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(db.DbnBpttError, match=message):
        call()

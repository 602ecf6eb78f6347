"""Learning of linear-Gaussian models: each step against conditioning one joint normal, and where it ends."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from dbn_bptt import dbn
from dbn_bptt.errors import DataError, UnknownNameError

NAMES = ("A", "C", "Q", "R", "mean", "covariance")


def spread(rng, n):
    root = rng.normal(size=(n, n))
    return root @ root.T + 0.3 * np.eye(n)


def model(rng, d, k, n=0):
    made = {"A": 0.5 * rng.normal(size=(d, d)), "C": rng.normal(size=(k, d)), "Q": spread(rng, d), "R": spread(rng, k)}
    made |= {"mean": rng.normal(size=d), "covariance": spread(rng, d)}
    return made | ({"B": rng.normal(size=(d, n))} if n else {})


def conditioned(theta, y, u):
    """E[v] and E[v v'] of all states and all observations, v = (z_0, y_0, z_1, ...), given what was seen of one sequence."""
    (T, k), d = y.shape, len(theta["mean"])
    size = d + k
    mean, cov = np.zeros(T * size), np.zeros((T * size, T * size))
    for t in range(T):
        z, out = slice(t * size, t * size + d), slice(t * size + d, (t + 1) * size)
        if t == 0:
            mean[z], cov[z, z] = theta["mean"], theta["covariance"]
        else:
            old = slice((t - 1) * size, (t - 1) * size + d)
            mean[z] = theta["A"] @ mean[old] + (theta["B"] @ u[t] if "B" in theta else 0)
            cov[z, : t * size] = theta["A"] @ cov[old, : t * size]
            cov[: t * size, z] = cov[z, : t * size].T
            cov[z, z] = theta["A"] @ cov[old, old] @ theta["A"].T + theta["Q"]
        mean[out] = theta["C"] @ mean[z]
        cov[out, : t * size + d] = theta["C"] @ cov[z, : t * size + d]
        cov[: t * size + d, out] = cov[out, : t * size + d].T
        cov[out, out] = theta["C"] @ cov[z, z] @ theta["C"].T + theta["R"]
    places = (np.arange(T)[:, None] * size + d + np.arange(k)).ravel()
    seen = places[~np.isnan(y).ravel()]
    gain = cov[:, seen] @ np.linalg.inv(cov[np.ix_(seen, seen)])
    m = mean + gain @ (y.ravel()[~np.isnan(y).ravel()] - mean[seen])
    P = cov - gain @ cov[seen]
    return m.reshape(T, size), (P + np.outer(m, m)).reshape(T, size, T, size)


def stepped(theta, ys, us):
    """One step of expectation maximisation, written out."""
    d, k = len(theta["mean"]), len(theta["C"])
    n = theta["B"].shape[1] if "B" in theta else 0
    sums = {"xx": np.zeros((d + n, d + n)), "zx": np.zeros((d, d + n)), "zz": np.zeros((d, d))}
    sums |= {
        "aa": np.zeros((d, d)),
        "ya": np.zeros((k, d)),
        "yy": np.zeros((k, k)),
        "m": np.zeros(d),
        "mm": np.zeros((d, d)),
    }
    N = M = 0
    for y, u in zip(ys, us, strict=True):
        m, S = conditioned(theta, y, u)
        for t in range(len(y)):
            sums["aa"] += S[t, :d, t, :d]
            sums["ya"] += S[t, d:, t, :d]
            sums["yy"] += S[t, d:, t, d:]
            M += 1
            if t:
                own = u[t] if n else np.zeros(0)
                xx = np.block(
                    [
                        [S[t - 1, :d, t - 1, :d], np.outer(m[t - 1, :d], own)],
                        [np.outer(own, m[t - 1, :d]), np.outer(own, own)],
                    ]
                )
                sums["xx"] += xx
                sums["zx"] += np.hstack([S[t, :d, t - 1, :d], np.outer(m[t, :d], own)])
                sums["zz"] += S[t, :d, t, :d]
                N += 1
        sums["m"] += m[0, :d]
        sums["mm"] += S[0, :d, 0, :d]
    AB = sums["zx"] @ np.linalg.inv(sums["xx"])
    C = sums["ya"] @ np.linalg.inv(sums["aa"])
    mean = sums["m"] / len(ys)
    new = {
        "A": AB[:, :d], "C": C, "Q": (sums["zz"] - AB @ sums["zx"].T) / N, "R": (sums["yy"] - C @ sums["ya"].T) / M,
        "mean": mean, "covariance": sums["mm"] / len(ys) - np.outer(mean, mean),
    }  # fmt: skip
    return new | ({"B": AB[:, d:]} if n else {})


CASES = {  # states, outputs, inputs, sequences (0: one, without an axis for it), share of missing numbers
    "one number": (1, 1, 0, 0, 0.0),
    "two and two": (2, 2, 0, 0, 0.0),
    "missing numbers": (2, 3, 0, 0, 0.3),
    "inputs": (2, 1, 2, 0, 0.0),
    "a batch": (2, 2, 0, 4, 0.0),
    "a batch with inputs and missing numbers": (3, 2, 1, 3, 0.25),
}


def drawn(d, k, n, B, missing, T=6):
    rng = np.random.default_rng(d + 10 * k + 100 * n + B)
    lead = (B,) if B else ()
    y = rng.normal(size=(*lead, T, k))
    y[rng.random(y.shape) < missing] = np.nan
    given = {"y": y} | ({"u": rng.normal(size=(*lead, T, n))} if n else {})
    return model(rng, d, k, n), given


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_step_is_that_of_the_joint_normal(case):
    theta, given = drawn(*case)
    ys = given["y"] if case[3] else given["y"][None]
    us = given.get("u", np.zeros((*given["y"].shape[:-1], 1)))
    us = us if case[3] else us[None]
    found = dbn.fit(dbn.linear_gaussian(**theta), given, steps=1, tolerance=0.0)
    for name, right in stepped(theta, ys, us).items():
        mine = found.model.parameters[name]
        assert np.abs(mine - right).max() <= 1e-9 * max(np.abs(right).max(), 1), name


@pytest.mark.parametrize("learn", [("A",), ("Q",), ("C", "R"), ("mean", "covariance"), ("A", "Q", "R")], ids=" ".join)
def test_what_is_not_learnt_stays(learn):
    theta, given = drawn(2, 2, 0, 3, 0.2)
    found = dbn.fit(dbn.linear_gaussian(**theta), given, learn=learn, steps=30)
    for name in NAMES:
        same = np.array_equal(found.model.parameters[name], theta[name])
        assert same == (name not in learn), name
    assert (np.diff(found.log_likelihoods) >= -1e-10).all()


def simulated(T, a=0.8, q=1.0, r=0.3):
    rng = np.random.default_rng(0)
    z, y = 0.0, np.zeros(T)
    for t in range(T):
        y[t] = z + rng.normal() * np.sqrt(r)
        z = a * z + rng.normal() * np.sqrt(q)
    return y


def test_the_influence_of_inputs_is_learnt_alone():
    theta, given = drawn(2, 1, 2, 3, 0.2)
    found = dbn.fit(dbn.linear_gaussian(**theta), given, learn=["B"], steps=50)
    assert (np.diff(found.log_likelihoods) >= -1e-10).all()
    assert found.log_likelihoods[-1] > found.log_likelihoods[0]
    for name, value in found.model.parameters.items():
        assert np.array_equal(value, theta[name]) == (name != "B"), name


def test_learning_ends_where_scipy_does():
    y = simulated(80)
    start = dbn.linear_gaussian([[0.3]], [[1.0]], [[0.5]], [[0.3]], [0.0], [[1.0]])
    found = dbn.fit(start, {"y": y}, learn=("A", "Q"), steps=500, tolerance=1e-11)
    assert found.converged
    assert (np.diff(found.log_likelihoods) >= -1e-10).all()

    def loss(v):
        """-log p(y) of an autoregressive number that is seen with noise, as one joint normal."""
        a, q = v[0], np.exp(v[1])
        steps = np.subtract.outer(np.arange(80), np.arange(80))
        powers = np.where(steps >= 0, a ** np.maximum(steps, 0.0), 0.0)
        cov = powers @ np.diag(np.r_[1.0, np.full(79, q)]) @ powers.T + 0.3 * np.eye(80)
        return -scipy.stats.multivariate_normal(np.zeros(80), cov).logpdf(y)

    best = scipy.optimize.minimize(loss, [0.5, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    assert found.log_likelihoods[-1] == pytest.approx(-best.fun, abs=1e-7)
    learnt = found.model.parameters
    assert [learnt["A"][0, 0], np.log(learnt["Q"][0, 0])] == pytest.approx(best.x, abs=1e-3)


def test_a_start_is_found_again():
    theta, _ = drawn(2, 2, 0, 0, 0.0)
    rng = np.random.default_rng(1)
    z, y = theta["mean"], []
    for _ in range(1500):
        y.append(theta["C"] @ z + rng.multivariate_normal([0, 0], theta["R"]))
        z = theta["A"] @ z + rng.multivariate_normal([0, 0], theta["Q"])
    wrong = theta | {"A": np.zeros((2, 2))}
    found = dbn.fit(dbn.linear_gaussian(**wrong), {"y": np.array(y)}, learn=["A"], steps=200)
    assert np.abs(found.model.parameters["A"] - theta["A"]).max() < 0.1


REFUSED = {
    "an unknown name": ({"learn": ["F"]}, UnknownNameError, "did you mean|unknown parameter"),
    "a prior": ({"prior": 1.0}, DataError, "takes no prior"),
    "lengths": ({"lengths": [3]}, DataError, "takes no lengths; give NaN"),
    "a seed": ({"seed": 1}, DataError, "takes no seed"),
}


@pytest.mark.parametrize(("options", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_means_nothing_is_refused(options, error, message):
    theta, given = drawn(1, 1, 0, 0, 0.0)
    with pytest.raises(error, match=message):
        dbn.fit(dbn.linear_gaussian(**theta), given, **options)


def test_learn_is_not_about_tables():
    with pytest.raises(DataError, match="learn is about linear-Gaussian"):
        dbn.fit(dbn.umbrella(), {"Umbrella": [1, 0]}, learn=["Rain"])

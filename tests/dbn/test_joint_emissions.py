"""Vectors that depend on the joint state of several variables, against enumeration."""

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm, poisson

import dbn_bptt as db
from dbn_bptt import dbn, render
from dbn_bptt.errors import ModelError, UnknownNameError
from tests.dbn_models import build

T = 4
RNG = np.random.default_rng(0)
CHAINS = build({"A": 2, "B": 3, "Y": 2}, [("A", "A", 1), ("B", "B", 1), ("A", "Y", 0)], seed=2)
MEANS = RNG.normal(size=(6, 2))
X, N = RNG.normal(size=(T, 2)), RNG.integers(0, 5, T)
Y = np.array([0, -1, 1, -1])
RATES = np.array([0.5, 1.0, 2.0, 3.0, 4.0, 5.0])
LEVEL = RNG.normal(size=T)


def model():
    """A factorial model: vectors of both chains, counts of both in the other order, and a level of one of them."""
    network = dbn.emit(CHAINS, "X", dbn.gaussian(("A", "B"), MEANS, 0.5))
    network = dbn.emit(network, "N", dbn.poisson(("B", "A"), RATES))
    return dbn.emit(network, "L", dbn.gaussian("B", [0.0, 1.0, 2.0], 1.0))


EVIDENCE = {"X": X, "N": N, "L": LEVEL, "Y": Y}


def enumerated(y=Y):
    """Every path of A and B and its probability together with the evidence."""
    tables = dbn.prepare(CHAINS).tables
    seen = np.ones((T, 2, 3))  # the density of what is seen in a slice, by the states of A and B
    for t, a, b in itertools.product(range(T), range(2), range(3)):
        seen[t, a, b] = multivariate_normal(MEANS[3 * a + b], 0.5 * np.eye(2)).pdf(X[t]) * norm(b, 1.0).pdf(LEVEL[t])
        seen[t, a, b] *= poisson(RATES[2 * b + a]).pmf(N[t]) * (tables["P_Y"][y[t], a] if y[t] >= 0 else 1.0)
    for path in itertools.product(itertools.product(range(2), range(3)), repeat=T):
        p = 1.0
        for t, (a, b) in enumerate(path):
            first = tables["P0_A"][a] * tables["P0_B"][b]
            p *= tables["P_A"][a, path[t - 1][0]] * tables["P_B"][b, path[t - 1][1]] if t else first
            p *= seen[t, a, b]
        yield path, p


@pytest.mark.parametrize("engine", ["numpy", "native", "jax", "parallel"])
def test_every_verb(engine):
    pytest.importorskip({"native": "llvmlite", "numpy": "numpy"}.get(engine, "jax"), reason="an optional engine")
    every = list(enumerated())
    total = sum(p for _, p in every)
    posterior = dbn.smooth(model(), EVIDENCE, engine=engine)
    assert posterior.log_likelihood == pytest.approx(np.log(total), abs=1e-10)
    expected = np.zeros((T, 2, 3))
    for path, p in every:
        for t, (a, b) in enumerate(path):
            expected[t, a, b] += p / total
    np.testing.assert_allclose(posterior["A"], expected.sum(2), atol=1e-10)
    np.testing.assert_allclose(posterior["B"], expected.sum(1), atol=1e-10)
    y = np.array([0, 0, 1, 0])
    best = max(enumerated(y), key=lambda one: one[1])[0]
    found = dbn.viterbi(model(), {**EVIDENCE, "Y": y}, engine=engine)
    assert [(int(a), int(b)) for a, b in zip(found["A"], found["B"], strict=True)] == list(best)
    learnt = dbn.fit(dbn.prepare(model(), engine), EVIDENCE, steps=1).model
    weights = expected.reshape(T, 6)
    np.testing.assert_allclose(learnt.emissions["X"].means, weights.T @ X / weights.sum(0)[:, None], atol=1e-8)


def test_batches_steps_and_draws():
    x = np.stack([X, X[::-1]])
    batch = dbn.smooth(model(), {"X": x}, lengths=[4, 2])
    np.testing.assert_allclose(batch["B"][1, :2], dbn.smooth(model(), {"X": X[::-1][:2]})["B"], atol=1e-12)
    state = dbn.start(model(), 2)
    filtered = dbn.filter(model(), {"X": x})
    for t in range(T):
        state, posterior = state.step({"X": x[:, t]})
        np.testing.assert_allclose(posterior["B", t], filtered["B", t], atol=1e-12)
    np.testing.assert_allclose(state.predict(2)["A"], dbn.predict(model(), 2, {"X": x})["A"], atol=1e-12)
    drawn = dbn.sample(model(), 20_000, T=2, seed=1)
    for a, b in itertools.product(range(2), range(3)):
        those = (drawn["A"] == a) & (drawn["B"] == b)
        np.testing.assert_allclose(drawn["X"][those].mean(0), MEANS[3 * a + b], atol=0.06)
        np.testing.assert_allclose(drawn["N"][those].mean(), RATES[2 * b + a], atol=0.15)


def test_learning_climbs_from_a_wrong_start():
    data = {"X": dbn.sample(model(), 30, T=40, seed=2)["X"]}
    start = dbn.emit(CHAINS, "X", dbn.gaussian(("A", "B"), MEANS + 0.5 * RNG.normal(size=MEANS.shape), 1.0))
    found = dbn.fit(start, data, steps=30, tolerance=0)
    assert (np.diff(found.log_likelihoods) > -1e-8).all()
    assert dbn.free_parameters(start) == (1 + 2 + 2 + 6 + 2) + 6 * (2 + 3)


def test_an_emission_of_ones_own_pictures_and_messages():
    t = db.SliceTemplate("scores")
    x, W = t.input("x", 2), t.parameter("W", (6, 2))
    t.define(t.variable("log_likelihood", 6), W @ x)
    network = dbn.emit(CHAINS, "X", dbn.emission(("A", "B"), t, {"W": MEANS}))
    expected = np.exp(X[0] @ MEANS.T).reshape(2, 3) * np.outer(*(dbn.prepare(CHAINS).tables[f"P0_{n}"] for n in "AB"))
    np.testing.assert_allclose(dbn.smooth(network, {"X": X[:1]})["B", 0], expected.sum(0) / expected.sum(), atol=1e-12)
    assert render.svg(network)
    assert "its message has 6 numbers" in dbn.summary(network)
    assert "X (2)" in dbn.summary(dbn.prepare(network))
    assert "alpha" in str(render.html(network, evidence={"X": X}))


MISTAKES = {
    "unknown": (lambda: dbn.emit(CHAINS, "X", dbn.gaussian(("A", "C"), MEANS, 1.0)), UnknownNameError, "'C'"),
    "list": (lambda: dbn.emit(CHAINS, "X", dbn.gaussian(["A", "B"], MEANS, 1.0)), ModelError, "tuple of some"),
    "nobody": (lambda: dbn.emit(CHAINS, "X", dbn.gaussian((), MEANS[:1], 1.0)), ModelError, "tuple of some"),
    "twice": (
        lambda: dbn.emit(CHAINS, "X", dbn.gaussian(("A", "A"), MEANS[:4], 1.0)),
        ModelError,
        "each variable once",
    ),
    "states": (lambda: dbn.emit(CHAINS, "X", dbn.gaussian(("A", "B"), MEANS[:4], 1.0)), ModelError, "has 2 x 3"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    wrong, error, says = MISTAKES[mistake]
    with pytest.raises(error, match=says):
        wrong()

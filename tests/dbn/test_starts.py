"""Where learning begins at random: tables, and emissions about observations far apart."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from dbn_bptt.dbn.emissions.numbers import far_apart
from dbn_bptt.dbn.learning.climb import Fit, best_of
from dbn_bptt.dbn.learning.learn import scattered
from dbn_bptt.errors import ModelError
from tests.dbn_models import build

K = 3
CHAIN = build({"Z": K}, [("Z", "Z", 1)], seed=3)
EVEN = dbn.prepare(CHAIN).network.retabled(lambda table, _: np.full(table.values.shape, 1 / K))
CENTRES = np.array([[-3.0, 0.0], [0.0, 2.5], [3.0, -1.0]])
PAIRS = np.stack([CENTRES - 0.6, CENTRES + 0.6], 1)
HALF, RATES = np.full((K, 2), 0.5), np.array([[1.0, 9.0], [6.0, 2.0], [14.0, 12.0]])
KINDS = {  # a model, and one like it whose states are all alike
    **{
        shape: [dbn.gaussian("Z", means, 0.5, shape=shape) for means in (CENTRES, np.zeros((K, 2)))]
        for shape in ("full", "diagonal", "spherical", "tied")
    },
    "mixture": [dbn.mixture("Z", HALF, means, 0.2, floor=1e-3) for means in (PAIRS, np.zeros((K, 2, 2)))],
    "poisson": [dbn.poisson("Z", rates) for rates in (RATES, np.ones((K, 2)))],
}  # fmt: skip


def observed(model, B=8, T=50, seed=0):
    """Observations of ragged sequences, of which some numbers are missing, and their lengths."""
    x = dbn.sample(model, B, T=T, seed=seed)["X"]
    rng = np.random.default_rng(seed)
    x[rng.random(x.shape) < 0.03] = np.nan
    return {"X": x}, np.array([T - 3 * b for b in range(B)])


@pytest.mark.parametrize(("true", "alike"), KINDS.values(), ids=KINDS)
def test_states_that_are_all_alike_are_told_apart(true, alike):
    seen, lengths = observed(dbn.emit(CHAIN, "X", true))
    best = dbn.fit(dbn.emit(CHAIN, "X", true), seen, lengths=lengths, steps=100).log_likelihoods[-1]
    poor = dbn.emit(EVEN, "X", alike)
    stuck = dbn.fit(poor, seen, lengths=lengths, steps=100).log_likelihoods[-1]
    found = dbn.fit(poor, seen, lengths=lengths, steps=100, starts=10)
    assert stuck < best - 50
    assert found.log_likelihoods[-1] > best - 0.01


@pytest.mark.parametrize("alike", [alike for _, alike in KINDS.values()], ids=KINDS)
def test_emissions_begin_in_the_data(alike):
    x = np.random.default_rng(1).poisson(4.0, (60, 2)).astype(float)
    x[7, 0] = np.nan
    begun, again, other = (alike.scattered(x, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(a, again.parameters[name]) for name, a in begun.parameters.items())
    assert any(not np.array_equal(a, other.parameters[name]) for name, a in begun.parameters.items())
    assert np.isfinite(begun.log_likelihoods(x)).all()
    if "means" in begun.parameters:
        rows = {tuple(row) for row in np.where(np.isnan(x), np.nanmean(x, 0), x)}
        assert all(tuple(mean) in rows for mean in begun.parameters["means"])
    else:
        assert (begun.rates > 0).all()


@pytest.mark.parametrize("shape", ["full", "diagonal", "spherical", "tied"])
def test_covariances_begin_in_their_shape(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]])
    begun = dbn.gaussian("Z", np.zeros((K, 2)), 1.0, shape=shape).scattered(x, rng)
    nearest = np.argmin((((x[:, None] - begun.means) / x.std(0)) ** 2).sum(-1), 1)
    about = x - begun.means[nearest]
    pooled = about.T @ about / 50
    if shape in ("diagonal", "spherical"):
        pooled = np.diag(np.diag(pooled) if shape == "diagonal" else np.full(2, np.trace(pooled) / 2))
    assert np.allclose(begun.covariances, pooled)


def test_an_emission_of_ones_own_begins_as_it_is():
    t = db.SliceTemplate("logits")
    x, logits = t.input("x", 3), t.parameter("logits", (K, 3))
    t.define(t.variable("log_likelihood", K), logits @ x - db.logsumexp(logits, -1))
    own = dbn.emission("Z", t, {"logits": np.arange(9.0).reshape(K, 3)})
    assert own.scattered(np.eye(3), np.random.default_rng(0)) is own
    symbols = np.eye(3)[np.random.default_rng(1).integers(0, 3, (5, 20))]
    found = dbn.fit(dbn.emit(CHAIN, "X", own), {"X": symbols}, steps=3, starts=2)
    assert found.log_likelihoods[-1] > found.log_likelihoods[0]


def test_counts_that_are_all_zero_leave_their_rates():
    x = np.array([[0.0, 3.0], [0.0, 5.0], [0.0, 1.0]])
    begun = dbn.poisson("Z", RATES).scattered(x, np.random.default_rng(0))
    assert np.array_equal(begun.rates[:, 0], RATES[:, 0])


def test_vectors_that_are_missing_altogether_change_nothing():
    model = dbn.emit(CHAIN, "X", dbn.gaussian("Z", CENTRES, 1.0))
    found = dbn.fit(model, {"X": np.full((5, 2), np.nan)}, steps=2, seed=0)
    assert np.array_equal(found.model.emissions["X"].means, CENTRES)


def test_what_comes_after_the_end_of_a_sequence_is_no_place_to_begin():
    x = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 1e6, 1e6], [7.0, np.nan, 8.0, 1e6]])[..., None]
    model = dbn.prepare(dbn.emit(CHAIN, "X", dbn.gaussian("Z", [0.0, 0.0, 0.0], 1.0))).network
    seen = dbn.observe(model, {"X": x}, lengths=[4, 2, 3])
    for seed in range(10):
        means = scattered(model, seen, np.random.default_rng(seed)).emissions["X"].means.ravel()
        assert set(means) <= set(range(1, 9))


def test_rows_far_apart_are_far_apart():
    rows = np.concatenate(
        [np.random.default_rng(0).normal(c, 0.01, (n, 2)) for n, c in ((300, 0.0), (3, 8.0), (2, -8.0))]
    )
    for seed in range(20):
        chosen, nearest = far_apart(rows, 3, np.random.default_rng(seed))
        assert sorted(np.round(chosen[:, 0])) == [-8, 0, 8]
        assert sorted(np.bincount(nearest)) == [2, 3, 300]
    same, nearest = far_apart(np.ones((4, 2)), 3, np.random.default_rng(0))
    assert np.array_equal(same, np.ones((3, 2)))


def test_starts_that_collapse_are_passed_over():
    def learn(start):
        if start < 0:
            raise ModelError(f"{start} has collapsed")
        return Fit(None, (0.0, start), True)

    assert best_of(learn, [-1.0, 2.0, -3.0, 1.0]).log_likelihoods == (0.0, 2.0)
    with pytest.raises(ModelError, match="-1 has collapsed"):
        best_of(learn, [-1, -2])

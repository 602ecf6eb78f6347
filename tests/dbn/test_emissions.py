"""Observed vectors: against enumeration of paths, with missing numbers, far-away states, tables, and mistakes."""

import io
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dbn_bptt as db
from dbn_bptt import dbn, scale
from tests.dbn_models import build

K, D, T = 3, 2, 4
BASE = build({"Z": K, "Y": 2}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)
RNG = np.random.default_rng(0)
ROOTS = RNG.normal(size=(K, D, D))
MEANS, COVARIANCES = RNG.normal(size=(K, D)), ROOTS @ np.swapaxes(ROOTS, 1, 2) + 0.5 * np.eye(D)
RATES = RNG.uniform(0.5, 4, (K, D))
NORMAL = dbn.emit(BASE, "X", dbn.gaussian("Z", MEANS, COVARIANCES))
COUNTS = dbn.emit(BASE, "X", dbn.poisson("Z", RATES))
SHARES, CENTRES = RNG.dirichlet(np.ones(2), K), RNG.normal(size=(K, 2, D))
MIXED = dbn.emit(BASE, "X", dbn.mixture("Z", SHARES, CENTRES, np.stack([COVARIANCES, COVARIANCES[::-1]], 1)))
X = RNG.normal(size=(T, D))
HOLES = np.array([[0.3, np.nan], [np.nan, np.nan], [-1.0, 0.2], [np.nan, 0.5]])


def _normal(k, x):
    seen = ~np.isnan(x)
    if not seen.any():
        return 0.0
    return stats.multivariate_normal(MEANS[k][seen], COVARIANCES[k][np.ix_(seen, seen)]).logpdf(x[seen])


def _poisson(k, x):
    return sum(stats.poisson(rate).logpmf(n) for rate, n in zip(RATES[k], x, strict=True) if not np.isnan(n))


def _mixture(k, x):
    seen = ~np.isnan(x)
    if not seen.any():
        return 0.0
    parts = [(SHARES[k, 0], CENTRES[k, 0], COVARIANCES[k]), (SHARES[k, 1], CENTRES[k, 1], COVARIANCES[::-1][k])]
    own = [np.log(p) + stats.multivariate_normal(m[seen], c[np.ix_(seen, seen)]).logpdf(x[seen]) for p, m, c in parts]
    return np.logaddexp(*own)


def _enumerated(emitted, x, y=None):
    """Posteriors of Z and log p by all paths."""
    first, later = BASE.get_cpds(("Z", 0)).values, BASE.get_cpds(("Z", 1)).values
    shown = BASE.get_cpds(("Y", 0)).values
    weights, states = [], list(product(range(K), repeat=len(x)))
    for path in states:
        p = np.log(first[path[0]]) + sum(np.log(later[b, a]) for a, b in pairwise(path))
        p += sum(emitted(k, row) for k, row in zip(path, x, strict=True))
        p += sum(np.log(shown[s, k]) for k, s in zip(path, y, strict=True)) if y is not None else 0.0
        weights.append(p)
    total = np.logaddexp.reduce(weights)
    posterior = np.zeros((len(x), K))
    for path, w in zip(states, weights, strict=True):
        posterior[np.arange(len(x)), path] += np.exp(w - total)
    return posterior, total


CASES = {
    "Gaussian": (NORMAL, _normal, X),
    "Gaussian with holes": (NORMAL, _normal, HOLES),
    "mixture": (MIXED, _mixture, X),
    "mixture with holes": (MIXED, _mixture, HOLES),
    "Poisson": (COUNTS, _poisson, np.array([[1.0, 0], [3, 2], [0, 0], [7, 1]])),
    "Poisson with holes": (COUNTS, _poisson, np.array([[1.0, np.nan], [np.nan, np.nan], [0, 4], [np.nan, 1]])),
}


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("y", [None, [0, 1, 1, 0]], ids=["alone", "beside states"])
@pytest.mark.parametrize("name", CASES)
def test_posteriors_equal_enumeration(name, y, engine):
    if engine == "native":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    model, emitted, x = CASES[name]
    expected, log_likelihood = _enumerated(emitted, x, y)
    found = dbn.smooth(model, {"X": x} | ({} if y is None else {"Y": y}), engine=engine)
    np.testing.assert_allclose(found["Z"], expected, atol=1e-12)
    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-12)


def test_every_verb_takes_vectors():
    batch = {"X": np.stack([X, X[::-1]])}
    assert dbn.filter(NORMAL, {"X": X})["Z"].shape == (T, K)
    np.testing.assert_allclose(
        dbn.filter(NORMAL, {"X": X})["Z", T - 1], dbn.smooth(NORMAL, {"X": X})["Z", T - 1], atol=1e-12
    )
    ahead = np.concatenate([X, np.full((2, D), np.nan)])
    np.testing.assert_allclose(
        dbn.predict(NORMAL, 2, {"X": X})["Z"], dbn.smooth(NORMAL, {"X": ahead})["Z"][T:], atol=1e-12
    )
    np.testing.assert_allclose(dbn.log_likelihood(NORMAL, batch)[0], dbn.log_likelihood(NORMAL, {"X": X}), rtol=1e-12)
    assert dbn.expected_counts(NORMAL, batch)["Z", 1].sum() == pytest.approx(2 * (T - 1))
    ragged = dbn.smooth(NORMAL, {"X": np.stack([X, np.where(np.arange(T)[:, None] < 2, X, np.nan)])}, lengths=[T, 2])
    np.testing.assert_allclose(ragged["Z"][1, :2], dbn.smooth(NORMAL, {"X": X[:2]})["Z"], atol=1e-12)


def test_two_vectors_of_one_state_and_one_of_another():
    both = dbn.emit(dbn.emit(NORMAL, "N", dbn.poisson("Z", RATES)), "S", dbn.gaussian("Y", [0.0, 1.0], 0.3))
    n, s = np.array([[1, 0], [3, 2], [0, 0], [7, 1]]), np.array([0.1, 0.9, 0.4, np.nan])
    given = {"X": X, "N": n, "S": s}
    soft = {
        "Z": np.exp([[_normal(k, x) + _poisson(k, row) for k in range(K)] for x, row in zip(X, n, strict=True)]),
        "Y": np.array([[1.0 if np.isnan(v) else stats.norm(m, np.sqrt(0.3)).pdf(v) for m in (0.0, 1.0)] for v in s]),
    }
    found, expected = dbn.smooth(both, given), dbn.smooth(BASE, soft=soft)
    np.testing.assert_allclose(found["Z"], expected["Z"], atol=1e-12)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)


def test_states_so_far_away_that_their_likelihoods_are_no_numbers():
    """Under the only possible path every observation is less than 1e-300 times as likely as under another state."""
    far = dbn.emit(_stuck(), "X", dbn.gaussian("Z", [0.0, 60.0], 1.0))
    x = np.array([0.0, 60.0, 0.0, 60.0])
    found = dbn.smooth(far, {"X": x})
    alone = [stats.norm(m, 1).logpdf(x).sum() for m in (0.0, 60.0)]
    assert alone[0] == pytest.approx(alone[1])
    np.testing.assert_allclose(found["Z"], [[0.5, 0.5]] * 4, atol=1e-9)
    assert found.log_likelihood == pytest.approx(alone[0], rel=1e-12)
    assert dbn.viterbi(far, {"X": x}).log_probability == pytest.approx(alone[0] + np.log(0.5), rel=1e-12)
    fitted = dbn.fit(far, {"X": x}, steps=1).model.emissions["X"]
    np.testing.assert_allclose(fitted.means, [[30.0], [30.0]], atol=1e-6)


def _stuck():
    """A state that never changes."""
    model = build({"Z": 2}, [("Z", "Z", 1)])
    model.get_cpds(("Z", 0)).values[...] = 0.5
    model.get_cpds(("Z", 1)).values[...] = np.eye(2)
    return model


# ------------------------------------------------------------------------------------------------------------- learning
@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize("name", ["full", "diagonal", "spherical", "tied", "mixture", "Poisson"])
def test_learning_never_lowers_the_likelihood_and_ends_where_its_gradient_is_zero(name, holes):
    rng = np.random.default_rng(3)
    x = rng.poisson(rng.uniform(1, 8, (5, 20, 1)), (5, 20, D)).astype(float) + (
        0 if name == "Poisson" else rng.normal(size=(5, 20, D))
    )
    x[rng.random(x.shape) < holes] = np.nan
    covariances = {"full": COVARIANCES, "diagonal": np.ones((K, D)), "spherical": np.ones(K), "tied": np.eye(D)}.get(
        name
    )
    emission = dbn.poisson("Z", RATES) if name == "Poisson" else dbn.mixture("Z", SHARES, CENTRES, 1.0, floor=0.05)
    if name in ("full", "diagonal", "spherical", "tied"):
        emission = dbn.gaussian("Z", MEANS, covariances, shape=name)
    found = dbn.fit(dbn.emit(BASE, "X", emission), {"X": x}, steps=600, tolerance=1e-13)
    assert (np.diff(found.log_likelihoods) > -1e-9).all()
    best, model = found.log_likelihoods[-1], found.model
    own = model.emissions["X"]
    for k, d in product(range(K), range(D)):
        for step in (-1e-3, 1e-3):
            learnt = "rates" if name == "Poisson" else "means"
            moved = own.parameters[learnt].copy()
            moved[k, d] += step
            if name == "Poisson" and moved[k, d] < 0:
                continue
            other = own.at(dict(own.parameters) | {learnt: moved})
            changed = replace(model, emissions={"X": other})
            assert dbn.log_likelihood(changed, {"X": x}).sum() < best + 1e-6


def test_parts_and_all_at_once_learn_the_same(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    drawn = dbn.sample(NORMAL, 12, T=15, seed=1)["X"]
    expected = dbn.fit(NORMAL, {"X": drawn}, steps=5)
    for k in range(3):
        rows = drawn[4 * k : 4 * k + 4].reshape(-1, D)
        table = pd.DataFrame({"sequence": np.repeat(np.arange(4), 15), "X[0]": rows[:, 0], "X[1]": rows[:, 1]})
        table.to_parquet(tmp_path / f"{k}.parquet")
    found = scale.fit(NORMAL, f"{tmp_path}/*.parquet", steps=5)
    np.testing.assert_allclose(found.log_likelihoods, expected.log_likelihoods, rtol=1e-12)
    np.testing.assert_allclose(
        found.model.emissions["X"].covariances, expected.model.emissions["X"].covariances, rtol=1e-10
    )


@pytest.mark.parametrize("model", [NORMAL, COUNTS, MIXED], ids=["Gaussian", "Poisson", "mixture"])
def test_a_checkpoint_keeps_emissions(model, tmp_path):
    drawn = dbn.sample(model, 12, T=15, seed=1)["X"]
    parts, path = [{"X": drawn[:5]}, {"X": drawn[5:]}], tmp_path / "fit.npz"
    whole = scale.fit(model, parts, steps=6, tolerance=0)
    scale.fit(model, parts, steps=2, tolerance=0, checkpoint=path)
    found = scale.fit(model, parts, steps=6, tolerance=0, checkpoint=path)
    assert found.log_likelihoods == whole.log_likelihoods
    for name, a in found.model.emissions["X"].parameters.items():
        assert (a == whole.model.emissions["X"].parameters[name]).all()
    with pytest.raises(db.DataError, match="began with another model"):
        scale.fit(BASE, parts, checkpoint=path)


# ---------------------------------------------------------------------------------------------------------- one's own
def _logits():
    """One of four symbols, as an indicator vector, from logits."""
    t = db.SliceTemplate("logits")
    x, logits = t.input("x", 4), t.parameter("logits", (K, 4))
    t.define(t.variable("log_likelihood", K), logits @ x - db.logsumexp(logits, -1))
    return t


SYMBOLS = build({"Z": K, "S": 4}, [("Z", "S", 0), ("Z", "Z", 1)], seed=7)


def _with_logits(draw=None):
    chain = build({"Z": K}, [("Z", "Z", 1)], seed=7)
    for t in (0, 1):
        chain.get_cpds(("Z", t)).values[...] = SYMBOLS.get_cpds(("Z", t)).values
    table = SYMBOLS.get_cpds(("S", 0)).values
    return dbn.emit(chain, "S", dbn.emission("Z", _logits(), {"logits": np.log(table.T)}, draw=draw, steps=100))


def test_an_emission_of_ones_own_is_the_table_that_it_says():
    s = np.random.default_rng(0).integers(0, 4, (6, 30))
    s[2, 5:9] = -1
    vectors = np.where(s[..., None] >= 0, np.eye(4)[s], np.nan)
    model = _with_logits()
    found, expected = dbn.smooth(model, {"S": vectors}), dbn.smooth(SYMBOLS, {"S": s})
    np.testing.assert_allclose(found["Z"], expected["Z"], atol=1e-12)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-12)
    s, vectors = np.delete(s, 2, 0), np.delete(vectors, 2, 0)  # tables count what is missing, which is slower
    learnt, by_tables = (dbn.fit(m, {"S": e}, steps=5, tolerance=0) for m, e in ((model, vectors), (SYMBOLS, s)))
    np.testing.assert_allclose(learnt.log_likelihoods, by_tables.log_likelihoods, rtol=1e-6)
    assert (np.diff(learnt.log_likelihoods) > 0).all()


def test_an_emission_may_be_a_network_given_covariates():
    """p(y | z, u) with u a part of the vector: a mixture of experts that remembers."""
    t = db.SliceTemplate("experts")
    x, W, v = t.input("yu", 3), t.parameter("W", (K, 2)), t.parameter("v", K)
    t.define(
        t.variable("log_likelihood", K),
        -0.5 * db.square(x @ np.array([1.0, 0, 0]) - db.tanh(W @ (np.eye(3)[1:] @ x)) - v),
    )
    rng = np.random.default_rng(1)
    u = rng.normal(size=(200, 2))
    y = np.tanh(u @ [1.0, -2.0]) + 0.3 * rng.normal(size=200)
    start = {"W": rng.normal(size=(K, 2)), "v": np.zeros(K)}
    model = dbn.emit(build({"Z": K}, [("Z", "Z", 1)]), "YU", dbn.emission("Z", t, start))
    found = dbn.fit(model, {"YU": np.column_stack([y, u])}, steps=20)
    assert (np.diff(found.log_likelihoods) > -1e-9).all()
    assert found.log_likelihoods[-1] > found.log_likelihoods[0] + 10
    with pytest.raises(db.DataError, match="nothing tells how vectors of this emission are drawn"):
        dbn.sample(model, 2, T=3)


def test_vectors_of_ones_own_are_drawn_as_one_says():
    def draw(states, parameters, rng):
        p = np.exp(parameters["logits"][states])
        return np.eye(4)[[rng.choice(4, p=row / row.sum()) for row in p]]

    paths = dbn.sample(_with_logits(draw), 2000, T=2, seed=1)
    table = SYMBOLS.get_cpds(("S", 0)).values
    for k in range(K):
        own = paths["S"][paths["Z"] == k].mean(0)
        np.testing.assert_allclose(own, table[:, k], atol=0.05)


# -------------------------------------------------------------------------------------------------------------- sampling
def test_drawn_vectors_have_the_moments_of_their_states():
    paths = dbn.sample(NORMAL, 20000, T=2, seed=2)
    z, x = paths["Z"][:, 1], paths["X"][:, 1]
    for k in range(K):
        own = x[z == k]
        assert abs(own.mean(0) - MEANS[k]).max() < 5 * np.sqrt(COVARIANCES[k].max() / len(own))
        np.testing.assert_allclose(np.cov(own.T), COVARIANCES[k], atol=0.25)
    assert (dbn.sample(COUNTS, 50, T=2, seed=2)["X"] % 1 == 0).all()


def test_drawn_vectors_keep_what_was_observed_and_follow_it():
    paths = dbn.sample(NORMAL, 20000, {"X": HOLES}, seed=4)
    assert paths["X"].shape == (20000, T, D)
    seen = ~np.isnan(HOLES)
    assert (paths["X"][:, seen] == HOLES[seen]).all()
    k = np.bincount(paths["Z"][:, 0]).argmax()
    own = paths["X"][paths["Z"][:, 0] == k][:, 0, 1]
    c = COVARIANCES[k]
    mean = MEANS[k, 1] + c[1, 0] / c[0, 0] * (HOLES[0, 0] - MEANS[k, 0])
    assert own.mean() == pytest.approx(mean, abs=5 * np.sqrt(c[1, 1] / len(own)))
    assert own.var() == pytest.approx(c[1, 1] - c[1, 0] ** 2 / c[0, 0], rel=0.1)
    table = paths.to_frame()
    assert list(table.columns) == ["Z", "Y", "X[0]", "X[1]"]


# ---------------------------------------------------------------------------------------------------------------- tables
def test_tables_hold_vectors_in_columns():
    expected = dbn.smooth(NORMAL, {"X": HOLES})["Z"]
    table = pd.DataFrame(HOLES, columns=["X[0]", "X[1]"])
    np.testing.assert_allclose(dbn.smooth(NORMAL, table)["Z"], expected, atol=1e-14)
    np.testing.assert_allclose(dbn.smooth(NORMAL, pd.DataFrame({"X": list(HOLES)}))["Z"], expected, atol=1e-14)
    both = pd.concat([table.assign(sequence="a"), table.iloc[:2].assign(sequence="b")])
    found = dbn.smooth(NORMAL, both)
    assert found.sequences == ("a", "b")
    np.testing.assert_allclose(found["Z"][1, :2], dbn.smooth(NORMAL, {"X": HOLES[:2]})["Z"], atol=1e-14)
    text = io.StringIO(table.to_csv(index=False))
    np.testing.assert_allclose(dbn.smooth(NORMAL, pd.read_csv(text))["Z"], expected, atol=1e-12)


def test_a_network_says_what_is_in_it():
    assert str(NORMAL) == "Network of Z (3 states), Y (2 states), X (2 numbers)"


def _called(new):
    t = db.SliceTemplate("logits")
    x, logits = t.input("x", 4), t.parameter("logits", (K, 4))
    t.define(t.variable(new, K), logits @ x)
    return t


def _lagged():
    t = db.SliceTemplate("lagged")
    x, logits = t.input("x", 4), t.parameter("logits", (K, 4))
    out = t.variable("log_likelihood", K)
    t.define(out, logits @ x + out.prev)
    return t


MISTAKES = [
    (lambda: dbn.emit(BASE, "Z", dbn.poisson("Z", RATES)), "'Z' is a variable already"),
    (lambda: dbn.emit(NORMAL, "X", dbn.poisson("Z", RATES)), "'X' is a vector already"),
    (lambda: dbn.emit(BASE, "X", dbn.poisson("z", RATES)), "unknown variable 'z'; did you mean 'Z'"),
    (lambda: dbn.emit(BASE, "X", dbn.poisson("Y", RATES)), "has 3 states, but 'Y' has 2; give it a row for each"),
    (lambda: dbn.gaussian("Z", MEANS, COVARIANCES, shape="round"), "shape='round'; give one of 'full'"),
    (lambda: dbn.gaussian("Z", MEANS, np.ones((K, D))), r"covariances has shape \(3, 2\); for shape='full' it must be \(K, d, d\), K = 3"),
    (lambda: dbn.gaussian("Z", MEANS, -1.0, shape="diagonal"), "variances positive"),
    (lambda: dbn.gaussian("Z", MEANS, np.nan), "covariances holds NaN"),
    (lambda: dbn.gaussian("Z", "ab", 1.0), "means is no array of numbers"),
    (lambda: dbn.gaussian("Z", np.ones((1, 1, 1)), 1.0), "a row for each state"),
    (lambda: dbn.gaussian("Z", MEANS, 1.0, floor=-1), "the least variance is 0 or more"),
    (lambda: dbn.poisson("Z", [0.0, 1.0]), "positive numbers"),
    (lambda: dbn.mixture("Z", [0.5, 0.5], CENTRES, 1.0), "weights must be .K, M. probabilities"),
    (lambda: dbn.mixture("Z", SHARES, MEANS[0], 1.0), "means has shape"),
    (lambda: dbn.emission("Z", db.SliceTemplate("t"), {}), "has one input, a vector"),
    (lambda: dbn.emission("Z", _called("other"), {}), "defines a variable 'log_likelihood'"),
    (lambda: dbn.emission("Z", _logits(), {}), "parameter 'logits' is missing"),
    (lambda: dbn.emission("Z", _lagged(), {"logits": np.ones((K, 4))}), "is read in another slice"),
    (lambda: dbn.smooth(_with_logits(), {"S": [[1, 0, np.nan, 0]]}), "a vector has some numbers and lacks others"),
    (lambda: scale.fit(_with_logits(), [{"S": np.eye(4)}]), "needs all observations at once; train its parameters by dbn.fit"),
    (lambda: dbn.smooth(NORMAL, {"X": np.ones((3, 3))}), r"evidence of 'X' has shape \(3, 3\); it must be \(T, 2\)"),
    (lambda: dbn.smooth(NORMAL, {"X": [[np.inf, 0]]}), "evidence of 'X' is inf at index"),
    (lambda: dbn.smooth(NORMAL, {"X": [["a", "b"]]}), "evidence of 'X' is no array of numbers"),
    (lambda: dbn.smooth(COUNTS, {"X": [[0.5, 1]]}), "evidence of 'X': 0.5 is no count"),
    (lambda: dbn.smooth(NORMAL, {"X": X, "Y": [0]}), "give all of it the same slices"),
    (lambda: dbn.smooth(NORMAL, {"x": X}), "unknown variable 'x'; did you mean 'X'"),
    (lambda: dbn.smooth(NORMAL, pd.DataFrame({"X[0]": [1.0]})), r"the column 'X\[1\]' is missing"),
    (lambda: dbn.smooth(NORMAL, pd.DataFrame({"X[2]": [1.0]})), r"unknown variable 'X\[2\]'"),
    (lambda: dbn.fit(NORMAL, {"X": np.ones((30, 2))}, steps=50), "state . of 'Z' has collapsed: .*give floor="),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_are_named(mistake, message):
    with pytest.raises(db.DbnBpttError, match=message):
        mistake()


def test_a_floor_keeps_states_from_collapsing():
    model = dbn.emit(BASE, "X", dbn.gaussian("Z", MEANS, COVARIANCES, floor=0.01))
    found = dbn.fit(model, {"X": np.ones((30, 2))}, steps=50).model.emissions["X"]
    assert np.linalg.eigvalsh(found.covariances).min() == pytest.approx(0.01)

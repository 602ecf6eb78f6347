"""Emissions of vectors against hmmlearn: likelihoods, posteriors, paths, and steps of expectation maximisation."""

import warnings

import numpy as np
import pytest
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

from dbn_bptt import dbn

hmm = pytest.importorskip("hmmlearn.hmm", reason="hmmlearn is not installed")
K, D, LENGTHS = 3, 2, [40, 7, 25, 1, 60]
SHAPES = {"full": "full", "diag": "diagonal", "spherical": "spherical", "tied": "tied"}


def _chain(start, move):
    """A hidden chain without anything to see."""
    model = DynamicBayesianNetwork([(("Z", 0), ("Z", 1))])
    model.add_cpds(
        TabularCPD(("Z", 0), K, start[:, None]), TabularCPD(("Z", 1), K, move.T, [("Z", 0)], [K]),
    )  # fmt: skip
    return model


def _random(seed):
    rng = np.random.default_rng(seed)
    return rng, rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), K)


def _gaussians(kind, seed=0):
    """The same model twice, and observations drawn from another one."""
    rng, start, move = _random(seed)
    means, roots = rng.normal(size=(K, D)), rng.normal(size=(K, D, D))
    whole = roots @ np.swapaxes(roots, 1, 2) + np.eye(D)
    given = {
        "full": whole,
        "diag": np.diagonal(whole, axis1=1, axis2=2).copy(),
        "spherical": whole[:, 0, 0],
        "tied": whole[0],
    }
    theirs = hmm.GaussianHMM(
        K, kind, covars_prior=0.0, covars_weight=1.0, min_covar=0.0, means_weight=0.0, init_params="", tol=0.0,
        implementation="log",
    )  # fmt: skip
    theirs.startprob_, theirs.transmat_, theirs.means_ = start, move, means
    theirs.covars_ = given[kind]
    ours = dbn.emit(_chain(start, move), "X", dbn.gaussian("Z", means, given[kind], shape=SHAPES[kind]))
    x = rng.normal(size=(sum(LENGTHS), D)) * 1.5 + rng.integers(-1, 2, (sum(LENGTHS), 1))
    return theirs, ours, x


def _poissons():
    rng, start, move = _random(1)
    rates = rng.uniform(0.5, 6, (K, D))
    theirs = hmm.PoissonHMM(K, lambdas_prior=0.0, lambdas_weight=0.0, init_params="", tol=0.0, implementation="log")
    theirs.startprob_, theirs.transmat_, theirs.lambdas_ = start, move, rates
    ours = dbn.emit(_chain(start, move), "X", dbn.poisson("Z", rates))
    return theirs, ours, rng.poisson(rng.uniform(1, 6, (sum(LENGTHS), 1)), (sum(LENGTHS), D))


def _mixtures(kind):
    rng, start, move = _random(2)
    M = 2
    weights, means = rng.dirichlet(np.ones(M), K), rng.normal(size=(K, M, D))
    roots = rng.normal(size=(K, M, D, D))
    whole = roots @ np.swapaxes(roots, 2, 3) + np.eye(D)
    given = {"full": whole, "diag": np.diagonal(whole, axis1=2, axis2=3).copy(), "spherical": whole[..., 0, 0]}[kind]
    theirs = hmm.GMMHMM(K, M, covariance_type=kind, min_covar=0.0, init_params="", tol=0.0, implementation="log")
    theirs.n_features = D
    theirs.startprob_, theirs.transmat_, theirs.weights_, theirs.means_ = start, move, weights, means
    theirs.covars_ = given
    theirs._init_covar_priors()
    theirs._fix_priors_shape()
    ours = dbn.emit(_chain(start, move), "X", dbn.mixture("Z", weights, means, given, shape=SHAPES[kind]))
    x = rng.normal(size=(sum(LENGTHS), D)) * 1.5 + rng.integers(-2, 3, (sum(LENGTHS), 1))
    return theirs, ours, x


MODELS = {
    **{kind: (lambda kind=kind: _gaussians(kind)) for kind in SHAPES},
    "Poisson": _poissons,
    **{f"mixture, {kind}": (lambda kind=kind: _mixtures(kind)) for kind in ("full", "diag", "spherical")},
}


def _ragged(x):
    """Sequences one after the other as a batch, NaN after the end of each."""
    padded = np.full((len(LENGTHS), max(LENGTHS), x.shape[1]), np.nan)
    for k, own in enumerate(np.split(x, np.cumsum(LENGTHS)[:-1])):
        padded[k, : len(own)] = own
    return {"X": padded}


@pytest.mark.parametrize("name", MODELS)
def test_likelihoods_posteriors_and_paths(name):
    theirs, ours, x = MODELS[name]()
    log_likelihood, posterior = theirs.score_samples(x, LENGTHS)
    found = dbn.smooth(ours, _ragged(x), lengths=LENGTHS)
    assert found.log_likelihood.sum() == pytest.approx(log_likelihood, rel=1e-10)
    inside = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    np.testing.assert_allclose(found["Z"][inside], posterior, atol=1e-8)
    best, states = theirs.decode(x, LENGTHS, algorithm="viterbi")
    path = dbn.viterbi(ours, _ragged(x), lengths=LENGTHS)
    assert path.log_probability.sum() == pytest.approx(best, rel=1e-10)
    assert (path["Z"][inside] == states).all()


@pytest.mark.parametrize("steps", [1, 50])
@pytest.mark.parametrize("name", [name for name in MODELS if "mixture" not in name])
def test_steps_of_expectation_maximisation(name, steps):
    theirs, ours, x = MODELS[name]()
    theirs.n_iter = theirs.monitor_.n_iter = steps
    found = dbn.fit(ours, _ragged(x), lengths=LENGTHS, steps=steps, tolerance=0).model
    theirs.fit(x, LENGTHS)
    emission = found.emissions["X"]
    np.testing.assert_allclose(found.first["Z"].values, theirs.startprob_, atol=1e-8)
    np.testing.assert_allclose(found.later["Z"].values.T, theirs.transmat_, atol=1e-8)
    if name == "Poisson":
        np.testing.assert_allclose(emission.rates, theirs.lambdas_, rtol=1e-8)
    else:
        np.testing.assert_allclose(emission.means, theirs.means_, atol=1e-8)
        expected = (
            theirs._covars_[:, 0] if name == "spherical" else theirs.covars_
        )  # whose shape is wrong for one variance
        ours = emission.covariances[:, 0, 0] if name == "spherical" else emission.covariances
        np.testing.assert_allclose(ours, np.reshape(expected, ours.shape), atol=1e-8)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_step_of_a_mixture(kind):
    """hmmlearn takes covariances about the means before the step, which is no maximum; the rest is the same."""
    theirs, ours, x = _mixtures(kind)
    before = ours.emissions["X"].components.means
    theirs.n_iter = theirs.monitor_.n_iter = 1
    found = dbn.fit(ours, _ragged(x), lengths=LENGTHS, steps=1, tolerance=0).model
    theirs.fit(x, LENGTHS)
    emission = found.emissions["X"]
    np.testing.assert_allclose(found.later["Z"].values.T, theirs.transmat_, atol=1e-8)
    np.testing.assert_allclose(emission.weights, theirs.weights_, atol=1e-8)
    np.testing.assert_allclose(emission.components.means, theirs.means_.reshape(-1, D), atol=1e-8)
    if kind == "full":
        moved = emission.components.means - before
        about = emission.components.covariances + moved[:, :, None] * moved[:, None]
        np.testing.assert_allclose(about, theirs.covars_.reshape(about.shape), atol=1e-8)


@pytest.mark.parametrize("steps", [1, 50])
@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_mixture_of_one_state_is_that_of_scikit_learn(kind, steps):
    sklearn = pytest.importorskip("sklearn.mixture", reason="scikit-learn is not installed")
    rng, M = np.random.default_rng(5), 3
    x = rng.normal(size=(200, D)) + 3 * rng.integers(-1, 2, (200, 1))
    weights, means = rng.dirichlet(np.ones(M)), rng.normal(size=(M, D))
    given = {"full": np.array([np.eye(D)] * M), "diag": np.ones((M, D)), "spherical": np.ones(M)}[kind]
    theirs = sklearn.GaussianMixture(
        M, covariance_type=kind, tol=0.0, reg_covar=0.0, max_iter=steps, weights_init=weights, means_init=means,
        precisions_init=given,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        theirs.fit(x)
    one = DynamicBayesianNetwork([(("Z", 0), ("Z", 1))])
    one.add_cpds(TabularCPD(("Z", 0), 1, [[1.0]]), TabularCPD(("Z", 1), 1, [[1.0]], [("Z", 0)], [1]))
    emission = dbn.mixture("Z", weights[None], means[None], given[None], shape=SHAPES[kind])
    found = dbn.fit(dbn.emit(one, "X", emission), {"X": x}, steps=steps, tolerance=0).model.emissions["X"]
    np.testing.assert_allclose(found.weights[0], theirs.weights_, atol=1e-8)
    np.testing.assert_allclose(found.components.means, theirs.means_, atol=1e-8)
    own = found.components.covariances
    own = {"full": own, "diag": np.diagonal(own, axis1=1, axis2=2), "spherical": own[:, 0, 0]}[kind]
    np.testing.assert_allclose(own, theirs.covariances_, atol=1e-8)


@pytest.mark.parametrize("kind", [*SHAPES, "counts"])
def test_criteria_of_choice(kind):
    theirs, ours, x = _poissons() if kind == "counts" else _gaussians(kind)
    theirs.n_features = D
    found = dbn.score(ours, _ragged(x), lengths=LENGTHS)
    assert found.aic == pytest.approx(theirs.aic(x, LENGTHS), rel=1e-9)
    assert found.bic == pytest.approx(theirs.bic(x, LENGTHS), rel=1e-9)


def test_the_best_of_several_starts_is_no_worse_than_theirs():
    means = np.array([[-2.0, 0.0], [0.5, 2.0], [2.0, -1.0]])
    true = dbn.emit(_chain(np.full(K, 1 / K), 0.8 * np.eye(K) + 0.2 / K), "X", dbn.gaussian("Z", means, 1.0))
    x = dbn.sample(true, 4, T=60, seed=1)["X"]
    theirs = []
    for seed in range(8):
        model = hmm.GaussianHMM(
            K,
            "diag",
            covars_prior=0.0,
            covars_weight=1.0,
            min_covar=0.0,
            means_weight=0.0,
            n_iter=60,
            tol=1e-6,
            random_state=seed,
        )
        theirs.append(model.fit(x.reshape(-1, 2), [60] * 4).score(x.reshape(-1, 2), [60] * 4))
    poor = dbn.gaussian("Z", np.zeros((K, 2)), 1.0, shape="diagonal")
    start = dbn.emit(_chain(np.full(K, 1 / K), np.full((K, K), 1 / K)), "X", poor)
    ours = dbn.fit(start, {"X": x}, starts=8, tolerance=1e-8, steps=100).log_likelihoods[-1]
    assert dbn.fit(start, {"X": x}).log_likelihoods[-1] < max(theirs) - 20
    assert ours > max(theirs) - 0.01

"""Emissions of vectors against hmmlearn: likelihoods, posteriors, paths, and steps of expectation maximisation."""

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


MODELS = {**{kind: (lambda kind=kind: _gaussians(kind)) for kind in SHAPES}, "Poisson": _poissons}


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
@pytest.mark.parametrize("name", MODELS)
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

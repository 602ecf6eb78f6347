"""Inference against hmmlearn and pyAgrum."""

import numpy as np
import pytest

from dbn_bptt import dbn
from tests.dbn_models import STRUCTURES, Structure, build, draw_evidence


def peer(name: str):
    return pytest.importorskip(name, reason=f"{name.split('.')[0]} is not installed (extra: peers)")


def _hidden_markov_model(K=3, M=5, seed=0):
    return build({"Z": K, "Y": M}, [("Z", "Y", 0), ("Z", "Z", 1)], seed)


def _as_hmmlearn(model, **options):
    hmm = peer("hmmlearn.hmm")
    cpds = {tuple(c.variables[0]): c.values for c in model.cpds}
    K, M = len(cpds["Z", 0]), len(cpds["Y", 0])
    other = hmm.CategoricalHMM(K, n_features=M, init_params="", **options)
    other.startprob_, other.transmat_, other.emissionprob_ = cpds["Z", 0], cpds["Z", 1].T, cpds["Y", 0].T
    return other


def test_posteriors_and_paths_equal_hmmlearn():
    model = _hidden_markov_model()
    other = _as_hmmlearn(model)
    y = np.random.default_rng(1).integers(0, 5, 300)
    log_likelihood, posterior = other.score_samples(y[:, None])
    found = dbn.smooth(model, {"Y": y})
    np.testing.assert_allclose(found["Z"], posterior, atol=1e-10)
    assert found.log_likelihood == pytest.approx(log_likelihood)
    log_probability, path = other.decode(y[:, None])
    best = dbn.viterbi(model, {"Y": y})
    assert best.log_probability == pytest.approx(log_probability)
    if best["Z"].tolist() != path.tolist():  # two paths may be equally probable
        assert _log_probability(model, best["Z"], y) == pytest.approx(_log_probability(model, path, y), rel=1e-12)


def _log_probability(model, z, y):
    cpds = {tuple(c.variables[0]): np.log(c.values) for c in model.cpds}
    return cpds["Z", 0][z[0]] + cpds["Z", 1][z[1:], z[:-1]].sum() + cpds["Y", 0][y, z].sum()


def test_learning_equals_hmmlearn():
    """200 sequences of a known model, from the same random start."""
    truth = _hidden_markov_model(seed=3)
    y = dbn.sample(truth, 200, T=40, seed=4)["Y"]
    start = _hidden_markov_model(seed=11)
    found = dbn.fit(start, {"Y": y}, steps=60, tolerance=0.0)
    other = _as_hmmlearn(start, n_iter=60, tol=-np.inf)
    other.fit(y.reshape(-1, 1), [40] * 200)
    score = other.score(y.reshape(-1, 1), [40] * 200)
    assert (np.diff(found.log_likelihoods) > -1e-8).all()
    assert found.log_likelihoods[-1] == pytest.approx(score, rel=1e-9)
    np.testing.assert_allclose(found.model.get_cpds(("Z", 1)).values, other.transmat_.T, atol=1e-6)
    np.testing.assert_allclose(found.model.get_cpds(("Y", 0)).values, other.emissionprob_.T, atol=1e-6)
    at_truth = dbn.log_likelihood(truth, {"Y": y}).sum()
    assert found.log_likelihoods[-1] > at_truth * 1.001, "within 0.1 % of what the true parameters reach"


def _as_pyagrum(model, structure: Structure):
    gum, ktbn = peer("pyagrum"), peer("pyagrum.ktbn")
    other = ktbn.KTBN(2)
    for name, size in structure.sizes.items():
        other.addTemporal(gum.RangeVariable(name, name, 0, size - 1))
    cpds = {tuple(c.variables[0]): c for c in model.cpds}
    for slice_ in (0, 1):
        for name in structure.sizes:
            cpd = cpds.get((name, slice_)) or cpds[name, 0]
            shift = slice_ - cpd.variables[0][1]
            for parent, t in [(v[0], v[1] + shift) for v in cpd.variables[1:]]:
                other.addArc(parent, t, name, slice_)
    for slice_ in (0, 1):
        for name in structure.sizes:
            cpd = cpds.get((name, slice_)) or cpds[name, 0]
            shift = slice_ - cpd.variables[0][1]
            axes = [f"{v[0]}[{v[1] + shift}]" for v in cpd.variables]
            table = other.cpt(name, slice_)
            order = [axes.index(label) for label in reversed(table.names)]
            table.fillWith(np.transpose(cpd.values, order).ravel().tolist())
    return other


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_posteriors_equal_pyagrum(structure: Structure):
    model, T = structure.make(5), 12
    evidence = draw_evidence(np.random.default_rng(6), structure, T)
    other = _as_pyagrum(model, structure)
    engine = peer("pyagrum.ktbn").KTBNInference(other)
    for name, states in evidence.items():
        for t, state in enumerate(states):
            if state >= 0:
                engine.addObservation(name, t, int(state))
    for name in structure.sizes:
        engine.addTarget(name)
    engine.makeInference(T)
    found = dbn.smooth(model, evidence)
    for name in structure.sizes:
        expected = np.stack([engine.posterior(name, t).toarray() for t in range(T)])
        np.testing.assert_allclose(found[name], expected, atol=1e-10)
    assert found.log_likelihood == pytest.approx(engine.logObservationProbability())

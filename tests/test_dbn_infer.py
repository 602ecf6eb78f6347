"""Exact inference against enumeration of the joint distribution."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dbn_bptt import dbn
from tests.dbn_models import STRUCTURES, Enumerated, Structure, draw_evidence, enumerated, indicator, random_structure


def _assert_smoothed(posterior, joint: Enumerated, structure: Structure, T: int) -> None:
    assert posterior.log_likelihood == pytest.approx(joint.log_likelihood, abs=1e-10)
    for name in structure.sizes:
        for t in range(T):
            np.testing.assert_allclose(posterior[name, t], joint.marginal(name, t), atol=1e-10)


def _check_all_verbs(structure: Structure, model, evidence, T: int) -> None:
    joint = enumerated(model, T, indicator(evidence, structure.sizes))
    _assert_smoothed(dbn.smooth(model, evidence, T=T), joint, structure, T)
    assert dbn.log_likelihood(model, evidence, T=T) == pytest.approx(joint.log_likelihood, abs=1e-10)
    path = dbn.viterbi(model, evidence, T=T)
    assert path.log_probability == pytest.approx(joint.best(), abs=1e-10)
    assert joint.of({(name, t): path[name][t] for name, t in joint.axes}) == pytest.approx(joint.best(), abs=1e-10)
    filtered = dbn.filter(model, evidence, T=T)
    for t in range(T):
        until = enumerated(model, t + 1, indicator({n: a[: t + 1] for n, a in evidence.items()}, structure.sizes))
        for name in structure.sizes:
            np.testing.assert_allclose(filtered[name, t], until.marginal(name, t), atol=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
@pytest.mark.parametrize("T", [1, 2, 3])
def test_named_structures_equal_enumeration(structure: Structure, T: int):
    model = structure.make(seed=T)
    evidence = draw_evidence(np.random.default_rng(T), structure, T)
    _check_all_verbs(structure, model, evidence, T)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 4),
    share=st.sampled_from([0.2, 0.6]),
    zeros=st.sampled_from([0.0, 0.3]),
)
def test_random_networks_equal_enumeration(seed: int, n: int, share: float, zeros: float):
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, n)
    T = 4 if n < 3 else 3 if n == 3 else 2
    model = structure.make(seed, zeros)
    evidence = draw_evidence(rng, structure, T, share)
    assume(enumerated(model, T, indicator(evidence, structure.sizes)).joint.sum() > 0)
    _check_all_verbs(structure, model, evidence, T)

"""Exact inference against enumeration of the joint distribution."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dbn_bptt
from dbn_bptt import dbn
from tests.dbn_models import (
    STRUCTURES,
    Enumerated,
    Structure,
    build,
    draw_evidence,
    enumerated,
    indicator,
    random_structure,
)


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


def _switching(stay: float = 1.0):
    """A hidden variable that never changes, and observations that speak for one state and then for the other."""
    model = build({"Z": 2, "Y": 2}, [("Z", "Y", 0), ("Z", "Z", 1)])
    cpds = {tuple(c.variables[0]): c for c in model.cpds}
    cpds["Z", 0].values[:] = 0.5
    cpds["Z", 1].values[:] = [[stay, 1 - stay], [1 - stay, stay]]
    cpds["Y", 0].values[:] = [[0.9, 0.1], [0.1, 0.9]]
    return model


def test_what_is_too_small_for_a_number_is_not_lost():
    """A state whose probability falls below 1e-308 may come back."""
    y = np.array([0] * 400 + [1] * 1000)
    by_hand = np.log(0.5) + np.array([400 * np.log(0.9) + 1000 * np.log(0.1), 400 * np.log(0.1) + 1000 * np.log(0.9)])
    posterior = dbn.smooth(_switching(), {"Y": y})
    assert posterior.log_likelihood == pytest.approx(np.logaddexp(*by_hand), rel=1e-12)
    np.testing.assert_allclose(posterior["Z"], np.tile([0.0, 1.0], (1400, 1)), atol=1e-12)
    path = dbn.viterbi(_switching(), {"Y": y})
    assert path.log_probability == pytest.approx(by_hand.max(), rel=1e-12)
    assert (path["Z"] == 1).all()
    assert (dbn.sample(_switching(), 3, {"Y": y})["Z"] == 1).all()
    counts = dbn.expected_counts(_switching(), {"Y": y})
    np.testing.assert_allclose(counts["Z", 1], [[0, 0], [0, 1399]], atol=1e-9)
    filtered = dbn.filter(_switching(), {"Y": y})["Z"]
    np.testing.assert_allclose(filtered[300], [1, 0], atol=1e-12)
    np.testing.assert_allclose(filtered[-1], [0, 1], atol=1e-12)
    late = np.ones((400, 2))
    late[-1] = [0, 1]
    found = dbn.smooth(_switching(), {"Y": [0] * 400}, soft={"Z": late})
    np.testing.assert_allclose(found["Z"][0], [0, 1])
    assert found.log_likelihood == pytest.approx(np.log(0.5) + 400 * np.log(0.1))


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_logarithms_give_what_probabilities_give(structure: Structure, monkeypatch):
    """Sums run on logarithms where numbers become too small; here all of them are called so."""
    from dbn_bptt.dbn.inference import query

    model, T = structure.make(3, zeros=0.3), 3
    evidence = draw_evidence(np.random.default_rng(1), structure, T, 0.3)
    try:
        expected = (
            dbn.smooth(model, evidence, T=T),
            dbn.filter(model, evidence, T=T),
            dbn.expected_counts(model, evidence, T=T),
        )
    except dbn_bptt.ImpossibleEvidenceError:
        pytest.skip("impossible evidence was drawn")
    monkeypatch.setattr(query, "_is_too_small", lambda answer: True)
    found = (
        dbn.smooth(model, evidence, T=T),
        dbn.filter(model, evidence, T=T),
        dbn.expected_counts(model, evidence, T=T),
    )
    for a, b in zip(expected[:2], found[:2], strict=True):
        assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-12)
        for name in a:
            np.testing.assert_allclose(a[name], b[name], atol=1e-12)
    for key, counts in expected[2].items():
        np.testing.assert_allclose(found[2][key], counts, atol=1e-12)


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e200])
def test_the_scale_of_soft_evidence_does_not_matter(size: float):
    model = STRUCTURES[0].make(1)
    rng = np.random.default_rng(0)
    soft = {"Z": rng.random((5, 3)), "Y": rng.random((5, 4))}
    expected = dbn.smooth(model, soft=soft)
    scaled = (
        {name: np.maximum(a.round(2), 0.01) * size for name, a in soft.items()}
        if size < 1e-300
        else {n: a * size for n, a in soft.items()}
    )
    found = dbn.smooth(model, soft=scaled)
    if size > 1e-300:
        np.testing.assert_allclose(found["Z"], expected["Z"], atol=1e-12)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood + 10 * np.log(size))
    assert np.isfinite(found["Z"]).all()


def test_sequences_of_one_slice_in_a_ragged_batch():
    """What comes after their end must not meet the tables of later slices."""
    model = build({"Y": 2}, [("Y", "Y", 1)])
    cpds = {tuple(c.variables[0]): c for c in model.cpds}
    cpds["Y", 0].values[:] = 0.5
    cpds["Y", 1].values[:] = [[0, 1], [1, 0]]
    evidence, lengths = {"Y": [[0, -1, -1], [0, 1, 0]]}, [1, 3]
    for verb in (dbn.smooth, dbn.filter):
        found = verb(model, evidence, lengths=lengths)
        assert found["Y"][0].tolist() == [[1, 0], [0, 0], [0, 0]]
        np.testing.assert_allclose(found.log_likelihood, np.log([0.5, 0.5]))
    counts = dbn.expected_counts(model, evidence, lengths=lengths)
    np.testing.assert_allclose(counts["Y", 0], [2, 0])
    np.testing.assert_allclose(counts["Y", 1], [[0, 1], [1, 0]])


def test_names_that_look_like_the_templates_own():
    model = build(
        {"Z": 2, "Z_bar": 2, "A": 2, "A_before": 3},
        [("Z", "Z_bar", 0), ("Z", "Z", 1), ("A", "A", 1), ("A_before", "A_before", 1)],
    )
    found = dbn.smooth(model, {"Z_bar": [[0, 1, 1], [1, 0, 0]]}, lengths=[3, 2])
    assert found["A_before"].shape == (2, 3, 3)


def test_names_that_are_equal_are_not_the_same():
    for names in (("1", "2"), (1, 2), (1.0, 2.0), (True, 2)):
        model = build({names[0]: 2, names[1]: 2}, [(names[0], names[1], 0), (names[0], names[0], 1)])
        assert dbn.smooth(model, {names[1]: [0, 1]})[names[0]].shape == (2, 2)


def test_what_is_seen_in_every_slice_needs_no_gradient_and_has_its_own_states():
    from dbn_bptt.dbn.inference.query import swept
    from dbn_bptt.dbn.inference.task import given_task
    from dbn_bptt.dbn.polynomial.reductions import SUM

    model = dbn.umbrella()
    task = given_task(model, {"Umbrella": [[1, 0, 1], [0, 0, 1]]})
    assert task.unknown == ("e_Rain",)
    assert set(swept(task, SUM, task.unknown).gradients) == {"e_Rain"}
    posterior = dbn.smooth(model, {"Umbrella": [[1, 0, 1], [0, 0, 1]]})
    assert posterior["Umbrella"].argmax(-1).tolist() == [[1, 0, 1], [0, 0, 1]]
    assert set(np.unique(posterior["Umbrella"])) == {0.0, 1.0}
    gap = given_task(model, {"Umbrella": [1, -1, 1]})
    assert gap.unknown == ("e_Rain", "e_Umbrella")


def test_prediction_keeps_the_likelihood_of_soft_evidence():
    model, soft = dbn.umbrella(), {"Umbrella": [[0.1, 0.4], [0.2, 0.3]]}
    assert dbn.predict(model, 1, soft=soft).log_likelihood == pytest.approx(dbn.log_likelihood(model, soft=soft))


def _with_tables(model, **values):
    """The model with some of its tables replaced, Z1 by that of Z in slice 1."""
    for cpd in model.cpds:
        name, t = cpd.variables[0]
        if f"{name}{t}" in values:
            cpd.values[...] = values[f"{name}{t}"]
    return model


def test_the_message_back_to_an_impossible_state_may_exceed_all_numbers():
    model = _with_tables(
        build({"Z": 2, "Y": 2}, [("Z", "Y", 0), ("Z", "Z", 1)]),
        Z0=[1, 0], Z1=np.eye(2), Y0=[[0.9, 0.1], [0.1, 0.9]],
    )  # fmt: skip
    np.testing.assert_array_equal(dbn.smooth(model, {"Y": [1] * 400})["Z"], [[1, 0]] * 400)
    counts = dbn.expected_counts(model, {"Y": [1] * 400})
    np.testing.assert_allclose(counts["Z", 1], [[399, 0], [0, 0]])
    found = dbn.fit(model, {"Y": [1] * 800 + [0] * 200})
    assert found.log_likelihoods[-1] == pytest.approx(800 * np.log(0.8) + 200 * np.log(0.2))  # Y is 1 in 800 of 1000


@pytest.mark.parametrize("edges", [[], [("Z", "Z", 1)]], ids=["alone", "chain"])
@pytest.mark.parametrize("p", [1e-150, 1e-155, 1e-160, 1e-170])
def test_one_slice_may_be_as_improbable_as_it_likes(edges, p: float):
    model = _with_tables(
        build({"Z": 2, "A": 2, "B": 2}, [("Z", "A", 0), ("Z", "B", 0), *edges]),
        Z0=0.5, Z1=0.5, A0=[[1 - p, 1 - p], [p, p]], B0=[[1 - p, 1 - 2 * p], [p, 2 * p]],
    )  # fmt: skip
    evidence = {"A": [1], "B": [1]}
    for verb in (dbn.smooth, dbn.filter):
        found = verb(model, evidence)
        np.testing.assert_allclose(found["Z"], [[1 / 3, 2 / 3]], rtol=1e-12)
        assert found.log_likelihood == pytest.approx(2 * np.log(p) + np.log(1.5), rel=1e-14)
    assert dbn.viterbi(model, evidence)["Z"].tolist() == [1]


def test_many_coupled_chains_are_refused_with_a_reason():
    names = [f"Z{k}" for k in range(30)]
    edges = [(name, name, 1) for name in names] + [(a, b, 1) for a, b in itertools.pairwise(names)]
    with pytest.raises(dbn_bptt.ModelError, match=r"a table over 30 variables \(Z0, Z1, Z2, ...\) in every slice"):
        dbn.log_likelihood(build(dict.fromkeys(names, 2), edges), {"Z0": [0, 1]})


@pytest.mark.parametrize("lengths", [None, [5, 2, 4, 1, 3]])
def test_large_batches_are_taken_in_portions(monkeypatch, lengths):
    structure = STRUCTURES[0]
    model = structure.make(1)
    rng = np.random.default_rng(0)
    evidence = {"Y": rng.integers(0, structure.sizes["Y"], (5, 5))}
    soft = {"Z": rng.random((5, 5, structure.sizes["Z"]))}

    def run():
        path = dbn.viterbi(model, evidence, soft=soft, lengths=lengths)
        drawn = dbn.sample(model, 3, evidence, soft=soft, lengths=lengths, seed=4)
        return path, drawn

    whole = run()
    monkeypatch.setattr("dbn_bptt.dbn.inference.query.PORTION", 130)  # two sequences
    for one, other in zip(whole, run(), strict=True):
        np.testing.assert_array_equal(one["Z"], other["Z"])
    np.testing.assert_allclose(whole[0].log_probability, run()[0].log_probability, rtol=1e-14)
    for cpd in model.cpds:
        if cpd.variables[0][0] == "Y":  # no state 0 any more
            cpd.values[0], cpd.values[1] = 0.0, cpd.values[0] + cpd.values[1]
    states = np.ones((5, 5), int)
    states[4, 2] = 0
    with pytest.raises(dbn_bptt.ImpossibleEvidenceError, match="slice 2 of sequence 4"):
        dbn.viterbi(model, {"Y": states})

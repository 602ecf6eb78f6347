"""Particles against exact filtering: rates of convergence, unbiased likelihoods, all kinds of evidence."""

from itertools import pairwise

import numpy as np
import pytest

from dbn_bptt import dbn
from dbn_bptt.dbn.inference.particle_filter import kept_particles
from dbn_bptt.errors import DataError, ModelError
from tests.dbn_models import STRUCTURES, build, draw_evidence

COUPLED = next(structure for structure in STRUCTURES if structure.name == "coupled HMM").make(0)
SEEN = {name: dbn.sample(COUPLED, 1, T=30, seed=1)[name][0] for name in "XY"}
LEVELS = dbn.emit(COUPLED, "L", dbn.gaussian("A", [0.0, 1.5], 1.0))


def test_errors_fall_as_one_over_the_root_of_the_size():
    exact, sizes = dbn.filter(COUPLED, SEEN), [100, 316, 1000, 3162, 10_000]
    errors = []
    for size in sizes:
        found = [dbn.particles(COUPLED, SEEN, size=size, seed=seed) for seed in range(10)]
        errors.append(np.sqrt(np.mean([(one[name] - exact[name]) ** 2 for one in found for name in "AB"])))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(slope + 0.5) < 0.1
    assert errors[-1] < 0.01


@pytest.mark.parametrize("size", [2, 20])
def test_the_likelihood_is_unbiased(size):
    few = {name: a[:6] for name, a in SEEN.items()}
    copies = {name: np.tile(a, (20_000, 1)) for name, a in few.items()}  # each sequence has particles of its own
    ratios = np.exp(dbn.particles(COUPLED, copies, size=size).log_likelihood - dbn.log_likelihood(COUPLED, few))
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / np.sqrt(len(ratios))
    assert ratios.std() > 0.05


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_every_structure(structure):
    model, evidence = structure.make(1), draw_evidence(np.random.default_rng(0), structure, 8)
    exact, found = dbn.filter(model, evidence), dbn.particles(model, evidence, size=20_000)
    assert all(np.abs(found[name] - exact[name]).max() < 0.03 for name in structure.sizes)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, abs=0.08)


RNG = np.random.default_rng(0)
EVIDENCE = {
    "none": (COUPLED, {}, {"T": 4}),
    "soft": (COUPLED, SEEN, {"soft": {"A": RNG.random((30, 2)) + 0.1}}),
    "a soft one that is small": (COUPLED, {}, {"soft": {"A": np.array([[1e-280, 1e-290], [1.0, 0.0]])}}),
    "vectors": (LEVELS, {"L": RNG.normal(size=30), **SEEN}, {}),
    "far vectors": (LEVELS, {"L": [0.0, 1000.0, np.nan, 0.5]}, {}),
    "a ragged batch": (LEVELS, {"L": RNG.normal(size=(3, 12)), "Y": RNG.integers(0, 3, (3, 12))}, {"lengths": [12, 1, 7]}),
}  # fmt: skip


@pytest.mark.parametrize(("model", "evidence", "options"), EVIDENCE.values(), ids=EVIDENCE)
def test_every_kind_of_evidence(model, evidence, options):
    exact, found = dbn.filter(model, evidence, **options), dbn.particles(model, evidence, size=20_000, **options)
    for name in "ABXY":
        assert found[name].shape == exact[name].shape
        assert np.abs(found[name] - exact[name]).max() < 0.03
    assert np.shape(found.log_likelihood) == np.shape(exact.log_likelihood)
    assert np.allclose(found.log_likelihood, exact.log_likelihood, atol=0.08)
    assert found.effective.shape == exact["A"].shape[:-1]


def test_networks_that_are_too_large_for_exact_answers():
    names = [f"V{k}" for k in range(24)]
    edges = [(a, b, 0) for a, b in pairwise(names)] + [(name, name, 1) for name in names]
    model = build(dict.fromkeys(names, 3), edges)
    with pytest.raises(ModelError, match="exact inference needs a table"):
        dbn.filter(model, T=3)
    found = dbn.particles(model, T=3, size=50_000)["V0"]
    first, later = model.get_cpds(("V0", 0)).values, model.get_cpds(("V0", 1)).values  # V0 has no other parents
    assert np.allclose(found, [first, later @ first, later @ later @ first], atol=0.02)


def test_particles_that_go_on_are_spread_evenly():
    shares = np.random.default_rng(1).dirichlet(np.full(40, 0.2), 6)
    kept = kept_particles(shares, np.random.default_rng(2))
    copies = np.array([np.bincount(row, minlength=40) for row in kept])
    assert (np.abs(copies - 40 * shares) < 1).all()
    assert (copies.sum(1) == 40).all()
    average = np.mean(
        [np.bincount(kept_particles(shares[:1], np.random.default_rng(seed))[0], minlength=40) for seed in range(3000)],
        0,
    )
    assert np.abs(average - 40 * shares[0]).max() < 0.05


def test_the_same_seed_gives_the_same_particles():
    one, same, other = (dbn.particles(COUPLED, SEEN, size=50, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one["A"], same["A"])
    assert one.log_likelihood == same.log_likelihood != other.log_likelihood


def test_it_says_that_it_is_approximate():
    assert str(dbn.particles(COUPLED, SEEN)).startswith("Approximate, from 1000 particles, at least ")


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({"Y": [0, 0, 1]}, "none of 50 particles .* evidence of slice 2; give a larger size, or see by dbn.filter"),
        ({"Y": [[0, 0, 0], [0, 1, 0]]}, "slice 1 of sequence 1"),
    ],
    ids=["one sequence", "a batch"],
)  # fmt: skip
def test_particles_that_all_die_are_named(seen, message):
    model = build({"Z": 2, "Y": 2}, [("Z", "Z", 1), ("Z", "Y", 0)])
    for cpd in model.cpds:
        values = {("Z", 0): [1.0, 0.0], ("Z", 1): [[1.0, 0.0], [0.0, 1.0]], ("Y", 0): [[1.0, 0.0], [0.0, 1.0]]}
        cpd.values[...] = values[tuple(cpd.variables[0])]
    with pytest.raises(DataError, match=message):
        dbn.particles(model, seen, size=50)


def test_a_size_must_be_a_number():
    with pytest.raises(DataError, match="size is 0"):
        dbn.particles(COUPLED, SEEN, size=0)


def test_longer_memory_and_vectors_of_several_variables():
    chain = dbn.model(
        [("A", "A", 1), ("A", "A", 3), ("B", "B", 1)],
        {"A": {0: [0.5, 0.5], 1: [[0.8, 0.3], [0.2, 0.7]], 3: [[[0.9, 0.4], [0.3, 0.1]], [[0.1, 0.6], [0.7, 0.9]]]},
         "B": {0: [0.3, 0.7], 1: [[0.8, 0.3], [0.2, 0.7]]}},
    )  # fmt: skip
    model = dbn.emit(chain, "X", dbn.gaussian(("A", "B"), [0.0, 1.0, 2.0, 3.0], 0.5))
    seen = {"X": np.random.default_rng(0).normal(1.5, 1.0, 8)}
    found, exact = dbn.particles(model, seen, size=40_000, seed=1), dbn.filter(model, seen)
    for name in "AB":
        np.testing.assert_allclose(found[name], exact[name], atol=0.02)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, abs=0.03)
    with pytest.raises(ModelError, match="the same in all slices"):
        dbn.particles(dbn.drive(dbn.umbrella(), "W", dbn.logistic("Rain", np.zeros((2, 2, 1)))), {"W": [0.0]})

"""Criteria, held-out likelihoods, and several starts."""

import numpy as np
import pytest

from dbn_bptt import dbn
from dbn_bptt.errors import DataError
from tests.dbn_models import build

RNG = np.random.default_rng(0)
SEEN = dbn.sample(dbn.umbrella(), 12, T=15, seed=3)["Umbrella"]
HMM = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)])
COUNTS = {  # by hand
    "umbrella": (dbn.umbrella(), 1 + 2 + 2),
    "three states, four symbols": (HMM, 2 + 3 * 2 + 3 * 3),
    "speaking symbols": (build({"Z": 2, "Y": 3}, [("Z", "Z", 1), ("Z", "Y", 0), ("Y", "Y", 1)]), 1 + 2 * 1 + 2 * 2 + 6 * 2),
    "full covariances": (dbn.emit(dbn.umbrella(), "X", dbn.gaussian("Rain", np.zeros((2, 3)), 1.0)), 5 + 6 + 2 * 6),
    "diagonal": (dbn.emit(dbn.umbrella(), "X", dbn.gaussian("Rain", np.zeros((2, 3)), 1.0, shape="diagonal")), 5 + 6 + 6),
    "spherical": (dbn.emit(dbn.umbrella(), "X", dbn.gaussian("Rain", np.zeros((2, 3)), 1.0, shape="spherical")), 5 + 6 + 2),
    "tied": (dbn.emit(dbn.umbrella(), "X", dbn.gaussian("Rain", np.zeros((2, 3)), 1.0, shape="tied")), 5 + 6 + 6),
    "mixture": (
        dbn.emit(dbn.umbrella(), "X", dbn.mixture("Rain", np.full((2, 4), 0.25), RNG.normal(size=(2, 4, 1)), 1.0)),
        5 + 2 * 3 + 8 + 8,
    ),
    "Kalman": (dbn.linear_gaussian(np.eye(2), np.ones((1, 2)), np.eye(2), np.eye(1), np.zeros(2), np.eye(2)), 4 + 2 + 3 + 1 + 2 + 3),
}  # fmt: skip


@pytest.mark.parametrize(("model", "number"), COUNTS.values(), ids=COUNTS)
def test_free_parameters_are_counted(model, number):
    assert dbn.free_parameters(model) == number


def test_criteria_follow_from_the_likelihood():
    found = dbn.score(dbn.umbrella(), {"Umbrella": SEEN}, lengths=[15] * 11 + [5])
    total = dbn.log_likelihood(dbn.umbrella(), {"Umbrella": SEEN}, lengths=[15] * 11 + [5]).sum()
    assert found.log_likelihood == pytest.approx(total)
    assert (found.parameters, found.slices) == (5, 170)
    assert found.aic == pytest.approx(10 - 2 * total)
    assert found.bic == pytest.approx(5 * np.log(170) - 2 * total)


def test_the_score_of_a_kalman_filter():
    walk = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]])
    found = dbn.score(walk, {"y": [1.0, np.nan, 3.0]})
    assert found.log_likelihood == pytest.approx(dbn.smooth(walk, {"y": [1.0, np.nan, 3.0]}).log_likelihood)
    assert (found.parameters, found.slices) == (6, 3)


def test_sequences_are_held_out_once_each():
    found = dbn.cross_validate(dbn.umbrella(), {"Umbrella": SEEN}, folds=12, steps=4)
    assert len(found.fits) == 12
    for k in (0, 5):  # by hand, one sequence left out
        learnt = dbn.fit(dbn.umbrella(), {"Umbrella": np.delete(SEEN, k, 0)}, steps=4).model
        assert found.log_likelihoods[k] == pytest.approx(dbn.log_likelihood(learnt, {"Umbrella": SEEN[k]}), rel=1e-9)
    assert found.mean == pytest.approx(found.log_likelihoods.sum() / 180)
    assert str(found).startswith("held out")


def test_held_out_likelihood_prefers_the_true_number_of_states():
    data = dbn.sample(build({"Z": 2, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=5), 30, T=40, seed=0)["Y"]
    few, many = (
        dbn.cross_validate(build({"Z": k, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)]), {"Y": data}, folds=3, steps=60)
        for k in (2, 8)
    )
    in_sample = [max(f.log_likelihoods[-1] for f in found.fits) for found in (few, many)]
    assert in_sample[1] > in_sample[0]
    assert few.mean > many.mean


def test_the_best_of_several_starts_is_kept():
    one = [
        dbn.fit(HMM, {"Y": SEEN}, steps=20, seed=np.random.default_rng(7), starts=k).log_likelihoods[-1]
        for k in (1, 2, 5)
    ]
    assert one == sorted(one)
    assert (
        dbn.fit(HMM, {"Y": SEEN}, steps=5, starts=3).log_likelihoods
        == dbn.fit(HMM, {"Y": SEEN}, steps=5, seed=0, starts=3).log_likelihoods
    )


@pytest.mark.parametrize(
    ("folds", "data"), [(1, SEEN), (13, SEEN), (2, SEEN[0])], ids=["one", "too many", "one sequence"]
)
def test_folds_that_cannot_be_made_are_refused(folds, data):
    with pytest.raises(DataError, match="give at least two"):
        dbn.cross_validate(dbn.umbrella(), {"Umbrella": data}, folds=folds)


def test_starts_must_be_a_number():
    with pytest.raises(DataError, match="starts is 0"):
        dbn.fit(dbn.umbrella(), {"Umbrella": SEEN}, starts=0)


def test_options_that_mean_nothing_to_a_kalman_filter_are_refused():
    walk = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]])
    with pytest.raises(DataError, match="score of a linear-Gaussian network takes no T"):
        dbn.score(walk, {"y": [1.0, 2.0]}, T=2)

"""A slice at a time: what `filter`, `smooth` and `predict` find, however the state travels."""

import pickle

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from tests.dbn_models import STRUCTURES, build

HMM = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)
VECTOR = dbn.emit(HMM, "X", dbn.gaussian("Z", [[0.0, 1.0], [2.0, 0.0], [-1.0, -1.0]], 1.0))


def _steps(state, series, T):
    """All posteriors, the log-likelihoods, and the state at the end."""
    found = []
    for t in range(T):
        state, posterior = state.step({name: values[..., t] for name, values in series.items()})
        found.append(posterior)
    return found, state


def _drawn(structure, T, seed=0, missing=0.3):
    rng = np.random.default_rng(seed)
    names = list(structure.sizes)[::2]
    y = {name: rng.integers(0, structure.sizes[name], T) for name in names}
    return {name: np.where(rng.random(T) < missing, -1, a) for name, a in y.items()}


@pytest.mark.parametrize("lag", [0, 1, 3])
@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_steps_find_what_all_at_once_finds(structure, lag):
    model, T = structure.make(3), 6
    series = _drawn(structure, T)
    found, state = _steps(dbn.start(model, lag=lag), series, T)
    assert state.t == T
    for t, posterior in enumerate(found):
        assert posterior.start == max(0, t - lag)
        expected = dbn.smooth(model, {name: a[: t + 1] for name, a in series.items()})
        for name in structure.sizes:
            np.testing.assert_allclose(posterior[name, posterior.start], expected[name, posterior.start], atol=1e-12)
    total = sum(posterior.log_likelihood for posterior in found)
    assert total == pytest.approx(dbn.log_likelihood(model, series), rel=1e-12, abs=1e-12)
    ahead, expected = state.predict(4), dbn.predict(model, 4, series)
    assert ahead.start == T
    for name in structure.sizes:
        np.testing.assert_allclose(ahead[name], expected[name], atol=1e-12)


def test_ten_thousand_steps_are_the_filter():
    y = dbn.sample(HMM, 1, T=10_000, seed=1)["Y"][0]
    found, state = _steps(dbn.start(HMM), {"Y": y}, len(y))
    expected = dbn.filter(HMM, {"Y": y})
    np.testing.assert_allclose(np.concatenate([p["Z"] for p in found]), expected["Z"], atol=1e-12)
    assert sum(p.log_likelihood for p in found) == pytest.approx(expected.log_likelihood, rel=1e-12)
    assert len(pickle.dumps(state)) < len(pickle.dumps(dbn.start(HMM).step({"Y": 0})[0])) + 50, "memory stays as it is"


def test_many_sequences_at_once():
    paths = dbn.sample(VECTOR, 50, T=8, seed=2)
    y, x = paths["Y"], paths["X"]
    state = dbn.start(VECTOR, sequences=50)
    for t in range(8):
        state, posterior = state.step({"Y": y[:, t], "X": x[:, t]})
        expected = dbn.filter(VECTOR, {"Y": y[:, : t + 1], "X": x[:, : t + 1]})
        np.testing.assert_allclose(posterior["Z", t], expected["Z", t], atol=1e-12)
    np.testing.assert_allclose(state.predict()["Z"], dbn.predict(VECTOR, 1, {"Y": y, "X": x})["Z"], atol=1e-12)
    assert state.step()[1]["Z"].shape == (50, 1, 3)


def test_soft_evidence_and_its_likelihood():
    soft = np.random.default_rng(0).uniform(0, 2, (5, 3))
    state, total = dbn.start(HMM), 0.0
    for t in range(5):
        state, posterior = state.step(soft={"Z": soft[t]})
        total += posterior.log_likelihood
    assert total == pytest.approx(dbn.log_likelihood(HMM, soft={"Z": soft}), rel=1e-12)


def test_a_state_travels_and_can_be_gone_on_from_twice():
    state, _ = dbn.start(HMM, lag=2).step({"Y": 1})
    state, _ = state.step({"Y": 0})
    sent = pickle.loads(pickle.dumps(state))
    one, other = state.step({"Y": 3})[1], sent.step({"Y": 3})[1]
    assert (one["Z"] == other["Z"]).all()
    assert (state.step({"Y": 3})[1]["Z"] == one["Z"]).all()


def test_far_away_vectors_stay_numbers():
    chain = build({"Z": 2}, [("Z", "Z", 1)])
    chain.get_cpds(("Z", 1)).values[...] = np.eye(2)
    far = dbn.emit(chain, "X", dbn.gaussian("Z", [0.0, 60.0], 1.0))
    x = np.array([0.0, 60.0, 0.0, 60.0])
    found, _ = _steps(dbn.start(far), {"X": x}, 4)
    np.testing.assert_allclose(found[-1]["Z", 3], dbn.filter(far, {"X": x})["Z", 3], atol=1e-9)


def test_a_step_goes_to_logarithms_and_back_where_numbers_become_small():
    chain = build({"Z": 2}, [("Z", "Z", 1)])
    far = dbn.emit(chain, "X", dbn.gaussian("Z", [0.0, 60.0], 1.0))
    x = np.array([0.0, 60.0, 0.0, 30.0, 30.0, 0.0, 30.0, 30.0])
    state, kept = dbn.start(far), []
    for t, seen in enumerate(x):
        state, posterior = state.step({"X": seen})
        assert type(posterior.log_likelihood) is float
        kept.append(state.logs)
        np.testing.assert_allclose(
            posterior["Z", t], dbn.filter(far, {"X": x[: t + 1]})["Z", t], rtol=1e-12, atol=1e-300
        )
    assert kept == [True, True, True, True, False, True, True, False], "a message next to 0 and 1 is kept as logarithms"


def test_states_that_cannot_follow_stay_impossible():
    steps = build({"Z": 4, "Y": 3}, [("Z", "Z", 1), ("Z", "Y", 0)], seed=3)
    steps.get_cpds(("Z", 0)).values[...] = [1.0, 0.0, 0.0, 0.0]
    steps.get_cpds(("Z", 1)).values[...] = 0.9 * np.eye(4) + 0.1 * np.eye(4, k=-1)
    steps.get_cpds(("Z", 1)).values[3, 3] = 1.0
    y = dbn.sample(steps, 1, T=60, seed=0)["Y"][0]
    found, state = _steps(dbn.start(steps), {"Y": y}, 60)
    expected = dbn.filter(steps, {"Y": y})
    np.testing.assert_allclose(np.concatenate([p["Z"] for p in found]), expected["Z"], rtol=1e-12)
    assert not state.logs
    assert (found[1]["Z"][0, 2:] == 0).all()


NAMED = dbn.model(
    [("Z", "Z", 1), ("Z", "Y", 0)], {"Z": {0: [0.5, 0.5], 1: [[0.8, 0.3], [0.2, 0.7]]}, "Y": [[0.9, 0.2], [0.1, 0.8]]},
    {"Z": ["rain", "sun"], "Y": ["no", "yes"]},
)  # fmt: skip


@pytest.mark.parametrize("seen", ["yes", 1, np.int64(1), np.str_("yes"), 1.0], ids=repr)
def test_a_state_is_read_as_ever(seen):
    state, _ = dbn.start(NAMED).step({"Y": "no"})
    expected = dbn.filter(NAMED, {"Y": ["no", "yes"]})["Z", 1]
    np.testing.assert_allclose(state.step({"Y": seen})[1]["Z", 1], expected, rtol=1e-14)


@pytest.mark.parametrize("seen", [None, -1, np.nan], ids=repr)
def test_a_state_may_be_missing(seen):
    state, _ = dbn.start(NAMED).step({"Y": "no"})
    found = state.step({"Y": seen})[1]
    np.testing.assert_allclose(found["Z", 1], dbn.filter(NAMED, {"Y": ["no", None]})["Z", 1], rtol=1e-14)
    assert found.log_likelihood == pytest.approx(0.0, abs=1e-14)


def _impossible():
    model = build({"Y": 2}, [("Y", "Y", 1)])
    model.get_cpds(("Y", 1)).values[...] = np.eye(2)
    state, _ = dbn.start(model).step({"Y": 0})
    return state.step({"Y": 1})


MISTAKES = [
    (lambda: dbn.start(HMM, lag=-1), "lag=-1; give a number of slices"),
    (lambda: dbn.start(HMM, sequences=0), "sequences=0; give a positive number"),
    (lambda: dbn.start("model"), "give a pgmpy DynamicBayesianNetwork"),
    (lambda: dbn.start(HMM).step([1]), "the evidence of a slice is a dict"),
    (lambda: dbn.start(HMM).step({"Q": 1}), "unknown variable 'Q'"),
    (lambda: dbn.start(HMM).step({"Y": 9}), "evidence of 'Y' is 9"),
    (lambda: dbn.start(HMM, sequences=3).step({"Y": 1}), "give one for each of the 3 sequences"),
    (lambda: dbn.start(HMM, sequences=3).step({"Y": [1, 2]}), "give one for each of the 3 sequences"),
    (lambda: dbn.start(HMM).predict(0), "horizon is 0"),
    (lambda: dbn.start(NAMED).step({})[0].step({"Y": "maybe"}), "evidence of 'Y' is 'maybe'"),
    (lambda: dbn.start(NAMED).step({})[0].step({"Q": 1}), "unknown variable 'Q'"),
    (_impossible, "the evidence of slice 1 has probability 0 given that before"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_are_named(mistake, message):
    with pytest.raises(db.DbnBpttError, match=message):
        mistake()

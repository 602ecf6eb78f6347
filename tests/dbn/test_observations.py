"""Evidence that is read once gives what evidence gives, whole and by sequence, for every kind of it."""

import numpy as np
import pandas as pd
import pytest

from dbn_bptt import dbn
from dbn_bptt.errors import DataError
from tests.dbn_models import build

LEVELS = dbn.emit(dbn.umbrella(), "Level", dbn.gaussian("Rain", [0.0, 3.0], 1.0))
RNG = np.random.default_rng(0)
U, X = RNG.integers(0, 2, (5, 6)), RNG.normal(size=(5, 6))
HOLES = np.where(RNG.random((5, 6)) < 0.3, -1, U)
ROWS = pd.DataFrame({"sequence": np.repeat(list("abcde"), 6), "Umbrella": U.ravel()})
CASES = {
    "states": (dbn.umbrella(), {"evidence": {"Umbrella": U}}),
    "missing ones": (dbn.umbrella(), {"evidence": {"Umbrella": HOLES}}),
    "ragged": (dbn.umbrella(), {"evidence": {"Umbrella": U}, "lengths": [6, 2, 4, 1, 3]}),
    "soft": (dbn.umbrella(), {"evidence": None, "soft": {"Rain": RNG.random((5, 6, 2)) * 3}}),
    "a table": (dbn.umbrella(), {"evidence": ROWS}),
    "a list": (dbn.umbrella(), {"evidence": [{"Umbrella": U[k, : k + 1]} for k in range(5)]}),
    "vectors": (LEVELS, {"evidence": {"Level": X, "Umbrella": U}}),
    "vectors and soft": (LEVELS, {"evidence": {"Level": X}, "soft": {"Rain": RNG.random((5, 6, 2))}}),
    "ragged vectors": (LEVELS, {"evidence": {"Level": X}, "lengths": [3, 6, 1, 2, 5]}),
}
EACH = pytest.mark.parametrize(("model", "given"), CASES.values(), ids=CASES)


@EACH
def test_reading_once_changes_nothing(model, given):
    seen = dbn.observe(model, **given)
    for verb in (dbn.smooth, dbn.filter):
        once, again = verb(model, seen), verb(model, **given)
        assert once.sequences == again.sequences
        assert np.array_equal(once["Rain"], again["Rain"])
    assert np.array_equal(dbn.log_likelihood(model, seen), dbn.log_likelihood(model, **given))
    assert dbn.fit(model, seen, steps=2).log_likelihoods == dbn.fit(model, **given, steps=2).log_likelihoods


@EACH
def test_chosen_sequences_are_those(model, given):
    seen, rows = dbn.observe(model, **given), [3, 0, 2]
    every, some = dbn.smooth(model, seen), dbn.smooth(model, seen.chosen(rows))
    T = some["Rain"].shape[1]
    assert np.allclose(some["Rain"], every["Rain"][rows, :T], atol=1e-14)
    assert np.allclose(some.log_likelihood, every.log_likelihood[rows])
    assert some.sequences == (None if every.sequences is None else tuple(every.sequences[k] for k in rows))


@EACH
def test_its_slices_are_counted(model, given):
    seen = dbn.observe(model, **given)
    lengths = given.get("lengths", [k + 1 for k in range(5)] if isinstance(given.get("evidence"), list) else [6] * 5)
    assert seen.slices == sum(lengths)


def test_what_was_read_for_another_model_is_refused():
    seen = dbn.observe(dbn.umbrella(), {"Umbrella": U})
    other = build({"Z": 3}, [("Z", "Z", 1)])
    with pytest.raises(DataError, match="read it again"):
        dbn.smooth(other, seen)


def test_what_was_read_takes_no_more_options():
    seen = dbn.observe(dbn.umbrella(), {"Umbrella": U})
    with pytest.raises(DataError, match="give soft, T and lengths to observe"):
        dbn.smooth(dbn.umbrella(), seen, lengths=[6, 2, 4, 1, 3])


def test_sequences_are_chosen_by_numbers_or_by_a_mask():
    seen = dbn.observe(dbn.umbrella(), {"Umbrella": U})
    mask = np.array([True, False, False, True, False])
    assert np.array_equal(
        dbn.smooth(dbn.umbrella(), seen.chosen(mask))["Rain"], dbn.smooth(dbn.umbrella(), seen.chosen([0, 3]))["Rain"]
    )


@pytest.mark.parametrize("rows", [[5], [-1], [], 2, [0.5], [True, False]], ids=str)
def test_sequences_that_are_not_there_are_refused(rows):
    with pytest.raises(DataError, match="choose sequences by numbers from 0 to 4"):
        dbn.observe(dbn.umbrella(), {"Umbrella": U}).chosen(rows)


def test_of_one_sequence_nothing_is_chosen():
    with pytest.raises(DataError, match="no batch to choose from"):
        dbn.observe(dbn.umbrella(), {"Umbrella": U[0]}).chosen([0])


@pytest.mark.parametrize(
    "other",
    [dbn.umbrella(), dbn.emit(dbn.umbrella(), "Level", dbn.gaussian("Rain", np.zeros((2, 3)), 1.0))],
    ids=["none", "of three"],
)
def test_vectors_that_another_model_lacks_are_refused(other):
    with pytest.raises(DataError, match="read it again"):
        dbn.smooth(other, dbn.observe(LEVELS, {"Level": X}))

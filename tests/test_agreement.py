"""`compare` checks its input once, however many engines it asks."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt.sweep import given


@pytest.mark.parametrize("lengths", [None, [6, 2]])
def test_the_input_is_checked_once(lengths, monkeypatch):
    calls = []
    checked = given.checked
    monkeypatch.setattr(given, "checked", lambda *args: calls.append(1) or checked(*args))
    rnn, rng = db.cells.elman(3, 4, 2), np.random.default_rng(0)
    data = {"x": rng.normal(size=(6, 2, 3)), "y": rng.integers(0, 2, (6, 2))}
    report = db.compare(rnn, rnn.initial_parameters(0), data, lengths=lengths, forward_mode=True)
    assert report.ok
    assert len({row.engine for row in report.rows}) == 5
    assert len(calls) == 1

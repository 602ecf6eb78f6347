"""The table of correspondences."""

from dataclasses import replace

import pytest

import dbn_bptt as db
from dbn_bptt import link
from dbn_bptt.link import table


@pytest.mark.parametrize("cell", ["elman", "jordan", "lstm", "gru"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_correspondences_hold(cell: str, seed: int):
    rows = link.correspondences(cell, seed)
    assert rows.ok, str(rows)
    assert len(rows.rows) >= 19


@pytest.mark.parametrize("seed", [10, 25, 40])
def test_correspondences_hold_where_a_review_saw_them_fail(seed):
    assert link.correspondences(seed=seed).ok


def test_a_correspondence_can_fail(monkeypatch):
    """The table is computed: spoil one side of a row, and it says so."""
    spoilt = [replace(c, check=lambda s: 1e-3) if c.inference == "backward algorithm" else c for c in table.CLAIMS]
    monkeypatch.setattr(table, "CLAIMS", spoilt)
    rows = link.correspondences()
    assert [row.inference for row in rows.rows if not row.ok] == ["backward algorithm"]
    assert "1e-03 FAILS" in str(rows)
    assert str(rows).endswith("A CORRESPONDENCE FAILS")


def test_an_unknown_cell_is_refused():
    with pytest.raises(db.UnknownNameError, match="unknown cell 'lstn'; did you mean 'lstm'"):
        link.correspondences("lstn")

"""Dynamic networks with evidence: posteriors on the page, asked once."""

import numpy as np

from dbn_bptt import dbn, render
from tests.render.checks import VIEWS, check_geometry


def test_a_network_with_evidence_shows_its_posteriors():
    model, evidence = dbn.umbrella(), {"Umbrella": [1, 1, 0]}
    drawn = render.scene(model, evidence=evidence)
    posterior = dbn.smooth(model, evidence)
    for spot in drawn.spots:
        assert (spot.kind == "observed") == (spot.name == "Umbrella")
        assert np.allclose(spot.heat.rows[0], posterior[spot.name][spot.t], atol=1e-4)
    check_geometry(drawn)
    for view in VIEWS:
        check_geometry(render.scene(model, view=view))
    below = {spot.name: spot.y for spot in drawn.spots}
    assert below["Umbrella"] > below["Rain"]


def test_a_batch_of_evidence_shows_its_first_sequence():
    model = dbn.umbrella()
    batch = render.scene(model, evidence={"Umbrella": [[1, 1, 0], [0, 0, 0]]})
    alone = render.scene(model, evidence={"Umbrella": [1, 1, 0]})
    assert [spot.heat for spot in batch.spots] == [spot.heat for spot in alone.spots]


def test_of_ragged_evidence_the_first_sequence_is_shown_to_its_end():
    import pandas as pd

    frame = pd.DataFrame({"sequence": [0, 0, 1, 1, 1, 1], "Umbrella": [1, 0, 1, 1, 0, 0]})
    drawn = render.scene(dbn.umbrella(), evidence=frame)
    assert {spot.t for spot in drawn.spots} == {0, 1}
    alone = render.scene(dbn.umbrella(), evidence={"Umbrella": [1, 0]})
    assert [spot.heat for spot in drawn.spots] == [spot.heat for spot in alone.spots]
    assert "sequence 0 of a batch of 2" in render.html(dbn.umbrella(), evidence=frame)


def test_model_and_evidence_are_read_once(monkeypatch):
    from dbn_bptt.dbn.inference import task

    reads = []
    read = task.given_task
    monkeypatch.setattr(task, "given_task", lambda *args, **more: reads.append(args) or read(*args, **more))
    for draw_it in (render.svg, render.html):
        reads.clear()
        draw_it(dbn.umbrella(), evidence={"Umbrella": [1, 0, 1]})
        assert len(reads) == 1


def test_evidence_of_single_slices_needs_its_number_of_slices():
    drawn = render.scene(dbn.umbrella(), evidence={("Umbrella", 1): 1}, T=4)
    assert {spot.t for spot in drawn.spots} == {0, 1, 2, 3}
    assert [spot.node for spot in drawn.spots if spot.kind == "observed"] == [("Umbrella", 1)]


def test_vectors_are_observed_and_their_parents_are_not():
    level = dbn.emit(dbn.umbrella(), "Level", dbn.gaussian("Rain", [0.0, 3.0], 1.0))
    level = dbn.drive(level, "Wind", dbn.logistic("Rain", np.zeros((2, 2, 1))))
    evidence = {"Level": [1.0, np.nan, 2.0], "Wind": [np.nan, 1.0, 2.0], "Umbrella": [1, -1, 0], "Rain": [-1, 1, -1]}
    expected = {("Level", 0), ("Level", 2), ("Wind", 1), ("Wind", 2), ("Umbrella", 0), ("Umbrella", 2), ("Rain", 1)}
    for given in (evidence, {name: [values, values] for name, values in evidence.items()}):
        drawn = render.scene(level, evidence=given)
        assert {spot.node for spot in drawn.spots if spot.kind == "observed"} == expected

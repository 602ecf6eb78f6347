"""The first pictures: well-formed, on a grid, without overlaps, nothing from a user unescaped."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, render
from dbn_bptt.render.scene import RADIUS, scene
from tests.cases import CASES, Case, draw

SVG = "{http://www.w3.org/2000/svg}"


def _curve(line):
    s = np.linspace(0, 1, 60)[:, None]
    points = np.array(line.points)
    parts = []
    for k in range(0, len(points) - 1, 3):
        p0, p1, p2, p3 = points[k : k + 4]
        parts.append((1 - s) ** 3 * p0 + 3 * (1 - s) ** 2 * s * p1 + 3 * (1 - s) * s**2 * p2 + s**3 * p3)
    return np.concatenate(parts)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_picture_is_well_formed_with_title_and_description(case: Case):
    picture = ET.fromstring(render.svg(draw(case).bptt()))
    assert picture.find(f"{SVG}title") is not None
    assert "nodes and" in (picture.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_rows_are_straight_and_no_node_overlaps_another(case: Case):
    drawn = scene(db.unroll(case.make(), case.T))
    rows = {}
    for spot in drawn.spots:
        assert rows.setdefault(spot.name, spot.y) == spot.y
        assert 0 < spot.x < drawn.width
        assert 0 < spot.y < drawn.height
    places = np.array([(spot.x, spot.y) for spot in drawn.spots])
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(len(places))
    assert gaps.min() > 2 * RADIUS


@pytest.mark.parametrize("backward", [False, True], ids=["model", "adjoint"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_no_edge_crosses_a_third_node(case: Case, backward: bool):
    template = db.adjoint(case.make()) if backward else case.make()
    drawn = scene(db.unroll(template, case.T))
    for line in drawn.lines:
        curve = _curve(line)
        for spot in drawn.spots:
            inside = np.linalg.norm(curve - (spot.x, spot.y), axis=1) < RADIUS - 1
            assert not inside.any(), f"{line.title} runs through {spot.title}"


def test_a_thousand_slices_are_folded():
    picture = render.svg(db.unroll(cells.elman(3, 4, 2), T=1000))
    assert len(picture) < 60_000
    assert ". . ." in picture
    assert "t = 999" in picture
    assert "t = 500" not in picture


def test_edges_are_as_thick_as_their_messages_are_large():
    t = db.SliceTemplate("decay")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, w * h.prev)
    t.loss("L", h, at="last")
    result = db.bptt(t, {"w": 0.01}, T=4, initial={"h": 1.0})
    drawn = scene(result.graph, result.messages.edge)
    weight = {line.title: line.weight for line in drawn.lines}
    assert weight["h, slice 2 to h, slice 3"] > weight["h, slice 1 to h, slice 2"] > weight["h, slice 0 to h, slice 1"]


def test_hostile_names_are_escaped():
    t = db.SliceTemplate('</title><script>alert("1")</script>&')
    h = t.variable("h", 2)
    t.define(h, db.tanh(h.prev))
    t.loss("L", db.sum(h))
    picture = render.svg(db.unroll(t, 2))
    assert "<script" not in picture
    ET.fromstring(picture)


def test_other_objects_are_refused():
    with pytest.raises(db.DataError, match="cannot draw str; give a graph from unroll"):
        render.svg("h")


def test_names_are_written_as_mathematics():
    picture = render.svg(db.unroll(cells.lstm(3, 4, 2), T=1))
    assert re.search(r">W<tspan[^>]*>i</tspan>", picture)
    assert re.search(r">h<tspan[^>]*>\u22121</tspan>", picture)

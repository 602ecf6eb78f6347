"""Views of one graph, and the ways to draw its parameters."""

import re

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, render
from dbn_bptt.errors import DataError
from tests.render.checks import STYLES


def test_a_thousand_slices_are_folded():
    graph = db.unroll(cells.elman(3, 4, 2), T=1000)
    drawn = render.scene(graph)
    assert render.scene(graph, path=[("h", 500), ("a", 501)]).lines  # the path may lie where nothing is drawn
    picture = render.svg(drawn)
    assert len(picture) < 60_000
    assert {text for *_, text in drawn.headings} == {"initial", "t = 0", "t = 1", "t = 2", "t = 998", "t = 999"}
    assert any(spot.kind == "elided" for spot in drawn.spots)
    assert any(line.dashed for line in drawn.lines)


def test_an_edge_is_named_by_its_own_parameter():
    t = db.SliceTemplate("two")
    W, U, F, x, h = (
        t.parameter("W", (2, 2)),
        t.parameter("U", (2, 3)),
        t.parameter("F", (2, 3)),
        t.input("x", 3),
        t.variable("h", 2),
    )
    t.define(h, db.tanh(W @ h.prev + U @ x), first=db.tanh(F @ x))
    for options in ({"view": "two-slice"}, {"T": 3}):
        drawn = render.scene(t, **options)
        named = {
            drawn.spots[line.head].t: line.label.letter for line in drawn.lines if drawn.spots[line.tail].name == "x"
        }
        assert named.pop(0) == "F"
        assert set(named.values()) == {"U"}


def test_the_rolled_view_marks_delays():
    drawn = render.scene(cells.lstm(3, 4, 2))
    assert len({spot.key for spot in drawn.spots}) == len(drawn.spots)
    assert sum(line.delay for line in drawn.lines) == 5  # h to four gates, s to itself
    t = db.SliceTemplate("far")
    h = t.variable("h", 2)
    t.define(h, db.tanh(h.lag(3)))
    assert "\u22123" not in render.svg(t)
    assert ">+3<" in render.svg(t)


def test_the_two_slice_view_has_the_interface_alone_in_the_slice_before():
    drawn = render.scene(cells.elman(3, 4, 2), view="two-slice")
    assert [frame.caption[:2] for frame in drawn.frames] == ["B\u2080", "B\u2192"]
    before = [spot for spot in drawn.spots if spot.label.above == "(t\u22121)"]
    assert [spot.name for spot in before] == ["h"]


@pytest.mark.parametrize(
    ("style", "kinds", "names"),
    [
        ("labels", {}, True),
        ("copies", {"copy": 5 * 3}, False),
        ("shared", {"parameter": 5}, False),
        ("none", {}, False),
    ],
)
def test_parameters_are_labels_copies_or_one_node(style, kinds, names):
    drawn = render.scene(cells.elman(3, 4, 2), T=3, parameters=style)
    found = [spot.kind for spot in drawn.spots if spot.kind in ("copy", "parameter")]
    assert {kind: found.count(kind) for kind in found} == kinds
    assert any(line.label for line in drawn.lines) == names


def test_a_graph_with_copies_looks_like_one_without():
    rnn = cells.elman(3, 4, 2)
    for style in STYLES:
        with_copies, without = (render.svg(db.unroll(rnn, 3, copies=c), parameters=style) for c in (True, False))
        assert re.sub(r"<title>.*?</title>", "", with_copies) == re.sub(r"<title>.*?</title>", "", without)


def test_words_of_views_without_slices_name_none():
    for view in ("rolled", "two-slice"):
        drawn = render.scene(cells.elman(3, 4, 2), view=view)
        told = [spot.title for spot in drawn.spots if spot.label.above == "(t)"] + [line.title for line in drawn.lines]
        assert any("a_t = b + W h_{t-1} + U x_t" in title for title in told)
        assert not any(re.search(r"slice [2-9]", title) for title in told)


def test_a_path_may_begin_at_the_copy_of_a_parameter():
    rng = np.random.default_rng(0)
    rnn = cells.elman(2, 3, 2)
    result = db.bptt(rnn, rnn.initial_parameters(0), {"x": rng.normal(size=(3, 2)), "y": [0, 1, 0]})
    path = [("W", 1), ("a", 1), ("h", 1), ("o", 1), ("L", 1)]
    drawn = render.scene(result, parameters="copies", path=path)
    assert [spot.node for spot in drawn.spots if spot.marked and spot.kind == "copy"] == [("W", 1)]
    spots = {spot.id: spot.node for spot in drawn.spots}
    assert [(spots[line.tail], spots[line.head]) for line in drawn.lines if line.marked].count(
        (("W", 1), ("a", 1))
    ) == 1
    with pytest.raises(DataError, match="no node of what is drawn"):
        render.scene(result, path=path)

"""Compact pictures: what is folded, into which equations, and what stands on the edges that are left."""

from functools import partial

import networkx as nx
import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, paths, render
from dbn_bptt.render.subjects.compact import compacted
from dbn_bptt.render.subjects.sources import source
from dbn_bptt.template.expressions import Apply, Constant, Reference
from dbn_bptt.template.traversal import walk
from tests.cases import CASES, Case, draw
from tests.random_templates import RandomTemplate
from tests.render.checks import STYLES, VIEWS, check_geometry, check_svg, elman_run

LEFT = {
    "elman": (cells.elman, ["h", "o", "yhat"]),
    "elman, linear": (partial(cells.elman, output="linear"), ["h", "o"]),
    "jordan": (cells.jordan, ["h", "o", "yhat"]),
    "lstm": (cells.lstm, ["s", "h", "o", "yhat"]),
    "gru": (cells.gru, ["z", "h", "o", "yhat"]),
    "gru, reset before": (partial(cells.gru, reset="before"), ["z", "h", "o", "yhat"]),
    "bidirectional": (partial(cells.bidirectional, "elman"), ["h_fw", "h_bw", "h", "o", "yhat"]),
    "stacked": (partial(cells.stacked, ["lstm", "elman"]), ["s1", "h1", "h2", "o", "yhat"]),
}


def _names(drawn):
    return list(dict.fromkeys(spot.name for spot in drawn.spots if spot.kind == "variable"))


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left(name):
    cell, left = LEFT[name]
    for options in ({"T": 3}, {"view": "rolled"}, {"view": "two-slice"}, {"T": 1000}):
        assert sorted(_names(render.scene(cell(3, 4, 2), compact=True, **options))) == sorted(left)


def test_an_elman_network_looks_as_in_the_book():
    drawn = render.scene(cells.elman(3, 4, 2), compact=True)
    name = {spot.id: spot.name for spot in drawn.spots}
    edges = {(name[e.tail], name[e.head], e.label.letter if e.label else "", e.delay) for e in drawn.lines}
    assert edges == {
        ("x", "h", "U", 0), ("h", "h", "W", 1), ("h", "o", "V", 0), ("o", "yhat", "", 0), ("o", "L", "", 0),
        ("y", "L", "", 0),
    }  # fmt: skip
    (told,) = [spot.title for spot in drawn.spots if spot.name == "h"]
    assert told.endswith("h_t = tanh(b + W h_{t-1} + U x_t)")
    saved = nx.parse_graphml(render.graphml(cells.elman(3, 4, 2), T=2, compact=True), force_multigraph=True)
    assert saved.nodes["h[1]"]["equation"] == "h_1 = tanh(b + W h_0 + U x_1)"
    assert not any(node.startswith("a[") for node in saved)


def _computed(rule, result, t):
    """The value of an equation at slice t, one operation after the other."""
    known = {}
    for e in walk([rule]):
        if isinstance(e, Reference):
            known[e] = result.values.node[(e.name, t - e.delay) if e.symbol.timed else e.name]
        elif isinstance(e, Constant):
            known[e] = e.array
        elif isinstance(e, Apply):
            known[e] = e.operation.forward(*(known[a] for a in e.arguments), **dict(e.attributes))
    return known[rule]


@pytest.mark.parametrize("case", [case for case in CASES if case.B is None and case.lengths is None], ids=repr)
def test_equations_and_messages_add_up(case: Case):
    result = draw(case).bptt()
    drawn = compacted(source(result))
    for node, at in drawn.graph.nodes(data=True):
        if at["kind"] == "variable":
            value = _computed(at["equation"], result, at["t"])
            np.testing.assert_allclose(value, result.values.node[node], rtol=1e-12, atol=1e-12)
        sent = [e for *_, e in drawn.graph.out_edges(node, data="origin") if e in result.messages.edge]
        if at["kind"] == "variable" and sent:
            leaving = [result.messages.edge[e] for e in sent]
            np.testing.assert_allclose(sum(leaving), result.messages.adjoint[node], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_overlaps_in_compact_pictures(seed: int):
    template = RandomTemplate(seed).make()
    for view in VIEWS:
        check_geometry(render.scene(template, view=view, compact=True))


@pytest.mark.parametrize("cell", [cells.elman, cells.lstm, cells.gru, cells.jordan])
def test_compact_pictures_in_every_view_and_style(cell):
    for view in VIEWS:
        for style in STYLES:
            drawn = render.scene(cell(3, 4, 2), view=view, parameters=style, compact=True)
            check_geometry(drawn)
            check_svg(render.svg(drawn))


def test_a_path_leads_through_what_is_folded():
    result = elman_run(T=3)
    path = [("x", 0), ("a", 0), ("h", 0), ("a", 1), ("h", 1), ("o", 1)]
    drawn = render.scene(result, path=path, compact=True)
    assert {spot.node for spot in drawn.spots if spot.marked} == {("x", 0), ("h", 0), ("h", 1), ("o", 1)}
    assert sum(line.marked for line in drawn.lines) == 3


def test_a_variable_that_slices_read_in_different_ways_stays():
    t = db.SliceTemplate("two readers at first")
    W, x = t.parameter("W", (2, 2)), t.input("x", 2)
    m, h = t.variable("m", 2), t.variable("h", 2)
    t.define(m, db.tanh(x))
    t.define(h, W @ h.prev + db.sigmoid(m), first=m + db.sigmoid(m))
    t.loss("L", db.sum(h))
    assert _names(render.scene(t, T=3, compact=True)) == ["m", "h"]


def test_scalar_graphs_are_refused():
    result = elman_run(T=2)
    with pytest.raises(db.DataError, match="compact folds equations into each other, which a scalar graph does not"):
        render.svg(paths.linearize(result.graph, result.values), compact=True)

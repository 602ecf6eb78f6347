"""What results put on pictures: numbers, widths, paths and borders."""

import numpy as np

import dbn_bptt as db
from dbn_bptt import cells, paths, render
from tests.render.checks import VIEWS, check_geometry, elman_run


def test_edges_are_as_thick_as_their_messages_are_large():
    t = db.SliceTemplate("decay")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, w * h.prev)
    t.loss("L", h, at="last")
    drawn = render.scene(db.bptt(t, {"w": 0.01}, T=4, initial={"h": 1.0}))
    weight = [line.weight for line in sorted(drawn.lines, key=lambda line: drawn.spots[line.tail].x)]
    assert weight == sorted(weight)
    assert len(set(weight)) > 3


def test_heat_maps_show_the_numbers():
    result = elman_run(T=3)
    drawn = render.scene(result, show="adjoints")
    spot = next(s for s in drawn.spots if s.node == ("h", 1))
    adjoint = result.messages.adjoint["h", 1]
    assert np.allclose(np.array(spot.heat.rows[0]) * spot.heat.largest, adjoint, atol=1e-3 * spot.heat.largest)
    sent = next(line for line in render.scene(result, show="messages").lines if line.origin == (("h", 0), ("a", 1), 2))
    message = result.messages.edge[("h", 0), ("a", 1), 2]
    assert np.allclose(np.array(sent.heat.rows[0]) * sent.heat.largest, message, atol=1e-3 * sent.heat.largest)


def test_a_path_is_marked_and_truncation_has_borders():
    result = elman_run(T=6)
    path = [("x", 0), ("a", 0), ("h", 0), ("a", 1), ("h", 1), ("o", 1)]
    drawn = render.scene(result, path=path, truncate=2)
    assert [s.node for s in drawn.spots if s.marked] == sorted(path, key=[s.node for s in drawn.spots].index)
    assert sum(line.marked for line in drawn.lines) == len(path) - 1
    columns = {spot.t: spot.x for spot in drawn.spots if spot.key[0] == "a"}
    assert [columns[1] < drawn.borders[0] < columns[2], columns[3] < drawn.borders[1] < columns[4]] == [True, True]
    assert len(drawn.borders) == 2


def test_scalar_graphs_and_their_heaviest_path():
    result = elman_run(T=3, hidden=2)
    scalars = paths.linearize(result.graph, result.values)
    ((_, heaviest),) = paths.heaviest_paths(scalars, ("x", 0, (0,)), ("L", None, ()), k=1)
    drawn = render.scene(scalars, path=heaviest)
    check_geometry(drawn)
    assert sum(line.marked for line in drawn.lines) == len(heaviest) - 2  # the sum of the losses is not drawn
    for view in VIEWS:
        check_geometry(render.scene(scalars, view=view))


def test_infinite_values_are_shown_as_the_largest():
    t = db.SliceTemplate("explodes")
    w, h = t.parameter("w", ()), t.variable("h", 2)
    t.define(h, db.exp(w * h.prev))
    t.loss("L", db.sum(h), at="last")
    result = db.bptt(t, {"w": 5.0}, T=3, initial={"h": [2.0, -0.1]})
    shown = {s.node: s.heat.rows[0] for s in render.scene(result, show="values").spots if s.heat}
    assert np.isinf(result.values["h", 1]).any()
    assert max(shown["h", 1]) == 1.0
    assert all(np.isfinite(row).all() for row in shown.values())


def test_truncation_has_no_border_among_initial_states():
    t = db.SliceTemplate("far")
    h = t.variable("h", 2)
    t.define(h, db.tanh(h.lag(3)))
    assert len(render.scene(t, T=4, truncate=1).borders) == 3
    assert len(render.scene(cells.bidirectional("gru", 3, 4, 2), T=4, truncate=2).borders) == 1

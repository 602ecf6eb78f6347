"""Pictures: on a grid, without overlaps, nothing hidden, nothing from a user unescaped; in every view and style."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, paths, render
from dbn_bptt.render.placing.curves import flattened
from dbn_bptt.render.placing.labels import text_width
from tests.cases import CASES, Case, draw
from tests.random_templates import RandomTemplate

SVG = "{http://www.w3.org/2000/svg}"
VIEWS = ["rolled", "two-slice", "unrolled", "folded"]
STYLES = ["labels", "copies", "shared", "plates", "none"]


def _elman(T=5, seed=0, hidden=4):
    rng = np.random.default_rng(seed)
    rnn = cells.elman(3, hidden, 2)
    return db.bptt(rnn, rnn.initial_parameters(seed), {"x": rng.normal(size=(T, 3)), "y": rng.integers(0, 2, T)})


def _check_geometry(drawn):
    """Straight rows, everything on the page, no node over another, no edge through a third node, names off nodes."""
    rows = {}
    for spot in drawn.spots:
        assert rows.setdefault(spot.key, spot.y) == pytest.approx(spot.y)
        assert spot.width / 2 <= spot.x <= drawn.width - spot.width / 2
        assert spot.height / 2 <= spot.y <= drawn.height - spot.height / 2
    boxes = np.array([(s.x, s.y, s.width, s.height) for s in drawn.spots])
    apart = np.abs(boxes[:, None, :2] - boxes[None, :, :2]) - (boxes[:, None, 2:] + boxes[None, :, 2:]) / 2
    np.fill_diagonal(apart[..., 0], 1e9)
    assert apart.max(-1).min() > 4
    for line in drawn.lines:
        curve = flattened(line.points)
        assert curve.min() >= 0
        assert (curve <= (drawn.width, drawn.height)).all()
        inside = (np.abs(curve[:, None] - boxes[None, :, :2]) < boxes[None, :, 2:] / 2 - 0.5).all(-1).any(0)
        hit = set(np.flatnonzero(inside)) - {line.tail, line.head}
        assert not hit, f"{line.title} runs through {drawn.spots[min(hit)].title}"
        for end, spot in ((curve[0], drawn.spots[line.tail]), (curve[-1], drawn.spots[line.head])):
            assert (np.abs(end - (spot.x, spot.y)) <= (spot.width / 2 + 1, spot.height / 2 + 1)).all()


def _check_svg(text):
    picture = ET.fromstring(text)
    assert picture.findtext(f"{SVG}title")
    assert "nodes and" in (picture.findtext(f"{SVG}desc") or "")
    assert not re.search(r"""(href|src)\s*=|url\(["']?(?!#)|@import""", text)
    return picture


@pytest.mark.parametrize("backward", [False, True], ids=["model", "adjoint"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_nothing_overlaps_in_any_view_of_any_cell(case: Case, backward: bool):
    template = db.adjoint(case.make()) if backward else case.make()
    for view in VIEWS:
        drawn = render.scene(template, view=view, T=min(case.T, 9) if view in ("unrolled", "folded") else None)
        _check_geometry(drawn)
        _check_svg(render.svg(drawn))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("cell", [cells.elman, cells.lstm, cells.gru, cells.jordan])
def test_nothing_overlaps_however_parameters_are_drawn(cell, style):
    for view, T in itertools.product(VIEWS, (None, 3)):
        _check_geometry(render.scene(cell(3, 4, 2), view=view, T=T, parameters=style))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_overlaps_in_random_templates(seed: int):
    template = RandomTemplate(seed).make()
    for view, style in (("unrolled", "labels"), ("rolled", "copies"), ("two-slice", "shared")):
        _check_geometry(render.scene(template, T=4, view=view, parameters=style))


@pytest.mark.parametrize("show", ["values", "adjoints", "messages"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_numbers_fit_into_nodes(case: Case, show):
    drawn = render.scene(draw(case).bptt(), show=show)
    _check_geometry(drawn)
    items = drawn.lines if show == "messages" else drawn.spots
    assert any(item.heat for item in items) or not items
    _check_svg(render.svg(drawn))


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


def test_names_are_near_their_own_edges():
    for cell in (cells.elman, cells.lstm, cells.gru):
        drawn = render.scene(cell(3, 4, 2), T=3)
        for line in drawn.lines:
            if line.label:
                nearest = np.linalg.norm(flattened(line.points) - line.label_at, axis=1).min()
                assert nearest < 30


def test_titles_and_captions_fit():
    for obj in (dbn.umbrella(), cells.elman(3, 4, 2)):
        for view in ("rolled", "two-slice"):
            drawn = render.scene(obj, view=view)
            assert drawn.width > text_width(drawn.title, 15)
            for one, other in itertools.pairwise(drawn.frames):
                assert one.x + one.width < other.x
            for frame in drawn.frames:
                assert frame.width > text_width(frame.caption, 13)


def test_slices_are_alike():
    drawn = render.scene(cells.lstm(3, 4, 2), T=4)
    places = {}
    for spot in drawn.spots:
        if spot.column and spot.kind != "initial":
            places.setdefault(spot.column, {})[spot.key] = spot.x
    first, second, third = (places[c] for c in (2, 3, 4))
    pitch = second["h", ()] - first["h", ()]
    assert all(second[k] - first[k] == pytest.approx(pitch) == pytest.approx(third[k] - second[k]) for k in first)


@pytest.mark.parametrize("itself", [False, True])
def test_two_delays_into_one_node_are_two_edges(itself):
    t = db.SliceTemplate("two delays")
    W, U, x, h, o = (
        t.parameter("W", (2, 2)),
        t.parameter("U", (2, 2)),
        t.input("x", 2),
        t.variable("h", 2),
        t.variable("o", 2),
    )
    back = h if itself else x
    t.define(h, W @ back.prev + U @ back.lag(2) + x)
    t.define(o, db.tanh(h))
    t.loss("L", db.sum(o))
    one, two = sorted((line for line in render.scene(t).lines if line.delay), key=lambda line: line.delay)
    assert (one.delay, two.delay) == (1, 2)
    assert one.points != two.points
    assert math.dist(one.mark, two.mark) > 14
    number = two.mark[0] + 19, two.mark[1] - 9  # where +2 is written
    for line in (one, two):
        assert abs(line.label_at[0] - number[0]) > 10 or abs(line.label_at[1] - number[1]) > 10


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
    result = _elman(T=3)
    drawn = render.scene(result, show="adjoints")
    spot = next(s for s in drawn.spots if s.node == ("h", 1))
    adjoint = result.messages.adjoint["h", 1]
    assert np.allclose(np.array(spot.heat.rows[0]) * spot.heat.largest, adjoint, atol=1e-3 * spot.heat.largest)
    sent = next(line for line in render.scene(result, show="messages").lines if line.origin == (("h", 0), ("a", 1), 2))
    message = result.messages.edge[("h", 0), ("a", 1), 2]
    assert np.allclose(np.array(sent.heat.rows[0]) * sent.heat.largest, message, atol=1e-3 * sent.heat.largest)


def test_a_path_is_marked_and_truncation_has_borders():
    result = _elman(T=6)
    path = [("x", 0), ("a", 0), ("h", 0), ("a", 1), ("h", 1), ("o", 1)]
    drawn = render.scene(result, path=path, truncate=2)
    assert [s.node for s in drawn.spots if s.marked] == sorted(path, key=[s.node for s in drawn.spots].index)
    assert sum(line.marked for line in drawn.lines) == len(path) - 1
    columns = {spot.t: spot.x for spot in drawn.spots if spot.key[0] == "a"}
    assert [columns[1] < drawn.borders[0] < columns[2], columns[3] < drawn.borders[1] < columns[4]] == [True, True]
    assert len(drawn.borders) == 2


def test_scalar_graphs_and_their_heaviest_path():
    result = _elman(T=3, hidden=2)
    scalars = paths.linearize(result.graph, result.values)
    ((_, heaviest),) = paths.heaviest_paths(scalars, ("x", 0, (0,)), ("L", None, ()), k=1)
    drawn = render.scene(scalars, path=heaviest)
    _check_geometry(drawn)
    assert sum(line.marked for line in drawn.lines) == len(heaviest) - 2  # the sum of the losses is not drawn
    for view in VIEWS:
        _check_geometry(render.scene(scalars, view=view))


def test_a_network_with_evidence_shows_its_posteriors():
    model, evidence = dbn.umbrella(), {"Umbrella": [1, 1, 0]}
    drawn = render.scene(model, evidence=evidence)
    posterior = dbn.smooth(model, evidence)
    for spot in drawn.spots:
        assert (spot.kind == "observed") == (spot.name == "Umbrella")
        assert np.allclose(spot.heat.rows[0], posterior[spot.name][spot.t], atol=1e-4)
    _check_geometry(drawn)
    for view in VIEWS:
        _check_geometry(render.scene(model, view=view))
    below = {spot.name: spot.y for spot in drawn.spots}
    assert below["Umbrella"] > below["Rain"]


def test_a_batch_of_evidence_shows_its_first_sequence():
    model = dbn.umbrella()
    batch = render.scene(model, evidence={"Umbrella": [[1, 1, 0], [0, 0, 0]]})
    alone = render.scene(model, evidence={"Umbrella": [1, 1, 0]})
    assert [spot.heat for spot in batch.spots] == [spot.heat for spot in alone.spots]


REFUSED = [
    ("an object", lambda: render.svg("h"), "cannot draw str; give a SliceTemplate, a graph from unroll"),
    ("a view", lambda: render.svg(cells.elman(3, 4, 2), view="flat"), "view is 'flat'; it must be one of 'rolled'"),
    ("a style", lambda: render.svg(cells.elman(3, 4, 2), parameters="x"), "parameters is 'x'; it must be one of"),
    ("a theme", lambda: render.svg(cells.elman(3, 4, 2), theme="blue"), "theme is 'blue'"),
    ("no numbers", lambda: render.svg(cells.elman(3, 4, 2), T=2, show="values"), "needs numbers; draw the result of bptt"),
    ("other numbers", lambda: render.svg(_elman(), show="x"), "show is 'x'; it must be 'values'"),
    ("two Ts", lambda: render.svg(_elman(), T=3), "T goes with a template or a dynamic network"),
    ("no slices", lambda: render.svg(cells.elman(3, 4, 2), T=0), "T is 0; the number of slices must be"),
    ("no truncation", lambda: render.svg(_elman(), truncate=0), "truncate is 0; it must be a positive number"),
    ("numbers of one slice", lambda: render.svg(_elman(), view="rolled", show="values"), "show is about slices of their own"),
    ("evidence for one slice", lambda: render.svg(dbn.umbrella(), view="two-slice", evidence={"Umbrella": [1, 0]}), "evidence is about slices"),
    ("a path elsewhere", lambda: render.svg(_elman(), path=[("z", 0)]), "path: ('z', 0) is no node of what is drawn"),
    ("a rolled page", lambda: render.html(_elman(), view="rolled"), "view must be 'unrolled' or 'folded'"),
    ("a scene with options", lambda: render.svg(render.scene(_elman()), show="values"), "a scene is laid out already"),
    ("a text for slices", lambda: render.svg(_elman(), truncate="2"), "truncate is '2'; it must be a positive number"),
    ("one slice", lambda: render.svg(cells.elman(3, 4, 2), T=1, view="two-slice"), "needs two slices; give T=2 or more"),
    ("evidence", lambda: render.svg(_elman(), evidence={"Y": [1]}), "evidence goes with a pgmpy DynamicBayesianNetwork"),
    ("a page", lambda: render.html(cells.elman(3, 4, 2)), "which SliceTemplate does not have; give a result of"),
    ("no evidence", lambda: render.html(dbn.umbrella()), "give the explorer of a network some evidence"),
]  # fmt: skip


@pytest.mark.parametrize(("draw_it", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_drawn_is_refused(draw_it, message):
    with pytest.raises(db.DataError, match=re.escape(message)):
        draw_it()


def test_names_are_written_as_mathematics():
    picture = render.svg(cells.lstm(3, 4, 2), T=1)
    assert re.search(
        r'<text class="label small start"[^>]*>i</text><text class="label italic end"[^>]*>W</text>', picture
    )
    assert re.search(
        r'<text class="name small start"[^>]*>\(\u22121\)</text><text class="name italic end"[^>]*>h</text>', picture
    )
    assert "\u0177" in picture or "y\u0302" in picture  # y with a hat


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_themes(theme):
    picture = render.svg(cells.elman(3, 4, 2), theme=theme)
    _check_svg(picture)
    assert ("prefers-color-scheme" in picture) == (theme == "auto")
    assert ("#16181d" in picture) == (theme != "light")


def test_notebooks_show_the_main_objects():
    result = _elman()
    for shown in (cells.elman(3, 4, 2), result):
        assert "<svg" in shown._repr_html_()
    rnn, given = result.graph.graph["template"], result.values.given
    report = db.compare(rnn, given.parameters, given.data)
    assert "all engines agree" in report._repr_html_()
    assert "def " in db.compile(rnn)._repr_html_()
    assert render.svg(rnn)._repr_svg_().startswith("<svg")
    assert "iframe" in render.html(result)._repr_html_()
    assert "<pre>" in db.SliceTemplate("empty")._repr_html_()


def test_pictures_do_not_depend_on_the_order_of_hashes():
    import subprocess
    import sys

    program = (
        "from dbn_bptt import cells, dbn, render; import hashlib\n"
        "texts = [render.svg(cells.lstm(3, 4, 2), view=v, parameters=p) for v in ('rolled', 'two-slice') "
        "for p in ('labels', 'copies', 'shared')] + [render.svg(dbn.umbrella(), evidence={'Umbrella': [1, 0]})]\n"
        "print(hashlib.sha256(''.join(texts).encode()).hexdigest())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in "12"
    }
    assert len(runs) == 1
    assert b"" not in runs


def test_of_ragged_evidence_the_first_sequence_is_shown_to_its_end():
    import pandas as pd

    frame = pd.DataFrame({"sequence": [0, 0, 1, 1, 1, 1], "Umbrella": [1, 0, 1, 1, 0, 0]})
    drawn = render.scene(dbn.umbrella(), evidence=frame)
    assert {spot.t for spot in drawn.spots} == {0, 1}
    alone = render.scene(dbn.umbrella(), evidence={"Umbrella": [1, 0]})
    assert [spot.heat for spot in drawn.spots] == [spot.heat for spot in alone.spots]
    assert "sequence 0 of a batch of 2" in render.html(dbn.umbrella(), evidence=frame)


def test_model_and_evidence_are_read_once(monkeypatch):
    from dbn_bptt.dbn import query

    reads = []
    read = query.given_task
    monkeypatch.setattr(query, "given_task", lambda *args: reads.append(args) or read(*args))
    for draw_it in (render.svg, render.html):
        reads.clear()
        draw_it(dbn.umbrella(), evidence={"Umbrella": [1, 0, 1]})
        assert len(reads) == 1


def test_evidence_of_single_slices_needs_its_number_of_slices():
    drawn = render.scene(dbn.umbrella(), evidence={("Umbrella", 1): 1}, T=4)
    assert {spot.t for spot in drawn.spots} == {0, 1, 2, 3}
    assert [spot.node for spot in drawn.spots if spot.kind == "observed"] == [("Umbrella", 1)]


def test_truncation_has_no_border_among_initial_states():
    t = db.SliceTemplate("far")
    h = t.variable("h", 2)
    t.define(h, db.tanh(h.lag(3)))
    assert len(render.scene(t, T=4, truncate=1).borders) == 3
    assert len(render.scene(cells.bidirectional("gru", 3, 4, 2), T=4, truncate=2).borders) == 1


def test_words_of_views_without_slices_name_none():
    for view in ("rolled", "two-slice"):
        drawn = render.scene(cells.elman(3, 4, 2), view=view)
        told = [spot.title for spot in drawn.spots if spot.label.above == "(t)"] + [line.title for line in drawn.lines]
        assert any("a_t = b + W h_{t-1} + U x_t" in title for title in told)
        assert not any(re.search(r"slice [2-9]", title) for title in told)


def test_a_program_without_a_loss_is_shown():
    t = db.SliceTemplate("free")
    h = t.variable("h", 2)
    t.define(h, db.tanh(h.prev))
    assert "<pre>" in db.compile(t)._repr_html_()


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

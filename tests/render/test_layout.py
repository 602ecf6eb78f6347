"""Layout: on a grid, without overlaps, slices alike, the same in every process."""

import itertools
import math

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, render
from dbn_bptt.render.placing.curves import flattened
from dbn_bptt.render.placing.labels import text_width
from tests.cases import CASES, Case, draw
from tests.random_templates import RandomTemplate
from tests.render.checks import STYLES, VIEWS, check_geometry, check_names, check_svg


@pytest.mark.parametrize("backward", [False, True], ids=["model", "adjoint"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_nothing_overlaps_in_any_view_of_any_cell(case: Case, backward: bool):
    template = db.adjoint(case.make()) if backward else case.make()
    for view in VIEWS:
        drawn = render.scene(template, view=view, T=min(case.T, 9) if view in ("unrolled", "folded") else None)
        check_geometry(drawn)
        check_svg(render.svg(drawn))


CROWDED = {"bidirectional stack", "matrices"}


@pytest.mark.parametrize("backward", [False, True], ids=["model", "adjoint"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_no_line_crosses_a_name_in_any_view_of_any_cell(case: Case, backward: bool):
    template = db.adjoint(case.make()) if backward else case.make()
    if backward and case.name in CROWDED:
        pytest.skip("so many edges that one name a slice has no free place")
    for options in ({"view": "rolled"}, {"T": 3}, {"T": 3, "compact": True}):
        check_names(render.scene(template, **options))


@pytest.mark.parametrize("seed", range(40))
def test_no_line_crosses_a_name_in_random_templates(seed: int):
    template = RandomTemplate(seed).make()
    for options in ({"view": "rolled"}, {"view": "two-slice"}, {"T": 3}):
        check_names(render.scene(template, **options))


ALIGNED = {
    "elman": (cells.elman, [["x", "a", "h", "o"], ["L", "y"]]),
    "lstm": (cells.lstm, [["x", "s", "h", "o"], ["L", "y"]]),
    "gru": (cells.gru, [["x", "n", "h", "o"], ["L", "y"]]),
}


@pytest.mark.parametrize("name", ALIGNED)
@pytest.mark.parametrize("view", ["rolled", "unrolled", "two-slice"])
def test_what_follows_each_other_stands_in_columns(name, view):
    cell, columns = ALIGNED[name]
    drawn = render.scene(cell(3, 4, 2), view=view)
    for column in {spot.column for spot in drawn.spots}:
        place = {spot.name: spot.x for spot in drawn.spots if spot.column == column and spot.kind != "initial"}
        for names in columns:
            assert len({round(place[name], 3) for name in names if name in place}) <= 1


@pytest.mark.parametrize("cell", [cells.lstm, cells.gru])
@pytest.mark.parametrize("style", ["shared", "plates"])
def test_parameters_stand_in_a_tidy_block(cell, style):
    template = cell(3, 4, 2)
    drawn = render.scene(template, T=2, parameters=style)
    block = [spot for spot in drawn.spots if spot.kind == "parameter"]
    readers = {spot.id: {drawn.spots[e.head].name for e in drawn.lines if e.tail == spot.id} for spot in block}
    rows = {}
    for spot in block:
        rows.setdefault(spot.y, []).append(spot)
    assert len(rows) <= 5
    for row in rows.values():
        assert len({frozenset(readers[spot.id]) for spot in row}) == 1
    lowest = {round(max(y for _, y in e.points), 3) for e in drawn.lines if e.tail in readers}
    assert len(lowest) == len(rows)  # those of a row share a trunk
    with_messages = render.scene(db.bptt(template, template.initial_parameters(0), _data()), parameters=style)
    assert len({s.y for s in with_messages.spots if s.kind == "parameter"}) == len(block)


def _data():
    return {"x": np.ones((2, 3)), "y": np.array([0, 1])}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("cell", [cells.elman, cells.lstm, cells.gru, cells.jordan])
def test_nothing_overlaps_however_parameters_are_drawn(cell, style):
    for view, T in itertools.product(VIEWS, (None, 3)):
        check_geometry(render.scene(cell(3, 4, 2), view=view, T=T, parameters=style))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_overlaps_in_random_templates(seed: int):
    template = RandomTemplate(seed).make()
    for view, style in (("unrolled", "labels"), ("rolled", "copies"), ("two-slice", "shared")):
        check_geometry(render.scene(template, T=4, view=view, parameters=style))


@pytest.mark.parametrize("show", ["values", "adjoints", "messages"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_numbers_fit_into_nodes(case: Case, show):
    drawn = render.scene(draw(case).bptt(), show=show)
    check_geometry(drawn)
    items = drawn.lines if show == "messages" else drawn.spots
    assert any(item.heat for item in items) or not items
    check_svg(render.svg(drawn))


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


@pytest.mark.parametrize("order", [1, 2])
def test_adjoints_stand_beside_what_they_are_adjoints_of(order):
    template = cells.elman(3, 4, 2)
    for _ in range(order):
        template = db.adjoint(template)
    drawn = render.scene(template)
    rows = {spot.name: spot.y for spot in drawn.spots}
    pairs = [(rows[name], rows[bar]) for name, bar in template.frozen.partners.items() if {name, bar} <= rows.keys()]
    assert sum(one == other for one, other in pairs) >= 3


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

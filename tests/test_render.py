"""Pictures: on a grid, without overlaps, nothing hidden, nothing from a user unescaped; in every view and style."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, render
from dbn_bptt.render.curves import flattened
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
        drawn = render.scene(template, view=view, T=case.T if view in ("unrolled", "folded") else None)
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
    assert any(item.heat for item in (drawn.lines if show == "messages" else drawn.spots))
    _check_svg(render.svg(drawn))

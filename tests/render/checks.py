"""Checks that the tests of pictures share."""

import json
import os
import re
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells
from dbn_bptt.render.placing.curves import flattened

SVG = "{http://www.w3.org/2000/svg}"
VIEWS = ["rolled", "two-slice", "unrolled", "folded"]
CHAPTERS = [
    "01_one_slice", "02_messages", "03_gradients", "04_autodiff", "05_dynamic_programming", "06_far_back",
    "07_hidden_markov", "08_any_network", "09_kalman", "10_own_network", "11_algebras", "12_orders",
]  # fmt: skip
STYLES = ["labels", "copies", "shared", "plates", "none"]


def elman_run(T=5, seed=0, hidden=4):
    rng = np.random.default_rng(seed)
    rnn = cells.elman(3, hidden, 2)
    return db.bptt(rnn, rnn.initial_parameters(seed), {"x": rng.normal(size=(T, 3)), "y": rng.integers(0, 2, T)})


def check_geometry(drawn):
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


def check_svg(text):
    picture = ET.fromstring(text)
    assert picture.findtext(f"{SVG}title")
    assert "nodes and" in (picture.findtext(f"{SVG}desc") or "")
    assert not re.search(r"""(href|src)\s*=|url\(["']?(?!#)|@import""", text)
    return picture


def page_content(page):
    """The numbers of an explorer's page."""
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)[1])


def check_tour(content):
    """Stops come in the order of their steps; at its stop a node has its value, and a message is sent."""
    forward, backward = content["forward"], content["backward"]
    turn = len(forward)
    for stop in content["tour"]:
        step = stop["step"]
        if "node" in stop:
            node = content["nodes"][stop["node"]]
            assert node["given"] or stop["node"] in forward[:step]
            assert step <= turn or stop["node"] in backward[: step - turn]
        if "edge" in stop:
            edge = content["edges"][stop["edge"]]
            assert "message" in edge
            assert edge["head"] in backward[: step - turn]
        assert stop.get("section") in (None, "gradients", "norms", "equations", "network")
        assert stop["chapter"] in CHAPTERS
        assert "nan" not in stop["text"]
    steps = [stop["step"] for stop in content["tour"]]
    assert steps == sorted(steps)
    assert steps[-1] == turn + len(backward)


def tool(name):
    """The program of a name; without it the test is skipped, or fails where programs are required."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("DBN_BPTT_REQUIRE_TOOLS"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def check_names(drawn):
    """No name on an edge is crossed by a line, or lies over a node or another name."""
    lines = [line for line in drawn.lines if line.label]
    names = np.array([(*line.label_at, line.label.width(14), 14.0) for line in lines]).reshape(-1, 4)
    nodes = np.array([(s.x, s.y, s.width, s.height) for s in drawn.spots])
    points = np.concatenate([_close_points(line.points) for line in drawn.lines] or [np.zeros((0, 2))])
    for k, (line, (x, y, width, height)) in enumerate(zip(lines, names, strict=True)):
        others = np.concatenate([nodes, names[:k]])
        apart = np.abs(others[:, :2] - (x, y)) - (others[:, 2:] + (width, height)) / 2
        assert not (apart < -1).all(1).any(), f"the name on {line.title} lies over something"
        inside = np.abs(points - (x, y)) < (width / 2 - 1, height / 2 - 1)
        assert not inside.all(1).any(), f"a line crosses the name on {line.title}"


def _close_points(points):
    """The points of a curve, about 1 px apart."""
    where, share = flattened(points), np.linspace(0, 1, 5, endpoint=False)[:, None, None]
    return (where[:-1] * (1 - share) + where[1:] * share).reshape(-1, 2)

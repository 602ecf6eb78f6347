"""Colours by role, and sizes in centimetres."""

import re
import xml.etree.ElementTree as ET
from functools import partial
from itertools import combinations

import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, paths, render
from dbn_bptt.render.colors import LOOKS, THEMES, paint, rgb
from tests.render.checks import VIEWS, check_svg, elman_run

OUTPUTS = {
    "elman": (cells.elman, {"o", "yhat"}),
    "elman, linear": (partial(cells.elman, output="linear"), {"o"}),
    "elman, at last": (partial(cells.elman, loss_at="last"), {"o", "yhat"}),
    "jordan": (cells.jordan, {"o", "yhat"}),
    "lstm": (cells.lstm, {"o", "yhat"}),
    "bidirectional": (partial(cells.bidirectional, "gru"), {"o", "yhat"}),
}


def _roles(drawn):
    return {spot.name: spot.role for spot in drawn.spots if spot.kind != "elided"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_has_which_role(name):
    cell, outputs = OUTPUTS[name]
    template = cell(3, 4, 2)
    for view in VIEWS:
        found = _roles(render.scene(template, view=view, parameters="shared", colors="role"))
        wanted = {name: "output" if name in outputs else "hidden" for name in template.names("variable")}
        wanted |= dict.fromkeys(template.names("parameter"), "parameter") | {"x": "input", "y": "target", "L": "loss"}
        assert found == wanted
    assert set(_roles(render.scene(template)).values()) == {None}


def test_adjoints_have_the_role_of_what_they_are_adjoints_of():
    template = db.adjoint(cells.elman(3, 4, 2))
    found = _roles(render.scene(template, T=2, parameters="shared", colors="role"))
    pairs = {"a_bar": "hidden", "o_bar": "output", "W_bar": "parameter", "x_bar": "input", "yhat": "output"}
    assert {name: found[name] for name in pairs} == pairs


def test_evidence_is_input_and_what_is_asked_for_hidden():
    drawn = render.scene(dbn.umbrella(), evidence={"Umbrella": [1, 0]}, colors="role")
    assert _roles(drawn) == {"Rain": "hidden", "Umbrella": "input"}


def _luminance(color):
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_names_can_be_read_on_every_colour(theme):
    ink = THEMES[theme]
    fills = {role: paint("", role, ink).fill for role in LOOKS}
    assert len(set(fills.values())) == len(LOOKS)
    assert min(_contrast(ink.text, fill) for fill in fills.values()) > 4.5


def test_roles_can_be_told_apart_without_colour():
    drawn = render.scene(elman_run(T=2), parameters="copies", colors="role")
    seen = {s.role: (s.shape == "box", s.height < 40, LOOKS[s.role].dash, LOOKS[s.role].width) for s in drawn.spots}
    assert set(seen) == set(LOOKS)
    assert all(one != other for one, other in combinations(seen.values(), 2))


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_svg_paints_roles(theme):
    picture = render.svg(cells.elman(3, 4, 2), T=2, theme=theme, colors="role")
    check_svg(picture)
    for role in ("input", "target", "hidden", "output", "loss"):
        assert f"role-{role}" in picture
    assert "role-" not in render.svg(cells.elman(3, 4, 2), T=2, theme=theme)


@pytest.mark.parametrize("write", [render.dot, render.mermaid, render.tikz])
def test_other_formats_paint_roles(write):
    text = write(elman_run(T=2), colors="role").lower()
    for role in ("input", "hidden", "output", "loss"):
        assert paint("", role, THEMES["light"]).fill.removeprefix("#") in text


def test_scalar_graphs_have_no_roles():
    result = elman_run(T=2)
    with pytest.raises(db.DataError, match="leave it out for a scalar graph"):
        render.svg(paths.linearize(result.graph, result.values), colors="role")


def test_a_width_in_centimetres():
    drawn = render.scene(elman_run(T=2))
    picture = ET.fromstring(render.svg(drawn, size_cm=12))
    assert picture.get("width") == "12cm"
    assert float(picture.get("height").removesuffix("cm")) == pytest.approx(12 * drawn.height / drawn.width, rel=1e-3)
    by = float(re.search(r"\\scalebox\{([\d.]+)\}", render.tikz(drawn, size_cm=12))[1])
    assert by * drawn.width * 0.75 / 72 * 2.54 == pytest.approx(12, rel=1e-3)


def test_a_figure_grows_with_its_letters():
    pytest.importorskip("matplotlib")
    drawn = render.scene(elman_run(T=2))
    one, other = render.figure(drawn), render.figure(drawn, size_cm=2 * drawn.width * 2.54 / 96)
    assert tuple(other.get_size_inches()) == pytest.approx(tuple(2 * one.get_size_inches()))
    sizes = [[text.get_fontsize() for text in figure.axes[0].texts] for figure in (one, other)]
    assert sizes[1] == pytest.approx([2 * size for size in sizes[0]])


@pytest.mark.parametrize("size", [0, -1, float("nan"), "12", True])
def test_no_width_at_all(size):
    with pytest.raises(db.DataError, match="it must be a positive number, the width in centimetres"):
        render.svg(elman_run(T=2), size_cm=size)

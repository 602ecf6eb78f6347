"""SVG and notebooks: mathematics, themes, what cells show."""

import re

import pytest

import dbn_bptt as db
from dbn_bptt import cells, render
from tests.render.checks import check_svg, elman_run


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
    check_svg(picture)
    assert ("prefers-color-scheme" in picture) == (theme == "auto")
    assert ("#16181d" in picture) == (theme != "light")


def test_notebooks_show_the_main_objects():
    result = elman_run()
    for shown in (cells.elman(3, 4, 2), result):
        assert "<svg" in shown._repr_html_()
    rnn, given = result.graph.graph["template"], result.values.given
    report = db.compare(rnn, given.parameters, given.data)
    assert "all engines agree" in report._repr_html_()
    assert "def " in db.compile(rnn)._repr_html_()
    assert render.svg(rnn)._repr_svg_().startswith("<svg")
    assert "iframe" in render.html(result)._repr_html_()
    assert "<pre>" in db.SliceTemplate("empty")._repr_html_()


def test_a_program_without_a_loss_is_shown():
    t = db.SliceTemplate("free")
    h = t.variable("h", 2)
    t.define(h, db.tanh(h.prev))
    assert "<pre>" in db.compile(t)._repr_html_()

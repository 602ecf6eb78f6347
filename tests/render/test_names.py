"""Names, notation and slices of one's own."""

import networkx as nx
import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, paths, render
from tests.render.checks import check_geometry, check_svg, elman_run

READ = [
    ("s", "s", "s", ""),
    ("alpha", r"\alpha", "\u03b1", ""),
    (r"\alpha", r"\alpha", "\u03b1", ""),
    (r"\ell", r"\ell", "\u2113", ""),
    ("ell", r"\ell", "\u2113", ""),
    (r"\hat{p}", r"\hat{p}", "p\u0302", ""),
    (r"\bar{\mu}_1", r"\bar{\mu}", "\u03bc\u0304", "1"),
    (r"\tilde{h}", r"\tilde{h}", "h\u0303", ""),
    ("W_{xh}", "W", "W", "xh"),
    ("cell state", r"\text{cell state}", "cell state", ""),
]


@pytest.mark.parametrize(("own", "latex", "letter", "below"), READ, ids=[row[0] for row in READ])
def test_names_are_read_as_names_or_as_latex(own, latex, letter, below):
    (label,) = {spot.label for spot in render.scene(elman_run(T=1), names={"o": own}).spots if spot.name == "o"}
    assert (label.latex_letter, label.letter, label.below, label.above) == (latex, letter, below, "(0)")


def test_names_are_in_labels_titles_and_equations():
    drawn = render.scene(elman_run(T=2), names={"h": "s", "W": "R", "a": "h"}, compact=False)
    titles = {spot.node: spot.title for spot in drawn.spots}
    assert titles["a", 1].endswith("h_1 = b + R s_0 + U x_1")
    assert titles["h", 1].startswith("s, slice 1: variable")
    assert [line.label.letter for line in drawn.lines if line.origin[0] == ("h", 0) and line.label] == ["V", "R"]
    assert "rows are the variables s, x, y, h, o" in drawn.description
    told = render.scene(cells.elman(3, 4, 2), compact=True, names={"h": "s"})
    assert any(spot.title.endswith("s_t = tanh(b + W s_{t-1} + U x_t)") for spot in told.spots)


def test_names_change_no_place_and_no_result():
    result = elman_run(T=3)
    one, other = render.scene(result), render.scene(result, names={"h": "s", "U": "K"})
    assert [(s.node, s.name, s.x, s.y) for s in one.spots] == [(s.node, s.name, s.x, s.y) for s in other.spots]
    assert [line.weight for line in one.lines] == [line.weight for line in other.lines]
    saved = nx.parse_graphml(render.graphml(result, names={"h": "s"}), force_multigraph=True)
    assert saved.nodes["h[1]"]["label"] == "s\u207d\u00b9\u207e"


def test_the_transpose_is_that_of_the_new_name():
    drawn = render.scene(db.adjoint(cells.elman(3, 4, 2)), T=2, names={"V": "K"})
    assert {(e.label.letter, e.label.above) for e in drawn.lines if e.label and e.label.letter == "K"} == {
        ("K", ""), ("K", "\u22a4"),
    }  # fmt: skip


def test_the_slice_stands_above_or_below():
    result = elman_run(T=2)
    assert "$h^{(1)}$" in render.tikz(result)
    below = render.tikz(result, notation="subscript")
    assert "$h_{1}$" in below
    assert "^{(" not in below
    lstm = render.scene(cells.bidirectional("lstm", 3, 4, 2), T=2, notation="subscript")
    check_geometry(lstm)
    scalars = paths.linearize(result.graph, result.values)
    assert "h_0,1" in {spot.label.text for spot in render.scene(scalars, notation="subscript").spots}


@pytest.mark.parametrize(
    ("T", "times"), [(1, ["t"]), (2, ["t-1", "t"]), (3, ["t-1", "t", "t+1"]), (4, ["t-2", "t-1", "t", "t+1"])]
)
def test_slices_are_named_after_the_middle_one(T, times):
    drawn = render.scene(cells.elman(3, 4, 2), T=T, slices="relative")
    seen = {spot.label.above.strip("()").replace("\u2212", "-"): spot.x for spot in drawn.spots if spot.name == "x"}
    assert sorted(seen, key=seen.get) == times
    assert [text.replace("\u2212", "-") for *_, text in drawn.headings][1:] == times
    assert any(spot.title.endswith("a_t = b + W h_{t-1} + U x_t") for spot in drawn.spots)
    check_svg(render.svg(drawn))


def test_slices_of_models_without_numbers_are_relative_already():
    for view in ("rolled", "two-slice"):
        assert render.svg(cells.gru(3, 4, 2), view=view) == render.svg(cells.gru(3, 4, 2), view=view, slices="relative")
    drawn = render.scene(dbn.umbrella(), T=3, slices="relative", names={"Rain": "R"})
    assert {spot.label.text for spot in drawn.spots if spot.name == "Rain"} == {
        "R\u207d\u1d57\u207b\u00b9\u207e",
        "R\u207d\u1d57\u207e",
        "R\u207d\u1d57\u207a\u00b9\u207e",
    }


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(db.UnknownNameError, match="unknown name of what is drawn 'hh'; did you mean 'h'"):
        render.svg(cells.elman(3, 4, 2), names={"hh": "s"})

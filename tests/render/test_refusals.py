"""What cannot be drawn is refused, with the culprit and the mend."""

import re

import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, render
from tests.render.checks import elman_run

REFUSED = [
    ("an object", lambda: render.svg("h"), "cannot draw str; give a SliceTemplate, a graph from unroll"),
    ("a view", lambda: render.svg(cells.elman(3, 4, 2), view="flat"), "view is 'flat'; it must be one of 'rolled'"),
    ("a style", lambda: render.svg(cells.elman(3, 4, 2), parameters="x"), "parameters is 'x'; it must be one of"),
    ("a theme", lambda: render.svg(cells.elman(3, 4, 2), theme="blue"), "theme is 'blue'"),
    ("no numbers", lambda: render.svg(cells.elman(3, 4, 2), T=2, show="values"), "needs numbers; draw the result of bptt"),
    ("other numbers", lambda: render.svg(elman_run(), show="x"), "show is 'x'; it must be 'values'"),
    ("two Ts", lambda: render.svg(elman_run(), T=3), "T goes with a template or a dynamic network"),
    ("no slices", lambda: render.svg(cells.elman(3, 4, 2), T=0), "T is 0; the number of slices must be"),
    ("no truncation", lambda: render.svg(elman_run(), truncate=0), "truncate is 0; it must be a positive number"),
    ("numbers of one slice", lambda: render.svg(elman_run(), view="rolled", show="values"), "show is about slices of their own"),
    ("evidence for one slice", lambda: render.svg(dbn.umbrella(), view="two-slice", evidence={"Umbrella": [1, 0]}), "evidence is about slices"),
    ("a path elsewhere", lambda: render.svg(elman_run(), path=[("z", 0)]), "path: ('z', 0) is no node of what is drawn"),
    ("a rolled page", lambda: render.html(elman_run(), view="rolled"), "view must be 'unrolled' or 'folded'"),
    ("a scene with options", lambda: render.svg(render.scene(elman_run()), show="values"), "a scene is laid out already"),
    ("a text for slices", lambda: render.svg(elman_run(), truncate="2"), "truncate is '2'; it must be a positive number"),
    ("one slice", lambda: render.svg(cells.elman(3, 4, 2), T=1, view="two-slice"), "needs two slices; give T=2 or more"),
    ("evidence", lambda: render.svg(elman_run(), evidence={"Y": [1]}), "evidence goes with a pgmpy DynamicBayesianNetwork"),
    ("a page", lambda: render.html(cells.elman(3, 4, 2)), "which SliceTemplate does not have; give a result of"),
    ("a number beside", lambda: render.html(elman_run(), beside=3), "which int does not have; give a result of"),
    ("nothing beside", lambda: render.html(elman_run(), beside=(dbn.umbrella(), None)), "give the explorer of a network some evidence"),
    ("a compact page", lambda: render.html(elman_run(), compact=True), "has every variable, by its own name, slice and colours; leave compact out"),
    ("a page with other names", lambda: render.html(elman_run(), names={"h": "s"}), "leave names out"),
    ("one name for two", lambda: render.svg(cells.lstm(3, 4, 2), names={"h": "s"}), "s and h would both be called 's'"),
    ("a name in LaTeX", lambda: render.svg(elman_run(), names={"h": "\\input{x}"}), "is LaTeX that pictures do not know; give a letter"),
    ("no name", lambda: render.svg(elman_run(), names={"h": ""}), "names: '' is no name; give a letter or a word"),
    ("a list of names", lambda: render.svg(elman_run(), names=["h"]), "give a mapping such as {'h': 's'}"),
    ("colours", lambda: render.svg(elman_run(), colors="red"), "colors is 'red'; it must be one of 'plain', 'role'"),
    ("a notation", lambda: render.svg(elman_run(), notation="below"), "notation is 'below'; it must be one of 'superscript', 'subscript'"),
    ("slices", lambda: render.svg(elman_run(), slices="all"), "slices is 'all'; it must be one of 'numbers', 'relative'"),
    ("relative and folded", lambda: render.svg(elman_run(T=9), slices="relative"), "which is folded away; draw fewer slices"),
    ("a compact network", lambda: render.svg(dbn.umbrella(), compact=True), "which a dynamic Bayesian network does not have"),
    ("a compact scene", lambda: render.svg(render.scene(elman_run()), compact=True), "a scene is laid out already"),
    ("no evidence", lambda: render.html(dbn.umbrella()), "give the explorer of a network some evidence"),
]  # fmt: skip


@pytest.mark.parametrize(("draw_it", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_drawn_is_refused(draw_it, message):
    with pytest.raises(db.DataError, match=re.escape(message)):
        draw_it()

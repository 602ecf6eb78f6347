"""The page of the explorer: content, picture, style and program in one file."""

import json
import re
from contextlib import suppress
from html import escape
from importlib.resources import files
from typing import Any, Unpack

from dbn_bptt.errors import DbnBpttError
from dbn_bptt.render.explorer.beside import lockstep
from dbn_bptt.render.explorer.formulas import mathml
from dbn_bptt.render.explorer.shown import Shown, shown
from dbn_bptt.render.subjects.scene import Options
from dbn_bptt.render.writers.svg import document, style
from dbn_bptt.template.equations import equations
from dbn_bptt.template.template import Template
from dbn_bptt.transforms.adjoint import adjoint

PROGRAM = (
    "elements.js", "known.js", "picture.js", "details.js", "gradients.js", "sections.js", "player.js", "frame.js",
    "tour.js", "explorer.js",
)  # fmt: skip


class Html(str):
    """A page that a notebook shows in a frame."""

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(str(self))}" style="width:100%;height:600px;border:1px solid #8888" '
            'title="explorer"></iframe>'
        )


def html(obj: Any, *, beside: Any = None, at: str = "", book: str | None = None, **options: Unpack[Options]) -> Html:
    """The explorer: one self-contained page that steps through the forward sweep and then the reverse sweep.

    Each step shows which nodes are ready; a node shows its equation, its value, its adjoint and the messages that make
    it up; an edge its message, its local Jacobian and their formula. A guided tour says in a few sentences, with the
    numbers of this run, what is to be seen. Below are the gradients as they build up slice by slice, the itemised
    gradient, the norms of the adjoints, the equations, and the agreement with other engines. Of a batch the first
    sequence is shown. The page needs no network and nothing but a browser.

    Parameters
    ----------
    obj : Result, Report, or pgmpy DynamicBayesianNetwork
        From `bptt` or `compare`; or a network, with `evidence`, whose inference is stepped through as BPTT on its
        network polynomial.
    beside : Result, Report, or (network, evidence), optional
        What is shown beside it, slice by slice in lockstep: the messages of a hidden Markov model beside a recurrent
        network, say.
    at : "step=12", "node=h,2", "loss", "tour" or "tour=3", optional
        Where the page opens; an address that ends in # and one of these says the same.
    book : str, optional
        The address, relative or absolute, of the folder of the book's chapters; the stops of the tour then link to
        them.
    **options
        view, T, parameters, path, truncate, evidence: as in `svg`; T goes with a network.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> result = db.bptt(rnn, rnn.initial_parameters(0), {"x": np.ones((3, 3)), "y": np.array([0, 1, 0])})
    >>> page = html(result)
    >>> page[:15], "http" in page.replace("http://www.w3.org/", "")
    ('<!doctype html>', False)
    >>> from dbn_bptt import dbn
    >>> "iframe" in html(result, beside=(dbn.umbrella(), {"Umbrella": [1, 1, 0]}))
    True
    """
    one = shown(obj, options)
    if beside is None:
        return _page(one, at, book)
    other, evidence = beside if isinstance(beside, tuple) and len(beside) == 2 else (beside, None)
    drawn_alike: Options = {"view": options.get("view"), "evidence": evidence}
    if "parameters" in options:
        drawn_alike["parameters"] = options["parameters"]
    return _pair(one, shown(other, drawn_alike), at)


def _pair(one: Shown, two: Shown, at: str) -> Html:
    """A page with two explorers, and one set of buttons for both."""
    pairs, titles = lockstep(one.content, two.content), [of.content["title"] for of in (one, two)]
    content = {
        "pages": [_page(of, "", None, "driven") for of in (one, two)], "titles": titles,
        "pairs": pairs, "turn": pairs.index((len(one.content["forward"]), len(two.content["forward"]))),
    }  # fmt: skip
    title = " beside ".join(titles)
    parts = {
        "TITLE": escape(title), "HEADING": escape(title), "AT": escape(at), "STYLE": _read("explorer.css"),
        "CONTENT": _json(content), "SCRIPT": _program("elements.js", "player.js", "frame.js", "beside.js"),
    }  # fmt: skip
    return _filled("beside.html", parts)


def _page(of: Shown, at: str, book: str | None, kind: str = "") -> Html:
    title = of.content["title"]
    dark = style("dark").replace(".dbn-bptt", "[data-theme=dark] .dbn-bptt")  # on the screen; paper is always light
    parts = {
        "KIND": kind,
        "AT": escape(at),
        "TITLE": escape(f"{title}: back-propagation through time, step by step"),
        "HEADING": escape(title),
        "STYLE": style("light") + "@media screen {" + dark + "}\n" + _read("explorer.css"),
        "PICTURE": document(of.picture, head=False),
        "EQUATIONS": _equations(of.template),
        "CONTENT": _json(of.content | {"book": book and f"{book.rstrip('/')}/"}),
        "SCRIPT": _program(*PROGRAM),
    }
    return _filled("explorer.html", parts)


def _program(*names: str) -> str:
    return "\n".join(['"use strict";', *map(_read, names)])


def _filled(name: str, parts: dict[str, str]) -> Html:
    """A page with its parts in their places."""
    parts |= {"CONTROLS": _read("controls.html"), "KEYS": _read("keys.html")}
    return Html("".join(parts.get(piece, piece) for piece in _read(name).split("@@")))


def _json(content: dict[str, Any]) -> str:
    """Content as JSON that a page may hold; what is infinite, which JSON lacks, is too large a number."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return re.sub(r"(?<=[\[,:])(-?)Infinity(?=[\],}])", r"\g<1>1e999", text)


def _read(name: str) -> str:
    return (files("dbn_bptt.render.explorer") / name).read_text(encoding="utf-8")


def _equations(template: Template) -> str:
    """The equations of the template and of its adjoint."""
    parts = [("Model", template)]
    with suppress(DbnBpttError):  # what has no adjoint template is stepped through all the same
        parts.append(("Adjoint: the messages of the reverse sweep", adjoint(template).frozen))
    page = []
    for title, of in parts:
        body = equations(of).removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}")
        lines = (mathml(line.replace("&=", "=")) for line in body.split(" \\\\\n"))
        page += [f"<h3>{title}</h3>", *(f'<p class="equation">{line}</p>' for line in lines)]
    return "".join(page)

"""The page of the explorer: content, picture, style and program in one file."""

import json
import re
from contextlib import suppress
from html import escape
from importlib.resources import files
from typing import Any, Unpack

from dbn_bptt.agreement import Report
from dbn_bptt.errors import DataError, DbnBpttError
from dbn_bptt.render.explorer.content import compared, content, network, one_sequence
from dbn_bptt.render.explorer.formulas import mathml
from dbn_bptt.render.layout import scene
from dbn_bptt.render.subjects.inference import inference
from dbn_bptt.render.subjects.scene import Options
from dbn_bptt.render.subjects.views import View
from dbn_bptt.render.writers.svg import document, style
from dbn_bptt.sweep.results import Result
from dbn_bptt.template.equations import equations
from dbn_bptt.template.template import Template
from dbn_bptt.transforms.adjoint import adjoint

MOST_SLICES = 60  # of which all are drawn; longer runs are folded


class Html(str):
    """A page that a notebook shows in a frame."""

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(str(self))}" style="width:100%;height:760px;border:1px solid #8888" '
            'title="explorer"></iframe>'
        )


def html(obj: Any, **options: Unpack[Options]) -> Html:
    """The explorer: one self-contained page that steps through the forward sweep and then the reverse sweep.

    Each step shows which nodes are ready; a node shows its equation, its value, its adjoint and the messages that make
    it up; an edge its message, its local Jacobian and their formula. Below are the gradients as they build up slice by
    slice, the itemised gradient, the norms of the adjoints, the equations, and the agreement with other engines. Of a
    batch the first sequence is shown. The page needs no network and nothing but a browser.

    Parameters
    ----------
    obj : Result, Report, or pgmpy DynamicBayesianNetwork
        From `bptt` or `compare`; or a network, with `evidence`, whose inference is stepped through as BPTT on its
        network polynomial.
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
    """
    if hasattr(obj, "get_inter_edges"):
        return _of_network(obj, options)
    if isinstance(obj, Report):
        return _page(obj.result, obj, options)
    if isinstance(obj, Result):
        return _page(obj, None, options)
    raise DataError(
        f"the explorer steps through numbers, which {type(obj).__name__} does not have; give a result of "
        "bptt(template, parameters, data), a report of compare(...), or a pgmpy network with evidence"
    )


def _of_network(model: Any, options: Options) -> Html:
    """The explorer of inference: BPTT on the network polynomial, beside the posteriors."""
    options = options.copy()
    evidence, T = options.pop("evidence", None), options.pop("T", None)
    if evidence is None:
        raise DataError('give the explorer of a network some evidence: html(model, evidence={"Y": [0, 1, 1]})')
    asked = inference(model, evidence, T)
    result = asked.swept()
    return _page(result, None, options, network(model, asked, result), asked.sequences)


def _page(
    result: Result, report: Report | None, options: Options, extra: dict[str, Any] | None = None, sequences: int = 0
) -> Html:
    view, given = options.get("view"), result.values.given
    if view not in (None, "unrolled", "folded"):
        raise DataError(f"the explorer steps through slices; view must be 'unrolled' or 'folded', not {view!r}")
    if options.get("show") is not None:
        raise DataError("the explorer shows all numbers; leave show out")
    for name in ("compact", "names", "slices", "colors"):
        if options.get(name):
            raise DataError(f"the explorer has every variable, by its own name, slice and colours; leave {name} out")
    sequences = given.batch[0] if given.batch else sequences
    result = one_sequence(result)
    drawn: View = view or ("unrolled" if given.T <= MOST_SLICES else "folded")
    picture = scene(result.graph, **(options | {"view": drawn}))
    shown = content(result, picture, compared(result) if report is None or given.batch else report)
    if extra is not None:  # the scales let no message through, so that terms of the loss are not to blame one by one
        shown |= {"network": extra, "credit": {}, "title": "inference as back-propagation through time"}
    shown["sequence"] = f"sequence 0 of a batch of {sequences}" if sequences else ""
    dark = style("dark").replace(".dbn-bptt", "[data-theme=dark] .dbn-bptt")  # on the screen; paper is always light
    parts = {
        "TITLE": escape(f"{shown['title']}: back-propagation through time, step by step"),
        "HEADING": escape(shown["title"]),
        "STYLE": style("light") + "@media screen {" + dark + "}\n" + _read("explorer.css"),
        "PICTURE": document(picture, head=False),
        "EQUATIONS": _equations(result.template),
        "CONTENT": _json(shown),
        "SCRIPT": _read("explorer.js"),
    }
    return Html("".join(parts.get(piece, piece) for piece in _read("explorer.html").split("@@")))


def _json(shown: dict[str, Any]) -> str:
    """Content as JSON that a page may hold; what is infinite, which JSON lacks, is too large a number."""
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
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

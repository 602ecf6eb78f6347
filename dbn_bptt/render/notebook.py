"""How notebooks show templates, results, reports and programs."""

from functools import singledispatch
from html import escape
from typing import Any

from dbn_bptt.agreement import Report
from dbn_bptt.errors import TemplateError
from dbn_bptt.program import Program
from dbn_bptt.render.writers.svg import svg
from dbn_bptt.sweep.results import Result
from dbn_bptt.template.template import Described


@singledispatch
def shown(obj: Any) -> str | None:
    """An object as HTML; None where there is nothing but its text."""
    return None


@shown.register
def _(template: Described) -> str:
    """The rolled picture; the text where the template is not finished."""
    try:
        return str(svg(template))
    except TemplateError:
        return f"<pre>{escape(repr(template))}</pre>"


@shown.register
def _(result: Result) -> str:
    return f"<p>{escape(repr(result))}</p>{svg(result)}"


@shown.register
def _(report: Report) -> str:
    return f"<pre>{escape(str(report))}</pre>"


@shown.register
def _(program: Program) -> str:
    head = f"<pre>{escape(repr(program))}</pre>"
    if not program.template.losses:
        return head
    return f"{head}<details><summary>source</summary><pre>{escape(program.source)}</pre></details>"

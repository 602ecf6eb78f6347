"""How notebooks show templates, results, reports and programs."""

from html import escape
from typing import Any

from dbn_bptt.agreement import Report
from dbn_bptt.errors import TemplateError
from dbn_bptt.program import Program
from dbn_bptt.render.writers.svg import svg
from dbn_bptt.sweep.results import Result
from dbn_bptt.template.template import Described


def shown(obj: Any) -> str | None:
    """An object as HTML; None where there is nothing but its text."""
    if isinstance(obj, Described):
        try:
            return str(svg(obj))
        except TemplateError:  # it is not finished
            return _text(obj)
    if isinstance(obj, Result):
        return f"<p>{escape(repr(obj))}</p>{svg(obj)}"
    if isinstance(obj, Program) and obj.template.losses:
        return f"{_text(obj)}<details><summary>source</summary><pre>{escape(obj.source)}</pre></details>"
    return _text(obj) if isinstance(obj, Report | Program) else None


def _text(obj: Any) -> str:
    return f"<pre>{escape(repr(obj))}</pre>"

"""How notebooks show templates, results, reports and programs."""

from html import escape

from dbn_bptt.agreement import Report
from dbn_bptt.errors import TemplateError
from dbn_bptt.program import Program
from dbn_bptt.sweep.results import Result
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.shown import shown_as
from dbn_bptt.template.template import Described, Template


def _template(template: Described) -> str:
    """The rolled picture; the text where the template is not finished."""
    from dbn_bptt.render.writers.svg import svg

    try:
        return str(svg(template))
    except TemplateError:
        return f"<pre>{escape(repr(template))}</pre>"


def _result(result: Result) -> str:
    from dbn_bptt.render.writers.svg import svg

    return f"<p>{escape(repr(result))}</p>{svg(result)}"


def _report(report: Report) -> str:
    return f"<pre>{escape(str(report))}</pre>"


def _program(program: Program) -> str:
    head = f"<pre>{escape(repr(program))}</pre>"
    if not program.template.losses:
        return head
    return f"{head}<details><summary>source</summary><pre>{escape(program.source)}</pre></details>"


def register() -> None:
    """Tell `notebook` how."""
    shown_as(SliceTemplate, _template)
    shown_as(Template, _template)
    shown_as(Result, _result)
    shown_as(Report, _report)
    shown_as(Program, _program)

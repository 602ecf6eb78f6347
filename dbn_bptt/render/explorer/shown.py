"""What the explorer is asked to show: a run of BPTT or inference, as numbers, a picture and a tour."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dbn_bptt.agreement import Report
from dbn_bptt.errors import DataError
from dbn_bptt.render.explorer.content import compared, content, network, one_sequence
from dbn_bptt.render.explorer.tour import drawn, tour
from dbn_bptt.render.explorer.tour_inference import tour_of_inference
from dbn_bptt.render.layout import scene
from dbn_bptt.render.subjects.inference import inference
from dbn_bptt.render.subjects.scene import Options, Scene
from dbn_bptt.render.subjects.sources import is_network
from dbn_bptt.render.subjects.views import View
from dbn_bptt.sweep.results import Result
from dbn_bptt.template.template import Template

MOST_SLICES = 60  # of which all are drawn; longer runs are folded


@dataclass(frozen=True)
class Shown:
    """What a page is made of."""

    content: dict[str, Any] = field(repr=False)  # ready for JSON
    picture: Scene
    template: Template


def shown(obj: Any, options: Options) -> Shown:
    """A result, a report, or a network with evidence."""
    view = options.get("view")
    if view not in (None, "unrolled", "folded"):
        raise DataError(f"the explorer steps through slices; view must be 'unrolled' or 'folded', not {view!r}")
    if options.get("show") is not None:
        raise DataError("the explorer shows all numbers; leave show out")
    for name in ("compact", "names", "slices", "colors"):
        if options.get(name):
            raise DataError(f"the explorer has every variable, by its own name, slice and colours; leave {name} out")
    if is_network(obj):
        return _inference(obj, options)
    if isinstance(obj, Report):
        return _run(obj.result, obj, options)
    if isinstance(obj, Result):
        return _run(obj, None, options)
    raise DataError(
        f"the explorer steps through numbers, which {type(obj).__name__} does not have; give a result of "
        "bptt(template, parameters, data), a report of compare(...), or a pgmpy network with evidence"
    )


def _run(of: Result, report: Report | None, options: Options) -> Shown:
    batch, result = of.values.given.batch, one_sequence(of)
    picture = _picture(result, options)
    numbers = content(result, picture, compared(result) if report is None or batch else report)
    numbers |= {"sequence": _sequence(batch), "tour": tour(drawn(result, picture, numbers))}
    return Shown(numbers, picture, result.template)


def _inference(model: Any, options: Options) -> Shown:
    """BPTT on the network polynomial, beside the posteriors."""
    options = options.copy()
    evidence, T = options.pop("evidence", None), options.pop("T", None)
    if evidence is None:
        raise DataError('give the explorer of a network some evidence: html(model, evidence={"Y": [0, 1, 1]})')
    if getattr(model, "conditional", False):
        raise DataError("the explorer steps through one sweep, and a conditional network takes two; see render.svg")
    asked = inference(model, evidence, T)
    result = asked.swept()
    picture = _picture(result, options)
    numbers = content(result, picture, compared(result)) | {
        "title": "inference as back-propagation through time",
        "network": network(model, asked, result),
        "credit": {},  # the scales let no message through, so that terms of the loss are not to blame one by one
        "sequence": _sequence([asked.sequences] if asked.sequences else []),
    }
    numbers["tour"] = tour_of_inference(drawn(result, picture, numbers), asked)
    return Shown(numbers, picture, result.template)


def _picture(result: Result, options: Options) -> Scene:
    chosen: View = options.get("view") or ("unrolled" if result.values.given.T <= MOST_SLICES else "folded")
    return scene(result.graph, **(options | {"view": chosen}))


def _sequence(batch: Sequence[int]) -> str:
    """Which sequence is shown."""
    return f"sequence 0 of a batch of {batch[0]}" if batch else ""

"""What a reader is told in words: of a node, of an edge, and of a whole picture."""

from collections.abc import Iterable, Mapping
from typing import Any

from dbn_bptt.render.placing.labels import counted
from dbn_bptt.render.subjects.scene import Spot
from dbn_bptt.template.equations import Writer
from dbn_bptt.template.expressions import Expression


def about_node(attributes: Mapping[str, Any], kind: str, of_slices: bool) -> str:
    """What a reader is told of a node."""
    name, t, shape = attributes["name"], attributes["t"], attributes["shape"]
    if kind == "elided":
        return f"{name} in the slices that are left out"
    index = f"[{', '.join(map(str, attributes['index']))}]" if attributes["index"] else ""
    where = f", slice {t if of_slices else attributes['time']}" if t is not None else ""
    size = f", shape {shape}" if shape else ""
    rule = attributes["equation"]
    at = str(t if of_slices else attributes["time"]).replace("\u2212", "-")
    equation = "" if rule is None else f"; {equation_text(name, rule, at)}"
    return f"{name}{index}{where}: {kind}{size}{equation}"


def equation_text(name: str, rule: Expression, t: str) -> str:
    """An equation about a slice, in plain characters."""
    writer = Writer("text")
    return f"{writer.timed(name, t, 0)} = {writer.expression(rule, t)[0]}"


def about_edge(tail: Spot, head: Spot, attributes: Mapping[str, Any], norm: float | None, of_slices: bool) -> str:
    """What a reader is told of an edge."""
    delay, parameter = attributes["delay"], attributes["parameter"]
    title = f"{_called(tail, of_slices)} to {_called(head, of_slices)}"
    if delay:
        title += f", {counted(abs(delay), 'slice')} {'later' if delay > 0 else 'earlier'}"
    title += f", times {parameter}" if parameter else ""
    return title + (f"; norm of the message {norm:.4g}" if norm is not None else "")


def _called(spot: Spot, of_slices: bool) -> str:
    where = spot.t if of_slices else spot.label.above.strip("()")
    return str(spot.name) + (f", slice {where}" if spot.t is not None else "")


def about_picture(names: Iterable[str], nodes: int, edges: int, downward: bool) -> str:
    """What a reader is told of a whole picture."""
    return (
        f"{counted(nodes, 'node')} and {counted(edges, 'edge')} on a grid. Columns are time slices, from left to "
        f"right; rows are the variables {', '.join(names)}, each {'below' if downward else 'above'} what it depends on."
    )

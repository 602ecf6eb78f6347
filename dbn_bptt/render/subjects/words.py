"""What a reader is told in words: of a node, of an edge, and of a whole picture."""

from collections.abc import Iterable, Mapping
from typing import Any

from dbn_bptt.render.placing.labels import counted
from dbn_bptt.template.equations import Writer
from dbn_bptt.template.expressions import Expression


def about_node(attributes: Mapping[str, Any], kind: str) -> str:
    """What a reader is told of a node."""
    name, shape, at = attributes["called"], attributes["shape"], plain_time(attributes)
    if kind == "elided":
        return f"{name} in the slices that are left out"
    index = f"[{', '.join(map(str, attributes['index']))}]" if attributes["index"] else ""
    where = f", slice {at}" if at else ""
    size = f", shape {shape}" if shape else ""
    rule = attributes["equation"]
    equation = "" if rule is None else f"; {equation_text(name, rule, at)}"
    return f"{name}{index}{where}: {kind}{size}{equation}"


def equation_text(name: str, rule: Expression, t: str) -> str:
    """An equation about a slice, in plain characters."""
    writer = Writer("text")
    return f"{writer.timed(name, t, 0)} = {writer.expression(rule, t)[0]}"


def about_edge(
    tail: Mapping[str, Any], head: Mapping[str, Any], attributes: Mapping[str, Any], norm: float | None
) -> str:
    """What a reader is told of an edge, by the attributes of its ends and its own."""
    delay, parameter = attributes["delay"], attributes["parameter"]
    title = f"{_called(tail)} to {_called(head)}"
    if delay:
        title += f", {counted(abs(delay), 'slice')} {'later' if delay > 0 else 'earlier'}"
    title += f", times {parameter}" if parameter else ""
    return title + (f"; norm of the message {norm:.4g}" if norm is not None else "")


def _called(attributes: Mapping[str, Any]) -> str:
    at = plain_time(attributes)
    return str(attributes["called"]) + (f", slice {at}" if at else "")


def plain_time(attributes: Mapping[str, Any]) -> str:
    """The name of a node's slice in plain characters; nothing for what is in none."""
    return str(attributes["time"]).replace("\u2212", "-")


def about_picture(names: Iterable[str], nodes: int, edges: int, downward: bool) -> str:
    """What a reader is told of a whole picture."""
    return (
        f"{counted(nodes, 'node')} and {counted(edges, 'edge')} on a grid. Columns are time slices, from left to "
        f"right; rows are the variables {', '.join(names)}, each {'below' if downward else 'above'} what it depends on."
    )

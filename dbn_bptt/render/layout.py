"""From an object to its scene: source, page, ground, routes, in this order."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.equations import Writer
from dbn_bptt.errors import DataError
from dbn_bptt.kernels import Array
from dbn_bptt.render.curves import Box, Point, Points, along, flattened, length
from dbn_bptt.render.labels import Label, label, text_width
from dbn_bptt.render.measures import Ground, ground, key_of
from dbn_bptt.render.overlays import CELL, Overlay, Show, evidence_slices, of_result, posteriors, weights
from dbn_bptt.render.parameters import PARAMETERS, Parameters, with_parameters
from dbn_bptt.render.placing import delay_marks, label_places
from dbn_bptt.render.routes import Route, routed
from dbn_bptt.render.scene import Frame, Line, Scene, Spot
from dbn_bptt.render.sources import Source, source
from dbn_bptt.render.views import Page, View, page

MARGIN, TITLE, FOOT, PLATE = 26.0, 34.0, 30.0, 16.0  # px


def scene(
    obj: Any, *, view: View | None = None, T: int | None = None, parameters: Parameters | None = None,
    show: Show | None = None, path: Iterable[Any] | None = None, truncate: int | None = None, evidence: Any = None,
) -> Scene:  # fmt: skip
    """Lay an object out; the options are those of `Options`.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> drawn = scene(db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=3))
    >>> print(drawn.title)
    Elman network, unrolled over 3 slices
    >>> len({spot.y for spot in drawn.spots if spot.key[0] == "h"})
    1
    """
    if isinstance(obj, Scene):
        return obj
    if parameters is not None and parameters not in PARAMETERS:
        raise DataError(f"parameters is {parameters!r}; it must be one of {', '.join(map(repr, PARAMETERS))}")
    if truncate is not None and truncate < 1:
        raise DataError(f"truncate is {truncate}; it must be a positive number of slices")
    of = source(obj, T if evidence is None else evidence_slices(obj, evidence, T))
    how = parameters or ("none" if of.staggered else "labels")
    drawn = with_parameters(page(of, view), how)
    if not drawn.of_slices:
        given = {"show": show, "path": path, "truncate": truncate, "evidence": evidence}
        for name, option in given.items():
            if option is not None:
                raise DataError(f"{name} is about slices of their own; draw it with view='unrolled' or 'folded'")
    over = _overlay(obj, of, drawn, show, evidence)
    nodes = tuple(path or ())
    missing = [node for node in nodes if node not in of.graph and not (isinstance(node, tuple) and node[1] is None)]
    if missing:
        raise DataError(f"path: {missing[0]!r} is no node of what is drawn")
    return _assembled(of, drawn, replace(over, path=nodes, truncate=truncate or 0), plates=how == "plates")


def _overlay(obj: Any, of: Source, drawn: Page, show: Show | None, evidence: Any) -> Overlay:
    """What is put on nodes and edges; nothing where one slice stands for all."""
    if not drawn.of_slices:
        return Overlay()
    return of_result(of, drawn.graph, show) if evidence is None else posteriors(obj, evidence, of.T)


@dataclass(frozen=True)
class _Sheet:
    """A page with its ground: where each node's box and each edge's curve lie, from the first column's left end."""

    page: Page
    ground: Ground
    over: Overlay
    labels: Mapping[Any, Label]
    curves: Mapping[Any, Points]
    names: Mapping[Any, tuple[Label, Point]]
    marks: Mapping[Any, Point]

    def left(self, node: Any) -> float:
        """The left end of a node's column."""
        return (self.page.graph.nodes[node]["column"] or 0) * self.ground.yard.pitch

    def box(self, node: Any) -> Box:
        """A node's box."""
        return self.ground.yard.boxes[key_of(self.page.graph.nodes[node])].moved(self.left(node))

    def span(self, node: Any) -> tuple[float, float]:
        """The left and right ends of a node."""
        box = self.box(node)
        return box.x - box.width / 2, box.x + box.width / 2

    def curve(self, edge: Any) -> Array:
        """The points of an edge's curve."""
        return flattened(self.curves[edge]) + np.array([self.left(edge[0]), 0.0])


def _assembled(of: Source, drawn: Page, over: Overlay, plates: bool) -> Scene:
    labels = {n: label(at["name"], at["time"], at["index"]) for n, at in drawn.graph.nodes(data=True)}
    labels |= {n: Label("\u22ef", "", "", r"\cdots") for n, kind in drawn.graph.nodes(data="kind") if kind == "elided"}
    base = ground(of, drawn, labels, over)
    routes = _routes(drawn.graph)
    curves = routed(list(dict.fromkeys(routes.values())), base.yard)
    named = {(u, v, key): label(name) for u, v, key, name in drawn.graph.edges(keys=True, data="parameter") if name}
    widths: dict[Route, float] = {}
    for e, name in named.items():
        widths[routes[e]] = max(name.width, widths.get(routes[e], 0.0))
    delays = delay_marks(curves)
    busy = [Box(*at, 14.0, 14.0) for at in delays.values()] + _heat_boxes(drawn.graph, routes, curves, over)
    at = label_places(curves, widths, busy, base.yard)
    texts = {e: (name, at[routes[e]]) for e, name in named.items()}
    marks = {e: delays[route] for e, route in routes.items() if route in delays}
    sheet = _Sheet(drawn, base, over, labels, {e: curves[route] for e, route in routes.items()}, texts, marks)
    frames = _frames(sheet, plates)
    dx, dy, width, height = _extent(sheet, frames)
    title = of.title if drawn.of_slices else of.name
    widest = max(text_width(title, 15.0), *(text_width(c.heading, 13.0) for c in drawn.columns)) + 2 * MARGIN
    dx, width = dx + max(0.0, widest - width) / 2, max(width, widest)
    spots = _spots(sheet, dx, dy)
    lines = _lines(sheet, spots, dx, dy)
    foot = height - FOOT + 8
    headings = [(dx + x, column.heading) for x, column in _middles(sheet)]
    return Scene(
        title, _description(of, drawn, spots, lines), width, height, tuple(spots.values()), lines,
        tuple(replace(f, x=f.x + dx, y=f.y + dy) for f in frames),
        tuple((x, foot, text) for x, text in headings if text and not plates), _borders(sheet, dx),
        tuple(column.heading for column in drawn.columns), of,
    )  # fmt: skip


def _routes(graph: nx.MultiDiGraph) -> dict[Any, Route]:
    """The route of each edge: the same for edges that look the same in another slice."""
    found, between = {}, Counter[Any]()
    for u, v, key, delay in graph.edges(keys=True, data="delay"):
        tail, head = graph.nodes[u], graph.nodes[v]
        begin = 0 if tail["column"] is None else tail["column"]
        columns = head["column"] - begin
        phase = begin % min(abs(columns), 4) if abs(columns) > 1 and tail["column"] is not None else 0
        ends = key_of(tail), key_of(head), columns
        found[u, v, key] = Route(*ends, between[u, v], delay, phase)
        between[u, v] += 1
    return found


def _heat_boxes(
    graph: nx.MultiDiGraph, routes: Mapping[Any, Route], curves: Mapping[Route, Points], over: Overlay
) -> list[Box]:
    """Where numbers lie on edges."""
    found = {}
    for u, v, key, origin in graph.edges(keys=True, data="origin"):
        route = routes[u, v, key]
        if origin in over.edges and route not in found:
            columns, rows = over.edges[origin].size
            at = along(curves[route], length(curves[route]) / 2)
            found[route] = Box(*at, columns * CELL + 4, rows * CELL + 4)
    return list(found.values())


def _spots(sheet: _Sheet, dx: float, dy: float) -> dict[Any, Spot]:
    spots: dict[Any, Spot] = {}
    for node, at in sheet.page.graph.nodes(data=True):
        box = sheet.box(node).moved(dx)
        own = at.get("stands_for", node)
        kind = "observed" if own in sheet.over.observed else at["kind"]
        spots[node] = Spot(
            len(spots), own, key_of(at), at["t"], at["column"], box.x, box.y + dy, box.width, box.height, box.shape,
            kind, sheet.labels[node],
            _title(at, kind), at["equation"], sheet.over.nodes.get(own), own in sheet.over.path,
        )  # fmt: skip
    return spots


def _title(attributes: Mapping[str, Any], kind: str) -> str:
    """What a reader is told of a node."""
    name, t, shape = attributes["name"], attributes["t"], attributes["shape"]
    if kind == "elided":
        return f"{name} in the slices that are left out"
    index = f"[{', '.join(map(str, attributes['index']))}]" if attributes["index"] else ""
    where = f", slice {t}" if t is not None else ""
    size = f", shape {shape}" if shape else ""
    return f"{name}{index}{where}: {kind}{size}{_equation(attributes)}"


def _equation(attributes: Mapping[str, Any]) -> str:
    rule = attributes["equation"]
    if rule is None:
        return ""
    writer, t = Writer("text"), str(attributes["t"])
    return f"; {writer.timed(attributes['name'], t, 0)} = {writer.expression(rule, t)[0]}"


def _lines(sheet: _Sheet, spots: Mapping[Any, Spot], dx: float, dy: float) -> tuple[Line, ...]:
    graph, over = sheet.page.graph, sheet.over
    size = weights(
        {at["origin"]: over.norms[at["origin"]] for *_, at in graph.edges(data=True) if at["origin"] in over.norms}
    )
    lines: list[Line] = []
    for u, v, key, at in graph.edges(keys=True, data=True):
        tail, head, origin = spots[u], spots[v], at["origin"]
        shift = sheet.left(u) + dx
        points = tuple((x + shift, y + dy) for x, y in sheet.curves[u, v, key])
        name, place = sheet.names.get((u, v, key), (None, (0.0, 0.0)))
        mark = sheet.marks.get((u, v, key), (0.0, 0.0))
        norm = over.norms.get(origin)
        title = f"{_called(tail)} to {_called(head)}" + (f", {at['delay']} slices later" if at["delay"] else "")
        title += f", times {at['parameter']}" if at["parameter"] else ""
        title += f"; norm of the message {norm:.4g}" if norm is not None else ""
        lines.append(Line(
            len(lines), origin, tail.id, head.id, points, name, (place[0] + shift, place[1] + dy), size.get(origin),
            at["delay"], (mark[0] + shift, mark[1] + dy), "elided" in (tail.kind, head.kind), title,
            over.edges.get(origin), over.marks(tail.node, head.node),
        ))  # fmt: skip
    return tuple(lines)


def _called(spot: Spot) -> str:
    return str(spot.name) + (f", slice {spot.t}" if spot.t is not None else "")


def _frames(sheet: _Sheet, plates: bool) -> list[Frame]:
    """Plates: around the blocks of a two-slice network, or around each slice."""
    blocks = list(sheet.page.blocks)
    if plates and not blocks:
        blocks = [(column.heading, k, k) for k, column in enumerate(sheet.page.columns) if column.heading]
    yard = sheet.ground.yard
    tops = [(b.y - b.height / 2, b.y + b.height / 2) for key, b in yard.boxes.items() if key not in yard.outside]
    top, low = min(y for y, _ in tops) - PLATE - 26, max(y for _, y in tops) + PLATE
    frames = []
    for caption, first, last in blocks:
        inside = {
            n
            for n, at in sheet.page.graph.nodes(data=True)
            if at["column"] is not None and first <= at["column"] <= last
        }
        xs = [x for n in inside for x in sheet.span(n)]
        xs += [float(x) for e in sheet.curves if e[0] in inside and e[1] in inside for x in sheet.curve(e)[:, 0]]
        left, right = min(xs) - PLATE, max(xs) + PLATE
        narrow = max(0.0, text_width(caption, 13.0) + 24 - (right - left)) / 2
        left, right = left - narrow, right + narrow
        frames.append(Frame(left, top, right - left, low - top, caption))
    return frames


def _extent(sheet: _Sheet, frames: list[Frame]) -> tuple[float, float, float, float]:
    """How far to move everything so that it begins at the margin, and the size of the whole."""
    xs: list[float] = []
    ys: list[float] = []
    for node in sheet.page.graph:
        box = sheet.box(node)
        xs += sheet.span(node)
        ys += [box.y - box.height / 2, box.y + box.height / 2]
    for e in sheet.curves:
        where = sheet.curve(e)
        xs += [where[:, 0].min(), where[:, 0].max()]
        ys += [where[:, 1].min(), where[:, 1].max()]
    for e, (name, at) in sheet.names.items():
        xs += [at[0] - name.width / 2 + sheet.left(e[0]), at[0] + name.width / 2 + sheet.left(e[0])]
        ys += [at[1] - 10, at[1] + 10]
    for f in frames:
        xs += [f.x, f.x + f.width]
        ys += [f.y, f.y + f.height]
    left, top = float(min(xs)), float(min(ys))
    width, height = float(max(xs)) - left + 2 * MARGIN, float(max(ys)) - top + TITLE + FOOT + MARGIN
    return MARGIN - left, TITLE + 12 - top, width, height


def _middles(sheet: _Sheet) -> list[tuple[float, Any]]:
    yard = sheet.ground.yard
    return [(k * yard.pitch + (yard.pitch - yard.gap) / 2, column) for k, column in enumerate(sheet.page.columns)]


def _borders(sheet: _Sheet, dx: float) -> tuple[float, ...]:
    """Where truncated BPTT cuts: between two slices that are next to each other."""
    every, yard = sheet.over.truncate, sheet.ground.yard
    slices = [column.t for column in sheet.page.columns]
    return tuple(
        k * yard.pitch - yard.gap / 2 + dx
        for k, t in enumerate(slices)
        if every and k and t and t % every == 0 and slices[k - 1] == t - 1
    )


def _description(of: Source, drawn: Page, spots: Mapping[Any, Spot], lines: tuple[Line, ...]) -> str:
    names = list(dict.fromkeys(str(at["name"]) for _, at in drawn.graph.nodes(data=True) if at["column"] is not None))
    way = "below" if of.downward else "above"
    return (
        f"{len(spots)} nodes and {len(lines)} edges on a grid. Columns are time slices, from left to right; rows are "
        f"the variables {', '.join(names)}, each {way} what it depends on."
    )

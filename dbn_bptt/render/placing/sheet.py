"""A page with its ground: where everything lies, counted from the left end of the first column."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.placing.curves import Box, Point, Points, flattened, middle
from dbn_bptt.render.placing.labels import CAPTION, HEADING, Label, Notation, label, text_width
from dbn_bptt.render.placing.measures import ground, key_of
from dbn_bptt.render.placing.names import delay_marks, label_places, mark_boxes
from dbn_bptt.render.placing.routes import Route, Yard, routed
from dbn_bptt.render.subjects.overlays import RIM, Heat, Overlay
from dbn_bptt.render.subjects.scene import Frame
from dbn_bptt.render.subjects.sources import Source
from dbn_bptt.render.subjects.views import Page

MARGIN, TITLE, FOOT = 26.0, 34.0, 30.0  # px around the picture, above it and below it
UNDER_TITLE = 12.0  # px
HEADINGS = 22.0  # px from the headings of columns down to the end
PLATE, PLATE_HEAD, PLATE_SIDES = 16.0, 26.0, 24.0  # px around what a plate holds, above that, and beside its caption
NAME = 20.0  # px: the height of a name on an edge, and of what is around it


@dataclass(frozen=True)
class Sheet:
    """What is drawn, and where. Edges that look the same share a route; it is counted from the column of its tail."""

    title: str
    page: Page
    yard: Yard
    over: Overlay
    labels: Mapping[Any, Label]  # by node
    names: Mapping[Any, Label]  # by edge, the parameter on it
    routes: Mapping[Any, Route]  # by edge
    curves: Mapping[Route, Points]
    places: Mapping[Route, Point]  # of names
    marks: Mapping[Route, Point]  # of delays

    def left(self, node: Any) -> float:
        """The left end of a node's column."""
        return (self.page.graph.nodes[node]["column"] or 0) * self.yard.pitch

    def box(self, node: Any) -> Box:
        """A node's box."""
        return self.yard.boxes[key_of(self.page.graph.nodes[node])].moved(self.left(node))

    def curve(self, edge: Any) -> Array:
        """The points of an edge's curve."""
        return flattened(self.curves[self.routes[edge]]) + np.array([self.left(edge[0]), 0.0])


def sheet(source: Source, page: Page, over: Overlay, notation: Notation) -> Sheet:
    """A page measured, its edges routed and named."""
    graph = page.graph
    labels = {n: label(at["called"], at["time"], at["index"], notation) for n, at in graph.nodes(data=True)}
    labels |= {n: Label("\u22ef", "", "", r"\cdots") for n, kind in graph.nodes(data="kind") if kind == "elided"}
    yard = ground(source, page, labels, over)
    routes = _routes(graph)
    curves = routed(list(dict.fromkeys(routes.values())), yard)
    names = {(u, v, key): label(name) for u, v, key, name in graph.edges(keys=True, data="parameter") if name}
    widths: dict[Route, float] = {}
    for e, name in names.items():
        widths[routes[e]] = max(name.width(), widths.get(routes[e], 0.0))
    heats: dict[Route, Heat] = {}
    for u, v, key, origin in graph.edges(keys=True, data="origin"):
        if origin in over.edges:
            heats.setdefault(routes[u, v, key], over.edges[origin])
    marks = delay_marks(curves)
    busy = [Box(*middle(curves[route]), heat.width + RIM, heat.height + RIM) for route, heat in heats.items()]
    places = label_places(curves, widths, [*mark_boxes(marks), *busy], yard)
    title = source.title if page.of_slices else source.name
    return Sheet(title, page, yard, over, labels, names, routes, curves, places, marks)


def _routes(graph: nx.MultiDiGraph) -> dict[Any, Route]:
    """The route of each edge: the same for edges that look the same in another slice."""
    routes, between = {}, Counter[Any]()
    for u, v, key, delay in graph.edges(keys=True, data="delay"):
        tail, head = graph.nodes[u], graph.nodes[v]
        begin = tail["column"] or 0  # parameters stand left of the first column
        columns = head["column"] - begin
        phase = begin % min(abs(columns), 4) if columns else 0
        routes[u, v, key] = Route(key_of(tail), key_of(head), columns, between[u, v], delay, phase)
        between[u, v] += 1
    return routes


def frames(sheet: Sheet, plates: bool) -> list[Frame]:
    """Plates: around the blocks of a two-slice network, or around each slice."""
    page, yard = sheet.page, sheet.yard
    blocks = page.blocks
    if plates and not blocks:
        blocks = tuple((column.heading, k, k) for k, column in enumerate(page.columns) if column.heading)
    slices = np.array([box.corners for key, box in yard.boxes.items() if key not in yard.outside])
    top, low = float(slices[:, 1].min()) - PLATE - PLATE_HEAD, float(slices[:, 3].max()) + PLATE
    frames = []
    for caption, first, last in blocks:
        inside = {n for n, column in page.graph.nodes(data="column") if column is not None and first <= column <= last}
        xs = [x for n in inside for x in sheet.box(n).corners[::2]]
        xs += [float(x) for e in sheet.routes if inside.issuperset(e[:2]) for x in sheet.curve(e)[:, 0]]
        left, right = min(xs) - PLATE, max(xs) + PLATE
        narrow = max(0.0, text_width(caption, CAPTION) + PLATE_SIDES - (right - left)) / 2
        left, right = left - narrow, right + narrow
        frames.append(Frame(x=left, y=top, width=right - left, height=low - top, caption=caption))
    return frames


def extent(sheet: Sheet, frames: list[Frame]) -> tuple[float, float, float, float]:
    """How far to move everything so that it begins at the margin, and the size of the whole."""
    corners = [sheet.box(node).corners for node in sheet.page.graph]
    corners += [(f.x, f.y, f.x + f.width, f.y + f.height) for f in frames]
    for e in sheet.routes:
        where = sheet.curve(e)
        corners.append((*where.min(0), *where.max(0)))
    for e, name in sheet.names.items():
        x0, y0, x1, y1 = Box(*sheet.places[sheet.routes[e]], name.width(), NAME).corners
        corners.append((x0 + sheet.left(e[0]), y0, x1 + sheet.left(e[0]), y1))
    left, top = np.array(corners)[:, :2].min(0).tolist()
    right, low = np.array(corners)[:, 2:].max(0).tolist()
    width, height = right - left + 2 * MARGIN, low - top + TITLE + FOOT + MARGIN
    texts = [text_width(sheet.title, HEADING), *(text_width(c.heading, CAPTION) for c in sheet.page.columns)]
    more = max(0.0, max(texts) + 2 * MARGIN - width)
    return MARGIN - left + more / 2, TITLE + UNDER_TITLE - top, width + more, height


def borders(sheet: Sheet, T: int) -> tuple[float, ...]:
    """Where truncated BPTT cuts: between two slices that are next to each other."""
    every, yard = sheet.over.truncate, sheet.yard
    slices = [column.t for column in sheet.page.columns]
    return tuple(
        k * yard.pitch - yard.gap / 2
        for k, t in enumerate(slices)
        if every and k and t and 0 < t < T and t % every == 0 and slices[k - 1] == t - 1
    )

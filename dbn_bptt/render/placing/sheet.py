"""A page with its ground: where everything lies, counted from the left end of the first column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.placing.curves import Box, Point, Points, flattened
from dbn_bptt.render.placing.labels import CAPTION, HEADING, Label, text_width
from dbn_bptt.render.placing.measures import key_of
from dbn_bptt.render.placing.routes import Yard
from dbn_bptt.render.subjects.overlays import Overlay
from dbn_bptt.render.subjects.scene import Frame
from dbn_bptt.render.subjects.views import Column, Page

MARGIN, TITLE, FOOT = 26.0, 34.0, 30.0  # px around the picture, above it and below it
UNDER_TITLE = 12.0  # px
HEADINGS = 22.0  # px from the headings of columns down to the end
PLATE, PLATE_HEAD, PLATE_SIDES = 16.0, 26.0, 24.0  # px around what a plate holds, above that, and beside its caption
NAME_HALF = 10.0  # px: half the height of a name on an edge, and of what is around it


@dataclass(frozen=True)
class Sheet:
    """What is drawn, and where.

    Attributes
    ----------
    page, yard, over : what stands in which column, the boxes of one slice, and what is put on top
    labels : by node
    curves, names, marks : by edge, relative to the column of its tail: the curve, the parameter on it and its place,
        and the place of the mark of its delay
    title : of the picture
    """

    page: Page
    yard: Yard
    over: Overlay
    labels: Mapping[Any, Label]
    curves: Mapping[Any, Points]
    names: Mapping[Any, tuple[Label, Point]]
    marks: Mapping[Any, Point]
    title: str

    def left(self, node: Any) -> float:
        """The left end of a node's column."""
        return (self.page.graph.nodes[node]["column"] or 0) * self.yard.pitch

    def box(self, node: Any) -> Box:
        """A node's box."""
        return self.yard.boxes[key_of(self.page.graph.nodes[node])].moved(self.left(node))

    def span(self, node: Any) -> tuple[float, float]:
        """The left and right ends of a node."""
        box = self.box(node)
        return box.x - box.width / 2, box.x + box.width / 2

    def curve(self, edge: Any) -> Array:
        """The points of an edge's curve."""
        return flattened(self.curves[edge]) + np.array([self.left(edge[0]), 0.0])


def frames(sheet: Sheet, plates: bool) -> list[Frame]:
    """Plates: around the blocks of a two-slice network, or around each slice."""
    blocks = list(sheet.page.blocks)
    if plates and not blocks:
        blocks = [(column.heading, k, k) for k, column in enumerate(sheet.page.columns) if column.heading]
    yard = sheet.yard
    tops = [(b.y - b.height / 2, b.y + b.height / 2) for key, b in yard.boxes.items() if key not in yard.outside]
    top, low = min(y for y, _ in tops) - PLATE - PLATE_HEAD, max(y for _, y in tops) + PLATE
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
        narrow = max(0.0, text_width(caption, CAPTION) + PLATE_SIDES - (right - left)) / 2
        left, right = left - narrow, right + narrow
        frames.append(Frame(x=left, y=top, width=right - left, height=low - top, caption=caption))
    return frames


def extent(sheet: Sheet, frames: list[Frame]) -> tuple[float, float, float, float]:
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
        ys += [at[1] - NAME_HALF, at[1] + NAME_HALF]
    for f in frames:
        xs += [f.x, f.x + f.width]
        ys += [f.y, f.y + f.height]
    left, top = float(min(xs)), float(min(ys))
    width, height = float(max(xs)) - left + 2 * MARGIN, float(max(ys)) - top + TITLE + FOOT + MARGIN
    texts = [text_width(sheet.title, HEADING), *(text_width(c.heading, CAPTION) for c in sheet.page.columns)]
    more = max(0.0, max(texts) + 2 * MARGIN - width)
    return MARGIN - left + more / 2, TITLE + UNDER_TITLE - top, width + more, height


def middles(sheet: Sheet) -> list[tuple[float, Column]]:
    """The middle of each column."""
    yard = sheet.yard
    return [(k * yard.pitch + (yard.pitch - yard.gap) / 2, column) for k, column in enumerate(sheet.page.columns)]


def borders(sheet: Sheet, T: int) -> tuple[float, ...]:
    """Where truncated BPTT cuts: between two slices that are next to each other."""
    every, yard = sheet.over.truncate, sheet.yard
    slices = [column.t for column in sheet.page.columns]
    return tuple(
        k * yard.pitch - yard.gap / 2
        for k, t in enumerate(slices)
        if every and k and t and 0 < t < T and t % every == 0 and slices[k - 1] == t - 1
    )

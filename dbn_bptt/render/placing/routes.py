"""Edges around nodes: the plainest curve that runs through no third node.

First come a straight line and single curves. Where all of them are blocked, an edge takes the lanes between rows and
between slices, in which no node stands. Edges from one variable share a track of a lane, edges from others have their
own. As slices are alike, an edge is routed once for all of them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise, product
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.placing.curves import Box, Point, Points, arc, bow, is_clear, line, loop, polyline, swing
from dbn_bptt.render.placing.grid import Key

TRACK = 6.0  # px between edges side by side in a lane
_LANES = {"row": 24.0, "gap": 40.0}  # px that the tracks of a lane may take
_OUTER = 48.0  # px from the first and the last row to the lanes outside them
_PORT, _INWARDS = 7.0, 1.3  # px above or below its middle where an edge with a delay meets a node, and further in
_CORNER, _AGAINST = 30.0, 200.0  # px that a way may be longer for a corner less, or to be in nobody's way
_HEIGHTS = (46.0, -46.0, 58.0, -58.0)  # px of arcs over what stands between
_BENDS = (0.14, -0.14, 0.24, -0.24, 0.36, -0.36)  # of bows, as shares of their length
_WIDE_BENDS = (0.34, -0.34, 0.6, -0.6)  # of further edges between the same two nodes, with room for names between
_OBLIQUE = 0.8  # radians: half a right angle, nearly


@dataclass(frozen=True)
class Route:
    """What is to be routed: an edge from a variable to one some columns to the right."""

    tail: Key
    head: Key
    columns: int
    number: int  # among the edges between the two
    delay: int  # in the rolled view
    phase: int  # tells edges of one variable apart that overlap


@dataclass(frozen=True)
class Yard:
    """The page as a router sees it: sizes, and the boxes of one slice, which stand in all others too."""

    pitch: float  # from slice to slice
    gap: float  # what is free of it
    rows: tuple[float, ...]  # the y of each, from the top
    row_of: Mapping[Key, int]
    boxes: Mapping[Key, Box]  # relative to the left end of their slice
    entry: Mapping[Key, int]  # the side on which edges from its slice come in: 1 from below, -1 from above
    outside: Mapping[Key, float]  # what stands left of all slices, parameters, and the y of their edges from there

    def box(self, key: Key, column: int) -> Box:
        """A variable's box in a column."""
        return self.boxes[key].moved(column * self.pitch)

    def above(self, row: int) -> float:
        """The y of the lane above a row; the last lane is below all rows."""
        if row == 0:
            return self.rows[0] - _OUTER
        return self.rows[-1] + _OUTER if row == len(self.rows) else (self.rows[row - 1] + self.rows[row]) / 2

    def others(self, route: Route) -> Array:
        """The boxes that an edge may run into."""
        outside = route.tail in self.outside  # its edge runs below all rows until it is there
        columns = range(route.columns - 1 if outside else min(0, route.columns) - 1, max(0, route.columns) + 2)
        ends = {(route.tail, 0), (route.head, route.columns)}
        boxes = [
            (b.x + k * self.pitch, b.y, b.width, b.height)
            for key, b in self.boxes.items() for k in ((0,) if key in self.outside else columns) if (key, k) not in ends
        ]  # fmt: skip
        return np.array(boxes).reshape(-1, 4)


Lane = tuple[str, int]  # ("row", k): above row k; ("gap", k): left of column k
Owner = tuple[Key, tuple[int, ...]]
Tracks = Mapping[Lane, Mapping[Owner, float]]
Way = tuple[Points, tuple[Lane, ...]]  # a curve, and the lanes that it takes


def routed(routes: list[Route], yard: Yard) -> dict[Route, Points]:
    """A curve for each edge, relative to its tail's column."""
    owners: dict[Lane, dict[Owner, None]] = {}
    for route, (_, lanes) in _ways(routes, yard, {}).items():
        for lane in lanes:
            owners.setdefault(lane, {})[_owner(route, yard)] = None
    tracks = {}
    for lane, sharing in owners.items():
        step = min(TRACK, _LANES[lane[0]] / len(sharing))
        tracks[lane] = {owner: (k - (len(sharing) - 1) / 2) * step for k, owner in enumerate(sharing)}
    return {route: points for route, (points, _) in _ways(routes, yard, tracks).items()}


def _ways(routes: list[Route], yard: Yard, tracks: Tracks) -> dict[Route, Way]:
    """For each edge the plainest curve that is clear; of several edges between two nodes, each has its own."""
    ways: dict[Route, Way] = {}
    fans: dict[Any, set[Key]] = {}
    for route in routes:
        fans.setdefault(_fan(route, yard), set()).add(route.head)
    for route in routes:
        boxes = yard.others(route)
        together = route.columns and len(fans[_fan(route, yard)]) > 1
        single = () if together else _single(route, routes, yard)
        clear = list(islice((points for points in single if is_clear(points, boxes)), route.number + 1))
        if clear:
            ways[route] = clear[-1], ()
        else:
            by_lanes = _by_lanes(route, yard, tracks)
            ways[route] = next((way for way in by_lanes if is_clear(way[0], boxes)), by_lanes[-1])
    return ways


def _owner(route: Route, yard: Yard) -> Owner:
    """Who has a track of its own in a lane: a variable; where its edges skip slices, each kind of edge; a trunk that
    parameters share."""
    if route.tail in yard.outside:
        return (yard.outside[route.tail], ()), ()
    skips = abs(route.columns) > 1 or abs(route.delay) > 1
    return route.tail, (route.columns, route.delay, route.phase) if skips else ()


def _fan(route: Route, yard: Yard) -> Any:
    """What edges have in common that fan out from one variable into one row of another slice, and share a trunk."""
    return route.tail, yard.boxes[route.head].y, route.columns, route.delay, route.number


def _free(route: Route, routes: list[Route], yard: Yard) -> list[float]:
    """Directions in which a loop may leave a variable, the one furthest from its other edges first."""
    u = yard.boxes[route.tail]
    near = [r for r in routes if not r.columns and not r.delay and route.tail in (r.tail, r.head)]
    others = [yard.boxes[r.head if r.tail == route.tail else r.tail] for r in near]
    taken = [math.atan2(u.y - box.y, box.x - u.x) for box in others]
    back = 0.0 if route.delay > 0 else math.pi  # delays lead to the right
    taken += [back for r in routes if r.delay and r.tail == route.tail != r.head]
    choices = [back, back + _OBLIQUE, back - _OBLIQUE, back + 1.57, back - 1.57, back + math.pi]
    gaps = {angle: min((abs(math.remainder(angle - t, math.tau)) for t in taken), default=math.pi) for angle in choices}
    return sorted(choices, key=lambda angle: (-min(gaps[angle], _OBLIQUE), choices.index(angle)))


def _single(route: Route, routes: list[Route], yard: Yard) -> Iterator[Points]:
    """Lines and single curves, the plainest first."""
    if route.delay:
        if route.tail == route.head:
            yield from (loop(yard.boxes[route.tail], angle) for angle in _free(route, routes, yard))
        return
    u, v = yard.box(route.tail, 0), yard.box(route.head, route.columns)
    inside = route.tail not in yard.outside
    near = inside and abs(route.columns) < 2
    ahead = math.copysign(1.0, v.x - u.x)
    level = abs(u.y - v.y) < 1
    if route.columns and not level and inside:
        yield swing((u.x + ahead * u.width / 2, u.y), (v.x - ahead * v.width / 2, v.y))
    if near:
        yield line(u.rim((v.x, v.y)), v.rim((u.x, u.y)))
    if level:
        side = 1.0 if route.columns % 2 == 0 else -1.0  # lags 2 and 3 on different sides
        yield from (arc(u, v, side * height) for height in _HEIGHTS)
    if near:
        yield from (bow(u, v, bend) for bend in (_WIDE_BENDS if route.number else _BENDS))


def _by_lanes(route: Route, yard: Yard, tracks: Tracks) -> list[Way]:
    """All ways through the lanes, the shortest and straightest first."""
    u, v = yard.box(route.tail, 0), yard.box(route.head, route.columns)
    cost: dict[Way, float] = {}
    for corners, lanes in _all_corners(route, yard, tracks):
        ends = (v, corners[-2], yard.entry[route.head]), (u, corners[1], -yard.entry[route.tail])
        against = sum(box.x == x and (y - box.y) * side < 0 for box, (x, y), side in ends)  # in the way of others
        length = sum(math.dist(a, b) for a, b in pairwise(corners))
        cost[polyline(corners), lanes] = length + _CORNER * len(corners) + _AGAINST * against
    return sorted(cost, key=lambda way: cost[way])


def _all_corners(route: Route, yard: Yard, tracks: Tracks) -> Iterator[tuple[list[Point], tuple[Lane, ...]]]:
    """Out of the tail, along a lane between slices, into the head; each end by its side or by the lane at its row."""
    u, v = yard.box(route.tail, 0), yard.box(route.head, route.columns)
    owner = _owner(route, yard)

    def place(lane: Lane) -> float:
        offset = tracks.get(lane, {}).get(owner, 0.0)
        kind, k = lane
        return offset + (yard.above(k) if kind == "row" else yard.pitch * k - yard.gap / 2)

    def ends(key: Key, box: Box, gap: float) -> Iterator[tuple[list[Point], tuple[Lane, ...]]]:
        if box is u and yard.outside.get(key, box.y) != box.y:
            trunk = yard.outside[key]
            yield [(box.x, box.y + box.height / 2), (box.x, trunk), (gap, trunk)], ()
            return
        side = math.copysign(1.0, gap - box.x)
        port = 0.0 if not route.delay else -_PORT if box is u else _PORT  # out above, in below
        yield [(box.x + side * (box.width / 2 - (_INWARDS if port else 0.0)), box.y + port), (gap, box.y + port)], ()
        if box is u and route.tail in yard.outside:
            return
        row = yard.row_of[key]
        for lane, rim in ((("row", row), -1), (("row", row + 1), 1)):
            y = place(lane)
            yield [(box.x, box.y + rim * box.height / 2), (box.x, y), (gap, y)], (lane,)

    for k in _gaps(route, yard):
        lane: Lane = ("gap", k)
        x = place(lane)
        for (out, first), (into, last) in product(ends(route.tail, u, x), ends(route.head, v, x)):
            if first != last or not first:
                yield [*out, *reversed(into)], (*first, lane, *last)
            elif not route.delay:  # both at one lane between rows
                yield [*out[:2], *reversed(into[:2])], first


def _gaps(route: Route, yard: Yard) -> list[int]:
    """The lanes between slices that an edge may take: right behind its tail, or right before its head."""
    if route.tail in yard.outside:
        return [route.columns]
    if route.delay:
        return [1] if route.delay > 0 else [0]
    if not route.columns:
        return [1, 0]
    return [1, route.columns] if route.columns > 0 else [0, route.columns + 1]

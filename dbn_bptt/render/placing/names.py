"""Where the names on edges go: beside their curve, off nodes and other names, and off other curves where they can."""

import math
from collections.abc import Mapping

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.placing.curves import Box, Point, Points, along, flattened, length, steps
from dbn_bptt.render.placing.grid import Key
from dbn_bptt.render.placing.routes import Route, Yard

HEIGHT = 17.0  # px of a name on an edge
FAR = 20.0  # px further from an edge, where numbers lie on it
_SHARES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.9, 0.1)  # of a curve's length
_BACK = (24.0, 18.0, 32.0, 44.0)  # px before the end
_MARK_SHARES = (1.0, 0.7, 1.3, 0.5)  # of half a curve's length, where the mark of its delay may go
_MARK, _MARKS_APART = 14.0, 18.0  # px of the mark of a delay, and from one to the next
_NUMBER, _RIGHT, _UP = 20.0, 19.0, 9.0  # px of the number beside a mark, and how far right of it and above it that is
# what a place costs, as a number without a unit: where the name covers a node, or another name, or a point of a curve,
# where another curve runs through its own place, or is nearer; each later place; the side of the curve
_ON_NODE, _ON_NAME, _ON_POINT, _SHARED, _NEARER, _LATER = 10.0, 6.0, 0.15, 8.0, 1.5, 0.05
_SIDES = (0.02, 0.04, 2.0, 2.1)  # above, below, far above, far below
_SAME_PLACE = 4.0  # px between curves that run together
_MISTAKEN = 10.0  # px around a name, in which another curve may be taken for its own
_NO_NEARER = 4.0  # px squared by which its own curve must be nearer


def label_places(
    curves: Mapping[Route, Points], widths: Mapping[Route, float], marks: list[Box], yard: Yard
) -> dict[Route, Point]:
    """The middle of the name on each edge that has one, relative to the column of its tail; off the marks of edges."""
    shifts = [k * yard.pitch for k in (-2, -1, 0, 1, 2)]
    drawn = {route: flattened(c) for route, c in curves.items()}
    lines = _Lines(drawn, shifts)
    nodes = _in_columns([*yard.boxes.values()], shifts)
    names = _in_columns(marks, shifts)
    places: dict[Route, Point] = {}
    for route, width in widths.items():
        size = np.array([width, HEIGHT])
        choices = _beside(drawn[route], width, by_lanes=len(curves[route]) > 4)
        cost = [
            _ON_NODE * _covered(at, size, nodes) + _ON_NAME * _covered(at, size, names)
            + _ON_POINT * lines.under(at, size) + _SHARED * lines.is_shared(on, route)
            + _NEARER * lines.is_nearer_to_another(at, size, route)
            + _LATER * (k // len(_SIDES)) + _SIDES[k % len(_SIDES)]
            for k, (on, at) in enumerate(choices)
        ]  # fmt: skip
        x, y = places[route] = tuple(choices[int(np.argmin(cost))][1].tolist())
        names = np.concatenate([names, _in_columns([Box(x, y, width, HEIGHT)], shifts)])
    return places


def _in_columns(boxes: list[Box], shifts: list[float]) -> Array:
    """Boxes in their own and in neighbouring columns, as rows (x, y, width, height)."""
    return np.array([(b.x + dx, b.y, b.width, b.height) for b in boxes for dx in shifts]).reshape(-1, 4)


class _Lines:
    """The points of all curves, in their own and in neighbouring columns."""

    def __init__(self, drawn: Mapping[Route, Array], shifts: list[float]):
        parts = [(route, dx, c + np.array([dx, 0.0])) for route, c in drawn.items() for dx in shifts]
        self.order = {route: k for k, route in enumerate(drawn)}
        points = np.concatenate([c for *_, c in parts]) if parts else np.zeros((0, 2))
        owner = np.repeat([self.order[r] if dx == 0 else -1 for r, dx, _ in parts], [len(c) for *_, c in parts])
        rightwards = np.argsort(points[:, 0], kind="stable")  # those near an x are found by bisection
        self.points, self.owner = points[rightwards], owner[rightwards]

    def _near(self, at: Array, reach: float) -> Array:
        """The numbers of the points in a square around a place."""
        first, end = np.searchsorted(self.points[:, 0], (at[0] - reach, at[0] + reach + 1e-9))
        return first + np.flatnonzero((np.abs(self.points[first:end] - at) <= reach).all(1))

    def under(self, at: Array, size: Array) -> int:
        """How many points of curves lie under a name."""
        near = self.points[self._near(at, size.max() / 2)]
        return int((np.abs(near - at) < size / 2 - 1).all(1).sum())

    def is_nearer_to_another(self, at: Array, size: Array, route: Route) -> bool:
        """Whether a reader would take the name for another curve's."""
        near = self._near(at, size.max() / 2 + _MISTAKEN)
        off = (np.maximum(np.abs(self.points[near] - at) - size / 2, 0.0) ** 2).sum(1)
        own = self.owner[near] == self.order[route]
        return bool((~own).any() and (not own.any() or off[~own].min() < off[own].min() + _NO_NEARER))

    def is_shared(self, at: Array, route: Route) -> bool:
        """Whether another curve runs here too, so that a name could belong to either."""
        return bool((self.owner[self._near(at, _SAME_PLACE)] != self.order[route]).any())


def delay_marks(curves: Mapping[Route, Points]) -> dict[Route, Point]:
    """Where the mark of each delay goes: on the trunk, where edges from one variable with one delay share it."""
    delayed = {route: length(c) / 2 for route, c in curves.items() if route.delay}
    half = {_trunk(route): min(d for r, d in delayed.items() if _trunk(r) == _trunk(route)) for route in delayed}
    marks: dict[Route, Point] = {}
    for route, own in delayed.items():
        reach = half[_trunk(route)] if route.tail != route.head else own
        choices = [along(curves[route], reach * share) for share in _MARK_SHARES]
        others = [at for r, at in marks.items() if _trunk(r) != _trunk(route) or r.tail in (r.head, route.head)]
        free = [c for c in choices if all(math.dist(c, at) > _MARKS_APART for at in others)]
        marks[route] = (free or choices)[0]
    return marks


def mark_boxes(marks: Mapping[Route, Point]) -> list[Box]:
    """What the marks of delays cover, with the numbers beside those that are not 1."""
    squares = [Box(x, y, _MARK, _MARK) for x, y in marks.values()]
    numbers = [(x + _RIGHT, y - _UP) for route, (x, y) in marks.items() if route.delay != 1]
    return squares + [Box(x, y, _NUMBER, _MARK) for x, y in numbers]


def _trunk(route: Route) -> tuple[Key, int]:
    return route.tail, route.delay


def _beside(points: Array, width: float, by_lanes: bool) -> list[tuple[Array, Array]]:
    """Points of a curve, and places beside them: the middle first, or the end of what others share lanes with."""
    passed = np.concatenate([[0], np.cumsum(steps(points))])
    places = []
    inside, ends = [share * passed[-1] for share in _SHARES], [passed[-1] - back for back in _BACK]
    for distance in [*ends, *inside] if by_lanes else [*inside, *ends]:
        k = min(int(np.searchsorted(passed, max(distance, 0.0))), len(points) - 2)
        tangent = points[k + 1] - points[k]
        tangent = tangent / (np.linalg.norm(tangent) or 1.0)
        normal = np.array([tangent[1], -tangent[0]])
        near = abs(normal[0]) * (width / 2 + 3) + abs(normal[1]) * (HEIGHT / 2 + 4)
        normal = normal if normal[1] < 0 or (normal[1] == 0 and normal[0] > 0) else -normal  # above, or to the right
        places += [(points[k], points[k] + normal * reach) for reach in (near, -near, near + FAR, -near - FAR)]
    return places


def _covered(at: Array, size: Array, boxes: Array) -> int:
    """How many boxes a name would lie over."""
    return int((np.abs(boxes[:, :2] - at) < (boxes[:, 2:] + size) / 2 + 1).all(1).sum())

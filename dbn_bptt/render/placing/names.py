"""Where the names on edges go: beside their curve, off nodes and other names, and off other curves where they can."""

import math
from collections.abc import Mapping

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.placing.curves import Box, Point, Points, along, flattened, length, steps
from dbn_bptt.render.placing.grid import Key
from dbn_bptt.render.placing.routes import Route, Yard

HEIGHT = 17.0  # px of a name on an edge
_SHARES = tuple(0.5 + side * k / 24 for k in range(12) for side in (1, -1)[: 1 + (k > 0)])  # of a curve's length
_FURTHER = (0.0, 7.0, 14.0, 20.0, 30.0, 42.0)  # px that a name may be further off than it has to be, as off numbers
_BACK = (24.0, 18.0, 32.0, 44.0)  # px before the end
_MARK_SHARES = (1.0, 0.7, 1.3, 0.5)  # of half a curve's length, where the mark of its delay may go
_MARK, _MARKS_APART = 14.0, 18.0  # px of the mark of a delay, and from one to the next
_NUMBER, _RIGHT, _UP = 20.0, 19.0, 9.0  # px of the number beside a mark, and how far right of it and above it that is
# what a place costs, as a number without a unit: where the name covers a node, or another name, or a curve, where
# another curve runs through its own place, or is nearer; each later place; the side of the curve
_ON_NODE, _ON_NAME, _ON_CURVE, _SHARED, _NEARER, _LATER = 40.0, 20.0, 12.0, 3.0, 1.5, 0.05
_SIDES = (0.02, 0.04, 0.6, 0.64, 1.2, 1.26, 2.0, 2.1, 3.0, 3.1, 4.0, 4.1)  # above, below
_ROUNDS = 2  # in which each name looks for its place, given those of the others
_SAME_PLACE = 4.0  # px between curves that run together
_MISTAKEN = 10.0  # px around a name, in which another curve may be taken for its own
_NO_NEARER = 4.0  # px squared by which its own curve must be nearer


def label_places(
    curves: Mapping[Route, Points], widths: Mapping[Route, float], marks: list[Box], yard: Yard
) -> dict[Route, Point]:
    """The middle of the name on each edge that has one, relative to the column of its tail; off the marks of edges."""
    reach = 1 + max((abs(route.columns) for route in curves), default=0)
    shifts = [k * yard.pitch for k in range(-reach, reach + 1)]
    drawn = {route: flattened(c) for route, c in curves.items()}
    lines = _Lines(drawn, shifts)
    nodes = _in_columns([*yard.boxes.values()], shifts)
    still = _in_columns(marks, shifts)
    choices: dict[Route, tuple[Array, Array]] = {}
    for route, width in widths.items():
        size = np.array([width, HEIGHT])
        on, at = _beside(drawn[route], width, by_lanes=len(curves[route]) > 4)
        under, shared, mistaken = lines.seen(on, at, size, route)
        cost = _ON_NODE * _covered(at, size, nodes) + _ON_NAME * _covered(at, size, still)
        cost += _ON_CURVE * under + _SHARED * shared + _NEARER * mistaken
        later, side = np.divmod(np.arange(len(at)), len(_SIDES))
        choices[route] = at, cost + _LATER * later + np.array(_SIDES)[side]
    places: dict[Route, Point] = {}
    for route, width in [*widths.items()] * _ROUNDS:
        size = np.array([width, HEIGHT])
        others = _in_columns([Box(*at, widths[r], HEIGHT) for r, at in places.items() if r != route], shifts)
        at, cost = choices[route]
        x, y = at[int(np.argmin(cost + _ON_NAME * _covered(at, size, others)))].tolist()
        places[route] = x, y
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

    def seen(self, on: Array, at: Array, size: Array, route: Route) -> tuple[Array, Array, Array]:
        """For each place of a name, beside a point of its curve: whether a curve runs under it; whether another curve
        runs through that point too, so that the name could belong to either; whether a reader would take it for
        another's, which is nearer."""
        blocks = range(0, len(at), len(_SIDES))  # those beside one point, and only what is near
        found = [self._seen(on[k], at[k : k + len(_SIDES)], size, self.order[route]) for k in blocks]
        under, shared, mistaken = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return under, shared, mistaken

    def _seen(self, on: Array, at: Array, size: Array, number: int) -> tuple[Array, Array, Array]:
        reach = size.max() / 2 + _MISTAKEN
        low, high = at.min(0) - reach, at.max(0) + reach
        first, end = np.searchsorted(self.points[:, 0], (low[0], high[0]))
        near = first + np.flatnonzero((self.points[first:end, 1] >= low[1]) & (self.points[first:end, 1] <= high[1]))
        points, own = self.points[near], self.owner[near] == number
        off = np.abs(points - at[:, None])
        under = (off < size / 2 - 1).all(2).any(1)
        shared = np.full(len(at), bool(((np.abs(points - on) <= _SAME_PLACE).all(1) & ~own).any()))
        apart = np.where((off <= reach).all(2), (np.maximum(off - size / 2, 0.0) ** 2).sum(2), np.inf)
        nearest, others = (np.where(of, apart, np.inf).min(1, initial=np.inf) for of in (own, ~own))
        return under, shared, np.isfinite(others) & (others < nearest + _NO_NEARER)


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


def _beside(points: Array, width: float, by_lanes: bool) -> tuple[Array, Array]:
    """Points of a curve, and places beside them: the middle first, or the end of what others share lanes with."""
    passed = np.concatenate([[0], np.cumsum(steps(points))])
    inside, ends = [share * passed[-1] for share in _SHARES], [passed[-1] - back for back in _BACK]
    distances = np.maximum([*ends, *inside] if by_lanes else [*inside, *ends], 0.0)
    k = np.minimum(np.searchsorted(passed, distances), len(points) - 2)
    tangent = points[k + 1] - points[k]
    ahead = np.linalg.norm(tangent, axis=1, keepdims=True)
    x, y = (tangent / np.where(ahead > 0, ahead, 1.0)).T
    normal = np.stack([y, -x], axis=1)
    upwards = (normal[:, 1] < 0) | ((normal[:, 1] == 0) & (normal[:, 0] > 0))  # above, or to the right
    normal = np.where(upwards[:, None], normal, -normal)
    near = np.abs(normal) @ np.array([width / 2 + 3, HEIGHT / 2 + 4])
    reaches = np.stack([side * (near + more) for more in _FURTHER for side in (1, -1)], axis=1)
    places = points[k][:, None] + normal[:, None] * reaches[..., None]
    return np.repeat(points[k], reaches.shape[1], axis=0), places.reshape(-1, 2)


def _covered(at: Array, size: Array, boxes: Array) -> Array:
    """How many boxes a name would lie over, at each place."""
    return (np.abs(boxes[:, :2] - at[:, None]) < (boxes[:, 2:] + size) / 2 + 1).all(2).sum(1)

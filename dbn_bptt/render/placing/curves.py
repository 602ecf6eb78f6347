"""Curves on the page: cubic Bezier curves one after the other, and whether they keep clear of boxes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dbn_bptt.ops.kernels import Array

Point = tuple[float, float]
Points = tuple[Point, ...]  # of cubic Bezier curves one after the other: 4 points, or 7, or 10
Outline = Literal["circle", "pill", "box"]
CLEARANCE = 2.5  # px between an edge and a third node
_NEAR = 60.0  # px around a curve, beyond which no box is looked at
_STEP = 5.0  # px, about, between the points of a curve
_HANDLE = 34.0  # px from the middle of a node to the handle of an arc
_LOOP, _WAIST = 52.0, 0.5  # px that a loop reaches out of its node, and half its width in radians


@dataclass(frozen=True)
class Box:
    """A node's outline: its centre, its size and its shape; a pill is a box whose ends are half circles."""

    x: float
    y: float
    width: float
    height: float
    shape: Outline = "box"

    def rim(self, towards: Point) -> Point:
        """Where a straight line from the centre leaves the outline."""
        dx, dy = towards[0] - self.x, towards[1] - self.y
        far = math.hypot(dx, dy) or 1.0
        ux, uy = dx / far, dy / far
        half, r = self.width / 2, self.height / 2
        top = r / abs(uy) if uy else math.inf
        if self.shape == "box":
            scale = min(half / abs(ux) if ux else math.inf, top)
        else:
            flat = half - r  # half the length of the straight part: nothing for a circle
            bend = flat * abs(ux) + math.sqrt(max(r * r - (flat * uy) ** 2, 0.0))
            scale = top if top * abs(ux) <= flat else bend
        return self.x + ux * scale, self.y + uy * scale

    def moved(self, dx: float) -> "Box":
        """The box further to the right."""
        return replace(self, x=self.x + dx)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right and lower end."""
        across, up = self.width / 2, self.height / 2
        return self.x - across, self.y - up, self.x + across, self.y + up


def line(start: Point, end: Point) -> Points:
    """A straight line."""
    return start, _between(start, end, 1 / 3), _between(start, end, 2 / 3), end


def bow(u: Box, v: Box, bend: float) -> Points:
    """A curve to one side of the straight line, by a share of its length (to the left of the way where positive)."""
    dx, dy = v.x - u.x, v.y - u.y
    a = u.x + dx * 0.3 + dy * bend, u.y + dy * 0.3 - dx * bend
    b = u.x + dx * 0.7 + dy * bend, u.y + dy * 0.7 - dx * bend
    return u.rim(a), a, b, v.rim(b)


def arc(u: Box, v: Box, height: float) -> Points:
    """A curve over (or, where height is negative, under) what stands between two boxes of one row."""
    ahead = math.copysign(1.0, v.x - u.x)
    a, b = (u.x + ahead * _HANDLE, u.y - height), (v.x - ahead * _HANDLE, v.y - height)
    return u.rim(a), a, b, v.rim(b)


def swing(start: Point, end: Point) -> Points:
    """A curve that is horizontal at both ends."""
    dx = (end[0] - start[0]) * 0.5
    return start, (start[0] + dx, start[1]), (end[0] - dx, end[1]), end


def loop(u: Box, angle: float) -> Points:
    """From a box out and back to itself, in a direction (0: to the right, a quarter turn: upwards)."""

    def out(turn: float, distance: float) -> Point:
        return u.x + distance * math.cos(angle + turn), u.y - distance * math.sin(angle + turn)

    far = _LOOP + math.dist((u.x, u.y), u.rim(out(0.0, 1.0)))
    turn = 0.42 if u.shape == "circle" else 0.3
    return u.rim(out(-turn, far)), out(-_WAIST, far), out(_WAIST, far), u.rim(out(turn, far))


def polyline(corners: Sequence[Point], radius: float = 10.0) -> Points:
    """Straight pieces with rounded corners."""
    corners = [c for k, c in enumerate(corners) if not k or math.dist(c, corners[k - 1]) > 1e-6]
    points = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        r = min(radius, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        on, off = _at(corner, before, r), _at(corner, after, r)
        points += line(points[-1], on)[1:]
        points += [_at(corner, before, r * 0.45), _at(corner, after, r * 0.45), off]
    return (*points, *line(points[-1], corners[-1])[1:])


def shortened(points: Points, by: float) -> Points:
    """A curve that ends a little earlier, so that an arrow's tip has room."""
    *others, p0, p1, p2, p3 = points
    left = np.cumsum(steps(flattened((p0, p1, p2, p3))[::-1]))  # to the end
    share = 1 - min(1 + float(np.interp(by, left, np.arange(len(left)))), 0.6 * len(left)) / len(left)
    a, b, c = _between(p0, p1, share), _between(p1, p2, share), _between(p2, p3, share)
    d, e = _between(a, b, share), _between(b, c, share)
    return (*others, p0, a, d, _between(d, e, share))


def flattened(points: Points) -> Array:
    """The points of a curve, no further apart than a few px."""
    parts = []
    p = np.array(points)
    for k in range(0, len(p) - 1, 3):
        p0, p1, p2, p3 = p[k : k + 4]
        length = math.dist(p0, p1) + math.dist(p1, p2) + math.dist(p2, p3)
        s = np.linspace(0, 1, 3 + int(length / _STEP))[:, None]
        parts.append((1 - s) ** 3 * p0 + 3 * (1 - s) ** 2 * s * p1 + 3 * (1 - s) * s**2 * p2 + s**3 * p3)
    return np.concatenate(parts)


def steps(where: Array) -> Array:
    """How far it is from each point to the next."""
    return np.linalg.norm(np.diff(where, axis=0), axis=1)


def length(points: Points) -> float:
    """The length of a curve."""
    return float(steps(flattened(points)).sum())


def along(points: Points, distance: float) -> Point:
    """The point so far along a curve."""
    where = flattened(points)
    passed = np.concatenate([[0.0], np.cumsum(steps(where))])
    return float(np.interp(distance, passed, where[:, 0])), float(np.interp(distance, passed, where[:, 1]))


def middle(points: Points) -> Point:
    """The point half-way along a curve."""
    return along(points, length(points) / 2)


def is_clear(points: Points, boxes: Array) -> bool:
    """Whether a curve keeps off boxes, given as rows (x, y, width, height)."""
    where = flattened(points)
    low, high = where.min(0) - _NEAR, where.max(0) + _NEAR
    near = boxes[((boxes[:, :2] > low) & (boxes[:, :2] < high)).all(1)]
    off = np.abs(where[:, None] - near[None, :, :2])
    return not (off < near[None, :, 2:] / 2 + CLEARANCE).all(-1).any()


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _at(start: Point, towards: Point, distance: float) -> Point:
    """The point some way from one point towards another."""
    return _between(start, towards, distance / (math.dist(start, towards) or 1.0))

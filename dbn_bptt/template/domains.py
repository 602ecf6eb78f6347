"""Ranges of slices, given for every number of slices T at once.

Slice t = 0 is the oldest and t = T-1 the newest. Slices below 0 hold initial states, slices from T on those of
chains that run backwards in time. A `Domain` says on which slices an equation, or one term of it, holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, order=True)
class Bound:
    """A slice counted from the start (t = offset) or from the end (t = T - 1 + offset)."""

    anchor: Literal["start", "end"]
    offset: int = 0

    def at(self, T: int) -> int:
        """The slice's index among T slices."""
        return self.offset + (T - 1 if self.anchor == "end" else 0)

    def __str__(self) -> str:
        if self.anchor == "start":
            return str(self.offset)
        return "T" if self.offset == 1 else f"T{self.offset - 1:+d}"


@dataclass(frozen=True)
class Domain:
    """Consecutive slices: all t with low <= t <= high for each of the lower and upper bounds.

    Examples
    --------
    >>> EVERY.slices(3), FIRST.slices(3), AFTER_FIRST.slices(3), EVERY.shifted(-1).slices(3)
    (range(0, 3), range(0, 1), range(1, 3), range(-1, 2))
    >>> (EVERY & EVERY.shifted(-1)).slices(3)
    range(0, 2)
    """

    lows: frozenset[Bound]
    highs: frozenset[Bound]

    def slices(self, T: int) -> range:
        """The slices of the domain when there are T slices."""
        return range(max(b.at(T) for b in self.lows), min(b.at(T) for b in self.highs) + 1)

    def shifted(self, k: int) -> "Domain":
        """The domain moved by k slices towards the newest."""
        return Domain(*(frozenset(Bound(b.anchor, b.offset + k) for b in bounds) for bounds in (self.lows, self.highs)))

    def __and__(self, other: "Domain") -> "Domain":
        return Domain(_tightest(self.lows | other.lows, low=True), _tightest(self.highs | other.highs, low=False))

    def __str__(self) -> str:
        if self.lows == self.highs:
            return f"t = {next(iter(self.lows))}"
        low, high = (" and ".join(map(str, sorted(bounds))) for bounds in (self.lows, self.highs))
        return f"{low} <= t <= {high}"


def _tightest(bounds: frozenset[Bound], low: bool) -> frozenset[Bound]:
    """Drop the bounds that another one implies for every T >= 1 (start + a <= end + b whenever a <= b)."""
    pick = max if low else min
    kept = {anchor: pick(b.offset for b in bounds if b.anchor == anchor) for anchor in {b.anchor for b in bounds}}
    if len(kept) == 2 and kept["start"] <= kept["end"]:
        del kept["start" if low else "end"]
    return frozenset(Bound(anchor, offset) for anchor, offset in kept.items())


def _domain(low: Bound, high: Bound) -> Domain:
    return Domain(frozenset({low}), frozenset({high}))


START, END = Bound("start"), Bound("end")
EVERY = _domain(START, END)
FIRST = _domain(START, START)
AFTER_FIRST = _domain(Bound("start", 1), END)
LAST = _domain(END, END)


def enough(domains: Iterable[Domain]) -> int:
    """A number of slices among which the borders that domains speak of lie far apart.

    Examples
    --------
    >>> enough([EVERY, EVERY.shifted(-100)]) > 400
    True
    """
    return 16 + 4 * max((abs(b.offset) for d in domains for b in d.lows | d.highs), default=0)


def spanning(first: int, last: int, T: int) -> Domain:
    """The slices from the first to the last as they are among T, each counted from the border that it is nearer to.

    Examples
    --------
    >>> spanning(-1, 7, T=8) == extended(1, 0), spanning(7, 7, T=8) == LAST
    (True, True)
    """
    bounds = (Bound("start", t) if t < T // 2 else Bound("end", t - T + 1) for t in (first, last))
    return _domain(*bounds)


def initial_slice(t: int) -> Domain:
    """The one slice that holds an initial state: t = -1, -2, ..., or t = 0, 1, ... counted from T on.

    Examples
    --------
    >>> initial_slice(-1).slices(5), initial_slice(0).slices(5)
    (range(-1, 0), range(5, 6))
    """
    bound = Bound("start", t) if t < 0 else Bound("end", t + 1)
    return _domain(bound, bound)


def between(first: int, last: int) -> Domain:
    """The slices from `first` on to the one `last` slices after the end (0: the last one, -1: the one before).

    Examples
    --------
    >>> between(1, -1).slices(5)
    range(1, 4)
    """
    return _domain(Bound("start", first), Bound("end", last))


def extended(before: int, after: int) -> Domain:
    """All slices together with `before` initial slices below 0 and `after` from T on."""
    return _domain(Bound("start", -before), Bound("end", after))

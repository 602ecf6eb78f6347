"""Ranges of slices, given for every number of slices T at once.

Slice t = 0 is the oldest and t = T-1 the newest. Slices below 0 hold initial states, slices from T on those of
chains that run backwards in time. A `Domain` says on which slices an equation, or one term of it, holds.

A border is a linear form in T, so that what is asked of domains is answered for all T >= 1 at once: two borders pass
each other at one T, and between such T nothing changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal


@dataclass(frozen=True, order=True)
class Bound:
    """A slice counted from the start (t = offset) or from the end (t = T - 1 + offset)."""

    anchor: Literal["start", "end"]
    offset: int = 0

    def at(self, T: int) -> int:
        """The slice's index among T slices."""
        return self.offset + (T - 1 if self.anchor == "end" else 0)

    def shifted(self, k: int) -> "Bound":
        """The slice k slices later."""
        return Bound(self.anchor, self.offset + k)

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
    >>> (FIRST & AFTER_FIRST).is_empty, AFTER_FIRST.lengths
    (True, (2, None))
    """

    lows: frozenset[Bound]
    highs: frozenset[Bound]

    def low(self, T: int) -> int:
        """The first slice of T."""
        return max(b.at(T) for b in self.lows)

    def high(self, T: int) -> int:
        """The last slice of T."""
        return min(b.at(T) for b in self.highs)

    def slices(self, T: int) -> range:
        """The slices of the domain when there are T slices."""
        return range(self.low(T), self.high(T) + 1)

    @cached_property
    def lengths(self) -> tuple[int, int | None]:
        """The least and the largest T for which it holds a slice, None where there is no largest; (1, 0) for no T."""
        least, most = 1, None
        for low in self.lows:
            for high in self.highs:
                gap = low.offset - high.offset
                if low.anchor == high.anchor:
                    most = 0 if gap > 0 else most
                elif low.anchor == "start":
                    least = max(least, gap + 1)
                else:
                    most = 1 - gap if most is None else min(most, 1 - gap)
        return (1, 0) if most is not None and most < least else (least, most)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no slice, whatever T."""
        return self.lengths == (1, 0)

    def shifted(self, k: int) -> "Domain":
        """The domain moved by k slices towards the newest."""
        return self.widened(-k, k) if k else self

    def widened(self, before: int, after: int) -> "Domain":
        """The domain with some slices more at either end."""
        return Domain(frozenset(b.shifted(-before) for b in self.lows), frozenset(b.shifted(after) for b in self.highs))

    def turns(self, others: Iterable["Domain"]) -> list[int]:
        """The T among its lengths at which distances between its borders and those of others can be extreme.

        Between two of them no border passes another, so that all distances are linear in T.
        """
        least, most = self.lengths
        bounds = {b for d in (self, *others) for b in d.lows | d.highs}
        passes = {s.offset - e.offset + 1 for s in bounds for e in bounds if (s.anchor, e.anchor) == ("start", "end")}
        last = max(passes | {least}) + 1 if most is None else most
        return sorted({least, last} | {T for T in passes if least < T < last})

    def __and__(self, other: "Domain") -> "Domain":
        return _intersection(self, other)

    def __str__(self) -> str:
        if self.lows == self.highs:
            return f"t = {next(iter(self.lows))}"
        low, high = (" and ".join(map(str, sorted(bounds))) for bounds in (self.lows, self.highs))
        return f"{low} <= t <= {high}"


@lru_cache(maxsize=1024)  # there are few domains, and they meet in every equation
def _intersection(a: Domain, b: Domain) -> Domain:
    return Domain(_tightest(a.lows | b.lows, low=True), _tightest(a.highs | b.highs, low=False))


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


def hull(domains: Iterable[Domain]) -> Domain:
    """The smallest domain with one border at either end that holds all of these, for every T; every slice for none."""
    some = [d for d in dict.fromkeys(domains) if not d.is_empty]
    if len(some) < 2:
        return some[0] if some else EVERY
    first = [(d, d.lengths[0]) for d in some]  # where few slices are, a border from the end reaches furthest down
    if all(b.anchor == "end" for d in some for b in d.lows):
        low = min(b for d in some for b in d.lows)
    else:
        low = Bound("start", min(d.low(T) for d, T in first))
    if all(b.anchor == "start" for d in some for b in d.highs):
        high = max(b for d in some for b in d.highs)
    else:
        high = Bound("end", max(d.high(T) - (T - 1) for d, T in first))
    return _domain(low, high)


def settled(domains: Iterable[Domain]) -> int:
    """A number of slices from which on no border of these domains passes another.

    Borders that are counted from the start lie in the first quarter, those from the end in the last.
    """
    return 4 + 4 * max((abs(b.offset) for d in domains for b in d.lows | d.highs), default=0)


def initial_slice(t: int) -> Domain:
    """The one slice that holds an initial state: t = -1, -2, ..., or t = 0, 1, ... counted from T on."""
    bound = Bound("start", t) if t < 0 else Bound("end", t + 1)
    return _domain(bound, bound)


def only(t: int) -> Domain:
    """The slice t, counted from the first, alone; where there are not so many, none."""
    return _domain(Bound("start", t), Bound("start", t)) & EVERY


def between(first: int, last: int) -> Domain:
    """The slices from `first` on to the one `last` slices after the end (0: the last one, -1: the one before)."""
    return _domain(Bound("start", first), Bound("end", last))

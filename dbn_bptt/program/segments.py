"""Which instructions become loops, and which of these go over the slices together.

What loops are quicker with than NumPy is taken together as long as nothing else comes between. In such a segment an
instruction joins the first sweep that has, by then and in its direction, all that it reads; what only one slice of one
sweep uses is never stored.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from dbn_bptt.program.instructions import (
    Allocate,
    Extent,
    Instruction,
    Item,
    Listing,
    Loop,
    Member,
    Note,
    Place,
    Segment,
    Sweep,
    Total,
    arrays_in,
)
from dbn_bptt.program.lower import is_linear_map
from dbn_bptt.program.machine import unknown
from dbn_bptt.program.memory import beyond
from dbn_bptt.template.expressions import Apply

ENTRIES = 1 << 16  # up to so many in a slice of all sequences loops are quicker than NumPy,
MAPPED_ENTRIES = 1 << 13  # than BLAS where it multiplies several sequences at once,
MAP_ENTRIES = 1 << 6  # or all slices,
COSTLY_ENTRIES = 1 << 12  # and than NumPy's exponentials
OWN_ENTRIES = 1 << 12  # up to so many numbers a function keeps for itself


@dataclass
class Segments:
    """A listing with segments."""

    of: Listing
    results: Collection[str]
    sequences: int
    reasons: dict[str, str] = field(default_factory=dict)

    def listing(self) -> Listing:
        """The listing, in which loops are segments."""
        runs: list[tuple[list[Member], list[Item]]] = []  # members of a segment, or none, and other items
        notes: list[str] = []
        for item in self.of.items:
            if isinstance(item, Note):
                notes.append(item.text)
                continue
            member = None if isinstance(item, Allocate) else self._member(item)
            is_quiet = isinstance(item, Allocate) or _is_prepared_view(item)
            if member is not None or (is_quiet and runs and runs[-1][0]):
                if not runs or not (runs[-1][0] or all(isinstance(i, Allocate) or _is_prepared_view(i) for i in runs[-1][1])):
                    runs.append(([], []))
                if member is not None:
                    runs[-1][0].append(replace(member, notes=tuple(notes)))
                    notes = []
                else:
                    runs[-1][1].append(item)
                continue
            if not runs or runs[-1][0]:
                runs.append(([], []))
            runs[-1][1].extend([*map(Note, notes), item])
            notes = []
        items: list[Item] = []
        for members, others in runs:
            items += self._segment(members, others) if members else others
        return replace(self.of, items=tuple(items))

    # --------------------------------------------------------------------------------------------------- what fits
    def _slices(self, place: Place) -> tuple[int, int] | None:
        """The slices of a place; None for what is the same in all of them."""
        extent = self.of.extents.get(place.array)
        return place.slices or (extent.slices if extent else self.of.schedule.spans.get(place.array))

    def _member(self, item: Item) -> Member | None:
        """An item as a member of a segment; None where it is better left to NumPy, or has to be."""
        if isinstance(item, Loop):
            row, over = item.rows[0]
            first, last = (t + (row.lag or 0) for t in over.slices or (0, 0))
            reason = self._unfit(item.body, in_scan=True)
            is_border = beyond(self.of.schedule, (first, last)) is None and not self.of.schedule.exact
            symbols = self.of.schedule.symbols
            names = ", ".join(dict.fromkeys(i.target.array for i in item.body if i.target.array in symbols))
            if not is_border:
                self.reasons[names] = reason
            return None if reason else Member((first, last), item.direction, item.body)
        if isinstance(item, Total):
            fits = item.kind != "static" and not self._unfit_total(item)
            rows = tuple(self._row(p, item.slices[0]) for p in item.operands)
            return Member(item.slices, 0, (replace(item, operands=rows),)) if fits else None
        if not isinstance(item, Instruction) or not (slices := self._slices(item.target)):
            return None
        if self._unfit((item,), in_scan=False):
            return None
        target, *operands = (self._row(p, slices[0]) for p in (item.target, *item.operands))
        return Member(slices, 0, (replace(item, target=target, operands=tuple(operands)),))

    def _row(self, place: Place, first: int) -> Place:
        """A place of several slices as a row, seen from the slice that goes with its first one."""
        slices = self._slices(place)
        return replace(place, slices=None, lag=first - slices[0]) if slices else place

    def _unfit_total(self, item: Total) -> str:
        e = item.applies
        if item.kind == "fused" and isinstance(e, Apply):
            if math.prod(e.shape) > MAP_ENTRIES:
                return "BLAS is quicker"
            return self._unfit((Instruction(item.target, e, item.operands, "new"),), in_scan=False)
        return "large" if math.prod(item.applies.shape) * self.sequences > COSTLY_ENTRIES else ""

    def _unfit(self, body: tuple[Instruction, ...], in_scan: bool) -> str:
        """Why some instructions are better left to NumPy, or have to be; "" if they are not."""
        applied = [i.applies for i in body if i.applies is not None]
        for e in applied:
            if reason := _without_loops(e):
                return reason
        costly = any(e.operation.ufunc and not e.operation.infix for e in applied)
        maps = [e for e in applied if is_linear_map(e)]
        if maps and not in_scan:
            most = MAP_ENTRIES
        elif costly:
            most = COSTLY_ENTRIES
        else:
            most = MAPPED_ENTRIES if maps and self.sequences > 1 else ENTRIES
        largest = max((math.prod(a.shape) for e in applied for a in (e, *e.arguments)), default=1)
        sequences = 1 if maps and not in_scan else self.sequences
        if largest * sequences > most:
            return f"{largest} entries in each of {self.sequences} sequences are more than {most}"
        return ""

    # --------------------------------------------------------------------------------------------------- a segment
    def _segment(self, members: list[Member], others: list[Item]) -> list[Item]:
        """What has to be there before, and the segment."""
        inside = {id(item) for item in others}
        mine = {id(i) for m in members for i in m.body}
        elsewhere = self._used_elsewhere(members, inside | mine)
        views, members = self._without_views(members, others, elsewhere)
        sweeps = _swept(members)
        made = {name: None for m in members for name in sorted(m.writes)}
        own = {name for name in made if name not in elsewhere and self._is_own(name, sweeps)}
        own |= set(views)
        allocated = {i.target.array: i for i in others if isinstance(i, Allocate)}
        items: list[Item] = [i for name, i in allocated.items() if name not in own]
        fresh = {i.target.array for m in members for i in m.body if isinstance(i, Instruction) and i.how != "into"}
        items += [Allocate(Place(name)) for name in made if name in fresh and name not in own and name not in allocated]
        return [*items, Segment(sweeps, frozenset(own))]

    def _used_elsewhere(self, members: list[Member], _: set[int]) -> set[str]:
        """The arrays that items outside of a segment use, and results."""
        targets = {i.target for m in members for i in m.body}
        used = set(self.results)
        counts: dict[str, int] = {}
        for item in self.of.items:
            for name, _ in [] if isinstance(item, Allocate) else arrays_in([item]):
                counts[name] = counts.get(name, 0) + 1
        own: dict[str, int] = {}
        for item in self._originals(members):
            for name, _ in arrays_in([item]):
                own[name] = own.get(name, 0) + 1
        del targets
        return used | {name for name, n in counts.items() if n != own.get(name, 0)}

    def _originals(self, members: list[Member]) -> list[Item]:
        return [self.origin[id(m.body)] for m in members]

    def _is_own(self, name: str, sweeps: tuple[Sweep, ...]) -> bool:
        """Whether an array is used by one slice of one sweep alone."""
        extent = self.of.extents.get(name)
        if extent is None or math.prod(extent.shape) > OWN_ENTRIES:
            return False
        if extent.slices is None:
            return True
        users = [s for s in sweeps if any(name in m.writes or name in {p.array for p in m.reads} for m in s.members)]
        lags = {p.lag for s in users for m in s.members for p in m.reads if p.array == name}
        reaches = self.of.schedule.reaches.get(name, (0, 0))
        return len(users) == 1 and lags <= {0} and not any(reaches)

"""Which instructions become loops, and which of these go over the slices together.

What loops are quicker with than NumPy is fused as long as nothing else comes between: an instruction joins the first
sweep that has, by then and in its direction, all that it reads; what only one slice of one sweep uses is never stored.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from dbn_bptt.ops.nests import Entries
from dbn_bptt.program.instructions import (
    Allocate,
    Fused,
    Instruction,
    Item,
    Listing,
    Loop,
    Member,
    Note,
    Place,
    Sweep,
    Total,
    arrays_in,
)
from dbn_bptt.program.llvm_source import tried
from dbn_bptt.program.lower import is_linear_map
from dbn_bptt.program.memory import beyond
from dbn_bptt.template.expressions import Apply

ENTRIES = 1 << 16  # up to so many in a slice of all sequences loops are quicker than NumPy,
MAPPED_ENTRIES = 1 << 13  # than BLAS where it multiplies several sequences at once,
MAP_ENTRIES = 1 << 8  # or all slices,
COSTLY_ENTRIES = 1 << 12  # and than NumPy's exponentials
OWN_ENTRIES = 1 << 12  # up to so many numbers a function keeps for itself


@dataclass
class Stretch:
    """Items that follow each other and are loops, as members of sweeps; and what needs no work."""

    members: list[Member] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)


@dataclass
class Fusion:
    """A listing to be fused; `reasons` tells for each scan why it stays with NumPy, "" where it does not."""

    of: Listing
    results: Collection[str]
    sequences: int
    reasons: dict[str, str] = field(default_factory=dict)

    def listing(self) -> Listing:
        """The listing with its loops fused."""
        found: list[Stretch | Item] = []
        stretch, notes = Stretch(), list[Note]()
        for item in self.of.items:
            if isinstance(item, Note):
                notes.append(item)
            elif self._is_without_work(item):
                stretch.items.append(item)
            elif member := self._member(item):
                stretch.members.append(replace(member, notes=tuple(note.text for note in notes)))
                stretch.items.append(item)
                notes = []
            else:
                found += [stretch, *notes, item]
                stretch, notes = Stretch(), []
        items: list[Item] = []
        for part in [*found, stretch, *notes]:
            items += self._fused(part) if isinstance(part, Stretch) else [part]
        return replace(self.of, items=tuple(items))

    # --------------------------------------------------------------------------------------------------- what fits
    def _slices(self, place: Place) -> tuple[int, int] | None:
        """The slices of a place; None for what is the same in all of them."""
        extent = self.of.extents.get(place.array)
        return place.slices or (extent.slices if extent else self.of.schedule.spans.get(place.array))

    def _is_without_work(self, item: Item) -> bool:
        """Whether an item only makes room, or shows an array of one slice in another way."""
        if isinstance(item, Instruction) and item.how == "view":
            return self.of.extents[item.target.array].slices is None
        return isinstance(item, Allocate)

    def _member(self, item: Item) -> Member | None:
        """An item as a member of a sweep; None where it is better left to NumPy, or has to be."""
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

    # ------------------------------------------------------------------------------------------------------ fusion
    def _fused(self, stretch: Stretch) -> list[Item]:
        """What has to be there before, and the sweeps."""
        if not stretch.members:
            return stretch.items
        inside = {id(item) for item in stretch.items}
        others = [i for i in self.of.items if id(i) not in inside and not isinstance(i, Allocate)]
        elsewhere = {*self.results, *(name for name, _ in arrays_in(others))}
        shows = [i for i in stretch.items if isinstance(i, Instruction) and self._is_without_work(i)]
        for i in reversed(shows):  # what is shown elsewhere has to be there
            elsewhere |= {p.array for p in i.operands} if i.target.array in elsewhere else set()
        sweeps = swept(self._without_views(stretch, elsewhere))
        made = dict.fromkeys(name for s in sweeps for m in s.members for name in m.writes)
        used = {place.array for s in sweeps for m in s.members for place in m.reads} | made.keys()
        own = {name for name in made if name not in elsewhere and self._is_own(name, sweeps)}
        allocated = {i.target.array: i for i in stretch.items if isinstance(i, Allocate)}
        fresh = {
            i.target.array for s in sweeps for m in s.members for i in m.body
            if isinstance(i, Instruction) and i.how != "into"
        }  # fmt: skip
        return [
            *(item for name, item in allocated.items() if name in elsewhere or name in used - own),
            *(Allocate(Place(name)) for name in made if name in fresh - own - allocated.keys()),
            *(i for i in shows if i.target.array in elsewhere),
            Fused(sweeps, frozenset(own)),
        ]

    def _without_views(self, stretch: Stretch, elsewhere: Collection[str]) -> list[Member]:
        """The members, in which what is shown stands in place of its views."""
        shown: dict[str, Place] = {}

        def found(place: Place) -> Place:
            base = shown.get(place.array)
            if base is None:
                return place
            lag = None if base.lag is None else base.lag + (place.lag or 0)
            return replace(base, lag=lag, part=base.part + place.part, moves=base.moves + place.moves)

        for item in stretch.items:
            if isinstance(item, Instruction) and self._is_without_work(item):
                shown[item.target.array] = found(item.operands[0])
        members = []
        for m in stretch.members:
            body = []
            for i in m.body:
                resolved = replace(i, operands=tuple(map(found, i.operands)))
                if isinstance(i, Instruction) and i.how == "view" and i.target.array not in elsewhere:
                    shown[i.target.array] = resolved.operands[0]
                else:
                    body.append(resolved)
            if body:
                members.append(replace(m, body=tuple(body)))
        return members

    def _is_own(self, name: str, sweeps: Iterable[Sweep]) -> bool:
        """Whether an array is used by one slice of one sweep alone."""
        extent = self.of.extents.get(name)
        if extent is None or math.prod(extent.shape) > OWN_ENTRIES:
            return False
        if extent.slices is None:
            return True
        users = [s for s in sweeps if any(name in m.writes or name in {p.array for p in m.reads} for m in s.members)]
        lags = {p.lag for s in users for m in s.members for p in m.reads if p.array == name}
        is_given = any(self.of.schedule.reaches.get(name, (0, 0)))
        return len(users) == 1 and lags <= {0} and not is_given


def swept(members: Iterable[Member]) -> tuple[Sweep, ...]:
    """Members put together in sweeps, each into the first one in which it finds what it reads."""
    sweeps: list[Sweep] = []
    for m in members:
        reads = {p.array for p in m.reads} | m.writes
        needed = [k for k, s in enumerate(sweeps) for other in s.members if other.writes & reads]
        start = max(needed, default=0)
        for k in range(start, len(sweeps)):
            direction = _together(sweeps[k], m)
            if direction is not None:
                (a, b), (c, d) = sweeps[k].slices, m.slices
                sweeps[k] = Sweep((min(a, c), max(b, d)), direction, (*sweeps[k].members, m))
                break
        else:
            sweeps.append(Sweep(m.slices, m.direction, (m,)))
    return tuple(sweeps)


def _together(sweep: Sweep, m: Member) -> int | None:
    """The direction in which a member can go along with a sweep, 0 for either; None for none."""
    written = {name for other in sweep.members for name in other.writes}
    lags = {p.lag for p in m.reads if p.array in written and p.lag is not None}
    wanted = {sign for sign in (sweep.direction, m.direction, *((lag > 0) - (lag < 0) for lag in lags)) if sign}
    return None if len(wanted) > 1 else (*wanted, 0)[0]


def _without_loops(e: Apply) -> str:
    """Why an operation cannot be written as loops that can be compiled; "" if it can."""
    if e.operation.nest is None:
        return f"operation {e.operation.name!r} has no nest"
    entries = [Entries(f"a{k}", (), of.shape) for k, of in enumerate((e, *e.arguments))]
    try:
        tried(e.operation.nest(*entries, **dict(e.attributes)), {of.array: of.shape for of in entries})
    except NotImplementedError as error:
        return f"the nest of {e.operation.name!r}: {error}"
    return ""

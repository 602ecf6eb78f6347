"""Where the arrays of all slices lie: in the rows of a few large arrays, used again once what they hold is dead.

Memory that is asked for anew costs more than the work on it: the system hands it out page by page, at each first touch.
So a program asks for it once, and its arrays take turns in it.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.instructions import Allocate, Extent, Instruction, Item, Listing, Place, arrays_in
from dbn_bptt.program.schedule import Schedule


@dataclass(frozen=True)
class Plan:
    """The memory of a program.

    Attributes
    ----------
    slots : by array, which of the slots of its shape it has; results, and arrays of a few slices, are on their own
    counts : by shape, how many slots there are
    extra : by shape, how many slices more than T a slot has
    dead : for each item the arrays without a slot that nothing uses after it
    """

    slots: dict[str, int] = field(default_factory=dict)
    counts: dict[Shape, int] = field(default_factory=dict)
    extra: dict[Shape, int] = field(default_factory=dict)
    dead: list[list[str]] = field(default_factory=list)

    @property
    def numbers(self) -> int:
        """How many numbers the memory holds for each slice of a sequence."""
        return sum(n * math.prod(shape) for shape, n in self.counts.items())


def beyond(schedule: Schedule, slices: tuple[int, int]) -> int | None:
    """How many slices more than T there are from the first to the last; None where their number is fixed."""
    first, last = slices
    late = [schedule.after_end(t) is not None for t in (first, last + 1)]
    return None if late[0] == late[1] else last + 1 - first - schedule.slices


def planned(of: Listing, results: Collection[str], fills: Callable[[Instruction], bool]) -> Plan:
    """A plan for some instructions, of which these arrays are the results.

    `fills` tells whether an instruction that makes an array can write into memory that is there.
    """
    plan, life = Plan(), _life(of, results)
    last_uses: dict[int, list[str]] = {}
    for name, last in life.items():
        last_uses.setdefault(last, []).append(name)
    free: dict[Shape, list[int]] = {}

    def release(names: Collection[str]) -> None:
        for name in names:
            if name in plan.slots:
                free[of.extents[name].shape].append(plan.slots[name])

    for k, item in enumerate(of.items):
        dying = last_uses.get(k, [])
        makes = _makes(of, item, fills)
        early = makes in life and isinstance(item, Instruction) and _writes_over(of, item, dying)
        if early:
            release(dying)
        if makes is not None and makes in life:
            _take(of, plan, free, makes)
        if not early:
            release(dying)
        plan.dead.append([name for name in dying if name not in plan.slots])
    return plan


def _makes(of: Listing, item: Item, fills: Callable[[Instruction], bool]) -> str | None:
    """The array that an item needs memory for, as many slices as the sequence has."""
    makes = isinstance(item, Allocate) or (isinstance(item, Instruction) and item.how == "new" and fills(item))
    if not makes or not isinstance(item, Allocate | Instruction):
        return None
    extent = of.extents[item.target.array]
    return item.target.array if extent.slices and beyond(of.schedule, extent.slices) is not None else None


def _take(of: Listing, plan: Plan, free: dict[Shape, list[int]], name: str) -> None:
    """Give an array a slot."""
    extent = of.extents[name]
    shape, more = extent.shape, beyond(of.schedule, extent.slices or (0, 0)) or 0
    if not free.setdefault(shape, []):
        free[shape].append(plan.counts.get(shape, 0))
        plan.counts[shape] = plan.counts.get(shape, 0) + 1
    plan.slots[name] = free[shape].pop()
    plan.extra[shape] = max(more, plan.extra.get(shape, more))


def _life(of: Listing, results: Collection[str]) -> dict[str, int]:
    """The last item that uses each array of all slices, or a view of it; results, and what they show, have none."""
    bases: dict[str, set[str]] = {}
    life: dict[str, int] = {}
    for k, item in enumerate(of.items):
        used = {base for name, _ in arrays_in([item]) for base in bases.get(name, ())}
        if isinstance(item, Instruction | Allocate) and _is_of_slices(of, item.target):
            name = item.target.array
            shown = used if isinstance(item, Instruction) and item.shows else set()
            used |= bases.setdefault(name, {name} | shown)
        life |= dict.fromkeys(sorted(used), k)
    kept = {base for name in results for base in bases.get(name, ())}
    return {name: k for name, k in life.items() if name not in kept}


def _is_of_slices(of: Listing, place: Place) -> bool:
    return place.array in of.extents and of.extents[place.array].slices is not None


def _writes_over(of: Listing, item: Instruction, dying: list[str]) -> bool:
    """Whether an elementwise operation, the last to use some arrays, may write over them."""
    if item.applies is None or not item.applies.operation.ufunc:
        return False
    own = of.extents[item.target.array]
    whole = {p.array for p in item.operands if not p.part and _is_whole(of, p)}
    return all(name in whole and _alike(of, of.extents[name], own) for name in dying)


def _is_whole(of: Listing, place: Place) -> bool:
    return place.array in of.extents and place.slices in (None, of.extents[place.array].slices)


def _alike(of: Listing, a: Extent, b: Extent) -> bool:
    """Whether two arrays have one size."""
    sizes = [beyond(of.schedule, e.slices) if e.slices else None for e in (a, b)]
    return a.shape == b.shape and sizes[0] == sizes[1] and sizes[0] is not None

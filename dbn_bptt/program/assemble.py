"""From a schedule to instructions.

An equation is written along its *spine*: the part that is computed straight into the array of the result; other parts
are put into temporary arrays first. For all slices at once the first operation of a spine makes the array. In a scan
every array is there before, and each operation writes into it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from dbn_bptt import ops
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.rows import Fold, Move, Product
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.instructions import (
    Allocate,
    Extent,
    Fixed,
    Instruction,
    Item,
    Listing,
    Loop,
    Note,
    Place,
    Total,
    is_new,
)
from dbn_bptt.program.lower import is_static
from dbn_bptt.program.schedule import Schedule
from dbn_bptt.program.zones import Step, Zone
from dbn_bptt.template.expressions import Apply, Constant, Expression, Reference
from dbn_bptt.template.traversal import terms, walk


def listing(schedule: Schedule) -> Listing:
    """The instructions of a schedule."""
    builder = Builder(schedule)
    for step in schedule.steps:
        builder.items.append(Note(schedule.describe(step)))
        {"all slices": builder.all_slices, "scan": builder.scan, "total": builder.total}[step.kind](step)
    return Listing(schedule, tuple(builder.setup), tuple(builder.items), builder.extents)


@dataclass
class Builder:
    """The instructions made so far."""

    schedule: Schedule
    setup: list[Item] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    extents: dict[str, Extent] = field(default_factory=dict)
    static: dict[Expression, Place] = field(default_factory=dict)
    parts: int = 0

    def part(self, extent: Extent) -> Place:
        """A new array of the program's own."""
        self.parts += 1
        self.extents[f"part {self.parts}"] = extent
        return Place(f"part {self.parts}")

    def fixed(self, e: Expression) -> Place:
        """An expression of parameters and numbers alone, computed once at the top."""
        if isinstance(e, Reference):
            return Place(e.name)
        if isinstance(e, Constant) and not e.shape:
            return Place(number=float(e.array))
        if e not in self.static:
            view = _view(e)
            if view and isinstance(e, Apply):
                whole = self.fixed(e.arguments[0])
                self.static[e] = replace(whole, part=whole.part + view, moves=(*whole.moves, e))
                return self.static[e]
            place = self.static[e] = Place(f"fixed {len(self.static) + 1}")
            operands = tuple(self.fixed(a) for a in e.arguments) if isinstance(e, Apply) else ()
            item = Instruction(place, e, operands, "new") if isinstance(e, Apply) else Fixed(place, _array(e))
            self.setup.append(item)
        return self.static[e]

    def series(self, name: str, zone: Zone | None = None) -> Place:
        """A variable in all its slices, or in those of a zone."""
        self.extents[name] = Extent(self.schedule.spans[name], self.schedule.symbols[name].shape)
        return Place(name) if zone is None else Place(name, (zone.first, zone.last))

    def allocate(self, name: str) -> None:
        """An array for a variable, with given initial states in their rows."""
        schedule = self.schedule
        before, after = schedule.reaches.get(name, (0, 0)) if name not in schedule.learned else (0, 0)
        self.items.append(Allocate(self.series(name), name if before or after else "", before, after))

    def all_slices(self, step: Step) -> None:
        """A variable in all slices at once; zone by zone where its equation is not the same in all."""
        (name,) = step.names
        if not step.zones:
            self.allocate(name)
        for zone in step.zones:
            here, rule = AllSlices(self, zone), zone.rules[name]
            whole = (zone.first, zone.last) == self.schedule.spans[name]
            if whole and not is_static(rule):
                here.into(self.series(name), rule, there=False)
            else:
                if zone is step.zones[0]:
                    self.allocate(name)
                here.into(self.series(name, zone), rule, there=True)

    def scan(self, step: Step) -> None:
        """A recurrence: slice by slice, each result written into its row."""
        for name in step.names:
            if name in step.local:
                self.extents[name] = Extent(None, self.schedule.symbols[name].shape)
                self.items.append(Allocate(Place(name, lag=0)))
            else:
                self.allocate(name)
        free: dict[Shape, list[Place]] = {}
        at, before, loops = len(self.items), list[Item](), list[Item]()
        for zone in step.zones:
            here = SliceBySlice(self, zone, free, before)
            for name in zone.in_order():
                here.into(Place(name, lag=0), zone.rules[name], there=True)
            loops.append(Loop(step.direction, self._rows(step, zone), tuple(here.items)))
            here.leave()
        self.items[at:] = [*before, *loops]

    def _rows(self, step: Step, zone: Zone) -> tuple[tuple[Place, Place], ...]:
        """The rows that a loop goes over: what it reads and what it writes."""
        used = {(e.name, e.delay) for e in walk(zone.rules.values()) if isinstance(e, Reference) and e.symbol.timed}
        pairs = sorted(used | {(name, 0) for name in zone.rules}, key=lambda pair: (pair[0], -pair[1]))
        return tuple(
            (Place(name, lag=lag), Place(name, (zone.first - lag, zone.last - lag)))
            for name, lag in pairs if name not in step.local
        )  # fmt: skip

    def total(self, step: Step) -> None:
        """A sum over all slices and the batch, term by term."""
        (name,) = step.names
        adds = False
        for zone in step.zones:
            here, rule = AllSlices(self, zone), zone.rules[name]
            for sign, term in terms(rule.arguments[0] if isinstance(rule, Apply) else rule):
                whole = term if term.shape == rule.shape else ops.broadcast_to(term, rule.shape)
                kind, operands = here.summed(whole)
                slices = zone.first, zone.last
                self.items.append(Total(Place(name), sign, kind, operands, whole, slices, adds))
                adds = True


class Context(ABC):
    """Where expressions are being written: in all slices of a zone at once, or slice by slice."""

    def __init__(self, builder: Builder, zone: Zone):
        self.builder, self.zone = builder, zone
        self.written: dict[Expression, Place] = {}  # what is computed already, and where it is

    @abstractmethod
    def emit(self, item: Instruction) -> None:
        """Add an instruction."""

    @abstractmethod
    def leaf(self, e: Reference) -> Place:
        """The place of a variable."""

    @abstractmethod
    def computed(self, e: Expression) -> Place:
        """An expression computed into a temporary array."""

    @abstractmethod
    def release(self, places: list[tuple[Shape, Place]]) -> None:
        """Some temporary arrays are not needed any more."""

    def view(self, e: Apply, whole: Place, view: str) -> Place:
        """A view of what has a place."""
        return replace(whole, part=whole.part + view, moves=(*whole.moves, e))

    def simple(self, e: Expression) -> Place | None:
        """The place of an expression that needs no work here, or None."""
        if is_static(e):
            return self.builder.fixed(e)
        if isinstance(e, Reference):
            return self.leaf(e)
        if e in self.written:
            return self.written[e]
        view = _view(e)
        whole = self.simple(e.arguments[0]) if view and isinstance(e, Apply) else None
        return self.view(e, whole, view) if whole is not None and isinstance(e, Apply) and view else None

    def into(self, target: Place, e: Expression, there: bool) -> None:
        """The instructions that compute an expression into a target, which is there or is made."""
        place = self.simple(e)
        if place is not None:
            self.emit(Instruction(target, None, (place,), "into" if there else "view"))
            return
        assert isinstance(e, Apply), "references and constants need no work"
        spine = self._spine(e)
        places: dict[Expression, Place] = {}
        taken: list[tuple[Shape, Place]] = []
        for argument in dict.fromkeys(e.arguments):
            known = self.simple(argument)
            if known is None and argument is not spine:
                known = self.computed(argument)
                taken.append((argument.shape, known))
            if known is not None:
                places[argument] = known
        if spine is not None:
            self.into(target, spine, there)
        operands = tuple(places.get(argument, target) for argument in e.arguments)
        self.emit(Instruction(target, e, operands, "into" if there or spine is not None else "new"))
        self.release(taken)

    def _spine(self, e: Apply) -> Expression | None:
        """The argument to be computed straight into the array of the result."""
        for argument in e.arguments if e.operation.ufunc else ():
            once = sum(a is argument for a in e.arguments) == 1
            fits = isinstance(argument, Apply) and argument.shape == e.shape and is_new(argument) and once
            if fits and self.simple(argument) is None:
                return argument
        return None


class AllSlices(Context):
    """All slices of a zone at once."""

    def emit(self, item: Instruction) -> None:
        """Add an instruction to the program."""
        self.builder.items.append(item)

    def leaf(self, e: Reference) -> Place:
        """The slices of a variable that those of the zone read."""
        return Place(e.name, (self.zone.first - e.delay, self.zone.last - e.delay))

    def computed(self, e: Expression) -> Place:
        """An expression in a new array."""
        place = self.builder.part(Extent((self.zone.first, self.zone.last), e.shape))
        self.into(place, e, there=False)
        return place

    def release(self, places: list[tuple[Shape, Place]]) -> None:
        """The plan of the memory sees to it."""

    def named(self, e: Expression) -> Place:
        """An expression's place, computed where it has none."""
        return self.simple(e) or self.computed(e)

    def summed(self, e: Expression) -> tuple[Literal["fused", "products", "static", "plain"], tuple[Place, ...]]:
        """How an expression is best summed over slices and batch, and what of it has to be there."""
        if is_static(e):
            return "static", (self.builder.fixed(e),)
        timed = isinstance(e, Apply) and not any(map(is_static, e.arguments))
        if isinstance(e, Apply) and timed and (e.operation.summed or e.operation.batch_sum) and self.simple(e) is None:
            return "fused", tuple(self.named(a) for a in e.arguments)
        if pair := _inner_product(e):
            return "products", tuple(self.named(a) for a in pair)
        return "plain", (self.named(e),)


class SliceBySlice(Context):
    """The slices of a zone one after the other, with temporary arrays that are made before."""

    def __init__(self, builder: Builder, zone: Zone, free: dict[Shape, list[Place]], before: list[Item]):
        super().__init__(builder, zone)
        self.items: list[Instruction] = []
        self.free, self.before = free, before
        self.repeated = _repeated(zone)

    def emit(self, item: Instruction) -> None:
        """Add an instruction to the loop."""
        self.items.append(item)

    def leaf(self, e: Reference) -> Place:
        """The row of a variable."""
        return Place(e.name, lag=e.delay)

    def simple(self, e: Expression) -> Place | None:
        """As ever; what several operations use is computed now, once."""
        if e in self.repeated and e not in self.written:
            self.repeated.discard(e)
            self.written[e] = self.computed(e)
        return super().simple(e)

    def computed(self, e: Expression) -> Place:
        """An expression in a temporary array that is not in use."""
        if self.free.get(e.shape):
            place = self.free[e.shape].pop()
        else:
            place = self.builder.part(Extent(None, e.shape))
            self.before.append(Allocate(place))
        self.into(place, e, there=True)
        return place

    def release(self, places: list[tuple[Shape, Place]]) -> None:
        """These temporary arrays may be used again."""
        for shape, place in places:
            self.free.setdefault(shape, []).append(place)

    def view(self, e: Apply, whole: Place, view: str) -> Place:
        """A view; of a temporary array it is made before the loop, once."""
        if e.arguments[0] not in self.written:
            return super().view(e, whole, view)
        shown = super().view(e, whole, view)
        made = [item for item in self.before if isinstance(item, Instruction) and item.operands == (shown,)]
        if not made:
            place = self.builder.part(Extent(None, e.shape))
            made = [Instruction(place, None, (shown,), "view")]
            self.before += made
        return made[0].target

    def leave(self) -> None:
        """The loop is over: its temporary arrays serve the next one."""
        self.release([(e.shape, place) for e, place in self.written.items()])


def _view(e: Expression) -> str | None:
    """What is written behind an array's name to get an expression, where that is a view of its argument."""
    if not isinstance(e, Apply) or not isinstance(e.operation.role, Move):
        return None
    return e.operation.role.view(e.arguments[0].shape, **dict(e.attributes))


def _array(e: Expression) -> Array:
    assert isinstance(e, Constant), "windows are resolved, and references have names"
    return e.array


def _inner_product(e: Expression) -> tuple[Expression, ...]:
    """The two arrays of which an expression is the sum of all products, element by element; () for any other."""
    if not isinstance(e, Apply) or e.operation.role != Fold(np.add) or e.shape:
        return ()
    (product,) = e.arguments
    if not isinstance(product, Apply) or not isinstance(product.operation.role, Product):
        return ()
    fits = all(a.shape == product.shape and not is_static(a) for a in product.arguments)
    return product.arguments if fits else ()


def _repeated(zone: Zone) -> set[Expression]:
    """The operations in a slice whose results several others use."""
    users: dict[Expression, set[Any]] = {}
    for name, rule in zone.rules.items():
        users.setdefault(rule, set()).add(name)
        for e in walk([rule]):
            for argument in e.arguments if isinstance(e, Apply) else ():
                users.setdefault(argument, set()).add(e)
    return {e for e, by in users.items() if len(by) > 1 and isinstance(e, Apply) and not is_static(e)}

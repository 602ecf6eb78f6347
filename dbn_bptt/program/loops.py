"""Scans as loops over slices, sequences and entries, for a compiler; all else stays as `numpy_source` prints it.

A scan becomes a function of its own, in which each instruction is written in index notation, the nest of its row. The
text runs as it stands, slowly; `native` compiles the functions.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from dbn_bptt.ops.nests import INDENT, Entries, formula
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.instructions import Instruction, Item, Listing, Loop, Place
from dbn_bptt.program.lower import is_linear_map
from dbn_bptt.program.memory import Plan, beyond
from dbn_bptt.program.numpy_source import Printer, empty

ENTRIES = 1 << 16  # up to so many in a slice of all sequences loops are quicker than NumPy,
MAPPED_ENTRIES = 1 << 13  # than BLAS where it multiplies several sequences at once,
COSTLY_ENTRIES = 1 << 12  # and than NumPy's exponentials
_COPY = formula("{0}")


def rounded(sequences: int) -> int:
    """The next power of 2, so that programs for many batches are few."""
    return 1 << (sequences - 1).bit_length()


def loops_printer(sequences: int) -> Callable[[Listing, Plan, set[str]], "LoopsPrinter"]:
    """The printer for runs of so many sequences."""
    return lambda of, plan, results: LoopsPrinter(of, plan, results, sequences)


class LoopsPrinter(Printer):
    """The text of instructions, the scans as functions."""

    def __init__(self, of: Listing, plan: Plan, results: set[str], sequences: int):
        super().__init__(of, plan, results)
        self.sequences = sequences

    def lines(self, item: Item, in_scan: bool = False) -> list[str]:
        """The lines of one item; what NumPy has no fast function for is a loop of its own over all slices."""
        loop = self._as_loop(item) if isinstance(item, Instruction) and not in_scan else None
        scan = self._scan(loop) if loop and not self._unfit(loop) else None
        if scan is None or not isinstance(item, Instruction):
            return super().lines(item, in_scan)
        extent = self.of.extents[item.target.array]
        made = empty(self._count(extent.slices or (0, 0)), extent.shape)
        return [*([f"    {self.text(item.target)} = {made}"] if item.how == "new" else []), f"    {scan}"]

    def _as_loop(self, item: Instruction) -> Loop | None:
        """A loop over all slices that does what an instruction does; None where NumPy's functions serve."""
        e = item.applies
        if e is None or e.operation.ufunc or e.operation.infix or e.operation.role or not self._slices(item.target):
            return None
        first, last = self._slices(item.target) or (0, 0)
        if beyond(self.schedule, (first, last)) is None:
            return None
        rows: dict[Place, Place] = {}

        def row(place: Place) -> Place:
            slices = self._slices(place)
            if slices is None:
                return place
            own = Place(place.array, lag=first - slices[0])
            rows[own] = replace(place, part="")
            return replace(own, part=place.part)

        body = replace(item, target=row(item.target), operands=tuple(map(row, item.operands)))
        return Loop(1, tuple(rows.items()), (body,))

    def _slices(self, place: Place) -> tuple[int, int] | None:
        """The slices of a place; None for what is the same in all of them."""
        extent = self.of.extents.get(place.array)
        return place.slices or (extent.slices if extent else self.schedule.spans.get(place.array))

    def _loop(self, item: Loop) -> list[str]:
        first, last = item.rows[0][1].slices or (0, 0)
        is_border = beyond(self.schedule, (first, last)) is None and not self.schedule.exact
        if is_border or first == last:
            return super()._loop(item)  # a few slices before or after all others
        reason = self._unfit(item)
        scan = None if reason else self._scan(item)
        symbols = self.schedule.symbols
        names = ", ".join(dict.fromkeys(i.target.array for i in item.body if i.target.array in symbols))
        self.reasons[names] = "" if scan else reason or "an operation has no loops for its shapes"
        return [f"    {scan}"] if scan else super()._loop(item)

    def _unfit(self, item: Loop) -> str:
        """Why a scan is better left to NumPy, or has to be; "" for one that is not."""
        applied = [i.applies for i in item.body if i.applies is not None]
        for e in applied:
            if e.operation.nest is None:
                return f"operation {e.operation.name!r} has no nest"
        costly = any(e.operation.ufunc and not e.operation.infix for e in applied)
        mapped = self.sequences > 1 and any(map(is_linear_map, applied))
        largest = max((math.prod(a.shape) for e in applied for a in (e, *e.arguments)), default=1)
        most = COSTLY_ENTRIES if costly else MAPPED_ENTRIES if mapped else ENTRIES
        if largest * self.sequences > most:
            return f"{largest} entries in each of {self.sequences} sequences are more than {most}"
        return ""

    def _scan(self, item: Loop) -> str | None:
        """The call of a scan's function, which is written; None where an operation has no loops for its shapes."""
        frame = Frame(self, item)
        try:
            body = [line for inside in item.body for line in frame.lines(inside)]
        except NotImplementedError:
            return None
        name = self.names.unused(f"scan_{len(self.scans) + 1}")
        over = "range(slices)" if item.direction > 0 else "range(slices - 1, -1, -1)"
        first = next(iter(frame.arrays.values()))
        head = [
            f"def {name}({', '.join(['first', 'last', 'slices', *frame.arrays.values()])}):",
            f"{INDENT}zero, one, infinite = {first}.dtype.type(0), {first}.dtype.type(1), {first}.dtype.type(np.inf)",
            *(f"{INDENT}{own} = {first}.dtype.type({number})" for number, own in frame.numbers.items()),
            f"{INDENT}for b in range(first, last):",
            f"{INDENT * 2}for t in {over}:",
        ]
        self.scans[name] = "\n".join([*head, *(INDENT * 3 + line for line in body)]) + "\n"
        rows = self.text(item.rows[0][1])
        return f"in_parts({name}, B, len({rows}), {', '.join(frame.arrays)})"


class Frame:
    """What the function of a scan is given: by their text outside the names of arrays and numbers inside."""

    def __init__(self, printer: LoopsPrinter, loop: Loop):
        self.printer, self.loop = printer, loop
        self.over = {(row.array, row.lag): over for row, over in loop.rows}
        self.arrays: dict[str, str] = {}
        self.numbers: dict[str, str] = {}

    def lines(self, item: Instruction) -> list[str]:
        """An instruction as loops."""
        if item.applies is None:
            shape = self._shape(item.target)
            return _COPY(self.entries(item.target, shape), self.entries(item.operands[0], shape))
        e = item.applies
        operands = [self.entries(p, a.shape) for p, a in zip(item.operands, e.arguments, strict=True)]
        assert e.operation.nest is not None, "asked before"
        return e.operation.nest(self.entries(item.target, e.shape), *operands, **dict(e.attributes))

    def _shape(self, place: Place) -> Shape:
        return self.printer.of.extents[place.array].shape

    def entries(self, place: Place, shape: Shape) -> Entries:
        """The entries of a place in one slice of one sequence."""
        text = self.printer.text
        if place.number is not None:
            number = text(place)
            return Entries(self.numbers.setdefault(number, f"number_{len(self.numbers) + 1}"), (), ())
        turned = place.part.endswith(".mT")
        place = replace(place, part=place.part.removesuffix(".mT"))
        extent = self.printer.of.extents.get(place.array)
        lead: tuple[str, ...]
        if (place.array, place.lag) in self.over:
            outside, lead = text(self.over[place.array, place.lag]) + place.part, ("t", "b")
        else:
            outside, lead = text(place), ("b",) if extent is not None else ()
        return Entries(self.arrays.setdefault(outside, f"a{len(self.arrays) + 1}"), lead, shape, turned)

"""Fused instructions as functions of loops over sequences, slices and entries.

All else stays as `numpy_source` prints it. Each instruction is written in index notation, the nest of its row. The text
runs as it stands, slowly; `machine` compiles it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from dbn_bptt.ops.nests import INDENT, Entries, Moved, contraction, formula, loops
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.fusion import Fusion
from dbn_bptt.program.instructions import (
    Fixed,
    Fused,
    Instruction,
    Item,
    Listing,
    Loops,
    Member,
    Place,
    Sweep,
    Total,
)
from dbn_bptt.program.numpy_source import Printer
from dbn_bptt.program.numpy_text import written
from dbn_bptt.template.expressions import Apply

_COPY = formula("{0}")


def rounded(sequences: int) -> int:
    """The next power of 2, so that programs for many batches are few."""
    return 1 << (sequences - 1).bit_length()


def loops_printer(sequences: int) -> Callable[[Listing, set[str]], "LoopsPrinter"]:
    """The printer for runs of so many sequences."""
    return lambda of, results: LoopsPrinter(of, results, sequences)


class LoopsPrinter(Printer):
    """The text of instructions, fused ones as functions of loops."""

    def __init__(self, of: Listing, results: set[str], sequences: int):
        fusion = Fusion(of, results, sequences)
        super().__init__(fusion.listing(), results)
        self.reasons, self.sequences = fusion.reasons, sequences

    def lines(self, item: Item, in_scan: bool = False) -> list[str]:
        """The lines of one item."""
        return self._fused(item) if isinstance(item, Fused) else super().lines(item, in_scan)

    def _fused(self, item: Fused) -> list[str]:
        """The call of a function, which is written; sums are taken of each sequence, then of these.

        Several sequences go through time side by side: what one waits for, another computes meanwhile.
        """
        frame, each = Frame(self, item), "for b in range(first, last):"
        alone = self.sequences == 1
        body = [line for sweep in item.sweeps for line in frame.sweep(sweep, "" if alone else each)]
        name = self.names.unused(f"sweeps_{len(self.loops) + 1}")
        names = ", ".join(["first", "last", "T", "B", "dtype", *frame.names.values()])
        head = [f"def {name}({names}):"]
        own = [f"{INDENT}{array} = np.empty({_tuple(shape)}, dtype)" for array, shape in sorted(frame.own.items())]
        body = [each, *(INDENT + line for line in body)] if alone else body
        text = "\n".join([*head, *own, *(INDENT + line for line in body)])
        arrays = {frame.names[outside]: found for outside, found in frame.arrays.items()}
        results = {frame.names[outside] for outside in frame.arrays if outside in frame.results}
        self.loops[name] = Loops(text + "\n", arrays, frozenset(results))
        sums = {i.target: i for i in reversed(item.items) if isinstance(i, Total)}
        before = [f"    {self.sums(p)} = np.zeros({_tuple(('B', *i.applies.shape))}, dtype)" for p, i in sums.items()]
        whole = "[0]" if self.sequences == 1 else ".sum(0)"
        after = [f"    {self.text(p)} {'+=' if i.adds else '='} {self.sums(p)}{whole}" for p, i in sums.items()]
        return [*before, f"    in_parts({', '.join([name, 'T', 'B', 'dtype', *frame.names])})", *after]

    def sums(self, place: Place) -> str:
        """The name of a total of each sequence."""
        return self.names.unused(f"{place.array}_of_each")


def _tuple(parts: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, parts))}{',' if len(parts) == 1 else ''})"


@dataclass
class Frame:
    """What a function of loops is given and makes, by the names outside of it."""

    printer: LoopsPrinter
    fused: Fused
    names: dict[str, str] = field(default_factory=dict)  # the names inside
    arrays: dict[str, tuple[int, Shape]] = field(default_factory=dict)  # how many axes in front, and the shape
    own: dict[str, Shape] = field(default_factory=dict)
    results: set[str] = field(default_factory=set)  # the names outside of what it writes

    # ------------------------------------------------------------------------------------------------------- sweeps
    def sweep(self, sweep: Sweep, each: str) -> list[str]:
        """One loop over slices, and inside of it another one if it is given."""
        first, last = self.time(sweep.slices[0]), self.time(sweep.slices[1], 1)
        over = f"range({first}, {last})"
        if sweep.direction < 0:
            over = f"range({self.time(sweep.slices[1])}, {self.time(sweep.slices[0], -1)}, -1)"
        lines: list[str] = []
        guard = ""
        for m in sweep.members:
            here = self._guard(m, sweep)
            body = [*(f"# {note}" for note in m.notes), *(line for i in m.body for line in self._lines(i))]
            if here and here != guard:
                lines.append(here)
            guard = here
            lines += [INDENT + line for line in body] if here else body
        inside = [each, *(INDENT + line for line in lines)] if each else lines
        return [f"for t in {over}:", *(INDENT + line for line in inside)]

    def _guard(self, m: Member, sweep: Sweep) -> str:
        """The condition under which a member is done."""
        (first, last), (low, high) = m.slices, sweep.slices
        if first == last and (low, high) != (first, last):
            return f"if t == {self.time(first)}:"
        tests = [f"t >= {self.time(first)}"] if first > low else []
        tests += [f"t <= {self.time(last)}"] if last < high else []
        return f"if {' and '.join(tests)}:" if tests else ""

    def time(self, slice_: int, more: int = 0) -> str:
        """A slice as a number, or as one that depends on T."""
        late = self.printer.schedule.after_end(slice_)
        return str(slice_ + more) if late is None else _moved("T", late + more)

    def _lines(self, item: Instruction | Total) -> list[str]:
        if isinstance(item, Total):
            return self._total(item)
        if item.applies is None:
            shape = self._shape(item.target.array)
            return _COPY(self._target(item, shape), self.entries(item.operands[0], shape))
        e = item.applies
        operands = [self.entries(p, a.shape) for p, a in zip(item.operands, e.arguments, strict=True)]
        assert e.operation.nest is not None, "asked before"
        return e.operation.nest(self._target(item, e.shape), *operands, **dict(e.attributes))

    def _target(self, item: Instruction, shape: Shape) -> Entries:
        """The entries that an instruction writes."""
        if item.target.array not in self.fused.own:
            self.results.add(self._outside(item.target))
        return self.entries(item.target, shape)

    def _total(self, item: Total) -> list[str]:
        """A term added to the sum of its sequence."""
        shape = item.applies.shape
        outside = self.printer.sums(item.target)
        total = Entries(self._named(outside, 1, shape), ("b",), shape)
        self.results.add(outside)
        sign = "-" if item.sign < 0 else "+"

        def added(term: Entries) -> list[str]:
            return loops(shape, lambda i: [f"{total.at(*i)} {sign}= {term.at(*i)}"])

        if item.kind == "plain":
            return added(self.entries(item.operands[0], shape))
        term = Entries(f"term_{len(self.own)}_", (), shape)
        self.own[term.array] = shape
        if item.kind == "products":
            labels = "ijklmnop"[: len(self._core(item.operands[0]))]
            operands = [self.entries(p, self._core(p)) for p in item.operands]
            return [*contraction(term, *operands, inputs=(labels, labels), output=""), *added(term)]
        e = item.applies
        assert isinstance(e, Apply), "what is fused is an operation"
        assert e.operation.nest is not None, "asked before"
        operands = [self.entries(p, a.shape) for p, a in zip(item.operands, e.arguments, strict=True)]
        return [*e.operation.nest(term, *operands, **dict(e.attributes)), *added(term)]

    # ------------------------------------------------------------------------------------------------------- arrays
    def _shape(self, array: str) -> Shape:
        """The core shape of an array."""
        of = self.printer.of
        if array in of.extents:
            return of.extents[array].shape
        if array in self.printer.schedule.symbols:
            return self.printer.schedule.symbols[array].shape
        (made,) = [i for i in of.setup if isinstance(i, Instruction | Fixed) and i.target.array == array]
        return made.array.shape if isinstance(made, Fixed) else made.applies.shape if made.applies is not None else ()

    def _core(self, place: Place) -> Shape:
        """The core shape of a place."""
        return place.moves[-1].shape if place.moves else self._shape(place.array)

    def entries(self, place: Place, shape: Shape) -> Entries:
        """The entries of a place in one slice of one sequence."""
        if place.number is not None:
            return Entries(written(place.number), (), (), is_number=True)
        base = self._shape(place.array)
        moves = tuple(partial(_index, e) for e in reversed(place.moves))
        turned = place.part.count(".mT") % 2 == 1
        if place.array in self.fused.own:
            name = self.printer.names.unused(place.array.replace(" ", "_")) + "_"
            self.own[name] = base
            return Entries(name, (), shape, moves, turned)
        extent = self.printer.of.extents.get(place.array)
        outside = self._outside(place)
        low = extent.slices if extent else self.printer.schedule.spans.get(place.array)
        if low is not None and place.lag is not None:
            return Entries(self._named(outside, 2, base), (self._row(place.lag, low[0]), "b"), shape, moves, turned)
        lead = ("b",) if extent is not None else ()
        return Entries(self._named(outside, len(lead), base), lead, shape, moves, turned)

    def _outside(self, place: Place) -> str:
        """The name outside of a whole array: of all slices, or of one at a time."""
        extent = self.printer.of.extents.get(place.array)
        lag = 0 if extent and extent.slices is None and place.lag is not None else None
        return self.printer.text(replace(place, part="", lag=lag, slices=None))

    def _row(self, lag: int, low: int) -> str:
        """The row of slice t - lag in an array from slice `low` on."""
        late = self.printer.schedule.after_end(low)
        return _moved("t", -lag - low) if late is None else _moved("t - T", -lag - late)

    def _named(self, outside: str, lead: int, shape: Shape) -> str:
        self.names.setdefault(outside, f"{outside}_")
        self.arrays[outside] = lead, shape
        return self.names[outside]


def _moved(start: str, by: int) -> str:
    """A place in time and a number of slices after it, as text."""
    return f"{start} {'-' if by < 0 else '+'} {abs(by)}" if by else start


def _index(e: Apply, i: list[str]) -> list[str]:
    """Where an entry of what is moved comes from."""
    assert isinstance(e.operation.nest, Moved), "only what is moved is shown"
    return e.operation.nest.index(i, **dict(e.attributes))

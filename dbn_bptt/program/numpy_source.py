"""Instructions as NumPy source: one stand-alone function that a student can read.

Every array has the axis of time first and the batch next. A step for all slices is a few array operations; a scan is a
loop over views of the slices, with every result written into its row; a total is a sum over time and batch.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt.ops import kernels
from dbn_bptt.ops.rows import Fold, Move
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.assemble import listing
from dbn_bptt.program.instructions import (
    Allocate,
    Fixed,
    Instruction,
    Item,
    Listing,
    Loop,
    Loops,
    Note,
    Place,
    Total,
    arrays_in,
)
from dbn_bptt.program.lower import is_linear_map
from dbn_bptt.program.memory import beyond, planned
from dbn_bptt.program.names import Names
from dbn_bptt.program.numpy_text import HELPERS, IN_PARTS, empty, slices_text, unit_axes, written, written_array
from dbn_bptt.program.schedule import Schedule
from dbn_bptt.program.shown_kernels import SHOWN, shown_kernels
from dbn_bptt.template.expressions import Apply

HEAD = "def run(parameters, data, initial, T, B, dtype, empty=np.empty):"


@dataclass(frozen=True)
class Emitted:
    """A program as text.

    Attributes
    ----------
    source : the whole of it, which runs as it stands
    functions : the forward functions of operations that a user added, which the source calls but cannot show
    numbers : how many numbers it keeps for each slice of a sequence
    loops : its functions of loops, by name; none as NumPy runs it
    reasons : for each scan over the sequence, by its variables, why it is left to NumPy; "" where it is loops
    """

    source: str
    functions: dict[str, Callable[..., Any]]
    numbers: int
    loops: dict[str, Loops]
    reasons: dict[str, str]


def numpy_source(
    schedule: Schedule, results: Sequence[str], printer: "Callable[[Listing, set[str]], Printer] | None" = None
) -> Emitted:
    """The source of a function run(parameters, data, initial, T, B, dtype, empty) that returns some series and totals.

    `empty` makes the arrays that it needs for itself, like `numpy.empty`. Its data have the axes (T, B, ...), slices
    that the equations reach back to in front, and its initial states (slices, B, ...).
    """
    to = (printer or Printer)(listing(schedule), set(results))
    of, plan = to.of, to.plan
    for item in of.setup:
        to.prelude += to.lines(item)
    body = [line for k, item in enumerate(of.items) for line in (*to.lines(item), *to.dropped(k))]
    shown, functions = shown_kernels(to.kernels)
    guard = ['@np.errstate(over="ignore")'] if to.overflows else []
    parts = [*guard, HEAD, *to.unpacked(results), *to.prelude, *to.memory(), *body]
    run = "\n".join([*parts, f"    return {{{to.returned(results)}}}"])
    loops = "".join(f"\n\n{text}" for text in [IN_PARTS, *(of.text for of in to.loops.values())]) if to.loops else ""
    source = f"from functools import cache\n\nimport numpy as np\n{HELPERS}{shown}{loops}\n\n{run}\n"
    return Emitted(source, functions, plan.numbers, to.loops, to.reasons)


def writes_in_place(item: Instruction, in_scan: bool = False) -> bool:
    """Whether NumPy writes the result of an instruction into an array that is there."""
    e = item.applies
    if e is None:
        return False
    if e.operation.role == Fold(np.add) and not in_scan:
        attributes = dict(e.attributes)
        return attributes["axis"] != (-1,) or bool(attributes["keepdims"])
    return bool(e.operation.ufunc) or e.operation.role == Fold(np.add) or is_linear_map(e)


class Printer:
    """The text of instructions, and what it needs around it.

    Attributes
    ----------
    prelude : lines in front of all others: what depends on parameters alone, copies of matrices, columns of ones
    kernels : the functions that the text calls, by name
    overflows : whether the exponential of a logistic function may overflow, as it should
    loops, reasons : those of `Emitted`
    """

    def __init__(self, of: Listing, results: set[str]):
        self.of, self.plan, self.results = of, planned(of, results, writes_in_place), results
        self.schedule, self.names = of.schedule, Names(of.schedule.symbols)
        self.prelude: list[str] = []
        self.kernels: dict[str, Callable[..., Any]] = {}
        self.overflows = False
        self.loops: dict[str, Loops] = {}
        self.reasons: dict[str, str] = {}

    # -------------------------------------------------------------------------------------------------------- items
    def lines(self, item: Item, in_scan: bool = False) -> list[str]:
        """The lines of one item."""
        match item:
            case Note():
                return [f"    # {item.text}"]
            case Fixed():
                return [f"    {self.text(item.target)} = {written_array(item.array)}"]
            case Allocate():
                return self._allocated(item)
            case Loop():
                return self._loop(item)
            case Total():
                return [self._total(item)]
            case Instruction():
                return [("        " if in_scan else "    ") + self._instruction(item, in_scan)]
        raise TypeError(f"{type(item).__name__} is no item of NumPy's")

    def _instruction(self, item: Instruction, in_scan: bool) -> str:
        target = self.text(item.target)
        if item.applies is None:
            source = self.text(item.operands[0])
            return f"{target}[...] = {source}" if item.how == "into" else f"{target} = {source}"
        operands = [self.text(p) for p in item.operands]
        fills = writes_in_place(item, in_scan)
        role, extent = item.applies.operation.role, self.of.extents.get(item.target.array)
        repeats = isinstance(role, Move) and role.repeats and item.how == "new"
        if self.schedule.exact and repeats and extent and extent.slices:
            made = empty(self._count(extent.slices), extent.shape)
            return f"{target} = {made}; {target}[...] = {operands[0]}"  # quicker than a view where slices are few
        if item.how == "into":
            made = self._call(item.applies, operands, target if fills else "", in_scan)
            return made if fills else f"{target}[...] = {made}"
        out = self._new(item.target) if fills and item.target.array in self.of.extents else ""
        return f"{target} = {self._call(item.applies, operands, out, in_scan)}"

    def _new(self, target: Place) -> str:
        """A new array for a target: its slot, or one of its own for results; nothing where its slices are few."""
        extent = self.of.extents[target.array]
        if extent.slices is None or (more := beyond(self.schedule, extent.slices)) is None:
            return ""
        if target.array not in self.plan.slots:
            return empty(slices_text(more), extent.shape)
        rows = "" if more == self.plan.extra[extent.shape] else f", :{slices_text(more)}"
        return f"{self._memory_name(extent.shape)}[{self.plan.slots[target.array]}{rows}]"

    def _allocated(self, item: Allocate) -> list[str]:
        extent, label = self.of.extents[item.target.array], self.text(item.target)
        if extent.slices is None:
            return [f"    {label} = {empty('', extent.shape)}"]
        made = self._new(item.target) or empty(self._count(extent.slices), extent.shape)
        lines = [f"    {label} = {made}"]
        if item.before:
            lines.append(f"    {label}[:{item.before}] = initial[{item.state!r}][:{item.before}]")
        if item.after:
            lines.append(f"    {label}[-{item.after}:] = initial[{item.state!r}][-{item.after}:]")
        return lines

    def _loop(self, item: Loop) -> list[str]:
        turn = "[::-1]" if item.direction < 0 else ""
        rows = ", ".join(self.text(over) + turn for _, over in item.rows)
        views = ", ".join(self.text(row) for row, _ in item.rows)
        head = f"    for {views}{',' if len(item.rows) == 1 else ''} in zip({rows}):"
        return [head, *(line for inside in item.body for line in self.lines(inside, in_scan=True))]

    def _total(self, item: Total) -> str:
        sign = "-" if item.sign < 0 else ""
        how = f"{'-' if sign else '+'}= " if item.adds else f"= {sign}"
        return f"    {self.text(item.target)} {how}{self._summed(item)}"

    def _summed(self, item: Total) -> str:
        operands = [self.text(p) for p in item.operands]
        if item.kind == "products":
            return f"np.vdot({', '.join(operands)})"
        if item.kind == "static":
            return f"{operands[0]} * ({self._count(item.slices)} * B)"
        if item.kind == "plain":
            return f"{operands[0]}.sum((0, 1))"
        assert isinstance(item.applies, Apply), "what is fused is an operation"
        operation = item.applies.operation
        if operation.summed:
            return re.sub(r"\{(\d)\}", lambda m: operands[int(m[1])], operation.summed)
        assert operation.batch_sum is not None
        title = self._kernel(operation.batch_sum, operation.name)
        return self._called(title, operands, dict(item.applies.attributes), "batch=(T, B)")

    # -------------------------------------------------------------------------------------------------------- places
    def text(self, place: Place) -> str:
        """A place as text."""
        if place.number is not None:
            return written(place.number)
        if place.lag is not None:
            return self._row_name(place) + place.part
        is_symbol = place.array in self.schedule.symbols
        label = self.names.label(place.array) if is_symbol else self.names.unused(place.array.replace(" ", "_"))
        return label + self._rows(place) + place.part

    def _row_name(self, place: Place) -> str:
        lag = place.lag or 0
        when = {0: "t", 1: "prev", -1: "next"}.get(lag, f"{'prev' if lag > 0 else 'next'}{abs(lag)}")
        return self.names.unused(f"{place.array}_{when}")

    def _rows(self, place: Place) -> str:
        """The slices of a series, as an index; nothing for all of them."""
        if place.slices is None or place.array not in self.schedule.spans:
            return ""
        (first, last), (low, high) = place.slices, self.schedule.spans[place.array]
        start = "" if first == low else self._row(first, low)
        stop = "" if last == high else self._row(last + 1, low)
        return f"[{start}:{stop}]" if start or stop else ""

    def _row(self, t: int, low: int) -> str:
        """The row of a slice in a series from slice `low` on: a number, or one that depends on T."""
        more = beyond(self.schedule, (low, t - 1))
        return str(t - low) if more is None else slices_text(more)

    def _count(self, slices: tuple[int, int]) -> str:
        """How many slices there are."""
        more = beyond(self.schedule, slices)
        if more is None:
            return str(slices[1] + 1 - slices[0])
        return f"(T{more:+d})" if more else "T"

    # -------------------------------------------------------------------------------------------------------- calls
    def _call(self, e: Apply, operands: list[str], out: str, in_scan: bool) -> str:
        """An operation as a NumPy call; into `out` where it can write there."""
        operation, attributes = e.operation, dict(e.attributes)
        into = f", out={out}" if out else ""
        if operation.infix and not out:
            return f" {operation.infix} ".join([*operands, *map(written, attributes.values())])
        if operation.ufunc:
            return self._ufunc(e, operands, into)
        if is_linear_map(e):
            matrix, vectors = operands
            turned = matrix.removesuffix(".mT") if matrix.endswith(".mT") else self._turned(matrix, in_scan)
            return f"{self._dot(in_scan)}({vectors}, {turned}{into})"
        if operation.role == Fold(np.add) and (text := self._row_sum(e, operands[0], into, in_scan)):
            return text
        return self._applied(e, operands)

    def _ufunc(self, e: Apply, operands: list[str], into: str) -> str:
        ufunc = e.operation.ufunc
        assert ufunc is not None
        return f"{self._kernel(ufunc, e.operation.name)}({', '.join(operands)}{into})"

    def _applied(self, e: Apply, operands: list[str], *more: str) -> str:
        """The kernel of an operation, called; axes of size 1 come and go without."""
        role, view = e.operation.role, unit_axes(e.arguments[0].shape, e.shape)
        if isinstance(role, Move) and role.in_order and view:
            return operands[0] + view
        return self._called(self._kernel(e.operation.forward, e.operation.name), operands, dict(e.attributes), *more)

    def _called(self, title: str, operands: list[str], attributes: dict[str, Any], *more: str) -> str:
        named = (f"{key}={written(value)}" for key, value in attributes.items())
        return f"{title}({', '.join([*operands, *named, *more])})"

    def _kernel(self, kernel: Callable[..., Any], name: str) -> str:
        """What a kernel is called: NumPy's by their place there, others by a name of their own."""
        if isinstance(kernel, np.ufunc) and getattr(np, kernel.__name__, None) is kernel:
            return f"np.{kernel.__name__}"
        module = getattr(kernel, "__module__", "") or ""
        if module == "numpy.linalg" and getattr(np.linalg, kernel.__name__, None) is kernel:
            return f"np.linalg.{kernel.__name__}"
        own = self.names.unused(f"operation_{re.sub(r'[^A-Za-z0-9_]', '_', name)}")
        title = kernel.__name__ if module in SHOWN else own
        self.overflows |= kernel is kernels.logistic
        while self.kernels.setdefault(title, kernel) is not kernel:
            title += "_"
        return title

    def _turned(self, matrix: str, in_scan: bool) -> str:
        """A matrix transposed; for a long scan a copy in the order of memory that products are quickest with."""
        if not in_scan or self.schedule.exact:
            return f"{matrix}.T"
        return self._made_once(f"{matrix}_T", f"np.ascontiguousarray({matrix}.T)")

    def _dot(self, in_scan: bool) -> str:
        """What multiplies vectors by a matrix: where slices are few, one product for each is quicker."""
        return "np.dot" if in_scan else "np.matmul" if self.schedule.exact else "times"

    def _row_sum(self, e: Apply, operand: str, into: str, in_scan: bool) -> str:
        """A sum over the last axis as a product with ones, which is several times faster for short rows."""
        attributes, n = dict(e.attributes), e.arguments[0].shape[-1]
        axis, keepdims = attributes["axis"], attributes["keepdims"]
        if axis == (-1,) and (not in_scan or (keepdims and e.ndim == 1)):
            ones = self._made_once(f"ones_{n}", f"ones({n}, dtype)")
            product = f"{self._dot(in_scan)}({operand}, {ones}{into})"
            return product if keepdims else f"{product}[..., 0]"
        return f"np.add.reduce({operand}, {axis!r}, keepdims={keepdims!r}{into})" if into else ""

    def _made_once(self, wish: str, value: str) -> str:
        name = self.names.unused(wish)
        line = f"    {name} = {value}"
        if line not in self.prelude:
            self.prelude.append(line)
        return name

    # -------------------------------------------------------------------------------------------------------- frame
    def unpacked(self, results: Sequence[str]) -> list[str]:
        """The lines that take what the function is given."""
        used = {name for name, _ in arrays_in([*self.of.setup, *self.of.items])}
        made = {name for step in self.schedule.steps for name in step.names}
        places = {"parameter": "parameters", "constant": "parameters", "input": "data", "target": "data"}
        return [
            f"    {self.names.label(name)} = {places[symbol.kind]}[{name!r}]"
            for name, symbol in self.schedule.symbols.items()
            if name in used and name not in made and symbol.kind in places
        ]

    def memory(self) -> list[str]:
        """The lines that ask for the memory."""
        lines = ["    # each row of the memory is used again, by another array, once what it holds is no longer needed"]
        for shape, n in self.plan.counts.items():
            sizes = ", ".join([str(n), slices_text(self.plan.extra[shape]), "B", *map(str, shape)])
            lines.append(f"    {self._memory_name(shape)} = empty(({sizes}), dtype)")
        return lines if self.plan.counts else []

    def _memory_name(self, shape: Shape) -> str:
        return self.names.unused("_".join(["memory", *map(str, shape)]))

    def dropped(self, k: int) -> list[str]:
        """The lines that let go of arrays that nothing uses after an item."""
        return [f"    del {self.text(Place(name))}" for name in self.plan.dead[k]]

    def returned(self, results: Sequence[str]) -> str:
        """The results by name; what may be a view of something else as a copy."""
        made = {name for step in self.schedule.steps for name in step.names}
        views = {i.target.array for i in self.of.items if isinstance(i, Instruction) and i.shows}

        def own(name: str) -> str:
            if name not in made:
                return f"np.zeros({self.schedule.symbols[name].shape}, dtype)"
            return self.names.label(name) + (".copy()" if name in views else "")

        return ", ".join(f"{name!r}: {own(name)}" for name in results)

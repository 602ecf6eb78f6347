"""Instructions as JAX source: one stand-alone function that a student can read, for `jax.jit`.

Nothing is written into: an instruction binds a name anew, a scan is ``jax.lax.scan`` over the rows of arrays, and a
series that was made zone by zone is joined at the end of its step.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from dbn_bptt.program.assemble import listing
from dbn_bptt.program.engines import Parallel
from dbn_bptt.program.instructions import Allocate, Instruction, Item, Listing, Loop, Note, Place, Total
from dbn_bptt.program.linearity import Homogeneous, Reading, reading
from dbn_bptt.program.lower import is_linear_map
from dbn_bptt.program.memory import beyond
from dbn_bptt.program.numpy_source import Emitted, Printer
from dbn_bptt.program.schedule import Schedule
from dbn_bptt.program.shown_kernels import shown_kernels
from dbn_bptt.template.expressions import Apply

HELPERS = '''

def flat(a):
    """The vectors (T, B, n) of all slices and sequences as the rows of one matrix."""
    return a.reshape(-1, a.shape[-1])
'''
STEPS = "Newton steps of "  # results that say how many, by the variables of the scan
UNROLLED = [
    "    # on a GPU a turn of a loop costs more than the work of a small slice",
    '    unroll = 1 if jax.default_backend() == "cpu" else 8',
]
HEAD = "def run(parameters, data, initial, T, B, dtype):"


def jax_source(schedule: Schedule, results: Sequence[str], parallel: Parallel | None = None) -> Emitted:
    """The source of a function run(parameters, data, initial, T, B, dtype), as `numpy_source` writes it for NumPy."""
    to = JaxPrinter(listing(schedule), set(results), parallel)
    body = [line for item in (*to.of.setup, *to.of.items) for line in to.lines(item)] + to.joined()
    shown, functions = shown_kernels(to.kernels)
    returned = ", ".join([to.returned(results), *(f"{STEPS + names!r}: {k}" for names, k in to.newton.items())])
    run = "\n".join(
        [
            HEAD,
            *to.unpacked(results),
            *(UNROLLED if to.unrolls else []),
            *to.prelude,
            *body,
            f"    return {{{returned}}}",
        ]
    )
    source = re.sub(r"\bnp\.", "jnp.", f"{HELPERS}{shown}\n\n{run}\n")
    return Emitted(f"import jax\nimport jax.numpy as jnp\n{source}", functions, to.plan.numbers, {}, to.reasons)


@dataclass
class Pieces:
    """The parts of a series that are there so far, each with its first and last slice."""

    found: list[tuple[int, int, str]] = field(default_factory=list)

    def part(self, first: int, last: int) -> str | None:
        """The part for just these slices."""
        return next((text for a, b, text in self.found if (a, b) == (first, last)), None)


class JaxPrinter(Printer):
    """The text of instructions, for JAX.

    Attributes
    ----------
    pieces : the series that are being made
    views : temporary arrays of one slice that are views of another, which have no name here
    scans, unrolls : how many scans there are so far, and whether any runs slice by slice
    newton : by the variables of a scan that Newton's method solves, the name of the number of its steps
    """

    def __init__(self, of: Listing, results: set[str], parallel: Parallel | None):
        super().__init__(of, results)
        self.parallel, self.newton = parallel, dict[str, str]()
        self.pieces: dict[str, Pieces] = {}
        self.views: dict[str, Place] = {}
        self.scans, self.unrolls = 0, False

    # -------------------------------------------------------------------------------------------------------- items
    def lines(self, item: Item, in_scan: bool = False) -> list[str]:
        """The lines of one item."""
        match item:
            case Note():
                return [*self.joined(), *super().lines(item)]
            case Allocate():
                return self._begun(item)
            case Loop():
                return self._over_slices(item)
            case Instruction():
                return self._bound(item, in_scan)
        return super().lines(item, in_scan)

    def _begun(self, item: Allocate) -> list[str]:
        """A series without parts but the given initial states."""
        extent, name = self.of.extents[item.target.array], item.target.array
        if extent.slices is None:
            return []
        (low, high), own = extent.slices, self.pieces.setdefault(name, Pieces())
        if item.before:
            own.found.append((low, low + item.before - 1, f"initial[{item.state!r}][:{item.before}]"))
        if item.after:
            own.found.append((high - item.after + 1, high, f"initial[{item.state!r}][-{item.after}:]"))
        return []

    def _bound(self, item: Instruction, in_scan: bool) -> list[str]:
        name = item.target.array
        extent = self.of.extents.get(name)
        if not in_scan and item.how == "view" and extent and extent.slices is None:
            self.views[name] = item.operands[0]
            return []
        operands = [self.text(place) for place in item.operands]
        target = self._target(item.target)
        if item.applies is not None:
            value = self._call(item.applies, operands, "", in_scan)
        elif item.how == "into" and not self._is_timed(item.operands[0]) and extent:
            lead = ["B"] if in_scan else [self._count(item.target.slices or extent.slices or (0, 0)), "B"]
            sizes = ", ".join([*lead, *map(str, extent.shape)])
            value = f"np.broadcast_to(np.asarray({operands[0]}, dtype), ({sizes},))"
        else:
            value = operands[0]
        return [f"{'        ' if in_scan else '    '}{target} = {value}"]

    def _is_timed(self, place: Place) -> bool:
        """Whether a place has an axis for the batch."""
        if place.lag is not None:
            return True
        symbol = self.schedule.symbols.get(place.array)
        return symbol.timed if symbol else place.array in self.of.extents

    def _target(self, place: Place) -> str:
        """The name to bind: for a zone of a series one of its own."""
        if place.array not in self.pieces or place.lag is not None:
            return super().text(place)
        own, slices = self.pieces[place.array], place.slices or self.schedule.spans[place.array]
        if own.part(*slices) is None:
            own.found.append((*slices, self.names.unused(f"{place.array}_{self._where(*slices)}")))
        return own.part(*slices) or ""

    def _where(self, first: int, last: int) -> str:
        """What a zone of slices is called."""
        after = self.schedule.after_end(first)
        from_start = f"from_{first}" if first >= 0 else f"before_{-first}"
        place = from_start if after is None else f"end_{after}" if after >= 0 else f"last_{-after}"
        return place if last > first else place.replace("from_", "at_")

    def text(self, place: Place) -> str:
        """A place as text."""
        if place.array in self.views:
            return self.text(self.views[place.array]) + place.part
        if place.lag is None and place.array in self.pieces and place.number is None:
            slices = place.slices or self.schedule.spans[place.array]
            return (self.pieces[place.array].part(*slices) or self._slices_of(place.array, *slices)) + place.part
        return super().text(place)

    # ----------------------------------------------------------------------------------------- series made in parts
    def joined(self) -> list[str]:
        """The lines that join the parts of series; slices that nothing computes, since nothing reads them, are 0."""
        lines = []
        for name, own in self.pieces.items():
            low, high = self.of.extents[name].slices or (0, 0)
            parts, at = [], low
            for first, last, text in sorted(own.found):
                if first > at:
                    parts.append(self._zeros(name, at, first - 1))
                parts.append(text)
                at = last + 1
            if at <= high:
                parts.append(self._zeros(name, at, high))
            whole = f"np.concatenate([{', '.join(parts)}])" if len(parts) > 1 else parts[0]
            lines.append(f"    {self.names.label(name)} = {whole}")
        self.pieces = {}
        return lines

    def _zeros(self, name: str, first: int, last: int) -> str:
        sizes = ", ".join([self._count((first, last)), "B", *map(str, self.of.extents[name].shape)])
        return f"np.zeros(({sizes}), dtype)"

    def _slices_of(self, name: str, first: int, last: int) -> str:
        """Some slices of a series: of parts, where it is being made."""
        if name not in self.pieces:
            return self.text(Place(name, (first, last)))
        parts = []
        for a, b, text in sorted(self.pieces[name].found):
            if a <= last and b >= first:
                start = "" if first <= a else str(first - a) if self._is_near(a, first) else str(first - b - 1)
                stop = "" if last >= b else str(last - b) if self._is_near(last, b) else str(last + 1 - a)
                parts.append(f"{text}[{start}:{stop}]" if start or stop else text)
        return parts[0] if len(parts) == 1 else f"np.concatenate([{', '.join(parts)}])"

    def _is_near(self, a: int, b: int) -> bool:
        """Whether two slices are a fixed number of slices apart."""
        return (self.schedule.after_end(a) is None) == (self.schedule.after_end(b) is None)

    # -------------------------------------------------------------------------------------------------------- scans
    def _over_slices(self, item: Loop) -> list[str]:
        loop = Slices(self, item)
        return loop.scanned() if beyond(self.schedule, loop.slices) is not None else loop.one_by_one()

    def base(self, place: Place) -> Place:
        """What a place is a view of."""
        return self.base(self.views[place.array]) if place.array in self.views else place

    def parallel_kernel(self, name: str) -> str:
        """A scan parallel in time, which the source shows."""
        from dbn_bptt.program import parallel_scans

        return self._kernel(getattr(parallel_scans, name), name)

    # -------------------------------------------------------------------------------------------------------- calls
    def _call(self, e: Apply, operands: list[str], out: str, in_scan: bool) -> str:
        operation, attributes = e.operation, dict(e.attributes)
        if operation.infix:
            return f" {operation.infix} ".join([*operands, *map(str, attributes.values())])
        if is_linear_map(e):
            matrix, vectors = operands
            return f"{vectors} @ {matrix.removesuffix('.mT') if matrix.endswith('.mT') else f'{matrix}.T'}"
        return super()._call(e, operands, out, in_scan)

    def _ufunc(self, e: Apply, operands: list[str], into: str) -> str:
        return self._applied(e, operands)

    def _applied(self, e: Apply, operands: list[str], *more: str) -> str:
        operation = e.operation
        if operation.traced:
            title = self._kernel(operation.traced, operation.name)
            return self._called(title, ["jnp", *operands], dict(e.attributes), *more)
        return super()._applied(e, operands, *more)

    def _row_sum(self, e: Apply, operand: str, into: str, in_scan: bool) -> str:
        attributes = dict(e.attributes)
        return f"np.sum({operand}, {attributes['axis']!r}, keepdims={attributes['keepdims']!r})"

    def _summed(self, item: Total) -> str:
        e = item.applies
        if item.kind == "fused" and isinstance(e, Apply) and e.operation.traced:
            return f"{self._applied(e, [self.text(p) for p in item.operands])}.sum((0, 1))"
        return super()._summed(item)

    def memory(self) -> list[str]:
        """Nothing: XLA sees to it."""
        return []


class Slices:
    """The slices of a zone one after the other: what they read and write."""

    def __init__(self, to: JaxPrinter, item: Loop):
        self.to, self.item, self.forwards = to, item, item.direction > 0
        row, over = item.rows[0]
        first, last = over.slices or (0, 0)
        self.slices = first + (row.lag or 0), last + (row.lag or 0)
        named = {row.array for row, _ in item.rows}
        self.writes = [row for row, _ in item.rows if not row.lag and row.array in {i.target.array for i in item.body}]
        made = {row.array for row in self.writes}
        self.reads = [(row, over) for row, over in item.rows if row.array not in made]
        lags = {name: [row.lag or 0 for row, _ in item.rows if row.array == name] for name in made & named}
        # by variable: the rows that are carried on, the nearest first
        self.carried = {
            row.array: [Place(row.array, lag=way * k) for k in range(1, max(way * lag for lag in lags[row.array]) + 1)]
            for way in [1 if self.forwards else -1]
            for row in self.writes
            if any(lags[row.array])
        }

    def _before(self, place: Place) -> str:
        """The row of a carried variable at the start."""
        t = (self.slices[0] if self.forwards else self.slices[1]) - (place.lag or 0)
        text = self.to._slices_of(place.array, t, t)
        return f"{text}[0]"

    def one_by_one(self) -> list[str]:
        """A few slices, each written out."""
        first, last = self.slices
        lines: list[str] = []
        for t in range(first, last + 1) if self.forwards else range(last, first - 1, -1):
            for row, _ in self.item.rows:
                if row not in self.writes:
                    at = t - (row.lag or 0)
                    lines.append(f"    {self.to.text(row)} = {self.to._slices_of(row.array, at, at)}[0]")
            lines += [line.removeprefix("    ") for line in self._body()]
            for row in self.writes:
                lines.append(f"    {self.to._target(Place(row.array, (t, t)))} = {self.to.text(row)}[None]")
        return lines

    def _body(self, divides: int | None = None) -> list[str]:
        """The lines of a slice; `divides` tells before which of them what is carried has no scale yet."""
        lines: list[str] = []
        for k, item in enumerate(self.item.body):
            if k == divides:
                lines.append(f"        unscaled = {self.to.text(item.operands[0])}")
            lines += self.to.lines(item, in_scan=True)
        return lines

    def scanned(self) -> list[str]:
        """Many slices, as one function of a slice."""
        to = self.to
        to.scans += 1
        step = to.names.unused(f"step_{to.scans}")
        carried = [place for places in self.carried.values() for place in places]
        ahead = [Place(p.array, lag=(p.lag or 0) - (1 if self.forwards else -1)) for p in carried]
        start = _tuple([self._before(place) for place in carried])
        rows = _tuple([to._slices_of(row.array, *(over.slices or (0, 0))) for row, over in self.reads])
        body = self._body(self.how.at if isinstance(self.how, Homogeneous) else None)
        inside = [f"        {_tuple([to.text(p) for p in carried])} = carry"] if carried else []
        inside += [f"        {_tuple([to.text(row) for row, _ in self.reads])} = rows"] if self.reads else []
        targets = _tuple([to._target(Place(row.array, self.slices)) for row in self.writes])
        more = [] if self.reads else [f"length={to._count(self.slices)}"]
        more += [] if self.forwards else ["reverse=True"]
        out = [_tuple([to.text(p) for p in ahead]), _tuple([to.text(row) for row in self.writes])]
        out += ["(unscaled,)"] if isinstance(self.how, Homogeneous) else []
        arguments = [step, start, rows if self.reads else "None", *more]
        return [
            f"    def {step}(carry, rows):",
            *inside,
            *body,
            f"        return {', '.join(out)}",
            "",
            f"    {self._call(targets, arguments)}",
        ]

    @cached_property
    def how(self) -> Reading | Literal["in turn"]:
        """How the scan is run: in turn, or as what it is in what it carries."""
        if self.to.parallel is None:
            return "in turn"
        return reading(self.item, [p for places in self.carried.values() for p in places], self.to.base)

    def _call(self, targets: str, arguments: list[str]) -> str:
        """The call of what runs the scan."""
        to, names = self.to, ", ".join(row.array for row in self.writes)
        if self.how == "in turn":
            to.unrolls, to.reasons[names] = True, "slice by slice"
            return f"{targets} = jax.lax.scan({', '.join(arguments)}, unroll=unroll)[1]"
        if self.how == "affine":
            to.reasons[names] = "associative scan, since it is affine"
            return f"{targets} = {to.parallel_kernel('affine_scan')}({', '.join(arguments)})[1]"
        if isinstance(self.how, Homogeneous):
            to.reasons[names] = f"associative scan over {self.how.semiring.name}"
            arguments.append(f"semiring={self.how.semiring.name!r}")
            return f"{targets} = {to.parallel_kernel('homogeneous_scan')}({', '.join(arguments)})[1]"
        to.reasons[names] = "Newton's method"
        count = to.newton[names] = to.names.unused(f"newton_steps_{to.scans}")
        arguments += [f"{name}={value!r}" for name, value in (to.parallel or Parallel()).plain.items()]
        return f"{count}, {targets} = {to.parallel_kernel('newton_scan')}({', '.join(arguments)})"


def _tuple(parts: list[str]) -> str:
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

"""Expressions as lines of NumPy.

An expression is written along its *spine*: the part that is computed straight into the array of the result; other parts
are put into temporary arrays first. For all slices at once the first operation of a spine makes the array. In a scan
every array is there before, and each operation writes into it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.ops import kernels
from dbn_bptt.ops.shapes import Shape, part_text
from dbn_bptt.program.lower import is_linear_map, is_static
from dbn_bptt.program.names import Names
from dbn_bptt.program.schedule import Schedule
from dbn_bptt.program.zones import Zone
from dbn_bptt.template.expressions import Apply, Constant, Expression, Reference

UFUNCS = {
    "add": "np.add", "subtract": "np.subtract", "multiply": "np.multiply", "divide": "np.divide",
    "negative": "np.negative", "square": "np.square", "exp": "np.exp", "log": "np.log", "sqrt": "np.sqrt",
    "tanh": "np.tanh", "sigmoid": "logistic",
}  # fmt: skip
INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
NEW = {  # kernels that return new arrays; others, and what users add, may return views
    "sum", "power", "concatenate", "scatter", "select", "relu", "softplus", "step", "peak", "max", "is_max",
    "logsumexp", "inner", "outer", "logdet",
}  # fmt: skip
MARK = "\ue000{}\ue001"  # stands for the place of an array; no text in the source has such characters


@dataclass
class Target:
    """Where a result goes: an array that is there already, or a name that the first operation makes."""

    name: str
    there: bool


@dataclass
class Source:
    """The lines of a function under construction, and the place where it is being written."""

    schedule: Schedule
    zone: Zone  # the slices that the present lines are about
    lines: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)  # before everything: what depends on parameters alone
    buffers: list[str] = field(default_factory=list)  # before the present scan: its temporary arrays
    kernels: dict[str, Callable[..., Any]] = field(default_factory=dict)
    indent: str = "    "
    views: dict[tuple[str, int], str] | None = None  # in a scan: the names of the rows of this slice
    repeated: set[Expression] = field(default_factory=set)  # in a scan: what several operations use,
    written: dict[Expression, str] = field(default_factory=dict)  # and where it is once it is computed
    free: dict[Shape, list[str]] = field(default_factory=dict)  # in a scan: temporary arrays not in use
    static: dict[Expression, str] = field(default_factory=dict)
    arrays: dict[str, tuple[int, Shape]] = field(default_factory=dict)  # of T + so many slices, and of which shape
    whole: set[str] = field(default_factory=set)  # the names of these and of all others that hold all slices
    shown: set[str] = field(default_factory=set)  # those that may be views of others
    made: int = 0

    def __post_init__(self) -> None:
        self.names = Names(self.schedule.symbols)

    def line(self, text: str) -> None:
        """Add a line at the present indentation."""
        self.lines.append(self.indent + text)

    # -------------------------------------------------------------------------------------------------------- rows
    def row(self, name: str, t: int) -> str:
        """The row of a slice in the array of a series: a number, or one that depends on T."""
        T, low = self.schedule.slices, self.schedule.spans[name][0]
        if self.schedule.exact or self._late(t) == self._late(low):
            return str(t - low)
        k = t - T - low
        return f"T{k:+d}" if k else "T"

    def rows(self, name: str, first: int, last: int) -> str:
        """The rows of a series for some slices."""
        low, high = self.schedule.spans[name]
        start = "" if first == low else self.row(name, first)
        stop = "" if last == high else self.row(name, last + 1)
        return f"{self.names.label(name)}[{start}:{stop}]" if start or stop else self.names.label(name)

    def count(self, first: int, last: int) -> str:
        """How many slices there are from the first to the last."""
        n = last + 1 - first
        if self.schedule.exact or self._late(first) == self._late(last + 1):
            return str(n)
        k = n - self.schedule.slices
        return f"(T{k:+d})" if k else "T"

    def memory(self, name: str, shape: Shape, first: int, last: int) -> str | None:
        """The mark of a new array for some slices, to be given a place; None if their number is fixed: it is small."""
        self.whole.add(name)
        if self.schedule.exact or self._late(first) == self._late(last + 1):
            return None
        self.arrays[name] = last + 1 - first - self.schedule.slices, shape
        return MARK.format(name)

    def empty(self, name: str) -> str:
        """A new array by itself, as text."""
        extra, shape = self.arrays[name]
        return f"np.empty(({', '.join([f'T{extra:+d}' if extra else 'T', 'B', *map(str, shape)])}), dtype)"

    def _late(self, t: int) -> bool:
        """Whether a slice stands for one near the end."""
        return t >= self.schedule.slices // 2

    def view(self, leaf: Reference) -> str:
        """The array that a reference stands for in the present slices."""
        if not leaf.symbol.timed:
            return self.names.label(leaf.name)
        if self.views is not None:
            return self.views[leaf.name, leaf.delay]
        return self.rows(leaf.name, self.zone.first - leaf.delay, self.zone.last - leaf.delay)

    # ------------------------------------------------------------------------------------------------- expressions
    def fixed(self, e: Expression) -> str:
        """An expression of parameters and numbers alone, computed once at the top."""
        if isinstance(e, Reference):
            return self.names.label(e.name)
        if isinstance(e, Constant) and not e.shape:
            return _numbers(float(e.array))
        if e not in self.static:
            if isinstance(e, Apply) and e.operation.name == "transpose" and e.ndim == 2:
                self.static[e] = f"{self.fixed(e.arguments[0])}.T"
                return self.static[e]
            self.static[e] = f"fixed_{len(self.static) + 1}"
            name = self.static[e]
            made = self.call(e, [self.fixed(a) for a in e.arguments], None) if isinstance(e, Apply) else _array(e)
            self.setup.append(f"    {name} = {made}")
        return self.static[e]

    def simple(self, e: Expression) -> str | None:
        """The text of an expression that needs no work here, or None."""
        if is_static(e):
            return self.fixed(e)
        if isinstance(e, Reference):
            return self.view(e)
        if e in self.repeated:
            self.repeated.discard(e)
            place = self.temporary(e.shape)
            self.into(place, e)
            self.written[e] = place.name
        if e in self.written:
            return self.written[e]
        return self._indexed(e) if isinstance(e, Apply) and e.operation.name == "index" else None

    def _indexed(self, e: Apply) -> str | None:
        """Some elements of what has a name; of a temporary array of a scan, a view that is made before the scan."""
        (whole,) = e.arguments
        text = self.simple(whole)
        if text is None:
            return None
        text = f"{text}[..., {', '.join(map(part_text, dict(e.attributes)['key'], whole.shape))}]"
        if whole not in self.written or self.views is None:
            return text
        made = [line.split(" = ") for line in self.buffers]
        if text not in [value for _, value in made]:
            self.made += 1
            self.buffers.append(f"    part_{self.made} = {text}")
            return f"part_{self.made}"
        return next(name.strip() for name, value in made if value == text)

    def show(self, name: str, text: str) -> None:
        """A name for a view of what is there."""
        self.whole.add(name)
        self.shown.add(name)
        self.line(f"{name} = {text}")

    def into(self, target: Target, e: Expression) -> None:
        """Write the lines that compute an expression into a target."""
        text = self.simple(e)
        if text is not None and target.there:
            self.line(f"{target.name}[...] = {text}")
            return
        if text is not None:
            self.show(target.name, text)
            return
        assert isinstance(e, Apply), "references and constants need no work"
        spine = self._spine(e)
        arguments: list[str | None] = []
        taken: list[tuple[Shape, str]] = []
        for argument in e.arguments:
            text = self.simple(argument)
            if text is None and argument is not spine:
                temporary = self.temporary(argument.shape)
                taken.append((argument.shape, temporary.name))
                self.into(temporary, argument)
                text = temporary.name
            arguments.append(text)
        if spine is not None:
            self.into(target, spine)
            target.there = True
        filled = [target.name if text is None else text for text in arguments]
        if target.there and self._writes_in_place(e):
            self.line(self.call(e, filled, target.name))
        elif target.there:
            self.line(f"{target.name}[...] = {self.call(e, filled, None)}")
        else:
            self._make(target, e, filled)
        if self.views is not None:
            for shape, name in taken:
                self.free.setdefault(shape, []).append(name)

    def _make(self, target: Target, e: Apply, arguments: list[str]) -> None:
        """The operation that makes an array of all slices."""
        self.whole.add(target.name)
        fills = self._writes_in_place(e)
        out = self.memory(target.name, e.shape, self.zone.first, self.zone.last) if fills else None
        if not is_new(e):
            self.shown.add(target.name)
        self.line(f"{target.name} = {self.call(e, arguments, out)}")
        target.there = True

    def _spine(self, e: Apply) -> Expression | None:
        """The argument to be computed straight into the array of the result."""
        for argument in e.arguments if e.operation.name in UFUNCS else ():
            once = sum(a is argument for a in e.arguments) == 1
            fits = isinstance(argument, Apply) and argument.shape == e.shape and is_new(argument) and once
            if fits and self.simple(argument) is None:
                return argument
        return None

    def temporary(self, shape: Shape) -> Target:
        """A scratch array; in a scan it is allocated once, before it, and used again."""
        if self.views is not None and self.free.get(shape):
            return Target(self.free[shape].pop(), True)
        self.made += 1
        name = f"part_{self.made}"
        if self.views is None:
            return Target(name, False)
        self.buffers.append(f"    {name} = {self.scratch(shape)}")
        return Target(name, True)

    def scratch(self, shape: Shape) -> str:
        """A new array for one slice, as text."""
        return f"np.empty(({', '.join(['B', *map(str, shape)])}{'' if shape else ','}), dtype)"

    # ------------------------------------------------------------------------------------------------- operations
    def call(self, e: Apply, arguments: list[str], out: str | None) -> str:
        """An operation as a NumPy call; into `out` where it can write there."""
        name, attributes = e.operation.name, dict(e.attributes)
        into = f", out={out}" if out else ""
        if name in INFIX and out is None:
            return f" {INFIX[name]} ".join(arguments)
        if name in UFUNCS:
            if hasattr(kernels, UFUNCS[name]):
                self.kernels[UFUNCS[name]] = getattr(kernels, UFUNCS[name])
            return f"{UFUNCS[name]}({', '.join(arguments)}{into})"
        if is_linear_map(e):
            matrix, vectors = arguments
            turned = matrix.removesuffix(".T") if matrix.endswith(".T") else self._turned(matrix)
            return f"{'times' if self.views is None else 'np.dot'}({vectors}, {turned}{into})"
        if name == "sum" and (text := self._row_sum(e, arguments[0], into)):
            return text
        if name == "power":
            return f"{arguments[0]} ** {_literal(attributes['exponent'])}"
        kernel = e.operation.forward
        if getattr(kernel, "__module__", "") == "numpy.linalg" and not attributes:
            return f"np.linalg.{kernel.__name__}({', '.join(arguments)})"
        ours = getattr(kernel, "__module__", "") == kernels.__name__
        title = kernel.__name__ if ours else self.names.unused(f"operation_{re.sub(r'[^A-Za-z0-9_]', '_', name)}")
        while self.kernels.setdefault(title, kernel) is not kernel:
            title += "_"
        return f"{title}({', '.join([*arguments, *(f'{key}={_literal(value)}' for key, value in attributes.items())])})"

    def _turned(self, matrix: str) -> str:
        """A matrix transposed; for a long scan a copy in the order of memory that products are quickest with."""
        if self.views is None or self.schedule.exact:
            return f"{matrix}.T"
        name = self.names.unused(f"{matrix}_T")
        made = f"    {name} = np.ascontiguousarray({matrix}.T)"
        if made not in self.setup:
            self.setup.append(made)
        return name

    def _row_sum(self, e: Apply, argument: str, into: str) -> str | None:
        """A sum over the last axis as a product with ones, which is several times faster for short rows."""
        attributes, n = dict(e.attributes), e.arguments[0].shape[-1:]
        axis, keepdims = attributes["axis"], attributes["keepdims"]
        if axis == (-1,) and self.views is None:
            return f"times({argument}, {self._ones(*n)}{into}){'' if keepdims else '[..., 0]'}"
        if axis == (-1,) and keepdims and e.ndim == 1:
            return f"np.dot({argument}, {self._ones(*n)}{into})"
        return f"np.add.reduce({argument}, {axis!r}, keepdims={keepdims!r}{into})" if into else None

    def _ones(self, n: int) -> str:
        """A column of ones."""
        name = self.names.unused(f"ones_{n}")
        made = f"    {name} = np.ones(({n}, 1), dtype)"
        if made not in self.setup:
            self.setup.append(made)
        return name

    def _writes_in_place(self, e: Apply) -> bool:
        """Whether an operation writes into an array that is there."""
        if e.operation.name == "sum" and self.views is None:
            return dict(e.attributes)["axis"] != (-1,) or dict(e.attributes)["keepdims"]
        return e.operation.name in {*UFUNCS, "sum"} or is_linear_map(e)


def is_new(e: Apply) -> bool:
    """Whether an operation surely makes a new array."""
    ours = getattr(e.operation.forward, "__module__", "") == kernels.__name__
    return e.operation.name in UFUNCS or is_linear_map(e) or (ours and e.operation.name in NEW)


def _array(e: Expression) -> str:
    """A constant as text."""
    assert isinstance(e, Constant), "windows are resolved, and references have names"
    values = np.unique(e.array)
    if len(values) == 1:
        return f"np.full({e.shape}, {_numbers(float(values[0]))}, dtype)"
    return f"np.array({_numbers(e.array.tolist())}, dtype)"


def _literal(value: object) -> str:
    return _numbers(value) if isinstance(value, float) else repr(value)


def _numbers(of: object) -> str:
    return re.sub(r"\binf\b", "np.inf", repr(of))

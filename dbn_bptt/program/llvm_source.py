"""Loops as LLVM's code: a small part of Python, read from its text and written in LLVM's language.

A function of loops takes ``(first, last, T, B, dtype, *arrays)``. All its arrays are of one type of number and in the
order of C; none overlaps another. Names stand for whole numbers, for numbers of that type, or for small arrays that
the function makes for itself. What the text may hold is what the methods of `Writer` are about, and nothing else.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program import elementary

INTRINSICS = {"np.log": "log", "np.sqrt": "sqrt", "np.sin": "sin", "np.cos": "cos", "abs": "fabs", "np.abs": "fabs",
              "np.absolute": "fabs", "np.fabs": "fabs", "np.floor": "floor", "np.ceil": "ceil"}  # fmt: skip
OF_C = {f"np.{name}": name.replace("arc", "a") for name in
        ("log1p", "expm1", "sinh", "cosh", "tan", "cbrt", "arctan", "arcsin", "arccos")}  # fmt: skip
SIMPLE = {"np.square": "{0} * {0}", "np.negative": "-{0}", "np.reciprocal": "1.0 / {0}"}
NUMBERS = {"np.inf": math.inf, "np.nan": math.nan, "np.pi": math.pi}
# sums may be taken in another order, and products be added in one step; infinities and NaN stay what they are
FAST = "reassoc contract"
REAL = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
WHOLE = {ast.Add: "add nsw", ast.Sub: "sub nsw", ast.Mult: "mul nsw", ast.FloorDiv: "sdiv", ast.Mod: "srem"}
COMPARED = {ast.Eq: ("oeq", "eq"), ast.NotEq: ("une", "ne"), ast.Lt: ("olt", "slt"), ast.LtE: ("ole", "sle"),
            ast.Gt: ("ogt", "sgt"), ast.GtE: ("oge", "sge")}  # fmt: skip


class Value(NamedTuple):
    """A value in LLVM's code: a whole number "i64", a truth "i1", or a number of the function's type."""

    kind: str
    text: str


@dataclass(frozen=True)
class Held:
    """Where an array is: a pointer, and how far apart two entries are along each of its axes."""

    pointer: str
    strides: tuple[str, ...]


def tried(lines: Sequence[str], arrays: dict[str, Shape]) -> None:
    """Write some lines, and raise NotImplementedError where that cannot be."""
    head = f"def trial(first, last, T, B, dtype, {', '.join(arrays)}):"
    written(
        "\n".join([head, *(f"    {line}" for line in lines)]), "trial", {n: (0, s) for n, s in arrays.items()}, "double"
    )


def written(text: str, name: str, arrays: dict[str, tuple[int, Shape]], real: str) -> str:
    """A function of loops as LLVM's code.

    Parameters
    ----------
    arrays : by name, how many of the axes of slice and sequence an array has, and its core shape
    real : "double" or "float"
    """
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef)
    return Writer(real).function(function, name, arrays)


@dataclass
class Writer:
    """Writes one function."""

    real: str
    lines: list[str] = field(default_factory=list)
    top: list[str] = field(default_factory=list)  # what is set aside at the start
    numbers: dict[str, tuple[str, str]] = field(default_factory=dict)  # by name their kind and place
    arrays: dict[str, Held] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)  # where the loops around end
    count: int = 0
    rare: int = 0  # how many conditions around hold in one slice only

    # ------------------------------------------------------------------------------------------------------- pieces
    def new(self, sign: str = "%v") -> str:
        """A new name."""
        self.count += 1
        return f"{sign}{self.count}"

    def emit(self, kind: str, text: str) -> Value:
        """A line that computes a value."""
        name = self.new()
        self.lines.append(f"  {name} = {text}")
        return Value(kind, name)

    def block(self, label: str) -> None:
        """A new block begins."""
        self.lines.append(f"{label}:")

    def jump(self, to: str) -> None:
        """The block ends."""
        self.lines.append(f"  br label %{to}")

    def branch(self, test: Value, yes: str, no: str) -> None:
        """The block ends one way or the other."""
        self.lines.append(f"  br i1 {test.text}, label %{yes}, label %{no}")

    def as_real(self, value: Value) -> Value:
        """A value as a number of the function's type."""
        if value.kind == self.real:
            return value
        if not value.text.startswith("%"):
            return self.constant(float(value.text))
        return self.emit(self.real, f"sitofp i64 {value.text} to {self.real}")

    def constant(self, number: float) -> Value:
        """A number of the function's type, bit by bit."""
        return Value(self.real, elementary.real(float(np.float32(number)) if self.real == "float" else number))

    def alike(self, a: Value, b: Value) -> tuple[Value, Value]:
        """Two values of one kind."""
        return (a, b) if a.kind == b.kind else (self.as_real(a), self.as_real(b))

    # ----------------------------------------------------------------------------------------------------- function
    def function(self, node: ast.FunctionDef, name: str, arrays: dict[str, tuple[int, Shape]]) -> str:
        """The function, whose result is 0, or 1 if it raised an error."""
        titles = [a.arg for a in node.args.args]
        for title in ("first", "last", "T"):
            self.numbers[title] = "i64", self._kept("i64", f"%{title}")
        for title, (lead, shape) in arrays.items():
            core = [str(math.prod(shape[k + 1 :])) for k in range(len(shape))]
            one = str(math.prod(shape))
            leads = [*([f"%slice_{one}"] if lead == 2 else []), *([one] if lead else [])]
            if lead == 2 and (line := f"  %slice_{one} = mul nsw i64 %B, {one}") not in self.top:
                self.top.append(line)
            self.arrays[title] = Held(f"%{title}", (*leads, *core))
        self.statements(node.body)
        self.lines.append("  ret i32 0")
        pointers = "".join(f", ptr noalias nocapture %{title}" for title in titles[5:])
        counts = "i64 %first, i64 %last, i64 %T, i64 %B"
        head = f"define internal i32 @{name}_inside({counts}{pointers}) noinline nounwind {{"
        inside = [head, "entry:", *self.top, *self.lines, "}"]
        places = "".join(f", ptr %{title}" for title in titles[5:])
        loads = [f"  %{title}.data = load ptr, ptr %{title}" for title in titles[5:]]
        data = "".join(f", ptr %{title}.data" for title in titles[5:])
        call = f"  %status = call i32 @{name}_inside({counts}{data})"
        outside = [f"define i32 @{name}({counts}{places}) nounwind {{", *loads, call, "  ret i32 %status", "}"]
        return "\n".join([*inside, *outside])

    def _kept(self, kind: str, start: str = "") -> str:
        place = self.new("%at")
        self.top.append(f"  {place} = alloca {kind}")
        if start:
            self.top.append(f"  store {kind} {start}, ptr {place}")
        return place

    # --------------------------------------------------------------------------------------------------- statements
    def statements(self, body: Sequence[ast.stmt]) -> None:
        """One after the other."""
        for node in body:
            self._written(node)

    def _written(self, node: ast.stmt | ast.expr) -> Any:
        """A statement or an expression by the method of its kind."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise _not_compiled(node)
        return method(node)

    def _expr(self, node: ast.Expr) -> None:
        """A text that explains: nothing."""

    def _for(self, node: ast.For) -> None:
        if not isinstance(node.iter, ast.Call) or not isinstance(node.target, ast.Name):
            raise _not_compiled(node)
        bounds = [self.value(a) for a in node.iter.args]
        start, stop = (Value("i64", "0"), bounds[0]) if len(bounds) == 1 else bounds[:2]
        step = int(ast.literal_eval(node.iter.args[2])) if len(bounds) == 3 else 1
        test, body, after, end = (self.new(sign) for sign in ("test", "body", "after", "end"))
        place = self._number(node.target.id, "i64")
        self.lines.append(f"  store i64 {start.text}, ptr {place}")
        self.jump(test)
        self.block(test)
        at = self.emit("i64", f"load i64, ptr {place}")
        goes_on = self.emit("i1", f"icmp {'slt' if step > 0 else 'sgt'} i64 {at.text}, {stop.text}")
        self.branch(goes_on, body, end)
        self.block(body)
        self.ends.append(end)
        self.statements(node.body)
        self.ends.pop()
        self.jump(after)
        self.block(after)
        at = self.emit("i64", f"load i64, ptr {place}")
        following = self.emit("i64", f"add nsw i64 {at.text}, {step}")
        self.lines.append(f"  store i64 {following.text}, ptr {place}")
        self.lines.append(f"  br label %{test}{', !llvm.loop !0' if self.rare else ''}")
        self.block(end)

    def _if(self, node: ast.If) -> None:
        yes, no, end = self.new("yes"), self.new("no"), self.new("end")
        self.branch(self.value(node.test), yes, no if node.orelse else end)
        self.block(yes)
        is_rare = ast.unparse(node.test).startswith("t == ")
        self.rare += is_rare
        self.statements(node.body)
        self.rare -= is_rare
        self.jump(end)
        if node.orelse:
            self.block(no)
            self.statements(node.orelse)
            self.jump(end)
        self.block(end)

    def _break(self, node: ast.Break) -> None:
        self.jump(self.ends[-1])
        self.block(self.new("never"))

    def _raise(self, node: ast.Raise) -> None:
        self.lines.append("  ret i32 1")
        self.block(self.new("never"))

    def _assign(self, node: ast.Assign) -> None:
        (target,) = node.targets
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "np.empty":
            assert isinstance(target, ast.Name)
            self._set_aside(target.id, ast.literal_eval(node.value.args[0]))
        elif isinstance(target, ast.Tuple):
            if not isinstance(node.value, ast.Tuple):
                raise _not_compiled(node)
            for place, value in zip(target.elts, [self.value(e) for e in node.value.elts], strict=True):
                self.store(place, value)
        else:
            self.store(target, self.value(node.value))

    def _augassign(self, node: ast.AugAssign) -> None:
        self.store(node.target, self._binop(ast.BinOp(node.target, node.op, node.value)))

    def _set_aside(self, name: str, shape: Shape) -> None:
        """A small array of the function's own."""
        if name not in self.arrays:
            place = self.new("%own")
            self.top.append(f"  {place} = alloca [{math.prod(shape)} x {self.real}], align 32")
            self.arrays[name] = Held(place, tuple(str(math.prod(shape[k + 1 :])) for k in range(len(shape))))

    def store(self, target: ast.expr, value: Value) -> None:
        """A value put where a name or an entry is."""
        if isinstance(target, ast.Name):
            place = self._number(target.id, value.kind)
            kind = self.numbers[target.id][0]
            value = self.as_real(value) if kind == self.real else value
            if value.kind != kind:
                raise NotImplementedError(f"{target.id} is a whole number first, and none later; start it as 0.0")
            self.lines.append(f"  store {kind} {value.text}, ptr {place}")
        else:
            if not isinstance(target, ast.Subscript):
                raise _not_compiled(target)
            self.lines.append(f"  store {self.real} {self.as_real(value).text}, ptr {self._entry(target)}")

    def _number(self, name: str, kind: str) -> str:
        if name not in self.numbers:
            self.numbers[name] = kind, self._kept(kind)
        return self.numbers[name][1]

    def _entry(self, node: ast.Subscript) -> str:
        held = self.arrays.get(node.value.id) if isinstance(node.value, ast.Name) else None
        indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if held is None or len(indices) != len(held.strides):
            raise _not_compiled(node)
        place = Value("i64", "0")
        for index, stride in zip(indices, held.strides, strict=True):
            at = self.value(index)
            if at.text == "0":
                continue
            far = at if stride == "1" else self.emit("i64", f"mul nsw i64 {at.text}, {stride}")
            place = far if place.text == "0" else self.emit("i64", f"add nsw i64 {place.text}, {far.text}")
        return self.emit("ptr", f"getelementptr inbounds {self.real}, ptr {held.pointer}, i64 {place.text}").text

    # -------------------------------------------------------------------------------------------------- expressions
    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        return self._written(node)

    def _constant(self, node: ast.Constant) -> Value:
        if not isinstance(node.value, int | float):
            raise _not_compiled(node)
        return Value("i64", str(node.value)) if isinstance(node.value, int) else self.constant(node.value)

    def _name(self, node: ast.Name) -> Value:
        kind, place = _known(self.numbers, node.id, node)
        return self.emit(kind, f"load {kind}, ptr {place}")

    def _attribute(self, node: ast.Attribute) -> Value:
        return self.constant(_known(NUMBERS, ast.unparse(node), node))

    def _subscript(self, node: ast.Subscript) -> Value:
        return self.emit(self.real, f"load {self.real}, ptr {self._entry(node)}")

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        a = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return self.emit("i1", f"xor i1 {a.text}, true")
        if a.kind == "i64":
            return Value("i64", f"-{a.text}") if a.text.isdigit() else self.emit("i64", f"sub nsw i64 0, {a.text}")
        return self.emit(self.real, f"fneg {self.real} {a.text}")

    def _binop(self, node: ast.BinOp) -> Value:
        a, b = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Pow):
            return self._power(self.as_real(a), self.as_real(b), node.right)
        if a.kind == b.kind == "i64" and type(node.op) in WHOLE:
            return self.emit("i64", f"{WHOLE[type(node.op)]} i64 {a.text}, {b.text}")
        a, b = self.as_real(a), self.as_real(b)
        how = _known(REAL, type(node.op), node)
        return self.emit(self.real, f"{how} {FAST} {self.real} {a.text}, {b.text}")

    def _power(self, a: Value, b: Value, exponent: ast.expr) -> Value:
        if isinstance(exponent, ast.Constant) and exponent.value == 2:
            return self.emit(self.real, f"fmul {FAST} {self.real} {a.text}, {a.text}")
        return self._call_of(f"llvm.pow.{self._suffix}", a, b)

    def _compare(self, node: ast.Compare) -> Value:
        values = [self.value(e) for e in (node.left, *node.comparators)]
        tests = []
        for op, (left, right) in zip(node.ops, pairwise(values), strict=True):
            a, b = self.alike(left, right)
            real, whole = _known(COMPARED, type(op), node)
            how = f"icmp {whole}" if a.kind == "i64" else f"fcmp {real}"
            tests.append(self.emit("i1", f"{how} {a.kind} {a.text}, {b.text}"))
        return self._joined(tests, "and")

    def _boolop(self, node: ast.BoolOp) -> Value:
        return self._joined([self.value(e) for e in node.values], "and" if isinstance(node.op, ast.And) else "or")

    def _joined(self, tests: list[Value], how: str) -> Value:
        whole = tests[0]
        for test in tests[1:]:
            whole = self.emit("i1", f"{how} i1 {whole.text}, {test.text}")
        return whole

    def _ifexp(self, node: ast.IfExp) -> Value:
        test = self.value(node.test)
        return self._selected(test, *self.alike(self.value(node.body), self.value(node.orelse)))

    def _selected(self, test: Value, a: Value, b: Value) -> Value:
        return self.emit(a.kind, f"select i1 {test.text}, {a.kind} {a.text}, {b.kind} {b.text}")

    def _call(self, node: ast.Call) -> Value:
        name = ast.unparse(node.func)
        if name in SIMPLE:
            return self.value(ast.parse(SIMPLE[name].format(f"({ast.unparse(node.args[0])})"), mode="eval").body)
        values = [self.value(a) for a in node.args]
        if name in ("max", "min") and len(values) == 2:
            return self._greater(*self.alike(*values), ast.Gt if name == "max" else ast.Lt)
        value = self.as_real(values[0])
        if name.removeprefix("np.") in elementary.OWN:
            return self._call_of(f"own.{name.removeprefix('np.')}.{self._suffix}", value)
        if name in INTRINSICS:
            return self._call_of(f"llvm.{INTRINSICS[name]}.{self._suffix}", value)
        return self._call_of(_known(OF_C, name, node) + ("f" if self.real == "float" else ""), value)

    def _greater(self, a: Value, b: Value, than: type[ast.cmpop]) -> Value:
        """The second value if it is greater, or less, than the first, which stays where they do not compare."""
        real, whole = COMPARED[than]
        how = f"icmp {whole}" if a.kind == "i64" else f"fcmp {real}"
        return self._selected(self.emit("i1", f"{how} {a.kind} {b.text}, {a.text}"), b, a)

    @property
    def _suffix(self) -> str:
        return "f64" if self.real == "double" else "f32"

    def _call_of(self, name: str, *values: Value) -> Value:
        return self.emit(self.real, f"call {self.real} @{name}({', '.join(f'{self.real} {v.text}' for v in values)})")


def _not_compiled(node: ast.AST) -> NotImplementedError:
    return NotImplementedError(f"{ast.unparse(node).splitlines()[0]} is not compiled")


def _known(table: Mapping[Any, Any], key: Any, node: ast.AST) -> Any:
    if key not in table:
        raise _not_compiled(node)
    return table[key]


def _declared() -> list[str]:
    names = [f"llvm.{name}.{suffix}" for name in dict.fromkeys(INTRINSICS.values()) for suffix in ("f64", "f32")]
    names += [name + more for name in OF_C.values() for more in ("", "f")]
    kinds = {name: "float" if name.endswith(("f32", "f")) else "double" for name in names}
    powers = ["declare double @llvm.pow.f64(double, double)", "declare float @llvm.pow.f32(float, float)"]
    return [*(f"declare {kind} @{name}({kind})" for name, kind in kinds.items()), *powers, elementary.TEXT]


BESIDE = "\n".join(_declared())  # what the functions call

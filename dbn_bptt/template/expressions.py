"""Expressions: the right-hand sides of equations, built by operators on variables and parameters.

An expression is a node of an immutable directed acyclic graph: a `Reference`, a `Constant`, an `Apply` or a `Window`.
Equal expressions are one object, so `is` compares structure and a common part is computed once.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, final
from weakref import WeakValueDictionary

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.rows import TABLE, Operation, Symbolic
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.template.domains import EVERY, Domain

Kind = Literal["parameter", "constant", "input", "target", "variable", "total"]


@dataclass(frozen=True)
class Symbol:
    """A name in a template: what it stands for and its shape in one slice of one sequence."""

    name: str
    shape: Shape
    kind: Kind
    probabilities: bool = False  # a target whose last axis sums to 1

    @property
    def timed(self) -> bool:
        """Whether every slice (and every sequence of a batch) has its own."""
        return self.kind not in ("parameter", "constant")


_NO_COMPARISON = (
    "expressions are computed later and cannot be compared; step(a - b) is 1 where a > b, as a mask for select"
)


def _infix(operation: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The methods for an operator's sign, with the expression before it and after it."""
    return lambda self, other: operation(self, other), lambda self, other: operation(other, self)


class Expression(Symbolic):
    """The base of the four kinds of expression; NumPy's operators and `.prev`, `.next`, `.lag(k)` work on it."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's functions build expressions where the table has a row of their name: `np.tanh(h)`, `array + h`."""
        name = {"true_divide": "divide"}.get(ufunc.__name__, ufunc.__name__)
        if name == "matmul" and method == "__call__":
            return ops.matmul(*inputs)
        if name not in TABLE or method != "__call__" or options:
            mend = "use the package's operations, or add a row by operation(...)"
            raise TemplateError(f"np.{ufunc.__name__} has no row in the table of operations; {mend}")
        return TABLE[name](*inputs)

    def __array_function__(self, function: Callable[..., Any], *_: Any) -> Any:
        raise TemplateError(f"np.{function.__name__} does not work on expressions; use the package's operations")

    def combine(
        self, operation: Operation, arguments: tuple[Any, ...], attributes: dict[str, Hashable]
    ) -> "Expression":
        return apply(operation, arguments, attributes)

    @property
    def prev(self) -> "Expression":
        """The same, one slice before."""
        return self.lag(1)

    @property
    def next(self) -> "Expression":
        """The same, one slice later."""
        return self.lag(-1)

    def lag(self, k: int) -> "Expression":
        """The same, k slices before; zero where there is no such slice."""
        return window(self, _whole(k), EVERY)

    @property
    def T(self) -> "Expression":
        """The transpose."""
        return ops.transpose(self)

    @property
    def ndim(self) -> int:
        """The number of core axes."""
        return len(self.shape)

    __add__, __radd__ = _infix(ops.add)
    __sub__, __rsub__ = _infix(ops.subtract)
    __mul__, __rmul__ = _infix(ops.multiply)
    __truediv__, __rtruediv__ = _infix(ops.divide)
    __matmul__, __rmatmul__ = _infix(ops.matmul)

    def __neg__(self) -> Any:
        return ops.negative(self)

    def __pow__(self, exponent: float) -> Any:
        if not isinstance(exponent, int | float | np.number):
            raise TemplateError(f"the exponent must be a number, not {exponent!r}; write exp(b * log(a)) for others")
        if exponent in (1, 2):
            return ops.square(self) if exponent == 2 else self
        return ops.power(self, exponent=float(exponent))

    def __getitem__(self, key: Any) -> Any:
        return ops.index(self, key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression):
            raise TemplateError(_NO_COMPARISON)
        return self is other

    __hash__ = object.__hash__

    def __lt__(self, other: Any) -> bool:
        raise TemplateError(_NO_COMPARISON)

    __le__ = __gt__ = __ge__ = __lt__

    def __abs__(self) -> Any:
        raise TemplateError("abs of an expression has no row; use relu(a) + relu(-a), or add one by operation(...)")

    def __rpow__(self, base: Any) -> Any:
        raise TemplateError("the exponent must be a number; write exp(b * log(a)) for others")

    def __bool__(self) -> bool:
        raise TemplateError(
            "an expression has no truth value: it is computed later; use select(mask, a, b) for a choice"
        )

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TemplateError("a scalar expression has no entries to iterate over")
        return (self[k] for k in range(self.shape[0]))


@final
@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Reference(Expression):
    """A named variable at a lag, or a parameter (lag 0). Make it with `reference`."""

    symbol: Symbol
    delay: int = 0

    @property
    def shape(self) -> Shape:
        return self.symbol.shape

    @property
    def name(self) -> str:
        return self.symbol.name

    def lag(self, k: int) -> "Reference":
        """The variable k slices before; a negative k looks ahead."""
        if not self.symbol.timed:
            raise TemplateError(f"{self.name} is a {self.symbol.kind}, the same in every slice: it has no lag")
        return reference(self.symbol, self.delay + _whole(k))

    def __repr__(self) -> str:
        return self.name + {0: "", 1: ".prev", -1: ".next"}.get(self.delay, f".lag({self.delay})")

    def __reduce__(self) -> tuple[Any, ...]:
        return reference, (self.symbol, self.delay)


@final
@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Constant(Expression):
    """An array written into an equation. Make it with `constant`."""

    array: Array

    @property
    def shape(self) -> Shape:
        return self.array.shape

    def is_all(self, number: float) -> bool:
        return bool((self.array == number).all())

    def number(self) -> float | None:
        return None if self.array.shape else float(self.array)

    def __repr__(self) -> str:
        return f"constant({np.array2string(self.array, threshold=8)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return constant, (self.array,)


@final
@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Apply(Expression):
    """An operation on expressions. Make it by calling the operation."""

    operation: Operation
    arguments: tuple[Expression, ...]
    attributes: tuple[tuple[str, Any], ...]
    shape: Shape

    def applied(self, operation: Operation) -> tuple[Expression, ...]:
        return self.arguments if self.operation is operation else ()

    def __repr__(self) -> str:
        return _text(self, depth=6)

    def __reduce__(self) -> tuple[Any, ...]:
        return apply, (self.operation, self.arguments, dict(self.attributes))


@final
@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Window(Expression):
    """`expression` as it is `delay` slices before, where that slice is in `domain`; zero elsewhere."""

    expression: Expression
    delay: int
    domain: Domain

    @property
    def shape(self) -> Shape:
        return self.expression.shape

    def __repr__(self) -> str:
        return f"{self.expression!r}.lag({self.delay})"

    def __reduce__(self) -> tuple[Any, ...]:
        return window, (self.expression, self.delay, self.domain)


def _text(e: Expression, depth: int) -> str:
    """An expression in words; what lies deeper than some levels is left out, since shared parts would be repeated."""
    if not isinstance(e, Apply):
        return repr(e)
    if depth == 0:
        return "..."
    extra = "".join(f", {key}={value!r}" for key, value in e.attributes)
    return f"{e.operation.name}({', '.join(_text(a, depth - 1) for a in e.arguments)}{extra})"


def _whole(lag: Any) -> int:
    if not isinstance(lag, int | np.integer):
        raise TemplateError(f"lag {lag!r} is not a whole number of slices")
    return int(lag)


# ------------------------------------------------------------------------------------------ one object a structure
_POOL: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()


def _pooled(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    found = _POOL.get(key)
    return found if found is not None else _POOL.setdefault(key, make())


def reference(symbol: Symbol, delay: int = 0) -> Reference:
    """The expression that stands for a symbol, `delay` slices before."""
    return _pooled((Reference, symbol, delay), lambda: Reference(symbol, delay))


def constant(value: Any) -> Constant:
    """An array or number as an expression."""
    try:
        array = np.array(value, dtype=float if value is not None else int)
    except (TypeError, ValueError):
        mend = "use numbers, arrays and template variables"
        raise TemplateError(f"{value!r} cannot stand in an equation; {mend}") from None
    if np.isnan(array).any():
        raise TemplateError("a constant in an equation contains NaN")
    array.flags.writeable = False
    return _pooled((Constant, array.shape, array.tobytes()), lambda: Constant(array))


def window(expression: Expression, delay: int, domain: Domain) -> Expression:
    """An expression taken from another slice where that slice is in the domain, and zero elsewhere."""
    if expression.is_all(0):
        return expression
    return _pooled((Window, expression, delay, domain), lambda: Window(expression, delay, domain))


def apply(operation: Operation, arguments: tuple[Any, ...], attributes: dict[str, Hashable]) -> Expression:
    """An operation on expressions: shapes checked, arguments aligned, and what is plain to see simplified."""
    parts = tuple(a if isinstance(a, Expression) else constant(a) for a in arguments)
    try:
        shape = operation.shape(*(a.shape for a in parts), **attributes)
    except ValueError as error:
        raise TemplateError(f"{operation.name}({', '.join(map(_label, parts))}): {error}") from None
    if operation.elementwise:
        parts = tuple(_aligned(a, len(shape)) for a in parts)
    if all(isinstance(a, Constant) for a in parts) and not operation.over_batch:
        return constant(operation.forward(*(a.array for a in parts if isinstance(a, Constant)), **attributes))
    simpler = operation.simplify(*parts, **attributes) if operation.simplify else None
    if simpler is not None and simpler.shape == shape:
        return simpler if isinstance(simpler, Expression) else constant(simpler)
    key = tuple(sorted(attributes.items()))
    return _pooled((Apply, operation, parts, key), lambda: Apply(operation, parts, key, shape))


def _aligned(a: Expression, rank: int) -> Expression:
    """Axes of size 1 in front, so that a batch axis before them stays apart."""
    if a.ndim == rank or (isinstance(a, Constant) and not a.shape):
        return a
    return ops.reshape(a, (1,) * (rank - a.ndim) + a.shape)


def _label(a: Expression) -> str:
    name = repr(a)
    return f"{name if len(name) < 40 else 'an expression'} of shape {a.shape}"

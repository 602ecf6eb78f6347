"""A row of the table of operations: what a primitive operation computes, its derivatives, and how it is written.

The engine knows no operation; `operation(...)` adds a row. Arrays carry the axes of the *core* shape, the shape in one
slice of one sequence, last; axes for the batch may stand before them, so that every kernel counts axes from the end. An
argument without batch axes, such as a parameter, stands for the same array in every sequence.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops import shapes
from dbn_bptt.ops.nests import Nest, formula
from dbn_bptt.ops.shapes import Shape

Vjp = Callable[..., Any]

SUM, PRODUCT, JUXTAPOSED, RAISED, ATOM = range(5)  # how tightly a notation binds; an argument that binds less gets ( )


class Symbolic:
    """What an operation builds instead of computing: the base of expressions."""

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def shape(self) -> Shape:
            """The core shape."""

    def combine(self, operation: "Operation", arguments: tuple[Any, ...], attributes: dict[str, Hashable]) -> Any:
        """The expression that applies an operation to arguments, of which this is one."""
        raise NotImplementedError

    def is_all(self, number: float) -> bool:
        """Whether every entry is known to be this number."""
        return False

    def number(self) -> float | None:
        """The number that a scalar is known to be."""
        return None

    def applied(self, operation: "Operation") -> tuple[Any, ...]:
        """The arguments to which this applies an operation; () where it applies another one, or none."""
        return ()


@dataclass(frozen=True)
class Notation:
    """How an operation is written: {0} is the first argument; or a function of arguments' strings and attributes."""

    latex: str | Callable[..., str]
    text: str | Callable[..., str]
    level: int = ATOM  # how tightly the result binds
    needs: tuple[int, ...] = (SUM,)  # how tightly each argument must bind to go without ( )

    def need(self, position: int) -> int:
        """How tightly the argument at a position must bind to go without parentheses."""
        return self.needs[min(position, len(self.needs) - 1)]

    def written(self, format: str, parts: list[str], attributes: dict[str, Any]) -> str:
        """The notation, "latex" or "text", with its arguments filled in."""
        form = self.latex if format == "latex" else self.text
        if not isinstance(form, str):
            return form(*parts, **attributes)
        return re.sub(r"\{(\d)\}", lambda m: parts[int(m[1])] if int(m[1]) < len(parts) else m[0], form)


# ------------------------------------------------------------------------------------------------- roles in algebra
@dataclass(frozen=True)
class Sum:
    """The sum of the arguments, each with its sign."""

    signs: tuple[int, ...]


@dataclass(frozen=True)
class Product:
    """The product of the arguments, number by number."""


@dataclass(frozen=True)
class Quotient:
    """The first argument divided by the second, number by number."""


@dataclass(frozen=True)
class Map:
    """A matrix times something; where `of_vectors` holds of the attributes, times one vector in every sequence."""

    of_vectors: Callable[..., bool]


@dataclass(frozen=True)
class Fold:
    """The numbers along some axes taken together by a ufunc: ``ufunc.reduce``; attributes `axis` and `keepdims`."""

    ufunc: np.ufunc


@dataclass(frozen=True)
class Move:
    """Numbers moved, picked or repeated, none computed.

    `view` tells from the argument's core shape and the attributes what is written behind an array's name to get the
    same in NumPy, as ``.mT`` or ``[..., 1:]``, axes of a batch in front or not; None where that cannot be.
    """

    view: Callable[..., str | None] = lambda whole, **attributes: None
    in_order: bool = False  # all numbers stay, in their order
    repeats: bool = False  # numbers are repeated along axes of size 1


Role = Sum | Product | Quotient | Map | Fold | Move


@dataclass(frozen=True, eq=False)
class Operation:
    """One row of the table; call it with arrays or expressions. The comments say what each column holds."""

    name: str
    forward: Callable[..., Any]  # the kernel: (*arrays, **attributes) -> array
    # (g, y, *arguments, **attributes) -> message, one per argument, None where the derivative is zero; or a function
    # from position to VJP where the number of arguments varies
    vjps: tuple[Vjp | None, ...] | Callable[[int], Vjp]
    shape: Callable[..., Shape]  # (*core shapes, **attributes) -> core shape; ValueError where shapes do not fit
    notation: Notation
    elementwise: bool = False  # arguments broadcast: aligned to one rank before, messages summed to their shapes after
    activation: bool = False  # its argument is a pre-activation, whose adjoint the adjoint template calls delta
    kinked: bool = False  # not differentiable everywhere, so that difference quotients need short steps
    stops: bool = False  # messages stop though the derivative is not 0, of which difference quotients know nothing
    # (*arguments, **attributes) -> the same as a simpler expression, or None; in terms of simpler operations, which
    # compilers may share; and in terms of what may have a name in a template, for equations
    simplify: Callable[..., Any] | None = field(default=None, repr=False)
    lower: Callable[..., Any] | None = field(default=None, repr=False)
    unfolded: Callable[..., Any] | None = field(default=None, repr=False)
    role: Role | None = None  # what it is in algebra, so that compilers can take it apart
    # the kernel as (*arguments, out=None), so that programs write its result where they need it: it fills `out` and
    # returns it; `out` may be one of the arguments, so that all of them must be read before anything is written
    ufunc: Callable[..., Any] | None = field(default=None, repr=False)
    infix: str = ""  # its sign between the arguments
    fresh: bool = False  # its result is surely a new array, and no view of an argument
    # (*arrays, batch=, **attributes): the kernel fused with a sum over the batch, where that is cheaper
    batch_sum: Callable[..., Any] | None = field(default=None, repr=False)
    summed: str = ""  # that over all slices and sequences, in NumPy; flat({0}) has all vectors of an argument
    over_batch: bool = False  # its kernel is told the batch: forward(a, batch=)
    # (result, *arguments, **attributes) -> lines: the same in index notation, for compiled loops; see `ops.nests`
    nest: Nest | None = field(default=None, repr=False)
    # (xp, *arguments, **attributes): the kernel in terms of an array module that traces functions, such as jax.numpy,
    # where `forward` branches on numbers, writes into arrays or is no function of NumPy's
    traced: Callable[..., Any] | None = field(default=None, repr=False)

    def vjp(self, position: int) -> Vjp | None:
        """The VJP of the argument at a position."""
        return self.vjps(position) if callable(self.vjps) else self.vjps[position]

    def __call__(self, *arguments: Any, **attributes: Hashable) -> Any:
        if not callable(self.vjps) and len(arguments) != len(self.vjps):
            raise TemplateError(f"{self.name} takes {len(self.vjps)} argument(s), not {len(arguments)}")
        for argument in arguments:
            if isinstance(argument, Symbolic):
                return argument.combine(self, arguments, attributes)
        return self.forward(*map(np.asarray, arguments), **attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _row, (self.name,)


class Columns(TypedDict, total=False):
    """The columns of a row that most rows leave empty; see `Operation`."""

    activation: bool
    kinked: bool
    stops: bool
    simplify: Callable[..., Any]
    lower: Callable[..., Any]
    unfolded: Callable[..., Any]
    role: Role
    ufunc: Callable[..., Any]
    infix: str
    fresh: bool
    batch_sum: Callable[..., Any]
    summed: str
    over_batch: bool
    nest: Nest
    traced: Callable[..., Any]


TABLE: dict[str, Operation] = {}


def _row(name: str) -> Operation:
    if name not in TABLE:
        raise TemplateError(f"there is no operation {name!r} here; import the module that adds it before unpickling")
    return TABLE[name]


def operation(
    name: str,
    forward: Callable[..., Any],
    vjps: Sequence[Vjp | None] | Callable[[int], Vjp],
    *,
    shape: Callable[..., Shape] = shapes.broadcast_shapes,
    latex: str | Callable[..., str] | None = None,
    text: str | Callable[..., str] | None = None,
    level: int = ATOM,
    needs: tuple[int, ...] = (SUM,),
    elementwise: bool | None = None,
    **columns: Unpack[Columns],
) -> Operation:
    r"""Add a row to the table of operations.

    Without a shape rule the operation is elementwise. Without a notation it is written as a function of its name. In a
    VJP ``vjp(g, y, *arguments)``, g is the adjoint of the result y; where arguments broadcast, the engine sums the
    messages to their shapes. `Operation` describes the other columns; a forward function that is a ufunc of NumPy needs
    no ``ufunc=``.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> sine = db.operation("sine", np.sin, [lambda g, y, a: g * cosine(a)], latex=r"\sin({0})")
    >>> cosine = db.operation("cosine", np.cos, [lambda g, y, a: -g * sine(a)], latex=r"\cos({0})")
    >>> float(sine.vjp(0)(2.0, None, 0.0))
    2.0
    """
    if name in TABLE:
        raise TemplateError(f"there is an operation {name!r} already; choose another name")
    if not callable(vjps) and not isinstance(vjps, list | tuple):
        raise TemplateError(f"{name}: give a list of VJPs, one for each argument (None for a derivative of 0)")
    rows = vjps if callable(vjps) else tuple(vjps)
    inside = "{0}" if callable(rows) or len(rows) == 1 else ", ".join(f"{{{i}}}" for i in range(len(rows)))
    notation = Notation(latex or rf"\mathrm{{{name}}}({inside})", text or f"{name}({inside})", level, needs)
    elementwise = shape is shapes.broadcast_shapes if elementwise is None else elementwise
    if elementwise and isinstance(forward, np.ufunc):
        columns.setdefault("ufunc", forward)
        columns.setdefault("nest", _formula(forward, columns.get("infix", "")))
    if columns.get("ufunc"):
        columns["fresh"] = True
    TABLE[name] = Operation(name, forward, rows, shape, notation, elementwise, **columns)
    return TABLE[name]


def _formula(ufunc: np.ufunc, infix: str) -> Nest:
    """A ufunc of NumPy entry by entry."""
    places = [f"{{{k}}}" for k in range(ufunc.nin)]
    return formula(f" {infix} ".join(places) if infix else f"np.{ufunc.__name__}({', '.join(places)})")


def shape_of(a: Any) -> Shape:
    """The core shape of an expression, or the shape of an array."""
    return a.shape if isinstance(a, Symbolic) else np.shape(a)


def ndim(a: Any) -> int:
    """The number of axes of `shape_of`."""
    return len(shape_of(a))

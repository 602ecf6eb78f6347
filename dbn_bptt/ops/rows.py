"""A row of the table of operations: what a primitive operation computes, its derivatives, and how it is written.

The engine knows no operation. `operation(...)` adds a row: `forward` on arrays, one vector-Jacobian product (VJP) per
argument, a shape rule, and a notation.

Arrays carry the axes of the *core* shape, the shape in one slice of one sequence, last; axes for the batch may stand
before them. Every kernel therefore counts axes from the end. An argument without batch axes, such as a parameter,
stands for the same array in every sequence.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops import shapes
from dbn_bptt.ops.shapes import Shape

Vjp = Callable[..., Any]

SUM, PRODUCT, JUXTAPOSED, RAISED, ATOM = range(5)  # how tightly a notation binds; an argument that binds less gets ( )


class Symbolic(ABC):
    """What an operation builds instead of computing: the base of expressions."""

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def shape(self) -> Shape:
            """The core shape."""

    @abstractmethod
    def combine(self, operation: "Operation", arguments: tuple[Any, ...], attributes: dict[str, Hashable]) -> Any:
        """The expression that applies an operation to arguments, of which this is one."""


@dataclass(frozen=True)
class Notation:
    """How an operation is written.

    In `latex` and `text`, {0} stands for the first argument; or each is a function of the arguments' strings and the
    attributes. `level` is how tightly the result binds, `needs` how tightly each argument must to go without ( ).
    """

    latex: str | Callable[..., str]
    text: str | Callable[..., str]
    level: int = ATOM
    needs: tuple[int, ...] = (SUM,)

    def need(self, position: int) -> int:
        """How tightly the argument at a position must bind to go without parentheses."""
        return self.needs[min(position, len(self.needs) - 1)]

    def written(self, format: str, parts: list[str], attributes: dict[str, Any]) -> str:
        """The notation, "latex" or "text", with its arguments filled in."""
        form = self.latex if format == "latex" else self.text
        if not isinstance(form, str):
            return form(*parts, **attributes)
        return re.sub(r"\{(\d)\}", lambda m: parts[int(m[1])] if int(m[1]) < len(parts) else m[0], form)


@dataclass(frozen=True, eq=False)
class Operation:
    """One row of the table; call it with arrays or expressions.

    Attributes
    ----------
    name : str
    forward : the kernel, ``forward(*arrays, **attributes) -> array``
    vjps : one per argument (None where the derivative is zero), or a function from position to VJP where the
        number of arguments varies; each ``vjp(g, y, *arguments, **attributes)``
    shape : the shape rule, ``shape(*core_shapes, **attributes) -> core shape``; ValueError where shapes do not fit
    notation : how it is written
    elementwise : arguments broadcast; they are aligned to one rank before, and messages summed to their shapes after
    batch_sum : the kernel fused with a sum over the batch, where that is cheaper than one after the other
    activation : its argument is a pre-activation, whose adjoint the adjoint template calls delta
    kinked : not differentiable everywhere, so that difference quotients need short steps
    """

    name: str
    forward: Callable[..., Any]
    vjps: tuple[Vjp | None, ...] | Callable[[int], Vjp]
    shape: Callable[..., Shape]
    notation: Notation
    elementwise: bool = False
    batch_sum: Callable[..., Any] | None = field(default=None, repr=False)
    activation: bool = False
    kinked: bool = False

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


TABLE: dict[str, Operation] = {}


def _row(name: str) -> Operation:
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
    batch_sum: Callable[..., Any] | None = None,
    activation: bool = False,
    kinked: bool = False,
) -> Operation:
    r"""Add a row to the table of operations.

    Without a shape rule the operation is elementwise. Without a notation it is written as a function of its name. In a
    VJP ``vjp(g, y, *arguments)``, g is the adjoint of the result y; where arguments broadcast, the engine sums the
    messages to their shapes.

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
    TABLE[name] = Operation(name, forward, rows, shape, notation, elementwise, batch_sum, activation, kinked)
    return TABLE[name]


def shape_of(a: Any) -> Shape:
    """The core shape of an expression, or the shape of an array."""
    return a.shape if isinstance(a, Symbolic) else np.shape(a)


def ndim(a: Any) -> int:
    """The number of axes of `shape_of`."""
    return len(shape_of(a))

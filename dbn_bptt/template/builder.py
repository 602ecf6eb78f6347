"""The slice template: the variables of one time slice and the equation of each.

A template is what a two-slice network is to a dynamic Bayesian network: each variable has one equation over
parameters and variables of its slice and of others, and may have another one for the first slice, as in (B0, B->). A
*total* sums an expression over all slices and the batch; a *loss* is a total whose gradient is wanted.
"""

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError, unknown_name
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import AFTER_FIRST, EVERY, FIRST, LAST, Domain
from dbn_bptt.template.expressions import Expression, Kind, Reference, Symbol, constant, reference
from dbn_bptt.template.template import Described, Template
from dbn_bptt.template.traversal import dependencies

At = Literal["every", "first", "last"]
_AT: dict[str, Domain] = {"every": EVERY, "first": FIRST, "last": LAST}


class SliceTemplate(Described):
    """The description of one time slice, from which everything else is derived.

    Parameters
    ----------
    name : str
        What the model is called in reports and pictures.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate("leaky counter")
    >>> w, x = t.parameter("w", ()), t.input("x", ())
    >>> h = t.variable("h", ())
    >>> t.define(h, w * h.prev + x)
    >>> t.loss("L", h * h, at="last")
    >>> t
    SliceTemplate 'leaky counter': parameters w; inputs x; variables h; loss L
    """

    def __init__(self, name: str = "template"):
        self._begin(Template(name))

    @classmethod
    def of(cls, template: Described) -> "SliceTemplate":
        """A template to be built on, which begins as another one is now."""
        new = cls.__new__(cls)
        new._begin(template.frozen)
        return new

    def _begin(self, template: Template) -> None:
        self.symbols, self.definitions = dict(template.symbols), dict(template.definitions)
        self.arrays, self.initial = dict(template.arrays), dict(template.initial)
        self._frozen, self._added_to = template, False

    def copy(self) -> "SliceTemplate":
        """A template with the same declarations and equations, which later additions do not touch."""
        return self.of(self)

    @property
    def frozen(self) -> Template:
        """The template as it is now, as a value that later additions do not touch."""
        if self._added_to:
            own: dict[str, Any] = {
                part: dict(getattr(self, part)) for part in ("symbols", "definitions", "arrays", "initial")
            }
            self._frozen, self._added_to = replace(self._frozen, **own), False
        return self._frozen

    @property
    def name(self) -> str:
        """What the model is called."""
        return self._frozen.name

    # ---------------------------------------------------------------------------------------------- declarations
    def parameter(self, name: str, shape: Shape | int, default: Any = None) -> Reference:
        """Declare a parameter: the same array in every slice and every sequence."""
        return self.declare(name, shape, "parameter", default)

    def constant(self, name: str, value: Any) -> Reference:
        """Declare a named constant: an array that has a node in the graph, but no gradient."""
        array = constant(value).array
        return self.declare(name, array.shape, "constant", array)

    def input(self, name: str, shape: Shape | int, default: Any = None) -> Reference:
        """Declare an input: data of this shape per slice; with a default it may be left out of the data."""
        return self.declare(name, shape, "input", default)

    def target(self, name: str, shape: Shape | int | None = None, classes: int | None = None) -> Reference:
        """Declare a target, to which no gradient is sent.

        With `classes=K` its data are class indices (T,) or (T, B), or probabilities (T[, B], K), and in equations it
        is the vector of the K probabilities.
        """
        if (shape is None) == (classes is None):
            raise TemplateError(f"{name}: give either the shape of the target or its number of classes")
        if classes is not None:
            return self.declare(name, (classes,), "target", probabilities=True)
        return self.declare(name, () if shape is None else shape, "target")

    def variable(self, name: str, shape: Shape | int, initial: Any = None) -> Reference:
        """Declare a variable; `define` gives it its equation.

        `initial` is its state before the first slice (after the last one for a chain that runs backwards): zeros
        unless given, an array, or a parameter to be learned. If the equations reach back K > 1 slices it has K
        rows, oldest first. A call may override zeros and arrays by its own `initial=`.
        """
        declared = self.declare(name, shape, "variable")
        if isinstance(initial, Expression):
            if not isinstance(initial, Reference) or initial.symbol.kind != "parameter":
                wanted = "zeros, an array or a parameter"
                raise TemplateError(f"{name}: the initial state must be {wanted}, not {initial!r}")
            self._check_declared(name, initial)
            self.initial[name] = initial
        elif initial is not None:
            self.initial[name] = constant(initial).array
        return declared

    def declare(
        self, name: str, shape: Shape | int, kind: Kind, array: Any = None, probabilities: bool = False
    ) -> Reference:
        """Declare a name of any kind."""
        if not isinstance(name, str) or not name.isidentifier():
            raise TemplateError(f"{name!r} is not a name; use letters, digits and _")
        if name in self.symbols:
            raise TemplateError(f"{name!r} is declared already, as a {self.symbols[name].kind}; choose another name")
        sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        if not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
            raise TemplateError(f"{name}: shape {shape!r} must consist of positive integers")
        symbol = Symbol(name, tuple(map(int, sizes)), kind, probabilities)
        if array is not None:
            value = constant(array).array
            if value.shape not in ((), symbol.shape):
                raise TemplateError(f"{name}: the default has shape {value.shape}, not {symbol.shape}")
            self.arrays[name] = np.array(np.broadcast_to(value, symbol.shape))
        self.symbols[name] = symbol
        self._added_to = True
        return reference(symbol)

    # ------------------------------------------------------------------------------------------------- equations
    def define(self, variable: Expression, equation: Any, first: Any = None) -> None:
        """Give a variable its equation; `first` is another one for slice 0."""
        if not isinstance(variable, Reference) or variable.symbol.kind != "variable" or variable.delay:
            raise TemplateError(f"define a variable declared by .variable(...), in its own slice, not {variable!r}")
        self._check_declared(variable.name, variable)
        pieces = [Piece(EVERY, equation)] if first is None else [Piece(FIRST, first), Piece(AFTER_FIRST, equation)]
        self.add(variable.symbol, pieces)

    def loss(self, name: str, expression: Any, at: At | Domain = "every") -> None:
        """Declare a loss: a scalar per slice, summed over slices and batch. Several losses add up."""
        self._add_total(name, expression, at, loss=True)

    def total(self, name: str, expression: Any, at: At | Domain = "every") -> None:
        """Declare the sum of an expression over every slice (or the first, or the last, or some) and the batch."""
        self._add_total(name, expression, at, loss=False)

    def _add_total(self, name: str, expression: Any, at: At | Domain, loss: bool) -> None:
        e = self._checked(name, expression)
        if loss and e.shape:
            raise TemplateError(f"{name}: a loss is a scalar per slice, not of shape {e.shape}; sum it over its axes")
        domain = at if isinstance(at, Domain) else _AT.get(at)
        if domain is None:
            raise TemplateError(f"{name}: at={at!r} is not one of {', '.join(map(repr, _AT))}")
        total = self.declare(name, e.shape, "total")
        self.add(total.symbol, [Piece(domain, e)], loss)

    def add(self, symbol: Symbol, pieces: list[Piece], loss: bool = False) -> None:
        """Add the definition of a declared variable or total, piece by piece."""
        name = symbol.name
        if name in self.definitions:
            raise TemplateError(f"{name} is defined already; one equation a variable")
        whole = tuple(Piece(p.domain, self._fitted(symbol, self._checked(name, p.expression))) for p in pieces)
        self.definitions[name] = Definition(symbol, whole, loss)
        self._added_to = True

    def _checked(self, name: str, expression: Any) -> Expression:
        e = expression if isinstance(expression, Expression) else constant(expression)
        for symbol, _, _ in dependencies(e, EVERY):
            self._check_declared(name, reference(symbol))
            if symbol.kind == "total":
                what = f"{symbol.name} is a total over all slices"
                raise TemplateError(f"{name}: {what}; no equation of a slice can use it")
        return e

    def _check_declared(self, user: str, leaf: Reference) -> None:
        name = leaf.name
        if name not in self.symbols:
            raise unknown_name(name, self.symbols, f"name in the equation of {user}:")
        if self.symbols[name] != leaf.symbol:
            raise TemplateError(f"{user}: {name} belongs to another template; use this template's own {name}")

    def _fitted(self, symbol: Symbol, e: Expression) -> Expression:
        try:
            return ops.broadcast_to(e, symbol.shape)
        except TemplateError:
            mend = "declare the variable with the shape of its equation"
            raise TemplateError(f"{symbol.name} has shape {symbol.shape}, its equation {e.shape}; {mend}") from None

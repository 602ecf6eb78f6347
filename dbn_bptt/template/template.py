"""The slice template: the variables of one time slice and the equation of each.

A template is what a two-slice network is to a dynamic Bayesian network. Each variable has one equation over
parameters, variables of its slice and variables of other slices, and may have another one for the first slice: that
is the pair (B0, B->). A *total* sums an expression over all slices and the batch; a *loss* is a total whose gradient
is wanted.
"""

from collections.abc import Collection
from itertools import count
from typing import Any, Literal

import networkx as nx
import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.template.definitions import Definition, Piece, check_order, every_dependency, farthest_frame
from dbn_bptt.template.domains import AFTER_FIRST, EVERY, FIRST, LAST, Domain, initial_slice
from dbn_bptt.template.expressions import Expression, Kind, Reference, Symbol, constant, reference
from dbn_bptt.template.shown import Shown
from dbn_bptt.template.traversal import dependencies

At = Literal["every", "first", "last"]
_AT: dict[str, Domain] = {"every": EVERY, "first": FIRST, "last": LAST}


class SliceTemplate(Shown):
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
        self.name = name
        self.symbols: dict[str, Symbol] = {}
        self.definitions: dict[str, Definition] = {}
        self.arrays: dict[str, Array] = {}  # constants, and defaults of parameters and inputs
        self.initial: dict[str, Array | Reference] = {}
        self.origin: SliceTemplate | None = None  # what an adjoint template is the adjoint of
        self._reaches: tuple[tuple[int, int], dict[str, tuple[int, int]]] = ((-1, -1), {})  # for what size, and what

    # ---------------------------------------------------------------------------------------------- declarations
    def parameter(self, name: str, shape: Shape | int, default: Any = None) -> Reference:
        """Declare a parameter: the same array in every slice and every sequence."""
        return self._declare(name, shape, "parameter", default)

    def constant(self, name: str, value: Any) -> Reference:
        """Declare a named constant: an array that has a node in the graph, but no gradient."""
        array = constant(value).array
        return self._declare(name, array.shape, "constant", array)

    def input(self, name: str, shape: Shape | int, default: Any = None) -> Reference:
        """Declare an input: data of this shape per slice; with a default it may be left out of the data."""
        return self._declare(name, shape, "input", default)

    def target(self, name: str, shape: Shape | int | None = None, classes: int | None = None) -> Reference:
        """Declare a target, to which no gradient is sent.

        With `classes=K` its data are class indices (T,) or (T, B), or probabilities (T[, B], K), and in equations it
        is the vector of the K probabilities.
        """
        if (shape is None) == (classes is None):
            raise TemplateError(f"{name}: give either the shape of the target or its number of classes")
        if classes is not None:
            return self._declare(name, (classes,), "target", probabilities=True)
        return self._declare(name, () if shape is None else shape, "target")

    def variable(self, name: str, shape: Shape | int, initial: Any = None) -> Reference:
        """Declare a variable; `define` gives it its equation.

        `initial` is its state before the first slice (after the last one for a chain that runs backwards): zeros
        unless given, an array, or a parameter to be learned. If the equations reach back K > 1 slices it has K
        rows, oldest first. A call may override zeros and arrays by its own `initial=`.
        """
        declared = self._declare(name, shape, "variable")
        if isinstance(initial, Expression):
            if not isinstance(initial, Reference) or initial.symbol.kind != "parameter":
                raise TemplateError(
                    f"{name}: the initial state must be zeros, an array or a parameter, not {initial!r}"
                )
            self._check_declared(name, initial)
            self.initial[name] = initial
        elif initial is not None:
            self.initial[name] = constant(initial).array
        return declared

    def _declare(
        self, name: str, shape: Shape | int, kind: Kind, array: Any = None, probabilities: bool = False
    ) -> Reference:
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
        return reference(symbol)

    # ------------------------------------------------------------------------------------------------- equations
    def define(self, variable: Expression, equation: Any, first: Any = None) -> None:
        """Give a variable its equation; `first` is another one for slice 0."""
        if not isinstance(variable, Reference) or variable.symbol.kind != "variable" or variable.delay:
            raise TemplateError(f"define a variable declared by .variable(...), in its own slice, not {variable!r}")
        self._check_declared(variable.name, variable)
        pieces = [Piece(EVERY, equation)] if first is None else [Piece(FIRST, first), Piece(AFTER_FIRST, equation)]
        self.add(variable.symbol, pieces)

    def loss(self, name: str, expression: Any, at: At = "every") -> None:
        """Declare a loss: a scalar per slice, summed over slices and batch. Several losses add up."""
        e = self._checked(name, expression)
        if e.shape:
            raise TemplateError(f"{name}: a loss is a scalar per slice, not of shape {e.shape}; sum it over its axes")
        self._add_total(name, e, at, loss=True)

    def total(self, name: str, expression: Any, at: At = "every") -> None:
        """Declare the sum of an expression over every slice (or the first, or the last) and the batch."""
        self._add_total(name, self._checked(name, expression), at, loss=False)

    def _add_total(self, name: str, expression: Expression, at: At, loss: bool) -> None:
        if at not in _AT:
            raise TemplateError(f"{name}: at={at!r} is not one of {', '.join(map(repr, _AT))}")
        total = self._declare(name, expression.shape, "total")
        self.add(total.symbol, [Piece(_AT[at], expression)], loss)

    def add(self, symbol: Symbol, pieces: list[Piece], loss: bool = False) -> None:
        """Add the definition of a declared variable or total, piece by piece."""
        name = symbol.name
        if name in self.definitions:
            raise TemplateError(f"{name} is defined already; one equation a variable")
        whole = tuple(Piece(p.domain, self._fitted(symbol, self._checked(name, p.expression))) for p in pieces)
        self.definitions[name] = Definition(symbol, whole, loss)

    def _checked(self, name: str, expression: Any) -> Expression:
        e = expression if isinstance(expression, Expression) else constant(expression)
        for symbol, _, _ in dependencies(e, EVERY):
            self._check_declared(name, reference(symbol))
            if symbol.kind == "total":
                raise TemplateError(
                    f"{name}: {symbol.name} is a total over all slices; no equation of a slice can use it"
                )
        return e

    def _check_declared(self, user: str, leaf: Reference) -> None:
        if self.symbols.get(leaf.name) != leaf.symbol:
            if leaf.name in self.symbols:
                raise TemplateError(
                    f"{user}: {leaf.name} belongs to another template; use this template's own {leaf.name}"
                )
            raise unknown_name(leaf.name, self.symbols, f"name in the equation of {user}:")

    def _fitted(self, symbol: Symbol, e: Expression) -> Expression:
        try:
            spread: Expression = ops.broadcast_to(e, symbol.shape)
        except TemplateError:
            mend = "declare the variable with the shape of its equation"
            raise TemplateError(f"{symbol.name} has shape {symbol.shape}, its equation {e.shape}; {mend}") from None
        return spread

    # ------------------------------------------------------------------------------------------------------ views
    def copy(self) -> "SliceTemplate":
        """A template with the same declarations and equations, which later additions do not touch."""
        other = SliceTemplate(self.name)
        other.symbols.update(self.symbols)
        other.definitions.update(self.definitions)
        other.arrays.update(self.arrays)
        other.initial.update(self.initial)
        other.origin = self.origin
        return other

    def names(self, *kinds: Kind) -> list[str]:
        """The names of some kinds, in the order of declaration."""
        return [name for name, symbol in self.symbols.items() if symbol.kind in kinds]

    @property
    def losses(self) -> list[str]:
        """The names of the losses."""
        return [name for name, d in self.definitions.items() if d.loss]

    def __getitem__(self, name: str) -> Reference:
        if name not in self.symbols:
            raise unknown_name(name, self.symbols, "name")
        return reference(self.symbols[name])

    def __repr__(self) -> str:
        groups = {
            "parameters": self.names("parameter"),
            "inputs": self.names("input"),
            "variables": self.names("variable"),
            "loss": self.losses,
        }
        parts = "; ".join(f"{title} {', '.join(names)}" for title, names in groups.items() if names)
        return f"SliceTemplate {self.name!r}: {parts}"

    def reaches(self) -> dict[str, tuple[int, int]]:
        """How many initial slices each variable and input has: before its first slice, and after its last."""
        size = len(self.definitions), len(self.symbols)
        if self._reaches[0] != size:
            self._reaches = size, self._found_reaches()
        return self._reaches[1]

    def _found_reaches(self) -> dict[str, tuple[int, int]]:
        lagged = [(s.name, lag, d) for _, _, s, lag, d in every_dependency(self.definitions) if s.timed and lag]
        reach, far = dict.fromkeys(self.symbols, (0, 0)), farthest_frame(self.definitions)
        for name, lag, domain in lagged:
            for T in range(1, abs(lag) + far + 3):
                touched = domain.shifted(-lag).slices(T)
                low, high = self.definitions[name].span(T) if name in self.definitions else (0, T)
                if touched:
                    before, after = reach[name]
                    reach[name] = max(before, low - touched.start), max(after, touched.stop - high)
        return reach

    def initial_shapes(self) -> dict[str, Shape]:
        """The shape of each initial state: a row for each slice that equations reach out to, no axis for one row."""
        rows = {name: sum(reach) for name, reach in self.reaches().items() if any(reach)}
        return {name: ((n,) if n > 1 else ()) + self.symbols[name].shape for name, n in rows.items()}

    def initial_parameters(self, seed: int | np.random.Generator = 0) -> dict[str, Array]:
        """Random parameters to begin with: matrices uniform in +-1/sqrt(columns), vectors and scalars 0.

        Parameters with a default are left out.
        """
        rng = np.random.default_rng(seed)
        drawn = {}
        for name in self.names("parameter"):
            shape = self.symbols[name].shape
            if name not in self.arrays:
                drawn[name] = rng.uniform(-1, 1, shape) / np.sqrt(shape[-1]) if len(shape) > 1 else np.zeros(shape)
        return drawn

    # ------------------------------------------------------------------------------------------------------ checks
    def check(self) -> None:
        """Refuse a template with a hole, a cycle inside a slice, or an initial state of the wrong shape."""
        if not self.definitions:
            raise TemplateError(f"template {self.name!r} defines nothing; declare variables and define(...) them")
        for name in self.names("variable"):
            if name not in self.definitions:
                raise TemplateError(f"{name} is declared but has no equation; define({name}, ...)")
        shapes = self.initial_shapes() if self.initial else {}
        for name, given in self.initial.items():
            if name not in shapes:
                raise TemplateError(f"{name} has an initial state but no equation uses {name}.prev; leave it out")
            if given.shape != shapes[name]:
                raise TemplateError(f"{name}: the initial state has shape {given.shape}, not {shapes[name]}")
        check_order(self.definitions)

    def initial_pieces(self) -> dict[str, list[Piece]]:
        """The equations of initial states that are parameters: a row of the parameter for each initial slice."""
        pieces: dict[str, list[Piece]] = {}
        learned = {name: given for name, given in self.initial.items() if isinstance(given, Reference)}
        for name, (before, after) in (self.reaches() if learned else {}).items():
            if name in learned:
                slices = [*range(-before, 0), *range(after)]
                rows = list(learned[name]) if len(slices) > 1 else [learned[name]]
                pieces[name] = [Piece(initial_slice(t), row) for t, row in zip(slices, rows, strict=True)]
        return pieces


def checked_template(template: object, who: str) -> SliceTemplate:
    """The template, checked; or an error that says what was given in its place."""
    if not isinstance(template, SliceTemplate):
        hint = "; dbn.template(model) makes one of it" if hasattr(template, "get_inter_edges") else ""
        raise TemplateError(
            f"{who} takes a SliceTemplate, such as cells.elman(3, 4, 2), not {type(template).__name__}{hint}"
        )
    template.check()
    return template


def ending(template: SliceTemplate, wish: str) -> str:
    """What makes new names of all names of a template: `wish`, or it with 2, 3, ... where the template has such names.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> ending(rnn, "_bar"), ending(db.adjoint(rnn), "_bar")
    ('_bar', '_bar2')
    """
    free = (wish + (str(k) if k > 1 else "") for k in count(1))
    return next(e for e in free if not any(name + e in template.symbols for name in template.symbols))


def without(template: SliceTemplate, names: Collection[str]) -> SliceTemplate:
    """A template without some targets or inputs, and without all that depends on them.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> list(without(rnn, ["y"]).definitions)
    ['a', 'h', 'o', 'yhat']
    """
    influence = nx.DiGraph()
    influence.add_nodes_from(template.symbols)
    used = every_dependency(template.definitions)
    influence.add_edges_from((symbol.name, definition.symbol.name) for definition, _, symbol, _, _ in used)
    gone = set(names).union(*(nx.descendants(influence, name) for name in names))
    result = template.copy()
    for found in (result.symbols, result.definitions, result.arrays, result.initial):
        for name in gone & set(found):
            del found[name]
    return result


def parents(template: SliceTemplate) -> dict[str, list[tuple[str, int]]]:
    """For each variable and total what it depends on: name and lag, parameters left out.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> parents(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2))["a"]
    [('h', 1), ('x', 0)]
    """
    found: dict[str, dict[tuple[str, int], None]] = {name: {} for name in template.definitions}
    for definition, _, symbol, lag, _ in every_dependency(template.definitions):
        if symbol.timed:
            found[definition.symbol.name][symbol.name, lag] = None
    return {name: list(pairs) for name, pairs in found.items()}


def interface(template: SliceTemplate) -> list[str]:
    """The variables of a slice that have children in another one: all that slices tell each other.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> interface(db.cells.lstm(n_inputs=3, n_hidden=4, n_outputs=2))
    ['s', 'h']
    """
    lagged = {name for pairs in parents(template).values() for name, lag in pairs if lag}
    return [name for name in template.names("variable") if name in lagged]

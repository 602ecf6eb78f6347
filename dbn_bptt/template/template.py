"""The template as a value: symbols, definitions and what follows from them.

`SliceTemplate` is what users build step by step; it holds a `Template`, which never changes, so that what is found out
about it once stays true. Transformations make new ones by `rewritten`.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.template.definitions import Definition, Piece, check_order, every_dependency
from dbn_bptt.template.domains import EVERY, Domain, hull, initial_slice
from dbn_bptt.template.expressions import Apply, Expression, Kind, Reference, Symbol, reference
from dbn_bptt.template.shown import Shown

Reach = tuple[int, int]  # how many initial slices there are: before the first slice, and after the last


class Described(Shown, ABC):
    """What can be asked of a template, whether it is finished or under construction."""

    @property
    @abstractmethod
    def frozen(self) -> "Template":
        """The template as it is now."""

    def names(self, *kinds: Kind) -> list[str]:
        """The names of some kinds, in the order of declaration."""
        return list(self.frozen._named(kinds))

    @property
    def losses(self) -> list[str]:
        """The names of the losses."""
        return list(self.frozen._losses)

    def __getitem__(self, name: str) -> Reference:
        symbols = self.frozen.symbols
        if name not in symbols:
            raise unknown_name(name, symbols, "name")
        return reference(symbols[name])

    def __repr__(self) -> str:
        groups = {
            "parameters": self.names("parameter"),
            "inputs": self.names("input"),
            "variables": self.names("variable"),
            "loss": self.losses,
        }
        parts = "; ".join(f"{title} {', '.join(names)}" for title, names in groups.items() if names)
        return f"SliceTemplate {self.frozen.name!r}: {parts}"

    def reaches(self) -> Mapping[str, Reach]:
        """How many initial slices each variable and input has: before its first slice, and after its last."""
        return self.frozen._reaches

    def initial_shapes(self) -> dict[str, Shape]:
        """The shape of each initial state: a row for each slice that equations reach out to, no axis for one row."""
        return dict(self.frozen._initial_shapes)

    def initial_parameters(self, seed: int | np.random.Generator = 0) -> dict[str, Array]:
        """Random parameters to begin with: matrices uniform in +-1/sqrt(columns), vectors and scalars 0.

        Parameters with a default are left out.
        """
        rng = np.random.default_rng(seed)
        drawn = {}
        for name in self.names("parameter"):
            shape = self.frozen.symbols[name].shape
            if name not in self.frozen.arrays:
                drawn[name] = rng.uniform(-1, 1, shape) / np.sqrt(shape[-1]) if len(shape) > 1 else np.zeros(shape)
        return drawn

    def check(self) -> None:
        """Refuse a template with a hole, a cycle inside a slice, or an initial state of the wrong shape."""
        _ = self.frozen._checked


@dataclass(frozen=True, eq=False, repr=False)
class Template(Described):
    """A slice template that does not change."""

    name: str
    symbols: Mapping[str, Symbol] = field(default_factory=dict)  # all that has a name, in the order of declaration
    definitions: Mapping[str, Definition] = field(default_factory=dict)  # the equations of variables and totals
    arrays: Mapping[str, Array] = field(default_factory=dict)  # constants, and defaults of parameters and inputs
    initial: Mapping[str, Array | Reference] = field(default_factory=dict)  # what is not zeros; parameters are learned
    origin: "Template | None" = None  # of an adjoint, the template that it is the adjoint of
    # of a template made from another one, the name here of what belongs to a name there: of its adjoint, of its
    # derivative along a direction, of what is said of it after a segment
    partners: Mapping[str, str] = field(default_factory=dict)

    @property
    def frozen(self) -> "Template":
        """Itself."""
        return self

    def rewritten(self, **changes: Any) -> "Template":
        """The template with other fields; symbols that are not there any more take their equations and arrays along."""
        new = replace(self, **changes)
        if new.symbols.keys() >= self.symbols.keys():
            return new
        kept: dict[str, Any] = {
            name: {n: value for n, value in getattr(new, name).items() if n in new.symbols}
            for name in ("definitions", "arrays", "initial")
        }
        return replace(new, **kept)

    @cached_property
    def key(self) -> Hashable:
        """What templates have in common that compute the same; equal expressions are one object."""
        arrays = [(name, a.dtype.str, a.shape, a.tobytes()) for name, a in self.arrays.items()]
        states = [(name, s if isinstance(s, Reference) else s.tobytes()) for name, s in self.initial.items()]
        return (
            self.name, *(tuple(part.items()) for part in (self.symbols, self.definitions, self.partners)),
            tuple(arrays), tuple(states),
        )  # fmt: skip

    def domain(self, name: str) -> Domain:
        """All slices in which a name has a node, its initial ones included."""
        pieces = self.definitions[name].pieces if name in self.definitions else ()
        return hull(p.domain for p in pieces).widened(*self.reaches()[name])

    def span(self, name: str, T: int) -> tuple[int, int]:
        """The first slice that has a value by an equation or by data, and the one after the last."""
        pieces = self.definitions[name].pieces if name in self.definitions else ()
        ranges = [p.domain.slices(T) for p in pieces] or [range(T)]
        return min(r.start for r in ranges), max(r.stop for r in ranges)

    def initial_slices(self, name: str, T: int) -> list[int]:
        """The slices that hold a name's initial states, in order of time."""
        (low, high), (before, after) = self.span(name, T), self.reaches()[name]
        return [*range(low - before, low), *range(high, high + after)]

    @cached_property
    def learned(self) -> dict[str, Reference]:
        """The initial states that are parameters."""
        return {name: start for name, start in self.initial.items() if isinstance(start, Reference)}

    @cached_property
    def initial_pieces(self) -> dict[str, list[Piece]]:
        """The equations of initial states that are parameters: a row of the parameter for each initial slice."""
        pieces: dict[str, list[Piece]] = {}
        for name, start in self.learned.items():
            before, after = self.reaches()[name]
            slices = [*range(-before, 0), *range(after)]
            rows = list(start) if len(slices) > 1 else [start]
            pieces[name] = [Piece(initial_slice(t), row) for t, row in zip(slices, rows, strict=True)]
        return pieces

    @cached_property
    def named_parts(self) -> dict[Expression, Expression]:
        """Right-hand sides that a variable names, such as softmax(o), which is yhat."""
        return {
            d.pieces[0].expression: reference(d.symbol)
            for d in self.definitions.values()
            if d.symbol.kind == "variable" and len(d.pieces) == 1 and d.pieces[0].domain == EVERY
            and isinstance(d.pieces[0].expression, Apply)
        }  # fmt: skip

    @cached_property
    def _reaches(self) -> dict[str, Reach]:
        reach = dict.fromkeys(self.symbols, (0, 0))
        lagged = {
            (s.name, d.shifted(-lag)) for _, _, s, lag, d in every_dependency(self.definitions) if s.timed and lag
        }
        for name, touched in lagged:
            pieces = self.definitions[name].pieces if name in self.definitions else ()
            for T in () if touched.is_empty else touched.turns([EVERY, *(p.domain for p in pieces)]):
                (low, high), (before, after) = self.span(name, T), reach[name]
                reach[name] = max(before, low - touched.low(T)), max(after, touched.high(T) + 1 - high)
        return reach

    def _named(self, kinds: tuple[Kind, ...]) -> tuple[str, ...]:
        if kinds not in self._names:
            self._names[kinds] = tuple(name for name, symbol in self.symbols.items() if symbol.kind in kinds)
        return self._names[kinds]

    @cached_property
    def _names(self) -> dict[tuple[Kind, ...], tuple[str, ...]]:
        return {}

    @cached_property
    def _losses(self) -> tuple[str, ...]:
        return tuple(name for name, d in self.definitions.items() if d.loss)

    @cached_property
    def _initial_shapes(self) -> dict[str, Shape]:
        rows = {name: sum(reach) for name, reach in self._reaches.items() if any(reach)}
        return {name: ((n,) if n > 1 else ()) + self.symbols[name].shape for name, n in rows.items()}

    @cached_property
    def _checked(self) -> bool:
        if not self.definitions:
            raise TemplateError(f"template {self.name!r} defines nothing; declare variables and define(...) them")
        for name in self.names("variable"):
            if name not in self.definitions:
                raise TemplateError(f"{name} is declared but has no equation; define({name}, ...)")
        shapes = self.initial_shapes() if self.initial else {}
        for name, start in self.initial.items():
            if name not in shapes:
                raise TemplateError(f"{name} has an initial state but no equation uses {name}.prev; leave it out")
            if start.shape != shapes[name]:
                raise TemplateError(f"{name}: the initial state has shape {start.shape}, not {shapes[name]}")
        check_order(self.definitions)
        return True


def checked_template(template: object, who: str) -> Template:
    """The template, checked; or an error that says what was given in its place."""
    if not isinstance(template, Described):
        hint = "; dbn.template(model) makes one of it" if hasattr(template, "get_inter_edges") else ""
        found = type(template).__name__ + hint
        raise TemplateError(f"{who} takes a SliceTemplate, such as cells.elman(3, 4, 2), not {found}")
    template.check()
    return template.frozen

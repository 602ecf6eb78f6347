"""Equations made ready for emission: composite operations in terms of simpler ones, sums and products split.

A softmax and a cross-entropy of the same logits share their exponentials once both are written out. In a scan, the
terms of a sum and the factors of a product that do not depend on the scan are gathered, so that they can be computed
for all slices before it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any
from weakref import WeakKeyDictionary

from dbn_bptt import ops
from dbn_bptt.ops.rows import Map, Product, Sum
from dbn_bptt.template.expressions import Apply, Expression, Reference, apply, constant
from dbn_bptt.template.traversal import Signed, terms, transformed, walk


def lowered(root: Expression) -> Expression:
    """The expression with composite operations written out."""
    new: dict[Expression, Expression] = {}
    for e in walk([root]):
        if not isinstance(e, Apply):
            new[e] = e
            continue
        arguments = tuple(new[a] for a in e.arguments)
        lower, attributes = e.operation.lower, dict(e.attributes)
        new[e] = _as_expression(lower(*arguments, **attributes)) if lower else apply(e.operation, arguments, attributes)
    return new[root]


def _as_expression(e: Any) -> Expression:
    return e if isinstance(e, Expression) else constant(e)


_STATIC: WeakKeyDictionary[Expression, bool] = WeakKeyDictionary()  # asked again and again of the same expressions


def is_static(root: Expression) -> bool:
    """Whether an expression is the same in every slice and sequence."""
    if root not in _STATIC:
        for e in walk([root], arguments=lambda e: tuple(a for a in e.arguments if a not in _STATIC)):
            below = all(_STATIC[a] for a in e.arguments) if isinstance(e, Apply) else True
            _STATIC[e] = below and not (isinstance(e, Reference) and e.symbol.timed)
    return _STATIC[root]


def summed(found: list[Signed]) -> Any:
    """A sum from signed terms; those to be added come first."""
    found = sorted(found, key=lambda term: -term[0])
    first = found[0][1] if found[0][0] > 0 else -found[0][1]
    return reduce(lambda total, term: total + term[1] if term[0] > 0 else total - term[1], found[1:], first)


def factors(e: Expression) -> list[Expression]:
    """A product as factors."""
    found: list[Expression] = []
    stack = [e]
    while stack:
        part = stack.pop()
        if isinstance(part, Apply) and isinstance(part.operation.role, Product):
            stack += reversed(part.arguments)
        else:
            found.append(part)
    return found


def product(found: list[Expression]) -> Any:
    """A product from factors."""
    return reduce(lambda total, factor: total * factor, found)


def split(root: Expression, inside: set[str], hoist: Callable[[Expression], Expression]) -> Expression:
    """The expression with every part that does not depend on the variables `inside` replaced by hoist(part)."""
    depends = set(_dependent(root, inside))
    new: dict[Expression, Expression] = {}

    def parted(e: Expression) -> Expression:
        if e not in new:
            new[e] = _parted(e)
        return new[e]

    def _parted(e: Expression) -> Expression:
        if e not in depends:
            return e if isinstance(e, Reference) or is_static(e) else hoist(e)
        if not isinstance(e, Apply):
            return e
        if isinstance(e.operation.role, Sum):
            found = terms(e)
            own = [(sign, parted(t)) for sign, t in found if t in depends]
            other = [(sign, t) for sign, t in found if t not in depends]
            return summed([*own, (1, parted(summed(other)))]) if other else summed(own)
        if isinstance(e.operation.role, Product):
            mine = [parted(f) for f in factors(e) if f in depends]
            others = [f for f in factors(e) if f not in depends]
            return product([*mine, parted(product(others))]) if others else product(mine)
        return apply(e.operation, tuple(parted(a) for a in e.arguments), dict(e.attributes))

    return parted(root)


def outside(root: Expression, inside: set[str]) -> list[Expression]:
    """The parts that `split` takes out: those that do not depend on the variables `inside`."""
    found: dict[Expression, Expression] = {}
    split(root, inside, lambda e: found.setdefault(e, e))
    return list(found)


def _dependent(root: Expression, inside: set[str]) -> list[Expression]:
    """The parts of an expression that depend on some variables."""
    found: dict[Expression, None] = {}
    for e in walk([root]):
        if (isinstance(e, Reference) and e.name in inside) or (
            isinstance(e, Apply) and any(a in found for a in e.arguments)
        ):
            found[e] = None
    return list(found)


def joined(rules: Mapping[str, Expression], inside: set[str]) -> dict[str, Expression]:
    """The equations of one slice with maps of the same vectors made one, as of four gates: b + W h + U x.

    Only maps of what depends on the variables `inside` are worth it; others need no scan.
    """
    groups: dict[tuple[frozenset[Expression], bool], dict[Expression, Affine]] = {}
    for e in _sums(rules.values()):
        affine = Affine.of(e)
        if any(_dependent(vector, inside) for vector in affine.maps):
            groups.setdefault((frozenset(affine.maps), affine.offset is None), {})[e] = affine
    parts: dict[Expression, Expression] = {}
    for group in groups.values():
        if len(group) > 1:
            whole = _together(list(group.values()))
            ends = list(accumulate(e.shape[0] for e in group))
            for (e, affine), end in zip(group.items(), ends, strict=True):
                parts[e] = summed([(1, whole[end - e.shape[0] : end]), *affine.rest])
    return {name: transformed(rule, lambda leaf: leaf, parts) for name, rule in rules.items()}


def _sums(roots: Iterable[Expression]) -> list[Expression]:
    """The sums and linear maps that are not themselves terms of a sum."""
    found = [e for e in walk(roots) if isinstance(e, Apply) and (isinstance(e.operation.role, Sum) or is_linear_map(e))]
    below = {a for e in found if isinstance(e.operation.role, Sum) for a in e.arguments}
    return [e for e in found if e not in below]


@dataclass(frozen=True)
class Affine:
    """A sum as linear maps of vectors, by vector, a vector of parameters, and whatever else there is."""

    maps: Mapping[Expression, Expression]
    offset: Expression | None
    rest: list[Signed]

    @classmethod
    def of(cls, e: Expression) -> "Affine":
        """The parts of a sum."""
        maps: dict[Expression, Expression] = {}
        offset, rest = None, []
        for sign, term in terms(e):
            whole = sign > 0 and term.shape == e.shape  # others are broadcast, and stay as they are
            if whole and isinstance(term, Apply) and is_linear_map(term) and term.arguments[1] not in maps:
                maps[term.arguments[1]] = term.arguments[0]
            elif whole and is_static(term) and offset is None:
                offset = term
            else:
                rest.append((sign, term))
        return cls(maps, offset, rest)


def _together(sums: Sequence[Affine]) -> Any:
    """One map for several of the same vectors: its rows are those of the first, of the second, and so on."""
    matrices = {vector: [affine.maps[vector] for affine in sums] for vector in sums[0].maps}
    products = [ops.matmul(ops.concatenate(rows, axis=-2), vector) for vector, rows in matrices.items()]
    offsets = [affine.offset for affine in sums if affine.offset is not None]
    return summed([(1, term) for term in (*products, *([ops.concatenate(offsets)] if offsets else []))])


def is_linear_map(e: Apply) -> bool:
    """Whether an operation is the product of a parameter matrix with a vector in every slice."""
    role = e.operation.role
    is_map = isinstance(role, Map) and role.of_vectors(**dict(e.attributes))
    return is_map and is_static(e.arguments[0]) and not is_static(e)

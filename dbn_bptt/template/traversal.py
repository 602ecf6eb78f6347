"""Going through expressions: in order, by use of variables, and from slice to slice."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter

import numpy as np

from dbn_bptt.ops.rows import Sum
from dbn_bptt.template.domains import Domain
from dbn_bptt.template.expressions import Apply, Expression, Reference, Symbol, Window, apply, constant, window

Signed = tuple[int, Expression]


def walk(
    roots: Iterable[Expression], arguments: Callable[[Apply], tuple[Expression, ...]] = attrgetter("arguments")
) -> list[Expression]:
    """All expressions below the roots, each once, arguments before what uses them; windows are not entered."""
    order: dict[Expression, None] = {}
    stack = [(root, False) for root in roots][::-1]
    while stack:
        e, done = stack.pop()
        if done:
            order[e] = None
        elif e not in order:
            stack.append((e, True))
            if isinstance(e, Apply):
                stack.extend((a, False) for a in reversed(arguments(e)) if a not in order)
    return list(order)


def uses(root: Expression) -> list[tuple[Apply | None, int, Reference]]:
    """The places where an expression uses a variable or parameter, from left to right.

    A place is an operation and the position of its argument; (None, 0) if the expression is a bare reference. The
    index in this list is the key of the edge in the unrolled graph, so a variable used twice has two edges.
    """
    places: list[tuple[Apply | None, int, Reference]] = []
    seen: set[Expression] = set()
    stack: list[tuple[Apply | None, int, Expression]] = [(None, 0, root)]
    while stack:
        user, position, e = stack.pop()
        if isinstance(e, Reference):
            places.append((user, position, e))
        elif isinstance(e, Apply) and e not in seen:
            seen.add(e)
            stack.extend((e, k, e.arguments[k]) for k in reversed(range(len(e.arguments))))
    return places


def transformed(
    root: Expression, leaf: Callable[[Expression], Expression], known: Mapping[Expression, Expression] | None = None
) -> Expression:
    """The expression with every leaf (reference, constant, window) replaced, and known parts by what they are."""
    new: dict[Expression, Expression] = dict(known or {})
    for e in walk([root]):
        if e not in new:
            new[e] = _rebuilt(e, new) if isinstance(e, Apply) else leaf(e)
    return new[root]


def _rebuilt(e: Apply, new: Mapping[Expression, Expression]) -> Expression:
    if all(new[a] is a for a in e.arguments):
        return e
    return apply(e.operation, tuple(new[a] for a in e.arguments), dict(e.attributes))


def delayed(root: Expression, k: int) -> Expression:
    """The expression as it is k slices before."""

    def leaf(e: Expression) -> Expression:
        if isinstance(e, Reference) and e.symbol.timed:
            return e.lag(k)
        return window(e.expression, e.delay + k, e.domain) if isinstance(e, Window) else e

    return transformed(root, leaf) if k else root


def frames(root: Expression, delay: int = 0) -> list[tuple[int, Domain]]:
    """How far back each window of an expression looks, and where it shows something; those within others included."""
    found = [w for w in walk([root]) if isinstance(w, Window)]
    inner = [frame for w in found for frame in frames(w.expression, delay + w.delay)]
    return [(delay + w.delay, w.domain) for w in found] + inner


def resolved(root: Expression, t: int, T: int) -> Expression:
    """The expression at slice t of T: each window is replaced by what it shows, or by zero."""

    def leaf(e: Expression) -> Expression:
        if not isinstance(e, Window):
            return e
        if t - e.delay not in e.domain.slices(T):
            return constant(np.zeros(e.shape))
        return delayed(resolved(e.expression, t - e.delay, T), e.delay)

    return transformed(root, leaf)


def dependencies(root: Expression, domain: Domain) -> Iterator[tuple[Symbol, int, Domain]]:
    """What an expression that holds on a domain depends on: symbol, lag, and the slices where it does."""
    for e in walk([root]):
        if isinstance(e, Reference):
            yield e.symbol, e.delay, domain
        elif isinstance(e, Window):
            seen = domain.shifted(-e.delay) & e.domain
            yield from ((s, lag + e.delay, d.shifted(e.delay)) for s, lag, d in dependencies(e.expression, seen))


def terms(e: Expression) -> list[Signed]:
    """A sum as signed terms."""
    found: list[Signed] = []
    stack: list[Signed] = [(1, e)]
    while stack:
        sign, part = stack.pop()
        if isinstance(part, Apply) and isinstance(part.operation.role, Sum):
            signed = zip(part.operation.role.signs, part.arguments, strict=True)
            stack += [(sign * own, term) for own, term in signed][::-1]
        else:
            found.append((sign, part))
    return found

"""Descent over the structures of two-slice networks: the moves there are, and the best of them, until none helps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import inf

import networkx as nx

from dbn_bptt.dbn.networks.network import Name, Parent

Edge = tuple[Parent, Parent]  # of pgmpy's: a variable and its slice, twice
Parents = Mapping[Name, frozenset[Parent]]  # by variable
Cost = Callable[[Name, frozenset[Parent]], float]
Settle = Callable[[Name, frozenset[Parent]], frozenset[Parent]]
SLACK = 1e-6  # gains that differ by less are equal


@dataclass(frozen=True)
class Move:
    """A step of a search; one that gains nothing goes with those after it.

    Attributes
    ----------
    action : "add", "remove" or "reverse"
    edge : from ``(name, 0)`` to ``(name, 0)``, within every slice, or to ``(name, 1)``, from each slice to the next
    gain : by how much it lowers the criterion
    """

    action: str
    edge: Edge
    gain: float

    def __str__(self) -> str:
        return f"{self.action} {arrow(self.edge)}: {self.gain:.6g}"


@dataclass(frozen=True)
class Rules:
    """What a search may do."""

    most_parents: int
    forbidden: frozenset[Edge]

    def allow(self, child: Name, own: frozenset[Parent], parent: Parent) -> bool:
        """Whether a variable may get one more parent."""
        return len(own) < self.most_parents and edge_of(child, parent) not in self.forbidden


@dataclass(frozen=True)
class Change:
    """A move, and the parents of the variables that have others after it."""

    action: str
    edge: Edge
    parents: Parents


Way = tuple[Change, ...]  # moves that are made together


def descended(parents: Parents, rules: Rules, cost: Cost) -> tuple[Parents, tuple[Move, ...]]:
    """Where the best moves lead to, and these; where none helps, the best detour."""
    moves: list[Move] = []
    settle = cache(lambda child, own: settled(child, own, tuple(parents), rules, cost))
    while True:
        here = list(possible(parents, rules))
        best = best_of([(change,) for change in here], parents, cost)
        best = best or best_of(list(detours(here, parents, rules, settle, cost)), parents, cost)
        if not best:
            return parents, tuple(moves)
        for change in best:
            moves.append(Move(change.action, change.edge, gain(parents, change.parents, cost)))
            parents = {**parents, **change.parents}


def gain(parents: Parents, changed: Parents, cost: Cost) -> float:
    """By how much other parents of some variables lower what these cost."""
    return sum(cost(child, parents[child]) - cost(child, own) for child, own in changed.items())


def best_of(ways: Sequence[Way], parents: Parents, cost: Cost) -> Way:
    """The one that gains most, the first of equal ones; () if none gains."""
    gains = [gain(parents, {name: own for c in way for name, own in c.parents.items()}, cost) for way in ways]
    most = max(gains, default=0.0)
    return () if most <= SLACK else next(way for way, own in zip(ways, gains, strict=True) if own > most - SLACK)


def detours(here: Sequence[Change], parents: Parents, rules: Rules, settle: Settle, cost: Cost) -> Iterator[Way]:
    """Moves within a slice with others that follow: with the best parents in the slice before, since an edge that was
    turned the wrong way early on has grown some about it that keep it there; and with the best move that comes next."""
    for change in here:
        if change.edge[1][1] or gain(parents, change.parents, cost) == -inf:
            continue
        yield change, *resettled(change, settle, list(parents))
        after, same = {**parents, **change.parents}, (change.edge, change.edge[::-1])
        yield change, *best_of([(next_,) for next_ in possible(after, rules) if next_.edge not in same], after, cost)


def possible(parents: Parents, rules: Rules) -> Iterator[Change]:
    """The moves that leave a slice without a cycle."""
    names = list(parents)
    slice_ = nx.DiGraph([(name, child) for child in names for name, lag in parents[child] if not lag])
    slice_.add_nodes_from(names)
    before = {name: nx.ancestors(slice_, name) | {name} for name in names}
    for child, name, lag in product(names, names, (0, 1)):
        own, parent = parents[child], (name, lag)
        edge, without = edge_of(child, parent), own - {parent}
        if parent not in own:
            if (lag or child not in before[name]) and rules.allow(child, own, parent):
                yield Change("add", edge, {child: own | {parent}})
            continue
        yield Change("remove", edge, {child: without})
        other_ways = any(name in before[other] for other, lag in without if not lag)
        if not lag and not other_ways and rules.allow(name, parents[name], (child, 0)):
            yield Change("reverse", edge, {child: without, name: parents[name] | {(child, 0)}})


def settled(
    child: Name, own: frozenset[Parent], names: tuple[Name, ...], rules: Rules, cost: Cost
) -> frozenset[Parent]:
    """The parents of a variable, those in the slice before chosen anew: the best that moves lead to from these, or from
    none of them."""

    def down(own: frozenset[Parent]) -> frozenset[Parent]:
        one_more = (own | {(name, 1)} for name in names if (name, 1) not in own and rules.allow(child, own, (name, 1)))
        one_less = (own - {(name, 1)} for name in names if (name, 1) in own)
        best = min([*one_more, *one_less], key=lambda other: cost(child, other), default=own)
        return down(best) if cost(child, best) < cost(child, own) - SLACK else own

    inside = frozenset(parent for parent in own if not parent[1])
    return min(down(own), down(inside), key=lambda found: cost(child, found))


def resettled(change: Change, settle: Settle, names: list[Name]) -> Iterator[Change]:
    """The moves to the best parents in the slice before, of the variables that a move is about: first those that go."""
    for child, own in change.parents.items():
        best, at = settle(child, own), own
        for parent in sorted(own ^ best, key=lambda parent: (parent in best, names.index(parent[0]))):
            at = at ^ {parent}
            yield Change("add" if parent in best else "remove", edge_of(child, parent), {child: at})


def edge_of(child: Name, parent: Parent) -> Edge:
    """A parent with its lag as an edge of pgmpy's."""
    name, lag = parent
    return (name, 0), (child, lag)


def arrow(edge: Edge) -> str:
    """An edge in words."""
    return " -> ".join(f"({name}, {slice_})" for name, slice_ in edge)

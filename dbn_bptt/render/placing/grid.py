"""Where the variables of a slice stand: a row for each, the same in every slice, and a place beside others on it.

Forward variables stand above what they are computed from. Adjoint variables stand beside them, each below what it is
computed from, so that the two sweeps run up and down next to each other. A variable that another slice reads has a row
to itself; others of the same depth, such as the gates of an LSTM, share one.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Any

import networkx as nx

Key = tuple[Hashable, tuple[int, ...]]  # a variable, or one number of it
Grid = tuple[Mapping[Key, int], Mapping[Key, float]]  # rows from the top, places within a slice from its left
MOST_IN_ROW, MOST_ALONE = 5, 3
_WIDTH = 0.4  # places from its middle that a node takes, about


@dataclass(frozen=True)
class Member:
    """A variable of the slice."""

    kind: str
    block: int  # how many adjoints were taken to get it
    interface: bool  # other slices read it
    recurrent: bool  # it itself does there
    partner: Key | None  # what it is the adjoint of


def grid(members: Mapping[Key, Member], edges: Iterable[tuple[Key, Key]], downward: bool, staggered: bool) -> Grid:
    """Arrange the variables of a slice, given in the order of declaration, by its edges from parents to children.

    Downward, children stand below their parents; staggered, each variable has a row of its own, to the right of its
    parents.
    """
    inside = _acyclic(members, edges)
    rows: dict[Key, int] = {}
    places: dict[Key, float] = {}
    width = 0
    blocks = sorted({member.block for member in members.values()})
    for block in blocks:
        names = [key for key, member in members.items() if member.block == block]
        ranks = _ranks(inside.subgraph(names), names, members)
        layers = _layers(names, ranks, members, staggered)
        x = {key: float(ranks[key]) for key in names} if staggered else _places(layers, inside)
        x = _aligned(x, layers, inside) if len(blocks) == 1 and not staggered else x
        above = {key: -y if block % 2 == 0 else y for y, layer in enumerate(layers) for key in layer}
        # most adjoints stand beside what they are the adjoints of
        gaps = Counter(rows[of] - y for key, y in above.items() if (of := members[key].partner) in rows)
        shift = gaps.most_common(1)[0][0] if gaps else 0
        rows |= {key: y + shift for key, y in above.items()}
        places |= {key: place + width for key, place in x.items()}
        width += 1 + int(max(x.values()))
    if downward:
        rows = {key: -y for key, y in rows.items()}
    top = min(rows.values(), default=0)
    return {key: y - top for key, y in rows.items()}, places


def _acyclic(members: Mapping[Key, Member], edges: Iterable[tuple[Key, Key]]) -> nx.DiGraph:
    """Who depends on whom within a slice; where the first slice turns this round, as it was said first."""
    inside = nx.DiGraph()
    inside.add_nodes_from(members)
    for u, v in edges:
        if u != v and not inside.has_edge(u, v) and not nx.has_path(inside, v, u):
            inside.add_edge(u, v)
    return inside


def _ranks(inside: nx.DiGraph, names: list[Key], members: Mapping[Key, Member]) -> dict[Key, int]:
    """The depth of each variable; what has no parents stands right before its first child, targets after it."""
    ranks: dict[Key, int] = {}
    for v in nx.lexicographical_topological_sort(inside, key=names.index):
        ranks[v] = 1 + max((ranks[u] for u in inside.predecessors(v)), default=-1)
    for _ in range(2):  # a source may move because of another one's child
        for v in names:
            children = [ranks[c] for c in inside.successors(v)]
            if children and not inside.in_degree(v):
                ranks[v] = 1 + max(children) if members[v].kind == "target" else min(children) - 1
            elif members[v].kind == "target" and not children:
                ranks[v] = max(ranks.values())
    low = min(ranks.values())
    return {v: rank - low for v, rank in ranks.items()}


def _layers(
    names: list[Key], ranks: Mapping[Key, int], members: Mapping[Key, Member], staggered: bool
) -> list[list[Key]]:
    """The rows, from the first rank on."""
    layers = []
    for rank in sorted(set(ranks.values())):
        here = [v for v in names if ranks[v] == rank]
        read = [v for v in here if members[v].interface]
        alone = here if staggered else [v for v in read if len(read) < MOST_ALONE or members[v].recurrent]
        alone = alone if len(here) > 1 else []
        shared = [v for v in here if v not in alone]
        layers += [shared[k : k + MOST_IN_ROW] for k in range(0, len(shared), MOST_IN_ROW)]
        layers += [[v] for v in alone]
    return layers


def _places(layers: list[list[Key]], inside: nx.DiGraph) -> dict[Key, float]:
    """Places within the slice: rows centred, their order and those who are alone near their neighbours."""
    width = max(map(len, layers))
    places = {v: (width - len(layer)) / 2 + k for layer in layers for k, v in enumerate(layer)}
    around: Any = inside.to_undirected(as_view=True)
    for _ in range(4):
        for layer in layers:
            near = {v: mean([places[n] for n in around[v] if n in places] or [places[v]]) for v in layer}
            if len(layer) == 1:
                places[layer[0]] = min(max(round(2 * near[layer[0]]) / 2, 0.0), width - 1.0)
                continue
            for k, v in enumerate(sorted(layer, key=lambda v: (near[v], layer.index(v)))):
                places[v] = (width - len(layer)) / 2 + k
    return places


def _aligned(places: dict[Key, float], layers: list[list[Key]], inside: nx.DiGraph) -> dict[Key, float]:
    """Those who are alone brought into the middle, one below the other, where they come into no edge's way by that."""
    middle = (max(map(len, layers)) - 1) / 2
    row = {v: y for y, layer in enumerate(layers) for v in layer}
    alone = [layer[0] for layer in layers if len(layer) == 1 and abs(places[layer[0]] - middle) <= 1]
    for v in alone:
        moved = {**places, v: middle}
        if inside.degree(v) > 1 and _in_the_way(moved, row, inside) <= _in_the_way(places, row, inside):
            places = moved
    for v in alone:  # what has one neighbour stands with it
        near = [n for n in (*inside.predecessors(v), *inside.successors(v)) if n in places]
        if len(near) == 1:
            places = {**places, v: places[near[0]]}
    return places


def _in_the_way(places: Mapping[Key, float], row: Mapping[Key, int], inside: nx.DiGraph) -> int:
    """How many nodes lie on straight edges between others."""
    count = 0
    for u, v in inside.subgraph(places).edges:
        low, high = sorted((row[u], row[v]))
        for n, y in row.items():
            if low < y < high:
                x = places[u] + (places[v] - places[u]) * (y - row[u]) / (row[v] - row[u])
                count += abs(places[n] - x) < _WIDTH
    return count

"""What the equations of a template say of its structure: who depends on whom, within a slice and between slices."""

from collections.abc import Collection, Hashable, Iterable
from itertools import count
from typing import Any

import networkx as nx

from dbn_bptt.template.definitions import every_dependency
from dbn_bptt.template.template import Described, Template


def influence(template: Described) -> nx.DiGraph:
    """Names, with an edge from each one to those whose equations use it, also as a learned initial state."""
    graph = nx.DiGraph()
    graph.add_nodes_from(template.frozen.symbols)
    used = every_dependency(template.frozen.definitions)
    graph.add_edges_from((symbol.name, definition.symbol.name) for definition, _, symbol, _, _ in used)
    graph.add_edges_from((start.name, name) for name, start in template.frozen.learned.items())
    return graph


def upstream(graph: nx.DiGraph, nodes: Iterable[Hashable]) -> set[Any]:
    """Some nodes, and all from which a path leads to one of them."""
    return set().union(*nx.bfs_layers(graph.reverse(copy=False), list(nodes)))


def without(template: Described, names: Collection[str]) -> Template:
    """A template without some targets or inputs, and without all that depends on them."""
    gone = upstream(influence(template).reverse(copy=False), names)
    symbols = template.frozen.symbols
    return template.frozen.rewritten(symbols={name: symbol for name, symbol in symbols.items() if name not in gone})


def parents(template: Described) -> dict[str, list[tuple[str, int]]]:
    """For each variable and total what it depends on: name and lag, parameters left out."""
    found: dict[str, dict[tuple[str, int], None]] = {name: {} for name in template.frozen.definitions}
    for definition, _, symbol, lag, _ in every_dependency(template.frozen.definitions):
        if symbol.timed:
            found[definition.symbol.name][symbol.name, lag] = None
    return {name: list(pairs) for name, pairs in found.items()}


def interface(template: Described) -> list[str]:
    """The variables of a slice that have children in another one: all that slices tell each other."""
    lagged = {name for pairs in parents(template).values() for name, lag in pairs if lag}
    return [name for name in template.names("variable") if name in lagged]


def unused_names(template: Described, ending: str) -> dict[str, str]:
    """For each name a new one that ends so; in ``_bar2`` instead of ``_bar`` where a template has an ``h_bar``."""
    symbols = template.frozen.symbols
    endings = (ending + (str(k) if k > 1 else "") for k in count(1))
    free = next(e for e in endings if not any(name + e in symbols for name in symbols))
    return {name: name + free for name in symbols}

"""Definitions: equations by the slices on which they hold, and the check that they can run in some order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx

from dbn_bptt.errors import TemplateError
from dbn_bptt.template.domains import Domain
from dbn_bptt.template.expressions import Expression, Symbol
from dbn_bptt.template.traversal import dependencies


@dataclass(frozen=True)
class Piece:
    """An equation's right-hand side and the slices on which it holds."""

    domain: Domain
    expression: Expression


@dataclass(frozen=True)
class Definition:
    """All pieces of a variable's or total's equation; their domains do not meet."""

    symbol: Symbol
    pieces: tuple[Piece, ...]
    loss: bool = False


def every_dependency(definitions: Mapping[str, Definition]) -> Iterator[tuple[Definition, int, Symbol, int, Domain]]:
    """Who depends on whom: definition, index of its piece, symbol, lag, domain."""
    for definition in definitions.values():
        for k, piece in enumerate(definition.pieces):
            for symbol, lag, domain in dependencies(piece.expression, piece.domain):
                yield definition, k, symbol, lag, domain


def check_order(definitions: Mapping[str, Definition]) -> None:
    """Refuse equations that would have to run before themselves.

    In the graph of pieces weighted by lag, a cycle whose lags add up to 0 lies inside a slice, and a component with
    cycles of both signs has such a cycle in long sequences. With weights s * lag * (n + 1) - 1 the cycles to refuse for
    direction s are the negative ones.
    """
    pieces = nx.MultiDiGraph()
    for definition, k, symbol, lag, domain in every_dependency(definitions):
        used = definitions.get(symbol.name)
        for j, other in enumerate(used.pieces if used else ()):
            if not (domain.shifted(-lag) & other.domain).is_empty:
                pieces.add_edge((symbol.name, j), (definition.symbol.name, k), lag=lag)
    for component in nx.strongly_connected_components(pieces):
        if len(component) == 1 and not pieces.has_edge(*component, *component):
            continue
        part = pieces.subgraph(component)
        scale = part.number_of_nodes() + 1
        cycles = [_refused_cycle(part, sign * scale) for sign in (1, -1)]
        if all(cycles):
            names = list(dict.fromkeys(name for name, _ in min((c for c in cycles if c), key=len)))
            loop = " -> ".join([*names, names[0]])
            if any(lag < 0 for _, _, lag in part.edges(data="lag")):
                mend = "no order of the slices serves both; let one of them look the other way"
                raise TemplateError(f"the equations of {loop} look at slices before and after in one cycle; {mend}")
            raise TemplateError(f"the equations of {loop} need each other in one slice; use .prev for one of them")


def _refused_cycle(graph: nx.MultiDiGraph, scale: int) -> list[Any] | None:
    """A cycle of negative weight, or None."""

    def weight(u: Any, v: Any, edges: Mapping[int, Mapping[str, int]]) -> int:
        return min(scale * edge["lag"] - 1 for edge in edges.values())

    loops = [u for u in graph if graph.has_edge(u, u) and weight(u, u, graph[u][u]) < 0]
    if loops:
        return loops
    try:
        return list(nx.find_negative_cycle(graph, next(iter(graph)), weight))
    except nx.NetworkXError:
        return None

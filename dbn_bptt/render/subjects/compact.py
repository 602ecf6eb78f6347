"""Compact pictures: variables that only pass a number on are folded into the equation that reads them."""

from dataclasses import replace
from functools import cache
from typing import Any

import networkx as nx

from dbn_bptt.errors import DataError
from dbn_bptt.render.subjects.sources import Source
from dbn_bptt.template.expressions import Expression, Reference
from dbn_bptt.template.traversal import transformed


def compacted(source: Source) -> Source:
    """A source without the variables that pass through.

    A variable passes through where, in every slice, one equation reads it, once and in the same slice, and no name of a
    parameter stands on that edge; what a loss reads is an output and stays. Its edges lead on to the variable that read
    it: they keep their own names and origins, so that a message on one is that of the edge which leaves its parent.
    """
    if source.downward or source.staggered:
        raise DataError(f"compact folds equations into each other, which a {source.name} does not have; leave it out")
    graph, folded = source.graph.copy(), _passing(source.graph)
    substituted = cache(_substituted)  # many slices share an equation
    for node in [node for node in nx.topological_sort(graph) if node in folded]:
        ((_, child),) = graph.out_edges(node)
        at = graph.nodes[child]
        at["equation"] = substituted(at["equation"], graph.nodes[node]["called"], graph.nodes[node]["equation"])
        graph.add_edges_from([(u, child, known) for u, _, known in graph.in_edges(node, data=True)])
        graph.remove_node(node)
    return replace(source, graph=graph, folded=folded)


def _passing(graph: nx.MultiDiGraph) -> frozenset[Any]:
    """The nodes of the variables that pass through."""
    nodes: dict[str, list[Any]] = {}
    for node, at in graph.nodes(data=True):
        if at["kind"] == "variable":
            nodes.setdefault(at["name"], []).append(node)
    return frozenset(node for own in nodes.values() if all(_passes(graph, node) for node in own) for node in own)


def _passes(graph: nx.MultiDiGraph, node: Any) -> bool:
    uses = [(graph.nodes[v]["kind"], at["lag"], at["parameter"]) for _, v, at in graph.out_edges(node, data=True)]
    return uses == [("variable", 0, "")]


def _substituted(rule: Expression, name: str, inner: Expression) -> Expression:
    """An equation with the right-hand side of a variable of the same slice in the place of its name."""

    def leaf(e: Expression) -> Expression:
        return inner if isinstance(e, Reference) and e.symbol.timed and e.name == name and not e.delay else e

    return transformed(rule, leaf)

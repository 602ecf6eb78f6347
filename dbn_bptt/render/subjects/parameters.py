"""Parameters on the page: named on edges, as small copies in every slice, as one node for all, or not at all."""

from dataclasses import replace
from typing import Literal

import networkx as nx

from dbn_bptt.render.subjects.views import Page

Parameters = Literal["labels", "copies", "shared", "plates", "none"]
PARAMETERS = ("labels", "copies", "shared", "plates", "none")


def with_parameters(page: Page, how: Parameters) -> Page:
    """A page whose parameters are drawn in one of these ways, and what is summed for them where they are nodes."""
    if how in ("shared", "plates"):
        return _without_labels(page)
    graph = page.graph.copy()
    ends = [e for e in page.graph.edges(keys=True, data=True) if page.graph.nodes[e[0]]["column"] is None]
    hidden = [
        n for n, at in graph.nodes(data=True) if at["column"] is None or (how != "copies" and at["kind"] == "sum")
    ]
    graph.remove_nodes_from(hidden)
    if how == "copies":
        for u, v, key, attributes in ends:
            if v in graph:
                copy = ("copy", u, graph.nodes[v]["column"])
                at = {name: graph.nodes[v][name] for name in ("t", "column", "time")}
                graph.add_node(copy, **{**page.graph.nodes[u], "kind": "copy", **at})
                graph.add_edge(copy, v, key=key, **attributes)
    placed = replace(page, graph=graph)
    return placed if how == "labels" else _without_labels(placed)


def _without_labels(page: Page) -> Page:
    graph: nx.MultiDiGraph = page.graph.copy()
    nx.set_edge_attributes(graph, "", "parameter")
    return replace(page, graph=graph)

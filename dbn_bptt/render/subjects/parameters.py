"""Parameters on the page: named on edges, as small copies in every slice, as one node for all, or not at all."""

from dataclasses import replace
from typing import Literal

import networkx as nx

from dbn_bptt.render.subjects.choices import one_of
from dbn_bptt.render.subjects.views import Page

Parameters = Literal["labels", "copies", "shared", "plates", "none"]
PARAMETERS = ("labels", "copies", "shared", "plates", "none")


def with_parameters(page: Page, how: Parameters) -> Page:
    """A page whose parameters are drawn in one of these ways, and what is summed for them where they are nodes."""
    one_of("parameters", how, PARAMETERS)
    graph = page.graph.copy()
    if how not in ("shared", "plates"):
        nodes = page.graph.nodes
        hidden = [n for n, at in nodes(data=True) if at["column"] is None or (how != "copies" and at["kind"] == "sum")]
        graph.remove_nodes_from(hidden)
        for u, v, key, attributes in page.graph.out_edges(hidden, keys=True, data=True) if how == "copies" else ():
            if v in graph:
                copy = ("copy", u, nodes[v]["column"])
                at = {name: nodes[v][name] for name in ("t", "column", "time")}
                graph.add_node(copy, **{**nodes[u], "kind": "copy", "stands_for": (u, nodes[v]["t"]), **at})
                graph.add_edge(copy, v, key=key, **attributes)
    if how != "labels":
        nx.set_edge_attributes(graph, "", "parameter")
    return replace(page, graph=graph)

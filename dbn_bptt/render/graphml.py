"""Unrolled graphs as GraphML."""

import networkx as nx

from dbn_bptt.equations import Writer


def graphml(graph: nx.MultiDiGraph) -> str:
    """An unrolled graph as GraphML text, which yEd, Gephi, Cytoscape and networkx read.

    GraphML holds only numbers and text, so the template is left out and each equation is written as text. Nodes are
    called "h[2]" for ("h", 2).

    Examples
    --------
    >>> import networkx as nx, dbn_bptt as db
    >>> text = graphml(db.unroll(db.cells.elman(3, 4, 2), T=2))
    >>> nx.parse_graphml(text, force_multigraph=True).nodes["h[1]"]["equation"]
    'h_1 = tanh(a_1)'
    """
    write = Writer("text")
    plain = nx.MultiDiGraph(name=graph.graph["template"].name, T=graph.graph["T"])
    names = {}
    for node, attributes in graph.nodes(data=True):
        name, t, rule = attributes["name"], attributes["t"], attributes["rule"]
        names[node] = name if t is None else f"{name}[{t}]"
        shape = " x ".join(map(str, attributes["shape"])) or "scalar"
        plain.add_node(names[node], variable=name, kind=attributes["kind"], shape=shape)
        if t is not None:
            plain.nodes[names[node]]["slice"] = t
        if rule is not None:
            plain.nodes[names[node]]["equation"] = (
                f"{write.timed(name, str(t), 0)} = {write.expression(rule, str(t))[0]}"
            )
    for u, v, key, lag in graph.edges(keys=True, data="lag"):
        plain.add_edge(names[u], names[v], key=key, lag=lag)
    return "\n".join(nx.generate_graphml(plain))

"""Graphs as GraphML, with the places of a scene."""

import re
from typing import Any, Unpack

import networkx as nx

from dbn_bptt.render.layout import scene
from dbn_bptt.render.subjects.scene import Options, Scene
from dbn_bptt.render.subjects.words import equation_text
from dbn_bptt.sweep.results import Result


def graphml(obj: Any, **options: Unpack[Options]) -> str:
    """A graph as GraphML text, which yEd, Gephi, Cytoscape and networkx read.

    GraphML holds only numbers and text, so each equation is written as text. A node is called "h[2]" for ("h", 2);
    nodes that are drawn have `x`, `y` and a `label`. All slices are there, unless another `view` is asked for; the
    options are those of `svg`.

    Examples
    --------
    >>> import networkx as nx, dbn_bptt as db
    >>> text = graphml(db.unroll(db.cells.elman(3, 4, 2), T=2))
    >>> nx.parse_graphml(text, force_multigraph=True).nodes["h[1]"]["equation"]
    'h_1 = tanh(a_1)'
    """
    all_slices = options.get("view") is None
    if not isinstance(obj, Scene):
        view, parameters = options.get("view") or "unrolled", options.get("parameters") or "shared"
        options = options | {"view": view, "parameters": parameters}
    picture = scene(obj, **options)
    plain = nx.MultiDiGraph(name=picture.title, T=picture.source.T)
    unrolled = obj.graph if isinstance(obj, Result) else obj
    if isinstance(unrolled, nx.MultiDiGraph) and all_slices and not picture.source.folded:
        _add_unrolled(plain, unrolled)
    _add_scene(plain, picture)
    return "\n".join(nx.generate_graphml(plain))


def _called(name: Any, t: int | None, index: tuple[int, ...] = ()) -> str:
    number = f"({','.join(map(str, index))})" if index else ""
    return f"{_text(name)}{number}" + (f"[{t}]" if t is not None else "")


def _text(name: Any) -> str:
    """A name without the characters that XML has no way to write."""
    return re.sub("[^ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", str(name))


def _add_unrolled(plain: nx.MultiDiGraph, graph: nx.MultiDiGraph) -> None:
    """All nodes and edges of an unrolled graph, the totals and constants that are not drawn too."""
    names = {node: _called(at["name"], at["t"]) for node, at in graph.nodes(data=True)}
    for node, at in graph.nodes(data=True):
        name, t, shape = at["name"], at["t"], " x ".join(map(str, at["shape"])) or "scalar"
        told = {} if t is None else {"slice": t}
        told |= {} if at["rule"] is None else {"equation": equation_text(name, at["rule"], str(t))}
        plain.add_node(names[node], variable=name, kind=at["kind"], shape=shape, **told)
    for u, v, key, lag in graph.edges(keys=True, data="lag"):
        plain.add_edge(names[u], names[v], key=key, lag=lag)


def _add_scene(plain: nx.MultiDiGraph, picture: Scene) -> None:
    """The places of the nodes that are drawn, and the nodes and edges that are not there yet."""
    names: dict[int, str] = {}
    known = set(plain)
    for spot in picture.spots:
        called = _called(spot.name, spot.t, spot.key[1])
        while called in names.values():  # the same node in another block
            called += "'"
        names[spot.id] = called
        told: dict[str, Any] = {} if called in known else {"variable": _text(spot.name), "kind": spot.kind}
        told |= {} if called in known or spot.t is None else {"slice": spot.t}
        rule = picture.source.graph.nodes.get(spot.node, {}).get("equation")
        told |= (
            {} if called in known or rule is None else {"equation": equation_text(str(spot.name), rule, str(spot.t))}
        )
        plain.add_node(called, x=spot.x, y=spot.y, label=_text(spot.label.text), **told)
    for line in picture.lines:
        tail, head = names[line.tail], names[line.head]
        if not known.issuperset((tail, head)):
            weight = {} if line.weight is None else {"weight": line.weight}
            plain.add_edge(tail, head, delay=line.delay, **weight)

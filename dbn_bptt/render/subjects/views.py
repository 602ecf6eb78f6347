"""Which slices are drawn: all of them, the first and last, two slices as a DBN is written, or one slice for all.

A view of a source is a list of columns and a graph of what stands in them; a column is a slice, or the gap that stands
for the slices between two others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx

from dbn_bptt.errors import DataError
from dbn_bptt.render.subjects.sources import Source

View = Literal["rolled", "two-slice", "unrolled", "folded"]
VIEWS = ("rolled", "two-slice", "unrolled", "folded")
MOST_SLICES = 8  # longer graphs are folded unless all of them is asked for


@dataclass(frozen=True)
class Column:
    """A slice on the page, or a gap (t is None). `time` is what its nodes carry, `heading` what stands below it."""

    t: int | None
    time: str
    heading: str


@dataclass(frozen=True)
class Page:
    """What is drawn: nodes in columns, and edges.

    Attributes
    ----------
    graph : as a source's, with the attributes `column`, `time` and, where it has another name, `stands_for` of nodes,
        and `delay` of edges that lead back to the slice that stands for all
    columns : from left to right
    blocks : captions with the columns that they span, first and last
    of_slices : whether each column is a slice of its own, and not one that stands for all
    """

    graph: nx.MultiDiGraph = field(repr=False)
    columns: tuple[Column, ...]
    blocks: tuple[tuple[str, int, int], ...] = ()
    of_slices: bool = True


def page(source: Source, view: View | None) -> Page:
    """A view of a source; the one that suits it, unless one is asked for."""
    if view is not None and view not in VIEWS:
        raise DataError(f"view is {view!r}; it must be one of {', '.join(map(repr, VIEWS))}")
    chosen = view or source.view
    if view is None and chosen == "unrolled" and source.T > MOST_SLICES:
        chosen = "folded"
    return {"rolled": _rolled, "two-slice": _two_slices, "unrolled": _unrolled, "folded": _folded}[chosen](source)


def _signed(t: int) -> str:
    return str(t).replace("-", "\u2212")


def _column(t: int, T: int) -> Column:
    return Column(t, _signed(t), "initial" if t < 0 or t >= T else f"t = {t}")


_GAP = Column(None, "", "")


def _unrolled(source: Source) -> Page:
    present = sorted({t for _, t in source.graph.nodes(data="t") if t is not None})
    return _of_slices(source, [_column(t, source.T) for t in present])


def _folded(source: Source) -> Page:
    """The first three and the last two slices."""
    T = source.T
    present = sorted({t for _, t in source.graph.nodes(data="t") if t is not None})
    first = [_column(t, T) for t in present if t < 3]
    last = [_column(t, T) for t in present if t >= max(3, T - 2)]
    return _of_slices(source, [*first, *([_GAP] if T > 5 else []), *last])


def _of_slices(source: Source, columns: list[Column]) -> Page:
    """Nodes of the slices that are there, and nodes that stand for what lies in the gap."""
    at = {column.t: k for k, column in enumerate(columns) if column.t is not None}
    gap = columns.index(_GAP) if _GAP in columns else None
    found = nx.MultiDiGraph()
    for node, attributes in source.graph.nodes(data=True):
        if attributes["t"] in at or attributes["t"] is None:
            column = at.get(attributes["t"])
            time = columns[column].time if column is not None else ""
            found.add_node(node, **attributes, column=column, time=time)
    for u, v, key, attributes in _edges_at(source.graph, list(found)):
        ends = [node if node in found else _elided(found, source.graph, node, gap) for node in (u, v)]
        if ends[0] in source.graph or ends[1] in source.graph:
            same = found.get_edge_data(*ends, default={})
            if not (same and ends != [u, v]):  # one edge is enough to what stands for many
                found.add_edge(*ends, key=key, **attributes, delay=0)
    return Page(found, tuple(columns))


def _edges_at(graph: nx.MultiDiGraph, nodes: list[Any]) -> Iterator[tuple[Any, Any, int, dict[str, Any]]]:
    """The edges that touch some nodes, without looking at all that parameters reach."""
    kept = set(nodes)
    for v in nodes:
        yield from graph.in_edges(v, keys=True, data=True)
    for u in nodes:
        if graph.nodes[u]["t"] is not None:
            yield from (e for e in graph.out_edges(u, keys=True, data=True) if e[1] not in kept)


def _elided(found: nx.MultiDiGraph, graph: nx.MultiDiGraph, node: Any, gap: int | None) -> Any:
    """The node in the gap that stands for the slices of a variable that are left out."""
    attributes = graph.nodes[node]
    stand_in = ("\u2026", attributes["name"], attributes["index"])
    if stand_in not in found:
        found.add_node(stand_in, **{**attributes, "kind": "elided", "equation": None}, column=gap, time="")
    return stand_in


def _relative(t: int, middle: int) -> str:
    """The name of a slice near the one called t."""
    return "t" if t == middle else f"t{_signed(t - middle)}" if t < middle else f"t+{t - middle}"


def _rolled(source: Source) -> Page:
    """One slice for all; what reads another slice is an edge with a delay."""
    graph, middle = source.graph, source.middle
    chosen: dict[tuple[Any, Any], Any] = {}
    for node, attributes in graph.nodes(data=True):
        if attributes["t"] is not None and attributes["kind"] != "initial":
            key = attributes["name"], attributes["index"]
            best = chosen.get(key)
            if best is None or abs(attributes["t"] - middle) < abs(graph.nodes[best]["t"] - middle):
                chosen[key] = node
    found = nx.MultiDiGraph()
    for node in chosen.values():
        t = graph.nodes[node]["t"]
        time = "t" if t == middle else _signed(t) if t < middle else f"T\u2212{source.T - t}"
        found.add_node(node, **graph.nodes[node], column=0, time=time)
    for node in [n for n, t in graph.nodes(data="t") if t is None]:
        found.add_node(node, **graph.nodes[node], column=None, time="")
    for v in chosen.values():
        for u, _, key, attributes in graph.in_edges(v, keys=True, data=True):
            tail = u if graph.nodes[u]["t"] is None else chosen.get((graph.nodes[u]["name"], graph.nodes[u]["index"]))
            if tail is not None:
                found.add_edge(tail, v, key=key, **attributes, delay=attributes["lag"])
    return Page(found, (Column(middle, "t", "t = 0, \u2026, T\u22121"),), of_slices=False)


def _two_slices(source: Source) -> Page:
    """B0, the first slice, beside B->, a slice given those that it reads; and the last slice, if that has its own."""
    if source.T < 2:
        raise DataError("the two-slice view needs two slices; give T=2 or more")
    graph, middle = source.graph, source.middle
    timed = [n for n, t in graph.nodes(data="t") if t is not None]
    now = [n for n in timed if graph.nodes[n]["t"] == middle]
    first = [n for n in timed if graph.nodes[n]["t"] == 0 or (graph.nodes[n]["t"] < 0 and graph.in_degree(n))]
    usual = {_equation(graph, n) for n in now}
    last = [n for n in timed if graph.nodes[n]["t"] == source.T - 1 and _equation(graph, n) not in usual]
    groups = [
        ("B\u2080: the first slice", first, lambda t: Column(t, _signed(t), "initial" if t < 0 else f"t = {t}")),
        ("B\u2192: every later slice", now, lambda t: Column(t, _relative(t, middle), _relative(t, middle))),
        ("the last slice", last, lambda t: Column(t, *[f"T\u2212{source.T - t}"] * 2)),
    ]
    found, columns, blocks = nx.MultiDiGraph(), list[Column](), []
    found.add_nodes_from((n, {**at, "column": None, "time": ""}) for n, at in graph.nodes(data=True) if at["t"] is None)
    for caption, explained, made in groups:
        if explained:
            begin = len(columns)
            columns += _add_block(found, graph, explained, begin, made)
            blocks.append((caption, begin, len(columns) - 1))
    return Page(found, tuple(columns), tuple(blocks), of_slices=False)


def _equation(graph: nx.MultiDiGraph, node: Any) -> Any:
    """A variable with what it reads, and from how many slices before."""
    read = [(graph.nodes[u]["name"], graph.nodes[u]["index"], lag) for u, _, lag in graph.in_edges(node, data="lag")]
    return graph.nodes[node]["name"], graph.nodes[node]["index"], tuple(sorted(read, key=repr))


def _add_block(
    found: nx.MultiDiGraph, graph: nx.MultiDiGraph, explained: list[Any], begin: int, made: Callable[[int], Column]
) -> list[Column]:
    """Nodes with all their parents, and the edges between them; returns the columns that they take."""
    read = [u for v in explained for u in graph.predecessors(v) if graph.nodes[u]["t"] is not None]
    members = list(dict.fromkeys([*explained, *read]))
    columns = [made(t) for t in sorted({graph.nodes[n]["t"] for n in members})]
    place = {column.t: k for k, column in enumerate(columns)}
    for n in members:
        at = place[graph.nodes[n]["t"]]
        found.add_node((begin, n), **graph.nodes[n], stands_for=n, column=begin + at, time=columns[at].time)
    for v in explained:
        for u, _, key, attributes in graph.in_edges(v, keys=True, data=True):
            found.add_edge((begin, u) if (begin, u) in found else u, (begin, v), key=key, **attributes, delay=0)
    return columns

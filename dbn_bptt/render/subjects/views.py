"""Which slices are drawn: all of them, the first and last, two slices as a DBN is written, or one slice for all.

A view of a source is a list of columns and a graph of what stands in them; a column is a slice, or the gap that stands
for the slices between two others.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx

from dbn_bptt.errors import DataError
from dbn_bptt.render.subjects.choices import one_of
from dbn_bptt.render.subjects.sources import Source

View = Literal["rolled", "two-slice", "unrolled", "folded"]
Slices = Literal["numbers", "relative"]
SLICES = ("numbers", "relative")
VIEWS = ("rolled", "two-slice", "unrolled", "folded")
MOST_SLICES = 8  # longer graphs are folded unless all of them is asked for


@dataclass(frozen=True)
class Column:
    """A slice on the page, or a gap."""

    t: int | None  # None for a gap
    time: str  # what its nodes carry
    heading: str  # what stands below it


@dataclass(frozen=True)
class Page:
    """What is drawn: nodes in columns, and edges.

    Nodes have the attributes of a source's, `column`, `time` and, where they have another name, `stands_for`; edges
    those of a source's and `delay`, which is not 0 where they lead back to the slice that stands for all.
    """

    graph: nx.MultiDiGraph = field(repr=False)
    columns: tuple[Column, ...]
    blocks: tuple[tuple[str, int, int], ...] = ()  # captions with the columns that they span, first and last
    of_slices: bool = True  # each column is a slice of its own, and not one that stands for all


def page(source: Source, view: View | None, slices: Slices = "numbers") -> Page:
    """A view of a source; the one that suits it, unless one is asked for."""
    chosen = view or source.view
    one_of("view", chosen, VIEWS)
    one_of("slices", slices, SLICES)
    if chosen == "rolled":
        return _rolled(source)
    if chosen == "two-slice":
        return _two_slices(source)
    folded = chosen == "folded" or (view is None and source.T > MOST_SLICES)
    if folded and slices == "relative":
        raise DataError(
            "slices='relative' counts from the middle slice, which is folded away; draw fewer slices unfolded"
        )
    return _of_slices(source, folded, slices == "relative")


def _signed(t: int) -> str:
    return str(t).replace("-", "\u2212")


def _numbered(t: int, T: int) -> Column:
    return Column(t, _signed(t), "initial" if t < 0 or t >= T else f"t = {t}")


def _of_slices(source: Source, folded: bool, relative: bool) -> Page:
    """Nodes of the slices that are there, and nodes that stand for what lies in the gap."""
    graph, T = source.graph, source.T
    left_out = range(3, T - 2) if folded else range(0)
    present = sorted({t for _, t in graph.nodes(data="t") if t is not None and t not in left_out})
    columns = [Column(t, *[_relative(t, T // 2)] * 2) if relative else _numbered(t, T) for t in present]
    time = {column.t: column.time for column in columns}
    gap = sum(t < 3 for t in present)
    if left_out:
        columns.insert(gap, Column(None, "", ""))
    column = {c.t: k for k, c in enumerate(columns) if c.t is not None}
    shown = nx.MultiDiGraph()
    for node, at in graph.nodes(data=True):
        if at["t"] is None:
            shown.add_node(node, **at, column=None, time="")
        elif at["t"] in column:
            shown.add_node(node, **at, column=column[at["t"]], time=time[at["t"]])
    kept = dict.fromkeys(shown)
    timed = [node for node in kept if graph.nodes[node]["t"] is not None]  # parameters reach all that is left out
    leaving = [e for e in graph.out_edges(timed, keys=True, data=True) if e[1] not in shown]
    for u, v, key, at in [*graph.in_edges(kept, keys=True, data=True), *leaving]:
        ends = tuple(node if node in kept else _elided(shown, graph, node, gap) for node in (u, v))
        if ends == (u, v) or not shown.has_edge(*ends):  # one edge is enough to what stands for many
            shown.add_edge(*ends, key=key, **at, delay=0)
    return Page(shown, tuple(columns))


def _elided(shown: nx.MultiDiGraph, graph: nx.MultiDiGraph, node: Any, gap: int) -> Any:
    """The node in the gap that stands for the slices of a variable that are left out."""
    at = graph.nodes[node]
    stand_in = ("\u2026", at["name"], at["index"])
    if stand_in not in shown:
        shown.add_node(stand_in, **{**at, "kind": "elided", "equation": None}, column=gap, time="")
    return stand_in


def _relative(t: int, middle: int) -> str:
    """The name of a slice near the one called t."""
    return "t" if t == middle else f"t{_signed(t - middle)}" if t < middle else f"t+{t - middle}"


def _rolled(source: Source) -> Page:
    """One slice for all; what reads another slice is an edge with a delay."""
    graph, middle = source.graph, source.T // 2  # a slice far from both ends stands for all
    nearest: dict[tuple[Any, Any], Any] = {}
    for node, at in graph.nodes(data=True):
        if at["t"] is not None and at["kind"] != "initial":
            variable = at["name"], at["index"]
            best = nearest.get(variable, node)
            nearest[variable] = min(best, node, key=lambda n: abs(graph.nodes[n]["t"] - middle))
    shown = nx.MultiDiGraph()
    for node in nearest.values():
        t = graph.nodes[node]["t"]
        time = "t" if t == middle else _signed(t) if t < middle else f"T\u2212{source.T - t}"
        shown.add_node(node, **graph.nodes[node], column=0, time=time)
    shown.add_nodes_from(_untimed(graph))
    for u, v, key, at in graph.in_edges(list(nearest.values()), keys=True, data=True):
        tail = graph.nodes[u]
        start = u if tail["t"] is None else nearest.get((tail["name"], tail["index"]))
        if start is not None:
            shown.add_edge(start, v, key=key, **at, delay=at["lag"])
    return Page(shown, (Column(middle, "t", "t = 0, \u2026, T\u22121"),), of_slices=False)


def _untimed(graph: nx.MultiDiGraph) -> list[tuple[Any, dict[str, Any]]]:
    """The parameters, as nodes that stand in no column."""
    return [(node, {**at, "column": None, "time": ""}) for node, at in graph.nodes(data=True) if at["t"] is None]


def _two_slices(source: Source) -> Page:
    """B0, the first slice, beside B->, a slice given those that it reads; and the last slice, if that has its own."""
    if source.T < 2:
        raise DataError("the two-slice view needs two slices; give T=2 or more")
    graph, middle = source.graph, source.T // 2  # a slice far from both ends stands for all
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
    shown, columns, blocks = nx.MultiDiGraph(), list[Column](), []
    shown.add_nodes_from(_untimed(graph))
    for caption, explained, column_of in groups:
        if explained:
            begin = len(columns)
            columns += _add_block(shown, graph, explained, begin, column_of)
            blocks.append((caption, begin, len(columns) - 1))
    return Page(shown, tuple(columns), tuple(blocks), of_slices=False)


def _equation(graph: nx.MultiDiGraph, node: Any) -> Any:
    """A variable with what it reads, and from how many slices before."""
    read = [(graph.nodes[u]["name"], graph.nodes[u]["index"], lag) for u, _, lag in graph.in_edges(node, data="lag")]
    return graph.nodes[node]["name"], graph.nodes[node]["index"], tuple(sorted(read, key=repr))


def _add_block(
    shown: nx.MultiDiGraph, graph: nx.MultiDiGraph, explained: list[Any], begin: int, column_of: Callable[[int], Column]
) -> list[Column]:
    """Nodes with all their parents, and the edges between them; returns the columns that they take."""
    read = [u for v in explained for u in graph.predecessors(v) if graph.nodes[u]["t"] is not None]
    members = list(dict.fromkeys([*explained, *read]))
    columns = [column_of(t) for t in sorted({graph.nodes[n]["t"] for n in members})]
    place = {column.t: k for k, column in enumerate(columns)}
    for n in members:
        at = place[graph.nodes[n]["t"]]
        shown.add_node((begin, n), **graph.nodes[n], stands_for=n, column=begin + at, time=columns[at].time)
    for u, v, key, at in graph.in_edges(explained, keys=True, data=True):
        shown.add_edge((begin, u) if (begin, u) in shown else u, (begin, v), key=key, **at, delay=0)
    return columns

"""The scene of an unrolled graph: every node on a fixed grid, every edge a curve that keeps clear of nodes.

x is the slice and y the variable's row, the same in every slice. Inputs lie at the bottom, losses on top. Parameters
are not drawn as nodes: an edge whose argument a parameter multiplies carries its name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np

from dbn_bptt.expressions import Apply, Expression, Reference
from dbn_bptt.kernels import Array
from dbn_bptt.traversal import uses
from dbn_bptt.unroll import Node

COLUMN, ROW, RADIUS, MARGIN = 128.0, 74.0, 19.0, 66.0
MOST_SLICES = 8  # longer graphs are folded: the first slices, an ellipsis, the last ones

Point = tuple[float, float]
Points = tuple[Point, ...]  # cubic Bezier curves one after the other: 4 points, or 7, or 10


@dataclass(frozen=True)
class Spot:
    """A node on the page: its centre, its kind, what it is called and what a reader is told of it."""

    node: Node
    x: float
    y: float
    kind: str
    name: str
    t: int
    title: str


@dataclass(frozen=True)
class Line:
    """An edge on the page: cubic Bezier curves from rim to rim, with the parameter on it and its weight in 0..1."""

    points: Points
    label: str
    weight: float | None
    title: str


@dataclass(frozen=True)
class Scene:
    """What a writer draws."""

    title: str
    width: float
    height: float
    spots: tuple[Spot, ...]
    lines: tuple[Line, ...]
    columns: tuple[tuple[float, str], ...]
    ellipsis: tuple[float, ...]


def scene(graph: nx.MultiDiGraph, messages: Mapping[tuple[Node, Node, int], Array] | None = None) -> Scene:
    """Lay an unrolled graph out; with messages, each edge gets a weight by the norm of its message (log scale)."""
    rows = _rows(graph)
    columns, gaps = _columns(graph)
    height = 2 * MARGIN + ROW * (len(rows) - 1)
    spots = {}
    for node, attributes in graph.nodes(data=True):
        name, t = attributes["name"], attributes["t"]
        if t in columns and name in rows and attributes["kind"] != "copy":
            y = height - MARGIN - ROW * rows[name]
            title = f"{name}, slice {t}: {attributes['kind']}, shape {attributes['shape']}"
            spots[node] = Spot(node, columns[t], y, attributes["kind"], name, t, title)
    weights = _weights(messages, spots) if messages is not None else {}
    lines = [
        _line(spots[u], spots[v], _label(graph, v, key), weights.get((u, v, key)))
        for u, v, key in graph.edges(keys=True)
        if u in spots and v in spots
    ]
    T = graph.graph["T"]
    title = f"{graph.graph['template'].name}, unrolled over {T} slice{'s' if T > 1 else ''}"
    names = tuple((x, _column_name(t, T)) for t, x in columns.items())
    width = max(columns.values()) + MARGIN + 20
    return Scene(title, width, height, tuple(spots.values()), tuple(lines), names, gaps)


def _column_name(t: int, T: int) -> str:
    return "initial" if t < 0 or t >= T else f"t = {t}"


def _rows(graph: nx.MultiDiGraph) -> dict[str, int]:
    """A row for each variable: below what depends on it in the same slice, in the order of declaration."""
    template = graph.graph["template"]
    drawn = [n for n in template.names("input", "variable", "total", "target") if _is_drawn(graph, n)]
    same = nx.DiGraph()
    same.add_nodes_from(drawn)
    for name, definition in template.definitions.items():
        for piece in definition.pieces:
            leaves = [leaf for _, _, leaf in uses(piece.expression) if leaf.delay == 0 and leaf.name in drawn]
            same.add_edges_from((leaf.name, name) for leaf in leaves if leaf.name != name)
    targets = [n for n in drawn if template.symbols[n].kind == "target"]
    place = {n: k for k, n in enumerate(drawn)}
    rank = {"input": 0, "variable": 1, "target": 3, "total": 2}
    order = nx.lexicographical_topological_sort(
        same.subgraph(n for n in drawn if n not in targets), key=lambda n: (rank[template.symbols[n].kind], place[n])
    ) if nx.is_directed_acyclic_graph(same) else iter(n for n in drawn if n not in targets)  # fmt: skip
    return {name: k for k, name in enumerate([*order, *targets])}


def _is_drawn(graph: nx.MultiDiGraph, name: str) -> bool:
    return any((name, t) in graph for t in range(graph.graph["T"]))


def _columns(graph: nx.MultiDiGraph) -> tuple[dict[int, float], tuple[float, ...]]:
    """The x of each slice that is drawn, and of the ellipsis where slices are left out."""
    T = graph.graph["T"]
    present = sorted({t for _, t in graph.nodes(data="t") if t is not None})
    kept = [t for t in present if T <= MOST_SLICES or t < 3 or t >= T - 2]
    columns, gaps, x = {}, [], MARGIN
    for k, t in enumerate(kept):
        if k and t > kept[k - 1] + 1:
            gaps.append(x)
            x += COLUMN
        columns[t] = x
        x += COLUMN
    return columns, tuple(gaps)


def _label(graph: nx.MultiDiGraph, child: Node, key: int) -> str:
    """The parameter that multiplies an argument, if there is one."""
    rule: Expression | None = graph.nodes[child]["rule"]
    user = uses(rule)[key][0] if rule is not None else None
    if isinstance(user, Apply) and user.operation.name == "matmul":
        matrix = user.arguments[0]
        if isinstance(matrix, Reference) and matrix.symbol.kind == "parameter":
            return matrix.name
    return ""


def _line(u: Spot, v: Spot, label: str, weight: float | None) -> Line:
    """An edge from rim to rim."""
    title = f"{u.name}, slice {u.t} to {v.name}, slice {v.t}"
    return Line(_within_slice(u, v) if u.x == v.x else _between_slices(u, v), label, weight, title)


def _within_slice(u: Spot, v: Spot) -> Points:
    """Straight between rows next to each other; over more rows it swings out between the columns."""
    up = math.copysign(RADIUS, v.y - u.y)
    if abs(u.y - v.y) <= ROW + 1:
        start, end = (u.x, u.y + up), (v.x, v.y - up)
        return start, start, end, end
    swing = 1.25 * min(COLUMN / 2 - 8, 30 + 7 * abs(u.y - v.y) / ROW)
    start, end = (u.x + RADIUS * 0.9, u.y + up * 0.45), (v.x + RADIUS * 0.9, v.y - up * 0.45)
    return start, (u.x + swing, u.y + 2 * up), (v.x + swing, v.y - 2 * up), end


def _between_slices(u: Spot, v: Spot) -> Points:
    """Leaves and arrives horizontally; over more than one slice it runs halfway between two rows."""
    ahead = math.copysign(1.0, v.x - u.x)
    start, end = (u.x + ahead * RADIUS, u.y), (v.x - ahead * RADIUS, v.y)
    if abs(v.x - u.x) <= COLUMN + 1:
        return _swung(start, end, ahead * (COLUMN - 2 * RADIUS) * 0.55)
    lane = u.y + math.copysign(ROW / 2, v.y - u.y or -1)
    on, off = (u.x + ahead * COLUMN / 2, lane), (v.x - ahead * COLUMN / 2, lane)
    reach = ahead * (COLUMN / 2 - RADIUS) * 0.55
    return (*_swung(start, on, reach), *_swung(on, off, ahead * COLUMN / 4)[1:], *_swung(off, end, reach)[1:])


def _swung(start: Point, end: Point, reach: float) -> Points:
    """A curve that is horizontal at both ends."""
    return start, (start[0] + reach, start[1]), (end[0] - reach, end[1]), end


def _weights(
    messages: Mapping[tuple[Node, Node, int], Array], spots: Mapping[Node, Spot]
) -> dict[tuple[Node, Node, int], float]:
    """The norms of the messages between drawn nodes on a log scale, from 0 (the least shown) to 1."""
    norms = {e: float(np.linalg.norm(m)) for e, m in messages.items() if e[0] in spots and e[1] in spots}
    largest = max(norms.values(), default=0.0)
    if largest == 0:
        return dict.fromkeys(norms, 0.0)
    return {e: max(0.0, 1 + math.log10(norm / largest) / 6) if norm > 0 else 0.0 for e, norm in norms.items()}

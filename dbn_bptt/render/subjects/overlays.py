"""What a result puts on a picture: numbers in nodes and on edges, widths by the norms of messages, evidence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.colors import LIGHT, PARAMETER_KINDS, heat_color
from dbn_bptt.render.subjects.inference import Inference
from dbn_bptt.render.subjects.sources import Source
from dbn_bptt.sweep.results import Result

Show = Literal["values", "adjoints", "messages"]

CELL, BAR, BARS = 9.0, 13.0, 20.0  # px: a number in a heat map, the width of a probability's bar, its height
CARD_FOOT = 8.0  # px below the numbers in a node
_RIM = 4.0  # px that numbers on an edge are larger than their cells
MOST_CELLS = 24  # in a row of a heat map; of more, the largest of each block is shown


@dataclass(frozen=True)
class Cell:
    """A filled rectangle for a number: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float
    number: float
    color: str


@dataclass(frozen=True)
class Heat:
    """Numbers as cells, or probabilities as bars.

    Attributes
    ----------
    rows : the numbers, from -1 to 1 of the largest, or probabilities
    largest : the absolute value that 1 stands for
    bars : whether they are probabilities
    """

    rows: tuple[tuple[float, ...], ...]
    largest: float
    bars: bool = False

    def cells(self, x: float, low: float) -> list["Cell"]:
        """The cells or bars around x, the lowest ones ending at y = low."""
        columns, rows = self.size
        left = x - columns * self.pitch / 2
        numbers = [
            (left + k * self.pitch, i, number) for i, row in enumerate(self.rows) for k, number in enumerate(row)
        ]
        if self.bars:
            tall = [max(BARS * number, 0.8) for *_, number in numbers]
            return [Cell(x + 1, low - h, BAR - 2, h, p, LIGHT.blue) for h, (x, _, p) in zip(tall, numbers, strict=True)]
        size = CELL - 0.6
        return [Cell(x, low - (rows - i) * CELL, size, size, n, heat_color(n)) for x, i, n in numbers]

    @property
    def pitch(self) -> float:
        """px from number to number."""
        return BAR if self.bars else CELL

    @property
    def on_edge(self) -> tuple[float, float]:
        """The px that it takes on an edge."""
        columns, rows = self.size
        return columns * CELL + _RIM, rows * CELL + _RIM

    @property
    def size(self) -> tuple[int, int]:
        """How many columns and rows there are."""
        return len(self.rows[0]), len(self.rows)


def heat(array: Array, largest: float, sequence: bool) -> Heat:
    """The numbers of an array as a heat map; of a batch, those of its first sequence."""
    shown = np.asarray(array[0] if sequence else array, float)
    flat = shown.reshape(-1, shown.shape[-1]) if shown.ndim > 1 else shown.reshape(1, -1)
    for axis in (0, 1):
        flat = _pooled(flat, axis)
    scaled = np.clip(flat / (largest or 1.0), -1, 1)
    return Heat(tuple(tuple(round(float(x), 3) for x in row) for row in scaled), largest)


def bars(probabilities: Array) -> Heat:
    """Probabilities as bars."""
    return Heat((tuple(round(float(p), 4) for p in probabilities),), 1.0, bars=True)


def _pooled(rows: Array, axis: int) -> Array:
    """At most so many cells along an axis: of each block the number that is largest in absolute value."""
    if rows.shape[axis] <= MOST_CELLS:
        return rows
    blocks = np.array_split(rows, MOST_CELLS, axis)
    picked = [np.take_along_axis(b, np.expand_dims(np.abs(b).argmax(axis), axis), axis) for b in blocks]
    return np.concatenate(picked, axis)


def scale(arrays: list[Array]) -> float:
    """The largest absolute value that is finite, which heat maps of one kind share."""
    return max((float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in arrays), default=0.0)


def weights(norms: Mapping[Any, float]) -> dict[Any, float]:
    """Norms on a log scale from 0 to 1: from the smallest to the largest, over one power of ten at least, eight at
    most."""
    there = [norm for norm in norms.values() if norm > 0 and math.isfinite(norm)]
    if not there:
        return dict.fromkeys(norms, 0.0)
    decades = min(max(math.log10(max(there) / min(there)), 1.0), 8.0)
    low = math.log10(max(there)) - decades
    return {e: min(1.0, max(0.0, (math.log10(n) - low) / decades)) if n > 0 else 0.0 for e, n in norms.items()}


@dataclass(frozen=True)
class Overlay:
    """What is put on nodes and edges, by those of the graph that was given.

    Attributes
    ----------
    nodes, edges : numbers in nodes and on edges
    norms : the sizes of the messages on edges; empty where nothing is known
    path : the nodes of a path that is marked, one after the other
    observed : the nodes of a dynamic network that evidence fixes
    truncate : after how many slices truncated BPTT cuts; 0: never
    """

    nodes: Mapping[Any, Heat] = field(default_factory=dict)
    edges: Mapping[Any, Heat] = field(default_factory=dict)
    norms: Mapping[Any, float] = field(default_factory=dict)
    path: tuple[Any, ...] = ()
    observed: frozenset[Any] = frozenset()
    truncate: int = 0

    def marks(self, u: Any, v: Any) -> bool:
        """Whether an edge lies on the marked path."""
        return (u, v) in zip(self.path, self.path[1:], strict=False)


def of_inference(inference: Inference) -> Overlay:
    """Observed nodes, and posterior probabilities in all."""
    nodes = {(name, t): bars(row) for name, rows in inference.posterior.items() for t, row in enumerate(rows)}
    observed = {
        (name, t) for name, a in inference.likelihoods.items() for t in np.flatnonzero((a != 1).any(-1)).tolist()
    }
    return Overlay(nodes=nodes, observed=frozenset(observed))


def of_result(source: Source, graph: nx.MultiDiGraph, show: Show | None) -> Overlay:
    """The norms of a result's messages, and its numbers if they are asked for; only of what is drawn."""
    result = source.result
    if show is not None and result is None:
        raise DataError(f"show={show!r} needs numbers; draw the result of bptt(template, parameters, data)")
    if show not in (None, "values", "adjoints", "messages"):
        raise DataError(f"show is {show!r}; it must be 'values', 'adjoints' or 'messages'")
    edges = [e for _, _, e in graph.edges(data="origin")]
    if result is None:
        found = {
            e: w for _, _, at in graph.edges(data=True) for e, w in [(at["origin"], at["weight"])] if w is not None
        }
        return Overlay(norms=found)
    sent = {e: result.messages.edge[e] for e in edges if e in result.messages.edge}
    norms = {e: float(np.linalg.norm(m)) for e, m in sent.items()}
    if show == "messages":
        return Overlay(edges=_heats(sent, result, source.graph, of_edges=True), norms=norms)
    arrays = {"values": result.values.node, "adjoints": result.messages.adjoint, None: {}}[show]
    drawn = [at.get("stands_for", v) for v, at in graph.nodes(data=True)]
    return Overlay(nodes=_heats({v: arrays[v] for v in drawn if v in arrays}, result, source.graph), norms=norms)


def _heats(
    arrays: Mapping[Any, Array], result: Result, graph: nx.MultiDiGraph, of_edges: bool = False
) -> dict[Any, Heat]:
    """Heat maps on one scale."""
    of_terms = {key for key in arrays if not of_edges and key in graph and graph.nodes[key]["kind"] == "term"}
    largest = scale([a for key, a in arrays.items() if key not in of_terms])  # losses are on another scale
    return {
        key: heat(a, largest, sequence=bool(result.values.given.batch) and _is_of_sequences(graph, key, of_edges))
        for key, a in arrays.items()
    }


def _is_of_sequences(graph: nx.MultiDiGraph, key: Any, of_edges: bool) -> bool:
    """Whether an array has an axis for the batch in front."""
    node = key[0] if of_edges else key
    return node in graph and graph.nodes[node]["kind"] not in ("term", "sum", *PARAMETER_KINDS)

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

Show = Literal["values", "adjoints", "messages"]

CELL, BAR, BARS = 9.0, 13.0, 20.0  # px: a number in a heat map, the width of a probability's bar, its height
CARD_FOOT = 8.0  # px below the numbers in a node
RIM = 4.0  # px that numbers on an edge are larger than their cells
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
    """Numbers as cells, or probabilities as bars."""

    rows: tuple[tuple[float, ...], ...]  # from -1 to 1 of the largest, or probabilities
    largest: float  # the absolute value that 1 stands for
    bars: bool = False

    def cells(self, x: float, low: float) -> list[Cell]:
        """The cells or bars around x, the lowest ones ending at y = low."""
        left, size = x - self.width / 2, CELL - 0.6
        cells = []
        for up, row in zip(range(len(self.rows), 0, -1), self.rows, strict=True):
            for k, number in enumerate(row):
                if self.bars:
                    tall = max(BARS * number, 0.8)
                    cells.append(Cell(left + k * BAR + 1, low - tall, BAR - 2, tall, number, LIGHT.blue))
                else:
                    cells.append(Cell(left + k * CELL, low - up * CELL, size, size, number, heat_color(number)))
        return cells

    @property
    def width(self) -> float:
        """The px of a row."""
        return len(self.rows[0]) * (BAR if self.bars else CELL)

    @property
    def height(self) -> float:
        """The px of all rows of cells."""
        return len(self.rows) * CELL


def heat(array: Array, largest: float) -> Heat:
    """The numbers of an array as a heat map."""
    rows = np.atleast_2d(np.asarray(array, float))
    rows = rows.reshape(-1, rows.shape[-1])
    for axis in (0, 1):
        rows = _pooled(rows, axis)
    scaled = np.clip(rows / (largest or 1.0), -1, 1).tolist()
    return Heat(tuple(tuple(round(x, 3) for x in row) for row in scaled), largest)


def _pooled(rows: Array, axis: int) -> Array:
    """At most so many cells along an axis: of each block the number that is largest in absolute value."""
    if rows.shape[axis] <= MOST_CELLS:
        return rows
    blocks = np.array_split(rows, MOST_CELLS, axis)
    picked = [np.take_along_axis(b, np.expand_dims(np.abs(b).argmax(axis), axis), axis) for b in blocks]
    return np.concatenate(picked, axis)


def weights(norms: Mapping[Any, float]) -> dict[Any, float]:
    """Norms on a log scale from 0 to 1, which spans one power of ten at least and eight at most."""
    there = [norm for norm in norms.values() if norm > 0 and math.isfinite(norm)]
    if not there:
        return dict.fromkeys(norms, 0.0)
    decades = min(max(math.log10(max(there) / min(there)), 1.0), 8.0)
    low = math.log10(max(there)) - decades
    return {e: min(1.0, max(0.0, (math.log10(n) - low) / decades)) if n > 0 else 0.0 for e, n in norms.items()}


@dataclass(frozen=True)
class Overlay:
    """What is put on nodes and edges, by those of the graph that was given."""

    nodes: Mapping[Any, Heat] = field(default_factory=dict)
    edges: Mapping[Any, Heat] = field(default_factory=dict)
    norms: Mapping[Any, float] = field(default_factory=dict)  # of the messages on edges, where they are known
    path: tuple[Any, ...] = ()  # the nodes of the path that is marked, one after the other
    observed: frozenset[Any] = frozenset()  # the nodes of a dynamic network that evidence fixes
    truncate: int = 0  # after how many slices truncated BPTT cuts; 0: never


def of_inference(inference: Inference) -> Overlay:
    """Observed nodes, and posterior probabilities in all."""
    nodes = {
        (name, t): Heat((tuple(round(p, 4) for p in probabilities),), 1.0, bars=True)
        for name, rows in inference.posterior.items() for t, probabilities in enumerate(rows.tolist())
    }  # fmt: skip
    return Overlay(nodes=nodes, observed=inference.observed)


def of_result(source: Source, graph: nx.MultiDiGraph, show: Show | None) -> Overlay:
    """The norms of a result's messages, and its numbers if they are asked for; only of what is drawn."""
    result = source.result
    if show is not None and result is None:
        raise DataError(f"show={show!r} needs numbers; draw the result of bptt(template, parameters, data)")
    if show not in (None, "values", "adjoints", "messages"):
        raise DataError(f"show is {show!r}; it must be 'values', 'adjoints' or 'messages'")
    if result is None:
        weighted = graph.edges(data=True)
        return Overlay(norms={at["origin"]: at["weight"] for *_, at in weighted if at["weight"] is not None})
    sent = {e: result.messages.edge[e] for *_, e in graph.edges(data="origin") if e in result.messages.edge}
    norms = {e: float(np.linalg.norm(m)) for e, m in sent.items()}
    batched = bool(result.values.given.batch)
    kinds = dict(source.graph.nodes(data="kind"))
    if show == "messages":
        return Overlay(edges=_heats(sent, {e: kinds.get(e[0], "copy") for e in sent}, batched), norms=norms)
    arrays = {"values": result.values.node, "adjoints": result.messages.adjoint, None: {}}[show]
    drawn = [at.get("stands_for", v) for v, at in graph.nodes(data=True)]
    return Overlay(nodes=_heats({v: arrays[v] for v in drawn if v in arrays}, kinds, batched), norms=norms)


def _heats(arrays: Mapping[Any, Array], kinds: Mapping[Any, str], batched: bool) -> dict[Any, Heat]:
    """Heat maps on one scale; of a batch, those of its first sequence where an array has an axis for it in front."""
    compared = [a[np.isfinite(a)] for key, a in arrays.items() if kinds[key] != "term"]  # losses are on another scale
    largest = max((float(np.abs(a).max(initial=0.0)) for a in compared), default=0.0)
    summed = ("term", "sum", *PARAMETER_KINDS)
    return {key: heat(a[0] if batched and kinds[key] not in summed else a, largest) for key, a in arrays.items()}

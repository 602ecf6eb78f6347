"""The guided tour of the explorer: its stops, each with a step, what is chosen there, and a few sentences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.explorer.wording import FEW, array, by_slice, listed, named, norm, number, summed
from dbn_bptt.render.subjects.scene import Scene, Spot
from dbn_bptt.sweep.results import Edge, Result
from dbn_bptt.sweep.unroll import Node
from dbn_bptt.template.structure import interface

Stop = dict[str, Any]
CHAPTERS = {  # of the book, by what a stop is about
    "slice": "01_one_slice", "messages": "02_messages", "gradients": "03_gradients", "far": "06_far_back",
    "markov": "07_hidden_markov", "networks": "08_any_network",
}  # fmt: skip
ROUNDING = 1e-12  # relative; below it a sum is 0


@dataclass(frozen=True)
class Drawn:
    """A run as the page has it: what is drawn of it, and at which step it is known."""

    result: Result
    spots: tuple[Spot, ...]
    lines: Mapping[Any, int]  # the ids of edges
    states: Sequence[str]  # what slices tell each other
    forward: Sequence[int]  # the ids of the nodes that the sweeps come to
    backward: Sequence[int]
    credit: Mapping[str, Any]

    @property
    def T(self) -> int:
        """The number of slices."""
        return self.result.values.given.T

    @property
    def turn(self) -> int:
        """The step at which the forward sweep ends."""
        return len(self.forward)

    @property
    def last(self) -> int:
        """The step at which the reverse sweep ends."""
        return len(self.forward) + len(self.backward)

    @cached_property
    def ids(self) -> dict[Node, int]:
        """The ids of nodes."""
        return {spot.node: spot.id for spot in self.spots}

    @cached_property
    def names(self) -> dict[Node, str]:
        """The names of nodes."""
        return {spot.node: spot.label.text for spot in self.spots}

    def computed(self, names: Iterable[Any] | None = None) -> list[Node]:
        """The nodes that are computed, of some variables or of all, in the order of the forward sweep."""
        wanted = None if names is None else set(names)
        nodes = {spot.id: spot.node for spot in self.spots if wanted is None or spot.name in wanted}
        return [nodes[n] for n in self.forward if n in nodes]

    def known(self, node: Node) -> int:
        """The step at which a node gets its value."""
        return self.forward.index(self.ids[node]) + 1

    def answered(self, node: Node) -> int:
        """The step at which a node gets its adjoint."""
        return self.turn + self.backward.index(self.ids[node]) + 1

    def messages(self, node: Node) -> list[tuple[Edge, Array]]:
        """The messages other than zero that a node receives."""
        sent = self.result.messages.edge
        return [(e, sent[e]) for e in self.result.graph.out_edges(node, keys=True) if e in sent and np.any(sent[e])]


def drawn(result: Result, picture: Scene, content: Mapping[str, Any]) -> Drawn:
    """A run with its picture and the content of its page."""
    return Drawn(
        result=result,
        spots=tuple(spot for spot in picture.spots if spot.node in result.graph),
        lines={line.origin: line.id for line in picture.lines},
        states=interface(result.template),
        **{name: content[name] for name in ("forward", "backward", "credit")},
    )


def stop(title: str, chapter: str, step: int, *sentences: str, **where: Any) -> Stop:
    """A stop; where says what is chosen or marked: a node, an edge or a section."""
    text = " ".join(filter(None, sentences))
    return {"title": title, "chapter": CHAPTERS[chapter], "step": step, "text": text, **where}


def tour(run: Drawn) -> list[Stop]:
    """The stops of a run of BPTT; those that it has no example of are left out."""
    stops = [_given(run), _value(run), _loss(run), first_message(run), fan_in(run), _sum_over_time(run)]
    return in_order([*stops, _far_back(run), _as_inference(run)])


def in_order(stops: Iterable[Stop | None]) -> list[Stop]:
    """The stops that there are, by their steps."""
    return sorted(filter(None, stops), key=lambda found: found["step"])


def _given(run: Drawn) -> Stop:
    kinds = {kind: list(dict.fromkeys(s.name for s in run.spots if s.kind == kind)) for kind in ("input", "target")}
    kinds["initial state"] = [spot.label.text for spot in run.spots if spot.kind == "initial"]
    kinds["parameter"] = list(run.result.gradients)
    given = [named(kind, names) for kind, names in kinds.items() if names]
    return stop(
        "What is given", "slice", 0,
        f"Time runs in {run.T} slices, all with the same equations." if run.T > 1 else "Here is one slice of time.",
        f"Given are {listed(given)}." if given else "",
        "A parameter is the same in every slice." if run.result.gradients else "", "All else is computed.",
    )  # fmt: skip


def _value(run: Drawn) -> Stop | None:
    nodes = run.computed(run.states) or run.computed()
    if not nodes:
        return None
    node = nodes[0]
    parents = dict.fromkeys(run.names[parent] for parent in run.result.graph.predecessors(node) if parent in run.names)
    source = f" from {listed(parents)}" if parents else ""
    return stop(
        "A value", "slice", run.known(node),
        f"{run.names[node]} is computed{source}: {array(run.result.values[node])}.",
        "In the forward sweep a node has its turn once all its parents have values.", node=run.ids[node],
    )  # fmt: skip


def _loss(run: Drawn) -> Stop:
    terms = [node for node, kind in run.result.graph.nodes(data="kind") if kind == "term"]
    total = number(run.result.loss)
    if len(terms) == 1:
        said = f"The loss is its one term, {total}."
    else:
        several = f": {summed([run.result.values[node] for node in terms])} = " if len(terms) <= FEW else ", "
        said = f"The loss is the sum of its {len(terms)} terms{several}{total}."
    return stop(
        "The loss", "slice", run.turn, "The forward sweep ends here: every node has its value.", said,
        "The reverse sweep asks how much the loss changes as any of the values does.",
    )  # fmt: skip


def first_message(run: Drawn) -> Stop | None:
    term = next((spot for spot in run.spots if run.backward and spot.id == run.backward[0]), None)
    if term is None or term.kind != "term":
        return None
    sent = run.result.messages.edge
    arriving = run.result.graph.in_edges(term.node, keys=True)
    edges = [e for e in arriving if e in run.lines and e[0] in run.computed() and np.any(sent.get(e, 0.0))]
    if not edges:
        return None
    own, parent = term.label.text, run.names[edges[0][0]]
    return stop(
        "The first message", "messages", run.turn + 1,
        f"The reverse sweep begins at {own}. The loss changes by as much as its term does, so the adjoint here is 1.",
        f"{own} sends its parent {parent} the message {array(sent[edges[0]])}: its adjoint, times the derivative of "
        f"{own} in {parent}.", edge=run.lines[edges[0]],
    )  # fmt: skip


def fan_in(run: Drawn) -> Stop | None:
    """A node that sums few messages: a state if there is one, in the middle of what is drawn."""
    counts = {node: len(run.messages(node)) for node in run.computed() if run.ids[node] in run.backward}
    several = {node: n for node, n in counts.items() if n > 1}
    of_states = {node: n for node, n in several.items() if node[0] in run.states} or several
    if not of_states:
        return None
    nodes = [node for node, n in of_states.items() if n == min(of_states.values())]
    node = nodes[len(nodes) // 2]
    name, sent, adjoint = run.names[node], run.messages(node), run.result.messages.adjoint[node]
    cancel = np.max(np.abs(adjoint)) < ROUNDING * max(np.max(np.abs(message)) for _, message in sent)
    parts = [f"{array(message)} from {run.names.get(edge[1], 'slices that are not drawn')}" for edge, message in sent]
    return stop(
        "A sum of messages", "gradients", run.answered(node),
        f"{name} is used in {len(sent)} places and receives {len(sent)} messages: {listed(parts)}.",
        f"Their sum, {'0 as they cancel' if cancel else array(adjoint)}, is its adjoint: the derivative of the loss, "
        f"summed over all paths from {name} to it.", node=run.ids[node],
    )  # fmt: skip


def _sum_over_time(run: Drawn) -> Stop | None:
    norms = {name: shares(run, name) for name in run.result.gradients}
    name = max(norms, key=lambda name: len(norms[name]), default=None)
    if name is None or len(norms[name]) < 2:
        return None
    return stop(
        "One parameter, many slices", "gradients", run.last,
        f"{name} is one parameter that many slices use, and each sends it a share of its gradient: of norm "
        f"{by_slice(norms[name])}.",
        f"The gradient is the sum of the shares over time; its norm is "
        f"{number(norm(run.result.gradients[name]))}.", section="gradients",
    )  # fmt: skip


def shares(run: Drawn, name: str) -> dict[int, float]:
    """The norms of what slices send to a parameter, by slice."""
    sums: dict[int, Array] = {}
    for (parent, child, _), message in run.result.messages.edge.items():
        t = run.result.graph.nodes[child]["t"]
        if name == (parent if isinstance(parent, str) else parent[0]) and t is not None:
            sums[t] = sums.get(t, 0.0) + message
    return {t: norm(sums[t]) for t in sorted(sums)}


def _far_back(run: Drawn) -> Stop | None:
    adjoint, end = run.result.messages.adjoint, run.T - 1
    norms = {name: [norm(adjoint.get((name, t), 0.0)) for t in (end, 0)] for name in run.states}
    name = next((name for name in run.states if all(norms[name])), None)
    if name is None or run.T < 3:
        return None
    one = next(((p, rows[end]) for p, rows in run.credit.items() if rows[end][end] and rows[end][0]), None)
    return stop(
        "Far back", "far", run.last,
        f"The adjoint of {name} has norm {number(norms[name][0])} in slice {end}, {number(norms[name][1])} in slice 0.",
        "On its way back a message is multiplied by the Jacobian of each node that it passes, and products of many "
        "Jacobians vanish or explode like powers.",
        f"The loss of slice {end} alone has a gradient of norm {number(one[1][end])} in that slice's copy of {one[0]}, "
        f"and of {number(one[1][0])} in the copy of slice 0." if one else "", section="norms",
    )  # fmt: skip


def _as_inference(run: Drawn) -> Stop:
    return stop(
        "The same as inference", "markov", run.last,
        "The forward algorithm of a hidden Markov model is such a sweep, with \u2212log p(evidence) as its loss. Its "
        "reverse sweep is the backward algorithm: what reaches the forward message \u03b1 is minus the backward "
        "message \u03b2, and the gradients are posteriors.",
        "All of it follows from the equations of one slice, like these.", section="equations",
    )  # fmt: skip

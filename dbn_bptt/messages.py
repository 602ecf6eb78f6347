"""The two sweeps over the unrolled graph: values forwards, messages backwards.

`forward` visits the nodes in topological order and computes each from its parents. `backward` visits them in reverse:
a node sums the messages on its out-edges into its adjoint, dL/dnode, and sends each parent the vector-Jacobian product
of its equation. A parameter is a parent in every slice, so the sum over time in its gradient is ordinary fan-in. This
is back-propagation through time, as dynamic programming on the graph.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from tqdm import tqdm

from dbn_bptt.adjoint import pullback
from dbn_bptt.data import Arrays, Given, given, initial_slices, roots
from dbn_bptt.errors import DataError, TemplateError, unknown_name
from dbn_bptt.expressions import Expression, Symbol, reference, uses
from dbn_bptt.kernels import Array, Shape
from dbn_bptt.ragged import is_ragged, ragged, with_lengths
from dbn_bptt.tape import Tape, tape
from dbn_bptt.template import SliceTemplate
from dbn_bptt.unroll import Node, arguments, unroll

Edge = tuple[Node, Node, int]


@dataclass(frozen=True)
class Values:
    """What the forward sweep put on the nodes: ``values["h", 2]``, ``values["W"]``.

    Attributes
    ----------
    node : dict from node to array; with axis B in front for timed nodes in a batch
    given : the checked input
    loss : the sum of all losses over slices and batch, in nats for cross-entropies
    """

    graph: nx.MultiDiGraph = field(repr=False)
    node: Mapping[Node, Array] = field(repr=False)
    given: Given = field(repr=False)
    loss: float

    def __getitem__(self, node: Any) -> Array:
        return _at(self.node, node, self.given.T)

    def stack(self, name: str) -> Array:
        """The values of a variable in all slices, (T, ...)."""
        return np.stack([self[name, t] for t in range(self.given.T)])


@dataclass(frozen=True)
class Messages:
    """What the reverse sweep sent.

    Attributes
    ----------
    adjoint : dict from node to dL/dnode, of the shape of the node's value
    edge : dict from (parent, child, key) to the message that child sends parent, the parent's share of dL through it.
        None is sent to targets and constants.
    gradients : dict from parameter to its gradient
    input_gradients : dict from input to its gradient, (T, ...)
    initial_gradients : dict from variable to the gradient of its initial state, in the shape in which that was given
    """

    adjoint: Mapping[Node, Array] = field(repr=False)
    edge: Mapping[Edge, Array] = field(repr=False)
    gradients: Mapping[str, Array] = field(repr=False)
    input_gradients: Mapping[str, Array] = field(repr=False)
    initial_gradients: Mapping[str, Array] = field(repr=False)
    slices: int

    def stack(self, name: str) -> Array:
        """The adjoints of a variable in all slices, (T, ...)."""
        return np.stack([_at(self.adjoint, (name, t), self.slices) for t in range(self.slices)])

    def per_slice(self, parameter: str) -> Array:
        """The message into a parameter from each slice, the gradient of its copy there: (T, ...), with the gradient
        as its sum. What initial slices send counts with the slice next to them."""
        if parameter not in self.gradients:
            raise unknown_name(parameter, self.gradients, "parameter")
        rows = np.zeros((self.slices, *self.gradients[parameter].shape), self.gradients[parameter].dtype)
        for (parent, child, _), message in self.edge.items():
            if parent == parameter:
                rows[min(max(int(child[1]), 0), self.slices - 1)] += message
        return rows


@dataclass(frozen=True)
class Result:
    """Graph, values and messages of one run of BPTT."""

    graph: nx.MultiDiGraph = field(repr=False)
    values: Values = field(repr=False)
    messages: Messages = field(repr=False)

    @property
    def loss(self) -> float:
        """The sum of all losses over slices and batch."""
        return self.values.loss

    @property
    def gradients(self) -> Mapping[str, Array]:
        """The gradients of the parameters."""
        return self.messages.gradients

    def __repr__(self) -> str:
        found = self.values.given
        size = f"T={found.T}" + (f", B={found.batch[0]}" if found.batch else "")
        norms = ", ".join(f"|d{name}| = {np.linalg.norm(g):.4g}" for name, g in self.gradients.items())
        return f"BPTT of {self.graph.graph['template'].name!r}, {size}: loss = {self.loss:.6g}; {norms}"


def forward(
    graph: nx.MultiDiGraph,
    parameters: Arrays,
    data: Arrays | None = None,
    *,
    initial: Arrays | None = None,
    lengths: Any = None,
    progress: bool = False,
) -> Values:
    """Compute every node from its parents, in topological order.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        From `unroll`.
    parameters : dict of arrays
    data : dict of arrays
        Inputs (T[, B], n) and targets: class indices (T[, B]), or values (T[, B], K).
    initial : dict of arrays, optional
        Initial states by variable, of its shape or with an axis B in front.
    lengths : array (B,), optional
        The length of each sequence of a ragged batch; the graph must be that of ``db.ragged(template)``.
    progress : bool
        Show a progress bar.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate("decay")
    >>> w, h = t.parameter("w", ()), t.variable("h", ())
    >>> t.define(h, w * h.prev)
    >>> t.loss("L", h, at="last")
    >>> values = db.forward(db.unroll(t, 3), {"w": 0.2}, initial={"h": 0.9})
    >>> round(float(values["h", 2]), 6), round(values.loss, 6)
    (0.0072, 0.0072)
    """
    template, T = graph.graph["template"], graph.graph["T"]
    found = _given(template, parameters, data, initial, lengths, T)
    node: dict[Node, Array] = dict(roots(template, found))
    tapes = _Tapes(found)
    with np.errstate(all="ignore"):
        for v in _shown(nx.topological_sort(graph), len(graph), "values", progress):
            if v not in node:
                node[v] = tapes.value(graph.nodes[v], [node[u] for u in arguments(graph, v)])
    return Values(graph, node, found, float(sum(node[name] for name in template.losses)))


def backward(graph: nx.MultiDiGraph, values: Values, *, progress: bool = False) -> Messages:
    """Send messages from every node to its parents, in reverse topological order.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate("decay")
    >>> w, h = t.parameter("w", ()), t.variable("h", ())
    >>> t.define(h, w * h.prev)
    >>> t.loss("L", h, at="last")
    >>> graph = db.unroll(t, 3)
    >>> messages = db.backward(graph, db.forward(graph, {"w": 0.2}, initial={"h": 0.9}))
    >>> round(float(messages.gradients["w"]), 6), messages.per_slice("w").round(6).tolist()
    (0.108, [0.036, 0.036, 0.036])
    """
    losses = _losses(graph)
    tapes = _Tapes(values.given)
    adjoint: dict[Node, Array] = {}
    edge: dict[Edge, Array] = {}
    for v in _shown(reversed(list(nx.topological_sort(graph))), len(graph), "messages", progress):
        arriving = [edge[v, child, key] for child, keys in graph.succ[v].items() for key in keys if (v, child, key) in edge]
        if v in losses:
            arriving.append(np.ones_like(values.node[v]))
        adjoint[v] = _sum(arriving, values.node[v])
        if arriving:
            parents = arguments(graph, v)
            arrays = [values.node[u] for u in parents]
            for key, message in tapes.messages(graph.nodes[v], arrays, values.node[v], adjoint[v]):
                edge[parents[key], v, key] = message
    return _messages(graph, values, adjoint, edge)


def bptt(
    template: SliceTemplate,
    parameters: Arrays,
    data: Arrays | None = None,
    *,
    initial: Arrays | None = None,
    lengths: Any = None,
    T: int | None = None,
    copies: bool = False,
    progress: bool = False,
) -> Result:
    """Unroll a template, sweep forwards and sweep backwards.

    Parameters
    ----------
    template : SliceTemplate
    parameters, data, initial, lengths, progress
        As in `forward`; with lengths the template is made `ragged`.
    T : int, optional
        The number of slices, where no data tell it.
    copies : bool
        As in `unroll`.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> x, y = np.ones((5, 3)), np.array([0, 1, 0, 1, 1])
    >>> result = db.bptt(rnn, rnn.initial_parameters(seed=0), {"x": x, "y": y})
    >>> result.gradients["W"].shape, result.messages.adjoint["h", 4].shape
    ((4, 4), (4,))
    """
    if lengths is not None and not is_ragged(template):
        template = ragged(template)
    found = _given(template, parameters, data, initial, lengths, T)
    graph = unroll(template, found.T, copies=copies)
    values = forward(graph, parameters, data, initial=initial, lengths=lengths, progress=progress)
    return Result(graph, values, backward(graph, values, progress=progress))


def _given(
    template: SliceTemplate, parameters: Arrays, data: Arrays | None, initial: Arrays | None, lengths: Any, T: int | None
) -> Given:
    data = with_lengths(template, data or {}, lengths, T)
    return given(template, parameters, data, initial, T)


def _losses(graph: nx.MultiDiGraph) -> set[Node]:
    template = graph.graph["template"]
    if not template.losses:
        raise TemplateError(f"template {template.name!r} has no loss to send messages from; add .loss(...)")
    return set(template.losses)


def _shown(nodes: Iterable[Node], total: int, title: str, progress: bool) -> Iterable[Node]:
    shown: Iterable[Node] = tqdm(nodes, total=total, desc=title, leave=False) if progress else nodes
    return shown


def _at(table: Mapping[Node, Array], node: Any, T: int) -> Array:
    """The entry of a node, or an error that says which slices there are."""
    if node in table:
        return table[node]
    names = list(dict.fromkeys(n if isinstance(n, str) else n[0] for n in table))
    name = node[0] if isinstance(node, tuple) else node
    if name not in names:
        raise unknown_name(name, names, "name")
    slices = [n[1] for n in table if isinstance(n, tuple) and n[0] == name]
    if not slices:
        raise DataError(f"{name!r} has no slices; use [{name!r}]")
    raise DataError(f"{node!r}: T is {T}, so t runs from {min(slices)} to {max(slices)}; write [{name!r}, t]")


def _sum(arrays: list[Array], like: Array) -> Array:
    """The sum of the messages; zeros where none arrives."""
    if len(arrays) < 2:
        return arrays[0] if arrays else np.zeros_like(like)
    total = arrays[0] + arrays[1]
    for array in arrays[2:]:
        total += array
    return np.asarray(total)


class _Tapes:
    """The programs of the equations, written once for all slices that share one."""

    def __init__(self, found: Given):
        self.found = found
        self.values: dict[Expression, Tape] = {}
        self.pulls: dict[tuple[Expression, str], tuple[Tape, list[int]]] = {}

    def value(self, attributes: Mapping[str, Any], parents: list[Array]) -> Array:
        """The value of a node from those of its parents."""
        rule = attributes["rule"]
        if rule is None:  # a copy, or a total
            return _sum(parents, np.zeros(attributes["shape"], self.found.dtype))
        if rule not in self.values:
            leaves = [leaf for _, _, leaf in uses(rule)]
            self.values[rule] = tape([rule], leaves, self.found.batch, self.found.dtype)
        (value,) = self.values[rule](parents)
        return self._batched(value, attributes)

    def messages(
        self, attributes: Mapping[str, Any], parents: list[Array], value: Array, adjoint: Array
    ) -> list[tuple[int, Array]]:
        """The messages of a node to its parents, by argument position."""
        rule = attributes["rule"]
        if rule is None:
            return [(key, adjoint) for key in range(len(parents))]
        memo = rule, attributes["name"]
        if memo not in self.pulls:
            self.pulls[memo] = self._pull(rule, attributes["name"])
        pull, keys = self.pulls[memo]
        sent = zip(keys, pull([*parents, value, adjoint]), strict=True)
        return [(key, self._spread(message, parents[key])) for key, message in sent]

    def _pull(self, rule: Expression, name: str) -> tuple[Tape, list[int]]:
        places = uses(rule)
        own = reference(Symbol(name, rule.shape, "variable"))
        seed = reference(Symbol(f"adjoint of {name}", rule.shape, "variable"))
        messages, _ = pullback(rule, own, seed)
        keys = [
            key for key, (user, position, leaf) in enumerate(places)
            if (user, position) in messages and leaf.symbol.kind not in ("target", "constant")
        ]  # fmt: skip
        wanted = [messages[places[key][0], places[key][1]] for key in keys]
        leaves = [*(leaf for _, _, leaf in places), own, seed]
        return tape(wanted, leaves, self.found.batch, self.found.dtype), keys

    def _batched(self, value: Array, attributes: Mapping[str, Any]) -> Array:
        if attributes["kind"] == "term" or value.shape == self.found.batch + attributes["shape"]:
            return value
        return np.broadcast_to(value, self.found.batch + attributes["shape"])

    def _spread(self, message: Array, parent: Array) -> Array:
        return message if message.shape == parent.shape else np.broadcast_to(message, parent.shape)


def _messages(
    graph: nx.MultiDiGraph, values: Values, adjoint: dict[Node, Array], edge: dict[Edge, Array]
) -> Messages:
    """Collect the gradients from the adjoints of the roots."""
    template, found = graph.graph["template"], values.given
    silent = [v for v, kind in graph.nodes(data="kind") if kind in ("target", "constant")]
    for v in silent:
        del adjoint[v]
    inputs = {name: np.stack([adjoint[name, t] for t in range(found.T)]) for name in template.names("input")}
    return Messages(
        adjoint=adjoint,
        edge=edge,
        gradients={name: adjoint[name] for name in template.names("parameter")},
        input_gradients=inputs,
        initial_gradients=_initial_gradients(template, found, adjoint),
        slices=found.T,
    )


def _initial_gradients(template: SliceTemplate, found: Given, adjoint: Mapping[Node, Array]) -> dict[str, Array]:
    """The adjoints of the initial slices, in the shape in which the states were given."""
    gradients: dict[str, Array] = {}
    for name, reach in template.reaches().items():
        if name in found.initial and template.symbols[name].kind != "target":
            slices = initial_slices(template, name, reach, found.T)
            rows: list[Array] = [adjoint[name, t] for t in slices]
            shape: Shape = found.initial_shapes[name]
            core = template.symbols[name].shape
            batched = len(shape) > len(core) + (len(slices) > 1)
            summed = rows if batched or not found.batch else [row.sum(0) for row in rows]
            gradients[name] = np.stack(summed).reshape(shape)
    return gradients

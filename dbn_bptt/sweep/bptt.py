"""The two sweeps over the unrolled graph: values forwards, messages backwards.

`forward` visits the nodes in topological order and computes each from its parents. `backward` visits them in reverse:
a node sums the messages on its out-edges into its adjoint, dL/dnode, and sends each parent the vector-Jacobian product
of its equation. A parameter is a parent in every slice, so the sum over time in its gradient is ordinary fan-in. This
is back-propagation through time, as dynamic programming on the graph.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx
import numpy as np
from tqdm import tqdm

from dbn_bptt.errors import DataError, NotANumberError, TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.given import Arrays, Given, check_mapping, given, initial_slices, roots
from dbn_bptt.sweep.results import Messages, Result, Table, Values
from dbn_bptt.sweep.steps import LocalSteps, added
from dbn_bptt.sweep.unroll import Node, arguments, unroll
from dbn_bptt.template.template import SliceTemplate
from dbn_bptt.transforms.ragged import is_ragged, ragged, with_lengths


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
    template = _template(graph)
    found = checked(template, parameters, data, initial, lengths, graph.graph["T"])
    return evaluate(graph, found, progress)


def evaluate(graph: nx.MultiDiGraph, given: Given, progress: bool = False) -> Values:
    """The forward sweep on checked input."""
    template = graph.graph["template"]
    node = Table(roots(template, given))
    local = LocalSteps(given)
    for v in _shown(nx.topological_sort(graph), len(graph), "values", progress):
        if v not in node:
            node[v] = local.value(v, graph.nodes[v], [node[u] for u in arguments(graph, v)])
    values = Values(graph, node, given, float(sum(node[name] for name in template.losses)))
    if np.isnan(values.loss):
        raise _not_a_number(next(v for v in nx.topological_sort(graph) if np.isnan(node[v]).any()), "value")
    return values


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
    if not isinstance(values, Values):
        raise DataError(f"backward takes the values of forward, not {type(values).__name__}")
    if values.graph is not graph:
        raise DataError("these values belong to another graph; give backward the graph that forward was given")
    adjoint, edge = swept(graph, values, {v: np.ones_like(values.node[v]) for v in _losses(graph)}, progress)
    return _messages(graph, values, adjoint, edge)


def swept(
    graph: nx.MultiDiGraph, values: Values, seeds: Mapping[Node, Array], progress: bool = False
) -> tuple[Table, Table]:
    """The reverse sweep from some nodes: the adjoint of every node, and the message on every edge that has one."""
    local = LocalSteps(values.given)
    adjoint, edge = Table(), Table()
    for v in _shown(reversed(list(nx.topological_sort(graph))), len(graph), "messages", progress):
        arriving = [edge[e] for child, keys in graph.succ[v].items() for k in keys if (e := (v, child, k)) in edge]
        if v in seeds:
            arriving.append(seeds[v])
        adjoint[v] = added(arriving, values.node[v])
        if arriving:
            parents = arguments(graph, v)
            arrays = [values.node[u] for u in parents]
            for key, message in local.messages(v, graph.nodes[v], arrays, values.node[v], adjoint[v]):
                edge[parents[key], v, key] = message
    return adjoint, edge


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
    if not isinstance(template, SliceTemplate):
        raise DataError(f"bptt takes a SliceTemplate, such as cells.elman(3, 4, 2), not {type(template).__name__}")
    if lengths is not None and not is_ragged(template):
        template = ragged(template)
    found = checked(template, parameters, data, initial, lengths, T)
    graph = unroll(template, found.T, copies=copies)
    values = evaluate(graph, found, progress)
    return Result(graph, values, backward(graph, values, progress=progress))


def _template(graph: nx.MultiDiGraph) -> SliceTemplate:
    if not isinstance(graph, nx.MultiDiGraph) or "template" not in graph.graph:
        raise DataError(f"give a graph from unroll(template, T), not {type(graph).__name__}, or call bptt")
    template: SliceTemplate = graph.graph["template"]
    return template


def _not_a_number(v: Node, what: str) -> NotANumberError:
    mend = "its equation or its derivative is not defined there (a logarithm, a division, infinities?)"
    return NotANumberError(f"the {what} of {v!r} is NaN; {mend}; look at the values of its parents")


def checked(
    template: SliceTemplate,
    parameters: Arrays,
    data: Arrays | None,
    initial: Arrays | None,
    lengths: Any,
    T: int | None,
) -> Given:
    """What a computation is given, checked before any work."""
    data = {} if data is None else data
    check_mapping("inputs and targets", data)
    data = with_lengths(template, data, lengths, T)
    return given(template, parameters, data, initial, T)


def _losses(graph: nx.MultiDiGraph) -> set[Node]:
    template = _template(graph)
    if not template.losses:
        raise TemplateError(f"template {template.name!r} has no loss to send messages from; add .loss(...)")
    return set(template.losses)


def _shown(nodes: Iterable[Node], total: int, title: str, progress: bool) -> Iterable[Node]:
    shown: Iterable[Node] = tqdm(nodes, total=total, desc=title, leave=False) if progress else nodes
    return shown


def _messages(graph: nx.MultiDiGraph, values: Values, adjoint: Table, edge: Table) -> Messages:
    """Collect the gradients from the adjoints of the roots."""
    template, found = graph.graph["template"], values.given
    silent = [v for v, kind in graph.nodes(data="kind") if kind in ("target", "constant")]
    for v in silent:
        del adjoint[v]
    if any(np.isnan(adjoint[name]).any() for name in template.names("parameter")):
        raise _not_a_number(next(v for v, g in adjoint.items() if np.isnan(g).any()), "adjoint")
    inputs = Table({name: np.stack([adjoint[name, t] for t in range(found.T)]) for name in template.names("input")})
    return Messages(
        adjoint=adjoint,
        edge=edge,
        gradients=Table({name: adjoint[name].copy() for name in template.names("parameter")}),
        input_gradients=inputs,
        initial_gradients=_initial_gradients(template, found, adjoint),
        slices=found.T,
    )


def _initial_gradients(template: SliceTemplate, found: Given, adjoint: Mapping[Node, Array]) -> dict[str, Array]:
    """The adjoints of the initial slices, in the shape in which the states were given."""
    gradients = Table()
    for name, reach in template.reaches().items():
        if name in found.initial and template.symbols[name].kind != "target":
            slices = initial_slices(template, name, reach, found.T)
            gradients[name] = gathered([adjoint[name, t] for t in slices], template, name, found)
    return gradients


def gathered(rows: list[Array], template: SliceTemplate, name: str, found: Given) -> Array:
    """Adjoints of initial slices in the shape of the initial state; one for the whole batch gets their sum."""
    shape, core = found.initial_shapes[name], template.symbols[name].shape
    batched = len(shape) > len(core) + (len(rows) > 1)
    shared = rows if batched or not found.batch else [row.sum(0) for row in rows]
    return np.stack(shared).reshape(shape)

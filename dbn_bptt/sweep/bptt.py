"""Back-propagation through time: a template unrolled, swept forwards, and swept backwards."""

from collections.abc import Iterable
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError, TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.given import Arrays, Given, admitted, checked
from dbn_bptt.sweep.results import Messages, Result, Table, Values
from dbn_bptt.sweep.sweeps import evaluate, not_a_number, swept
from dbn_bptt.sweep.unroll import unroll
from dbn_bptt.template.template import Described, Template


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
    if not isinstance(graph, nx.MultiDiGraph) or "template" not in graph.graph:
        raise DataError(f"give a graph from unroll(template, T), not {type(graph).__name__}, or call bptt")
    given = checked(graph.graph["template"], parameters, data, initial, lengths, graph.graph["T"])
    return evaluate(graph, given, progress)


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
    losses = values.template.losses
    if not losses:
        raise TemplateError(f"template {values.template.name!r} has no loss to send messages from; add .loss(...)")
    adjoint, edge = swept(graph, values, {v: np.ones_like(values.node[v]) for v in losses}, progress)
    return _messages(values, adjoint, edge)


def bptt(
    template: Described,
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
    of, given = admitted(template, parameters, data, initial, lengths, T, who="bptt")
    return swept_both_ways(of, given, copies, progress)


def swept_both_ways(template: Template, given: Given, copies: bool = False, progress: bool = False) -> Result:
    """`bptt` on checked input."""
    graph = unroll(template, given.T, copies=copies)
    values = evaluate(graph, given, progress)
    return Result(graph, values, backward(graph, values, progress=progress))


def _messages(values: Values, adjoint: Table, edge: Table) -> Messages:
    """Collect the gradients from the adjoints of the roots."""
    template, given = values.template, values.given
    for v, kind in values.graph.nodes(data="kind"):
        if kind in ("target", "constant"):
            del adjoint[v]
    if any(np.isnan(adjoint[name]).any() for name in template.names("parameter")):
        raise not_a_number(next(v for v, g in adjoint.items() if np.isnan(g).any()), "adjoint")

    def stacked(name: str, slices: Iterable[int]) -> Array:
        return np.stack([adjoint[name, t] for t in slices])

    initial = [name for name in given.initial if template.symbols[name].kind != "target"]
    starts = {name: stacked(name, template.initial_slices(name, given.T)) for name in initial}
    return Messages(
        adjoint=adjoint,
        edge=edge,
        gradients=Table({name: adjoint[name].copy() for name in template.names("parameter")}),
        input_gradients=Table({name: stacked(name, range(given.T)) for name in template.names("input")}),
        initial_gradients=Table({name: given.state(name, rows) for name, rows in starts.items()}),
        slices=given.T,
    )

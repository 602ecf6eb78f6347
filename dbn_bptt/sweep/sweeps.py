"""The two sweeps over the unrolled graph: values forwards, messages backwards.

The forward sweep visits the nodes in topological order and computes each from its parents. The reverse sweep visits
them in reverse: a node sums the messages on its out-edges into its adjoint, dL/dnode, and sends each parent the
vector-Jacobian product of its equation. A parameter is a parent in every slice, so the sum over time in its gradient is
ordinary fan-in. This is back-propagation through time, as dynamic programming on the graph.
"""

from collections.abc import Mapping

import networkx as nx
import numpy as np
from tqdm import tqdm

from dbn_bptt.errors import NotANumberError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.given import Given, roots
from dbn_bptt.sweep.results import Table, Values
from dbn_bptt.sweep.steps import LocalSteps, added
from dbn_bptt.sweep.unroll import Node, arguments


def evaluate(graph: nx.MultiDiGraph, given: Given, progress: bool = False) -> Values:
    """The forward sweep on checked input."""
    template = graph.graph["template"]
    node = Table(roots(template, given))
    local = LocalSteps(given)
    for v in tqdm(nx.topological_sort(graph), "values", len(graph), leave=False, disable=not progress):
        if v not in node:
            node[v] = local.value(v, graph.nodes[v], [node[u] for u in arguments(graph, v)])
    values = Values(graph, node, given, float(sum(node[name] for name in template.losses)))
    if np.isnan(values.loss):
        raise not_a_number(next(v for v in nx.topological_sort(graph) if np.isnan(node[v]).any()), "value")
    return values


def swept(
    graph: nx.MultiDiGraph, values: Values, seeds: Mapping[Node, Array], progress: bool = False
) -> tuple[Table, Table]:
    """The reverse sweep from some nodes: the adjoint of every node, and the message on every edge that has one."""
    local = LocalSteps(values.given)
    adjoint, edge = Table(), Table()
    for v in tqdm(list(nx.topological_sort(graph))[::-1], "messages", leave=False, disable=not progress):
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


def not_a_number(v: Node, what: str) -> NotANumberError:
    """The error for a node whose value or adjoint is NaN."""
    mend = "its equation or its derivative is not defined there (a logarithm, a division, infinities?)"
    return NotANumberError(f"the {what} of {v!r} is NaN; {mend}; look at the values of its parents")

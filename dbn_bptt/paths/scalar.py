"""The weighted scalar graph: one node for each number, one edge for each partial derivative.

On it a gradient is a sum over paths of products of edge weights (Bauer 1974), and at the same time the solution of a
triangular system: (I - A') adjoint = e with A the weighted adjacency matrix.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.paths.structure import dependence, messages
from dbn_bptt.sweep.results import Values
from dbn_bptt.sweep.steps import LocalSteps
from dbn_bptt.sweep.unroll import Node, arguments
from dbn_bptt.template.expressions import Expression

Scalar = tuple[str, int | None, tuple[int, ...]]  # name, slice (None for parameters and totals), index


def linearize(graph: nx.MultiDiGraph, values: Values) -> nx.DiGraph:
    """The scalar graph of an unrolled graph at some values.

    Its nodes are ``("h", 2, (0,))``: name, slice (None for parameters and totals) and index; its edges have a `weight`,
    the local derivative, and a `lag`. There is an edge wherever an equation depends on a number, though the derivative
    may be 0 at these values. How many paths there are depends on the graph's granularity: one node for each named
    variable.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate("decay")
    >>> w, h = t.parameter("w", ()), t.variable("h", ())
    >>> t.define(h, w * h.prev)
    >>> t.loss("L", h, at="last")
    >>> graph = db.unroll(t, 3)
    >>> scalars = linearize(graph, db.forward(graph, {"w": 0.2}, initial={"h": 0.9}))
    >>> round(path_sum(scalars, ("w", None, ()), ("L", None, ())), 6)
    0.108
    """
    if not isinstance(values, Values):
        raise DataError(f"linearize takes the values of forward (result.values of bptt), not {type(values).__name__}")
    if values.graph is not graph:
        raise DataError("these values belong to another graph; give linearize the graph that forward was given")
    if values.given.batch:
        raise DataError("the scalar graph is that of one sequence; give data without the axis of a batch")
    scalars = nx.DiGraph()
    numbers = {v: _numbers(graph.nodes[v]) for v in nx.topological_sort(graph)}
    for of_one in numbers.values():
        scalars.add_nodes_from(of_one)
    local = LocalSteps(values.given)
    known: dict[Expression, list[Array]] = {}
    for v in filter(graph.in_degree, numbers):
        parents, rule = arguments(graph, v), graph.nodes[v]["rule"]
        if rule is not None and rule not in known:
            known[rule] = dependence(rule, local)
        steps = jacobians(local, graph, v, [values.node[u] for u in parents], values.node[v])
        for key, jacobian in steps.items():
            u = parents[key]
            lag = graph.edges[u, v, key]["lag"]
            for i, j in np.argwhere((jacobian != 0) | (rule is not None and known[rule][key])):
                _add_edge(scalars, numbers[u][j], numbers[v][i], float(jacobian[i, j]), lag)
    return scalars


def _numbers(node: Mapping[str, Any]) -> list[Scalar]:
    return [(node["name"], node["t"], index) for index in np.ndindex(*node["shape"])]


def _add_edge(scalars: nx.DiGraph, source: Scalar, sink: Scalar, weight: float, lag: int) -> None:
    """An edge; a number that an equation uses twice has one, with the sum."""
    before = scalars.get_edge_data(source, sink, {"weight": 0.0})["weight"]
    scalars.add_edge(source, sink, weight=before + weight, lag=lag)


def jacobians(
    local: LocalSteps, graph: nx.MultiDiGraph, v: Node, arrays: list[Array], value: Array
) -> dict[int, Array]:
    """For each argument the derivatives of all numbers of a node, (numbers of the node, numbers of the argument)."""
    adjoints = np.eye(value.size, dtype=value.dtype).reshape(value.size, *value.shape)
    return messages(local, v, graph.nodes[v], arrays, value, adjoints)


def paths_between(scalars: nx.DiGraph, source: Scalar, target: Scalar) -> Iterator[list[Scalar]]:
    """All paths from one number to another, one after the other.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 3.0), ("a", "c", 1.0)])
    >>> list(paths_between(scalars, "a", "c"))
    [['a', 'b', 'c'], ['a', 'c']]
    """
    for node in (source, target):
        if node not in scalars:
            raise DataError(f"{node!r} is no node; nodes are (name, slice or None, index), as ('h', 2, (0,))")
    return iter(nx.all_simple_paths(scalars, source, target))


def path_sum(scalars: nx.DiGraph, source: Scalar, target: Scalar) -> float:
    """The derivative of one number with respect to another: the sum over all paths, by enumeration.

    There are exponentially many; see `linearize` for an example and `adjoint_solve` for all derivatives at once.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 3.0), ("a", "c", 1.0)])
    >>> path_sum(scalars, "a", "c")
    7.0
    """
    return sum(path_weight(scalars, path) for path in paths_between(scalars, source, target))


def path_weight(scalars: nx.DiGraph, path: list[Scalar]) -> float:
    """The product of the weights along a path.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 3.0), ("a", "c", 1.0)])
    >>> path_weight(scalars, ["a", "b", "c"])
    6.0
    """
    return float(np.prod([scalars.edges[edge]["weight"] for edge in nx.utils.pairwise(path)]))


def adjoint_solve(scalars: nx.DiGraph, target: Scalar) -> dict[Scalar, float]:
    """The derivative of one number with respect to every other, as one sparse triangular solve.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 3.0), ("a", "c", 1.0)])
    >>> adjoint_solve(scalars, "c")
    {'a': 7.0, 'b': 3.0, 'c': 1.0}
    """
    import scipy.sparse
    import scipy.sparse.linalg

    if target not in scalars:
        raise DataError(f"{target!r} is no node of the graph")
    order = list(nx.topological_sort(scalars))
    weights = nx.to_scipy_sparse_array(scalars, order, weight="weight", format="csr")
    system = scipy.sparse.identity(len(order), format="csr") - weights  # upper triangular in topological order
    seed = np.zeros(len(order))
    seed[order.index(target)] = 1
    adjoints = scipy.sparse.linalg.spsolve_triangular(scipy.sparse.csr_array(system), seed, lower=False)
    return dict(zip(order, adjoints.tolist(), strict=True))

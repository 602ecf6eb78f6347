"""Chapter 4: back-propagation and automatic differentiation."""

from functools import partial

import numpy as np

from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.ops import softmax
from dbn_bptt.paths import adjoint_solve


def vjp_softmax(y, g):
    """The message (K,) that y = softmax(o) sends to o, when g = dL/dy (K,) has arrived at y."""
    return y * (g - g @ y)


def adjoints(edges, loss):
    """A dict from all nodes to dL/dnode. Edges are (parent, child, derivative of child in parent), in topological order.

    Every edge stands after all edges into its parent. The adjoint of the loss, one of the nodes, is 1; that of a node
    which does not act on it is 0.
    """
    adjoint = {node: 0.0 for edge in edges for node in edge[:2]}
    adjoint[loss] = 1.0
    for parent, child, derivative in reversed(edges):
        adjoint[parent] += derivative * adjoint[child]
    return adjoint


def _differences(y, g):
    """By central differences of softmax."""
    o, step = np.log(y), 1e-5
    rows = [(softmax(o + step * e) - softmax(o - step * e)) / (2 * step) for e in np.eye(len(o))]
    return np.array([row @ g for row in rows])


def _solved(edges, loss):
    """By a triangular system."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_weighted_edges_from(edges)
    return {node: float(a) for node, a in adjoint_solve(graph, loss).items()}


def _drawn(rng):
    pairs = ["wp", "xp", "xq", "pq", "pr", "qr", "qL", "rL", "rz", "Lz", "wz"]
    return [
        (u, v, float(rng.uniform(0.5, 2)))
        for u, v in sorted(pairs, key=lambda pair: ["wxpqrLz".index(c) for c in pair])
    ], "L"


def _reverse(edges, loss, put):
    """The sweep with something wrong in it."""
    adjoint = {node: 0.0 for edge in edges for node in edge[:2]}
    adjoint[loss] = 1.0
    for parent, child, derivative in reversed(edges):
        adjoint[parent] = put(adjoint[parent], derivative, adjoint[child])
    return adjoint


def _started(edges, loss, start):
    adjoint = dict.fromkeys(_nodes(edges), start) | {loss: 1.0}
    for parent, child, derivative in reversed(edges):
        adjoint[parent] += derivative * adjoint[child]
    return adjoint


def _nodes(edges):
    return dict.fromkeys(node for edge in edges for node in edge[:2])


def _forwards(edges, loss):
    adjoint = {node: 0.0 for edge in edges for node in edge[:2]}
    adjoint[loss] = 1.0
    for parent, child, derivative in edges:
        adjoint[parent] += derivative * adjoint[child]
    return adjoint


EXERCISES = (
    Exercise(
        solution=vjp_softmax,
        truth=_differences,
        draw=lambda rng: (rng.dirichlet(np.ones(4)), rng.normal(size=4)),
        mistakes={
            "the Jacobian is not diagonal: raising one logit lowers all other outputs": lambda y, g: y * (1 - y) * g,
            "the sum over outputs is missing: y * g is what the exponentials send, before they are divided by their sum": lambda y, g: (
                y * g
            ),
            "the sign is turned": lambda y, g: y * (g @ y - g),
            "this is g minus its mean under y; it is multiplied by y once more": lambda y, g: g - g @ y,
        },
    ),
    Exercise(
        solution=adjoints,
        truth=_solved,
        draw=_drawn,
        mistakes={
            "messages overwrite each other; a parent of several children adds them up": lambda edges, loss: _reverse(
                edges, loss, lambda old, d, a: d * a
            ),
            "every node starts with 1; only the loss does": partial(_started, start=1.0),
            "edges are visited forwards: a child has to have all its messages before it sends its own": _forwards,
            "derivatives are added along a path; they multiply": lambda edges, loss: _reverse(
                edges, loss, lambda old, d, a: old + d + a
            ),
            "the local derivative is left out: this counts paths": lambda edges, loss: _reverse(
                edges, loss, lambda old, d, a: old + a
            ),
        },
    ),
)

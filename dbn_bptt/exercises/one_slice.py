"""Chapter 1: one slice, unrolled."""

import numpy as np

from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.exercises.networks import parameters, swept
from dbn_bptt.sweep.unroll import unroll
from dbn_bptt.template.builder import SliceTemplate


def unrolled_edges(edges, T):
    """The set of edges ((parent, s), (child, t)) of T slices, from edges (parent, child, delay) of one slice.

    A child of slice t = 0..T-1 has its parent in slice s = t - delay. Parents before
    slice 0, in slices -1, -2 and so on, are initial states and belong to the set.
    """
    return {((parent, t - delay), (child, t)) for parent, child, delay in edges for t in range(T)}


def run(W, U, b, x):
    """The states h_t = tanh(b + W h_{t-1} + U x_t) as an array (T, H), from h_{-1} = 0 and inputs x (T, n)."""
    h, states = np.zeros(len(b)), []
    for t in range(len(x)):
        h = np.tanh(b + W @ h + U @ x[t])
        states.append(h)
    return np.array(states)


def _graph(edges, T):
    """By the package: a template with these edges."""
    names = dict.fromkeys(name for parent, child, _ in edges for name in (parent, child))
    children = {child for _, child, _ in edges}
    t = SliceTemplate("edges")
    symbol = {name: t.variable(name, ()) if name in children else t.input(name, ()) for name in names}
    for child in sorted(children):
        parents = [symbol[p].lag(delay) if delay else symbol[p] for p, c, delay in edges if c == child]
        t.define(symbol[child], sum(parents[1:], parents[0]) * 1.0)
    t.loss("L", symbol[edges[-1][1]])
    return {(u, v) for u, v in unroll(t, T).edges() if "L" not in (u[0], v[0])}


SLICES = (
    ([("x", "a", 0), ("h", "a", 1), ("a", "h", 0)], 3),
    ([("x", "h", 0), ("h", "h", 1), ("h", "h", 2), ("h", "o", 0)], 4),
    ([("x", "h", 0), ("o", "h", 1), ("h", "o", 0)], 2),
)


def _states(W, U, b, x):
    theta = {"W": W, "U": U, "b": b, "V": np.zeros((1, len(b))), "c": np.zeros(1)}
    return swept(theta, x, np.ones((len(x), 1))).values.stack("h")


def _network(rng):
    theta = parameters(rng)
    return theta["W"], theta["U"], theta["b"], rng.normal(size=(4, 2))


def _driven(W, U, b, x, before=0.0, squash=np.tanh):
    """A run with something wrong in it."""
    h, states = np.zeros(len(b)) + before, []
    for row in x:
        h = squash(b + W @ h + U @ row)
        states.append(h)
    return np.array(states)


EXERCISES = (
    Exercise(
        solution=unrolled_edges,
        truth=_graph,
        draw=SLICES,
        mistakes={
            "the parents of slice 0 in the slice before are missing; the initial state is a node too, in slice -1": lambda edges, T: {
                ((p, t - d), (c, t)) for p, c, d in edges for t in range(T) if t >= d
            },
            "every edge stays within its slice; a delay d leads from slice t - d to slice t": lambda edges, T: {
                ((p, t), (c, t)) for p, c, d in edges for t in range(T)
            },
            "edges with a delay run backwards in time; the parent is in the earlier slice": lambda edges, T: {
                ((p, t + d), (c, t)) for p, c, d in edges for t in range(T)
            },
            "there is a slice too many; T slices are t = 0..T-1": lambda edges, T: {
                ((p, t - d), (c, t)) for p, c, d in edges for t in range(T + 1)
            },
        },
    ),
    Exercise(
        solution=run,
        truth=_states,
        draw=_network,
        mistakes={
            "b is missing": lambda W, U, b, x: _driven(W, U, 0 * b, x),
            "W is transposed; row i of W holds what state i takes from each state before": lambda W, U, b, x: _driven(
                W.T, U, b, x
            ),
            "the tanh is missing": lambda W, U, b, x: _driven(W, U, b, x, squash=lambda a: a),
            "the state before is never used; carry h from slice to slice": lambda W, U, b, x: _driven(0 * W, U, b, x),
            "h starts from b; the initial state is 0": lambda W, U, b, x: _driven(W, U, b, x, before=b),
            "this is the last state alone; return all T of them": lambda W, U, b, x: _driven(W, U, b, x)[-1],
        },
    ),
)

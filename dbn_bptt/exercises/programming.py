"""Chapter 5: dynamic programming."""

from functools import partial
from itertools import product

import numpy as np

from dbn_bptt.cells import elman
from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.paths import COUNT, linearize, sweep
from dbn_bptt.sweep.bptt import forward
from dbn_bptt.sweep.unroll import unroll


def count_paths(H, K, T):
    """How many paths lead from one unit of the initial state to the loss, through T slices of H units and K outputs.

    From each initial unit an edge leads to all H units of the first slice; from each unit of a slice to all H units of
    the next slice and to all K outputs of its own; from each output one edge to the loss.
    """
    return K * sum(H**s for s in range(1, T + 1))


def cheapest(cost):
    """J of shape (T + 1, K): J[t, i] is the least cost from state i of slice t to the end, slice T, where J[T] = 0.

    cost has shape (T, K, K); cost[t, i, j] is that of going from state i of slice t to state j of slice t + 1.

    """
    T, K, _ = cost.shape
    J = np.zeros((T + 1, K))
    for t in reversed(range(T)):
        J[t] = (cost[t] + J[t + 1]).min(axis=1)
    return J


def solve(A, k):
    """dv_k/dv_j of all nodes j, (n,), by a linear system; A[i, j] is the local derivative of node i in node j, or 0.

    An adjoint is 1 for node k itself, plus the sum over children of the child's adjoint times the local derivative.
    """
    e = np.eye(len(A))[k]
    return np.linalg.solve(np.eye(len(A)) - A.T, e)


def _counted(H, K, T):
    """By a sweep that counts, over the scalar graph of an Elman network (its pass-through nodes add no path)."""
    rng = np.random.default_rng(0)
    rnn = elman(n_inputs=1, n_hidden=H, n_outputs=K)
    theta = {name: rng.normal(size=rnn.symbols[name].shape) for name in rnn.names("parameter")}
    graph = unroll(rnn, T)
    values = forward(graph, theta, {"x": np.ones((T, 1)), "y": np.ones((T, K)) / K})
    return sweep(linearize(graph, values), ("L", None, ()), COUNT)["h", -1, (0,)]


def _enumerated(cost):
    T, K, _ = cost.shape
    J = np.zeros((T + 1, K))
    for t in range(T):
        for path in product(range(K), repeat=T - t + 1):
            total = sum(cost[t + s, path[s], path[s + 1]] for s in range(T - t))
            J[t, path[0]] = min(J[t, path[0]] or np.inf, total)
    return J


def _powers(A, k):
    """The sum over paths, by their length."""
    e = np.eye(len(A))[k]
    return sum(np.linalg.matrix_power(A.T, length) @ e for length in range(len(A)))


def _backed(cost, best):
    J = np.zeros((cost.shape[0] + 1, cost.shape[1]))
    for t in reversed(range(len(cost))):
        J[t] = best(cost[t], J[t + 1])
    return J


def _from_the_start(cost):
    J = np.zeros((cost.shape[0] + 1, cost.shape[1]))
    for t in range(len(cost)):
        J[t + 1] = (cost[t] + J[t][:, None]).min(axis=0)
    return J


EXERCISES = (
    Exercise(
        solution=count_paths,
        truth=_counted,
        draw=lambda rng: (int(rng.integers(2, 4)), int(rng.integers(2, 4)), int(rng.integers(2, 5))),
        mistakes={
            "paths to the loss of the last slice alone; every slice has a loss": lambda H, K, T: K * H**T,
            "the outputs are forgotten: each path ends through one of K": lambda H, K, T: sum(
                H**s for s in range(1, T + 1)
            ),
            "this is H times too much: a path begins in one given unit of the initial state": lambda H, K, T: (
                K * sum(H ** (s + 1) for s in range(1, T + 1))
            ),
            "this is K times too much: each output has one edge to the loss": lambda H, K, T: (
                K**2 * sum(H**s for s in range(1, T + 1))
            ),
            "the sum begins with a path that passes no slice": lambda H, K, T: K * sum(H**s for s in range(T)),
        },
    ),
    Exercise(
        solution=cheapest,
        truth=_enumerated,
        draw=lambda rng: (rng.uniform(0.5, 2, (4, 3, 3)),),
        mistakes={
            "this is greedy: the cheapest step of each slice, whatever comes later": partial(
                _backed, best=lambda c, J: c.min(axis=1) + J[c.argmin(axis=1)]
            ),
            "the minimum is taken over where one is, not over where one goes": partial(
                _backed, best=lambda c, J: (c + J[:, None]).min(axis=0)
            ),
            "the best step and the best rest need not meet in one state; add J[t + 1, j] before taking the minimum": partial(
                _backed, best=lambda c, J: c.min(axis=1) + J.min()
            ),
            "the cost of going on is added to where one is; J[t + 1] belongs to where one goes, j": partial(
                _backed, best=lambda c, J: (c + J[:, None]).min(axis=1)
            ),
            "these are the least costs from the start to each state; go from the end": _from_the_start,
            "this is the dearest way": partial(_backed, best=lambda c, J: (c + J).max(axis=1)),
            "the costs of all ways are added up; take the least": partial(
                _backed, best=lambda c, J: (c + J).sum(axis=1)
            ),
        },
    ),
    Exercise(
        solution=solve,
        truth=_powers,
        draw=lambda rng: (np.tril(rng.normal(size=(5, 5)), -1), int(rng.integers(2, 5))),
        mistakes={
            "A is not transposed: this is the derivative of all nodes in node k, forward mode": lambda A, k: (
                np.linalg.solve(np.eye(len(A)) - A, np.eye(len(A))[k])
            ),
            "the sign is turned: lam - A' lam = e": lambda A, k: np.linalg.solve(
                np.eye(len(A)) + A.T, np.eye(len(A))[k]
            ),
            "this is one step of the sum, direct edges alone": lambda A, k: np.eye(len(A))[k] + A.T @ np.eye(len(A))[k],
        },
    ),
)

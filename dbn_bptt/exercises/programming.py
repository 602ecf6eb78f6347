"""Chapter 5: dynamic programming."""

from itertools import product

import numpy as np

from dbn_bptt.cells import elman
from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.paths import COUNT, linearize, sweep
from dbn_bptt.sweep.bptt import forward
from dbn_bptt.sweep.unroll import unroll


def count_paths(H, K, T):
    """How many paths lead from one unit of the initial state to the loss, through T slices of H units and K outputs.

    Every slice has edges from all H units to all units of the next slice and to all its K outputs, and from each of
    these one to the loss.
    """
    return K * sum(H**s for s in range(1, T + 1))


def cheapest(cost):
    """J of shape (T + 1, K): the least cost from state i of slice t to the end; cost[t, i, j], (T, K, K), from i to j.

    Bellman: J_t(i) = min over j of cost[t, i, j] + J_{t+1}(j), and J_T = 0.
    """
    T, K, _ = cost.shape
    J = np.zeros((T + 1, K))
    for t in reversed(range(T)):
        J[t] = (cost[t] + J[t + 1]).min(axis=1)
    return J


def solve(A, k):
    """dv_k/dv of all nodes v, (n,), by a linear system; A[i, j] is the local derivative of node i in node j, or 0.

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
            "a path to slice s passes s + 1 layers of H units here; the first slice has one": lambda H, K, T: (
                K * sum(H ** (s + 1) for s in range(1, T + 1))
            ),
            "the sum begins with a path that passes no slice": lambda H, K, T: K * sum(H**s for s in range(T)),
        },
    ),
    Exercise(
        solution=cheapest,
        truth=_enumerated,
        draw=lambda rng: (rng.uniform(0.5, 2, (4, 3, 3)),),
        mistakes={
            "this is greedy: the cheapest step of each slice, whatever comes later": lambda cost: _backed(
                cost, lambda c, J: c.min(axis=1) + J[c.argmin(axis=1)]
            ),
            "the minimum is taken over where one is, not over where one goes": lambda cost: _backed(
                cost, lambda c, J: (c + J[:, None]).min(axis=0)
            ),
            "this is the dearest way": lambda cost: _backed(cost, lambda c, J: (c + J).max(axis=1)),
            "the costs of all ways are added up; take the least": lambda cost: _backed(
                cost, lambda c, J: (c + J).sum(axis=1)
            ),
        },
    ),
    Exercise(
        solution=solve,
        truth=_powers,
        draw=lambda rng: (np.tril(rng.normal(size=(5, 5)), -1), 4),
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

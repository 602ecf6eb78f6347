"""Chapter 6: far back."""

import numpy as np

from dbn_bptt.cells import elman
from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.exercises.networks import one_hot, parameters
from dbn_bptt.paths import credit


def far_message(W, g, k):
    """The message (H,) that reaches h_{t-k} when g (H,) has arrived at h_t, in a linear network h_t = W h_{t-1}."""
    return np.linalg.matrix_power(W.T, k) @ g


def by_lag(items):
    """The sum over all entries of each lag s - t, (T,), of items (T, T): items[s, t] is dL_s/dw^(t), 0 above."""
    T = len(items)
    return np.array([sum(items[t + lag, t] for t in range(T - lag)) for lag in range(T)])


def truncated(items, k):
    """The gradient, a number, that is left if no loss sends its messages back over more than k borders.

    There is a border between every two slices; items (T, T) as in `by_lag`.
    """
    T = len(items)
    return sum(items[s, t] for s in range(T) for t in range(T) if 0 <= s - t <= k)


def _swept(W, g, k):
    """One step at a time."""
    for _ in range(k):
        g = np.einsum("ij,i->j", W, g)
    return g


def _items(rng):
    rnn, theta = elman(n_inputs=2, n_hidden=1, n_outputs=2), parameters(rng, H=1)
    data = {"x": rng.normal(size=(5, 2)), "y": one_hot(rng, 5, 2)}
    return (credit(rnn, theta, data)["b"][:, :, 0],)


def _sums(items):
    return np.array([np.trace(items, -lag) for lag in range(len(items))])


EXERCISES = (
    Exercise(
        solution=far_message,
        truth=_swept,
        draw=lambda rng: (rng.normal(size=(3, 3)), rng.normal(size=3), int(rng.integers(2, 6))),
        mistakes={
            "** takes the power of each entry; np.linalg.matrix_power multiplies matrices": lambda W, g, k: (
                (W.T**k) @ g
            ),
            "W is not transposed; messages run backwards": lambda W, g, k: np.linalg.matrix_power(W, k) @ g,
            "** takes the power of each entry, and W is not transposed": lambda W, g, k: (W**k) @ g,
            "this is one step; it takes k of them": lambda W, g, k: W.T @ g,
            "this is a step short": lambda W, g, k: np.linalg.matrix_power(W.T, k - 1) @ g,
            "this is k times one step; steps multiply": lambda W, g, k: k * W.T @ g,
        },
    ),
    Exercise(
        solution=by_lag,
        truth=_sums,
        draw=_items,
        mistakes={
            "these are the sums by loss, along rows; a lag is a diagonal": lambda items: items.sum(axis=1),
            "these are the sums by copy, along columns; a lag is a diagonal": lambda items: items.sum(axis=0),
            "the lags are t - s, of which all but 0 are empty: a loss is never earlier than the copy": lambda items: (
                np.array([np.trace(items, lag) for lag in range(len(items))])
            ),
            "these are running sums, what truncation keeps; wanted is each lag by itself": lambda items: np.cumsum(
                _sums(items)
            ),
            "the longest lag stands first; entry 0 is lag 0": lambda items: _sums(items)[::-1],
            "the diagonals are averaged; the gradient is their sum": lambda items: np.array(
                [np.trace(items, -lag) / (len(items) - lag) for lag in range(len(items))]
            ),
        },
    ),
    Exercise(
        solution=truncated,
        truth=lambda items, k: _sums(items)[: k + 1].sum(),
        draw=lambda rng: (*_items(rng), int(rng.permutation(5)[0])),
        mistakes={
            "these are blocks of k + 1 slices, which a message cannot leave; here every loss reaches k slices back": lambda items, k: (
                sum(items[s, t] for s in range(len(items)) for t in range(s + 1) if s // (k + 1) == t // (k + 1))
            ),
            "lag k itself is left out": lambda items, k: _sums(items)[:k].sum(),
            "this is lag k alone; all shorter ones belong to it": lambda items, k: _sums(items)[k],
            "this is what truncation loses": lambda items, k: _sums(items)[k + 1 :].sum(),
            "this is the whole gradient": lambda items, k: items.sum(),
        },
    ),
)

"""Chapter 11: other algebras."""

import numpy as np

from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.exercises.hidden_markov import alphas, betas
from dbn_bptt.exercises.networks import hmm, joint


def most_probable_path(prior, P, B, y):
    """The most probable states, (T,) integers.

    prior (K,), P[new, old] (K, K), B[symbol, state] (M, K), symbols y (T,).
    """
    best, origin = prior * B[y[0]], []
    for symbol in y[1:]:
        ways = P * best  # ways[new, old]
        origin.append(ways.argmax(axis=1))
        best = ways.max(axis=1) * B[symbol]
    path = [int(best.argmax())]
    for back in reversed(origin):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])


def lag_product(p, q):
    """The sums, by lag, of all paths of p continued by all paths of q; p[k], q[k] are those over k borders."""
    product = np.zeros(len(p) + len(q) - 1)
    for i in range(len(p)):
        for j in range(len(q)):
            product[i + j] += p[i] * q[j]
    return product


def entropy_product(a, b):
    """The product of two pairs: (w, r) are the sums over some paths of their weights w and of -w log w.

    Each path of the one goes on by each path of the other. Return the pair of all these longer paths.
    """
    return a[0] * b[0], a[0] * b[1] + b[0] * a[1]


def _enumerated(prior, P, B, y):
    table = joint(prior, P, B, y)
    return np.array(np.unravel_index(table.argmax(), table.shape))


def _smoothed(prior, P, B, y):
    alpha = alphas(prior, P, B, y)
    scale = np.ones(len(y))
    return (alpha * betas(P, B, y, scale)).argmax(axis=1)


def _ends(prior, P, B, y):
    best = [prior * B[y[0]]]
    for symbol in y[1:]:
        best.append((P * best[-1]).max(axis=1) * B[symbol])
    return np.array(best).argmax(axis=1)


def _greedy(prior, P, B, y):
    path = [int((prior * B[y[0]]).argmax())]
    for symbol in y[1:]:
        path.append(int((P[:, path[-1]] * B[symbol]).argmax()))
    return np.array(path)


def _pair(weights):
    return float(weights.sum()), float(-(weights * np.log(weights)).sum())


def _joined(a, b):
    """By enumeration, over bundles that have these pairs."""
    weights = [np.array(_two(*pair)) for pair in (a, b)]
    return _pair(np.outer(*weights).ravel())


def _two(w, r):
    """Two weights with a sum w and a sum r of -x log x."""
    from scipy.optimize import brentq

    def gap(x):
        return -x * np.log(x) - (w - x) * np.log(w - x) - r

    x = brentq(gap, 1e-12, w / 2)
    return x, w - x


def _telling(rng):
    """A model in which the mistakes below all give other paths."""
    while True:
        case = hmm(rng, T=6)
        best = list(_enumerated(*case))
        others = [_enumerated(case[0], case[1].T, *case[2:]), best[::-1], _ends(*case), _greedy(*case)]
        others += [alphas(*case).argmax(axis=1), _smoothed(*case), case[2][case[3]].argmax(axis=1)]
        if all(best != list(other) for other in others) and len({tuple(other) for other in others}) == len(others):
            return case


EXERCISES = (
    Exercise(
        solution=most_probable_path,
        truth=_enumerated,
        draw=_telling,
        mistakes={
            "this goes forwards and never looks back: a good first step may lead nowhere": _greedy,
            "these are the best ends of paths, slice by slice; from the last one go back along the pointers": _ends,
            "P is transposed: here columns are the states before": lambda prior, P, B, y: _enumerated(prior, P.T, B, y),
            "the path is turned round": lambda *case: _enumerated(*case)[::-1],
            "these are the most probable states given the past, slice by slice": lambda *case: alphas(*case).argmax(
                axis=1
            ),
            "these are the most probable states of each slice by itself; together they may be impossible": _smoothed,
            "these are the states that explain each symbol best; the transitions are not used": lambda prior, P, B, y: (
                B[y].argmax(axis=1)
            ),
        },
    ),
    Exercise(
        solution=lag_product,
        truth=lambda p, q: np.polynomial.polynomial.polymul(p, q),
        draw=lambda rng: (rng.normal(size=3), rng.normal(size=3)),
        mistakes={
            "entries of the same lag are multiplied; a path of lag i goes on by any of lag j, and has lag i + j": lambda p, q: (
                p * q
            ),
            "these are the coefficients added, which is the sum of two elements": lambda p, q: p + q,
            "this is the product of all paths, whatever their lag": lambda p, q: p.sum() * q.sum(),
            "the higher lags are cut off: there are len(p) + len(q) - 1 of them": lambda p, q: np.convolve(p, q)[
                : len(p)
            ],
        },
    ),
    Exercise(
        solution=entropy_product,
        truth=_joined,
        draw=lambda rng: (_pair(rng.uniform(0.2, 3, 2)), _pair(rng.uniform(0.2, 3, 2))),
        mistakes={
            "the second parts are multiplied too; log of a product is a sum": lambda a, b: (a[0] * b[0], a[1] * b[1]),
            "the second parts are added, but each is still to be weighed by the other's weight": lambda a, b: (
                a[0] * b[0],
                a[1] + b[1],
            ),
            "-w log w of the product is right for one path and one path; a sum of paths has another r": lambda a, b: (
                a[0] * b[0],
                -a[0] * b[0] * np.log(a[0] * b[0]),
            ),
            "the sign of the second part is turned": lambda a, b: (a[0] * b[0], -a[0] * b[1] - b[0] * a[1]),
            "this is the sum of two pairs": lambda a, b: (a[0] + b[0], a[1] + b[1]),
        },
    ),
)

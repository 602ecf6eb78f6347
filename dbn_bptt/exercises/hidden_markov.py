"""Chapter 7: a hidden Markov model. In a table P a column is the state before, a row the state after."""

from functools import partial

import numpy as np

from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.exercises.networks import hmm, joint


def alphas(prior, P, B, y):
    """The forward messages (T, K), each divided by its sum: p(state of slice t | symbols up to and with slice t).

    prior (K,); P[new, old] (K, K) and B[symbol, state] (M, K), whose columns sum to 1; symbols y (T,).
    """
    rows = []
    for t, symbol in enumerate(y):
        f = (prior if t == 0 else P @ rows[-1]) * B[symbol]
        rows.append(f / f.sum())
    return np.array(rows)


def betas(P, B, y, scale):
    """The backward messages (T, K), scaled as alpha is: beta_{T-1} = 1, and each step back divides by scale[t + 1]."""
    beta = np.ones((len(y), len(P)))
    for t in reversed(range(len(y) - 1)):
        beta[t] = P.T @ (B[y[t + 1]] * beta[t + 1]) / scale[t + 1]
    return beta


def transitions(P, B, y, alpha, beta, scale):
    """How often each transition is expected, (K, K): the sum over t >= 1 of p(new state, old state | all symbols)."""
    return sum(P * np.outer(B[y[t]] * beta[t] / scale[t], alpha[t - 1]) for t in range(1, len(y)))


# ------------------------------------------------------------------------------------------------------ by enumeration
def _filtered(prior, P, B, y):
    rows = []
    for t in range(len(y)):
        table = joint(prior, P, B, y[: t + 1])
        rows.append(table.sum(axis=tuple(range(t))) / table.sum())
    return np.array(rows)


def _later(P, B, y, scale):
    """p(later symbols given the state), from a uniform state."""
    beta = np.ones((len(y), len(P)))
    for t in range(len(y) - 1):
        for k in range(len(P)):
            table = joint(np.eye(len(P))[k], P, np.vstack([B, np.ones(len(P))]), np.r_[len(B), y[t + 1 :]])
            beta[t, k] = table.sum() / np.prod(scale[t + 1 :])
    return beta


def _scales(prior, P, B, y):
    total = [1.0] + [joint(prior, P, B, y[: t + 1]).sum() for t in range(len(y))]
    return np.divide(total[1:], total[:-1])


def _with_scale(rng):
    prior, P, B, y = hmm(rng)
    return P, B, y, _scales(prior, P, B, y)


def _with_messages(rng):
    prior, P, B, y = hmm(rng)
    scale = _scales(prior, P, B, y)
    return P, B, y, _filtered(prior, P, B, y), _later(P, B, y, scale), scale


def _counts(P, B, y, alpha, beta, scale):
    """From the joint distribution; the prior is found from alpha_0."""
    first = alpha[0] / B[y[0]]
    table = joint(first / first.sum(), P, B, y)
    return (
        sum(table.sum(axis=tuple(s for s in range(len(y)) if s not in (t - 1, t))).T for t in range(1, len(y)))
        / table.sum()
    )


def _forwards(prior, P, B, y, scaled=True, first=False):
    rows = []
    for t, symbol in enumerate(y):
        f = (prior if t == 0 and not first else P @ (rows[-1] if t else prior)) * B[symbol]
        rows.append(f / (f.sum() if scaled else 1))
    return np.array(rows)


def _back(P, B, y, scale, step):
    """The backward algorithm with another step, from beta_{t+1} to beta_t."""
    beta = np.ones((len(y), len(P)))
    for t in reversed(range(len(y) - 1)):
        beta[t] = step(P, B, y, scale, t, beta[t + 1])
    return beta


EXERCISES = (
    Exercise(
        solution=alphas,
        truth=_filtered,
        draw=hmm,
        mistakes={
            "each message is still to be divided by its sum": partial(_forwards, scaled=False),
            "P is transposed: here columns are the states before": lambda prior, P, B, y: _forwards(prior, P.T, B, y),
            "the prior is about slice 0 itself; the first transition leads to slice 1": partial(_forwards, first=True),
            "the symbols are not used: multiply by B[y[t]]": lambda prior, P, B, y: _forwards(prior, P, 0 * B + 1, y),
        },
    ),
    Exercise(
        solution=betas,
        truth=_later,
        draw=_with_scale,
        mistakes={
            "divide each step by the scale of the slice that it comes from": partial(
                _back, step=lambda P, B, y, scale, t, later: P.T @ (B[y[t + 1]] * later)
            ),
            "the sign is turned: the adjoint of alpha is minus beta, since the loss is -log p": lambda *case: (
                -betas(*case)
            ),
            "the symbol's probability is multiplied after P'; it belongs to the state of slice t + 1": partial(
                _back, step=lambda P, B, y, scale, t, later: B[y[t + 1]] * (P.T @ later) / scale[t + 1]
            ),
            "scale[t] was divided by, as Rabiner does; this convention takes that of slice t + 1, where the message comes from": partial(
                _back, step=lambda P, B, y, scale, t, later: P.T @ (B[y[t + 1]] * later) / scale[t]
            ),
            "the symbol is that of slice t; beta_t is about the symbols after t": partial(
                _back, step=lambda P, B, y, scale, t, later: P.T @ (B[y[t]] * later) / scale[t + 1]
            ),
            "P is not transposed: the message goes back over the transition": partial(
                _back, step=lambda P, B, y, scale, t, later: P @ (B[y[t + 1]] * later) / scale[t + 1]
            ),
        },
    ),
    Exercise(
        solution=transitions,
        truth=_counts,
        draw=_with_messages,
        mistakes={
            "P itself is missing: the gradient of log p in P is multiplied by P": lambda P, B, y, alpha, beta, scale: (
                sum(np.outer(B[y[t]] * beta[t] / scale[t], alpha[t - 1]) for t in range(1, len(y)))
            ),
            "alpha is that of slice t; the old state is in slice t - 1": lambda P, B, y, alpha, beta, scale: sum(
                P * np.outer(B[y[t]] * beta[t] / scale[t], alpha[t]) for t in range(1, len(y))
            ),
            "the symbol of slice t is missing: beta_t is about later ones": lambda P, B, y, alpha, beta, scale: sum(
                P * np.outer(beta[t] / scale[t], alpha[t - 1]) for t in range(1, len(y))
            ),
            "columns are made to sum to 1: that is the new table; wanted are the counts": lambda *case: (
                transitions(*case) / transitions(*case).sum(axis=0)
            ),
            "these are products of the two slices' posteriors, as if they were independent": lambda P, B, y, alpha, beta, scale: (
                sum(np.outer(alpha[t] * beta[t], alpha[t - 1] * beta[t - 1]) for t in range(1, len(y)))
            ),
            "the scale is missing": lambda P, B, y, alpha, beta, scale: sum(
                P * np.outer(B[y[t]] * beta[t], alpha[t - 1]) for t in range(1, len(y))
            ),
            "it is transposed: rows are new states": lambda *case: transitions(*case).T,
        },
    ),
)

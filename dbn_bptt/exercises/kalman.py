"""Chapter 9: the Kalman smoother is BPTT."""

from functools import partial

import numpy as np

from dbn_bptt import dbn
from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.sweep.bptt import bptt


def filter_step(a, c, q, r, m, P, y):
    """One step of a Kalman filter for numbers: mean and variance (m, P) of z, from the old ones and what is seen.

    z_t = a z_{t-1} + noise of variance q; y = c z_t + noise of variance r.
    """
    m_pred, P_pred = a * m, a * P * a + q
    gain = P_pred * c / (c * P_pred * c + r)
    return m_pred + gain * (y - c * m_pred), (1 - gain * c) * P_pred


def kalman_messages(a, c, r, y, m_pred, P_pred):
    """lam_t = d(-log p(y))/d m_pred_t, (T,): BPTT through the filter, from the last slice to the first.

    m_pred and P_pred (T,) are the filter's predicted means and variances, y (T,) what was seen.
    """
    lam, later = np.zeros(len(y)), 0.0
    for t in reversed(range(len(y))):
        S = c * P_pred[t] * c + r
        gain = P_pred[t] * c / S
        lam[t] = -c * (y[t] - c * m_pred[t]) / S + (1 - gain * c) * a * later
        later = lam[t]
    return lam


def smoothed(m_pred, P_pred, lam):
    """The smoothed means (T, n), from predicted means (T, n) and covariances (T, n, n), and messages lam (T, n)."""
    return m_pred - np.einsum("tij,tj->ti", P_pred, lam)


# ------------------------------------------------------------------------------- by conditioning one joint normal
def _joint(a, c, q, r, m, P, T):
    """Mean and covariance of z_0..z_{T-1}, each slice one step after the one before; z_{-1} is N(m, P)."""
    powers = np.array([[a ** (t - s) if s <= t else 0.0 for s in range(T)] for t in range(T)])
    start = a ** np.arange(1, T + 1)
    return start * m, powers @ (q * np.eye(T)) @ powers.T + P * np.outer(start, start)


def _conditioned(a, c, q, r, m, P, y):
    mean, cov = _joint(a, c, q, r, m, P, 1)
    S = c * c * cov + r * np.eye(1)
    gain = c * cov @ np.linalg.inv(S)
    return float((mean + gain @ (y - c * mean))[0]), float((cov - gain @ (c * cov))[0, 0])


def _swept(a, c, r, y, m_pred, P_pred):
    """By the package's messages; the variance of the process is found from the predictions."""
    gain = P_pred[0] * c / (c * P_pred[0] * c + r)
    q = P_pred[1] - a * a * (1 - gain * c) * P_pred[0]
    model = dbn.linear_gaussian([[a]], [[c]], [[q]], [[r]], mean=[m_pred[0]], covariance=[[P_pred[0]]])
    return bptt(model, {}, dbn.kalman_data(model, {"y": y[:, None]})).messages.stack("m_pred")[:, 0]


def _completed(m_pred, P_pred, lam):
    """The mean of exp(-lam . z) N(z; m, P) in each slice, by completing the square."""
    precision = np.linalg.inv(P_pred)
    return np.linalg.solve(precision, (precision @ m_pred[:, :, None]) - lam[:, :, None])[:, :, 0]


def _seen(rng):
    a, c, q, r, T = 0.9, 1.3, float(rng.uniform(0.1, 1)), float(rng.uniform(0.1, 1)), 5
    y, m, P = rng.normal(size=T), 0.0, 1.0
    m_pred, P_pred = [], []
    for t in range(T):
        m_pred.append(a * m if t else 0.3)
        P_pred.append(a * a * P + q if t else 1.5)
        gain = P_pred[t] * c / (c * c * P_pred[t] + r)
        m, P = m_pred[t] + gain * (y[t] - c * m_pred[t]), (1 - gain * c) * P_pred[t]
    return a, c, r, y, np.array(m_pred), np.array(P_pred)


def _tracked(rng):
    A, C = rng.normal(size=(2, 2)) * 0.6, rng.normal(size=(1, 2))
    model = dbn.linear_gaussian(
        A, C, np.eye(2) * 0.4, np.eye(1) * 0.5, mean=rng.normal(size=2), covariance=np.diag([1.0, 2.0])
    )
    y = rng.normal(size=(4, 1))
    return model, y, bptt(model, {}, dbn.kalman_data(model, {"y": y}))


def _given(rng):
    _, _, result = _tracked(rng)
    return result.values.stack("m_pred"), result.values.stack("P_pred"), result.messages.stack("m_pred")


def _steps_back(a, c, r, y, m_pred, P_pred, sign=-1.0, passed=lambda gain, c, a: (1 - gain * c) * a):
    lam, later = np.zeros(len(y)), 0.0
    for t in reversed(range(len(y))):
        S = c * P_pred[t] * c + r
        lam[t] = sign * c * (y[t] - c * m_pred[t]) / S + passed(P_pred[t] * c / S, c, a) * later
        later = lam[t]
    return lam


EXERCISES = (
    Exercise(
        solution=filter_step,
        truth=_conditioned,
        draw=lambda rng: tuple(map(float, rng.uniform(0.5, 2, 7))),
        mistakes={
            "the prediction is missing: first a m, and a P a + q": lambda a, c, q, r, m, P, y: filter_step(
                1, c, 0, r, m, P, y
            ),
            "the noise of the process is missing in the prediction": lambda a, c, q, r, m, P, y: filter_step(
                a, c, 0, r, m, P, y
            ),
            "this is the prediction; what is seen is still to be used": lambda a, c, q, r, m, P, y: (
                a * m,
                a * a * P + q,
            ),
            "P is multiplied by a once; a variance takes a twice": lambda a, c, q, r, m, P, y: filter_step(
                a, c, a * P + q - a * P * a, r, m, P, y
            ),
            "q and r are exchanged": lambda a, c, q, r, m, P, y: filter_step(a, c, r, q, m, P, y),
            "the innovation is that of the old mean; predict it first": lambda a, c, q, r, m, P, y: (
                a * m + filter_step(a, c, q, r, m, P, y + c * (a * m - m))[0] - a * m,
                filter_step(a, c, q, r, m, P, y)[1],
            ),
            "the two are exchanged: first the mean, then the variance": lambda *case: filter_step(*case)[::-1],
            "this is the predicted variance; to see y multiplies it by 1 - gain c": lambda a, c, q, r, m, P, y: (
                filter_step(a, c, q, r, m, P, y)[0],
                a * a * P + q,
            ),
        },
    ),
    Exercise(
        solution=kalman_messages,
        truth=_swept,
        draw=_seen,
        mistakes={
            "the sign is turned: the loss is -log p": partial(_steps_back, sign=1.0),
            "the factor 1 - gain c is missing: the mean after seeing y is (1 - gain c) m_pred + gain y": partial(
                _steps_back, passed=lambda gain, c, a: a
            ),
            "the factor a is missing: a mean passes the transition": partial(
                _steps_back, passed=lambda gain, c, a: 1 - gain * c
            ),
            "the last slice stands first; lam[t] belongs to slice t": lambda *case: kalman_messages(*case)[::-1],
            "what comes from later slices is missing": partial(_steps_back, passed=lambda gain, c, a: 0.0),
        },
    ),
    Exercise(
        solution=smoothed,
        truth=_completed,
        draw=_given,
        mistakes={
            "the sign is turned: the mean moves against the gradient of the loss": lambda m, P, lam: (
                m + np.einsum("tij,tj->ti", P, lam)
            ),
            "the diagonals of the covariances alone are used": lambda m, P, lam: m - np.einsum("tii,ti->ti", P, lam),
            "the covariance is missing: m and lam have different units, and P turns one into the other": lambda m, P, lam: (
                m - lam
            ),
            "the covariance is inverted": lambda m, P, lam: m - np.linalg.solve(P, lam[:, :, None])[:, :, 0],
        },
    ),
)

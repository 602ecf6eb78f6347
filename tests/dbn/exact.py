"""Conditioning of one joint normal in sixty decimal digits."""

import decimal
from decimal import Decimal

import numpy as np

ZERO, TWO_PI = Decimal(0), Decimal("6.28318530717958647692528676655900576839433879875021164194989")
decimal.getcontext().prec = 60


def exact(a):
    """An array of numbers of sixty digits."""
    return np.vectorize(Decimal, otypes=[object])(np.asarray(a, float))


def solved(a, b):
    """The solution of a x = b by elimination with pivots, and log |a|."""
    a, b, n, log = a.copy(), b.copy(), len(a), ZERO
    for i in range(n):
        pivot = i + max(range(n - i), key=lambda k: abs(a[i + k, i]))
        a[[i, pivot]], b[[i, pivot]] = a[[pivot, i]], b[[pivot, i]]
        log += abs(a[i, i]).ln()
        for k in range(i + 1, n):
            if a[k, i]:
                share = a[k, i] / a[i, i]
                a[k, i:] = a[k, i:] - share * a[i, i:]
                b[k] = b[k] - share * b[i]
    x = b
    for i in reversed(range(n)):
        x[i] = (b[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i] if i + 1 < n else b[i] / a[i, i]
    return x, log


def joint(theta, T, u=None):
    """Mean (T d) and covariance (T d, T d) of all states."""
    p = {name: exact(a) for name, a in theta.items()}
    d = len(p["mean"])
    mean, cov = [p["mean"]], np.full((T * d, T * d), ZERO, dtype=object)
    cov[:d, :d] = p["covariance"]
    for t in range(1, T):
        rows, last = slice(t * d, (t + 1) * d), slice((t - 1) * d, t * d)
        moved = p["A"] @ mean[-1]
        mean.append(moved + p["B"] @ exact(u[t]) if "B" in p else moved)
        cov[rows, : t * d] = p["A"] @ cov[last, : t * d]
        cov[: t * d, rows] = cov[rows, : t * d].T
        cov[rows, rows] = p["A"] @ cov[last, last] @ p["A"].T + p["Q"]
    return np.concatenate(mean), cov


def conditioned(theta, y, u=None):
    """Means (T, d), covariances of all states (T d, T d) and log p(y), given y (T, k) with NaN where nothing was seen."""
    T, k = y.shape
    mean, cov = joint(theta, T, u)
    C, R = exact(theta["C"]), exact(theta["R"])
    d = C.shape[1]
    big, noise = (np.full(shape, ZERO, dtype=object) for shape in ((T * k, T * d), (T * k, T * k)))
    for t in range(T):
        big[t * k : (t + 1) * k, t * d : (t + 1) * d] = C
        noise[t * k : (t + 1) * k, t * k : (t + 1) * k] = R
    seen = ~np.isnan(y).ravel()
    big, noise = big[seen], noise[np.ix_(seen, seen)]
    cross = cov @ big.T
    innovation = exact(y.ravel()[seen]) - big @ mean
    gram = big @ cross + noise
    x, log = solved(gram, np.concatenate([innovation[:, None], cross.T], 1))
    found = mean + cross @ x[:, 0], cov - cross @ x[:, 1:]
    log_p = -(innovation @ x[:, 0] + log + len(gram) * TWO_PI.ln()) / 2
    return found[0].reshape(T, d), found[1], log_p


def smoothed(theta, y, u=None):
    """Means (T, d), covariances (T, d, d) and log p(y) as ordinary numbers, rounded once."""
    mean, cov, log_p = conditioned(theta, y, u)
    T, d = mean.shape
    blocks = np.stack([cov[t * d : (t + 1) * d, t * d : (t + 1) * d] for t in range(T)])
    return mean.astype(float), blocks.astype(float), float(log_p)

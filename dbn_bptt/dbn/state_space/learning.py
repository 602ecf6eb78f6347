"""Learning a linear-Gaussian model by expectation maximisation, from the gradient of the filter alone.

By Fisher's identity the gradient of log p(y) in a parameter is the expectation, given y, of that of log p(z, y). For
regressions with noise it tells what the E-step is for: with w_t = z_t - A z_{t-1},

    d log p / dA = inv(Q) sum_t E[w_t z_{t-1}'],   d log p / dQ = 1/2 inv(Q) (sum_t E[w_t w_t'] - N Q) inv(Q),

so that sums of expected products of noises are read off the gradients, and only those of the regressors, E[z z'], need
the smoother. Likewise for C and R (numbers that were not observed are unknowns too). The initial mean and covariance
are those of the smoothed first state.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from dbn_bptt.dbn.learning.climb import Climb, Fit, Rules, Steps, climbed
from dbn_bptt.dbn.state_space.kalman import KalmanFilter, kalman_data, linear_gaussian
from dbn_bptt.dbn.state_space.smoothing import Moments, smoothed
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine

Theta = Mapping[str, Array]


def fit_gaussian(
    kalman: KalmanFilter, evidence: Any, rules: Rules, learn: Collection[str] | None = None, progress: bool = False,
    engine: Engine = None,
) -> Fit:  # fmt: skip
    """`fit` for a template from `linear_gaussian`; what is in learn is learnt, everything unless given."""
    start = kalman.parameters
    for name in learn or ():
        if name not in start:
            raise unknown_name(name, start, "parameter")
    if rules.prior:
        raise DataError("fit of a linear-Gaussian network takes no prior")
    wanted = frozenset(start if learn is None else learn)
    data = kalman_data(kalman, evidence)

    def expected(theta: Theta) -> tuple[float, Moments]:
        found = smoothed(kalman, data, theta, engine)
        return float(found.log_likelihood), found

    def improved(theta: Theta, found: Moments, _: float) -> Theta:
        return maximised(theta, found, data.get("u"), wanted)

    return climbed(Steps(expected, improved, _finished), Climb(start), rules, progress)


def _finished(of: Mapping[str, Array]) -> KalmanFilter:
    """The template of matrices by name."""
    return linear_gaussian(**of)


def maximised(theta: Theta, found: Moments, u: Array | None, learn: frozenset[str]) -> Theta:
    """The parameters that make what is expected most probable, given what a sweep under the old ones found."""
    uphill, d = {name: -g for name, g in found.gradients.items()}, found.mean.shape[-1]
    mean = found.mean.reshape(len(found.mean), -1, d)  # (T, sequences, d)
    covariance = found.covariance.reshape(*mean.shape, d)
    T, sequences = mean.shape[:2]
    products = covariance + mean[..., :, None] * mean[..., None, :]
    regressors = products[:-1].sum((0, 1))
    state = [str(name) for name in ("A", "B") if name in theta and name in learn]
    if u is not None and "B" in state:
        inputs = (u if u.ndim == 3 else u[:, None])[1:]
        known = np.concatenate([mean[:-1], inputs], -1).reshape(-1, d + inputs.shape[-1])
        both = known.T @ known
        both[:d, :d] = regressors
        regressors = both if "A" in state else both[d:, d:]
    noises: dict[str, tuple[list[str], Array, int]] = {
        "Q": (state, regressors, sequences * (T - 1)),
        "R": (["C"] if "C" in learn else [], products.sum((0, 1)), sequences * T),
    }
    new = dict(theta)
    for noise, (coefficients, xx, N) in noises.items():
        new |= _regression(theta, uphill, coefficients, noise, xx, N, learn)
    if "mean" in learn:
        new["mean"] = mean[0].mean(0)
    if "covariance" in learn:
        apart = mean[0] - new["mean"]
        new["covariance"] = covariance[0].mean(0) + apart.T @ apart / sequences
    return new


def _regression(
    theta: Theta,
    uphill: Theta,
    coefficients: Sequence[str],
    noise: str,
    regressors: Array,
    N: int,
    learn: frozenset[str],
) -> Theta:
    """New coefficients of a regression and the covariance of its noise; regressors: sums of their expected products."""
    old, new = theta[noise], dict[str, Array]()
    if N == 0:
        return new
    slope = 0.5 * (uphill[noise] + uphill[noise].T)
    spread = N * old + 2 * old @ slope @ old  # the sum of E[w w'] under the old coefficients
    if coefficients:
        columns = [theta[name].reshape(len(old), -1) for name in coefficients]
        slopes = np.concatenate([uphill[name].reshape(len(old), -1) for name in coefficients], 1)
        step = np.linalg.lstsq(regressors, (old @ slopes).T, rcond=None)[0].T
        spread = spread - step @ regressors @ step.T
        ends = np.cumsum([a.shape[1] for a in columns])
        parts = np.split(step, ends[:-1], axis=1)
        new |= {n: theta[n] + part.reshape(theta[n].shape) for n, part in zip(coefficients, parts, strict=True)}
    if noise in learn:
        new[noise] = 0.5 * (spread + spread.T) / N
    return new

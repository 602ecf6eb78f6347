"""Smoothing and filtering of linear-Gaussian models: sweeps through a Kalman filter, or one with columns.

Smoothing is the filter's BPTT. Where rounding would take a part of what comes out, since the initial covariance is wide
beside the noise, it is the BPTT of a filter with columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dbn_bptt.dbn.state_space.columns import STATE, Columns, equations, equations_of_each, reached, split
from dbn_bptt.dbn.state_space.kalman import COVARIANCE, MEAN, OBSERVED, KalmanFilter, singular
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine
from dbn_bptt.program.run import Program, kept
from dbn_bptt.sweep.given import Given, checked
from dbn_bptt.sweep.results import refuse_nan

Theta = Mapping[str, Array]
BEST, WORST = 1e-8, 1e-3  # shares of a variance that rounding may take: of one sweep's, and of any answer's
EPSILON = float(np.finfo(float).eps)
NARROW = 1e5  # a filter that goes forwards alone needs no columns for a prior so many times the noise's reach


@dataclass(frozen=True)
class Moments:
    """What sweeps find of the state.

    Attributes
    ----------
    mean, covariance : time first, (T, [B,] d) and (T, [B,] d, d)
    log_likelihood : log p(y), () or (B,); of `smoothed` the sum over a batch
    gradients : of `smoothed`: those of -log p(y), summed over a batch, in A, B, C, Q and R
    lost : the share of a variance that rounding may have taken, at most, and the slice where
    """

    mean: Array
    covariance: Array
    log_likelihood: Array
    gradients: Theta
    lost: tuple[float, int]


def smoothed(
    kalman: KalmanFilter, data: Theta, theta: Theta | None = None, engine: Engine = None, root: Array | None = None
) -> Moments:
    """The state given all observations, with other parameters than the template's own if there are some.

    root: of the initial covariance, where more is known of it than its numbers tell
    """
    program = kept(kalman.frozen, engine)
    given = checked(program.template, theta or {}, data)
    theta = theta or kalman.parameters
    found = _plain(program, given, theta)
    if found is None or found.lost[0] > BEST:
        columns = Columns(theta, data, split(theta, root=root), engine)
        found = _with_columns(columns) if columns.number else found
    if found is None:
        raise singular()
    if found.lost[0] > WORST:
        mend = "the observations before it leave the state too wide: shorten the stretch without any, or check A"
        raise DataError(f"the smoothed variances of slice {found.lost[1]} are lost in rounding; {mend}")
    return found


def _plain(program: Program, given: Given, theta: Theta) -> Moments | None:
    """The BPTT of a Kalman filter; None where a covariance of observations is singular."""
    bars = program.backward.partners
    try:
        outcome = program.run(given, series=(MEAN, COVARIANCE, bars[MEAN], bars[COVARIANCE]), wrt=("params",))
    except DataError:
        return None
    refuse_nan({"the loss": outcome.totals["L"]})
    P, lam = outcome.series[COVARIANCE], outcome.series[bars[MEAN]]
    Lam = _second(outcome.series[bars[COVARIANCE]]) + lam[..., :, None] * lam[..., None, :]
    mean = outcome.series[MEAN] - np.einsum("...ij,...j->...i", P, lam)
    covariance = P - P @ Lam @ P
    lost = _lost(P, Lam, covariance, theta)
    return Moments(mean, covariance, -outcome.totals["L"], outcome.gradients.named(), lost)


def _with_columns(columns: Columns) -> Moments:
    """The BPTT of a filter with columns: each is smoothed, and their outer product joins the covariance of the rest."""
    x = equations(columns.first().series, columns.data[OBSERVED]).solved()
    bars = columns.program.backward.partners
    outcome = columns.run(*columns.begun(x), (MEAN, COVARIANCE, bars[MEAN], bars[COVARIANCE]), wrt=("params",))
    P, lam = outcome.series[COVARIANCE], outcome.series[bars[MEAN]]
    Lam = _second(outcome.series[bars[COVARIANCE]]) + lam @ np.swapaxes(lam, -1, -2)
    M = outcome.series[MEAN] - P @ lam
    wide = M[..., 1:] @ np.swapaxes(M[..., 1:], -1, -2)
    covariance = P - P @ Lam @ P + wide
    lost = _lost(P, Lam, covariance, columns.theta)
    return Moments(M[..., 0], covariance, x.log_likelihood.sum(), outcome.gradients.named(), lost)


def _second(bar: Array) -> Array:
    """Twice the adjoint of a covariance, made symmetric."""
    return bar + np.swapaxes(bar, -1, -2)


def _lost(P: Array, Lam: Array, after: Array, theta: Theta) -> tuple[float, int]:
    """The largest share of a variance that rounding takes in P - P Lam P, at most, and the slice.

    Lam is no larger than the inverse of the least variance of any slice, and as uncertain; a variance that is 0, of
    what is seen without noise, is held against what the noise alone would reach.
    """
    widest, floor = _in_rows(P).max(1), _in_rows(after).min(1)
    if floor.min() > 0:  # a bound for all slices together, which most models keep
        spread = widest * np.maximum(_in_rows(Lam).max(1), 1 / floor)
        bound = EPSILON * float((widest / floor).max() * spread.sum())
        if bound <= BEST:
            return bound, 0
    least = np.maximum(np.diagonal(reached(theta["A"], theta["Q"])), np.finfo(float).tiny)
    before, floors = _variances(P), np.maximum(_variances(after), least)
    spread = before * np.maximum(_variances(Lam), 1 / floors.min(0))
    share = EPSILON * before / floors * spread.sum(-1, keepdims=True)
    per_slice = share.reshape(len(share), -1).max(1)
    worst = int(per_slice.argmax())
    return float(per_slice[worst]), worst


def _in_rows(a: Array) -> Array:
    """Variances, a row for each number of the state: quick to go through."""
    d = a.shape[-1]
    return np.ascontiguousarray(a.reshape(-1, d * d)[:, :: d + 1].T)


def _variances(a: Array) -> Array:
    return np.diagonal(a, axis1=-2, axis2=-1)


def filtered(kalman: KalmanFilter, data: Theta, engine: Engine = None, root: Array | None = None) -> Moments:
    """The state given the observations up to each slice; root as in `smoothed`."""
    columns = Columns(kalman.parameters, data, split(kalman.parameters, NARROW, root), engine)
    return _filtered_with_columns(columns) if _shows(columns) else _filtered(kalman, data, engine)


def log_likelihoods(kalman: KalmanFilter, data: Theta, engine: Engine = None, root: Array | None = None) -> Array:
    """log p(y) of each sequence."""
    columns = Columns(kalman.parameters, data, split(kalman.parameters, NARROW, root), engine)
    if _shows(columns):
        return equations(columns.first().series, data[OBSERVED]).solved().log_likelihood
    return _filtered(kalman, data, engine).log_likelihood


def _shows(columns: Columns) -> bool:
    """Whether some column moves what is seen within as many slices as the state has numbers by more than noise does."""
    moved, wide = columns.prior.columns, False
    for _ in range(len(moved)):
        wide = wide or bool(((columns.theta["C"] @ moved) ** 2 > NARROW * np.diag(columns.theta["R"])[:, None]).any())
        moved = columns.theta["A"] @ moved
    return wide


def _filtered(kalman: KalmanFilter, data: Theta, engine: Engine) -> Moments:
    """A Kalman filter."""
    program = kept(kalman.frozen, engine)
    given = checked(program.template, {}, data)
    try:
        outcome = program.run(given, totals=("L",), series=("m", "P", "v", "S"))
    except DataError:
        raise singular() from None
    v, S = outcome.series["v"], outcome.series["S"]
    squares = (v * np.linalg.solve(S, v[..., None])[..., 0]).sum((0, -1))
    numbers = data[OBSERVED].sum((0, -1))
    log_likelihood = -0.5 * (squares + np.linalg.slogdet(S)[1].sum(0) + np.log(2 * np.pi) * numbers)
    return Moments(outcome.series["m"], outcome.series["P"], log_likelihood, {}, (0.0, 0))


def _filtered_with_columns(columns: Columns) -> Moments:
    """A filter with columns, of which the observations up to each slice say where these are."""
    series = columns.first((STATE, "P")).series
    x = equations_of_each(series, columns.data[OBSERVED]).solved()
    M, spread = series[STATE], series[STATE][..., 1:] @ x.root
    mean = M[..., 0] + np.einsum("...ij,...j->...i", M[..., 1:], x.mean)
    return Moments(mean, series["P"] + spread @ np.swapaxes(spread, -1, -2), x.log_likelihood[-1], {}, (0.0, 0))

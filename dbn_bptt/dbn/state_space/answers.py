"""What the verbs answer about linear-Gaussian models."""

from typing import Any

import numpy as np

from dbn_bptt.dbn.state_space.drawing import GaussianPaths, drawn
from dbn_bptt.dbn.state_space.kalman import KalmanFilter, kalman_data
from dbn_bptt.dbn.state_space.posterior import GaussianPosterior
from dbn_bptt.dbn.state_space.smoothing import Moments, filtered, smoothed
from dbn_bptt.errors import DataError, positive
from dbn_bptt.program.engines import Engine


def smooth_gaussian(kalman: KalmanFilter, evidence: Any, engine: Engine = None) -> GaussianPosterior:
    """`smooth` for a template from `linear_gaussian`: evidence is y and, where there are inputs, u; NaN is missing."""
    return _posterior(smoothed(kalman, kalman_data(kalman, evidence), engine=engine))


def filter_gaussian(kalman: KalmanFilter, evidence: Any, engine: Engine = None) -> GaussianPosterior:
    """`filter` for a template from `linear_gaussian`."""
    return _posterior(filtered(kalman, kalman_data(kalman, evidence), engine))


def predict_gaussian(kalman: KalmanFilter, horizon: int, evidence: Any, engine: Engine = None) -> GaussianPosterior:
    """`predict` for a template from `linear_gaussian`; evidence of u, if there is any, has the slices to come."""
    ahead = positive(horizon, f"horizon is {horizon!r}; it must be a positive number of slices")
    data = kalman_data(kalman, evidence, ahead)
    found = filtered(kalman, data, engine)
    start = len(found.mean) - ahead
    return _posterior(found, start)


def log_likelihood_gaussian(kalman: KalmanFilter, evidence: Any, engine: Engine = None) -> Any:
    """`log_likelihood` for a template from `linear_gaussian`."""
    found = filtered(kalman, kalman_data(kalman, evidence), engine).log_likelihood
    return found if found.ndim else float(found)


def sample_gaussian(
    kalman: KalmanFilter, size: int, evidence: Any, T: int | None, rng: np.random.Generator, engine: Engine = None
) -> GaussianPaths:
    """`sample` for a template from `linear_gaussian`; T tells the number of slices where there is no evidence of y."""
    if T is not None:
        T = positive(T, f"T is {T!r}; the number of slices must be a positive integer")
        if "y" in (evidence or {}):
            raise DataError("evidence of y tells the number of slices; leave T away")
        evidence = {**(evidence or {}), "y": np.full((T, kalman.symbols["y"].shape[0]), np.nan)}
    return drawn(kalman, kalman_data(kalman, evidence), size, rng, engine)


def _posterior(found: Moments, start: int = 0) -> GaussianPosterior:
    """The axis of the batch comes first."""
    mean, covariance = found.mean[start:], found.covariance[start:]
    if mean.ndim == 3:
        mean, covariance = np.swapaxes(mean, 0, 1), np.swapaxes(covariance, 0, 1)
    return GaussianPosterior(mean, covariance, float(found.log_likelihood.sum()), start)

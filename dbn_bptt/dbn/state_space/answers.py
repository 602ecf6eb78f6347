"""What the verbs answer about linear-Gaussian models, networks of Gaussian variables, and switching filters."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.state_space.drawing import GaussianPaths, drawn
from dbn_bptt.dbn.state_space.kalman import OBSERVED, KalmanFilter, kalman_data
from dbn_bptt.dbn.state_space.network import GaussianNetwork, Seen, seen
from dbn_bptt.dbn.state_space.posterior import GaussianPosterior
from dbn_bptt.dbn.state_space.regimes import SwitchingPosterior, filter_switching, smooth_switching
from dbn_bptt.dbn.state_space.smoothing import Moments, filtered, log_likelihoods, smoothed
from dbn_bptt.dbn.state_space.switching import SwitchingFilter
from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine

GaussianModel = KalmanFilter | GaussianNetwork | SwitchingFilter
Found = GaussianPosterior | SwitchingPosterior


def smooth_gaussian(model: GaussianModel, evidence: Any, engine: Engine = None) -> Found:
    """`smooth`: evidence is y and, where there are inputs, u; or numbers by variable. NaN is missing."""
    if isinstance(model, SwitchingFilter):
        return smooth_switching(model, evidence, engine)
    given = _given(model, evidence)
    return _posterior(model, given, smoothed(given.kalman, given.data, engine=engine, root=given.root))


def filter_gaussian(model: GaussianModel, evidence: Any, engine: Engine = None) -> Found:
    """`filter`."""
    if isinstance(model, SwitchingFilter):
        return filter_switching(model, evidence, engine=engine)
    given = _given(model, evidence)
    return _posterior(model, given, filtered(given.kalman, given.data, engine, given.root))


def predict_gaussian(model: GaussianModel, horizon: int, evidence: Any, engine: Engine = None) -> Found:
    """`predict`; evidence of u, if there is any, has the slices to come."""
    ahead = positive(horizon, f"horizon is {horizon!r}; it must be a positive number of slices")
    if isinstance(model, SwitchingFilter):
        return filter_switching(model, evidence, ahead, engine)
    given = _given(model, evidence, ahead)
    found = filtered(given.kalman, given.data, engine, given.root)
    return _posterior(model, given, found, len(found.mean) - ahead)


def log_likelihood_gaussian(model: GaussianModel, evidence: Any, engine: Engine = None) -> Any:
    """`log_likelihood`."""
    if isinstance(model, SwitchingFilter):
        return filter_switching(model, evidence, engine=engine).log_likelihood
    given = _given(model, evidence)
    found = log_likelihoods(given.kalman, given.data, engine, given.root)
    return found if found.ndim else float(found)


def sample_gaussian(
    model: GaussianModel, size: int, evidence: Any, T: int | None, rng: np.random.Generator, engine: Engine = None
) -> GaussianPaths:
    """`sample`; T tells the number of slices where there is no evidence of y, or of any variable."""
    if isinstance(model, SwitchingFilter):
        raise DataError("sample takes no switching filter; draw regimes, and of each model on its stretch")
    if T is not None:
        T = positive(T, f"T is {T!r}; the number of slices must be a positive integer")
    given = _given(model, evidence, T=T)
    paths = drawn(given.kalman, given.data, size, rng, engine, given.root)
    if isinstance(model, KalmanFilter):
        return paths
    states = paths.states.copy()
    states[..., given.places] = paths.y
    return replace(paths, states=states, names=model.names)


def _given(model: KalmanFilter | GaussianNetwork, evidence: Any, ahead: int = 0, T: int | None = None) -> Seen:
    """A model and evidence, as sweeps take them."""
    if isinstance(model, GaussianNetwork):
        return seen(model, evidence, ahead, T)
    if T is not None:
        if isinstance(evidence, Mapping) and "y" in evidence:
            raise DataError("evidence of y tells the number of slices; leave T away")
        evidence = {**(evidence or {}), "y": np.full((T, model.symbols["y"].shape[0]), np.nan)}
    return Seen(model, kalman_data(model, evidence, ahead))


def _posterior(model: KalmanFilter | GaussianNetwork, given: Seen, found: Moments, start: int = 0) -> GaussianPosterior:
    """What was found, with the axis of the batch first; a variable that was seen is what it was, without variance."""
    mean, covariance = found.mean[start:], found.covariance[start:]
    if isinstance(model, GaussianNetwork):
        mean, covariance = _exact(mean, covariance, given, start)
    if mean.ndim == 3:
        mean, covariance = np.swapaxes(mean, 0, 1), np.swapaxes(covariance, 0, 1)
    names = model.names if isinstance(model, GaussianNetwork) else ()
    return GaussianPosterior(mean, covariance, float(found.log_likelihood.sum()), start, names)


def _exact(mean: Array, covariance: Array, given: Seen, start: int) -> tuple[Array, Array]:
    y, there = given.data["y"][start:], given.data[OBSERVED][start:] > 0
    mean, unknown = mean.copy(), np.ones(mean.shape, bool)
    mean[..., given.places] = np.where(there, y, mean[..., given.places])
    unknown[..., given.places] = ~there
    return mean, np.where(unknown[..., :, None] & unknown[..., None, :], covariance, 0.0)

"""Draws from linear-Gaussian models: simulated, and moved to what was observed by the smoother of the difference.

A path (z, y) simulated from the model has the posterior's spread about the mean that the smoother finds for its own y;
so z + E[state | y observed] - E[state | y simulated] is drawn from the posterior (Durbin and Koopman 2002).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.dbn.state_space.columns import root_of
from dbn_bptt.dbn.state_space.kalman import OBSERVED, KalmanFilter
from dbn_bptt.dbn.state_space.posterior import place
from dbn_bptt.dbn.state_space.smoothing import smoothed
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine

Theta = Mapping[str, Array]


@dataclass(frozen=True)
class GaussianPaths:
    """Paths drawn from a linear-Gaussian model, given observations.

    Attributes
    ----------
    states : (size, T, d), or (B, size, T, d) for a batch
    y : (size, T, k) or (B, size, T, k); what was observed as it was
    names : of the numbers of the state, in a network: ``paths["X"]`` are those of one variable
    """

    states: Array = field(repr=False)
    y: Array = field(repr=False)
    names: tuple[Any, ...] = ()

    def __getitem__(self, name: Any) -> Array:
        return self.states[..., place(self.names, name)]

    def __str__(self) -> str:
        return f"Gaussian paths, states {self.states.shape}, y {self.y.shape}"

    __repr__ = __str__


def drawn(
    kalman: KalmanFilter, data: Theta, size: int, rng: np.random.Generator, engine: Engine = None,
    root: Array | None = None,
) -> GaussianPaths:  # fmt: skip
    """Paths of data as `kalman_data` gives them, time first."""
    batch, theta = data["y"].shape[1:-1], kalman.parameters
    own = {name: np.repeat(a.reshape(len(a), -1, a.shape[-1]), size, 1) for name, a in data.items()}
    z, y = _simulated(theta, own, rng)
    seen = own[OBSERVED]
    if seen.any():
        apart = own | {"y": np.where(seen > 0, own["y"] - y, 0.0)}
        if "u" in own:
            apart |= {"u": np.zeros_like(own["u"])}
        z = z + smoothed(kalman, apart, {**theta, "mean": np.zeros_like(theta["mean"])}, engine, root).mean
    y = _observed(theta, z, own, rng)
    states, observed = (np.moveaxis(a, 0, 1).reshape(*batch, size, len(a), -1) for a in (z, y))
    return GaussianPaths(states, observed)


def _simulated(theta: Theta, data: Theta, rng: np.random.Generator) -> tuple[Array, Array]:
    """States and observations, (T, paths, d) and (T, paths, k), from the model alone."""
    T, paths = data["y"].shape[:2]
    noise = _normal(rng, theta["Q"], (T, paths))
    z = np.empty_like(noise)
    z[0] = theta["mean"] + _normal(rng, theta["covariance"], (paths,))
    for t in range(1, T):
        z[t] = z[t - 1] @ theta["A"].T + noise[t]
        if "B" in theta:
            z[t] += data["u"][t] @ theta["B"].T
    return z, z @ theta["C"].T + _normal(rng, theta["R"], (T, paths))


def _observed(theta: Theta, z: Array, data: Theta, rng: np.random.Generator) -> Array:
    """What was observed, and draws of what was not, given states and what else was observed in the slice."""
    seen, R = data[OBSERVED] > 0, theta["R"]
    expected, y = z @ theta["C"].T, data["y"].copy()
    for pattern in np.unique(seen.reshape(-1, seen.shape[-1]), axis=0):
        rows, there, gone = (seen == pattern).all(-1), pattern, ~pattern
        gain = R[np.ix_(gone, there)] @ np.linalg.pinv(R[np.ix_(there, there)], hermitian=True)
        rest = R[np.ix_(gone, gone)] - gain @ R[np.ix_(there, gone)]
        found = y[rows]
        about = expected[rows][:, gone] + (found - expected[rows])[:, there] @ gain.T
        found[:, gone] = about + _normal(rng, rest, about.shape[:-1])
        y[rows] = found
    return y


def _normal(rng: np.random.Generator, covariance: Array, shape: tuple[int, ...]) -> Array:
    """Normal draws, also where a covariance is singular."""
    root = root_of(covariance)
    return rng.normal(size=(*shape, root.shape[1])) @ root.T

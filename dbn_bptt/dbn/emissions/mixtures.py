"""Mixtures of normal distributions, one mixture for each state."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.emissions.normal import Gaussian, gaussian
from dbn_bptt.dbn.emissions.numbers import far_apart, filled, finite
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal distributions for each state; made by `mixture`.

    Attributes
    ----------
    parent : whose states these are
    weights : (K, M), the probability of each component in each state
    components : K * M normal distributions, those of state 0 first
    """

    parent: Name
    weights: Array = field(repr=False)
    components: Gaussian

    @property
    def states(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def size(self) -> int:
        """d."""
        return self.components.size

    @property
    def parameters(self) -> dict[str, Array]:
        """Weights, and means and covariances of the components."""
        return {"weights": self.weights, **self.components.parameters}

    @property
    def free(self) -> int:
        """The components', and all weights of a state but one."""
        return self.weights.size - len(self.weights) + self.components.free

    def at(self, parameters: Mapping[str, Array]) -> "Mixture":
        """With other ones."""
        return replace(self, weights=parameters["weights"], components=self.components.at(parameters))

    def check(self, x: Array) -> None:
        """Any number will do."""

    def _joint(self, x: Array) -> Array:
        """log p(x, component | state), (N, K, M)."""
        with np.errstate(divide="ignore"):
            return self.components.log_likelihoods(x).reshape(len(x), *self.weights.shape) + np.log(self.weights)

    def log_likelihoods(self, x: Array) -> Array:
        """(N, K)."""
        return np.asarray(np.logaddexp.reduce(self._joint(x), -1))

    def statistics(self, x: Array, weights: Array) -> dict[str, Array]:
        """Those of the components, each with its share of a state's weights."""
        joint = self._joint(x)
        shares = np.exp(joint - np.logaddexp.reduce(joint, -1)[..., None])
        return self.components.statistics(x, (weights[..., None] * shares).reshape(len(x), -1))

    def maximised(self, statistics: Mapping[str, Array]) -> "Mixture":
        """Components as `Gaussian` learns them, and their shares as weights."""
        counts = statistics["weights"].reshape(self.weights.shape)
        total = counts.sum(1, keepdims=True)
        weights = np.where(total > 0, counts / np.where(total > 0, total, 1.0), self.weights)
        return replace(self, weights=weights, components=self.components.maximised(statistics))

    def drawn(self, states: Array, x: Array, rng: np.random.Generator) -> Array:
        """Draws of a component, given the numbers that are there, and then of the others from it."""
        joint = self._joint(x)[np.arange(len(x)), states]
        chances = np.cumsum(np.exp(joint - joint.max(1, keepdims=True)), 1)
        chosen = (chances < rng.random((len(x), 1)) * chances[:, -1:]).sum(1)
        return self.components.drawn(states * self.weights.shape[1] + chosen, x, rng)

    def scattered(self, x: Array, rng: np.random.Generator) -> "Mixture":
        """Components of equal weight: for each state observations far apart, among those nearest to one of its own."""
        rows, (K, M) = filled(x), self.weights.shape
        _, nearest = far_apart(rows, K, rng)
        centres, which = np.zeros((K, M, self.size)), np.zeros(len(rows), int)
        for k in np.unique(nearest):
            centres[k], own = far_apart(rows[nearest == k], M, rng)
            which[nearest == k] = k * M + own
        components = self.components.about(rows, centres.reshape(-1, self.size), which)
        return replace(self, weights=np.full((K, M), 1 / M), components=components)


def mixture(
    parent: Name, weights: Any, means: Any, covariances: Any, *, shape: str = "full", floor: float = 0.0
) -> Mixture:  # fmt: skip
    """A mixture of M normal distributions for each state of a variable, for `emit`.

    Parameters
    ----------
    parent : the variable
    weights : (K, M), rows that sum to 1
    means : (K, M, d), or (K, M) for one number
    covariances : (K, M, d, d) if "full", variances (K, M, d) if "diagonal", (K, M) if "spherical", (d, d) if "tied"
        Or one variance for all.
    shape, floor : as in `gaussian`

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> dbn.mixture("Rain", [[0.5, 0.5], [0.9, 0.1]], [[0.0, 1.0], [2.0, 3.0]], 0.1).states
    2
    """
    shares, centres, spreads = finite("weights", weights), finite("means", means), finite("covariances", covariances)
    if shares.ndim != 2 or (shares < 0).any() or (np.abs(shares.sum(1) - 1) > 1e-6).any():
        raise DataError("weights must be (K, M) probabilities, whose rows sum to 1")
    centres = centres[..., None] if centres.ndim == 2 else centres
    if centres.ndim != 3 or centres.shape[:2] != shares.shape:
        raise DataError(f"means has shape {np.shape(means)}; it must be {shares.shape} and an axis for the numbers")
    if spreads.ndim > 1 and shape != "tied" and spreads.shape[:2] == shares.shape:
        spreads = spreads.reshape(-1, *spreads.shape[2:])
    flat = centres.reshape(-1, centres.shape[-1])
    return Mixture(parent, shares, gaussian(f"components of {parent}", flat, spreads, shape=shape, floor=floor))

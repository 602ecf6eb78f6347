"""Counts, with a Poisson distribution for each state."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.emissions.numbers import LEAST, far_apart, filled, finite
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array


@dataclass(frozen=True)
class Poisson:
    """Counts with a rate for each state; made by `poisson`.

    Attributes
    ----------
    parent : whose states these are
    rates : (K, d)
    """

    parent: Name
    rates: Array = field(repr=False)

    @property
    def states(self) -> int:
        """K."""
        return len(self.rates)

    @property
    def size(self) -> int:
        """d."""
        return self.rates.shape[1]

    @property
    def parameters(self) -> dict[str, Array]:
        """Rates."""
        return {"rates": self.rates}

    @property
    def free(self) -> int:
        """All rates."""
        return self.rates.size

    def at(self, parameters: Mapping[str, Array]) -> "Poisson":
        """With other ones."""
        return replace(self, rates=parameters["rates"])

    def check(self, x: Array) -> None:
        """Refuse what is no count."""
        wrong = (x < 0) | (x != np.floor(x)) & ~np.isnan(x)
        if wrong.any():
            raise DataError(f"{x[wrong][0]:g} is no count; counts are 0, 1, 2, ..., and NaN is missing")

    def log_likelihoods(self, x: Array) -> Array:
        """(N, K)."""
        from scipy.special import gammaln, xlogy

        seen = ~np.isnan(x)
        counts = np.where(seen, x, 0.0)
        powers = xlogy(counts[:, None], self.rates).sum(-1)
        return np.asarray(powers - seen @ self.rates.T - gammaln(counts + 1).sum(-1, keepdims=True))

    def statistics(self, x: Array, weights: Array) -> dict[str, Array]:
        """Weights, (K, d) since some numbers may be missing, and sums of counts."""
        seen = ~np.isnan(x)
        return {"weights": weights.T @ seen, "first": weights.T @ np.where(seen, x, 0.0)}

    def maximised(self, statistics: Mapping[str, Array]) -> "Poisson":
        """Mean counts."""
        weights = statistics["weights"]
        learnt = weights > LEAST * weights.sum(0)
        return replace(self, rates=np.where(learnt, statistics["first"] / np.where(learnt, weights, 1.0), self.rates))

    def drawn(self, states: Array, x: Array, rng: np.random.Generator) -> Array:
        """(N, d)."""
        return np.where(np.isnan(x), rng.poisson(self.rates[states]), x)

    def scattered(self, x: Array, rng: np.random.Generator) -> "Poisson":
        """Mean counts of the observations nearest to some that are far apart, and of one more at the mean of all."""
        rows = filled(x)
        _, nearest = far_apart(rows, self.states, rng)
        own = np.eye(self.states)[nearest]
        mean = rows.mean(0)
        rates = (own.T @ rows + mean) / (own.sum(0)[:, None] + 1)
        return replace(self, rates=np.where(mean > 0, rates, self.rates))


def poisson(parent: Name, rates: Any) -> Poisson:
    """Counts with a rate for each state of a variable, for `emit`.

    Parameters
    ----------
    parent : the variable
    rates : (K, d), or (K,) for one count; positive

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> dbn.poisson("Rain", [1.0, 5.0]).size
    1
    """
    found = finite("rates", rates)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or 0 in found.shape or (found <= 0).any():
        raise DataError(
            f"rates must be (K, d) positive numbers, a row for each state; they have shape {np.shape(rates)}"
        )
    return Poisson(parent, found)

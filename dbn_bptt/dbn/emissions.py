"""What hidden states emit that is no state: vectors of numbers, with their likelihoods and how these are learnt.

An observation multiplies the indicator of its parent's state, e_v[k], by p(x | state k). So every verb is the same
sweep, and what reaches the indicator is the posterior probability with which an observation counts for a state: the
weight that it has in the M-step, whose statistics are sums over observations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.network import Emission, Name, Network, read
from dbn_bptt.errors import DataError, ModelError, unknown_name
from dbn_bptt.ops.kernels import Array

SHAPES = ("full", "diagonal", "spherical", "tied")  # of covariances
LEAST = 1e-12  # the share of all observations below which a state has too few to learn from


def emit(model: Any, name: Name, emission: Emission) -> Network:
    """A model with an observed vector besides: every verb takes what this returns, and evidence of the vector by name.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs, or what `emit` returned
    name : what the vector is called in evidence: arrays (T, d) or (B, T, d), (T,) or (B, T) where d = 1; NaN is missing
    emission : `gaussian` or `poisson`, with the variable whose state the vector depends on

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> rain = dbn.emit(dbn.umbrella(), "Clouds", dbn.gaussian("Rain", [0.2, 0.9], 0.1))
    >>> dbn.smooth(rain, {"Clouds": [0.8, 0.1, 0.5], "Umbrella": [1, 0, -1]})["Rain"].round(3)
    array([[0.082, 0.918],
           [0.99 , 0.01 ],
           [0.764, 0.236]])
    """
    network = read(model)
    if name in network.states or name in network.emissions:
        raise ModelError(f"{name!r} is a variable already; give the vector another name")
    if emission.parent not in network.states:
        raise unknown_name(emission.parent, network.names, "variable")
    if emission.states != len(network.states[emission.parent]):
        has = f"{emission.parent!r} has {len(network.states[emission.parent])}"
        raise ModelError(f"the emission of {name!r} has {emission.states} states, but {has}; give it a row for each")
    return replace(network, emissions={**network.emissions, name: emission})


# ------------------------------------------------------------------------------------------------------------- Gaussian
@dataclass(frozen=True)
class Gaussian:
    """A normal distribution for each state; made by `gaussian`.

    Attributes
    ----------
    parent : whose states these are
    means, covariances : (K, d) and (K, d, d)
    shape : "full", "diagonal", "spherical" or "tied", which learning keeps
    floor : the least variance that learning leaves in any direction
    """

    parent: Name
    means: Array = field(repr=False)
    covariances: Array = field(repr=False)
    shape: str = "full"
    floor: float = 0.0

    @property
    def states(self) -> int:
        """K."""
        return len(self.means)

    @property
    def size(self) -> int:
        """d."""
        return self.means.shape[1]

    @property
    def parameters(self) -> dict[str, Array]:
        """Means and covariances."""
        return {"means": self.means, "covariances": self.covariances}

    def at(self, parameters: Mapping[str, Array]) -> "Gaussian":
        """With other ones."""
        return replace(self, means=parameters["means"], covariances=parameters["covariances"])

    def check(self, x: Array) -> None:
        """Any number will do."""

    def log_likelihoods(self, x: Array) -> Array:
        """(N, K)."""
        found = np.zeros((len(x), self.states))
        for rows, of in _patterns(x):
            white, centre = self._whitening(of), self.means[:, of].mean(0)
            shifts = np.einsum("kji,ki->kj", white, self.means[:, of] - centre)
            z = (x[rows][:, of] - centre) @ white.reshape(-1, of.sum()).T - shifts.ravel()  # all states in one product
            scale = np.linalg.slogdet(self.covariances[:, of][:, :, of])[1] + of.sum() * np.log(2 * np.pi)
            found[rows] = -0.5 * ((z**2).reshape(len(z), self.states, -1).sum(-1) + scale)
        return found

    def _whitening(self, of: Array) -> Array:
        """The inverse of the Cholesky factor of each state's covariance of some of the numbers."""
        whitening: Array = np.linalg.inv(np.linalg.cholesky(self.covariances[:, of][:, :, of]))
        return whitening

    def _gain(self, of: Array) -> Array:
        """What some of the numbers say of all of them, (K, d, m)."""
        white = self._whitening(of)
        gain: Array = self.covariances[:, :, of] @ (np.swapaxes(white, -1, -2) @ white)
        return gain

    def statistics(self, x: Array, weights: Array) -> dict[str, Array]:
        """Weights, and first and second moments about the means, missing numbers by their conditional distribution."""
        first, second = np.zeros_like(self.means), np.zeros(self.covariances.shape)
        for rows, of in _patterns(x):
            w, gain = weights[rows], self._gain(of)
            about = np.einsum("kij,nkj->nki", gain, x[rows][:, None, of] - self.means[:, of])
            first += np.einsum("nk,nki->ki", w, about)
            second += np.einsum("nki,nkj->kij", w[..., None] * about, about)
            if not of.all():
                second += w.sum(0)[:, None, None] * (self.covariances - gain @ self.covariances[:, of])
        return {"weights": weights[~np.isnan(x).all(1)].sum(0), "first": first, "second": second}

    def maximised(self, statistics: Mapping[str, Array]) -> "Gaussian":
        """Moments of what counts for each state; a state for which next to nothing counts stays as it is."""
        weights, d = statistics["weights"], self.size
        learnt = weights > LEAST * weights.sum()
        total = np.where(learnt, weights, 1.0)
        shift = np.where(learnt[:, None], statistics["first"] / total[:, None], 0.0)
        spread = statistics["second"] / total[:, None, None] - shift[:, :, None] * shift[:, None]
        spread = np.where(learnt[:, None, None], spread, self.covariances)
        if self.shape == "tied":
            pooled = (total * learnt) @ spread.reshape(len(spread), -1) / (total * learnt).sum()
            spread = np.broadcast_to(pooled.reshape(d, d), spread.shape)
        elif self.shape != "full":
            variances = np.diagonal(spread, axis1=1, axis2=2)
            if self.shape == "spherical":
                variances = np.broadcast_to(variances.mean(1, keepdims=True), variances.shape)
            spread = variances[:, :, None] * np.eye(d)
        return replace(self, means=self.means + shift, covariances=self._floored(spread))

    def _floored(self, covariances: Array) -> Array:
        """Covariances with no variance below the floor; without one a state that has collapsed is refused."""
        covariances = 0.5 * (covariances + np.swapaxes(covariances, -1, -2))
        variances, axes = np.linalg.eigh(covariances)
        largest = np.abs(variances).max(-1, keepdims=True)
        collapsed = (variances <= np.maximum(1e-13 * largest, 0.0)).any(-1)
        if self.floor == 0 and collapsed.any():
            k = int(np.flatnonzero(collapsed)[0])
            mend = "give floor=, the least variance to learn, or fewer states"
            raise ModelError(f"state {k} of {self.parent!r} has collapsed: what counts for it has no spread; {mend}")
        low = np.asarray((variances < self.floor).any(-1))
        if not low.any():
            return covariances
        lifted = np.maximum(variances, self.floor)
        whole = (axes * lifted[:, None]) @ np.swapaxes(axes, -1, -2)
        return np.where(low[:, None, None], whole, covariances)

    def drawn(self, states: Array, x: Array, rng: np.random.Generator) -> Array:
        """Draws from the whole distribution, moved by what the numbers that are there say of the others."""
        root = np.linalg.cholesky(self.covariances)
        noise = rng.standard_normal((len(states), self.size))
        found = self.means[states] + np.einsum("nij,nj->ni", root[states], noise)
        for rows, of in _patterns(x):
            moved = x[rows][:, of] - found[rows][:, of]
            found[rows] += np.einsum("nij,nj->ni", self._gain(of)[states[rows]], moved)
        return np.where(np.isnan(x), found, x)


def gaussian(parent: Name, means: Any, covariances: Any, *, shape: str = "full", floor: float = 0.0) -> Gaussian:
    """A normal distribution for each state of a variable, for `emit`.

    Parameters
    ----------
    parent : the variable
    means : (K, d), or (K,) for one number
    covariances : (K, d, d) if "full", variances (K, d) if "diagonal", (K,) if "spherical", (d, d) if "tied"
        Or one variance for all; or (K,) where d = 1.
    shape : "full", "diagonal", "spherical" or "tied"
        What `fit` keeps: a covariance for each state; one without correlations; one variance for each state; one
        covariance for all states.
    floor : the least variance that `fit` leaves in any direction

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> dbn.gaussian("Rain", [[0.0, 1.0], [2.0, 3.0]], 0.5, shape="diagonal").covariances.shape
    (2, 2, 2)
    """
    if shape not in SHAPES:
        raise DataError(f"shape={shape!r}; give one of {', '.join(map(repr, SHAPES))}")
    centres = _finite("means", means)
    centres = centres[:, None] if centres.ndim == 1 else centres
    if centres.ndim != 2 or 0 in centres.shape:
        raise DataError(f"means has shape {np.shape(means)}; it must be (K, d), a row for each state")
    K, d = centres.shape
    given = _finite("covariances", covariances)
    whole = _whole(given, shape, K, d)
    if whole is None:
        forms = {"full": "(K, d, d)", "diagonal": "(K, d)", "spherical": "(K,)", "tied": "(d, d)"}[shape]
        raise DataError(
            f"covariances has shape {given.shape}; for shape={shape!r} it must be {forms}, K = {K}, d = {d}"
        )
    if not np.allclose(whole, np.swapaxes(whole, -1, -2)) or (np.linalg.eigvalsh(whole) <= 0).any():
        raise DataError("covariances must be symmetric and positive definite, variances positive")
    if not floor >= 0:
        raise DataError(f"floor={floor!r}; the least variance is 0 or more")
    return Gaussian(parent, centres, whole, shape, float(floor))


def _whole(given: Array, shape: str, K: int, d: int) -> Array | None:
    """Covariances (K, d, d), from variances perhaps; None where they are neither."""
    if given.ndim == 0:
        return np.broadcast_to(given * np.eye(d), (K, d, d))
    own = {
        "full": [given] if given.shape == (K, d, d) else [],
        "diagonal": [given[:, :, None] * np.eye(d)] if given.shape == (K, d) else [],
        "spherical": [given[:, None, None] * np.eye(d)] if given.shape == (K,) else [],
        "tied": [np.broadcast_to(given, (K, d, d))] if given.shape == (d, d) else [],
    }[shape]
    if not own and d == 1 and given.shape in ((K,), (K, 1)):
        own = [given.reshape(K, 1, 1)]
    return own[0] if own else None


# -------------------------------------------------------------------------------------------------------------- Poisson
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
    found = _finite("rates", rates)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or 0 in found.shape or (found <= 0).any():
        raise DataError(
            f"rates must be (K, d) positive numbers, a row for each state; they have shape {np.shape(rates)}"
        )
    return Poisson(parent, found)


# --------------------------------------------------------------------------------------------------------------- shared
def _finite(what: str, values: Any) -> Array:
    try:
        found = np.array(values, float)
    except (TypeError, ValueError):
        raise DataError(f"{what} is no array of numbers") from None
    if not np.isfinite(found).all():
        raise DataError(f"{what} holds NaN or infinity; all numbers must be finite")
    return found


def _patterns(x: Array) -> Iterator[tuple[Array, Array]]:
    """Rows with the same numbers missing, as masks of the rows and of the numbers that are there, if any is."""
    seen = ~np.isnan(x)
    if seen.all():
        yield np.ones(len(x), bool), np.ones(x.shape[1], bool)
        return
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    for k, of in enumerate(patterns):
        if of.any():
            yield which.ravel() == k, of

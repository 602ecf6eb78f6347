"""Normal distributions, one for each state."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.emissions.numbers import LEAST, far_apart, filled, finite, patterns
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.errors import DataError, ModelError
from dbn_bptt.ops.kernels import Array

SHAPES = ("full", "diagonal", "spherical", "tied")  # of covariances


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

    @property
    def free(self) -> int:
        """The means, and the covariances that the shape leaves."""
        K, d = self.means.shape
        one = d * (d + 1) // 2  # covariance, symmetric
        return K * d + {"full": K * one, "diagonal": K * d, "spherical": K, "tied": one}[self.shape]

    def at(self, parameters: Mapping[str, Array]) -> "Gaussian":
        """With other ones."""
        return replace(self, means=parameters["means"], covariances=parameters["covariances"])

    def check(self, x: Array) -> None:
        """Any number will do."""

    def log_likelihoods(self, x: Array) -> Array:
        """(N, K)."""
        found = np.zeros((len(x), self.states))
        for rows, of in patterns(x):
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
        for rows, of in patterns(x):
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
        return replace(self, means=self.means + shift, covariances=self._floored(self._shaped(spread)))

    def scattered(self, x: Array, rng: np.random.Generator) -> "Gaussian":
        """Means at observations far apart, and for all states the covariance about the nearest of them."""
        rows = filled(x)
        centres, nearest = far_apart(rows, self.states, rng)
        return self.about(rows, centres, nearest)

    def about(self, rows: Array, centres: Array, nearest: Array) -> "Gaussian":
        """With other means, and for all states the covariance of rows about those that are nearest to them."""
        about = rows - centres[nearest]
        pooled = np.broadcast_to(about.T @ about / len(rows), self.covariances.shape)
        return replace(self, means=centres, covariances=self._floored(self._shaped(pooled)))

    def _shaped(self, covariances: Array) -> Array:
        """Covariances without what diagonal and spherical ones lack."""
        if self.shape in ("full", "tied"):
            return covariances
        variances = np.diagonal(covariances, axis1=1, axis2=2)
        if self.shape == "spherical":
            variances = np.broadcast_to(variances.mean(1, keepdims=True), variances.shape)
        return np.asarray(variances[:, :, None] * np.eye(self.size))

    def _floored(self, covariances: Array) -> Array:
        """Covariances with no variance below the floor; without one a state that has collapsed is refused."""
        covariances = 0.5 * (covariances + np.swapaxes(covariances, -1, -2))
        variances, axes = np.linalg.eigh(covariances)
        largest = np.abs(variances).max(-1, keepdims=True)
        collapsed = (variances <= 1e-13 * largest).any(-1)
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
        for rows, of in patterns(x):
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
    centres = finite("means", means)
    centres = centres[:, None] if centres.ndim == 1 else centres
    if centres.ndim != 2 or 0 in centres.shape:
        raise DataError(f"means has shape {np.shape(means)}; it must be (K, d), a row for each state")
    K, d = centres.shape
    given = finite("covariances", covariances)
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

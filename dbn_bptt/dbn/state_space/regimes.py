"""What a switching filter finds, and its smoother, which is its BPTT.

The adjoints of a pair's log-probability, mean x and covariance X say what later observations change. With g the pair's
probability given all of them, lam = dL/dx and Lam = dL/dX + dL/dX', as for one Kalman filter,

    g = -dL/d(log-probability),  E[(z - x) 1] = -X lam,  E[(z - x)(z - x)' 1] = g X - X Lam X,

1 being 1 where the regimes are those of the pair. That is exact for the approximate log p(y), which the filter has.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.dbn.state_space.kalman import kalman_data, singular
from dbn_bptt.dbn.state_space.switching import SwitchingFilter
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine
from dbn_bptt.program.run import kept
from dbn_bptt.sweep.given import checked
from dbn_bptt.sweep.results import refuse_nan


@dataclass(frozen=True)
class SwitchingPosterior:
    """Regimes and states in every slice given observations, approximately.

    Attributes
    ----------
    probabilities : (T, K), or (B, T, K) for a batch, of the regimes
    means, covariances : (T, K, d) and (T, K, d, d), of the state in each regime
    log_likelihood : log p(y) in nats, approximately; (B,) for a batch
    start : the slice that the first row belongs to, as in a prediction
    """

    probabilities: Array = field(repr=False)
    means: Array = field(repr=False)
    covariances: Array = field(repr=False)
    log_likelihood: Any
    start: int = 0

    @property
    def mean(self) -> Array:
        """Of the state, whatever the regime: (T, d)."""
        return np.einsum("...k,...ki->...i", self.probabilities, self.means)

    @property
    def covariance(self) -> Array:
        """Of the state, whatever the regime: (T, d, d)."""
        return merged(self.probabilities, self.means, self.covariances)[1]

    def __str__(self) -> str:
        return (
            f"Switching posterior, probabilities {self.probabilities.shape}, means {self.means.shape}, "
            f"log-likelihood about {np.sum(self.log_likelihood):.6g}"
        )

    __repr__ = __str__


def filter_switching(
    model: SwitchingFilter, evidence: Any, ahead: int = 0, engine: Engine = None
) -> SwitchingPosterior:
    """`filter`, and with some slices ahead `predict`, for a template from `switching`."""
    program = kept(model.frozen, engine)
    given = checked(program.template, {}, kalman_data(model, evidence, ahead))
    try:
        outcome = program.run(given, totals=("L",), series=("p", "m", "P", "log_p"))
    except DataError:
        raise singular() from None
    refuse_nan({"the loss": outcome.totals["L"]})
    log_likelihood = outcome.series["log_p"].sum(0)
    start = given.T - ahead if ahead else 0
    p, m, P = (np.moveaxis(outcome.series[name][start:], 0, len(given.batch)) for name in ("p", "m", "P"))
    return SwitchingPosterior(p, m, P, log_likelihood if given.batch else float(log_likelihood), start)


def smooth_switching(model: SwitchingFilter, evidence: Any, engine: Engine = None) -> SwitchingPosterior:
    """`smooth` for a template from `switching`; on NumPy unless told, since loops take a minute or so to compile."""
    if model.method != "gpb2":
        raise DataError(
            "smooth takes switching filters by 'gpb2' alone; what IMM merges beforehand is lost on the way back"
        )
    engine = "numpy" if engine is None else engine
    program = kept(model.frozen, engine)
    given = checked(program.template, {}, kalman_data(model, evidence))
    bars = program.backward.partners
    names = ("x", "X", "m", "P", "log_p", bars["x"], bars["X"], bars["joint"])
    try:
        series = program.run(given, series=names, wrt=("inputs",)).series
    except DataError:
        raise singular() from None
    log_likelihood = series["log_p"].sum(0)
    refuse_nan({"the loss": log_likelihood})
    p, m, P = _smoothed(*(series[name] for name in names if name != "log_p"))
    p, m, P = (np.moveaxis(a, 0, len(given.batch)) for a in (p, m, P))
    return SwitchingPosterior(p, m, P, log_likelihood if given.batch else float(log_likelihood))


def _smoothed(x: Array, X: Array, m: Array, P: Array, lam: Array, bar: Array, joint: Array) -> tuple[Array, ...]:
    """Probabilities (..., K), means and covariances of regimes, from those of pairs and their adjoints.

    The state in a regime that is ruled out stays as the filter left it.
    """
    pairs = np.maximum(-joint, 0.0)  # approximations may leave less than nothing
    p = pairs.sum(-1)
    some = p > 1e-12
    weight = np.where(some, p, 1.0)
    first = -np.einsum("...ab,...b->...a", X, lam)
    mean = (pairs[..., None] * x + first).sum(-2) / weight[..., None]
    mean = np.where(some[..., None], mean, m)
    second = pairs[..., None, None] * X - X @ (bar + np.swapaxes(bar, -1, -2)) @ X
    apart = x - mean[..., None, :]
    across = (first + 0.5 * pairs[..., None] * apart)[..., :, None] * apart[..., None, :]
    covariance = (second + across + np.swapaxes(across, -1, -2)).sum(-3) / weight[..., None, None]
    return p / p.sum(-1, keepdims=True), mean, np.where(some[..., None, None], covariance, P)


def merged(weights: Array, m: Array, P: Array) -> tuple[Array, Array]:
    """Mean and covariance of a mixture, over the last axis of the weights.

    Examples
    --------
    >>> merged(np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), np.array([[[1.0]], [[2.0]]]))
    (array([0.]), array([[2.5]]))
    """
    mean = np.einsum("...k,...ki->...i", weights, m)
    apart = m - mean[..., None, :]
    return mean, np.einsum("...k,...kij->...ij", weights, P + apart[..., :, None] * apart[..., None, :])

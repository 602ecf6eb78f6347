"""Switching between linear-Gaussian models, approximately: GPB2 and IMM as slice templates.

A regime s_t is a Markov chain; in regime k the state moves by A_k, Q_k and is seen by C_k, R_k. The exact posterior of
z_t is a mixture of as many normal distributions as there are paths of regimes, K^(t+1). Both filters keep one for each
regime, of the mixture's mean and covariance: GPB2 runs a Kalman filter for each pair of regimes of two slices and then
merges what ends in the same regime; IMM merges before, so that K filters do (Blom and Bar-Shalom 1988, Murphy 1998).
Merging is algebra, so that the filter is a template, compiled and differentiated like any other.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dbn_bptt import ops
from dbn_bptt.dbn.state_space.kalman import OBSERVED, KalmanFilter
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.builder import SliceTemplate

Method = Literal["gpb2", "imm"]
STACKED = ("A", "C", "Q", "R", "mean", "covariance")
INDICATOR = "e"  # of a regime, 1 unless given: its gradient is the regime's probability
TINY = 1e-300  # keeps the logarithm of a probability that is 0 a number


class SwitchingFilter(SliceTemplate):
    """The template of a filter that switches between models, as `switching` makes it."""

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays that it was made of, by name; those of the models stacked, regime first."""
        return {name: np.asarray(self.frozen.arrays[name]) for name in self.names("parameter")}

    @property
    def method(self) -> Method:
        """Which approximation it is."""
        return "imm" if self.symbols["joint"].shape[1] < self.symbols["joint"].shape[0] else "gpb2"


def switching(
    transition: Any, initial: Any, models: Sequence[KalmanFilter], method: Method = "gpb2"
) -> SwitchingFilter:
    """A filter of linear-Gaussian models between which a Markov chain switches: an approximation, as a template.

    `filter`, `smooth` (GPB2 alone), `predict` and `log_likelihood` take it, with evidence of y, and give a
    `SwitchingPosterior`. It is exact for one regime, and where the state depends on no state before (A = 0, or a state
    that is known). Elsewhere what is merged is lost: in forty random models GPB2's filtered probabilities of regimes
    were wrong by 0.0004 in the median and 0.05 at worst, smoothed ones by 0.001 and 0.07; those of IMM, K filters in
    place of K^2, by 0.01 and 0.26. Its parameters are the arrays given, with those of the models stacked; `compile`
    gives their gradients.

    Parameters
    ----------
    transition : (K, K), the probabilities of regimes given the one before; a column is a regime before
    initial : (K,), the probabilities of regimes in slice 0
    models : K templates from `linear_gaussian`, with states and outputs of the same sizes and without inputs
        In slice 0 the state has the mean and the covariance of its regime's model.
    method : "gpb2" or "imm"

    Examples
    --------
    >>> import numpy as np
    >>> from dbn_bptt import dbn
    >>> calm, wild = (dbn.linear_gaussian([[1.0]], [[1.0]], [[q]], [[0.1]], [0.0], [[1.0]]) for q in (0.01, 4.0))
    >>> both = dbn.switching([[0.95, 0.2], [0.05, 0.8]], [0.5, 0.5], [calm, wild])
    >>> dbn.smooth(both, {"y": [0.1, 0.2, 0.1, 3.0, 3.1]}).probabilities[:, 1].round(2)
    array([0.39, 0.29, 0.37, 1.  , 0.49])
    """
    if method not in ("gpb2", "imm"):
        raise DataError(f"method is {method!r}; it must be 'gpb2' or 'imm'")
    stacked = _stacked(transition, initial, models)
    K, d, k = len(models), stacked["A"].shape[-1], stacked["C"].shape[1]
    n = K if method == "gpb2" else 1  # filters for each regime
    t = SwitchingFilter(f"switching filter, {method.upper()}")
    p = {name: t.parameter(name, value.shape, default=value) for name, value in stacked.items()}
    y, seen = t.input("y", k), t.input(OBSERVED, k, default=1.0)
    x, X = t.variable("x", (K, n, d)), t.variable("X", (K, n, d, d))
    prior, prob = t.variable("prior", (K, n)), t.variable("p", K)
    m, P = t.variable("m", (K, d)), t.variable("P", (K, d, d))
    pairs = p["transition"] * prob.prev  # of regimes of this slice and the one before
    if method == "gpb2":
        before, about, weights = _each(m.prev, K), _each(P.prev, K), pairs
    else:
        mixed = _merged(ops.softmax(ops.log(pairs + TINY)), _each(m.prev, K), _each(P.prev, K))
        before, about = (ops.reshape(a, (K, 1, *a.shape[1:])) for a in mixed)
        weights = ops.sum(pairs, axis=-1, keepdims=True)
    A, Q = _spread(p["A"], n), _spread(p["Q"], n)
    t.define(x, ops.reshape(A @ ops.reshape(before, (K, n, d, 1)), (K, n, d)), first=_spread(p["mean"], n))
    t.define(X, A @ about @ _turned(A) + Q, first=_spread(p["covariance"], n))
    t.define(prior, weights, first=_spread(p["initial"], n) / n)
    found, covariance, likelihood = _updated(p, y, seen, x, X)
    joint = t.variable("joint", (K, n))
    t.define(joint, ops.log(prior * _spread(t.input(INDICATOR, K, default=1.0), n) + TINY) + likelihood)
    evidence = t.variable("log_p", ())
    t.define(evidence, ops.logsumexp(joint))
    t.define(prob, ops.sum(ops.exp(joint - evidence), axis=-1))
    mean, spread = _merged(ops.softmax(joint), found, covariance)
    t.define(m, mean)
    t.define(P, spread)
    t.loss("L", -evidence)
    return t


def _updated(p: dict[str, Any], y: Any, seen: Any, x: Any, X: Any) -> tuple[Any, Any, Any]:
    """Kalman filters side by side: means and covariances given y, and log-likelihoods of y."""
    K, n, d = x.shape
    k = y.shape[0]
    C, R = _spread(p["C"], n), _spread(p["R"], n)
    v = seen * (y - ops.reshape(C @ ops.reshape(x, (K, n, d, 1)), (K, n, k)))
    S = ops.outer(seen, seen) * (C @ X @ _turned(C) + R) + np.eye(k) * (1 - seen)
    inverse = ops.inverse(S)
    gain = (X @ _turned(C) * seen) @ inverse
    column = ops.reshape(v, (K, n, k, 1))
    left = X - gain @ S @ _turned(gain)
    squares = ops.reshape(_turned(column) @ (inverse @ column), (K, n))
    likelihood = -0.5 * (squares + ops.logdet(S) + np.log(2 * np.pi) * ops.sum(seen))
    return x + ops.reshape(gain @ column, (K, n, d)), 0.5 * (left + _turned(left)), likelihood


def _merged(weights: Any, m: Any, P: Any) -> tuple[Any, Any]:
    """Mean (K, d) and covariance of mixtures with weights (K, n), means (K, n, d) and covariances."""
    K, n, d = m.shape
    mean = ops.einsum("ji,jia->ja", weights, m)
    apart = m - ops.reshape(mean, (K, 1, d))
    within = P + ops.reshape(apart, (K, n, d, 1)) * ops.reshape(apart, (K, n, 1, d))
    return mean, ops.einsum("ji,jiab->jab", weights, within)


def _spread(a: Any, n: int) -> Any:
    """An array for each regime, (K, ...), as one for each of its n filters."""
    return ops.broadcast_to(ops.reshape(a, (a.shape[0], 1, *a.shape[1:])), (a.shape[0], n, *a.shape[1:]))


def _each(a: Any, K: int) -> Any:
    """What regimes before left, (K, ...), for each of K regimes now."""
    return ops.broadcast_to(ops.reshape(a, (1, *a.shape)), (K, *a.shape))


def _turned(a: Any) -> Any:
    return ops.transpose(a, (0, 1, 3, 2))


def _stacked(transition: Any, initial: Any, models: Sequence[KalmanFilter]) -> dict[str, Array]:
    """The parameters, checked."""
    if not models or not all(isinstance(model, KalmanFilter) for model in models):
        raise DataError("models must be templates from linear_gaussian, one for each regime")
    parameters = [model.parameters for model in models]
    if any("B" in of for of in parameters):
        raise DataError("switching takes no models with inputs; put what is known into the state")
    for name in STACKED:
        shapes = {of[name].shape for of in parameters}
        if len(shapes) > 1:
            raise DataError(f"the models' {name} have shapes {sorted(shapes)}; states and outputs must be of one size")
    found = {"transition": np.asarray(transition, float), "initial": np.asarray(initial, float)}
    K = len(models)
    for name, shape in {"transition": (K, K), "initial": (K,)}.items():
        a = found[name]
        if a.shape != shape:
            raise DataError(f"{name} has shape {a.shape}; it must be {shape} for {K} models")
        if not (a >= 0).all() or not np.allclose(a.sum(0), 1):
            what = "columns of transition must be distributions" if name == "transition" else "initial must be one"
            raise DataError(f"{name} is no table of probabilities; {what}, without negative numbers, of sum 1")
    return found | {name: np.stack([of[name] for of in parameters]) for name in STACKED}

"""The linear-Gaussian state-space model: the Kalman filter as a slice template, the smoother as its BPTT.

z_t = A z_{t-1} + B u_t + noise of covariance Q, y_t = C z_t + noise of covariance R. The filter's loss is -log p(y).
Back-propagated through the filter, it arrives at the predicted means and covariances as what the modified Bryson-
Frazier smoother computes (Bierman 1973): lam = dL/dm-, Lam = 2 dL/dP- + lam lam', and

    smoothed mean = m- - P- lam,  smoothed covariance = P- - P- Lam P-.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.expressions import reference

MEAN, COVARIANCE, OBSERVED = "m_pred", "P_pred", "seen"


class KalmanFilter(SliceTemplate):
    """The template of a Kalman filter, as `linear_gaussian` makes it."""

    @property
    def parameters(self) -> dict[str, Array]:
        """The arrays that it was made of, by name."""
        return {name: np.asarray(self.frozen.arrays[name]) for name in self.names("parameter")}


def linear_gaussian(
    A: Any, C: Any, Q: Any, R: Any, mean: Any, covariance: Any, B: Any = None
) -> KalmanFilter:  # fmt: skip
    """The Kalman filter as a template.

    Its parameters are the arrays given, which are their defaults; its inputs are y (k numbers a slice), `seen` (1 where
    a number of y was observed and 0 where it is missing; 1 unless given) and, with B, u. Its variables are the
    predicted mean and covariance `m_pred` and `P_pred`, the innovation v and its covariance S, the gain K, and the
    filtered mean m and covariance P. Its loss is -log p(y).

    Parameters
    ----------
    A : (d, d), transition
    C : (k, d), observation
    Q, R : (d, d) and (k, k), covariances of the noise of state and observation
    mean, covariance : (d,) and (d, d), of the state in slice 0
    B : (d, n), optional, influence of inputs u, which begins with slice 1

    Examples
    --------
    >>> import numpy as np
    >>> from dbn_bptt import dbn
    >>> walk = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]])
    >>> posterior = dbn.smooth(walk, {"y": [1.0, np.nan, 3.0]})
    >>> posterior.mean[:, 0].round(3), posterior.covariance[:, 0, 0].round(3)
    (array([0.857, 1.571, 2.286]), array([0.429, 0.857, 0.714]))
    """
    arrays = {"A": A, "C": C, "Q": Q, "R": R, "mean": mean, "covariance": covariance}
    found = {name: np.asarray(value, float) for name, value in arrays.items()}
    _check(found, B)
    d, k = len(found["A"]), len(found["C"])
    t = KalmanFilter("Kalman filter")
    p = {name: t.parameter(name, value.shape, default=value) for name, value in found.items()}
    y, seen = t.input("y", k), t.input(OBSERVED, k, default=1.0)
    m_pred, P_pred = t.variable(MEAN, d), t.variable(COVARIANCE, (d, d))
    v, S, K = t.variable("v", k), t.variable("S", (k, k)), t.variable("K", (d, k))
    m, P = t.variable("m", d), t.variable("P", (d, d))
    moved = p["A"] @ m.prev
    if B is not None:
        values = np.asarray(B, float)
        moved = moved + t.parameter("B", values.shape, default=values) @ t.input("u", values.shape[1])
    t.define(m_pred, moved, first=p["mean"])
    t.define(P_pred, p["A"] @ P.prev @ p["A"].T + p["Q"], first=p["covariance"])
    t.define(v, seen * (y - p["C"] @ m_pred))
    define_gain(t, p, seen)
    t.define(m, m_pred + K @ v)
    t.define(P, symmetric(P_pred - K @ S @ K.T))
    t.loss("L", 0.5 * (v @ (ops.inverse(S) @ v) + ops.logdet(S) + np.log(2 * np.pi) * ops.sum(seen)))
    return t


def define_gain(t: SliceTemplate, p: Mapping[str, Any], seen: Any) -> None:
    """The equations of a filter's S and K, which its mean and covariance are updated by."""
    P_pred, S, K = (reference(t.symbols[name]) for name in (COVARIANCE, "S", "K"))
    both, missing = ops.outer(seen, seen), np.eye(seen.shape[0]) * (1 - seen)
    t.define(S, both * (p["C"] @ P_pred @ p["C"].T + p["R"]) + missing)  # what is missing predicts itself, variance 1
    t.define(K, (P_pred @ p["C"].T * seen) @ ops.inverse(S))


def symmetric(a: Any) -> Any:
    """A matrix made symmetric: what rounding makes unsymmetric would grow from slice to slice."""
    return 0.5 * (a + a.T)


def _check(found: Mapping[str, Array], B: Any) -> None:
    A, C = found["A"], found["C"]
    d = len(A) if A.ndim == 2 else 0
    k = len(C) if C.ndim == 2 else 0
    wanted = {"A": (d, d), "C": (k, d), "Q": (d, d), "R": (k, k), "mean": (d,), "covariance": (d, d)}
    for name in wanted:
        if not np.isfinite(found[name]).all():
            raise DataError(f"{name} holds NaN or infinity; all numbers must be finite")
    for name, shape in wanted.items():
        if found[name].shape != shape or 0 in shape:
            raise DataError(
                f"{name} has shape {found[name].shape}; it must be {shape} for a state of {d} and {k} outputs"
            )
    for name in ("Q", "R", "covariance"):
        a = found[name]
        size = np.abs(a).max()
        if not np.allclose(a, a.T, atol=1e-8 * size) or np.linalg.eigvalsh(a).min() < -1e-10 * size:
            raise DataError(f"{name} is no covariance: it must be symmetric without negative eigenvalues")
    if B is not None and (np.ndim(B) != 2 or len(np.asarray(B)) != d or 0 in np.shape(B)):
        raise DataError(f"B has shape {np.shape(B)}; it must be ({d}, n)")


def singular() -> DataError:
    """The error where observations without noise say the same twice, or contradict each other."""
    return DataError("a covariance of observations is singular; give R (or Q) some noise")


def refuse(verb: str, **options: Any) -> None:
    """Refuse options that mean nothing here."""
    for name in [name for name, value in options.items() if value is not None]:
        raise DataError(f"{verb} of a linear-Gaussian network takes no {name}; give NaN for what is missing")


def kalman_data(kalman: SliceTemplate, evidence: Any, ahead: int = 0) -> dict[str, Array]:
    """The data of a Kalman filter: y (T, k) or (B, T, k), or (T,) for one number a slice; NaN is missing.

    `ahead` slices more follow without observations; inputs u have them too.

    Examples
    --------
    >>> import numpy as np
    >>> from dbn_bptt import dbn
    >>> walk = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]])
    >>> kalman_data(walk, {"y": [1.0, np.nan]})["seen"].ravel()
    array([1., 0.])
    """
    names = [name for name in ("y", "u") if name in kalman.symbols]
    if not isinstance(evidence, Mapping):
        raise DataError(f"evidence must be a dict with {' and '.join(map(repr, names))}, not {type(evidence).__name__}")
    data: dict[str, Array] = {}
    for name, values in evidence.items():
        if name not in names:
            raise unknown_name(name, names, "input")
        k = kalman.symbols[name].shape[0]
        try:
            array = np.asarray(values, float)
        except (TypeError, ValueError):
            raise DataError(f"{name} is no array of numbers; it must be (T, {k}) or (B, T, {k})") from None
        array = array[..., None] if k == 1 and (array.ndim == 1 or array.shape[-1] != 1) else array
        if array.ndim not in (2, 3) or array.shape[-1] != k:
            raise DataError(f"{name} has shape {np.shape(values)}; it must be (T, {k}) or (B, T, {k})")
        data[name] = np.swapaxes(array, 0, 1) if array.ndim == 3 else array
    if "y" not in data:
        raise DataError("there are no observations 'y'; give NaN where nothing was observed")
    if ahead:
        data["y"] = np.concatenate([data["y"], np.full((ahead, *data["y"].shape[1:]), np.nan)])
    if "u" in data and np.isnan(data["u"]).any():
        raise DataError("u holds NaN; inputs must be known in every slice")
    missing = np.isnan(data["y"])
    return {**data, "y": np.where(missing, 0.0, data["y"]), OBSERVED: 1.0 - missing}

"""A prior that is wide beside the noise: its width is carried through the filter as columns of the mean.

Where the initial covariance is 1e6 or 1e10 times the noise, P - P Lam P cancels, and the filter's own P - K S K' has
lost what the noise adds. So the prior is split: z_0 = mean + F x + rest, x standard normal, where the covariance of the
rest is what the noise itself reaches within as many slices as the state has numbers. Given x the means are affine in
it, and the filter's covariances are those of the rest, of the noise's own size. With columns M = (mean, F) and
innovations v (y in the first column alone) one sweep forwards gives least squares for x: its triangular factor has the
mean of x given y, a root of its covariance, and what log p(y) needs. A second sweep begins with the columns
(mean + F E[x | y], F root), and has the loss

    1/2 sum of all columns' v' inv(S) v + 1/2 log|S|,

whose gradient is that of -log p(y) in A, B, C, Q and R: that through E[x | y] vanishes, and the columns are what comes
through the determinant. Its BPTT smooths every column, and the smoothed covariance is a sum without negative
eigenvalues: that of the rest, and the columns' outer product.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from dbn_bptt import ops
from dbn_bptt.dbn.state_space.kalman import COVARIANCE, MEAN, OBSERVED, define_gain, singular, symmetric
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine
from dbn_bptt.program.gradients import Outcome
from dbn_bptt.program.run import Program, kept
from dbn_bptt.sweep.given import checked
from dbn_bptt.template.builder import SliceTemplate

WIDE = 100.0  # a prior variance that is so many times what the noise reaches is carried by a column
STATE, COVARIANCE_0, INNOVATIONS = "m", "covariance", ("v", "S")


@dataclass(frozen=True)
class Prior:
    """The covariance of the first state in two parts: rest + columns columns'.

    Attributes
    ----------
    rest : (d, d)
    columns : (d, n)
    """

    rest: Array
    columns: Array


def split(theta: Mapping[str, Array], wide: float = WIDE, root: Array | None = None) -> Prior:
    """The prior's covariance, split where it is wide beside what the noise reaches, so many times as large.

    A root of it, with columns that are independent, tells more than itself where one number is a noisy copy of another.

    Examples
    --------
    >>> prior = split({"A": np.eye(1), "Q": np.eye(1), "covariance": np.array([[1e8]])})
    >>> prior.rest, (prior.columns @ prior.columns.T).round()
    (array([[1.]]), array([[99999999.]]))
    """
    root = root_of(theta["covariance"]) if root is None else root
    lengths = np.linalg.norm(root, axis=0)
    root, lengths = root[:, lengths > 0], lengths[lengths > 0]
    back = np.linalg.pinv(root / lengths) / lengths[:, None]
    share, V = np.linalg.eigh(back @ reached(theta["A"], theta["Q"]) @ back.T)
    F = root @ V  # covariance = F F', reach = F diag(share) F' as far as the prior has any
    carried, share = share < 1 / wide, np.clip(share, 0.0, 1.0)
    rest = F * np.sqrt(np.where(carried, share, 1.0))
    return Prior(rest @ rest.T, F[:, carried] * np.sqrt(1 - share[carried]))


def root_of(covariance: Array) -> Array:
    """A root of a covariance, (d, rank).

    Examples
    --------
    >>> root_of(np.diag([4.0, 0.0]))
    array([[2.],
           [0.]])
    """
    size = np.sqrt(np.diagonal(covariance))
    size = np.where(size > 0, size, 1.0)  # the units of the state's numbers may be far from each other
    lam, U = np.linalg.eigh(covariance / np.outer(size, size))
    some = lam > 1e-14 * lam.max(initial=0.0)
    return size[:, None] * U[:, some] * np.sqrt(lam[some])


def reached(A: Array, Q: Array) -> Array:
    """The covariance that noise alone gives the state within as many slices as it has numbers."""
    found = Q
    for _ in range(len(A) - 1):
        found = A @ found @ A.T + Q
    return found


def columns_filter(d: int, k: int, n: int, inputs: int = 0) -> SliceTemplate:
    """The filter of d states and k outputs with n columns: `m_pred` and v have a column each, y in the first.

    Examples
    --------
    >>> columns_filter(2, 1, 3).names("variable")
    ['m_pred', 'P_pred', 'v', 'S', 'K', 'm', 'P']
    """
    t = SliceTemplate("Kalman filter with columns")
    shapes = {"A": (d, d), "C": (k, d), "Q": (d, d), "R": (k, k), "covariance": (d, d)}
    p = {name: t.parameter(name, shape) for name, shape in shapes.items()}
    y, seen, first = t.input("y", k), t.input(OBSERVED, k), np.eye(n)[0]
    m_pred, P_pred = t.variable(MEAN, (d, n)), t.variable(COVARIANCE, (d, d))
    v, S, K = t.variable("v", (k, n)), t.variable("S", (k, k)), t.variable("K", (d, k))
    m, P = t.variable(STATE, (d, n)), t.variable("P", (d, d))
    moved = p["A"] @ m.prev
    if inputs:
        moved = moved + ops.outer(t.parameter("B", (d, inputs)) @ t.input("u", inputs), first)
    t.define(m_pred, moved, first=m.prev)  # the initial state of m is the columns of slice 0
    t.define(P_pred, p["A"] @ P.prev @ p["A"].T + p["Q"], first=p["covariance"])
    t.define(v, ops.reshape(seen, (k, 1)) * (ops.outer(y, first) - p["C"] @ m_pred))
    define_gain(t, p, seen)
    t.define(m, m_pred + K @ v)
    t.define(P, symmetric(P_pred - K @ S @ K.T))
    t.loss("L", 0.5 * (ops.sum(v * (ops.inverse(S) @ v)) + ops.logdet(S)))
    return t


@dataclass(frozen=True)
class Columns:
    """A filter with columns, at given data.

    Attributes
    ----------
    theta : the parameters of the model
    data : as `kalman_data` gives them, time first
    prior : the initial covariance, split
    """

    theta: Mapping[str, Array]
    data: Mapping[str, Array]
    prior: Prior
    engine: Engine = None

    @property
    def number(self) -> int:
        """How many columns carry the prior's width."""
        return self.prior.columns.shape[1]

    @cached_property
    def program(self) -> Program:
        """The program of its template."""
        inputs = self.theta["B"].shape[1] if "B" in self.theta else 0
        k, d = self.theta["C"].shape
        return kept(columns_filter(d, k, 1 + self.number, inputs).frozen, self.engine)

    def run(self, mean: Array, columns: Array, series: Sequence[str], wrt: Sequence[str] = ()) -> Outcome:
        """A sweep that begins with some columns, ([B,] d, n), beside a mean ([B,] d)."""
        start = np.concatenate([mean[..., None], np.broadcast_to(columns, (*mean.shape, self.number))], -1)
        own = {name: a for name, a in self.theta.items() if name != "mean"} | {COVARIANCE_0: self.prior.rest}
        given = checked(self.program.template, own, self.data, {STATE: start})
        try:
            return self.program.run(given, totals=("L",), series=series, wrt=wrt)
        except DataError:
            raise singular() from None

    def first(self, series: Sequence[str] = ()) -> Outcome:
        """The first sweep, from the prior."""
        return self.run(self.theta["mean"], self.prior.columns, (*series, *INNOVATIONS))

    def begun(self, x: "Located") -> tuple[Array, Array]:
        """The mean and the columns with which the second sweep begins."""
        F = self.prior.columns
        return self.theta["mean"] + np.einsum("ij,...j->...i", F, x.mean), F @ x.root


@dataclass(frozen=True)
class Located:
    """x given observations.

    Attributes
    ----------
    mean : (..., n)
    root : (..., n, n); root root' is the covariance
    log_likelihood : log p(y)
    """

    mean: Array
    root: Array
    log_likelihood: Array


@dataclass(frozen=True)
class Equations:
    """Least squares for x: what a sweep says of it, a triangle (..., n + 1, n + 1) whose last column is y's.

    Attributes
    ----------
    triangle : before any observation the identity, without the last corner
    constant : what log p(y) has besides: determinants of S and powers of 2 pi
    """

    triangle: Array
    constant: Array

    def solved(self) -> Located:
        """x, which x' x + squares of innovations is least for."""
        R, r = self.triangle[..., :-1, :-1], self.triangle[..., :-1, -1]
        root = np.linalg.inv(R)
        diagonal = np.abs(np.diagonal(R, axis1=-2, axis2=-1))
        log_likelihood = self.constant - 0.5 * self.triangle[..., -1, -1] ** 2 - np.log(diagonal).sum(-1)
        return Located(-np.einsum("...ij,...j->...i", root, r), root, log_likelihood)


def equations(series: Mapping[str, Array], seen: Array) -> Equations:
    """Those that all slices together give, from the innovations (T, [B,] k, 1 + n) of a sweep."""
    rows, constants = _whitened(series, seen)
    rows = np.moveaxis(rows, 0, -3)
    rows = rows.reshape(*rows.shape[:-3], -1, rows.shape[-1])
    return Equations(_joined(_nothing(rows), rows), constants.sum(0))


def equations_of_each(series: Mapping[str, Array], seen: Array) -> Equations:
    """Those that the slices up to each one give, with time first."""
    rows, constants = _whitened(series, seen)
    triangles = list(accumulate(rows, _joined, initial=_nothing(rows[0])))
    return Equations(np.stack(triangles[1:]), np.cumsum(constants, 0))


def _whitened(series: Mapping[str, Array], seen: Array) -> tuple[Array, Array]:
    """Innovations of variance 1, those of y in the last column, and what log p(y) has besides."""
    factor = np.linalg.cholesky(series["S"])
    rows = np.linalg.solve(factor, series["v"])
    log_determinant = 2 * np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(-1)
    return np.roll(rows, -1, -1), -0.5 * (log_determinant + np.log(2 * np.pi) * seen.sum(-1))


def _nothing(rows: Array) -> Array:
    n = rows.shape[-1]
    return np.broadcast_to(np.diag(np.append(np.ones(n - 1), 0.0)), (*rows.shape[:-2], n, n))


def _joined(triangle: Array, rows: Array) -> Array:
    """The triangle of least squares with some rows more."""
    return np.asarray(np.linalg.qr(np.concatenate([triangle, rows], -2), mode="r"))

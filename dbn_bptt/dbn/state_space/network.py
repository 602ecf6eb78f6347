"""Dynamic networks of Gaussian variables: pgmpy's linear-Gaussian CPDs on two slices, read as a state-space model.

With z_t for all variables of a slice, their CPDs say z_t = W z_t + V z_{t-1} + b + noise of covariance D, where W has
the edges within a slice. So z_t = A z_{t-1} + (I - W)^-1 b + noise of covariance Q, with A = (I - W)^-1 V and
Q = (I - W)^-1 D (I - W)^-T; an observed variable is a number of z_t that is seen without noise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.dbn.state_space.kalman import KalmanFilter, kalman_data, linear_gaussian
from dbn_bptt.errors import DataError, ModelError, unknown_name
from dbn_bptt.ops.kernels import Array

Name = Any
Node = tuple[Name, int]


@dataclass(frozen=True)
class Regression:
    """A variable given its parents: normal, with a mean that is linear in them.

    Attributes
    ----------
    variable : its name
    intercept, deviation : of its mean, and the standard deviation about this
    weights : by parent and lag, 0 or 1
    """

    variable: Name
    intercept: float
    deviation: float
    weights: Mapping[tuple[Name, int], float]


@dataclass(frozen=True)
class Slice:
    """The variables of a slice given those of the slice before: mean A z + b, covariance Q = root root'."""

    A: Array
    b: Array
    root: Array

    @property
    def Q(self) -> Array:
        """The covariance."""
        return self.root @ self.root.T


@dataclass(frozen=True)
class GaussianNetwork:
    """A dynamic network of Gaussian variables, as `gaussian_network` makes it.

    Attributes
    ----------
    names : of the variables of a slice
    first, later : a regression for each variable, in slice 0 and in all later ones
    """

    names: tuple[Name, ...]
    first: tuple[Regression, ...] = field(repr=False)
    later: tuple[Regression, ...] = field(repr=False)

    @cached_property
    def start(self) -> Slice:
        """The variables of slice 0; A is zero."""
        return self._solved(self.first)

    @cached_property
    def step(self) -> Slice:
        """The variables of a later slice."""
        return self._solved(self.later)

    def _solved(self, regressions: tuple[Regression, ...]) -> Slice:
        place = {name: i for i, name in enumerate(self.names)}
        edges = np.zeros((2, len(place), len(place)))  # by lag, child and parent
        for of in regressions:
            for (parent, lag), weight in of.weights.items():
                edges[lag, place[of.variable], place[parent]] = weight
        through = np.linalg.inv(np.eye(len(place)) - edges[0])
        deviations = np.array([of.deviation for of in regressions])
        return Slice(through @ edges[1], through @ [of.intercept for of in regressions], through * deviations)

    def kalman(self, observed: Iterable[Name]) -> KalmanFilter:
        """The state-space model in which some variables are observed; its input u is 1 in every slice.

        Examples
        --------
        >>> from pgmpy.factors.continuous import LinearGaussianCPD
        >>> walk = gaussian_network([LinearGaussianCPD(("X", 0), [0.0], 1.0),
        ...                          LinearGaussianCPD(("X", 1), [0.5, 1.0], 2.0, [("X", 0)])])
        >>> {name: a.item() for name, a in walk.kalman(["X"]).parameters.items()}
        {'A': 1.0, 'C': 1.0, 'Q': 4.0, 'R': 0.0, 'mean': 0.0, 'covariance': 1.0, 'B': 0.5}
        """
        C = np.eye(len(self.names))[[self.place(name) for name in observed]]
        return linear_gaussian(
            self.step.A, C, self.step.Q, np.zeros((len(C), len(C))), self.start.b, self.start.Q, self.step.b[:, None]
        )

    def place(self, name: Name) -> int:
        """Where a variable stands in the state."""
        if name not in self.names:
            raise unknown_name(name, self.names, "variable")
        return self.names.index(name)

    def __str__(self) -> str:
        return f"Gaussian network of {', '.join(map(str, self.names))}"

    __repr__ = __str__


def gaussian_network(cpds: Any) -> GaussianNetwork:
    """A dynamic network of Gaussian variables, from pgmpy's CPDs of two slices.

    pgmpy's `DynamicBayesianNetwork` takes no such CPDs; they come as a list, or in a `LinearGaussianBayesianNetwork`
    whose nodes are those of two slices.

    Parameters
    ----------
    cpds : LinearGaussianCPD objects, or a pgmpy model that holds them
        Of variables ``("X", 0)`` and ``("X", 1)``, with evidence from the same slice or the one before; a variable
        without a CPD for slice 1 keeps that of slice 0. In `beta` the intercept comes first.

    Returns
    -------
    GaussianNetwork
        Which `smooth`, `filter`, `predict`, `sample` and `log_likelihood` take, with evidence ``{"X": numbers}``, (T,)
        or (B, T), NaN where one is missing.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> from pgmpy.factors.continuous import LinearGaussianCPD
    >>> network = dbn.gaussian_network([
    ...     LinearGaussianCPD(("Level", 0), [0.0], 2.0),
    ...     LinearGaussianCPD(("Level", 1), [0.1, 0.9], 1.0, [("Level", 0)]),
    ...     LinearGaussianCPD(("Reading", 0), [0.0, 1.0], 0.5, [("Level", 0)])])
    >>> posterior = dbn.smooth(network, {"Reading": [1.0, float("nan"), 3.0]})
    >>> posterior["Level"].mean.round(3), posterior["Level"].variance.round(3)
    (array([1.117, 1.938, 2.769]), array([0.219, 0.672, 0.222]))
    """
    regressions: dict[Node, Regression] = {}
    for node, of in map(_regression, getattr(cpds, "cpds", cpds)):
        if node in regressions:
            raise ModelError(f"there are two CPDs of {node}; give one for each variable of slices 0 and 1")
        regressions[node] = of
    names = dict.fromkeys(name for name, _ in regressions)
    for (name, slice_), of in regressions.items():
        for parent, lag in of.weights:
            if parent not in names:
                raise ModelError(f"the CPD of {(name, slice_)} has evidence {(parent, slice_ - lag)}, which has no CPD")
    missing = [name for name in names if (name, 0) not in regressions]
    if missing or not names:
        raise ModelError(f"there is no CPD of {(missing[0], 0) if missing else 'any variable'} for the first slice")
    first = {name: regressions[name, 0] for name in names}
    later = {name: regressions.get((name, 1), first[name]) for name in names}
    for side in (first, later):
        _refuse_cycles(side)
    order = tuple(names)
    return GaussianNetwork(order, tuple(first[name] for name in order), tuple(later[name] for name in order))


def _regression(cpd: Any) -> tuple[Node, Regression]:
    """A CPD, read and checked."""
    if not all(hasattr(cpd, part) for part in ("variable", "beta", "std", "evidence")):
        raise ModelError(f"{type(cpd).__name__} is no linear-Gaussian CPD; gaussian_network takes pgmpy's alone")
    node, beta, std = cpd.variable, np.asarray(cpd.beta, float), float(cpd.std)
    nodes = [node, *cpd.evidence]
    for of in nodes:
        if not (isinstance(of, tuple) and len(of) == 2 and of[1] in (0, 1)):
            raise ModelError(f"{of!r} is no variable of slice 0 or 1; call it ('X', 0) or ('X', 1)")
    lags = [node[1] - slice_ for _, slice_ in cpd.evidence]
    if min(lags, default=0) < 0:
        raise ModelError(f"the CPD of {node} has evidence in a later slice; edges go forwards in time")
    if beta.shape != (1 + len(lags),) or not np.isfinite(beta).all():
        raise ModelError(f"the CPD of {node} has beta {cpd.beta}; give an intercept and a number for each evidence")
    if not 0 <= std < np.inf:
        raise ModelError(f"the CPD of {node} has std {std}; it must be a number of 0 or more")
    weights: dict[tuple[Name, int], float] = {}
    for (parent, _), lag, weight in zip(cpd.evidence, lags, beta[1:], strict=True):
        weights[parent, lag] = weights.get((parent, lag), 0.0) + float(weight)
    return node, Regression(node[0], float(beta[0]), std, weights)


def _refuse_cycles(regressions: Mapping[Name, Regression]) -> None:
    within = nx.DiGraph([(parent, name) for name, of in regressions.items() for parent, lag in of.weights if lag == 0])
    if not nx.is_directed_acyclic_graph(within):
        around = " -> ".join(str(u) for u, _ in nx.find_cycle(within))
        raise ModelError(f"the edges within a slice go round: {around}; take one away, or put it between slices")


@dataclass(frozen=True)
class Seen:
    """Evidence of a network, as its state-space model is given it.

    Attributes
    ----------
    kalman, data : the model in which the variables of the evidence are observed, and what it is given
    places : where these stand in the state
    root : of the initial covariance
    """

    kalman: KalmanFilter
    data: Mapping[str, Array]
    places: list[int] = field(default_factory=list)
    root: Array | None = None


def seen(network: GaussianNetwork, evidence: Any, ahead: int = 0, T: int | None = None) -> Seen:
    """Evidence {"X": numbers}, checked; T tells the number of slices where there is none."""
    if not isinstance(evidence or {}, Mapping):
        raise DataError(f"evidence must be a dict from variables to numbers, not {type(evidence).__name__}")
    series: dict[Name, Array] = {}
    for name, values in (evidence or {}).items():
        network.place(name)
        try:
            series[name] = np.asarray(values, float)
        except (TypeError, ValueError):
            raise DataError(f"evidence of {name!r} is no array of numbers; it must be (T,) or (B, T)") from None
        if series[name].ndim not in (1, 2) or not series[name].size:
            raise DataError(f"evidence of {name!r} has shape {np.shape(values)}; it must be (T,) or (B, T)")
    shapes = {name: a.shape for name, a in series.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"evidence has shapes {shapes}; give numbers for the same slices, NaN where one is missing")
    if series and T is not None:
        raise DataError("evidence tells the number of slices; leave T away, or give NaN for what is missing")
    if not series and T is None:
        raise DataError("there is no evidence that tells the number of slices; give NaN for what is missing")
    names = list(series) or [network.names[0]]
    y = np.stack(list(series.values()), -1) if series else np.full((T or 1, 1), np.nan)
    kalman = network.kalman(names)
    slices = y.shape[-2] + ahead
    data = kalman_data(kalman, {"y": y, "u": np.ones((*y.shape[:-2], slices, 1))}, ahead)
    return Seen(kalman, data, [network.place(name) for name in names], network.start.root)

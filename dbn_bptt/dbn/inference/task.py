"""A network and evidence, read and checked: what a question is asked of."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Evidence, Observations, Soft, evidence, observations, smallest
from dbn_bptt.dbn.evidence.states import MISSING, indices
from dbn_bptt.dbn.networks.network import Name, Network
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.dbn.polynomial.forward import Structure, structure
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine, checked_engine

PLAIN = frozenset({int, str, type(None)})  # values that mean what they look like, and are looked up
IMPOSSIBLE = -1e200  # stands for the logarithm of 0: finite, and larger than any sum of logarithms of probabilities


@dataclass(frozen=True)
class Prepared:
    """A model read once, which every verb takes in place of it; see `prepare`.

    Attributes
    ----------
    network : the model's tables
    engine : what runs the scans, as in `compile`
    """

    network: Network = field(repr=False)
    engine: Engine = None

    @cached_property
    def structure(self) -> Structure:
        """What its programs depend on."""
        return structure(self.network)

    @cached_property
    def tables(self) -> dict[str, Array]:
        """The tables by their names in the template."""
        return {self.structure.parameter(t.variable, start): t.values for t, start in self.network.undriven()}

    @cached_property
    def least(self) -> float:
        """The logarithm of the smallest product that their entries make, one of each that is not 0."""
        return sum(map(smallest, self.tables.values()))

    @cached_property
    def places(self) -> dict[Name, dict[Any, int]]:
        """By variable, which state a plain value is, as evidence is read; -1 where it says that one is missing."""
        return {name: _places(self.network, name) for name in self.network.names}

    @cached_property
    def log_tables(self) -> dict[str, Array]:
        """Their logarithms."""
        return {name: logarithms(a) for name, a in self.tables.items()}


def prepare(model: Any, engine: Engine = None) -> Prepared:
    """Read a model once, for many calls: every verb takes what this returns in place of the model.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs
        Later changes of it are not seen.
    engine : "numpy", "native", "jax", "parallel", a `Parallel` or None
        What runs the scans, as in `compile`.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> model = dbn.prepare(dbn.umbrella())
    >>> [round(dbn.log_likelihood(model, {"Umbrella": seen}), 3) for seen in ([1, 1], [1, 0])]
    [-1.046, -1.617]
    """
    if isinstance(model, Prepared) and engine in (None, model.engine):
        return model
    return Prepared(model.network if isinstance(model, Prepared) else read(model), checked_engine(engine))


@dataclass(frozen=True)
class Task:
    """A network and evidence."""

    model: Prepared
    evidence: Evidence

    @property
    def network(self) -> Network:
        """The network."""
        return self.model.network

    @property
    def structure(self) -> Structure:
        """The network's structure."""
        return self.model.structure

    def likelihood(self, name: Name) -> Array:
        """The likelihoods of a variable's states, 1 where nothing was seen."""
        return self.evidence.likelihoods[name] if name in self.evidence.likelihoods else self.nothing(name) + 1

    def logarithms(self, name: Name) -> Array:
        """The logarithms of the likelihoods of a variable's states."""
        if name in self.evidence.logs:
            return np.maximum(self.evidence.logs[name], IMPOSSIBLE)
        if name in self.evidence.seen:
            return (self.evidence.likelihoods[name] - 1.0) * -IMPOSSIBLE  # of 0 and 1, several times quicker than log
        return logarithms(self.evidence.likelihoods[name]) if name in self.evidence.likelihoods else self.nothing(name)

    def nothing(self, name: Name) -> Array:
        """The logarithms of the likelihoods of a variable of which nothing was seen."""
        return np.broadcast_to(0.0, (self.evidence.T, *self.evidence.batch, math.prod(self.network.sizes(name))))

    @property
    def indicated(self) -> tuple[Name, ...]:
        """The variables, and the groups of them, that have indicators."""
        return (*self.network.names, *self.network.joint)

    def data(self, logs: bool) -> dict[str, Array]:
        """The inputs of the template: indicators and driven tables, or their logarithms; what says nothing may lack."""
        named = self.indicated if logs else self.evidence.likelihoods
        found = {}
        for name in named:
            a = self.logarithms(name) if logs else self.evidence.likelihoods[name]
            sizes = () if name in self.network.states else self.network.sizes(name)
            found[self.structure.evidence(name)] = a.reshape(*a.shape[:-1], *sizes) if sizes else a
        driven = self.driven if self.evidence.tables else {}
        return found | {name: a if logs else np.exp(a) for name, a in driven.items()}

    @property
    def driven(self) -> dict[str, Array]:
        """The logarithms of the tables that vectors drive, (T, [B,] K, ...), by their names in the template."""
        of = self.structure
        return {of.parameter(name, of.order): a for name, a in self.evidence.tables.items()}

    @property
    def unknown(self) -> tuple[str, ...]:
        """The indicators whose gradients say something: not those of variables that evidence gives in every slice."""
        return tuple(self.structure.evidence(name) for name in self.network.names if name not in self.evidence.seen)

    @cached_property
    def inside(self) -> Array:
        """Where a sequence has not ended, (T, [B])."""
        if self.evidence.lengths is None:
            return np.broadcast_to(True, (self.evidence.T, *self.evidence.batch))
        return np.arange(self.evidence.T)[:, None] < self.evidence.lengths

    def portion(self, part: slice) -> "Task":
        """The task of some of the sequences."""
        return Task(self.model, self.evidence.portion(part))


def observe(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Observations:
    """Read and check evidence once, for many calls: every verb takes what this returns in place of the evidence.

    Parameters
    ----------
    model, evidence, soft, T, lengths
        As in `smooth`; another model of the same variables and states may be asked about it later.

    Returns
    -------
    Observations
        ``.chosen([0, 2])`` are some of its sequences, ``.slices`` is the number of slices of all of them.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> seen = dbn.observe(dbn.umbrella(), {"Umbrella": [[1, 1, 0], [0, 0, 1]]})
    >>> dbn.log_likelihood(dbn.umbrella(), seen).round(3), dbn.log_likelihood(dbn.umbrella(), seen.chosen([1])).round(3)
    (array([-2.117, -2.231]), array([-2.231]))
    """
    return observations(prepare(model).network, evidence, soft, T, lengths)


def given_task(
    model: Any, given: Any, soft: Soft | None = None, T: int | None = None, lengths: Any = None,
    engine: Engine = None,
) -> Task:  # fmt: skip
    """The task of a model and evidence as a user gives them."""
    prepared = prepare(model, engine)
    return Task(prepared, evidence(prepared.network, given, soft, T, lengths))


def engine_of(model: Prepared) -> Engine:
    """What runs a model's scans: NumPy for factored messages unless asked, whose many equations compile for minutes."""
    return "numpy" if model.engine is None and model.network.clusters else model.engine


def _places(network: Network, name: Name) -> dict[Any, int]:
    """Which state of a variable a number, a text or None is."""
    plain = [state for state in (*network.states[name], MISSING, None) if type(state) in PLAIN]
    return dict(zip(plain, map(int, indices(network, name, plain)), strict=True))


def logarithms(a: Array) -> Array:
    """The logarithms of probabilities."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(a), IMPOSSIBLE)

"""A particle filter, which is approximate: random states that carry weights, to check exact answers with.

A particle is a state of every variable of a slice. In each slice its variables are drawn in the order of the edges,
each from its table times the likelihood of its evidence; the sum that this product is divided by multiplies the
particle's weight. So the average weight estimates p(evidence), without bias. Where few particles carry most of the
weight they are drawn anew, in proportion to it (Doucet, de Freitas and Gordon 2001).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.dbn.evidence.evidence import Soft
from dbn_bptt.dbn.inference.posterior import Posterior
from dbn_bptt.dbn.inference.task import IMPOSSIBLE, Task, given_task, logarithms
from dbn_bptt.dbn.networks.network import Name, Network, Table
from dbn_bptt.errors import DataError, ModelError, positive
from dbn_bptt.ops.kernels import Array

States = dict[Name, Array]  # by variable, the states of all particles (B, N)


@dataclass(frozen=True)
class Particles:
    """What particles say, approximately: errors fall as 1 / sqrt(size).

    Attributes
    ----------
    posterior : estimates of what `filter` finds
    size : how many particles there were for each sequence
    effective : [B,] T, how many particles of equal weight would have said as much, before any were drawn anew
    """

    posterior: Posterior
    size: int
    effective: Array = field(repr=False)

    def __getitem__(self, key: Any) -> Array:
        return self.posterior[key]

    @property
    def log_likelihood(self) -> Any:
        """The estimate of log p(evidence); (B,) for a batch."""
        return self.posterior.log_likelihood

    def __str__(self) -> str:
        least = f"at least {self.effective.min():.3g} of them effective"
        return f"Approximate, from {self.size} particles, {least}: {self.posterior}"

    __repr__ = __str__


def particles(
    model: Any, evidence: Any = None, *, size: int = 1000, seed: int | np.random.Generator = 0,
    soft: Soft | None = None, T: int | None = None, lengths: Any = None,
) -> Particles:  # fmt: skip
    """Approximate what `filter` finds by random particles.

    It shares nothing with the exact verbs but evidence and tables, and so checks them, and goes on where a slice has
    too many variables for them.

    Parameters
    ----------
    size : int
        How many particles for each sequence.
    seed : int or numpy.random.Generator
        The other arguments are those of `smooth`.

    Returns
    -------
    Particles
        With marginals by variable, ``found["Rain"]`` (T, K), and an estimate of log p(evidence).

    Raises
    ------
    DataError
        Where no particle is left that could have led to the evidence.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> found = particles(dbn.umbrella(), {"Umbrella": [1, 1, 0]}, size=10_000)
    >>> exact = dbn.filter(dbn.umbrella(), {"Umbrella": [1, 1, 0]})
    >>> bool(abs(found["Rain"] - exact["Rain"]).max() < 0.02), abs(found.log_likelihood - exact.log_likelihood) < 0.02
    (True, True)
    """
    size = positive(size, f"size is {size!r}; it must be a positive number of particles")
    task, rng = given_task(model, evidence, soft, T, lengths), np.random.default_rng(seed)
    given, network = task.evidence, task.network
    if network.drives or network.conditional:
        raise ModelError("particles are drawn from tables that are the same in all slices and sum to 1; see filter")
    B = given.batch[0] if given.batch else 1
    weights, total = np.full((B, size), -np.log(size)), np.zeros(B)
    marginals = {name: np.zeros((B, given.T, len(own))) for name, own in network.states.items()}
    effective = np.zeros((B, given.T))
    depth = network.order
    tables = [tables_at(network, t) for t in range(depth + 1)]
    states: list[States] = []  # by lag
    for t in range(given.T):
        states = [{}, *states[:depth]]
        for table in tables[min(t, depth)]:
            drawn, gained = drawn_states(table, states, _evidence(task, table.variable, t), (B, size), rng)
            states[0][table.variable], weights = drawn, weights + gained
        for group in network.joint:
            weights = weights + _jointly(task, group, states[0], t)
        average = np.logaddexp.reduce(weights, 1)
        _check(average, t, task, size)
        total, weights = total + average, weights - average[:, None]
        shares = np.exp(weights)
        effective[:, t] = 1 / (shares**2).sum(1)
        for name, found in marginals.items():
            found[:, t] = _shared(states[0][name], shares, found.shape[-1])
        poor = effective[:, t] < size / 2
        if poor.any():
            kept = np.where(poor[:, None], kept_particles(shares, rng), np.arange(size))
            states = [{name: np.take_along_axis(a, kept, 1) for name, a in of.items()} for of in states]
            weights = np.where(poor[:, None], -np.log(size), weights)
    return _answer(task, marginals, total + given.offset, effective, size)


def tables_at(network: Network, t: int) -> list[Table]:
    """The logarithms of the tables of a slice, parents before their children."""
    of = {name: network.at(name, t) for name in network.names}
    edges = [(parent, name) for name, table in of.items() for parent, lag in table.parents if not lag]
    graph = nx.DiGraph()
    graph.add_nodes_from(of)
    graph.add_edges_from(edges)
    order = nx.lexicographical_topological_sort(graph, key=network.names.index)
    return [replace(of[name], values=logarithms(of[name].values)) for name in order]


def drawn_states(
    table: Table, states: list[States], evidence: Array, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[Array, Array]:
    """States of a variable, one a particle (B, N), from its table times the likelihood of its evidence; and the
    logarithm of the sum of these products."""
    index: tuple[Any, ...] = (slice(None), *(states[lag][name] for name, lag in table.parents))
    logs = (table.values[index] if table.parents else table.values[:, None, None]) + evidence
    most = logs.max(0)
    upto = np.cumsum(np.exp(logs - most), 0)
    drawn = (upto[:-1] <= rng.random(shape) * upto[-1]).sum(0)
    return drawn, most + np.log(upto[-1])


def kept_particles(shares: Array, rng: np.random.Generator) -> Array:
    """Which particles go on, in proportion to their shares (B, N): those at N evenly spaced places, moved by one random
    number a sequence."""
    B, N = shares.shape
    upto = np.cumsum(shares, 1)
    ends = np.ceil(N * upto / upto[:, -1:] - rng.random((B, 1))).astype(int)
    copies = np.diff(ends, axis=1, prepend=0)
    return np.repeat(np.tile(np.arange(N), B), copies.ravel()).reshape(B, N)


def _evidence(task: Task, name: Name, t: int) -> Array:
    """The logarithms of the likelihoods of a variable's states in a slice, (K, B, 1)."""
    logs = task.logarithms(name)[t]
    return logs.reshape(-1, logs.shape[-1]).T[..., None]


def _jointly(task: Task, group: tuple[Name, ...], states: States, t: int) -> Array:
    """The logarithms of the likelihoods of the joint states of a group of variables in a slice, (B, N)."""
    logs = task.logarithms(group)[t]
    at = np.ravel_multi_index([states[name] for name in group], task.network.sizes(group))
    return np.take_along_axis(logs.reshape(-1, logs.shape[-1]), at, 1)


def _shared(states: Array, shares: Array, K: int) -> Array:
    """The share of the particles that are in each state, (B, K)."""
    B = len(states)
    index = states + K * np.arange(B)[:, None]
    return np.bincount(index.ravel(), shares.ravel(), K * B).reshape(B, K)


def _check(average: Array, t: int, task: Task, size: int) -> None:
    """Refuse evidence that no particle explains."""
    dead = np.flatnonzero(average < IMPOSSIBLE / 2)
    if len(dead):
        names = task.evidence.sequences or range(len(average))
        where = f"slice {t}" + (f" of sequence {names[dead[0]]!r}" if task.evidence.batch else "")
        mend = "give a larger size, or see by dbn.filter whether it is possible at all"
        raise DataError(f"none of {size} particles is left that could have led to the evidence of {where}; {mend}")


def _answer(task: Task, marginals: dict[Name, Array], total: Array, effective: Array, size: int) -> Particles:
    inside = task.inside[..., None]
    if task.evidence.batch:
        marginals = {name: a * np.moveaxis(inside, 0, 1) for name, a in marginals.items()}
        posterior = Posterior(marginals, total, task.network.states, 0, task.evidence.sequences)
        return Particles(posterior, size, effective)
    own = {name: a[0] for name, a in marginals.items()}
    return Particles(Posterior(own, float(total[0]), task.network.states), size, effective[0])

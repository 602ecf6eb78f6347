"""Learning the tables of a network from evidence by expectation maximisation.

The E-step is one sweep: an expected count is a table's entry times the gradient of log p(evidence). The M-step makes
every column of counts a distribution.
"""

from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
from tqdm import tqdm

from dbn_bptt.dbn.convert import to_pgmpy
from dbn_bptt.dbn.evidence.evidence import Soft
from dbn_bptt.dbn.network import Name, Network, Table
from dbn_bptt.dbn.query import Answer, Prepared, Task, given_task, swept
from dbn_bptt.dbn.reductions import SUM
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array


@dataclass(frozen=True)
class Fit:
    """What learning found.

    Attributes
    ----------
    model : a new pgmpy DynamicBayesianNetwork
    log_likelihoods : log p(evidence) before each step and after the last
    converged : whether the last step raised it by less than the tolerance
    """

    model: Any = field(repr=False)
    log_likelihoods: tuple[float, ...]
    converged: bool

    def __str__(self) -> str:
        start, end = self.log_likelihoods[0], self.log_likelihoods[-1]
        how = "converged" if self.converged else "not converged"
        return f"Fit: log-likelihood {start:.6g} -> {end:.6g} in {len(self.log_likelihoods) - 1} steps, {how}"

    __repr__ = __str__


def fit(
    model: Any, evidence: Any, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None,
    steps: int = 200, tolerance: float = 1e-6, prior: float = 0.0, seed: int | np.random.Generator | None = None,
    progress: bool = False,
) -> Fit:  # fmt: skip
    """Learn all CPDs by expectation maximisation.

    A variable with one CPD for all slices (none given for slice 1, or an equal one) is learnt from all slices;
    otherwise that of slice 0 is learnt from the first slices, and that of slice 1 from later ones.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork
        Its CPDs are where learning begins; it is left as it is.
    evidence, soft, T, lengths
        As in `smooth`; missing states are allowed.
    steps : int
        At most so many.
    tolerance : float
        Stop when a step raises log p(evidence) (times the prior's density) by less than this share of it.
    prior : float
        Added to every expected count: a Dirichlet prior with parameters 1 + prior.
    seed : int or numpy.random.Generator, optional
        Begin with random CPDs instead of the model's.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> data = dbn.sample(dbn.umbrella(), 50, T=20, seed=1)["Umbrella"]
    >>> found = dbn.fit(dbn.umbrella(), {"Umbrella": data}, steps=5)
    >>> found.log_likelihoods[-1] > found.log_likelihoods[0]
    True
    """
    numbers = all(isinstance(number, Real) for number in (steps, prior, tolerance))
    if not (numbers and 0 <= prior < np.inf and steps >= 1 and steps == int(steps) and tolerance >= 0):
        given = f"steps={steps!r}, prior={prior!r}, tolerance={tolerance!r}"
        raise DataError(f"{given}; give at least one step, and a prior and a tolerance of 0 or more")
    task = given_task(model, evidence, soft, T, lengths)
    network = task.network if seed is None else _random(task.network, np.random.default_rng(seed))
    found: list[float] = []
    rises: list[float] = []
    for _ in tqdm(range(int(steps)), desc="EM", disable=not progress):
        answer = _counting(network, task)
        found.append(float(np.sum(answer.log_likelihood)))
        rises.append(found[-1] + _log_prior(network, prior))
        if len(rises) > 1 and rises[-1] - rises[-2] <= tolerance * abs(rises[-1]):
            return Fit(to_pgmpy(network), tuple(found), converged=True)
        network = _maximised(network, answer.counts(), prior)
    found.append(float(np.sum(_counting(network, task).log_likelihood)))
    reached = found[-1] + _log_prior(network, prior)
    converged = reached - rises[-1] <= tolerance * abs(reached)
    return Fit(to_pgmpy(network), tuple(found), converged)


def _counting(network: Network, task: Task) -> Answer:
    """The sweep that counts, with other tables."""
    return swept(Task(Prepared(network, task.model.engine), task.evidence), SUM, ("params",))


def _maximised(network: Network, counts: dict[tuple[Name, int], Array], prior: float) -> Network:
    """The network with the counts as distributions; a column without counts stays as it is."""

    def learnt(table: Table, slice_: int) -> Table:
        added = counts[table.variable, slice_] + prior
        total = added.sum(0)
        return replace(table, values=np.where(total > 0, added / np.where(total > 0, total, 1.0), table.values))

    first = {name: learnt(table, 0) for name, table in network.first.items()}
    later = {name: first[name] if name in network.tied else learnt(t, 1) for name, t in network.later.items()}
    return replace(network, first=first, later=later)


def _log_prior(network: Network, prior: float) -> float:
    """The logarithm of the prior's density, up to a constant."""
    if not prior:
        return 0.0
    tables = [*network.first.values(), *(t for name, t in network.later.items() if name not in network.tied)]
    with np.errstate(divide="ignore"):
        return float(prior * sum(np.log(table.values).sum() for table in tables))


def _random(network: Network, rng: np.random.Generator) -> Network:
    """The network with random columns in its tables."""

    def drawn(table: Table) -> Table:
        shape = table.values.shape
        columns = rng.dirichlet(np.ones(shape[0]), int(np.prod(shape[1:], dtype=int)))
        return replace(table, values=columns.T.reshape(shape))

    first = {name: drawn(table) for name, table in network.first.items()}
    later = {name: first[name] if name in network.tied else drawn(t) for name, t in network.later.items()}
    return replace(network, first=first, later=later)

"""Learning the tables of a network from evidence by expectation maximisation.

The E-step is one sweep: an expected count is a table's entry times the gradient of log p(evidence). The M-step makes
every column of counts a distribution.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Observations, Soft
from dbn_bptt.dbn.inference.query import swept
from dbn_bptt.dbn.inference.task import Prepared, Task, observe, prepare
from dbn_bptt.dbn.learning.climb import Climb, Fit, Rules, Steps, best_of, climbed
from dbn_bptt.dbn.learning.counts import DRIVEN_WEIGHTS, DRIVEN_X, Counts, counted
from dbn_bptt.dbn.learning.random_fields import fit_conditional
from dbn_bptt.dbn.networks.convert import to_pgmpy
from dbn_bptt.dbn.networks.network import Network, Table
from dbn_bptt.dbn.polynomial.reductions import SUM
from dbn_bptt.dbn.state_space.kalman import KalmanFilter, refuse
from dbn_bptt.dbn.state_space.learning import fit_gaussian
from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.kernels import Array


def fit(
    model: Any, evidence: Any, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None,
    steps: int = 200, tolerance: float = 1e-6, prior: float = 0.0, seed: int | np.random.Generator | None = None,
    starts: int = 1, learn: Collection[str] | None = None, progress: bool = False,
) -> Fit:  # fmt: skip
    """Learn all tables and emissions by expectation maximisation; or the matrices of a linear-Gaussian model.

    The weights of a conditional network are learnt by L-BFGS up log p(states | vectors).

    A variable with one CPD for all slices (none given for slice 1, or an equal one) is learnt from all slices;
    otherwise that of slice 0 is learnt from the first slices, and that of slice 1 from later ones.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork, or a template from `linear_gaussian`
        Its CPDs, or matrices, are where learning begins; it is left as it is.
    evidence, soft, T, lengths
        As in `smooth`; missing states are allowed.
    steps : int
        At most so many.
    tolerance : float
        Stop when a step raises log p(evidence) (times the prior's density) by less than this share of it.
    prior : float
        Added to every expected count: a Dirichlet prior with parameters 1 + prior. In a conditional network the
        precision of a normal prior of all weights.
    seed : int or numpy.random.Generator, optional
        Begin with random CPDs instead of the model's, and with emissions about observations far apart; one of
        `emission` begins as it is.
    starts : int
        Begin so often, at random if more than once, and keep what came highest; a start that collapses is passed over.
    learn : names of parameters, optional
        Of a linear-Gaussian model, what is learnt: of A, C, Q, R, mean, covariance and B; everything unless given.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> data = dbn.sample(dbn.umbrella(), 50, T=20, seed=1)["Umbrella"]
    >>> found = dbn.fit(dbn.umbrella(), {"Umbrella": data}, steps=5)
    >>> found.log_likelihoods[-1] > found.log_likelihoods[0]
    True
    """
    rules = Rules(steps, tolerance, prior)
    if isinstance(model, KalmanFilter):
        refuse("fit", soft=soft, T=T, lengths=lengths, seed=seed, starts=None if starts == 1 else starts)
        return fit_gaussian(model, evidence, rules, learn, progress)
    if learn is not None:
        raise DataError("learn is about linear-Gaussian models; a network's CPDs are learnt all together")
    prepared = prepare(model)
    seen = observe(prepared, evidence, soft=soft, T=T, lengths=lengths)
    if prepared.network.conditional:
        if seed is not None or starts != 1:
            raise DataError(
                "fit of a conditional network begins with the weights that it has; leave out seed and starts"
            )
        return fit_conditional(prepared, seen, rules, progress)

    def expected(network: Network) -> tuple[float, Counts]:
        return counted(Task(Prepared(network, prepared.engine), seen.under(network)))

    def scored(network: Network) -> float:
        task = Task(Prepared(network, prepared.engine), seen.under(network))
        return float(np.sum(swept(task, SUM, ()).log_likelihood))

    if positive(starts, f"starts is {starts!r}; it must be a positive number") == 1 and seed is None:
        beginnings = [prepared.network]
    else:
        rng = np.random.default_rng(0 if seed is None else seed)
        beginnings = [scattered(randomised(prepared.network, rng), seen, rng) for _ in range(starts)]
    return best_of(lambda start: climbed(of_network(expected, scored), Climb(start), rules, progress), beginnings)


def of_network(
    expected: Callable[[Network], tuple[float, Counts]], scored: Callable[[Network], float] | None = None
) -> Steps:
    """Steps that learn a network's tables and emissions, by expected counts."""
    return Steps(expected, _maximised, _finished, _log_prior, scored)


def _finished(network: Network) -> Any:
    """What a user gets: a pgmpy network, or one of ours where pgmpy has no place for what it holds."""
    return network if network.channels or network.order > 1 else to_pgmpy(network)


def _maximised(network: Network, counts: Counts, prior: float) -> Network:
    """The network with the counts as distributions; a column without counts stays as it is, and so does an emission."""

    def learnt(table: Table, start: int) -> Array:
        added = counts[table.variable, start] + prior
        total = added.sum(0)
        return np.where(total > 0, added / np.where(total > 0, total, 1.0), table.values)

    emissions = dict(network.emissions)
    for name, emission in emissions.items():
        found = {str(title): a for (of, title), a in counts.items() if of == name}
        emissions[name] = emission.maximised(found) if found else emission
    drives = {
        name: replace(drive, scores=drive.scores.raised(counts[name, DRIVEN_X], counts[name, DRIVEN_WEIGHTS]))
        for name, drive in network.drives.items()
    }
    return replace(network.retabled(learnt), emissions=emissions, drives=drives)


def _log_prior(network: Network, prior: float) -> float:
    """The logarithm of the prior's density, up to a constant; driven tables have none."""
    if not prior:
        return 0.0
    with np.errstate(divide="ignore"):
        return float(prior * sum(np.log(table.values).sum() for table, _ in network.undriven()))


def randomised(network: Network, seed: int | np.random.Generator) -> Network:
    """The network with random columns in its tables; what is impossible stays so."""
    rng = np.random.default_rng(seed)

    def drawn(table: Table, _: int) -> Array:
        shape = table.values.shape
        columns = rng.dirichlet(np.ones(shape[0]), int(np.prod(shape[1:], dtype=int))).T.reshape(shape)
        possible = columns * (table.values > 0)
        return possible / possible.sum(0)

    return network.retabled(drawn)


def scattered(network: Network, seen: Observations, rng: np.random.Generator) -> Network:
    """The network with emissions that begin somewhere in what was observed."""
    emissions = dict(network.emissions)
    inside = None if seen.lengths is None else np.arange(seen.T) < seen.lengths[:, None]
    for name, x in seen.observed.items():
        rows = x.reshape(-1, x.shape[-1]) if inside is None else x[inside]
        rows = rows[~np.isnan(rows).all(1)]
        if len(rows) and name in emissions:
            emissions[name] = emissions[name].scattered(rows, rng)
    return replace(network, emissions=emissions)

"""Networks whose tables are weights, conditioned on observed vectors: conditional random fields.

p(states | vectors) is the weight of the states over that of all states: two sweeps, with the states seen and unseen.
The gradient in the logarithm of a weight is the difference of its expected counts (Lafferty, McCallum & Pereira 2001);
if some states are hidden, both counts are expectations.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from dbn_bptt.dbn.emissions.own import Expressed
from dbn_bptt.dbn.evidence.evidence import Observations
from dbn_bptt.dbn.inference.task import Prepared, Task
from dbn_bptt.dbn.learning.climb import Fit, Rules
from dbn_bptt.dbn.learning.counts import DRIVEN_WEIGHTS, DRIVEN_X, Counts, counted
from dbn_bptt.dbn.networks.network import Network
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.dbn.networks.scores import Scores
from dbn_bptt.errors import DataError, ModelError
from dbn_bptt.ops.kernels import Array

X, WEIGHTS = "x", "weights"  # what `Scores.seen` calls the vectors of emissions, and what their scores count for


def conditional(model: Any) -> Network:
    """A model of its states given its observed vectors: a conditional random field, of the network's shape.

    Its tables become weights, which need not sum to 1, and so do the softmaxes of driven tables; emissions of one's own
    (`emission`) are scores. `log_likelihood` is log p(states | vectors), posteriors are those of the field, and `fit`
    learns all weights by gradient. What is 0 in a table stays impossible. `filter` answers for the field that ends with
    the slice; `predict` and `start` refuse a field, which says nothing of slices without vectors.

    Parameters
    ----------
    model : what `emit` or `drive` returned

    Examples
    --------
    A linear-chain field with scores W x:

    >>> import numpy as np, dbn_bptt as db
    >>> from dbn_bptt import dbn
    >>> t = db.SliceTemplate("scores")
    >>> t.define(t.variable("log_likelihood", 2), t.parameter("W", (2, 1)) @ t.input("x", 1))
    >>> chain = dbn.model([("Z", "Z", 1)], {"Z": {0: [0.5, 0.5], 1: [[0.5, 0.5], [0.5, 0.5]]}})
    >>> field = dbn.conditional(dbn.emit(chain, "x", dbn.emission("Z", t, {"W": np.zeros((2, 1))})))
    >>> x, z = [[-1.0, -0.5, 0.2, 1.0], [1.0, -1.0, -0.1, -0.8]], [[0, 0, 0, 1], [1, 0, 0, 0]]
    >>> learnt = dbn.fit(field, {"x": x, "Z": z}, prior=0.1)
    >>> learnt
    Fit: log-likelihood -5.54518 -> -0.396143 in 13 steps, converged
    >>> dbn.viterbi(learnt.model, {"x": [1.0, -1.0, 0.9]})["Z"]
    array([1, 0, 1])
    """
    network = read(model)
    if not network.channels:
        raise ModelError("the model has no observed vectors to be conditioned on; see emit and drive")
    drives = {name: drive.normalised(False) for name, drive in network.drives.items()}
    return replace(network, drives=drives, conditional=True)


def fit_conditional(model: Prepared, seen: Observations, rules: Rules, progress: bool) -> Fit:
    """`fit` for a conditional network."""
    from scipy.optimize import minimize

    network, told = model.network, list[float]()
    for name, emission in network.emissions.items():
        if not isinstance(emission, Expressed):
            raise ModelError(
                f"{name!r} is an emission with an M-step; a conditional network learns those of `emission`"
            )
    if all((a == 1).all() for a in seen.likelihoods.values()):
        raise DataError("no states are given; a conditional network is learnt from states and vectors")

    def loss(at: Array) -> tuple[float, Array]:
        now = Prepared(unflat(network, at), model.engine)
        value, slope = uphill(now, seen)
        told.append(value)
        return -value + 0.5 * rules.prior * float(at @ at), rules.prior * at - slope

    reached: list[float] = []
    with tqdm(desc="L-BFGS", total=int(rules.steps), disable=not progress) as bar:

        def stepped(intermediate_result: Any) -> None:
            reached.append(told[-1])
            bar.set_postfix_str(f"log-likelihood {told[-1]:.6g}")
            bar.update()

        options: Any = {"maxiter": int(rules.steps), "ftol": rules.tolerance, "gtol": 1e-9, "maxcor": 20}
        end = minimize(loss, flat(network), jac=True, method="L-BFGS-B", callback=stepped, options=options)
    return Fit(unflat(network, end.x), (told[0], *reached), bool(end.success))


def uphill(model: Prepared, seen: Observations) -> tuple[float, Array]:
    """log p(states | vectors), and its gradient in all that is learnt."""
    joint = replace(model.network, conditional=False)
    value, slope = 0.0, np.zeros_like(flat(joint))
    given = seen.under(model.network)
    for sign, evidence in ((1.0, given), (-1.0, given.of_vectors(model.network))):
        log_weight, counts = counted(Task(Prepared(joint, model.engine), evidence))
        value, slope = value + sign * log_weight, slope + sign * _slopes(joint, counts)
    return value, slope


def flat(network: Network) -> Array:
    """All that is learnt as one vector: the logarithms of weights that are not 0, and the parameters of scores."""
    tables = [np.log(table.values[table.values > 0]) for table, _ in network.undriven()]
    scores = [np.ravel(a) for _, of in _scores(network) for a in of.parameters.values()]
    return np.concatenate([*tables, *scores])


def unflat(network: Network, vector: Array) -> Network:
    """The network with what a vector stands for."""
    sizes = [int((table.values > 0).sum()) for table, _ in network.undriven()]
    sizes += [np.size(a) for _, of in _scores(network) for a in of.parameters.values()]
    parts = iter(np.split(vector, np.cumsum(sizes)[:-1]))
    weights = {}
    for table, start in network.undriven():
        of = weights[table.variable, start] = np.zeros_like(table.values)
        of[table.values > 0] = np.exp(next(parts))
    learnt = {}
    for (name, x, _), scores in _scores(network):
        own = {what: next(parts).reshape(np.shape(a)) for what, a in scores.parameters.items()}
        learnt[name, x] = scores.at(own)
    emissions = {n: replace(e, scores=learnt[n, X]) for n, e in network.emissions.items() if isinstance(e, Expressed)}
    drives = {name: replace(drive, scores=learnt[name, DRIVEN_X]) for name, drive in network.drives.items()}
    tabled = network.retabled(lambda table, start: weights.get((table.variable, start), table.values))
    return replace(tabled, emissions={**network.emissions, **emissions}, drives=drives)


def _scores(network: Network) -> list[tuple[tuple[Any, str, str], Scores]]:
    """All scores, each with what counts call its vectors and what these count for."""
    own = [(name, of) for name, of in network.emissions.items() if isinstance(of, Expressed)]
    emissions = [((name, X, WEIGHTS), of.scores) for name, of in own]
    return emissions + [((name, DRIVEN_X, DRIVEN_WEIGHTS), of.scores) for name, of in network.drives.items()]


def _slopes(network: Network, counts: Counts) -> Array:
    """The gradient of a log-weight in all that is learnt, from what is expected."""
    parts = [counts[table.variable, start][table.values > 0] for table, start in network.undriven()]
    for (name, x, weights), of in _scores(network):
        nothing = {what: np.zeros(np.shape(a)) for what, a in of.parameters.items()}
        found = of.gradient(counts[name, x], counts[name, weights]) if (name, x) in counts else nothing
        parts += [np.ravel(a) for a in found.values()]
    return np.concatenate(parts)

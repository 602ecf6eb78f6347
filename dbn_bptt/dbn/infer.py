"""Exact inference: each verb is one pass of back-propagation through time over the network polynomial.

Nothing is approximated and no model is changed. A program is compiled once for each structure and kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence import Evidence, Soft, evidence
from dbn_bptt.dbn.network import Name, Network, read
from dbn_bptt.dbn.polynomial import Structure, messages, polynomial, program, scales, structure
from dbn_bptt.dbn.posterior import Paths, Posterior
from dbn_bptt.dbn.reductions import DRAW, MAX, SUM, Reduction
from dbn_bptt.errors import DataError, ImpossibleEvidenceError, NotANumberError
from dbn_bptt.kernels import Array
from dbn_bptt.messages import checked
from dbn_bptt.shapes import Shape
from dbn_bptt.template import SliceTemplate


def template(model: Any) -> SliceTemplate:
    """The slice template whose BPTT is exact inference in a model: its scaled network polynomial.

    Its parameters are the model's tables, which are their defaults; its inputs are the indicators of evidence, all 1
    unless given. Its loss is -log p(evidence), and minus an indicator times its gradient is a posterior probability.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> from dbn_bptt.dbn import umbrella
    >>> t = template(umbrella())
    >>> print(db.equations(t, format="text"))
    f_0 = P0_Rain * e_Rain_0 * P_Umbrella' e_Umbrella_0
    f_t = P_Rain alpha_{t-1} * e_Rain_t * P_Umbrella' e_Umbrella_t  for 1 <= t <= T-1
    scale_t = sum(f_t)
    alpha_t = f_t / scale_t
    L = -sum_t log(scale_t)
    end = -log(sum(alpha_{T-1}))
    >>> result = db.bptt(t, {}, {"e_Umbrella": np.array([[0.0, 1.0], [0.0, 1.0]])})
    >>> -result.messages.adjoint["e_Rain", 1].round(3)
    array([0.117, 0.883])
    """
    network = read(model)
    of = structure(network)
    found = polynomial(of)
    for name, values in _parameters(network, of).items():
        found.arrays[name] = np.array(values)
    return found


def smooth(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Posterior:
    """The posterior of every variable in every slice, given all evidence.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs
    evidence : dict or DataFrame, optional
        ``{"Y": states}`` with (T,) states for one sequence or (B, T) for a batch, by name or index, -1 or NaN where
        one is missing; ``{("Y", 2): state}``; or a DataFrame with a column for each variable.
    soft : dict, optional
        Likelihoods of states, (T, K) or (B, T, K), by variable.
    T : int, optional
        The number of slices, where evidence does not tell it.
    lengths : array (B,), optional
        The lengths of the sequences of a ragged batch.

    Raises
    ------
    ModelError, DataError, UnknownNameError
        Where model or evidence is not well formed.
    ImpossibleEvidenceError
        Where evidence has probability 0; it names the slice.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> posterior = smooth(umbrella(), {"Umbrella": [1, 1]})
    >>> posterior["Rain"].round(3)
    array([[0.117, 0.883],
           [0.117, 0.883]])
    """
    task = given_task(model, evidence, soft, T, lengths)
    out = _swept(task, SUM, ("inputs",))
    return Posterior(_marginals(task, out.gradients), out.log_likelihood, task.network.states)


def filter(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Posterior:
    """The distribution of every variable in every slice, given the evidence up to that slice.

    That is BPTT cut off after one slice: no message comes back from later ones. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> filter(umbrella(), {"Umbrella": [1, 1]})["Rain"].round(3)
    array([[0.182, 0.818],
           [0.117, 0.883]])
    """
    task = given_task(model, evidence, soft, T, lengths)
    forward = _swept(task, SUM, ())
    alone = program(task.structure, SUM, alone=True)
    before = {}
    for name, title in messages(task.structure).items():
        alpha = forward.series[name]
        before[title] = np.concatenate([np.ones_like(alpha[:1]), alpha[:-1]])
    found = checked(alone.template, task.parameters, {**task.data, **before}, None, None, task.evidence.T)
    _, gradients, _ = alone.parts_on(found, ("inputs",))
    return Posterior(_marginals(task, gradients), forward.log_likelihood, task.network.states)


def predict(
    model: Any, horizon: int, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None
) -> Posterior:
    """The distribution of every variable in the slices after the evidence.

    Parameters
    ----------
    horizon : int
        How many slices to look ahead. The other arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> predict(umbrella(), 2, {"Umbrella": [1, 1]})["Rain"].round(3)
    array([[0.347, 0.653],
           [0.439, 0.561]])
    """
    if not isinstance(horizon, int | np.integer) or isinstance(horizon, bool) or horizon < 1:
        raise DataError(f"horizon is {horizon!r}; it must be a positive number of slices")
    task = given_task(model, evidence, soft, T, None)
    start = task.evidence.T
    longer = {name: _extended(a, int(horizon)) for name, a in task.evidence.likelihoods.items()}
    ahead = on_network(task.network, Evidence(start + int(horizon), task.evidence.batch, longer, None))
    out = _swept(ahead, SUM, ("inputs",))
    marginals = {name: a[..., start:, :] for name, a in _marginals(ahead, out.gradients).items()}
    return Posterior(marginals, out.log_likelihood, task.network.states, start)


def viterbi(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Paths:
    """The most probable states of all variables in all slices together, given the evidence.

    The same template with a maximum in place of every sum: its gradient is 1 along the path. Of several paths that are
    equally probable, one is returned. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> path = viterbi(umbrella(), {"Umbrella": [1, 1, 0, 1, 1]})
    >>> path["Rain"].tolist(), round(path.log_probability, 4)
    ([1, 1, 0, 1, 1], -4.459)
    """
    task = given_task(model, evidence, soft, T, lengths)
    out = _swept(task, MAX, ("inputs",))
    return Paths(_paths(task, out.gradients), out.log_likelihood, task.network.states)


def sample(
    model: Any, size: int = 1, evidence: Any = None, *, seed: int | np.random.Generator = 0,
    soft: Soft | None = None, T: int | None = None, lengths: Any = None,
) -> Paths:  # fmt: skip
    """Paths drawn from the posterior: states of all variables in all slices together, given the evidence.

    The same template, whose sums send their adjoint down to one random term each.

    Parameters
    ----------
    size : int
        How many paths to draw for each sequence.
    seed : int or numpy.random.Generator
        The other arguments are those of `smooth`.

    Returns
    -------
    Paths
        With arrays (size, T), or (B, size, T) for a batch.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> paths = sample(umbrella(), 1000, {"Umbrella": [1, 1]}, seed=1)
    >>> paths["Rain"].shape, bool(abs(paths["Rain"].mean() - 0.883) < 0.02)
    ((1000, 2), True)
    """
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
        raise DataError(f"size is {size!r}; it must be a positive number of paths")
    task = given_task(model, evidence, soft, T, lengths)
    given, B = task.evidence, task.evidence.batch[0] if task.evidence.batch else 1
    repeated = {name: _repeated(a, given.batch, int(size)) for name, a in given.likelihoods.items()}
    each = None if given.lengths is None else np.repeat(given.lengths, size)
    task = on_network(task.network, Evidence(given.T, (B * int(size),), repeated, each))
    rng = np.random.default_rng(seed)
    drawing = program(task.structure, DRAW)
    numbers = {name: rng.random((given.T, B * size)) for name in drawing.template.names("input") if name[0] == "u"}
    out = _swept(task, DRAW, ("inputs",), numbers)
    shape = (*given.batch, int(size), given.T)
    return Paths({n: a.reshape(shape) for n, a in _paths(task, out.gradients).items()}, None, task.network.states)


def log_likelihood(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Any:
    """log p(evidence) in nats: a number, or (B,) for a batch. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> round(log_likelihood(umbrella(), {"Umbrella": [1, 1]}), 6)
    -1.045546
    """
    task = given_task(model, evidence, soft, T, lengths)
    return _swept(task, SUM, ()).log_likelihood


def expected_counts(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> dict[tuple[Name, int], Array]:
    """How often each entry of each CPD is expected to be used, summed over slices and sequences.

    That is an entry times the gradient of log p(evidence). Arguments are those of `smooth`.

    Returns
    -------
    dict
        By (variable, slice), arrays with the axes of ``cpd.values``; slice 1 stands for all later ones. A variable with
        one CPD for all slices has the counts of all of them under either.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> expected_counts(umbrella(), {"Umbrella": [1, 1]})["Rain", 1].round(3)
    array([[0.04 , 0.077],
           [0.077, 0.807]])
    """
    return counted(given_task(model, evidence, soft, T, lengths))[0]


def counted(task: "Task") -> tuple[dict[tuple[Name, int], Array], Any]:
    """Expected counts, and the log-likelihood."""
    out = _swept(task, SUM, ("params",))
    counts = {}
    for name in task.network.names:
        for slice_ in (0, 1):
            parameter = task.structure.parameter(name, slice_)
            counts[name, slice_] = np.abs(task.parameters[parameter] * out.gradients[parameter])
    return counts, out.log_likelihood


# ----------------------------------------------------------------------------------------------------------- sweeps
@dataclass(frozen=True)
class Task:
    """A network and evidence, as the program of the network takes them."""

    network: Network
    structure: Structure
    evidence: Evidence
    parameters: dict[str, Array]
    data: dict[str, Array]


@dataclass(frozen=True)
class Swept:
    """What a sweep found: log p(evidence) of each sequence, gradients, scales and messages."""

    log_likelihood: Any
    gradients: dict[str, Array]
    series: dict[str, Array]


def given_task(model: Any, given: Any, soft: Soft | None, T: int | None, lengths: Any) -> Task:
    network = read(model)
    return on_network(network, evidence(network, given, soft, T, lengths))


def on_network(network: Network, found: Evidence) -> Task:
    of = structure(network)
    data = {of.evidence(name): a for name, a in found.likelihoods.items()}
    for name in network.names[:1]:  # the first variable's indicators tell the shape of the rest
        shape = (found.T, *found.batch, len(network.states[name]))
        data.setdefault(of.evidence(name), np.broadcast_to(1.0, shape))
    return Task(network, of, found, _parameters(network, of), data)


def _parameters(network: Network, of: Structure) -> dict[str, Array]:
    return {
        of.parameter(name, slice_): table.values
        for slice_, tables in ((0, network.first), (1, network.later))
        for name, table in tables.items()
    }


def _swept(task: Task, reduction: Reduction, wrt: tuple[str, ...], numbers: Mapping[str, Array] | None = None) -> Swept:
    """The program of a task, run: log-likelihood of each sequence, gradients, and messages."""
    made, lengths = program(task.structure, reduction), task.evidence.lengths
    made = made if lengths is None else made.for_lengths()
    found = checked(made.template, task.parameters, {**task.data, **(numbers or {})}, None, lengths, task.evidence.T)
    names = [*scales(task.structure), *messages(task.structure)]
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            gradients: dict[str, Array] = {}
            if wrt:
                _, gradients, series = made.parts_on(found, wrt, names)
            else:
                series = made.series(found, names)
        except NotANumberError:  # what comes after an impossible slice
            series = made.series(found, names)
    return Swept(_log_likelihood(task, series), gradients, series)


def _log_likelihood(task: Task, series: Mapping[str, Array]) -> Any:
    """The sum of the logarithms of the scales; impossible evidence is where one is 0."""
    T, batch = task.evidence.T, task.evidence.batch
    scale = np.stack([series[name].reshape(T, *batch) for name in scales(task.structure)])
    inside = _inside(task.evidence)
    impossible = inside & ~(scale > 0).all(0)
    if impossible.any():
        t, *sequence = (int(k) for k in np.argwhere(impossible)[0])
        where = f"slice {t}" + (f" of sequence {sequence[0]}" if sequence else "")
        mend = "check it, or the zeros in the CPDs"
        raise ImpossibleEvidenceError(f"the evidence up to {where} has probability 0; {mend}")
    total = np.where(inside, np.log(np.where(inside, scale, 1.0)).sum(0), 0.0).sum(0)
    return total if batch else float(total)


def _inside(found: Evidence) -> Array:
    """Where a sequence has not ended, (T, [B])."""
    if found.lengths is None:
        return np.ones((found.T, *found.batch), bool)
    return np.arange(found.T)[:, None] < found.lengths


def _said(task: Task, gradients: Mapping[str, Array]) -> dict[Name, Array]:
    """What reached the indicators of each variable, times these: (T, [B,] K), 0 after the end of a sequence."""
    found = {}
    for name in task.network.names:
        title = task.structure.evidence(name)
        said = np.multiply(gradients[title], task.data.get(title, np.ones(())))
        np.negative(said, out=said)
        if task.evidence.lengths is not None:
            said *= _inside(task.evidence)[..., None]
        found[name] = np.maximum(said, 0.0, out=said)
    return found


def _marginals(task: Task, gradients: Mapping[str, Array]) -> dict[Name, Array]:
    """Probabilities, which what reached the indicators is but for rounding."""
    marginals = {}
    for name, said in _said(task, gradients).items():
        total = said @ np.ones((said.shape[-1], 1))  # several times faster than a sum of short rows
        np.divide(said, total, out=said, where=total > 0)
        marginals[name] = np.moveaxis(said, 0, -2)
    return marginals


def _paths(task: Task, gradients: Mapping[str, Array]) -> dict[Name, Array]:
    """The states that the indicators reached; -1 after the end of a sequence."""
    inside = _inside(task.evidence)
    states = {name: np.where(inside, a.argmax(-1), -1) for name, a in _said(task, gradients).items()}
    return {name: np.moveaxis(a, 0, -1) for name, a in states.items()}


def _extended(likelihood: Array, horizon: int) -> Array:
    """A likelihood with slices of no evidence after it."""
    return np.concatenate([likelihood, np.ones((horizon, *likelihood.shape[1:]))])


def _repeated(likelihood: Array, batch: Shape, size: int) -> Array:
    """A likelihood for as many copies of each sequence."""
    return np.repeat(likelihood if batch else likelihood[:, None], size, axis=1)

"""One question to a network: what the program of its polynomial is given, and what its sweep says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence import Evidence, Soft, evidence
from dbn_bptt.dbn.network import Name, Network, read
from dbn_bptt.dbn.polynomial import Structure, messages, program, scales, structure
from dbn_bptt.dbn.reductions import SUM, Reduction
from dbn_bptt.errors import ImpossibleEvidenceError, NotANumberError
from dbn_bptt.kernels import Array
from dbn_bptt.messages import checked
from dbn_bptt.shapes import Shape


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
    """The task of a model and evidence as a user gives them."""
    network = read(model)
    return on_network(network, evidence(network, given, soft, T, lengths))


def on_network(network: Network, found: Evidence) -> Task:
    """The task of a network and checked evidence."""
    of = structure(network)
    data = {of.evidence(name): a for name, a in found.likelihoods.items()}
    for name in network.names[:1]:  # the first variable's indicators tell the shape of the rest
        shape = (found.T, *found.batch, len(network.states[name]))
        data.setdefault(of.evidence(name), np.broadcast_to(1.0, shape))
    return Task(network, of, found, parameters(network, of), data)


def parameters(network: Network, of: Structure) -> dict[str, Array]:
    """The tables of a network by their names in its template."""
    return {
        of.parameter(name, slice_): table.values
        for slice_, tables in ((0, network.first), (1, network.later))
        for name, table in tables.items()
    }


def swept(task: Task, reduction: Reduction, wrt: tuple[str, ...], numbers: Mapping[str, Array] | None = None) -> Swept:
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


def marginals(task: Task, gradients: Mapping[str, Array]) -> dict[Name, Array]:
    """Probabilities, which what reached the indicators is but for rounding."""
    marginals = {}
    for name, said in _said(task, gradients).items():
        total = said @ np.ones((said.shape[-1], 1))  # several times faster than a sum of short rows
        np.divide(said, total, out=said, where=total > 0)
        marginals[name] = np.moveaxis(said, 0, -2)
    return marginals


def paths(task: Task, gradients: Mapping[str, Array]) -> dict[Name, Array]:
    """The states that the indicators reached; -1 after the end of a sequence."""
    inside = _inside(task.evidence)
    states = {name: np.where(inside, a.argmax(-1), -1) for name, a in _said(task, gradients).items()}
    return {name: np.moveaxis(a, 0, -1) for name, a in states.items()}


def extended(likelihood: Array, horizon: int) -> Array:
    """A likelihood with slices of no evidence after it."""
    return np.concatenate([likelihood, np.ones((horizon, *likelihood.shape[1:]))])


def repeated(likelihood: Array, batch: Shape, size: int) -> Array:
    """A likelihood for as many copies of each sequence."""
    return np.repeat(likelihood if batch else likelihood[:, None], size, axis=1)


def counted(task: "Task") -> tuple[dict[tuple[Name, int], Array], Any]:
    """Expected counts, and the log-likelihood."""
    out = swept(task, SUM, ("params",))
    counts = {}
    for name in task.network.names:
        for slice_ in (0, 1):
            parameter = task.structure.parameter(name, slice_)
            counts[name, slice_] = np.abs(task.parameters[parameter] * out.gradients[parameter])
    return counts, out.log_likelihood

"""One question to a network: what the program of its polynomial is given, and what its sweep says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Evidence, Soft, evidence
from dbn_bptt.dbn.forward import Structure, messages, program, scales, structure
from dbn_bptt.dbn.network import Name, Network, read
from dbn_bptt.dbn.reductions import DRAW, LOG_SUM, MAX, POSSIBLE, SUM, Reduction
from dbn_bptt.errors import ImpossibleEvidenceError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.sweep.given import checked
from dbn_bptt.transforms.ragged import masks


@dataclass(frozen=True)
class Task:
    """A network and evidence, as the program of the network takes them."""

    network: Network
    structure: Structure
    evidence: Evidence
    parameters: dict[str, Array]
    data: dict[str, Array]

    def likelihood(self, name: Name) -> Array:
        """The likelihoods of a variable's states, 1 where nothing was seen."""
        shape = (self.evidence.T, *self.evidence.batch, len(self.network.states[name]))
        return self.data.get(self.structure.evidence(name), np.ones(shape))


@dataclass(frozen=True)
class Swept:
    """What a sweep found: log p(evidence) of each sequence, gradients, scales and messages."""

    log_likelihood: Any
    gradients: dict[str, Array]
    series: dict[str, Array]
    reduction: Reduction


def given_task(model: Any, given: Any, soft: Soft | None, T: int | None, lengths: Any) -> Task:
    """The task of a model and evidence as a user gives them."""
    network = read(model)
    return on_network(network, evidence(network, given, soft, T, lengths))


def on_network(network: Network, found: Evidence) -> Task:
    """The task of a network and checked evidence."""
    of = structure(network)
    data = {of.evidence(name): a for name, a in found.likelihoods.items()}
    if not data:  # the first variable's indicators tell the number of slices
        name = network.names[0]
        data[of.evidence(name)] = np.broadcast_to(1.0, (found.T, *found.batch, len(network.states[name])))
    return Task(network, of, found, parameters(network, of), data)


def parameters(network: Network, of: Structure) -> dict[str, Array]:
    """The tables of a network by their names in its template."""
    return {
        of.parameter(name, slice_): table.values
        for slice_, tables in ((0, network.first), (1, network.later))
        for name, table in tables.items()
    }


def unknown(task: Task) -> tuple[str, ...]:
    """The indicators whose gradients say something: not those of variables that evidence gives in every slice."""
    return tuple(task.structure.evidence(name) for name in task.network.names if name not in task.evidence.seen)


def swept(task: Task, reduction: Reduction, wrt: tuple[str, ...], numbers: Mapping[str, Array] | None = None) -> Swept:
    """The program of a task, run.

    A sum runs on probabilities, and again on logarithms if any of a message became too small for a number, or what
    comes back too large for one. Maxima and draws, which keep a table for each slice, take a large batch in portions.
    """
    gradients, series = _in_portions(task, reduction, wrt, numbers)
    if reduction is SUM and (not all(map(_is_finite, gradients.values())) or _is_too_small(task, series)):
        reduction = LOG_SUM
        gradients, series = _run(task, reduction, wrt, numbers)
    return Swept(_log_likelihood(task, series, reduction), gradients, series, reduction)


def _in_portions(
    task: Task, reduction: Reduction, wrt: tuple[str, ...], numbers: Mapping[str, Array] | None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Gradients, and scales and messages, a portion of the sequences at a time where all would take much memory."""
    most = max(1, PORTION // (task.evidence.T * max(table.size for table in task.parameters.values())))
    if reduction not in (MAX, DRAW) or not task.evidence.batch or task.evidence.batch[0] <= most:
        return _run(task, reduction, wrt, numbers)
    runs = []
    for a in range(0, task.evidence.batch[0], most):
        part = slice(a, a + most)
        own = {name: u[:, part] for name, u in (numbers or {}).items()}
        runs.append(_run(_portion(task, part), reduction, wrt, own))
    gradients, series = ({n: np.concatenate([a[n] for a in of], 1) for n in of[0]} for of in zip(*runs, strict=True))
    return gradients, series


def _portion(task: Task, part: slice) -> Task:
    """The task of some of the sequences."""
    found = task.evidence
    likelihoods = {name: a[:, part] for name, a in found.likelihoods.items()}
    batch = (len(range(*part.indices(found.batch[0]))),)
    lengths = None if found.lengths is None else found.lengths[part]
    return on_network(task.network, Evidence(found.T, batch, likelihoods, lengths, seen=found.seen))


def _run(
    task: Task, reduction: Reduction, wrt: tuple[str, ...], numbers: Mapping[str, Array] | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Gradients, and scales and messages."""
    made = program(task.structure, reduction)
    data = {**task.data, **(numbers or {})}
    if task.evidence.lengths is not None:
        made = made.for_lengths()
        data |= masks(task.evidence.lengths, task.evidence.T)
    tables, given_data = task.parameters, data
    if reduction.logs:
        tables = {name: logarithms(a) for name, a in tables.items()}
        likelihoods = {name: logarithms(task.likelihood(name)) for name in task.network.names}
        given_data = data | {task.structure.evidence(name): a for name, a in likelihoods.items()}
    if reduction is POSSIBLE:
        tables = {name: (a > 0).astype(float) for name, a in tables.items()}
        given_data = data | {name: (a > 0).astype(float) for name, a in task.data.items()}
    found = checked(made.template, tables, given_data, None, None, task.evidence.T)
    names = [*scales(task.structure), *messages(task.structure)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        if not wrt:
            return {}, made.run(found, series=names).series
        outcome = made.run(found, series=names, wrt=wrt)  # NaN after an impossible slice
        return outcome.gradients.named(), outcome.series


def alone(task: Task, forward: Swept) -> dict[str, Array]:
    """The gradients in the indicators of each slice's own scale, given the messages of a forward run."""
    logs = forward.reduction.logs
    made = program(task.structure, forward.reduction, alone=True)
    before = {}
    for name, title in messages(task.structure).items():
        alpha = np.maximum(forward.series[name], IMPOSSIBLE) if logs else forward.series[name]
        before[title] = np.concatenate([np.ones_like(alpha[:1]), alpha[:-1]])
    tables = {name: logarithms(a) if logs else a for name, a in task.parameters.items()}
    likelihoods = {name: task.likelihood(name) for name in task.network.names}
    data = {task.structure.evidence(name): logarithms(a) if logs else a for name, a in likelihoods.items()}
    found = checked(made.template, tables, {**data, **before}, None, None, task.evidence.T)
    return made.run(found, wrt=("inputs",)).gradients.inputs


PORTION = 1 << 24  # numbers in the tables of a portion: some hundred MB of work
IMPOSSIBLE = -1e200  # stands for the logarithm of 0: finite, and larger than any sum of logarithms of probabilities
TOO_SMALL = 1e-200


def logarithms(a: Array) -> Array:
    """The logarithms of probabilities."""
    return np.where(a > 0, np.log(np.where(a > 0, a, 1.0)), IMPOSSIBLE)


def _is_too_small(task: Task, series: Mapping[str, Array]) -> bool:
    """Whether a message or a scale has numbers too small to be right, though what they stand for is possible."""
    if all(a.min() > TOO_SMALL for a in series.values()):
        return False
    inside = _inside(task.evidence)
    found = {name: ~(a > TOO_SMALL) & _spread(inside, a) for name, a in series.items()}
    _, possible = _run(task, POSSIBLE, ())
    return any((found[name] & (possible[name] > 0)).any() for name in found)


def _is_finite(a: Array) -> bool:
    return math.isfinite(np.vdot(a, a))  # a sum of squares, which may exceed the numbers a little before they do


def _spread(inside: Array, like: Array) -> Array:
    return inside.reshape(inside.shape + (1,) * (like.ndim - inside.ndim))


def _log_likelihood(task: Task, series: Mapping[str, Array], reduction: Reduction) -> Any:
    """The sum of the logarithms of the scales; impossible evidence is where one is 0."""
    T, batch = task.evidence.T, task.evidence.batch
    scale = np.stack([series[name].reshape(T, *batch) for name in scales(task.structure)])
    inside = _inside(task.evidence)
    possible = scale > (IMPOSSIBLE / 2 if reduction.logs else 0)
    impossible = inside & ~possible.all(0)
    if impossible.any():
        t, *sequence = (int(k) for k in np.argwhere(impossible)[0])
        where = f"slice {t}" + (f" of sequence {sequence[0]}" if sequence else "")
        mend = "check it, or the zeros in the CPDs"
        raise ImpossibleEvidenceError(f"the evidence up to {where} has probability 0; {mend}")
    held = np.where(inside, scale, 0.0 if reduction.logs else 1.0)
    total = (held if reduction.logs else np.log(held)).sum((0, 1)) + task.evidence.offset
    return total if batch else float(total)


def _inside(found: Evidence) -> Array:
    """Where a sequence has not ended, (T, [B])."""
    if found.lengths is None:
        return np.ones((found.T, *found.batch), bool)
    return np.arange(found.T)[:, None] < found.lengths


def _said(task: Task, gradients: Mapping[str, Array], reduction: Reduction) -> dict[Name, Array]:
    """What reached the indicators of each variable, times these: (T, [B,] K), 0 after the end of a sequence."""
    found = {}
    for name in task.network.names:
        title = task.structure.evidence(name)
        if name in task.evidence.seen:
            found[name] = task.data[title]  # indicators made from the states, and nobody else's
            continue
        said = np.negative(gradients[title])
        if name in task.evidence.likelihoods and not reduction.logs:
            said *= task.data[title]
        if task.evidence.lengths is not None:
            said *= _inside(task.evidence)[..., None]
        found[name] = np.maximum(said, 0.0, out=said)
    return found


def marginals(task: Task, gradients: Mapping[str, Array], reduction: Reduction = SUM) -> dict[Name, Array]:
    """Probabilities, which what reached the indicators is but for rounding."""
    marginals = {}
    for name, said in _said(task, gradients, reduction).items():
        if name not in task.evidence.seen:
            total = said @ np.ones((said.shape[-1], 1))  # several times faster than a sum of short rows
            np.divide(said, np.where(total > 0, total, 1.0), out=said)
        marginals[name] = np.moveaxis(said, 0, -2)
    return marginals


def paths(task: Task, gradients: Mapping[str, Array], reduction: Reduction) -> dict[Name, Array]:
    """The states that the indicators reached; -1 after the end of a sequence."""
    inside = _inside(task.evidence)
    states = {name: np.where(inside, a.argmax(-1), -1) for name, a in _said(task, gradients, reduction).items()}
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
            weight = 1.0 if out.reduction.logs else task.parameters[parameter]
            counts[name, slice_] = np.abs(weight * out.gradients[parameter])
    return counts, out.log_likelihood

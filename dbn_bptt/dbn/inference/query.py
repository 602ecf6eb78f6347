"""One question to a network: the program of its polynomial is run, and its sweep answers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import TOO_SMALL
from dbn_bptt.dbn.inference.task import IMPOSSIBLE, Prepared, Task, engine_of
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.dbn.polynomial.forward import messages, program, scales
from dbn_bptt.dbn.polynomial.reductions import DRAW, LOG_SUM, MAX, POSSIBLE, SUM, Reduction
from dbn_bptt.errors import ImpossibleEvidenceError, ModelError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Parallel
from dbn_bptt.sweep.given import trusted
from dbn_bptt.transforms.ragged import masks

PORTION = 1 << 24  # numbers in the tables of a portion: some hundred MB of work


@dataclass(frozen=True)
class Answer:
    """What a sweep found.

    Attributes
    ----------
    gradients : of -log p(evidence), by name of an indicator or a table
    series : scales and messages
    loss : -log p(evidence), of all sequences together; NaN where it was not asked for
    """

    task: Task
    reduction: Reduction
    gradients: Mapping[str, Array]
    series: Mapping[str, Array]
    loss: float = math.nan

    @cached_property
    def log_likelihood(self) -> Any:
        """log p(evidence) of each sequence, the sum of the logarithms of the scales; one that is 0 is refused."""
        task, logs = self.task, self.reduction.logs
        batch = task.evidence.batch
        if not batch and abs(self.loss) < -IMPOSSIBLE / 2:
            return -self.loss + float(task.evidence.offset) - self.normaliser
        scale = self._scales
        least = IMPOSSIBLE / 2 if logs else 0
        if not scale.min() > least and (impossible := ~(scale > least).all(0) & task.inside).any():
            t, *sequence = (int(k) for k in np.argwhere(impossible)[0])
            names = task.evidence.sequences or range(math.prod(batch))
            where = f"slice {t}" + (f" of sequence {names[sequence[0]]!r}" if sequence else "")
            mend = "check it, or the zeros in the CPDs"
            raise ImpossibleEvidenceError(f"the evidence up to {where} has probability 0; {mend}")
        return self.total - self.normaliser if batch else float(self.total) - self.normaliser

    @cached_property
    def normaliser(self) -> Any:
        """In a conditional network the logarithm of the weight of all states given the vectors; 0 in others."""
        network = self.task.network
        if not network.conditional:
            return 0.0
        free = Prepared(replace(network, conditional=False), self.task.model.engine)
        return swept(Task(free, self.task.evidence.of_vectors(network)), SUM, ()).log_likelihood

    @cached_property
    def total(self) -> Any:
        """The same without a check: next to nothing where evidence is impossible."""
        scale, logs = self._scales, self.reduction.logs
        if self.task.evidence.lengths is not None:
            scale = np.where(self.task.inside, scale, 0.0 if logs else 1.0)
        return (scale if logs else np.log(scale)).sum((0, 1)) + self.task.evidence.offset

    @property
    def _scales(self) -> Array:
        """The scales of all messages, (messages, T, [B])."""
        T, batch = self.task.evidence.T, self.task.evidence.batch
        found = [self.series[name].reshape(1, T, *batch) for name in scales(self.task.structure)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _reached(self, name: Name) -> Array:
        """What reached a variable's indicators, (T, [B,] K); what comes after the end of a sequence means nothing."""
        given = self.task.evidence
        if name in given.seen:
            return given.likelihoods[name]  # indicators made from the states, and nobody else's
        return self.gradients[self.task.structure.evidence(name)].reshape(given.T, *given.batch, -1)

    def marginal(self, name: Name) -> Array:
        """Probabilities ([B,] T, K), 0 after the end of a sequence."""
        p = self._reached(name)
        p += 0.0  # -0.0 becomes 0.0
        if self.task.evidence.lengths is not None:
            p[~self.task.inside] = 0.0
        return np.moveaxis(p, 0, -2) if self.task.evidence.batch else p

    def marginals(self) -> dict[Name, Array]:
        """Those of all variables."""
        return {name: self.marginal(name) for name in self.task.network.names}

    def paths(self) -> dict[Name, Array]:
        """The states that the indicators reached, ([B,] T); -1 after the end of a sequence."""
        inside = self.task.inside
        states = {name: np.where(inside, _chosen(self._reached(name)), -1) for name in self.task.network.names}
        return {name: np.moveaxis(a, 0, -1) if a.ndim > 1 else a for name, a in states.items()}

    def counts(self) -> dict[tuple[Name, int], Array]:
        """Expected counts, by variable and slice: an entry of a table times its gradient."""
        counts = {}
        for name in self.task.network.names:
            for t in range(max(self.task.structure.order, 1) + 1):
                if self.task.network.is_driven(name, t):
                    counts[name, t] = self.used(name).reshape(-1, *self.task.network.at(name, t).values.shape).sum(0)
                    continue
                parameter = self.task.structure.parameter(name, t)
                weight = 1.0 if self.reduction.logs else self.task.model.tables[parameter]
                counts[name, t] = np.abs(weight * self.gradients[parameter])
        return counts

    def used(self, name: Name) -> Array:
        """How often each entry of a driven table is expected to be used in each slice, ([B,] T, K, ...)."""
        parameter = self.task.structure.parameter(name, self.task.structure.order)
        weight = 1.0 if self.reduction.logs else np.exp(self.task.driven[parameter])
        found = np.abs(weight * self.gradients[parameter])
        return np.moveaxis(found, 0, 1) if self.task.evidence.batch else found


def swept(task: Task, reduction: Reduction, wrt: tuple[str, ...], numbers: Mapping[str, Array] | None = None) -> Answer:
    """The program of a task, run.

    A sum runs on probabilities, and again on logarithms if any of a message became too small for a number, or what
    comes back too large for one. Maxima and draws, which keep a table for each slice, take a large batch in portions.

    Parameters
    ----------
    wrt : "params", "inputs", or the names of single indicators (`Structure.evidence`)
    numbers : random numbers by name, for draws
    """
    if task.network.clusters and (reduction is not SUM or wrt):
        mend = "factored messages are an approximation for filter, predict, log_likelihood and start"
        raise ModelError(f"{mend}; ask the network itself for the rest")
    if reduction is SUM and task.evidence.is_small:
        reduction = LOG_SUM
    answer = in_portions(task, reduction, wrt, numbers)
    if reduction is SUM and (not all(map(_is_finite, answer.gradients.values())) or _is_too_small(answer)):
        answer = _run(task, LOG_SUM, wrt, numbers)
    _ = answer.log_likelihood  # impossible evidence is refused
    return answer


def in_portions(task: Task, reduction: Reduction, wrt: tuple[str, ...], numbers: Mapping[str, Array] | None) -> Answer:
    """An answer, found a portion of the sequences at a time where all would take much memory."""
    if reduction not in (MAX, DRAW) or not task.evidence.batch:
        return _run(task, reduction, wrt, numbers)
    most = max(1, PORTION // (task.evidence.T * max(table.values.size for table, _ in task.network.each())))
    if task.evidence.batch[0] <= most:
        return _run(task, reduction, wrt, numbers)
    runs = []
    for a in range(0, task.evidence.batch[0], most):
        part = slice(a, a + most)
        own = {name: u[:, part] for name, u in (numbers or {}).items()}
        run = _run(task.portion(part), reduction, wrt, own)
        runs.append((run.gradients, run.series))
    gradients, series = ({n: np.concatenate([a[n] for a in of], 1) for n in of[0]} for of in zip(*runs, strict=True))
    return Answer(task, reduction, gradients, series)


def _run(
    task: Task, reduction: Reduction, wrt: tuple[str, ...], more: Mapping[str, Array] | None = None, alone: bool = False
) -> Answer:
    """The one place where a program runs.

    Parameters
    ----------
    more : further inputs by name
    alone : each slice for itself, given the message of the slice before
    """
    of, given = task.structure, task.evidence
    engine = engine_of(task.model)
    if isinstance(engine, Parallel) and (given.lengths is not None or reduction is POSSIBLE):
        engine = "jax"  # a message that waits for the end of others, or a maximum of products, is no associative scan
    runs = program(of, reduction, alone, engine)
    tables = task.model.tables
    data = task.data(reduction.logs)
    if reduction.logs:
        tables = task.model.log_tables
    if reduction is POSSIBLE:
        tables, data = ({name: (a > 0).astype(float) for name, a in of.items()} for of in (tables, data))
    data |= more or {}
    if given.lengths is not None and not alone:
        runs = runs.for_lengths()
        data |= masks(given.lengths, given.T)
    names = () if alone else (*scales(of), *messages(of))
    outcome = runs.run(trusted(runs.template, tables, data, given.T, given.batch), series=names, wrt=wrt)
    loss = sum(map(float, outcome.totals.values())) if outcome.totals else math.nan
    return Answer(task, reduction, outcome.gradients.named(), outcome.series, loss)  # NaN after an impossible slice


def alone(forward: Answer) -> Answer:
    """The answer of each slice for itself, given the messages of a forward run."""
    before = {}
    for name, title in messages(forward.task.structure).items():
        alpha = forward.series[name]
        alpha = np.maximum(alpha, IMPOSSIBLE) if forward.reduction.logs else alpha
        before[title] = np.concatenate([np.ones_like(alpha[:1]), alpha[:-1]])
    return _run(forward.task, forward.reduction, ("inputs",), before, alone=True)


def _chosen(reached: Array) -> Array:
    """The places of all 1 or -1 among zeros; several times quicker than `argmax` of short rows."""
    return np.rint(np.abs(reached @ np.arange(reached.shape[-1], dtype=float))).astype(int)


def _is_too_small(answer: Answer) -> bool:
    """Whether a message or a scale has numbers too small to be right, though what they stand for is possible."""
    if all(a.min() > TOO_SMALL for a in answer.series.values()):
        return False
    inside = answer.task.inside
    small = {
        name: ~(a > TOO_SMALL) & inside.reshape(inside.shape + (1,) * (a.ndim - inside.ndim))
        for name, a in answer.series.items()
    }
    possible = _run(answer.task, POSSIBLE, ()).series
    return any((small[name] & (possible[name] > 0)).any() for name in small)


def _is_finite(a: Array) -> bool:
    return math.isfinite(a.max(initial=0)) and math.isfinite(a.min(initial=0))  # NaN is both

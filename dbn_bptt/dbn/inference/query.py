"""One question to a network: what the program of its polynomial is given, and what its sweep answers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import TOO_SMALL, Evidence, Observations, Soft, evidence, observations
from dbn_bptt.dbn.networks.network import Name, Network, read
from dbn_bptt.dbn.polynomial.forward import Structure, messages, program, scales, structure
from dbn_bptt.dbn.polynomial.reductions import DRAW, LOG_SUM, MAX, POSSIBLE, SUM, Reduction
from dbn_bptt.errors import ImpossibleEvidenceError, ModelError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine, Parallel, checked_engine
from dbn_bptt.sweep.given import trusted
from dbn_bptt.transforms.ragged import masks

PORTION = 1 << 24  # numbers in the tables of a portion: some hundred MB of work
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
        return {
            self.structure.parameter(table.variable, start): table.values
            for table, start in self.network.each()
            if not self.network.is_driven(table.variable, start)
        }

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
            found[self.structure.evidence(name)] = a.reshape(*a.shape[:-1], *self.network.sizes(name))
        return found | {name: a if logs else np.exp(a) for name, a in self.driven.items()}

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
        return np.stack([self.series[name].reshape(T, *batch) for name in scales(self.task.structure)])

    def _reached(self, name: Name) -> Array:
        """What reached a variable's indicators, times these: (T, [B,] K), 0 after the end of a sequence."""
        task = self.task
        if name in task.evidence.seen:
            return task.evidence.likelihoods[name]  # indicators made from the states, and nobody else's
        reached = np.negative(self.gradients[task.structure.evidence(name)])
        reached = reached.reshape(task.evidence.T, *task.evidence.batch, -1)
        if name in task.evidence.likelihoods and not self.reduction.logs:
            reached *= task.evidence.likelihoods[name]
        if task.evidence.lengths is not None:
            reached *= task.inside[..., None]
        return np.maximum(reached, 0.0, out=reached)

    def marginal(self, name: Name) -> Array:
        """Probabilities, which what reached a variable's indicators is but for rounding: ([B,] T, K)."""
        reached = self._reached(name)
        if name not in self.task.evidence.seen:
            total = reached @ np.ones((reached.shape[-1], 1))  # several times faster than a sum of short rows
            np.divide(reached, total, out=reached, where=total > 0)
        return np.moveaxis(reached, 0, -2) if self.task.evidence.batch else reached

    def marginals(self) -> dict[Name, Array]:
        """Those of all variables."""
        return {name: self.marginal(name) for name in self.task.network.names}

    def paths(self) -> dict[Name, Array]:
        """The states that the indicators reached, ([B,] T); -1 after the end of a sequence."""
        inside = self.task.inside
        states = {name: np.where(inside, self._reached(name).argmax(-1), -1) for name in self.task.network.names}
        return {name: np.moveaxis(a, 0, -1) for name, a in states.items()}

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
    most = max(1, PORTION // (task.evidence.T * max(table.values.size for table, _ in task.network.each())))
    if reduction not in (MAX, DRAW) or not task.evidence.batch or task.evidence.batch[0] <= most:
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


def engine_of(model: Prepared) -> Engine:
    """What runs a model's scans: NumPy for factored messages unless asked, whose many equations compile for minutes."""
    return "numpy" if model.engine is None and model.network.clusters else model.engine


def alone(forward: Answer) -> Answer:
    """The answer of each slice for itself, given the messages of a forward run."""
    before = {}
    for name, title in messages(forward.task.structure).items():
        alpha = forward.series[name]
        alpha = np.maximum(alpha, IMPOSSIBLE) if forward.reduction.logs else alpha
        before[title] = np.concatenate([np.ones_like(alpha[:1]), alpha[:-1]])
    return _run(forward.task, forward.reduction, ("inputs",), before, alone=True)


def logarithms(a: Array) -> Array:
    """The logarithms of probabilities."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(a), IMPOSSIBLE)


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

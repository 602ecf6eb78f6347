"""One slice more: from the message of the slice before it and its evidence, the message after it and its posteriors.

That is the program of a slice that stands alone, run on one slice. It runs on probabilities, unless a product of the
smallest of them could be too small for a number; then on logarithms.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import smallest
from dbn_bptt.dbn.inference.task import IMPOSSIBLE, Task, engine_of, logarithms
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.dbn.polynomial.forward import Structure, messages, polynomial, scales
from dbn_bptt.dbn.polynomial.reductions import LOG_SUM, SUM, Reduction
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program import Program, compile
from dbn_bptt.program.compiled import Compiled
from dbn_bptt.program.engines import Engine
from dbn_bptt.program.schedule import Goal
from dbn_bptt.sweep.given import Given

LEAST = math.log(1e-290)  # no part of a product above it is too small for a number
FLOAT = np.dtype(float)


@dataclass(frozen=True)
class After:
    """What is known after a slice.

    Attributes
    ----------
    scale : [B], the logarithm of the probability of the slice's evidence given all before it; IMPOSSIBLE for that of 0
    messages : those to the next slice, by name, ([B,] ...)
    logs : whether these are logarithms
    marginals : by variable, those of the slice ([B,] 1, K)
    """

    scale: Any
    messages: dict[str, Array]
    logs: bool
    marginals: dict[Name, Array]


def one_slice(task: Task, before: Mapping[str, Array], logs: bool) -> After:
    """What is known after a slice that is not among the first ones.

    Parameters
    ----------
    task : the evidence of the slice
    before : the messages of the slice before, by name, ([B,] ...)
    logs : whether these are logarithms
    """
    model, given, batch = task.model, task.evidence, task.evidence.batch
    least = model.least + given.least
    for a in before.values():
        least += _least_log(a) if logs else smallest(a)
    reduction = SUM if least > LEAST else LOG_SUM
    data = task.data(reduction.logs)
    plan = _plan(model.structure, reduction, tuple(data), given.seen, engine_of(model), batch)
    for name, title in plan.messages:
        data[title] = _turned(before[name], logs, reduction.logs)
    tables = model.log_tables if reduction.logs else model.tables
    whole = {title: a.reshape(plan.shapes[title]) for title, a in data.items()}
    out = plan.run(tables, whole, {}, 1, *(batch or (1,)), FLOAT)
    here = 0 if batch else (0, 0)
    found = {name: out[name][here] for name, _ in plan.messages}
    reached = {name: out[adjoint][0] + 0.0 if adjoint else given.likelihoods[name] for name, adjoint in plan.adjoints}
    marginals = {name: p.reshape(*batch, 1, p.shape[-1]) for name, p in reached.items()}
    return After(_scale(plan, out, batch), found, reduction.logs, marginals)


@dataclass(frozen=True)
class _Plan:
    """What runs on a slice, and what goes in and comes out.

    Attributes
    ----------
    run : the program
    shapes : of its inputs, (1, B, ...)
    messages : their names, and those of the inputs that take them
    scales : their names
    adjoints : by variable, the name of that of its indicators; "" where its state is given
    logs : whether it is about logarithms
    """

    run: Compiled
    shapes: Mapping[str, Shape]
    messages: tuple[tuple[str, str], ...]
    scales: tuple[str, ...]
    adjoints: tuple[tuple[Name, str], ...]
    logs: bool


@lru_cache(maxsize=256)
def _plan(
    of: Structure, reduction: Reduction, given: tuple[str, ...], seen: frozenset[Name], engine: Engine, batch: Shape
) -> _Plan:
    """The plan for a slice of which so many inputs are given, and some states."""
    runs = _program(of, reduction, engine)
    inputs, symbols = runs.template.names("input"), runs.template.symbols
    absent = frozenset(inputs) - {*given, *messages(of).values()}
    goals: list[Goal] = [(name, "slices") for name in (*scales(of), *messages(of))]
    unknown = {name: of.evidence(name) for name, _ in of.sizes if name not in seen}
    made = runs.made_for(Given(1, batch, FLOAT, {}, {}, {}, absent=absent), goals, tuple(unknown.values()))
    return _Plan(
        made,
        {name: (1, *(batch or (1,)), *symbols[name].shape) for name in inputs},
        tuple(messages(of).items()),
        tuple(scales(of)),
        tuple((name, runs.backward.partners[unknown[name]] if name in unknown else "") for name, _ in of.sizes),
        reduction.logs,
    )


@lru_cache(maxsize=64)
def _program(of: Structure, reduction: Reduction, engine: Engine) -> Program:
    return compile(polynomial(of, reduction, alone=True, begun=True, posteriors=True), engine)


def _scale(plan: _Plan, out: Mapping[str, Array], batch: Shape) -> Any:
    """The logarithm of the product of all scales."""
    if batch:
        return sum(out[name].reshape(-1) if plan.logs else logarithms(out[name].reshape(-1)) for name in plan.scales)
    numbers = [out[name].item() for name in plan.scales]
    return sum(numbers if plan.logs else [math.log(a) if a > 0 else IMPOSSIBLE for a in numbers])


def _turned(a: Array, logs: bool, wanted: bool) -> Array:
    """A message as its logarithm, or the other way round."""
    if logs is wanted:
        return a
    return logarithms(a) if wanted else np.exp(a)


def _least_log(a: Array) -> float:
    """The smallest of some logarithms, but for those of 0."""
    return float(a.min(initial=0.0, where=a > IMPOSSIBLE / 2))

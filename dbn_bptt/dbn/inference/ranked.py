"""The most probable paths in order, each found by maxima alone.

After the best path is known, all others differ from it first in some variable of some slice. For each such place the
best of those that agree before it and differ in it is one more most probable path, given indicators that say so; the
best of these is the second, and its own others are divided in the same way (Lawler 1972). Each division is one batch.
"""

import heapq
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Evidence, Soft
from dbn_bptt.dbn.inference.posterior import Paths
from dbn_bptt.dbn.inference.query import Answer, in_portions, swept
from dbn_bptt.dbn.inference.task import Task, given_task
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.dbn.polynomial.reductions import MAX
from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine

BARRED = -1e100  # the logarithm of an indicator that forbids a state


@dataclass(frozen=True, order=True)
class Found:
    """The best of some paths: those that agree with it in the first places, and are in no barred state in the next."""

    cost: float  # -log p
    number: int  # of equal costs the first comes first
    path: dict[Name, Array] = field(compare=False)
    fixed: int = field(compare=False)
    barred: tuple[int, ...] = field(compare=False)


def best_paths(
    model: Any, k: int, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, engine: Engine = None
) -> Paths:
    """The k most probable paths of all variables together, given the evidence of one sequence, the best first.

    `viterbi` finds the first of them. Each further one takes a batch of as many most probable paths as there are hidden
    variables in all slices. Of equally probable paths any may come first; where there are fewer than k possible ones,
    all are returned.

    Parameters
    ----------
    k : int
        The other arguments are those of `smooth`.

    Returns
    -------
    Paths
        With arrays (k, T); `log_probability` is (k,).

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> paths = best_paths(umbrella(), 3, {"Umbrella": [1, 1, 0]})
    >>> paths["Rain"].tolist(), paths.log_probability.round(3)
    ([[1, 1, 0], [1, 1, 1], [1, 0, 0]], array([-2.688, -3.92 , -4.192]))
    """
    k = positive(k, f"k is {k!r}; it must be a positive number of paths")
    task = given_task(model, evidence, soft, T, None, engine)
    if task.evidence.batch:
        raise DataError("the most probable paths are those of one sequence; ask for each of a batch by itself")
    best = swept(task, MAX, task.unknown)
    hidden = [name for name in task.network.names if name not in task.evidence.seen]
    heap = [Found(-float(best.log_likelihood), 0, best.paths(), 0, ())]
    ranked: list[Found] = []
    count = 1
    while heap and len(ranked) < k:
        ranked.append(heapq.heappop(heap))
        if len(ranked) < k:
            others = _divided(task, hidden, ranked[-1], count, task.evidence.offset - best.normaliser)
            count += len(others)
            for other in others:
                heapq.heappush(heap, other)
    indices = {name: np.array([found.path[name] for found in ranked]) for name in task.network.names}
    return Paths(indices, np.array([-found.cost for found in ranked]), task.network.states)


def _divided(task: Task, hidden: list[Name], found: Found, count: int, more: float) -> list[Found]:
    """The best of the other paths that a find stands for, by the first place in which they differ from it.

    `more` is what log-probabilities have besides.
    """
    T = task.evidence.T
    places = [(t, name) for t in range(T) for name in hidden]
    left = range(found.fixed, len(places))
    if not left:
        return []
    barred = [(found.barred if j == found.fixed else ()) + (int(found.path[places[j][1]][places[j][0]]),) for j in left]
    logs: dict[Name, Array] = {}
    for v, name in enumerate(hidden):
        K = len(task.network.states[name])
        fixed = (np.arange(T) * len(hidden) + v)[:, None] < np.array(left)
        other = np.arange(K) != found.path[name][:, None, None]
        logs[name] = np.where(fixed[..., None] & other, BARRED, 0.0) + task.logarithms(name)[:, None]
    for child, (j, states) in enumerate(zip(left, barred, strict=True)):
        t, name = places[j]
        logs[name][t, child, list(states)] = BARRED
    answer = _best(task, logs, len(left))
    paths, reached = answer.paths(), answer.total + more
    return [
        Found(-float(reached[c]), count + c, {name: a[c] for name, a in paths.items()}, j, barred[c])
        for c, j in enumerate(left)
        if reached[c] > BARRED / 2
    ]


def _best(task: Task, logs: dict[Name, Array], size: int) -> Answer:
    """The most probable path under each of a batch of indicators."""
    given: Evidence = task.evidence.repeated(size)
    constrained = Task(task.model, replace(given, logs=dict(given.logs) | logs, seen=task.evidence.seen))
    return in_portions(constrained, MAX, constrained.unknown, None)  # some may be impossible

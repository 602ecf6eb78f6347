"""An emitted function: how it is made, what it is given, and how it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Parallel
from dbn_bptt.program.jax_engine import called, traceable
from dbn_bptt.program.jax_source import jax_source
from dbn_bptt.program.loops import loops_printer
from dbn_bptt.program.native import compiled_loops
from dbn_bptt.program.numpy_source import Emitted, numpy_source
from dbn_bptt.program.schedule import Goal, Schedule, schedule
from dbn_bptt.program.spare import lent
from dbn_bptt.sweep.given import Given
from dbn_bptt.template.template import Template


@dataclass(frozen=True)
class Compiled:
    """One emitted function, with the schedule that it was read off and its source.

    `numbers` tells how many numbers its own arrays hold for each slice of a sequence, results left out; `reasons` why
    scans over the sequence are left to NumPy, "" for one that is compiled loops; `traced` is the function as JAX
    traces it.
    """

    schedule: Schedule
    source: str
    run: Callable[..., dict[str, Array]] = field(repr=False)
    numbers: int
    reasons: dict[str, str]
    traced: Callable[..., dict[str, Any]] | None = field(default=None, repr=False)

    def __call__(self, *arguments: Any) -> dict[str, Array]:
        """The results of a run; what overflows becomes infinite without a warning, as in `bptt`."""
        try:
            with np.errstate(all="ignore"), lent() as empty:
                return self.run(*arguments, empty)
        except np.linalg.LinAlgError as error:
            where = "bptt(template, ...) on the same input names the node"
            raise DataError(f"a matrix has no inverse or no logarithm of its determinant ({error}); {where}") from None


Target = int | Parallel | str | None  # for so many sequences as native loops; for JAX; or for NumPy


def compiled(
    template: Template, goals: tuple[Goal, ...], T: int | None, absent: frozenset[str], target: Target = None
) -> Compiled:
    """The function that computes some goals, for sequences of T slices or for all long ones."""
    results = list(dict.fromkeys(goal if isinstance(goal, str) else goal[0] for goal in goals))
    if isinstance(target, int):
        return _as_loops(template, goals, T, absent, results, target)
    plan = schedule(template, goals, T, absent)
    if target is None:
        made = numpy_source(plan, results)
        return Compiled(plan, made.source, _function(made, {}), made.numbers, made.reasons)
    made = jax_source(plan, results, target if isinstance(target, Parallel) else None)
    run = traceable(made)
    return Compiled(plan, made.source, called(run), made.numbers, made.reasons, run)


def _as_loops(
    template: Template, goals: tuple[Goal, ...], T: int | None, absent: frozenset[str], results: list[str], many: int
) -> Compiled:
    """Native loops, made for runs of so many sequences."""
    plan = schedule(template, goals, T, absent, maps_only=True)
    made = numpy_source(plan, results, loops_printer(many))
    if any(made.reasons.values()):  # NumPy runs some scan, which should do as little as can be
        plan = schedule(template, goals, T, absent)
        made = numpy_source(plan, results, loops_printer(many))
    loops = compiled_loops(made.loops) if made.loops else {}
    return Compiled(plan, made.source, _function(made, loops), made.numbers, made.reasons)


def _function(made: Emitted, loops: dict[str, Any]) -> Callable[..., dict[str, Array]]:
    namespace: dict[str, Any] = dict(made.functions)
    exec(made.source, namespace)
    namespace |= loops
    run: Callable[..., dict[str, Array]] = namespace["run"]
    return run


def arguments(template: Template, given: Given) -> tuple[Any, ...]:
    """What an emitted function takes: arrays with a batch axis, initial slices beside the others."""
    B = given.batch[0] if given.batch else 1
    data, initial = given.data, given.initial
    if not given.batch:
        data, initial = ({name: a[:, None] for name, a in of.items()} for of in (data, initial))
    lagged = {name: before for name, (before, _) in template.reaches().items() if name in data and name in initial}
    join = np.concatenate if all(isinstance(a, np.ndarray) for a in data.values()) else _joined_by_jax
    joined = {
        name: join([initial[name][:before], data[name], initial[name][before:]]) for name, before in lagged.items()
    }
    return given.parameters, {**data, **joined}, initial, given.T, B, given.dtype


def _joined_by_jax(parts: list[Any]) -> Any:
    import jax.numpy as jnp

    return jnp.concatenate(parts)

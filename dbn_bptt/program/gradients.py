"""Gradients as results of a program: which adjoints they are, and how they are read off a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.schedule import Goal, Schedule
from dbn_bptt.sweep.given import Given
from dbn_bptt.sweep.results import refuse_nan
from dbn_bptt.template.template import Template

WRT = ("params", "inputs", "initial")


@dataclass(frozen=True)
class Gradients:
    """Gradients by what they are the gradients of, each in the shape of that."""

    parameters: dict[str, Array] = field(default_factory=dict)
    inputs: dict[str, Array] = field(default_factory=dict)
    initial: dict[str, Array] = field(default_factory=dict)

    def named(self) -> dict[str, Array]:
        """All under one name each; that of the initial state of h is "initial h"."""
        return {**self.parameters, **self.inputs, **{f"initial {name}": g for name, g in self.initial.items()}}


@dataclass(frozen=True)
class Outcome:
    """What a run computed: totals, variables in all slices, and gradients."""

    totals: dict[str, Array]
    series: dict[str, Array]
    gradients: Gradients = field(default_factory=Gradients)


def wanted_inputs(of: Template, wrt: Sequence[str]) -> list[str]:
    """The inputs whose gradients are asked for, all or some by name."""
    return [name for name in of.names("input") if name in wrt or "inputs" in wrt]


def gradient_goals(of: Template, bars: Mapping[str, str], wrt: Sequence[str]) -> list[Goal]:
    """What a program has to compute for gradients; what has no influence on a loss has no adjoint."""
    goals: list[Goal] = [bars[name] for name in of.names("parameter")] if "params" in wrt else []
    goals += [(bars[name], "slices") for name in wanted_inputs(of, wrt) if name in bars]
    if "initial" in wrt:
        goals += [(bars[name], "initial") for name in of.initial_shapes() if name in bars]
    return goals


def read_gradients(
    out: Mapping[str, Array], plan: Schedule, of: Template, bars: Mapping[str, str], given: Given, wrt: Sequence[str]
) -> Gradients:
    """The gradients among the results of a run."""

    def in_slices(name: str, slices: Sequence[int]) -> Array:
        if name not in bars:
            return np.zeros((len(slices), *given.batch, *of.symbols[name].shape), given.dtype)
        series = unbatched(out[bars[name]], given)
        first = plan.spans[bars[name]][0]
        if isinstance(slices, range):
            return series[slices.start - first : slices.stop - first]
        return series[np.array([t - first for t in slices], int)]

    parameters = of.names("parameter") if "params" in wrt else ()
    states = [n for n in given.initial if of.symbols[n].kind != "target"] if "initial" in wrt else ()
    return Gradients(
        {name: _typed(out[bars[name]], given.dtype) for name in parameters},
        {name: in_slices(name, range(given.T)) for name in wanted_inputs(of, wrt)},
        {name: given.state(name, in_slices(name, of.initial_slices(name, given.T))) for name in states},
    )


def _typed(a: Any, dtype: Any) -> Any:
    """An array of NumPy's or JAX's in a type; a number as an array."""
    return np.asarray(a, dtype) if isinstance(a, float | np.generic | np.ndarray) else a.astype(dtype)


def unbatched(array: Array, given: Given) -> Array:
    """A series as the caller's data are: without the axis of the batch, if they have none."""
    return array if given.batch else array[:, 0]


def refused(loss: float, gradients: Gradients) -> tuple[float, dict[str, Array]]:
    """Loss and gradients by name, unless one is NaN."""
    named = gradients.named()
    refuse_nan({"the loss": np.asarray(loss)})
    refuse_nan(named, "the gradient of ")
    return loss, named


def check_wrt(wrt: Sequence[str]) -> None:
    is_some = isinstance(wrt, list | tuple | set | frozenset) and len(wrt) and all(isinstance(w, str) for w in wrt)
    if not is_some or not set(wrt) <= set(WRT):
        raise DataError(f"wrt={wrt!r}; give a tuple of any of {', '.join(map(repr, WRT))}")

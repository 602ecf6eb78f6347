"""Gradients as results of a program: which adjoints they are, and under which names they are returned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.schedule import Goal, Schedule
from dbn_bptt.sweep.bptt import gathered
from dbn_bptt.sweep.given import Given, initial_slices
from dbn_bptt.template.template import SliceTemplate
from dbn_bptt.transforms.adjoint import adjoint, bar


@dataclass(frozen=True)
class Adjoints:
    """The adjoints of a template, among which its gradients are.

    Attributes
    ----------
    template : the template
    backward : its adjoint
    ending : of the names of adjoints
    """

    template: SliceTemplate
    backward: SliceTemplate
    ending: str

    @classmethod
    def of(cls, template: SliceTemplate) -> "Adjoints":
        """Those of a template with a loss."""
        return cls(template, adjoint(template), bar(template))

    def goals(self, wrt: tuple[str, ...], also: tuple[str, ...]) -> tuple[Goal, ...]:
        """What a program has to compute for the losses, their gradients, and some variables in all slices."""
        goals: list[Goal] = [*self.template.losses, *((name, "slices") for name in also)]
        if "params" in wrt:
            goals += [name + self.ending for name in self.template.names("parameter")]
        inputs = [name for name in self.template.names("input") if name in wrt or "inputs" in wrt]
        goals += [(name + self.ending, "slices") for name in inputs if self._has(name)]
        if "initial" in wrt:
            goals += [(name + self.ending, "initial") for name in self.template.initial_shapes() if self._has(name)]
        return tuple(goals)

    def _has(self, name: str) -> bool:
        """Whether a variable has an influence on a loss, and so an adjoint."""
        return name + self.ending in self.backward.symbols

    def gradients(self, out: dict[str, Array], plan: Schedule, given: Given, wrt: Sequence[str]) -> dict[str, Array]:
        """The results of a run under the names of what they are the gradients of."""
        found: dict[str, Array] = {}
        if "params" in wrt:
            found |= {
                name: np.asarray(out[name + self.ending], given.dtype) for name in self.template.names("parameter")
            }
        for name in self.template.names("input"):
            if name in wrt or "inputs" in wrt:
                found[name] = self._slices(out, plan, name, range(given.T), given)
        if "initial" in wrt:
            for name in given.initial:
                if self.template.symbols[name].kind != "target":
                    slices = initial_slices(self.template, name, self.template.reaches()[name], given.T)
                    rows = self._slices(out, plan, name, slices, given)
                    found[f"initial {name}"] = gathered(list(rows), self.template, name, given)
        return found

    def _slices(self, out: dict[str, Array], plan: Schedule, name: str, slices: Sequence[int], given: Given) -> Array:
        """The adjoints of a variable in some slices, 0 where it has no influence."""
        if not self._has(name):
            return np.zeros((len(slices), *given.batch, *self.template.symbols[name].shape), given.dtype)
        low, array = plan.spans[name + self.ending][0], out[name + self.ending]
        rows = [t - low for t in slices]
        return unbatched(array if rows == list(range(len(array))) else array[rows], given)


def unbatched(array: Array, given: Given) -> Array:
    """A series as the caller's data are: without the axis of the batch, if they have none."""
    return array if given.batch else array[:, 0]

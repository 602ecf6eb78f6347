"""What is made of a template when it is first asked for, and run on checked input."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.bounded import Run
from dbn_bptt.program.compiled import Compiled, Target, arguments, compiled
from dbn_bptt.program.engines import Engine, is_jax
from dbn_bptt.program.gradients import Outcome, gradient_goals, read_gradients, refused, unbatched
from dbn_bptt.program.loops import rounded
from dbn_bptt.program.native import is_installed
from dbn_bptt.program.schedule import Goal, shortest_general
from dbn_bptt.sweep.given import Given
from dbn_bptt.sweep.results import refuse_nan
from dbn_bptt.template.shown import Shown
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.transforms.adjoint import adjoint
from dbn_bptt.transforms.ragged import is_ragged, ragged
from dbn_bptt.transforms.segments import carried
from dbn_bptt.transforms.tangent import tangent

BLOCKED_FROM, BLOCK = 1 << 30, 96 << 20  # bytes: from what size on a run goes block by block, and how large these are
NATIVE_FROM = 1000  # slices from which on compiling scans pays


class Runs(Shown):
    """What a program is made of, and how it runs on checked input."""

    def __init__(self, template: Template, engine: Engine = None):
        self.template, self.engine = template, engine
        self._made: dict[Any, Compiled] = {}
        self._parts: dict[Any, Self] = {}

    # --------------------------------------------------------------------------------------------------- properties
    @cached_property
    def backward(self) -> Template:
        """The adjoint of the template, among whose values the gradients are."""
        if not self.template.losses:
            raise TemplateError(f"template {self.template.name!r} has no loss to differentiate; add .loss(...)")
        return adjoint(self.template).frozen

    @cached_property
    def least(self) -> int:
        """The number of slices from which one program serves all sequences; shorter ones have programs of their own."""
        return shortest_general(self.backward if self.template.losses else self.template)

    @cached_property
    def cuttable(self) -> bool:
        """Whether a sequence can be run in segments."""
        try:
            carried(self.template)
        except TemplateError:
            return False
        return True

    @property
    def _typical(self) -> Compiled:
        """What `value_and_grad` runs for one long sequence."""
        target = self.engine if is_jax(self.engine) else None
        native = 1 if self.engine == "native" else target
        return self._made_for(tuple(self.template.losses), ("params",), None, frozenset(), native)

    def like(self, template: Described) -> Self:
        """The program of another template on the same engine."""
        return type(self)(checked_template(template, "compile"), self.engine)

    @cached_property
    def _ragged(self) -> Self:
        return self if is_ragged(self.template) else self.like(ragged(self.template))

    def for_lengths(self) -> Self:
        """The program of the ragged template, which takes `lengths`."""
        return self._ragged

    @cached_property
    def second(self) -> Self:
        """The program of the adjoint's tangent, in which second derivatives are."""
        return self.like(tangent(self.backward))

    # ---------------------------------------------------------------------------------------------------------- runs
    def run(
        self, given: Given, totals: Sequence[str] = (), series: Sequence[str] = (), wrt: Sequence[str] = ()
    ) -> Outcome:
        """Compute what is asked for, on checked input.

        Parameters
        ----------
        totals : totals by name
        series : variables by name, in all slices; with `wrt` those of the adjoint too
        wrt : as in `value_and_grad`, or single inputs by name: the gradients of the losses, and these among the totals
        """
        totals = (*totals, *(self.template.losses if wrt else ()))
        made = self.made_for(given, (*totals, *((name, "slices") for name in series)), wrt)
        out, spans = made(*arguments(self.template, given)), made.schedule.spans
        partners = self.backward.partners if wrt else {}
        return Outcome(
            {name: np.asarray(out[name]) for name in totals},
            {name: unbatched(out[name][-spans[name][0] :][: given.T], given) for name in series},
            read_gradients(out, made.schedule, self.template, partners, given, wrt),
        )

    def _target(self, given: Given) -> Target:
        """What a run is made for; native loops for so many sequences, up to the next power of 2."""
        if is_jax(self.engine):
            return self.engine
        native = self.engine == "native" or (self.engine is None and given.T >= NATIVE_FROM and is_installed())
        return rounded(math.prod(given.batch)) if native else None

    def made_for(self, given: Given, goals: Sequence[Goal], wrt: Sequence[str] = ()) -> Compiled:
        """The function that computes some goals and gradients on input such as this."""
        goals, wrt = tuple(goals), tuple(wrt)
        return self._made_for(goals, wrt, given.T if self.least > given.T else None, given.absent, self._target(given))

    def _made_for(
        self,
        goals: tuple[Goal, ...],
        wrt: tuple[str, ...],
        T: int | None,
        absent: frozenset[str],
        target: Target,
    ) -> Compiled:
        key = goals, wrt, T, absent, target
        if key not in self._made:
            template = self.backward if wrt else self.template
            more = gradient_goals(self.template, self.backward.partners, wrt) if wrt else []
            self._made[key] = compiled(template, tuple(dict.fromkeys((*goals, *more))), T, absent, target)
        return self._made[key]

    def loss_on(self, given: Given) -> float:
        """`loss` on checked input."""
        loss = sum(float(total) for total in self.run(given, totals=self.template.losses).totals.values())
        refuse_nan({"the loss": np.asarray(loss)})
        return float(loss)

    def on(self, given: Given, wrt: Sequence[str] = ("params",)) -> tuple[float, dict[str, Array]]:
        """`value_and_grad` on checked input, all slices at once."""
        outcome = self.run(given, wrt=wrt)
        return refused(sum(float(outcome.totals[name]) for name in self.template.losses), outcome.gradients)

    def whole(self, given: Given, wrt: Sequence[str]) -> tuple[float, dict[str, Array]]:
        """Loss and gradients of all slices, at once; or in blocks where their arrays would take more than a gigabyte.

        Each block stores its first state and is run once more on the way back.
        """
        if self.cuttable:
            numbers = self.made_for(given, self.template.losses, wrt).numbers
            size = numbers * given.dtype.itemsize * math.prod(given.batch)  # of one slice
            if given.T * size > BLOCKED_FROM:
                block = max(1, BLOCK // size)
                return self._segmented(given, wrt, block, -(-given.T // block))
        return self.on(given, wrt)

    def _segmented(
        self, given: Given, wrt: Sequence[str], length: int, stored: int | None
    ) -> tuple[float, dict[str, Array]]:
        """Loss and gradients segment by segment: with some stored states, or with messages cut between segments."""
        run = Run(self.template, self.part, given, tuple(wrt), length)
        if stored is None:
            run.truncated()
        else:
            run.checkpointed(stored)
        return refused(run.loss, run.gradients)

    def part(self, template: Template) -> Self:
        """The program of a part of the template, kept for the next call."""
        if template.key not in self._parts:
            self._parts[template.key] = self.like(template)
        return self._parts[template.key]

    def fitting(self, lengths: Any) -> Self:
        """The program that takes these lengths, or none."""
        return self if lengths is None else self.for_lengths()

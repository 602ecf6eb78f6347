"""Gradients of long sequences in bounded memory: checkpoints, and truncation.

Both run segments. With checkpoints a few states are stored on the way forwards, and the segments between them are run
again on the way back, by the schedule of Griewank and Walther that recomputes least. With truncation the state goes
from segment to segment and the messages do not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import comb
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.gradients import Gradients
from dbn_bptt.sweep.given import Given
from dbn_bptt.template.template import Template
from dbn_bptt.transforms.segments import carried, segment

State = dict[str, Array]  # rows of the slices before a segment, (rows, *batch, *shape), by variable


def advances(steps: int, stored: int) -> int:
    """The least number of extra advances to reverse some steps with some stored states, the first one counted.

    Griewank and Walther, Evaluating Derivatives: r l - C(c + r, c + 1) with r the least for which C(c + r, c) >= l.

    Examples
    --------
    >>> [advances(10, c) for c in range(1, 7)], advances(100, 3), advances(100, 10)
    ([45, 20, 15, 14, 13, 12], 490, 222)
    """
    r = next(r for r in range(steps + 1) if comb(stored + r, stored) >= steps)
    return r * steps - comb(stored + r, stored + 1)


def best_split(steps: int, stored: int) -> int:
    """How many steps to advance before the next state is stored."""
    r = next(r for r in range(steps + 1) if comb(stored + r, stored) >= steps)
    least = max(1, steps - comb(stored + r - 1, stored - 1), comb(stored + r - 2, stored) if r > 1 else 1)
    return min(least, steps - 1)


@dataclass
class Run:
    """One pass over a long sequence, segment by segment, adding up losses and gradients.

    Attributes
    ----------
    template : of the whole sequence
    compile : makes the program of a segment's template
    given : the input of the whole sequence
    wrt : as in `value_and_grad`
    length : slices in a segment; the last one may be shorter
    loss, gradients : what has been added up
    advanced : extra runs of a segment forwards
    """

    template: Template
    compile: Callable[[Template], Any]
    given: Given
    wrt: tuple[str, ...]
    length: int
    loss: float = 0.0
    gradients: Gradients = field(default_factory=Gradients)
    advanced: int = 0

    def __post_init__(self) -> None:
        self.rows = carried(self.template)
        self.count = -(-self.given.T // self.length)
        self.programs: dict[tuple[bool, bool], Any] = {}
        reaches, data = self.template.reaches(), self.given.data
        rows = {name: sum(reaches[name]) for name in self.template.names("input")}
        wanted = {n for n in rows if "inputs" in self.wrt or (rows[n] and "initial" in self.wrt)}
        self.input_rows = {name: rows[name] for name in rows if name in wanted}
        self.of_inputs = {  # the initial slices of an input in front of the others
            n: np.zeros((k + len(data[n]), *data[n].shape[1:]), self.given.dtype) for n, k in self.input_rows.items()
        }

    # ----------------------------------------------------------------------------------------------------- schedules
    def checkpointed(self, stored: int) -> None:
        """Reverse all segments with a number of stored states, the first one counted."""
        self._keep(self._reversed(0, self.count, stored, self._start(), self._silence()))

    def truncated(self) -> None:
        """Carry the state from segment to segment, and cut the messages."""
        state, of_the_start = self._start(), self._silence()
        for i in range(self.count):
            said = self._gradient(i, state, self._silence())
            of_the_start = said if i == 0 else of_the_start
            state = self._advance(i, i + 1, state, extra=False) if i + 1 < self.count else state
        self._keep(of_the_start)

    def _reversed(self, first: int, steps: int, stored: int, state: State, later: State) -> State:
        """Reverse the segments from `first` on, given the state before them and what is said after them."""
        left = [(first, steps, stored, state)]
        while left:
            first, steps, stored, state = left.pop()
            if steps > 1 and stored > 1:
                ahead = best_split(steps, stored)
                there = self._advance(first, first + ahead, state)
                left += [(first, ahead, stored, state), (first + ahead, steps - ahead, stored - 1, there)]
                continue
            for i in reversed(range(first, first + steps)):
                later = self._gradient(i, self._advance(first, i, state), later)
        return later

    # ------------------------------------------------------------------------------------------------------ segments
    def _bounds(self, i: int) -> tuple[int, int]:
        return i * self.length, min(self.given.T, (i + 1) * self.length)

    def _program(self, i: int) -> Any:
        """The program of a segment; None if it has no loss, and nothing to hand on."""
        kind = (i == 0, i == self.count - 1)
        if kind not in self.programs:
            part = segment(self.template, *kind)
            self.programs[kind] = self.compile(part) if part.losses else None
        return self.programs[kind]

    def _given(self, of: Template, i: int, state: State, later: State) -> Given:
        """What a segment is given: its data, the states before it, and what is said later."""
        a, b = self._bounds(i)
        part = self.given.slices(a, b)
        said = {title: name for name, title in of.partners.items()}
        data, initial = dict(part.data), dict[str, Array]()
        for name, (before, after) in of.reaches().items():
            if after:
                initial[name] = later[said[name]]
                zeros = np.zeros((), part.dtype)
                data[name] = np.broadcast_to(zeros, (b - a, *part.batch, *of.symbols[name].shape))
            elif before and name not in of.learned:
                initial[name] = state[name] if name in state else self._before(name, a, before)
        return replace(part, data=data, initial=initial, shared=frozenset())

    def _before(self, name: str, a: int, rows: int) -> Array:
        """The rows of a lagged input just before slice a; or the given initial state of any name before slice 0."""
        start = self.given.initial[name]
        return np.concatenate([start, self.given.data[name][max(0, a - rows) : a]])[-rows:] if a else start

    def _advance(self, first: int, last: int, state: State, extra: bool = True) -> State:
        """The state before segment `last`, from that before segment `first`."""
        for i in range(first, last) if self.rows else ():
            program = self._program(i)
            given = self._given(program.template, i, state, self._silence())
            series = program.run(given, series=list(self.rows)).series
            joined = {n: np.concatenate([state[n], series[n]]) if n in state else series[n] for n in self.rows}
            state = {name: joined[name][-rows:].copy() for name, rows in self.rows.items()}
            self.advanced += extra
        return state

    def _gradient(self, i: int, state: State, later: State) -> State:
        """Add a segment's loss and gradients; what it says of the states before it."""
        program, (a, b) = self._program(i), self._bounds(i)
        if program is None:
            return {}
        given = self._given(program.template, i, state, later)
        outcome = program.run(given, wrt=(*dict.fromkeys((*self.wrt, "initial")),))
        self.loss += sum(float(total) for name, total in outcome.totals.items() if name in self.template.losses)
        own, found = self.gradients.parameters, outcome.gradients
        for name, g in found.parameters.items():
            own[name] = own[name] + g if name in own else g
        said = {name: self._rows(name, g) for name, g in found.initial.items() if name in self.template.symbols}
        for name, rows in self.input_rows.items():
            if "inputs" in self.wrt:
                self.of_inputs[name][rows + a : rows + b] += found.inputs[name]
            if rows:
                self.of_inputs[name][a : a + rows] += said[name]
        return said

    def _rows(self, name: str, gradient: Array) -> Array:
        """The gradient of an initial state with an axis for its rows."""
        return gradient.reshape(-1, *self.given.batch, *self.template.symbols[name].shape)

    # -------------------------------------------------------------------------------------------------------- states
    def _start(self) -> State:
        """The initial states of variables, given or learned."""
        start = {name: rows for name, rows in self.given.initial.items() if name in self.rows}
        for name, learned in self.template.learned.items():
            if name in self.rows:
                core, batch = self.template.symbols[name].shape, self.given.batch
                rows = self.given.parameters[learned.name].reshape(-1, *(1 for _ in batch), *core)
                start[name] = np.broadcast_to(rows, (len(rows), *batch, *core))
        return start

    def _silence(self) -> State:
        """Nothing said of any state."""
        sizes = {n: (rows, *self.given.batch, *self.template.symbols[n].shape) for n, rows in self.rows.items()}
        return {name: np.zeros(size, self.given.dtype) for name, size in sizes.items()}

    def _keep(self, said: State) -> None:
        """What is said of the given initial states is their gradient."""
        for name in self.given.initial if "initial" in self.wrt else ():
            if name in said and name in self.rows:
                self.gradients.initial[name] = self.given.state(name, said[name])
            elif name in self.input_rows:
                rows = self.of_inputs[name][: self.input_rows[name]]
                self.gradients.initial[name] = self.given.state(name, rows)
        for name, before in self.input_rows.items() if "inputs" in self.wrt else ():
            self.gradients.inputs[name] = self.of_inputs[name][before:]

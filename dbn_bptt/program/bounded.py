"""Gradients of long sequences in bounded memory: checkpoints, and truncation.

Both run segments. With checkpoints a few states are stored on the way forwards, and the segments between them are run
again on the way back, by the schedule of Griewank and Walther that recomputes least. With truncation the state goes
from segment to segment and the messages do not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import comb
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.cut import Cut, State
from dbn_bptt.sweep.bptt import gathered
from dbn_bptt.sweep.given import Given
from dbn_bptt.template.expressions import Reference
from dbn_bptt.template.template import SliceTemplate
from dbn_bptt.transforms.segments import LATER, carried, segment


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
    found : the input of the whole sequence
    wrt : as in `value_and_grad`
    length : slices in a segment; the last one may be shorter
    """

    template: SliceTemplate
    compile: Callable[[SliceTemplate], Any]
    found: Given
    wrt: tuple[str, ...]
    length: int
    loss: float = 0.0
    gradients: dict[str, Array] = field(default_factory=dict)
    advanced: int = 0  # extra runs of a segment forwards
    programs: dict[tuple[bool, bool], Any] = field(default_factory=dict)
    of_inputs: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = carried(self.template)
        self.cut = Cut(self.template, self.found)
        self.count = -(-self.found.T // self.length)
        reaches = self.template.reaches()
        rows_of_inputs = {name: sum(reaches[name]) for name in self.template.names("input")}
        wanted = {
            n: rows for n, rows in rows_of_inputs.items() if "inputs" in self.wrt or (rows and "initial" in self.wrt)
        }
        self.data_rows = wanted
        for name, rows in self.data_rows.items():  # the initial slices of an input in front of the others
            shape = self.found.data[name].shape
            self.of_inputs[name] = np.zeros((rows + shape[0], *shape[1:]), self.found.dtype)

    # ----------------------------------------------------------------------------------------------------- schedules
    def checkpointed(self, stored: int) -> None:
        """Reverse all segments with a number of stored states, the first one counted."""
        later = self._reversed(0, self.count, stored, self._start(), self._silence())
        self._keep_initial(later)

    def truncated(self) -> None:
        """Carry the state from segment to segment, and cut the messages."""
        state, of_the_start = self._start(), self._silence()
        for i in range(self.count):
            said = self._gradient(i, state, self._silence())
            of_the_start = said if i == 0 else of_the_start
            state = self._advance(i, i + 1, state, extra=False) if i + 1 < self.count else state
        self._keep_initial(of_the_start)

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
        return i * self.length, min(self.found.T, (i + 1) * self.length)

    def _program(self, i: int) -> Any:
        """The program of a segment; None if it has no loss, and nothing to hand on."""
        kind = (i == 0, i == self.count - 1)
        if kind not in self.programs:
            part = segment(self.template, *kind)
            self.programs[kind] = self.compile(part) if part.losses else None
        return self.programs[kind]

    def _advance(self, first: int, last: int, state: State, extra: bool = True) -> State:
        """The state before segment `last`, from that before segment `first`."""
        for i in range(first, last) if self.rows else ():
            program, (a, b) = self._program(i), self._bounds(i)
            given = self.cut.given(program.template, a, b, state, self._silence())
            series = program.series(given, list(self.rows))
            joined = {
                name: np.concatenate([state[name], series[name]]) if name in state else series[name]
                for name in self.rows
            }
            state = {name: joined[name][-rows:].copy() for name, rows in self.rows.items()}
            self.advanced += extra
        return state

    def _gradient(self, i: int, state: State, later: State) -> State:
        """Add a segment's loss and gradients; what it says of the states before it."""
        program, (a, b) = self._program(i), self._bounds(i)
        if program is None:
            return {}
        given = self.cut.given(program.template, a, b, state, later)
        losses, gradients, _ = program.parts_on(given, (*dict.fromkeys((*self.wrt, "initial")),))
        self.loss += sum(losses[name] for name in self.template.losses if name in losses)
        for name in self.template.names("parameter") if "params" in self.wrt else ():
            self.gradients[name] = self.gradients[name] + gradients[name] if name in self.gradients else gradients[name]
        for name, rows in self.data_rows.items():
            if "inputs" in self.wrt:
                self.of_inputs[name][rows + a : rows + b] += gradients[name]
            if rows:
                before = gradients[f"initial {name}"]
                self.of_inputs[name][a : a + rows] += before.reshape(rows, *self.of_inputs[name].shape[1:])
        shapes = {name: (-1, *self.found.batch, *self.template.symbols[name].shape) for name in self.template.symbols}
        said = {n.removeprefix("initial "): g for n, g in gradients.items() if n.startswith("initial ")}
        return {name: g.reshape(shapes[name]) for name, g in said.items() if not name.startswith(LATER)}

    # -------------------------------------------------------------------------------------------------------- states
    def _start(self) -> State:
        """The given initial states of variables, with the axis of the batch."""
        start = {}
        for name, rows in self.found.initial.items():
            core = self.template.symbols[name].shape
            batched = rows[:, None] if self.found.batch and rows.ndim == 1 + len(core) else rows
            if name in self.rows:
                start[name] = np.broadcast_to(batched, (len(rows), *self.found.batch, *core))
        for name, learned in self.template.initial.items():
            if isinstance(learned, Reference) and name in self.rows:
                core = self.template.symbols[name].shape
                rows = self.found.parameters[learned.name].reshape(
                    self.rows[name], *(1 for _ in self.found.batch), *core
                )
                start[name] = np.broadcast_to(rows, (self.rows[name], *self.found.batch, *core))
        return start

    def _silence(self) -> State:
        """Nothing said of any state."""
        sizes = {n: (rows, *self.found.batch, *self.template.symbols[n].shape) for n, rows in self.rows.items()}
        return {name: np.zeros(size, self.found.dtype) for name, size in sizes.items()}

    def _keep_initial(self, said: State) -> None:
        """What is said of the given initial states is their gradient."""
        for name in self.found.initial if "initial" in self.wrt else ():
            if name in said and name in self.rows:
                self.gradients[f"initial {name}"] = gathered(list(said[name]), self.template, name, self.found)
            elif name in self.data_rows:
                rows = list(self.of_inputs[name][: self.data_rows[name]])
                self.gradients[f"initial {name}"] = gathered(rows, self.template, name, self.found)
        for name, before in self.data_rows.items() if "inputs" in self.wrt else ():
            self.gradients[name] = self.of_inputs[name][before:]

"""Input cut for segments of a long sequence."""

from dataclasses import dataclass, replace

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.given import Given
from dbn_bptt.template.expressions import Reference
from dbn_bptt.template.template import SliceTemplate
from dbn_bptt.transforms.segments import LATER

State = dict[str, Array]  # rows of the slices before a segment, (rows, [B,] *shape), by variable


@dataclass(frozen=True)
class Cut:
    """Input cut for segments: what one of them is given."""

    template: SliceTemplate
    found: Given

    def given(self, program_template: SliceTemplate, a: int, b: int, state: State, later: State) -> Given:
        """What the segment of slices a to b - 1 is given: its data, the states before it, and what is said later."""
        data = {name: series[a:b] for name, series in self.found.data.items()}
        initial: State = {}
        for name, (before, after) in program_template.reaches().items():
            if after:
                initial[name] = later[name.removeprefix(LATER)]
                zeros = np.zeros((), self.found.dtype)
                data[name] = np.broadcast_to(zeros, (b - a, *self.found.batch, *program_template.symbols[name].shape))
            elif before and not isinstance(program_template.initial.get(name), Reference):
                initial[name] = state[name] if name in state else self._data_before(name, a, before)
        shapes = {n: (r.shape if len(r) > 1 else r.shape[1:]) for n, r in initial.items()}
        return replace(self.found, T=b - a, data=data, initial=initial, initial_shapes=shapes)

    def _data_before(self, name: str, a: int, rows: int) -> Array:
        """The rows of a lagged input just before slice a; or the given initial state of any name before slice 0."""
        core = self.template.symbols[name].shape
        start = np.broadcast_to(
            _with_batch(self.found.initial[name], self.found, len(core)), (rows, *self.found.batch, *core)
        )
        if a == 0:
            return start
        return np.concatenate([start, self.found.data[name][max(0, a - rows) : a]])[-rows:]


def _with_batch(rows: Array, found: Given, core: int) -> Array:
    """Rows (n, *shape) of a batch with an axis for it."""
    return rows[:, None] if found.batch and rows.ndim == 1 + core else rows

"""Evaluation: expressions as a straight-line list of kernel calls on arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dbn_bptt import ops
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.template.expressions import Apply, Constant, Expression
from dbn_bptt.template.traversal import walk

Instruction = tuple[Callable[..., Array], tuple[int, ...], int]


@dataclass(frozen=True)
class Tape:
    """A program without branches: called with the arrays of its leaves, it returns the arrays of its roots."""

    slots: tuple[Any, ...]
    instructions: tuple[Instruction, ...]
    results: tuple[int, ...]
    leaves: int

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        slots = [*arrays, *self.slots[self.leaves :]]
        for kernel, arguments, slot in self.instructions:
            slots[slot] = kernel(*[slots[k] for k in arguments])
        return [slots[k] for k in self.results]


def tape(roots: Sequence[Expression], leaves: Sequence[Expression], batch: Shape, dtype: Any) -> Tape:
    """Write down the kernel calls that compute the roots from the leaves, each common part once.

    A sum over the batch is fused with the operation below it where that operation offers it.
    """
    slot = {leaf: k for k, leaf in reversed(list(enumerate(leaves)))}
    slots: list[Any] = [None] * len(leaves)
    instructions: list[Instruction] = []
    for e in walk(roots, arguments=_operands):
        if e in slot:
            continue
        if not isinstance(e, Constant | Apply):
            raise LookupError(f"{e!r} is not among the leaves")
        slot[e] = len(slots)
        slots.append(e.array.astype(dtype) if isinstance(e, Constant) else None)
        if isinstance(e, Apply):
            instructions.append((_kernel(e, batch), tuple(slot[a] for a in _operands(e)), slot[e]))
    return Tape(tuple(slots), tuple(instructions), tuple(slot[root] for root in roots), len(leaves))


def _fused(e: Apply) -> Apply | None:
    """What a sum over the batch is taken of, where its kernel can do both at once."""
    below = e.arguments[0]
    fusible = e.operation is ops.batch_sum and isinstance(below, Apply) and below.operation.batch_sum is not None
    return below if fusible and isinstance(below, Apply) else None


def _operands(e: Apply) -> tuple[Expression, ...]:
    below = _fused(e)
    return e.arguments if below is None else below.arguments


def _kernel(e: Apply, batch: Shape) -> Callable[..., Array]:
    below = _fused(e)
    if below is not None and below.operation.batch_sum is not None:
        return partial(below.operation.batch_sum, batch=batch, **dict(below.attributes))
    attributes = dict(e.attributes) | ({"batch": batch} if e.operation is ops.batch_sum else {})
    return partial(e.operation.forward, **attributes) if attributes else e.operation.forward

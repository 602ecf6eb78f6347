"""The local steps of the sweeps: a node's value from those of its parents, and its messages to them.

Both are straight-line programs made from the node's equation, once for all slices that share it. A node without an
equation, a copy of a parameter or a total, is the sum of its parents.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.sweep.given import Given
from dbn_bptt.sweep.unroll import Node
from dbn_bptt.template.expressions import Apply, Constant, Expression, Symbol, reference
from dbn_bptt.template.traversal import uses, walk
from dbn_bptt.transforms.pullback import pullback

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
    for e in walk(roots, arguments=lambda e: _call(e)[1].arguments):
        if e in slot:
            continue
        if not isinstance(e, Constant | Apply):
            raise LookupError(f"{e!r} is not among the leaves")
        slot[e] = len(slots)
        slots.append(e.array.astype(dtype) if isinstance(e, Constant) else None)
        if isinstance(e, Apply):
            kernel, applied, is_told = _call(e)
            attributes = dict(applied.attributes) | ({"batch": batch} if is_told else {})
            kernel = partial(kernel, **attributes) if attributes else kernel
            instructions.append((kernel, tuple(slot[a] for a in applied.arguments), slot[e]))
    return Tape(tuple(slots), tuple(instructions), tuple(slot[root] for root in roots), len(leaves))


def _call(e: Apply) -> tuple[Callable[..., Array], Apply, bool]:
    """The kernel for an operation, the one whose arguments and attributes it gets, and whether it is told the batch."""
    below = e.arguments[0]
    if e.operation.over_batch and isinstance(below, Apply) and below.operation.batch_sum:
        return below.operation.batch_sum, below, True
    return e.operation.forward, e, e.operation.over_batch


# ------------------------------------------------------------------------------------------------------------- steps
def added(arrays: list[Array], like: Array) -> Array:
    """The sum of the messages; zeros where none arrives."""
    if len(arrays) < 2:
        return arrays[0] if arrays else np.broadcast_to(like.dtype.type(0), like.shape)
    total = arrays[0] + arrays[1]
    for array in arrays[2:]:
        total += array
    return np.asarray(total)


def _run(node: Node, program: Tape, arrays: list[Array]) -> list[Array]:
    """Run a program; what overflows becomes infinite without a warning, what cannot be computed raises."""
    try:
        with np.errstate(all="ignore"):
            return program(arrays)
    except np.linalg.LinAlgError as error:
        raise DataError(f"{node!r}: {error}; the values of its parents do not allow its equation") from None


class LocalSteps:
    """The programs of the equations, written once for all slices that share one."""

    def __init__(self, given: Given):
        self.batch, self.dtype = given.batch, given.dtype
        self.values: dict[Expression, Tape] = {}
        self.pulls: dict[Expression, tuple[Tape, list[int]]] = {}

    def value(self, node: Node, attributes: Mapping[str, Any], parents: list[Array]) -> Array:
        """The value of a node from those of its parents."""
        rule = attributes["rule"]
        if rule is None:  # a copy, or a total
            return added(parents, np.zeros(attributes["shape"], self.dtype))
        if rule not in self.values:
            leaves = [leaf for _, _, leaf in uses(rule)]
            self.values[rule] = tape([rule], leaves, self.batch, self.dtype)
        value = np.asarray(_run(node, self.values[rule], parents)[0])
        return self._batched(node, value, attributes)

    def messages(
        self, node: Node, attributes: Mapping[str, Any], parents: list[Array], value: Array, adjoint: Array
    ) -> list[tuple[int, Array]]:
        """The messages of a node to its parents, by argument position."""
        rule = attributes["rule"]
        if rule is None:
            return [(key, adjoint) for key in range(len(parents))]
        if rule not in self.pulls:
            self.pulls[rule] = self._pull(rule)
        pull, keys = self.pulls[rule]
        sent = zip(keys, _run(node, pull, [*parents, value, adjoint]), strict=True)
        wanted = [(key, message, parents[key].shape) for key, message in sent]
        return [(key, m if m.shape == shape else np.broadcast_to(m, shape)) for key, m, shape in wanted]

    def _pull(self, rule: Expression) -> tuple[Tape, list[int]]:
        own = reference(Symbol("value of the rule", rule.shape, "variable"))
        seed = reference(Symbol("adjoint of the rule", rule.shape, "variable"))
        pulled = pullback(rule, own, seed).sent
        sent = {key: message for key, leaf, message in pulled if leaf.symbol.kind not in ("target", "constant")}
        leaves = [*(leaf for _, _, leaf in uses(rule)), own, seed]
        return tape(list(sent.values()), leaves, self.batch, self.dtype), list(sent)

    def _batched(self, node: Node, value: Array, attributes: Mapping[str, Any]) -> Array:
        """A value with the axes of the batch, which what does not depend on data lacks."""
        shape, whole = attributes["shape"], self.batch + attributes["shape"]
        if value.shape == shape if attributes["kind"] == "term" else value.shape == whole:
            return value
        if value.shape != shape or any(leaf.symbol.timed for _, _, leaf in uses(attributes["rule"])):
            mend = "a forward function must keep axes in front of those of its arguments' shapes"
            raise DataError(f"{node!r}: an operation returned shape {value.shape} instead of {whole}; {mend}")
        return np.broadcast_to(value, whole)

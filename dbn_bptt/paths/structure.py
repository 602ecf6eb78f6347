"""Which numbers an expression depends on, walked operation by operation from its result to its arguments.

An elementwise operation tells it by its shapes. Another one is asked by its VJPs, at a point at which nothing is 0 by
chance: numbers without a pattern, for the arguments and for the adjoint, so that no sum cancels.
"""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.steps import LocalSteps
from dbn_bptt.sweep.unroll import Node
from dbn_bptt.template.expressions import Apply, Constant, Expression, Symbol, apply, reference
from dbn_bptt.template.traversal import uses, walk


def dependence(rule: Expression, local: LocalSteps) -> list[Array]:
    """For each use of a variable or parameter which numbers of an equation depend on which of its own.

    Booleans, (numbers of the equation, numbers of the argument). The dependence is one by structure: the derivative
    may be 0 at some values, or even everywhere if terms cancel.
    """
    reached: dict[Expression, Array] = {rule: np.eye(math.prod(rule.shape), dtype=bool)}
    for e in reversed(walk([rule])):
        if isinstance(e, Apply) and e in reached:
            for position, through in _through(e, reached[e], local).items():
                argument = e.arguments[position]
                reached[argument] = reached[argument] | through if argument in reached else through
    nothing = np.zeros(1, bool)  # of an argument whose derivative is 0 by definition
    return [reached.get(leaf, nothing) for _, _, leaf in uses(rule)]


def _through(e: Apply, rows: Array, local: LocalSteps) -> dict[int, Array]:
    """What depends on the numbers of an operation's result, as a dependence on those of its arguments, by position."""
    wanted = [k for k, a in enumerate(e.arguments) if e.operation.vjp(k) and not isinstance(a, Constant)]
    hidden = any((a.array == 0).any() for a in e.arguments if isinstance(a, Constant))
    asked = _asked(e, rows, wanted, local) if hidden or not e.operation.elementwise else {}
    return {k: _spread(e, k, rows) & asked.get(k, True) for k in wanted} if e.operation.elementwise else asked


def _spread(e: Apply, position: int, rows: Array) -> Array:
    """The dependence through an elementwise operation, whose argument may have been broadcast."""
    stretched = tuple(1 + k for k, size in enumerate(e.arguments[position].shape) if size == 1)
    return np.any(rows.reshape(len(rows), *e.shape), stretched).reshape(len(rows), -1)


def _asked(e: Apply, rows: Array, wanted: list[int], local: LocalSteps) -> dict[int, Array]:
    """The dependence through one operation as its VJPs tell it; on all numbers where they cannot be computed."""
    leaves = [reference(Symbol(f"argument {k}", a.shape, "input")) for k, a in enumerate(e.arguments)]
    rule = apply(e.operation, tuple(leaves), dict(e.attributes))
    node = {"name": "result", "kind": "variable", "shape": e.shape, "rule": rule}
    adjoints = rows.reshape(len(rows), *e.shape) * np.random.default_rng(1).uniform(0.1, 0.9, e.shape)
    depends = {k: np.zeros((len(rows), math.prod(e.arguments[k].shape)), bool) for k in wanted}
    told = {k: np.zeros_like(a) for k, a in depends.items()}
    for point in _points(e):
        try:
            value = local.value("result", node, point)
            sent = messages(local, "result", node, point, value, adjoints)
        except Exception:  # a user's operation may refuse a point in its own way
            continue
        for k in wanted:
            finite = np.isfinite(sent[k])
            told[k] |= finite
            depends[k] |= finite & (sent[k] != 0)
    used = rows.any(axis=1, keepdims=True)
    return {k: depends[k] | (~told[k] & used) for k in wanted}


def _points(e: Apply) -> Iterator[list[Array]]:
    """Values of the arguments at which the derivatives of an operation show what it depends on.

    Of constants only where they are 0 counts. An operation with kinks sees each number take each rank; an elementwise
    one, asked where constants that are 0 hide an argument, sees numbers large, below 0, and 0, as masks are.
    """
    rng = np.random.default_rng(0)
    drawn = [rng.uniform(0.1, 0.9, a.shape) for a in e.arguments]
    moves = [partial(np.roll, shift=k) for k in range(max(n.size for n in drawn) if e.operation.kinked else 1)]
    if e.operation.elementwise:
        moves = [partial(np.multiply, factor) for factor in (9.0, -9.0, 0.0)]
    for move in moves:
        yield [
            n * (a.array != 0) if isinstance(a, Constant) else move(n) for a, n in zip(e.arguments, drawn, strict=True)
        ]


def messages(
    local: LocalSteps, v: Node, attributes: Mapping[str, Any], arrays: list[Array], value: Array, adjoints: Array
) -> dict[int, Array]:
    """What several adjoints of a node send to each argument, (adjoints, numbers of the argument)."""
    rows: dict[int, list[Array]] = {}
    for adjoint in adjoints:
        for key, message in local.messages(v, attributes, arrays, value, adjoint):
            rows.setdefault(key, []).append(np.ravel(message))
    return {key: np.stack(sent) for key, sent in rows.items()}

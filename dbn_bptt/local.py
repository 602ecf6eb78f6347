"""The local steps of the sweeps: a node's value from those of its parents, and its messages to them.

Both are straight-line programs made from the node's equation, once for all slices that share it. A node without an
equation, a copy of a parameter or a total, is the sum of its parents.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dbn_bptt.data import Given
from dbn_bptt.expressions import Expression, Symbol, reference
from dbn_bptt.kernels import Array
from dbn_bptt.pullback import pullback
from dbn_bptt.tape import Tape, tape
from dbn_bptt.traversal import uses


def summed(arrays: list[Array], like: Array) -> Array:
    """The sum of the messages; zeros where none arrives."""
    if len(arrays) < 2:
        return arrays[0] if arrays else np.zeros_like(like)
    total = arrays[0] + arrays[1]
    for array in arrays[2:]:
        total += array
    return np.asarray(total)


class LocalSteps:
    """The programs of the equations, written once for all slices that share one."""

    def __init__(self, found: Given):
        self.found = found
        self.values: dict[Expression, Tape] = {}
        self.pulls: dict[tuple[Expression, str], tuple[Tape, list[int]]] = {}

    def value(self, attributes: Mapping[str, Any], parents: list[Array]) -> Array:
        """The value of a node from those of its parents."""
        rule = attributes["rule"]
        if rule is None:  # a copy, or a total
            return summed(parents, np.zeros(attributes["shape"], self.found.dtype))
        if rule not in self.values:
            leaves = [leaf for _, _, leaf in uses(rule)]
            self.values[rule] = tape([rule], leaves, self.found.batch, self.found.dtype)
        (value,) = self.values[rule](parents)
        return self._batched(value, attributes)

    def messages(
        self, attributes: Mapping[str, Any], parents: list[Array], value: Array, adjoint: Array
    ) -> list[tuple[int, Array]]:
        """The messages of a node to its parents, by argument position."""
        rule = attributes["rule"]
        if rule is None:
            return [(key, adjoint) for key in range(len(parents))]
        memo = rule, attributes["name"]
        if memo not in self.pulls:
            self.pulls[memo] = self._pull(rule, attributes["name"])
        pull, keys = self.pulls[memo]
        sent = zip(keys, pull([*parents, value, adjoint]), strict=True)
        return [(key, self._spread(message, parents[key])) for key, message in sent]

    def _pull(self, rule: Expression, name: str) -> tuple[Tape, list[int]]:
        places = uses(rule)
        own = reference(Symbol(name, rule.shape, "variable"))
        seed = reference(Symbol(f"adjoint of {name}", rule.shape, "variable"))
        messages, _ = pullback(rule, own, seed)
        keys = [
            key for key, (user, position, leaf) in enumerate(places)
            if (user, position) in messages and leaf.symbol.kind not in ("target", "constant")
        ]  # fmt: skip
        wanted = [messages[places[key][0], places[key][1]] for key in keys]
        leaves = [*(leaf for _, _, leaf in places), own, seed]
        return tape(wanted, leaves, self.found.batch, self.found.dtype), keys

    def _batched(self, value: Array, attributes: Mapping[str, Any]) -> Array:
        if attributes["kind"] == "term" or value.shape == self.found.batch + attributes["shape"]:
            return value
        return np.broadcast_to(value, self.found.batch + attributes["shape"])

    def _spread(self, message: Array, parent: Array) -> Array:
        return message if message.shape == parent.shape else np.broadcast_to(message, parent.shape)

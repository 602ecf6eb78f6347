"""What the sweeps return: values and messages, with the names of nodes as keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.data import Given
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.kernels import Array
from dbn_bptt.unroll import Node

Edge = tuple[Node, Node, int]


@dataclass(frozen=True)
class Values:
    """What the forward sweep put on the nodes: ``values["h", 2]``, ``values["W"]``.

    Attributes
    ----------
    node : dict from node to array; with axis B in front for timed nodes in a batch
    given : the checked input
    loss : the sum of all losses over slices and batch, in nats for cross-entropies
    """

    graph: nx.MultiDiGraph = field(repr=False)
    node: Mapping[Node, Array] = field(repr=False)
    given: Given = field(repr=False)
    loss: float

    def __getitem__(self, node: Any) -> Array:
        return _at(self.node, node, self.given.T)

    def stack(self, name: str) -> Array:
        """The values of a variable in all slices, (T, ...)."""
        return np.stack([self[name, t] for t in range(self.given.T)])


@dataclass(frozen=True)
class Messages:
    """What the reverse sweep sent.

    Attributes
    ----------
    adjoint : dict from node to dL/dnode, of the shape of the node's value
    edge : dict from (parent, child, key) to the message that child sends parent, the parent's share of dL through it.
        None is sent to targets and constants.
    gradients : dict from parameter to its gradient
    input_gradients : dict from input to its gradient, (T, ...)
    initial_gradients : dict from variable to the gradient of its initial state, in the shape in which that was given
    """

    adjoint: Mapping[Node, Array] = field(repr=False)
    edge: Mapping[Edge, Array] = field(repr=False)
    gradients: Mapping[str, Array] = field(repr=False)
    input_gradients: Mapping[str, Array] = field(repr=False)
    initial_gradients: Mapping[str, Array] = field(repr=False)
    slices: int

    def stack(self, name: str) -> Array:
        """The adjoints of a variable in all slices, (T, ...)."""
        return np.stack([_at(self.adjoint, (name, t), self.slices) for t in range(self.slices)])

    def per_slice(self, parameter: str) -> Array:
        """The message into a parameter from each slice, the gradient of its copy there: (T, ...), with the gradient
        as its sum. What initial slices send counts with the slice next to them."""
        if parameter not in self.gradients:
            raise unknown_name(parameter, self.gradients, "parameter")
        rows = np.zeros((self.slices, *self.gradients[parameter].shape), self.gradients[parameter].dtype)
        for (parent, child, _), message in self.edge.items():
            if parent == parameter:
                rows[min(max(int(child[1]), 0), self.slices - 1)] += message
        return rows


@dataclass(frozen=True)
class Result:
    """Graph, values and messages of one run of BPTT."""

    graph: nx.MultiDiGraph = field(repr=False)
    values: Values = field(repr=False)
    messages: Messages = field(repr=False)

    @property
    def loss(self) -> float:
        """The sum of all losses over slices and batch."""
        return self.values.loss

    @property
    def gradients(self) -> Mapping[str, Array]:
        """The gradients of the parameters."""
        return self.messages.gradients

    def __repr__(self) -> str:
        found = self.values.given
        size = f"T={found.T}" + (f", B={found.batch[0]}" if found.batch else "")
        norms = ", ".join(f"|d{name}| = {np.linalg.norm(g):.4g}" for name, g in self.gradients.items())
        return f"BPTT of {self.graph.graph['template'].name!r}, {size}: loss = {self.loss:.6g}; {norms}"


def _at(table: Mapping[Node, Array], node: Any, T: int) -> Array:
    """The entry of a node, or an error that says which slices there are."""
    if node in table:
        return table[node]
    names = list(dict.fromkeys(n if isinstance(n, str) else n[0] for n in table))
    name = node[0] if isinstance(node, tuple) else node
    if name not in names:
        raise unknown_name(name, names, "name")
    slices = [n[1] for n in table if isinstance(n, tuple) and n[0] == name]
    if not slices:
        raise DataError(f"{name!r} has no slices; use [{name!r}]")
    raise DataError(f"{node!r}: T is {T}, so t runs from {min(slices)} to {max(slices)}; write [{name!r}, t]")

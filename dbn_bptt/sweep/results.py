"""What the sweeps return: values and messages, with the names of nodes as keys."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError, NotANumberError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.given import Given
from dbn_bptt.sweep.unroll import Node
from dbn_bptt.template.shown import Shown
from dbn_bptt.template.template import Template

Edge = tuple[Node, Node, int]


class Table(dict[Any, Array]):
    """Arrays by node or edge; a key that is not there gets an error with what there is."""

    def __missing__(self, key: Any) -> Array:
        if any(isinstance(k, tuple) and len(k) == 3 for k in self):
            raise self._unknown_edge(key)
        names = list(dict.fromkeys(n if isinstance(n, str) else n[0] for n in self))
        name = key[0] if isinstance(key, tuple) and key else key
        if name not in names:
            raise unknown_name(name, names, "name")
        slices = [n[1] for n in self if isinstance(n, tuple) and n[0] == name]
        if not slices:
            raise DataError(f"{name!r} has no slices; use [{name!r}]")
        raise DataError(f"{key!r}: t runs from {min(slices)} to {max(slices)}; write [{name!r}, t]")

    def _unknown_edge(self, key: Any) -> DataError:
        """The error for an edge that no message went along, with the ones that are near."""
        ends = set(key[:2]) if isinstance(key, tuple) else {key}
        near = [edge for edge in self if ends <= set(edge[:2])] or [edge for edge in self if ends & set(edge[:2])]
        hint = f"; there is {', '.join(map(repr, near[:3]))}" if near else ""
        return DataError(f"no message went along {key!r}; an edge is (parent, child, position of the argument){hint}")


@dataclass(frozen=True)
class Values:
    """What the forward sweep put on the nodes: ``values["h", 2]``, ``values["W"]``.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
    >>> result = db.bptt(rnn, rnn.initial_parameters(0), {"x": [[1.0], [2.0]], "y": [0, 1]})
    >>> result.values["h", 1].shape, result.values.stack("h").shape
    ((2,), (2, 2))

    Attributes
    ----------
    node : dict from node to array; in a batch with axis B in front, but for parameters, totals and their terms
    given : the checked input
    loss : the sum of all losses over slices and batch, in nats for cross-entropies
    """

    graph: nx.MultiDiGraph = field(repr=False)
    node: Mapping[Node, Array] = field(repr=False)
    given: Given = field(repr=False)
    loss: float

    @property
    def template(self) -> Template:
        """The template that was unrolled."""
        return self.graph.graph["template"]

    def __getitem__(self, node: Any) -> Array:
        return self.node[node]

    def stack(self, name: str) -> Array:
        """The values of a variable in all slices, (T, ...)."""
        return np.stack([self[name, t] for t in range(self.given.T)])


@dataclass(frozen=True)
class Messages:
    """What the reverse sweep sent.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
    >>> messages = db.bptt(rnn, rnn.initial_parameters(0), {"x": [[1.0], [2.0]], "y": [0, 1]}).messages
    >>> messages.adjoint["h", 0].shape, messages.edge[("h", 0), ("a", 1), 2].shape, messages.per_slice("W").shape
    ((2,), (2,), (2, 2, 2))

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
        return np.stack([self.adjoint[name, t] for t in range(self.slices)])

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
class Result(Shown):
    """Graph, values and messages of one run of BPTT.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
    >>> result = db.bptt(rnn, rnn.initial_parameters(0), {"x": [[1.0], [2.0]], "y": [0, 1]})
    >>> sorted(result.gradients), round(result.loss, 4)
    (['U', 'V', 'W', 'b', 'c'], 1.4024)
    """

    graph: nx.MultiDiGraph = field(repr=False)
    values: Values = field(repr=False)
    messages: Messages = field(repr=False)

    @property
    def template(self) -> Template:
        """The template that was unrolled."""
        return self.graph.graph["template"]

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
        return f"BPTT of {self.template.name!r}, {size}: loss = {self.loss:.6g}; {norms}"


def refuse_nan(results: Mapping[str, Array], what: str = "") -> None:
    """Refuse results that are NaN; an engine that keeps no nodes sends the user to the one that names the culprit."""
    for name, array in results.items():
        if math.isnan(np.vdot(array, array)):  # a sum of squares is NaN only where a number is
            mend = "bptt(template, ...) on the same input names the first node that is"
            raise NotANumberError(f"{what}{name} is NaN; {mend}")

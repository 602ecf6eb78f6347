"""Who is to blame: the gradient itemised by the slice of the loss and the slice of the parameter's copy.

dL_s/dW^(t), the derivative of slice s's loss in the copy of W that slice t uses, is lower triangular: what happens
later does not matter. Its rows, columns and total add up; cutting it off a fixed number of slices below its diagonal is
truncated BPTT.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations, product

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.forward_mode import slice_tangents
from dbn_bptt.sweep.given import Arrays, admitted
from dbn_bptt.sweep.results import Values
from dbn_bptt.sweep.sweeps import evaluate, swept
from dbn_bptt.sweep.unroll import Node, unroll
from dbn_bptt.template.structure import interface, parents
from dbn_bptt.template.template import Described


@dataclass(frozen=True)
class Credit:
    """The itemised gradient: ``credit["W"][s, t]`` is dL_s/dW^(t), of the shape of W.

    Attributes
    ----------
    items : by parameter, arrays (T, T, *shape): first the slice of the loss, then that of the copy
    """

    items: Mapping[str, Array] = field(repr=False)

    def __getitem__(self, parameter: str) -> Array:
        if parameter not in self.items:
            raise unknown_name(parameter, self.items, "parameter")
        return self.items[parameter]

    def norms(self, parameter: str) -> Array:
        """The Euclidean norm of each item, (T, T)."""
        items = self[parameter]
        return np.sqrt(np.square(items).sum(tuple(range(2, items.ndim))))

    def by_loss(self, parameter: str) -> Array:
        """The gradient of each slice's loss: the sums of the rows."""
        return np.asarray(self[parameter].sum(1))

    def by_copy(self, parameter: str) -> Array:
        """The gradient in each slice's copy: the sums of the columns."""
        return np.asarray(self[parameter].sum(0))

    def by_lag(self, parameter: str) -> Array:
        """What reaches a loss from k slices before it: the sums of the diagonals."""
        items = self[parameter]
        if items[np.triu_indices(len(items), 1)].any():
            raise DataError(f"losses depend on later copies of {parameter}, whose lags are negative; see the items")
        return np.stack([sum(items[t + k, t] for t in range(len(items) - k)) for k in range(len(items))])


def credit(
    template: Described, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None,
    T: int | None = None,
) -> Credit:  # fmt: skip
    """The itemised gradient of one sequence or of a batch, by one reverse sweep for each slice's loss.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> from dbn_bptt import paths
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> theta, data = rnn.initial_parameters(0), {"x": np.ones((3, 3)), "y": np.array([0, 1, 0])}
    >>> items = paths.credit(rnn, theta, data)
    >>> (items.norms("W") > 0).astype(int)
    array([[0, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    >>> np.allclose(items["W"].sum((0, 1)), db.bptt(rnn, theta, data).gradients["W"])
    True
    """
    values = _values(template, parameters, data, initial, T)
    graph, slices = values.graph, values.given.T
    shapes = {name: values.given.parameters[name].shape for name in template.names("parameter")}
    items = {name: np.zeros((slices, slices, *shape)) for name, shape in shapes.items()}
    learned = {state.name for state in values.template.learned.values()}
    for s in range(slices):
        adjoint, _ = swept(graph, values, _seeds(values, s))
        for name, rows in items.items():
            for t in range(slices):
                if (name, t) in adjoint:
                    rows[s, t] = adjoint[name, t]
            if name in learned:  # what initial slices use counts with the first slice
                rows[s, 0] += adjoint[name] - rows[s].sum(0)
    return Credit(items)


def _check_table(template: Described, states: list[str]) -> None:
    """Refuse templates in which the sum over the states of one slice is no sum over the paths through it."""
    edges = [(u, v, lag) for v, used in parents(template).items() for u, lag in used]
    inside = nx.DiGraph((u, v) for u, v, lag in edges if not lag)
    below = nx.transitive_closure_dag(inside)
    for a, b in permutations(states, 2):
        if below.has_edge(a, b):
            raise DataError(f"{b} depends on {a} in one slice; the table is that of states that do not")
    free = nx.transitive_closure_dag(inside.subgraph(set(inside) - set(states)))
    for name, (_, v, lag) in product(template.losses, edges):
        if lag and (v == name or free.has_edge(v, name)):
            raise DataError(f"{name} reads the slice before; the table is that of losses that do not")
    if template.frozen.learned:
        raise DataError("an initial state is learnt; the table is that of parameters of the equations")


def _values(
    template: Described, parameters: Arrays, data: Arrays | None, initial: Arrays | None, T: int | None
) -> Values:
    """The forward sweep on the graph in which every slice has its own copies of the parameters."""
    of, given = admitted(template, parameters, data, initial, T=T, who="credit")
    if not of.losses:
        raise DataError(f"template {of.name!r} has no loss whose gradient could be itemised")
    return evaluate(unroll(of, given.T, copies=True), given)


def _seeds(values: Values, s: int) -> dict[Node, Array]:
    """1 for the terms of the losses in one slice."""
    template = values.graph.graph["template"]
    return {(name, s): np.ones(()) for name in template.losses if (name, s) in values.graph}


@dataclass(frozen=True)
class DerivativeTable:
    """The four products of immediate or total dh_t/dtheta and immediate or total dL/dh_t, summed over slices.

    Attributes
    ----------
    bptt : immediate dh/dtheta, total dL/dh: the gradient
    rtrl : total dh/dtheta, immediate dL/dh: the gradient again
    twice : total times total, which counts paths more than once
    one_step : immediate times immediate, truncation to one slice
    """

    bptt: Mapping[str, Array]
    rtrl: Mapping[str, Array]
    twice: Mapping[str, Array]
    one_step: Mapping[str, Array]

    def __str__(self) -> str:
        head = "parameter  BPTT (imm. x total)  RTRL (total x imm.)  total x total  imm. x imm."
        rows = [
            f"{n:<10} {np.linalg.norm(self.bptt[n]):<20.6g} {np.linalg.norm(self.rtrl[n]):<20.6g} "
            f"{np.linalg.norm(self.twice[n]):<14.6g} {np.linalg.norm(self.one_step[n]):.6g}"
            for n in self.bptt
            if any(np.any(of[n]) for of in (self.bptt, self.twice))
        ]
        return "\n".join(["Norms of sum_t dh_t/dtheta * dL/dh_t", head, *rows])


def derivative_table(
    template: Described, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None,
    T: int | None = None,
) -> DerivativeTable:  # fmt: skip
    """The 2 x 2 table of immediate and total derivatives, where learners of BPTT get lost most.

    h is the interface of the template, the variables that the next slice reads. "Immediate" derivatives of h_t hold
    everything before slice t fixed, those of the loss count only slice t's. The table is about parameters that act
    through h alone (for an Elman network W, U and b; the part of V and c that does not go through h is left out).

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> from dbn_bptt import paths
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> theta, data = rnn.initial_parameters(0), {"x": np.ones((3, 3)), "y": np.array([0, 1, 0])}
    >>> table = paths.derivative_table(rnn, theta, data)
    >>> np.allclose(table.bptt["W"], table.rtrl["W"]), np.allclose(table.bptt["W"], table.twice["W"])
    (True, False)
    """
    values = _values(template, parameters, data, initial, T)
    if values.given.batch:
        raise DataError("the table is that of one sequence; give data without the axis of a batch")
    states, slices = interface(template), values.given.T
    _check_table(template, states)
    losses: dict[Node, Array] = {name: np.ones(()) for name in template.losses}
    total = [swept(values.graph, values, losses)[0]] * slices
    immediate = [swept(values.graph, values, _seeds(values, t))[0] for t in range(slices)]
    table: dict[str, dict[str, Array]] = {kind: {} for kind in ("bptt", "rtrl", "twice", "one_step")}
    for name in template.names("parameter"):
        parameter = values.given.parameters[name]
        now, ever = (slice_tangents(values.template, values.given, name, states, immediate=i) for i in (True, False))
        factors = zip(table, (now, ever, ever, now), (total, immediate, total, immediate), strict=True)
        for kind, of, by in factors:
            rows = [of[h][t].reshape(parameter.size, -1) @ np.ravel(by[t][h, t]) for h in states for t in range(slices)]
            table[kind][name] = np.sum(rows, 0).reshape(parameter.shape)
    return DerivativeTable(**table)

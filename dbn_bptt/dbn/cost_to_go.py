"""The value function of a recurrent network: the loss from some slice on, as a function of the state there.

J_t(h), the loss of the slices from t on given h_t = h, obeys Bellman's equation. In the deterministic DBN of the
network -J_t is the logarithm of the backward message beta, and BPTT's message is its tangent at the forward value.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import DataError, TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program import Program, compile
from dbn_bptt.sweep.given import Arrays, Given, admitted
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import AFTER_FIRST, EVERY, FIRST
from dbn_bptt.template.structure import interface, parents
from dbn_bptt.template.template import Described, Template
from dbn_bptt.transforms.segments import equations_of

PINNED = "_given"


@dataclass(frozen=True)
class ValueFunction:
    """J_t: call it with states (..., H), and ask for its `gradient` and `hessian` there.

    Attributes
    ----------
    template : the slices from t on, with the state in the first of them as an input
    state : the name of the state
    given : checked input of these slices, for one sequence
    """

    template: Template = field(repr=False)
    state: str
    given: Given = field(repr=False)

    def __call__(self, h: Any) -> Array:
        """The loss from slice t on for each state, (...)."""
        rows, lead = self._rows(h)
        series = self._items.run(self._batch(rows), series=[name + "_term" for name in self.template.losses]).series
        return np.asarray(sum(a.sum(0) for a in series.values())).reshape(lead)

    def gradient(self, h: Any) -> Array:
        """The gradient at each state, (..., H): what BPTT sends to a state there."""
        rows, lead = self._rows(h)
        _, found = self._program.on(self._batch(rows), ("inputs",))
        return found[self.state + PINNED][0].reshape(*lead, -1)

    def hessian(self, h: Any) -> Array:
        """The second derivatives at each state, (..., H, H)."""
        rows, lead = self._rows(h)
        H = rows.shape[-1]
        program, bars = self._program.second, self._program.backward.partners
        dots, pinned = program.template.partners, self.state + PINNED
        batch = self._batch(np.repeat(rows, H, 0))
        shape = batch.data[pinned].shape
        data = dict(batch.data)
        for name in self.template.names("parameter", "input"):
            data[dots[name]] = np.zeros((*shape[:2], *self.template.symbols[name].shape))
        data[dots[pinned]] = np.broadcast_to(np.tile(np.eye(H), (len(rows), 1)), shape)
        initial = {**batch.initial, **{dots[n]: np.zeros_like(a) for n, a in batch.initial.items()}}
        along = replace(batch, data=data, initial=initial)
        name = dots[bars[pinned]]
        return program.run(along, series=[name]).series[name][0].reshape(*lead, H, H)

    @cached_property
    def _program(self) -> Program:
        return compile(self.template)

    @cached_property
    def _items(self) -> Program:
        return compile(_itemised(self.template))

    def _rows(self, h: Any) -> tuple[Array, tuple[int, ...]]:
        array = np.asarray(h, float)
        (H,) = self.template.symbols[self.state].shape
        if array.shape[-1:] != (H,):
            raise DataError(f"states have shape {array.shape}; the last axis must have size {H}, that of {self.state}")
        return array.reshape(-1, H), array.shape[:-1]

    def _batch(self, rows: Array) -> Given:
        """The input of the slices, repeated for each state."""
        n, T = len(rows), self.given.T
        many = self.given.repeated(n)
        return replace(many, data={**many.data, self.state + PINNED: np.broadcast_to(rows, (T, n, rows.shape[-1]))})


def value_function(
    template: Described, parameters: Arrays, data: Arrays, t: int, *, initial: Arrays | None = None
) -> ValueFunction:
    """J_t of a network with one state variable, a vector, for one sequence.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> from dbn_bptt import dbn
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> theta, data = rnn.initial_parameters(0), {"x": np.ones((5, 3)), "y": np.array([0, 1, 0, 1, 1])}
    >>> result = db.bptt(rnn, theta, data)
    >>> J = dbn.value_function(rnn, theta, data, t=2)
    >>> np.allclose(J.gradient(result.values["h", 2]), result.messages.adjoint["h", 2])
    True
    >>> J(np.zeros((7, 4))).shape, J.hessian(np.zeros(4)).shape
    ((7,), (4, 4))
    """
    template, found = admitted(template, parameters, data, initial, who="value_function")
    states = interface(template)
    if found.batch:
        raise DataError("the value function is that of one sequence; give data without the axis of a batch")
    if len(states) != 1 or len(template.symbols[states[0]].shape) != 1:
        raise TemplateError(
            f"the value function is that of one state vector, but the interface is {', '.join(states) or 'empty'}"
        )
    _check_markov(template, states[0])
    if not isinstance(t, int | np.integer) or not 0 <= t < found.T:
        raise DataError(f"t is {t}; T is {found.T}, so t runs from 0 to {found.T - 1}")
    tail = {name: a[t:] for name, a in found.data.items()}
    return ValueFunction(_pinned(_from(template, t), states[0]), states[0], replace(found, T=found.T - t, data=tail))


def _check_markov(template: Template, state: str) -> None:
    """Refuse templates in which the slices from t on depend on more of the past than the state at t."""
    inside = nx.DiGraph()
    inside.add_nodes_from(template.definitions)
    readers = set()
    for name, used in parents(template).items():
        for other, lag in used:
            if lag and (other, lag) != (state, 1):
                raise TemplateError(
                    f"{name} reads {other} at lag {lag}; the value function knows the state {state} alone"
                )
            if lag:
                readers.add(name)
            elif other != state and name != state:
                inside.add_edge(other, name)
    after = set().union(*(nx.descendants(inside, name) | {name} for name in readers - {state}), set())
    for name in template.losses:
        if name in after:
            raise TemplateError(
                f"{name} reads {state} of the slice before; it is no function of {state} in its own slice"
            )


def _from(template: Template, t: int) -> Template:
    """The template of the slices from t on: without the equations of the first slice, unless it is the first."""
    result = equations_of(template, is_first=t == 0, is_last=True)
    if result.losses:
        return result
    new = SliceTemplate.of(result)
    new.loss("none", 0.0 * ops.sum(result[interface(template)[0]]))
    return new.frozen


def _pinned(template: Template, state: str) -> Template:
    """The template with the state in slice 0 as an input."""
    result = SliceTemplate.of(template)
    pin = result.input(state + PINNED, template.symbols[state].shape)
    pieces = template.definitions[state].pieces
    later = [Piece(AFTER_FIRST, p.expression) for p in pieces if p.domain in (EVERY, AFTER_FIRST)]
    pinned = Definition(template.symbols[state], (Piece(FIRST, pin), *later))
    return result.frozen.rewritten(definitions={**template.definitions, state: pinned})


def _itemised(template: Template) -> Template:
    """The template with each slice's part of a loss as a variable."""
    result = SliceTemplate.of(template)
    for name in template.losses:
        (piece,) = template.definitions[name].pieces
        result.add(result.variable(name + "_term", ()).symbol, [piece])
    return result.frozen

"""Networks whose edges reach back further than one slice, and states that last for a time of their own.

pgmpy's class has edges to the next slice alone. Here a network is its edges, with their lags, and its tables. No
states are multiplied out by hand: a message is a table over the slices that edges reach back to, and its contraction
with the tables of a slice sums out what nothing needs any more.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.dbn.networks.network import Name, Network, Table, check_probabilities
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.errors import DataError, ModelError, unknown_name
from dbn_bptt.ops.kernels import Array

Edge = tuple[Name, Name, int]


def model(
    edges: Iterable[Edge], tables: Mapping[Name, Any], states: Mapping[Name, Iterable[Hashable]] | None = None
) -> Network:
    """A network of any order from its edges and tables; every verb takes it.

    Parameters
    ----------
    edges : triples (parent, child, lag)
        The child's parent is the variable `lag` slices before; 0 for one of the same slice. They hold in every slice
        in which the parent is there.
    tables : by variable, an array, or arrays by the slice from which on they hold
        Axis 0 is the variable's own state, the other axes its parents' states, in the order of the edges. A variable
        that has more parents as more slices are behind it has a table for each number of them: with parents one and two
        slices before, ``{0: (K,), 1: (K, K), 2: (K, K, K)}``.
    states : by variable, the names of its states; numbers from 0 unless given

    Raises
    ------
    ModelError
        Where tables do not fit the edges, or hold no probabilities.

    Examples
    --------
    A chain of order 2, seen through noise:

    >>> from dbn_bptt import dbn
    >>> chain = dbn.model(
    ...     [("Z", "Z", 1), ("Z", "Z", 2), ("Z", "Y", 0)],
    ...     {"Z": {0: [0.5, 0.5], 1: [[0.5, 0.5], [0.5, 0.5]], 2: [[[0.9, 0.2], [0.6, 0.1]], [[0.1, 0.8], [0.4, 0.9]]]},
    ...      "Y": [[0.8, 0.2], [0.2, 0.8]]})
    >>> dbn.smooth(chain, {"Y": [0, 0, 1, 1]})["Z"].round(3)
    array([[0.601, 0.399],
           [0.577, 0.423],
           [0.263, 0.737],
           [0.248, 0.752]])
    """
    if not isinstance(tables, Mapping):
        raise ModelError(f"tables are a dict with an array for each variable, not {type(tables).__name__}")
    parents = _parents(edges or (), tables)
    given = {name: _by_slice(name, values) for name, values in tables.items()}
    named = _named(states or {}, given)
    sizes = {name: len(of[0]) for name, of in given.items()}
    whole: dict[Name, dict[int, Table]] = {}
    for name, of in given.items():
        needed = {0, *(lag for _, lag in parents[name])}
        if missing := sorted(needed - set(of)):
            mend = f"give {name!r}: {{{', '.join(f'{start}: ...' for start in sorted(needed))}}}"
            raise ModelError(
                f"{name!r} has a parent {missing[0]} slices before it, but no table from slice {missing[0]} on; {mend}"
            )
        whole[name] = {}
        for start, values in sorted(of.items()):
            there = tuple(parent for parent in parents[name] if parent[1] <= start)
            _check_shape(name, start, values, there, sizes)
            check_probabilities((name, start), values)
            whole[name][start] = Table(name, there, values)
        if name in named and not len(set(named[name])) == len(named[name]) == sizes[name]:
            raise ModelError(f"{name!r} has {sizes[name]} states, but the names {list(named[name])}")
    return Network({name: named.get(name, tuple(range(sizes[name]))) for name in given}, whole)


def _named(states: Mapping[Name, Any], given: Collection[Name]) -> dict[Name, tuple[Hashable, ...]]:
    """The names of states, of the variables that have some."""
    named = {}
    for name, of in states.items():
        if name not in given:
            raise unknown_name(name, given, "variable")
        if isinstance(of, str) or not isinstance(of, Iterable):
            raise ModelError(f"states of {name!r} are {of!r}; give a list of names")
        named[name] = tuple(of)
        if not all(isinstance(state, Hashable) for state in named[name]):
            raise ModelError(f"states of {name!r} are {of!r}; names are words or numbers, not lists")
    return named


def _parents(edges: Iterable[Edge], tables: Mapping[Name, Any]) -> dict[Name, list[tuple[Name, int]]]:
    """The parents of each variable, in the order of the edges."""
    if not tables:
        raise ModelError("the network has no variables; give a table for each")
    parents: dict[Name, list[tuple[Name, int]]] = {name: [] for name in tables}
    inside = nx.DiGraph()
    for edge in edges:
        if not isinstance(edge, tuple | list) or len(edge) != 3:
            raise ModelError(f"the edge {edge!r} is no triple (parent, child, lag)")
        parent, child, lag = edge
        for name in (parent, child):
            if name not in parents:
                raise unknown_name(name, tables, "variable")
        if isinstance(lag, bool) or not isinstance(lag, int | np.integer) or lag < 0:
            raise ModelError(f"the edge {edge!r} has the lag {lag!r}; it is a number of slices, 0 or more")
        if (parent, int(lag)) in parents[child]:
            raise ModelError(f"the edge {edge!r} is there twice; give it once")
        parents[child].append((parent, int(lag)))
        if lag == 0:
            inside.add_edge(parent, child)
    if not nx.is_directed_acyclic_graph(inside):
        loop = " -> ".join(repr(u) for u, _ in nx.find_cycle(inside))
        raise ModelError(f"the edges inside a slice form a cycle: {loop}; give one of them a lag")
    return parents


def _by_slice(name: Name, values: Any) -> dict[int, Array]:
    """The tables of a variable as arrays, by the slice from which on they hold."""
    of = dict(values) if isinstance(values, Mapping) else {0: values}
    is_slice = [not isinstance(start, bool) and isinstance(start, int | np.integer) and start >= 0 for start in of]
    if 0 not in of or not all(is_slice):
        raise ModelError(
            f"{name!r} has tables from the slices {list(of)} on; slices are numbers, and one begins with 0"
        )
    try:
        arrays = {int(start): np.array(table, float) for start, table in of.items()}
    except (TypeError, ValueError):
        raise ModelError(f"a table of {name!r} is no array of numbers") from None
    if not all(array.ndim for array in arrays.values()):
        raise ModelError(f"a table of {name!r} is a single number; axis 0 of a table is the variable's state")
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _check_shape(
    name: Name, start: int, values: Array, parents: tuple[tuple[Name, int], ...], sizes: Mapping[Name, int]
) -> None:
    wanted = (sizes[name], *(sizes[parent] for parent, _ in parents))
    if values.shape != wanted:
        listed = ", ".join(f"{parent!r} at lag {lag}" for parent, lag in parents) or "none"
        mend = f"it must be {wanted}: its own states, and those of its parents ({listed})"
        raise ModelError(f"the table of {name!r} from slice {start} on has shape {values.shape}; {mend}")


def durations(model: Any, name: Name, probabilities: Any, left: Name | None = None) -> Network:
    """A model in which a variable keeps its state for a time drawn when it enters it: a semi-Markov chain.

    The variable's table says what comes next when the time is over; while it is not, the state stays. The slices that
    are left are a variable of their own, which counts down to 0.

    Parameters
    ----------
    model : a network of order 1 in which the variable has no parents but itself in the slice before, if any
    name : the variable, with K states
    probabilities : (K, D), a row for each state
        Entry [k, d] is the probability that state k lasts d + 1 slices.
    left : what the variable that counts is called; ``"<name> left"`` unless given

    Examples
    --------
    A light that is red for exactly three slices and green for one or two:

    >>> from dbn_bptt import dbn
    >>> swap = dbn.model([("Light", "Light", 1)], {"Light": {0: [1, 0], 1: [[0, 1], [1, 0]]}})
    >>> light = dbn.durations(swap, "Light", [[0, 0, 1], [0.5, 0.5, 0]])
    >>> dbn.smooth(light, T=6)["Light"][:, 0]
    array([1. , 1. , 1. , 0. , 0.5, 1. ])
    """
    network = read(model)
    if name not in network.states:
        raise unknown_name(name, network.names, "variable")
    left = f"{name} left" if left is None else left
    if network.clusters or name in network.drives:
        done = "its messages are factored" if network.clusters else f"a vector drives the table of {name!r}"
        raise ModelError(f"{done}; give durations first")
    if left in network.states or left in network.channels:
        raise ModelError(f"{left!r} is a variable already; give another name by left=")
    if network.order > 1 or any(set(t.parents) - {(name, 1)} for t in network.tables[name].values()):
        raise ModelError(
            f"{name!r} has other parents than itself in the slice before; its states cannot last by themselves"
        )
    p, K = _durations(name, probabilities, len(network.states[name]))
    D, first, later = p.shape[1], network.at(name, 0).values, network.at(name, 1)
    next_ = later.values if later.parents else np.broadcast_to(later.values[:, None], (K, K))
    moves = np.repeat(np.eye(K)[:, :, None], D, axis=2)
    moves[:, :, 0] = next_  # the time was over in the slice before
    counts = np.repeat(np.eye(D, D, 1)[:, None, :], K, axis=1)  # from d to d - 1, whatever the state
    counts[:, :, 0] = p.T
    tables = {
        name: {0: Table(name, (), first), 1: Table(name, ((name, 1), (left, 1)), moves)},
        left: {0: Table(left, ((name, 0),), p.T), 1: Table(left, ((name, 0), (left, 1)), counts)},
    }
    return replace(network, states={**network.states, left: tuple(range(D))}, tables={**network.tables, **tables})


def _durations(name: Name, probabilities: Any, K: int) -> tuple[Array, int]:
    try:
        p = np.array(probabilities, float)
    except (TypeError, ValueError):
        raise DataError("the probabilities of durations are no array of numbers") from None
    if p.ndim != 2 or len(p) != K or 0 in p.shape:
        raise DataError(
            f"the probabilities have shape {p.shape}; they must be (K, D), a row for each of the {K} states of {name!r}"
        )
    if not np.isfinite(p).all() or (p < 0).any() or (np.abs(p.sum(1) - 1) > 1e-6).any():
        raise DataError(
            "each row of the probabilities of durations must be a distribution, of d + 1 = 1, 2, ... slices"
        )
    return p, K

"""pgmpy's `DynamicBayesianNetwork`, read as a `Network`: checked, and left as it is.

A variable whose two tables are the same has one for all slices; where only one is given and the other follows from it,
it is taken for both.
"""

from collections.abc import Hashable, Mapping
from typing import Any, cast

import numpy as np

from dbn_bptt.dbn.networks.network import Name, Network, Table, check_probabilities
from dbn_bptt.errors import ModelError


def read(model: Any) -> Network:
    """The network of a pgmpy `DynamicBayesianNetwork` with discrete CPDs.

    Raises
    ------
    ModelError
        Where a CPD is missing, does not fit the edges or another CPD, or does not hold probabilities.
    """
    if isinstance(model, Network):
        return model
    if isinstance(getattr(model, "network", None), Network):  # what `prepare` made of it
        return cast(Network, model.network)
    if not all(hasattr(model, name) for name in ("get_inter_edges", "cpds", "nodes")):
        kinds = "a pgmpy DynamicBayesianNetwork, whose nodes are pairs (name, slice), or a Network"
        what = f"give {kinds}, not {type(model).__name__}"
        raise ModelError(what)
    names = list(dict.fromkeys(node[0] for node in sorted(model.nodes(), key=lambda node: node[1])))
    cpds = _cpds(model)
    if not names:
        raise ModelError("the network has no variables; add nodes, edges and CPDs")
    states = {name: _states(name, cpds) for name in names}
    graph: dict[Any, list[tuple[Name, int]]] = {(u[0], u[1]): [] for u in model.nodes()}
    for u, v in model.edges():
        graph.setdefault((v[0], v[1]), []).append((u[0], u[1]))
    tables = {node: _table(node, cpd, states) for node, cpd in cpds.items()}
    for node, table in tables.items():
        _check_parents(node, table, graph.get(node, []))
    whole: dict[Name, dict[int, Table]] = {}
    for name in names:
        a, b = _both(name, tables, graph)
        same = a is b or (a.parents == b.parents and np.array_equal(a.values, b.values))
        whole[name] = {0: a} if same else {0: a, 1: b}
    return Network(states, whole)


def _cpds(model: Any) -> dict[tuple[Name, int], Any]:
    """The CPDs by variable and slice."""
    found: dict[tuple[Name, int], Any] = {}
    for cpd in model.cpds:
        if not hasattr(cpd, "variables") or not hasattr(cpd, "values"):
            raise ModelError(f"a CPD is of type {type(cpd).__name__}; only TabularCPD is understood")
        node = cpd.variables[0][0], cpd.variables[0][1]
        if node in found:
            raise ModelError(f"there are two CPDs of {node}; remove one by model.remove_cpds")
        found[node] = cpd
    return found


def _states(name: Name, cpds: Mapping[tuple[Name, int], Any]) -> tuple[Hashable, ...]:
    """The states of a variable: named by any CPD that names them, and numbered if none does."""
    own = [cpds[name, t] for t in (0, 1) if (name, t) in cpds]
    if not own:
        raise ModelError(f"{name!r} has no CPD; add one for {(name, 0)!r} by model.add_cpds")
    sizes = {int(cpd.cardinality[0]) for cpd in own}
    if len(sizes) > 1:
        counts = " and ".join(map(str, sorted(sizes)))
        raise ModelError(f"the CPDs of {name!r} have {counts} states; give both the same")
    numbers = tuple(range(sizes.pop()))
    given = [tuple(map(_plain, cpd.state_names[cpd.variables[0]])) for cpd in own]
    named = [states for states in given if not is_numbered(states)]
    if any(states != named[0] or not _same_types(states, named[0]) for states in named[1:]):
        raise ModelError(f"{name!r} has states {named[0]} in slice 0 and {named[1]} in slice 1; name them alike")
    return named[0] if named else numbers


def is_numbered(states: tuple[Hashable, ...]) -> bool:
    """Whether states are just 0, 1, ...: pgmpy's default, and not False and True or 0.0 and 1.0."""
    return states == tuple(range(len(states))) and all(type(state) is int for state in states)


def _same_types(a: tuple[Hashable, ...], b: tuple[Hashable, ...]) -> bool:
    return [type(state) for state in a] == [type(state) for state in b]


def _plain(state: Any) -> Hashable:
    """A state's name as a plain Python object."""
    return state.item() if isinstance(state, np.generic) else state


def _table(node: tuple[Name, int], cpd: Any, states: Mapping[Name, tuple[Hashable, ...]]) -> Table:
    """A CPD as a table, the axis of each parent in the order of its states."""
    values = np.array(cpd.values, float)
    parents = []
    for axis, variable in enumerate(cpd.variables):
        name, lag = variable[0], node[1] - variable[1]
        if name not in states or lag not in (0, 1):
            raise ModelError(f"the CPD of {node!r} has the parent {(variable[0], variable[1])!r}, which is no node")
        if values.shape[axis] != len(states[name]):
            raise ModelError(
                f"the CPD of {node!r} has {values.shape[axis]} states of {name!r}, which has {len(states[name])}"
            )
        order = _order(node, name, cpd.state_names.get(variable), states[name])
        if order is not None:
            values = np.take(values, order, axis)
        parents.append((name, lag))
    check_probabilities(node, values)
    values.setflags(write=False)
    return Table(node[0], tuple(parents[1:]), values)


def _order(node: Any, name: Name, given: Any, states: tuple[Hashable, ...]) -> list[int] | None:
    """Where each state of a variable stands along an axis; None if they stand in their order, or by number."""
    if given is None:  # a CPD that pgmpy copied to another slice before that of its parent
        return None
    given = [_plain(state) for state in given]
    by_default = is_numbered(tuple(given)) and (is_numbered(states) or set(given) != set(states))
    if given == list(states) or by_default:  # by default: numbers, where another CPD gives names
        return None
    if set(given) != set(states):
        raise ModelError(f"the CPD of {node!r} calls the states of {name!r} {given}, but they are {list(states)}")
    return [given.index(state) for state in states]


def _check_parents(node: tuple[Name, int], table: Table, edges: list[tuple[Name, int]]) -> None:
    has = {(name, node[1] - lag) for name, lag in table.parents}
    for parent in (*sorted(has - set(edges), key=repr), *sorted(set(edges) - has, key=repr)):
        what = "is no edge of the model" if parent in has else f"is an edge, but not in the CPD of {node!r}"
        raise ModelError(f"{parent!r} -> {node!r} {what}; give CPDs and edges the same parents")


def _both(name: Name, tables: Mapping[Any, Table], graph: Mapping[Any, list[Any]]) -> tuple[Table, Table]:
    """The tables of a variable in the first slice and in later ones; a missing one is the other, where it can be."""
    crosses = any(parent[1] == 0 for parent in graph.get((name, 1), []))
    first, later = tables.get((name, 0)), tables.get((name, 1))
    if first is None and not crosses:
        first = later
    if later is None and not crosses:
        later = first
    if first is None or later is None:
        slice_ = 0 if first is None else 1
        raise ModelError(f"{(name, slice_)!r} has no CPD; add one by model.add_cpds")
    return first, later

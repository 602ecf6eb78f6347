"""A discrete dynamic Bayesian network as this package sees it: conditional probability tables for its slices.

Each table of a variable holds from some slice on, until the next one does. `read` takes pgmpy's
`DynamicBayesianNetwork`, which has two slices, checks it and leaves it as it is. A variable whose two tables are the
same has one for all slices; where only one is given and the other follows from it, it is taken for both.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, cast

import numpy as np

from dbn_bptt.dbn.networks.scores import Scores
from dbn_bptt.errors import ModelError
from dbn_bptt.ops.kernels import Array

Name = Hashable
COLUMNS = {"sequence": "sequences apart", "t": "the slice"}
Parent = tuple[Name, int]  # a variable, and its lag: 1 for the slice before


@dataclass(frozen=True)
class Table:
    """The conditional probabilities of a variable: axis 0 is its state, the other axes its parents' states."""

    variable: Name
    parents: tuple[Parent, ...]
    values: Array = field(repr=False, compare=False)


class Emission(Protocol):
    """The distribution of an observed vector given its parent's state.

    Attributes
    ----------
    parent : a variable of the network with K states, or a tuple of variables with K joint states
    size : d, the numbers in an observation
    """

    parent: Name

    @property
    def states(self) -> int:
        """K."""

    @property
    def size(self) -> int:
        """d."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """What is learnt, by name."""

    @property
    def free(self) -> int:
        """How many of the numbers that are learnt can be chosen freely."""

    def at(self, parameters: Mapping[str, Array]) -> Self:
        """The emission with other parameters."""

    def check(self, x: Array) -> None:
        """Refuse observations (N, d) that it cannot emit; NaN is missing."""

    def log_likelihoods(self, x: Array) -> Array:
        """log p(x | state) of observations (N, d) under each state, (N, K); what is missing counts nothing."""

    def statistics(self, x: Array, weights: Array) -> dict[str, Array]:
        """Sums over observations (N, d) that count for each state with weights (N, K)."""

    def maximised(self, statistics: Mapping[str, Array]) -> Self:
        """The emission under which they are most probable."""

    def drawn(self, states: Array, x: Array, rng: np.random.Generator) -> Array:
        """Observations (N, d) with what is missing in x drawn, given a state for each (N,)."""

    def scattered(self, x: Array, rng: np.random.Generator) -> Self:
        """Somewhere for learning to begin, drawn from observations (N, d), none of which lacks all numbers."""


@dataclass(frozen=True)
class Driven:
    """A table whose columns are the softmax of a template's numbers; made by `logistic` or `softmax_of`.

    Attributes
    ----------
    variable : whose table it is
    scores : the numbers, (K, ...) with an axis for each parent
    by : the name of the vector (d,) that it depends on
    redundant : how many of its parameters could be left out without taking anything from it
    """

    variable: Name
    scores: Scores
    by: Name = ""
    redundant: int = 0

    @property
    def size(self) -> int:
        """d."""
        return self.scores.size

    @property
    def free(self) -> int:
        """The numbers in its parameters, without redundant ones."""
        return self.scores.free - self.redundant

    def check(self, x: Array) -> None:
        """Refuse vectors of which a part is missing."""
        self.scores.check(x)

    def normalised(self, whether: bool) -> "Driven":
        """With columns that are distributions, or with weights of any sum."""
        return replace(self, scores=replace(self.scores, normalised=whether))


@dataclass(frozen=True, repr=False)
class Network:
    """A network described by its slices.

    Attributes
    ----------
    states : by variable, the names of its states
    tables : by variable, its tables, each by the slice from which on it holds: {0: table} where one serves all slices
    emissions : by name, observed vectors that depend on a variable's state
    drives : by variable, what stands in place of its last table where that depends on an observed vector
    conditional : whether probabilities are those given the observed vectors, and tables weights of any sum
    clusters : the variables that messages are about together, where they are only approximate; see `factored`
    """

    states: Mapping[Name, tuple[Hashable, ...]]
    tables: Mapping[Name, Mapping[int, Table]]
    emissions: Mapping[Name, Emission] = field(default_factory=dict)
    drives: Mapping[Name, Driven] = field(default_factory=dict)
    conditional: bool = False
    clusters: tuple[tuple[Name, ...], ...] = ()

    def __repr__(self) -> str:
        parts = [f"{name} ({len(states)} states)" for name, states in self.states.items()]
        for name, of in self.channels.items():
            kind = "number" if name in self.emissions else "input"
            parts.append(f"{name} ({of.size} {kind}{'' if of.size == 1 else 's'})")
        apart = " | ".join(", ".join(map(str, cluster)) for cluster in self.clusters)
        approximate = f"; approximate, messages about {apart}" if self.clusters else ""
        return f"{'Conditional network' if self.conditional else 'Network'} of {', '.join(parts)}{approximate}"

    @property
    def channels(self) -> dict[Name, Emission | Driven]:
        """By name, the observed vectors: emissions, and what drives tables."""
        return {**{drive.by: drive for drive in self.drives.values()}, **self.emissions}

    @property
    def names(self) -> tuple[Name, ...]:
        """The variables of a slice."""
        return tuple(self.states)

    @property
    def order(self) -> int:
        """The slice from which on all slices are alike; no edge reaches further back."""
        return max(start for of in self.tables.values() for start in of)

    @property
    def joint(self) -> tuple[tuple[Name, ...], ...]:
        """The groups of variables on whose joint state a vector depends."""
        several = [e.parent for e in self.emissions.values() if e.parent not in self.states]
        return tuple(dict.fromkeys(several))  # type: ignore[arg-type]

    def sizes(self, of: Name) -> tuple[int, ...]:
        """The number of states of a variable, or of each variable of a group."""
        return tuple(len(self.states[name]) for name in ((of,) if of in self.states else of))  # type: ignore[attr-defined]

    def at(self, name: Name, t: int) -> Table:
        """The table of a variable in a slice."""
        return self.tables[name][max(start for start in self.tables[name] if start <= t)]

    @property
    def first(self) -> dict[Name, Table]:
        """The tables of slice 0."""
        return {name: of[0] for name, of in self.tables.items()}

    @property
    def later(self) -> dict[Name, Table]:
        """The tables of the slices that are alike."""
        return {name: of[max(of)] for name, of in self.tables.items()}

    def is_driven(self, name: Name, t: int) -> bool:
        """Whether the table that a variable has in a slice depends on an observed vector."""
        return name in self.drives and t >= max(self.tables[name])

    def each(self) -> Iterator[tuple[Table, int]]:
        """Every table, once, and the slice from which on it holds; those of slice 0 come first, and so on."""
        for start in sorted({start for of in self.tables.values() for start in of}):
            for of in self.tables.values():
                if start in of:
                    yield of[start], start

    def retabled(self, numbers: Callable[[Table, int], Array]) -> "Network":
        """With other numbers in its tables, as a function of each table and the slice from which on it holds."""
        changed: dict[Name, dict[int, Table]] = {name: {} for name in self.tables}
        for table, start in self.each():
            changed[table.variable][start] = replace(table, values=numbers(table, start))
        return replace(self, tables=changed)


def check_vector(network: Network, name: Name, size: int) -> None:
    """Refuse a name that a vector of so many numbers cannot have."""
    if name in network.states:
        raise ModelError(f"{name!r} is a variable already; give the vector another name")
    if name in COLUMNS:
        raise ModelError(f"a column {name!r} of a DataFrame tells {COLUMNS[name]}; give the vector another name")
    other = network.channels.get(name)
    if other is not None and other.size != size:
        raise ModelError(f"{name!r} has {other.size} numbers elsewhere in the model, but {size} here")


def refuse_field(network: Network, mend: str) -> None:
    """Refuse what means nothing in a conditional network, whose probabilities depend on all vectors."""
    if network.conditional:
        raise ModelError(f"a conditional network says nothing of what has not been observed: {mend}")


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


def check_probabilities(node: tuple[Name, int], values: Array) -> None:
    """Refuse a table whose columns are no distributions."""
    if not np.isfinite(values).all() or (values < 0).any():
        raise ModelError(f"the CPD of {node!r} holds negative numbers or NaN; give probabilities")
    total = values.sum(0)
    if (np.abs(total - 1) > 1e-6).any():
        columns = np.ravel(total)
        k = int(np.abs(columns - 1).argmax())
        turned = values.ndim == 2 and values.shape[0] == values.shape[1] and np.allclose(values.sum(1), 1)
        columns_are = "each column is a distribution, for one state of the parents"
        mend = "its rows do: is it transposed?" if turned else columns_are
        raise ModelError(f"column {k} of the CPD of {node!r} sums to {columns[k]:g}, not 1; {mend}")


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

"""A discrete dynamic Bayesian network as this package sees it: conditional probability tables for its slices.

Each table of a variable holds from some slice on, until the next one does; one that holds from slice 0 on is for all.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np

from dbn_bptt.dbn.networks.scores import Scores
from dbn_bptt.errors import ModelError
from dbn_bptt.ops.kernels import Array

Name = Hashable
SEQUENCE, SLICE = "sequence", "t"  # columns of DataFrames
COLUMNS = {SEQUENCE: "sequences apart", SLICE: "the slice"}
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
        groups = [self.members(of.parent) for of in self.emissions.values() if of.parent not in self.states]
        return tuple(dict.fromkeys(groups))

    def members(self, of: Any) -> tuple[Name, ...]:
        """The variables of a group; a variable is a group of itself."""
        return tuple(of) if isinstance(of, tuple) and of not in self.states else (of,)

    def sizes(self, of: Name) -> tuple[int, ...]:
        """The number of states of a variable, or of each variable of a group."""
        return tuple(len(self.states[name]) for name in self.members(of))

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

    def undriven(self) -> Iterator[tuple[Table, int]]:
        """Every table but those that a vector drives, and the slice from which on it holds."""
        return ((table, start) for table, start in self.each() if not self.is_driven(table.variable, start))

    def retabled(self, numbers: Callable[[Table, int], Array]) -> "Network":
        """With other numbers in its tables, as a function of each table and the slice from which on it holds."""
        changed: dict[Name, dict[int, Table]] = {name: {} for name in self.tables}
        for table, start in self.each():
            changed[table.variable][start] = replace(table, values=numbers(table, start))
        return replace(self, tables=changed)


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

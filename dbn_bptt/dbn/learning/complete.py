"""Complete data: evidence in which every state is known, and how often states occur together in it."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Observations
from dbn_bptt.dbn.evidence.forms import is_pair
from dbn_bptt.dbn.evidence.states import MISSING
from dbn_bptt.dbn.inference.task import observe
from dbn_bptt.dbn.networks.network import SEQUENCE, SLICE, Name, Network, Parent, Table
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array

States = Mapping[Name, tuple[Hashable, ...]]
Columns = Mapping[Parent, Array]  # by variable and lag, indices of states in some slices of all sequences


@dataclass(frozen=True)
class Complete:
    """Sequences of known states, one after the other.

    Attributes
    ----------
    states : by variable, the names of its states
    slices : of all sequences together
    first, later, whole : the columns of slice 0 of all sequences, of later ones with those before, and of all slices
    """

    states: States
    slices: int
    first: Columns = field(repr=False)
    later: Columns = field(repr=False)
    whole: Columns = field(repr=False)

    def tables(self, child: Name, parents: Collection[Parent]) -> list["Counted"]:
        """One for all slices; or one for slice 0 and one for later slices, where a parent is in the slice before."""
        order = list(self.states)
        of = tuple(sorted(parents, key=lambda parent: (-parent[1], order.index(parent[0]))))
        inside = tuple(parent for parent in of if not parent[1])
        parts = [(inside, self.whole)] if inside == of else [(inside, self.first), (of, self.later)]
        return [Counted(self.states, child, *part) for part in parts]


@dataclass(frozen=True)
class Counted:
    """A table, to be made of the counts in some slices.

    Attributes
    ----------
    states : by variable, the names of its states
    parents : of the child, those of the slice before first
    """

    states: States = field(repr=False)
    child: Name
    parents: tuple[Parent, ...]
    columns: Columns = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """A variable's states, and those of its parents."""
        return tuple(len(self.states[name]) for name in (self.child, *(name for name, _ in self.parents)))

    @property
    def free(self) -> int:
        """How many of its numbers are free."""
        return (self.shape[0] - 1) * prod(self.shape[1:])

    def counts(self) -> Array:
        """How often each state occurs with each of the parents."""
        shape = self.shape
        index = self.columns[self.child, 0].astype(np.intp)
        for parent, K in zip(self.parents, shape[1:], strict=True):
            index *= K
            index += self.columns[parent]
        return np.bincount(index, minlength=prod(shape)).reshape(shape)


def completed(seen: Observations) -> Complete:
    """Evidence as complete data.

    Raises
    ------
    DataError
        Where a state is missing; it names the variable and the slice.
    """
    B = seen.batch[0] if seen.batch else 1
    lengths = np.full(B, seen.T) if seen.lengths is None else seen.lengths
    inside = np.arange(seen.T) < lengths[:, None]
    codes = {}
    for name, states in seen.states.items():
        found = seen.likelihoods.get(name, np.ones((seen.T, B, len(states)))).reshape(seen.T, B, -1).swapaxes(0, 1)
        unknown = (found.sum(-1) != 1) & inside
        if unknown.any():
            b, t = (int(k) for k in np.argwhere(unknown)[0])
            where = f"slice {t}" + (f" of sequence {(seen.sequences or range(B))[b]!r}" if seen.batch else "")
            mend = "fill in what is missing, by dbn.viterbi under a model that dbn.fit has learnt, or leave it out"
            raise DataError(f"the state of {name!r} is missing in {where}; counts need complete data: {mend}")
        codes[name] = found.argmax(-1)[inside].astype(np.min_scalar_type(len(states)))
    ends = np.cumsum(lengths)
    first = ends - lengths
    later = np.setdiff1d(np.arange(ends[-1]), first)
    return Complete(
        seen.states,
        int(ends[-1]),
        {(name, 0): a[first] for name, a in codes.items()},
        {(name, lag): a[later - lag] for name, a in codes.items() for lag in (0, 1)},
        {(name, 0): a for name, a in codes.items()},
    )


def complete(evidence: Any, states: Mapping[Name, Any] | None, lengths: Any) -> Complete:
    """Read evidence as complete data; its states are those that occur in it, unless they are given."""
    if isinstance(evidence, Observations):
        if states is not None:
            raise DataError("the evidence was read already, for a model with states; leave out states")
        return completed(observe(uniform(evidence.states), evidence, lengths=lengths))
    given = {name: _named(name, own) for name, own in (states or {}).items()}
    whole = {name: given.get(name) or _occurring(name, values) for name, values in _columns(evidence).items()}
    if not whole:
        raise DataError("the evidence has no variables; give a DataFrame with a column for each, or a dict of series")
    return completed(observe(uniform(whole | given), evidence, lengths=lengths))


def _named(name: Name, states: Any) -> tuple[Hashable, ...]:
    """States as a caller gives them: their names, or how many there are."""
    found = tuple(range(states)) if isinstance(states, int) else tuple(states)
    if not found or len(set(found)) < len(found):
        raise DataError(f"states of {name!r} are {found}; give at least one, and each once")
    return found


def _columns(evidence: Any) -> dict[Name, list[Any]]:
    """The columns of evidence in any form, by variable."""
    if hasattr(evidence, "columns") and hasattr(evidence, "iloc"):
        parts = [
            {name: evidence.iloc[:, k]} for k, name in enumerate(evidence.columns) if name not in (SEQUENCE, SLICE)
        ]
    else:
        parts = evidence if isinstance(evidence, list) else [evidence]
    if not all(isinstance(part, Mapping) for part in parts):
        raise DataError("give a DataFrame, a dict from variables to states, or a list of dicts with a sequence each")
    found: dict[Name, list[Any]] = {}
    for part in parts:
        for key, values in part.items():
            found.setdefault(key[0] if is_pair(key) else key, []).append(values)
    return found


def _occurring(name: Name, columns: list[Any]) -> tuple[Hashable, ...]:
    """The states that occur in columns, in their order; those of a categorical column in its own."""
    import pandas as pd

    dtype = getattr(columns[0], "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return tuple(dtype.categories.tolist())
    found: set[Any] = set()
    for column in columns:
        array = column.to_numpy() if hasattr(column, "to_numpy") else column
        flat = np.ma.asarray(array, getattr(array, "dtype", object)).compressed()
        try:
            found |= {state for state in pd.unique(flat).tolist() if not pd.isna(state) and state != MISSING}
        except TypeError:
            raise DataError(f"states of {name!r} are not rectangular; pad with None and give lengths=") from None
    broken = next((state for state in found if isinstance(state, float) and not state.is_integer()), None)
    if broken is not None:
        mend = "make states of its numbers first, by pandas.cut perhaps, or give states="
        raise DataError(f"{name!r} has {broken}, which is a number and no state; {mend}")
    whole = {int(state) if isinstance(state, float) else state for state in found}
    if not whole:
        raise DataError(f"no state of {name!r} is known; leave it out, or give states=")
    if len(whole) == 1:
        only = next(iter(whole))
        raise DataError(f"{name!r} is {only!r} wherever it is known; leave it out, or give its other states by states=")
    try:
        return tuple(sorted(whole))
    except TypeError:
        return tuple(sorted(whole, key=lambda state: (type(state).__name__, str(state))))


def uniform(states: States) -> Network:
    """A network of variables without edges."""
    return network_of(states, {name: [((), np.ones(len(of)))] for name, of in states.items()})


def network_of(states: States, tables: Mapping[Name, Sequence[tuple[tuple[Parent, ...], Array]]]) -> Network:
    """A network whose columns are shares of counts, all alike in a column without any.

    Parameters
    ----------
    tables : by variable, the parents and the counts in slice 0 and, if they are others, in later slices
    """
    return Network(
        states,
        {
            child: {start: Table(child, parents, _shares(counts)) for start, (parents, counts) in enumerate(own)}
            for child, own in tables.items()
        },
    )


def _shares(counts: Array) -> Array:
    total = counts.sum(0)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), 1 / len(counts))

"""Evidence in the forms in which people have it, as likelihoods of the states of each variable.

Sequences are rows of time: (T,) for one, (B, T) for a batch. What comes out is laid out as the kernel wants it, time
first: (T, K) or (T, B, K), one number a state, 1 where a state is possible and 0 where it is not.
"""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.forms import Forms, sorted_forms
from dbn_bptt.dbn.evidence.states import MISSING, indices
from dbn_bptt.dbn.networks.network import Name, Network
from dbn_bptt.errors import DataError, positive, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape

Soft = Mapping[Name, Any]
FEW = 64  # numbers of which Python finds the smallest sooner than NumPy
TOO_SMALL = 1e-200  # numbers below it count as too small


@dataclass(frozen=True)
class Evidence:
    """Checked evidence.

    Attributes
    ----------
    T, batch : the number of slices, and () or (B,)
    likelihoods : by variable (T, [B,] K), the largest of a slice 1 unless all are 0
    logs : the logarithms of those of which some may be too small for a number
    observed : by name of a vector, ([B,] T, d)
    tables : by variable, the logarithms of tables that vectors drive, (T, [B,] K, ...)
    lengths : (B,), or None
    offset : [B], the logarithm of what likelihoods and tables were divided by, summed over slices and variables
    seen : the variables whose state is known in every slice of every sequence
    sequences : the names of the sequences of a batch, if they have some
    """

    T: int
    batch: Shape
    likelihoods: Mapping[Name, Array]
    lengths: Array | None
    offset: Any = 0.0
    seen: frozenset[Name] = frozenset()
    sequences: tuple[Hashable, ...] | None = None
    logs: Mapping[Name, Array] = field(default_factory=dict)
    observed: Mapping[Name, Array] = field(default_factory=dict)
    tables: Mapping[Name, Array] = field(default_factory=dict)

    @property
    def is_small(self) -> bool:
        """Whether a likelihood, or a number in a driven table, is too small for a number."""
        if any(bool((a < np.log(TOO_SMALL)).any()) for a in self.tables.values()):
            return True
        return any(bool((self.likelihoods[name] < TOO_SMALL)[np.isfinite(a)].any()) for name, a in self.logs.items())

    @property
    def least(self) -> float:
        """The logarithm of the smallest product that likelihoods and driven tables make, one of each that is not 0."""
        if len(self.seen) == len(self.likelihoods) and not self.tables:
            return 0.0
        likelihoods = (a for name, a in self.likelihoods.items() if name not in self.seen and name not in self.logs)
        logs = (a.min(initial=0.0, where=np.isfinite(a)) for a in (*self.logs.values(), *self.tables.values()))
        return sum(map(smallest, likelihoods)) + float(sum(logs))

    def of_vectors(self, network: Network) -> "Evidence":
        """What the observed vectors say alone."""
        return Observations(network.states, self.T, self.batch, {}, self.observed, self.lengths).under(network)

    def extended(self, horizon: int) -> "Evidence":
        """With slices of no evidence after it; all sequences end there."""
        if self.tables:
            what = f"the table of {next(iter(self.tables))!r} depends on inputs, also in the slices to come"
            raise DataError(f"{what}; give these to smooth, with -1 for the states that are not known")
        longer = {n: np.concatenate([a, np.ones((horizon, *a.shape[1:]))]) for n, a in self.likelihoods.items()}
        logs = {n: np.concatenate([a, np.zeros((horizon, *a.shape[1:]))]) for n, a in self.logs.items()}
        return replace(self, T=self.T + horizon, likelihoods=longer, logs=logs, lengths=None, seen=frozenset())

    def repeated(self, size: int) -> "Evidence":
        """For as many copies of each sequence."""

        def copies(arrays: Mapping[Name, Array]) -> dict[Name, Array]:
            return {name: np.repeat(a if self.batch else a[:, None], size, axis=1) for name, a in arrays.items()}

        lengths = None if self.lengths is None else np.repeat(self.lengths, size)
        batch = (size * (self.batch[0] if self.batch else 1),)
        observed = {name: np.repeat(x if self.batch else x[None], size, axis=0) for name, x in self.observed.items()}
        return Evidence(
            self.T, batch, copies(self.likelihoods), lengths, logs=copies(self.logs), observed=observed,
            tables=copies(self.tables),
        )  # fmt: skip

    def portion(self, part: slice) -> "Evidence":
        """Of some of the sequences."""
        parts = (self.likelihoods, self.logs, self.tables)
        likelihoods, logs, tables = ({name: a[:, part] for name, a in of.items()} for of in parts)
        lengths = None if self.lengths is None else self.lengths[part]
        batch = (len(range(*part.indices(self.batch[0]))),)
        return Evidence(self.T, batch, likelihoods, lengths, seen=self.seen, logs=logs, tables=tables)


@dataclass(frozen=True)
class Observations:
    """Evidence that was read once, which every verb takes in place of it; see `observe`.

    Attributes
    ----------
    states : by variable, the names of the states of the model that it was read for
    T, batch : the number of slices, and () or (B,)
    likelihoods : by variable (T, [B,] K), the largest of a slice 1 unless all are 0; without those of vectors
    observed : by name of an emission, vectors ([B,] T, d)
    lengths : (B,), or None
    offset : [B], the logarithm of what the likelihoods were divided by, summed over slices and variables
    seen : the variables whose state is given in every slice of every sequence
    sequences : the names of the sequences of a batch, if they have some
    """

    states: Mapping[Name, tuple[Hashable, ...]] = field(repr=False)
    T: int
    batch: Shape
    likelihoods: Mapping[Name, Array] = field(repr=False)
    observed: Mapping[Name, Array] = field(repr=False)
    lengths: Array | None = field(default=None, repr=False)
    offset: Any = field(default=0.0, repr=False)
    seen: frozenset[Name] = field(default=frozenset(), repr=False)
    sequences: tuple[Hashable, ...] | None = field(default=None, repr=False)

    @property
    def slices(self) -> int:
        """How many slices all sequences have together."""
        return int(self.T * np.prod(self.batch, dtype=int) if self.lengths is None else self.lengths.sum())

    def chosen(self, rows: Any) -> "Observations":
        """Of some sequences of a batch, by their numbers, or by True and False for each."""
        if not self.batch:
            raise DataError("there is one sequence, and no batch to choose from")
        (B,), rows = self.batch, np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool and rows.shape == (B,) else rows
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows) or rows.min() < 0 or rows.max() >= B:
            raise DataError(f"choose sequences by numbers from 0 to {B - 1}, or by {B} of True and False")
        lengths = None if self.lengths is None else self.lengths[rows]
        T = self.T if lengths is None else int(lengths.max())
        return replace(
            self,
            T=T,
            batch=rows.shape,
            likelihoods={name: a[:T, rows] for name, a in self.likelihoods.items()},
            observed={name: x[rows, :T] for name, x in self.observed.items()},
            lengths=lengths,
            offset=self.offset if np.ndim(self.offset) == 0 else np.asarray(self.offset)[rows],
            sequences=None if self.sequences is None else tuple(self.sequences[k] for k in rows),
        )

    def under(self, network: Network, behind: int = 0) -> Evidence:
        """With what the observed vectors say of states in a network, after so many slices."""
        sizes = {name: of.size for name, of in network.channels.items()}
        if network.states != self.states or any(sizes.get(name) != x.shape[-1] for name, x in self.observed.items()):
            mend = "read it again for this one"
            raise DataError(f"the evidence was read for a model of other variables, states or vectors; {mend}")
        whole, logs, offset = dict(self.likelihoods), dict[Name, Array](), self.offset
        for name, a in _emitted(network, self.observed).items():
            if self.lengths is not None:
                a = np.where((np.arange(self.T)[:, None] < self.lengths)[..., None], a, 0.0)
            with np.errstate(divide="ignore"):
                logs[name] = a + np.log(whole[name]) if name in whole else a
            largest = logs[name].max(-1, keepdims=True)
            largest = np.where(np.isfinite(largest), largest, 0.0)
            logs[name], offset = logs[name] - largest, offset + largest.sum((0, -1))
            whole[name] = np.exp(logs[name])
        tables = {name: self._driven(network, name, behind) for name in network.drives}
        if network.conditional:  # weights of any size
            for name, a in tables.items():
                largest = a.max(tuple(range(1 + len(self.batch), a.ndim)))
                tables[name], offset = (
                    a - largest.reshape(largest.shape + (1,) * (a.ndim - largest.ndim)),
                    offset + largest.sum(0),
                )
        return Evidence(
            self.T, self.batch, whole, self.lengths, offset, self.seen - set(logs), self.sequences, logs, self.observed,
            tables,
        )  # fmt: skip

    def _driven(self, network: Network, name: Name, behind: int) -> Array:
        """The logarithms of a driven table in every slice, (T, [B,] K, ...)."""
        drive, start = network.drives[name], max(network.tables[name])
        x = self.observed.get(drive.by)
        if x is None:
            raise DataError(f"the table of {name!r} depends on {drive.by!r}; give it in the evidence")
        ends = np.full(self.batch, self.T) if self.lengths is None else self.lengths
        used = (np.arange(self.T) >= start - behind) & (np.arange(self.T) < ends[..., None])
        if (np.isnan(x).any(-1) & used).any():
            t = int(np.argwhere(np.isnan(x).any(-1) & used)[0][-1])
            raise DataError(
                f"the table of {name!r} depends on {drive.by!r}, which is missing in slice {t + behind}; give it"
            )
        flat = np.where(used[..., None], x, 0.0).reshape(-1, drive.size)
        found = drive.scores.of(flat).reshape(*x.shape[:-1], *drive.scores.shape)
        if network.conditional:
            found = np.where(used.reshape(used.shape + (1,) * len(drive.scores.shape)), found, 0.0)
        return np.moveaxis(found, 1, 0) if self.batch else found


def smallest(a: Array) -> float:
    """The logarithm of the smallest of some numbers that is not 0."""
    least = min(a.ravel().tolist()) if a.size <= FEW else float(a.min())
    return math.log(least if least > 0 else a.min(initial=1.0, where=a > 0))


def evidence(
    network: Network, given: Any = None, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Evidence:
    """Evidence as `observations` reads it, under a network."""
    return observations(network, given, soft, T, lengths).under(network)


def observations(
    network: Network, given: Any = None, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Observations:
    """Read evidence; what was read before is handed back as it is.

    Parameters
    ----------
    given : a mapping from variables to states (T,) or (B, T), from (variable, slice) to a state, a list of mappings
        with a sequence (T,) each, or a DataFrame
        States by name, or by index where no name is a number; -1, NaN and None are missing. The columns of a
        DataFrame are variables, its rows slices, a column or index level ``sequence`` tells sequences apart; or its
        columns are pairs (variable, slice) and its rows sequences. A column or level ``t`` must count the rows of each
        sequence from 0.
    soft : a mapping from variables to likelihoods (T, K) or (B, T, K)
    T : the number of slices, where nothing else tells it
    lengths : (B,), the lengths of the sequences of a batch
    """
    if isinstance(given, Observations):
        if any(option is not None for option in (soft, T, lengths)):
            raise DataError("the evidence was read already; give soft, T and lengths to observe")
        return given
    T = None if T is None else positive(T, f"T is {T!r}; the number of slices must be a positive integer")
    forms = sorted_forms(network, given)
    arrays = dict(forms.series)
    likely = {name: _likelihoods(network, name, values) for name, values in _soft(soft).items()}
    slices, batch = _extent(arrays, likely, forms, T)
    _add_single(network, arrays, forms, slices, batch)
    whole: dict[Name, Array] = {}
    for name in network.names:
        if name in arrays:
            whole[name] = _indicators(arrays[name].T, len(network.states[name]))
        if name in likely:
            whole[name] = whole.get(name, 1.0) * np.moveaxis(likely[name], -2, 0)
    ends = _lengths(forms.lengths if lengths is None else lengths, slices, batch)
    ends = None if ends is None or (ends == slices).all() else ends
    if ends is not None:
        inside = np.arange(slices)[:, None] < ends
        whole = {name: np.where(inside[..., None], a, 1.0) for name, a in whole.items()}
    offset: Any = 0.0
    for name in likely:
        largest = whole[name].max(-1, keepdims=True)
        largest = np.where(largest > 0, largest, 1.0)
        whole[name], offset = whole[name] / largest, offset + np.log(largest).sum((0, -1))
    hard = {name for name in arrays if name not in likely}
    known = frozenset(name for name in hard if (arrays[name] != MISSING).all()) if ends is None else frozenset()
    return Observations(network.states, slices, batch, whole, forms.observed, ends, offset, known, forms.sequences)


def _emitted(network: Network, observed: Mapping[Name, Array]) -> dict[Name, Array]:
    """The logarithms of the likelihoods of states under observed vectors, (T, [B,] K), by parent."""
    logs: dict[Name, Array] = {}
    for name, emission in network.emissions.items():
        if name not in observed:
            continue
        x = observed[name]
        found = emission.log_likelihoods(x.reshape(-1, emission.size)).reshape(*x.shape[:-1], -1)
        logs[emission.parent] = logs.get(emission.parent, 0.0) + np.moveaxis(found, -2, 0)
    return logs


def _soft(given: Any) -> Soft:
    if given is not None and not isinstance(given, Mapping):
        raise DataError(f"soft evidence must be a dict from variables to arrays, not {type(given).__name__}")
    return given or {}


def _add_single(network: Network, arrays: dict[Name, Array], forms: Forms, slices: int, batch: Shape) -> None:
    """Put states of single slices among the series."""
    for (name, t), value in forms.single.items():
        if not 0 <= t < slices:
            raise DataError(f"evidence of {(name, t)!r}: T is {slices}, so t runs from 0 to {slices - 1}")
        found = arrays.setdefault(name, np.full((*batch, slices), MISSING))
        state = indices(network, name, value)
        if state.shape not in ((), batch):
            raise DataError(f"evidence of {(name, t)!r} has shape {state.shape}; give one state")
        there = found[..., t]
        if ((there != MISSING) & (there != state)).any():
            raise DataError(f"evidence of {(name, t)!r} is given twice, and not the same; give it once")
        found[..., t] = state


def _likelihoods(network: Network, name: Name, values: Any) -> Array:
    if name not in network.states:
        raise unknown_name(name, network.names, "variable")
    K = len(network.states[name])
    form = f"it must be (T, {K}) or (B, T, {K}) numbers"
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        raise DataError(f"soft evidence of {name!r} is no array of likelihoods; {form}") from None
    if array.ndim not in (2, 3) or array.shape[-1] != K or 0 in array.shape:
        raise DataError(f"soft evidence of {name!r} has shape {array.shape}; {form}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise DataError(f"soft evidence of {name!r} holds negative numbers or NaN; give likelihoods, 1 for no evidence")
    return array


def _extent(
    arrays: Mapping[Name, Array], likely: Mapping[Name, Array], forms: Forms, T: int | None
) -> tuple[int, Shape]:
    """The number of slices and the batch axes on which everything agrees."""
    leads = [(f"evidence of {name!r}", a.shape) for name, a in arrays.items()]
    leads += [(f"soft evidence of {name!r}", a.shape[:-1]) for name, a in likely.items()]
    leads += [(f"evidence of {name!r}", a.shape[:-1]) for name, a in forms.observed.items()]
    for what, lead in leads:
        if len(lead) not in (1, 2) or 0 in lead:
            raise DataError(f"{what} has shape {lead}; give (T,) for one sequence, (B, T) for a batch")
        first, expected = leads[0]
        if lead != expected:
            raise DataError(f"{what} has (B, T) = {lead}, but {first} {expected}; give all of it the same slices")
        if T is not None and lead[-1] != T:
            mend = "leave T out, fill up with -1, or see predict for what comes after the evidence"
            raise DataError(f"{what} has {lead[-1]} slices, but T is {T}; {mend}")
    if leads:
        *batch, slices = leads[0][1]
        return slices, tuple(batch)
    if T is None and not forms.single:
        raise DataError("there is no evidence that tells the number of slices; give T=")
    return T or 1 + max(t for _, t in forms.single), ()


def _indicators(states: Array, K: int) -> Array:
    """1 for the state that was seen, for all states where none was."""
    return np.take(_rows(K), states, 0)


@lru_cache
def _rows(K: int) -> Array:
    """The likelihoods of one state after the other, and of none."""
    rows = np.concatenate([np.eye(K), np.ones((1, K))])
    rows.flags.writeable = False
    return rows


def _lengths(lengths: Any, T: int, batch: Shape) -> Array | None:
    if lengths is None:
        return None
    array = np.asarray(lengths)
    if array.shape != batch or not batch or array.dtype.kind not in "iu" or (array < 1).any() or (array > T).any():
        raise DataError(f"lengths must be B = {batch[0] if batch else 1} integers from 1 to {T}, one a sequence")
    return array.astype(int)

"""What inference returns: posterior marginals, and paths."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.forms import entries, is_pair
from dbn_bptt.dbn.inference.plots import heat_maps, one_sequence
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.ops.kernels import Array


@dataclass(frozen=True)
class Posterior:
    """Posterior marginals of every variable in every slice.

    ``posterior["Z"]`` is an array (T, K), or (B, T, K) for a batch; ``posterior["Z", 2]`` its slice 2. In a ragged
    batch the rows after a sequence's end are 0.

    Attributes
    ----------
    marginals : by variable
    log_likelihood : log p(evidence) in nats; (B,) for a batch
    states : by variable, the names of its states
    start : the slice of the first row; (B,) where sequences of different lengths are predicted
    sequences : the names of the sequences of a batch, if the evidence had some
    """

    marginals: Mapping[Name, Array] = field(repr=False)
    log_likelihood: Any
    states: Mapping[Name, tuple[Hashable, ...]]
    start: Any = 0
    sequences: tuple[Hashable, ...] | None = field(default=None, repr=False)

    def __getitem__(self, key: Any) -> Array:
        return _picked(self.marginals, key, self.start, axis=-2)

    def __iter__(self) -> Iterator[Name]:
        return iter(self.marginals)

    def __len__(self) -> int:
        return len(self.marginals)

    def keys(self) -> Iterable[Name]:
        """The variables."""
        return self.marginals.keys()

    def most_probable(self, name: Name) -> Array:
        """The most probable state of a variable in each slice, by name; each slice for itself (see `viterbi`)."""
        found = self[name]
        return _named(np.where(found.any(-1), found.argmax(-1), -1), self.states[name])

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row for each slice (and sequence), a column for each variable and state."""
        import pandas as pd

        columns = [(name, state) for name in self.marginals for state in self.states[name]]
        values = np.concatenate(list(self.marginals.values()), -1)
        index = _index(values.shape[:-1], self.start, self.sequences)
        names = ["variable", "state"]
        table = pd.DataFrame(values.reshape(-1, len(columns)), index, pd.MultiIndex.from_tuples(columns, names=names))
        return table[table.to_numpy().any(1)]  # without what comes after a sequence's end

    def plot(self, evidence: Mapping[Name, Any] | None = None, *, sequence: int = 0) -> Any:
        """A matplotlib figure of one sequence: time across, a heat map for each variable.

        Parameters
        ----------
        evidence : a mapping from names to what was seen, optional
            Drawn below: states (T,) or (B, T), vectors (T, d) or (B, T, d).
        sequence : which of a batch

        Examples
        --------
        >>> from dbn_bptt import dbn
        >>> seen = {"Umbrella": [1, 1, 0]}
        >>> len(dbn.smooth(dbn.umbrella(), seen).plot(seen).axes)
        3
        """
        of = {name: a if a.ndim == 2 else a[sequence] for name, a in self.marginals.items()}
        of = {name: a[a.any(-1)] for name, a in of.items()}  # without what comes after the sequence's end
        T, batched = len(next(iter(of.values()))), next(iter(self.marginals.values())).ndim == 3
        seen = {name: one_sequence(x, sequence, batched, name)[:T] for name, x in (evidence or {}).items()}
        start = self.start if isinstance(self.start, int) else int(self.start[sequence])
        return heat_maps(of, self.states, start, seen)

    def __str__(self) -> str:
        lead = next(iter(self.marginals.values())).shape[:-1]
        where = f" from t = {self.start} on" if isinstance(self.start, int) and self.start else ""
        lines = [f"Posterior of {_extent(lead, 'sequence')}{where}, log-likelihood {_total(self.log_likelihood)}"]
        for name, array in self.marginals.items():
            shown = array if array.ndim == 2 else array[0]
            rows = [" ".join(f"{p:.3f}" for p in row[:6]) + (" ..." if len(row) > 6 else "") for row in shown[:4]]
            more = ["..."] if len(shown) > 4 else []
            first = " of the first sequence" if array.ndim == 3 and len(array) > 1 else ""
            lines.append(f"  {name} ({', '.join(map(str, self.states[name][:6]))}){first}: {' | '.join(rows + more)}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = f"<p>{str(self).splitlines()[0]}</p>"
        return head + str(self.to_frame().to_html(float_format="{:.4f}".format, max_rows=20))


@dataclass(frozen=True)
class Paths:
    """One state of every variable in every slice: the most probable ones, or drawn ones.

    ``paths["Z"]`` holds indices of states, (T,), with axes for sequences and draws in front; `named` gives their names.

    Attributes
    ----------
    indices : by variable; -1 after the end of a sequence
    log_probability : log p(path, evidence) of the most probable path; None for drawn ones
    states : by variable, the names of its states
    sequences : the names of the sequences of a batch, if the evidence had some
    vectors : of drawn paths, by name of an emission: (T, d), with axes in front as above
    """

    indices: Mapping[Name, Array] = field(repr=False)
    log_probability: Any
    states: Mapping[Name, tuple[Hashable, ...]]
    sequences: tuple[Hashable, ...] | None = field(default=None, repr=False)
    vectors: Mapping[Name, Array] = field(default_factory=dict, repr=False)

    def __getitem__(self, key: Any) -> Array:
        try:
            if key in self.vectors:
                return self.vectors[key]
        except TypeError:  # no key, which is said below
            pass
        return _picked(self.indices, key, 0, axis=-1)

    def __iter__(self) -> Iterator[Name]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def keys(self) -> Iterable[Name]:
        """The variables."""
        return self.indices.keys()

    def named(self, name: Name) -> Array:
        """The states of a variable by name."""
        return _named(self[name], self.states[name])

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row for each slice (of each path), a column for each variable, states by name."""
        import pandas as pd

        lead = next(iter(self.indices.values())).shape
        inside = np.ravel(next(iter(self.indices.values()))) >= 0  # without what comes after a sequence's end
        columns = {name: np.ravel(self.named(name))[inside] for name in self.indices}
        for name, x in self.vectors.items():
            flat = x.reshape(-1, x.shape[-1])[inside]
            columns |= dict(zip(entries(name, x.shape[-1]), flat.T, strict=True))
        return pd.DataFrame(columns, _index(lead, 0, self.sequences)[inside])

    def __str__(self) -> str:
        lead = next(iter(self.indices.values())).shape
        found = "" if self.log_probability is None else f", log-probability {_each(self.log_probability)}"
        many = int(np.prod(lead[:-1]))
        lines = [(f"Path of {_extent(lead[-1:], 'path')}" if many == 1 else _extent(lead, "path")) + found]
        for name in self.indices:
            first = self.named(name).reshape(-1, lead[-1])[0]
            which = " (the first path)" if many > 1 else ""
            lines.append(f"  {name}{which}: {' '.join(map(str, first[:20]))}{' ...' if lead[-1] > 20 else ''}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{str(self).splitlines()[0]}</p>{self.to_frame().to_html(max_rows=20)}"


def _named(indices: Array, states: tuple[Hashable, ...]) -> Array:
    """States by name; None after the end of a sequence."""
    names = np.empty(len(states) + 1, object)
    for k, state in enumerate(states):
        names[k] = state
    found: Array = names[indices]
    alike = len({type(state) for state in states}) == 1 and not isinstance(states[0], tuple)
    return np.array(list(states))[indices] if alike and (indices >= 0).all() else found


def _picked(arrays: Mapping[Name, Array], key: Any, start: Any, axis: int) -> Array:
    """A variable's array; or its slice t, where the key is a pair or one of pgmpy's nodes."""
    try:
        hash(key)
    except TypeError:
        raise DataError(f"{key!r} is no key; take ['Z'], or ['Z', t] for one slice, and slice the array") from None
    if not is_pair(key) or key in arrays:
        if key not in arrays:
            raise unknown_name(key, arrays, "variable")
        return arrays[key]
    name, t = key[0], int(key[1])
    if name not in arrays:
        raise unknown_name(name, arrays, "variable")
    if not isinstance(start, int):
        raise DataError(f"{(name, t)!r}: the sequences begin at different slices; take [{name!r}] and count from there")
    stop = start + arrays[name].shape[axis]
    if not start <= t < stop:
        raise DataError(f"{(name, t)!r}: t runs from {start} to {stop - 1}")
    return np.take(arrays[name], t - start, axis)


def _total(numbers: Any) -> str:
    """The sum of log-likelihoods, as text."""
    total = float(np.sum(numbers))
    shown = f"{0.0 if abs(total) < 1e-12 else total:.6g}"
    return f"{shown} in all" if np.size(numbers) > 1 else shown


def _each(numbers: Any) -> str:
    """Log-probabilities one by one, as far as they fit."""
    shown = [f"{number:.6g}" for number in np.ravel(numbers)[:4]]
    return ", ".join([*shown, "..."] if np.size(numbers) > 4 else shown)


def _extent(lead: tuple[int, ...], what: str) -> str:
    """How many sequences or paths of how many slices, in words."""
    slices = f"{lead[-1]} slice{'s' if lead[-1] != 1 else ''}"
    if len(lead) == 1:
        return slices
    many = " x ".join(map(str, lead[:-1]))
    return f"{many} {what}{'' if many == '1' else 's'} of {slices}"


def _index(lead: tuple[int, ...], start: Any, sequences: tuple[Hashable, ...] | None) -> Any:
    """The row labels of a table: slices, with sequences and draws before them."""
    import pandas as pd

    if len(lead) == 1:
        return pd.RangeIndex(start, start + lead[-1], name="t")
    titles = {2: ["sequence", "t"], 3: ["sequence", "draw", "t"]}[len(lead)]
    batch = range(lead[0]) if sequences is None else sequences
    if isinstance(start, int):
        slices = range(start, start + lead[-1])
        return pd.MultiIndex.from_product([batch, *map(range, lead[1:-1]), slices], names=titles)
    rows = [(b, first + k) for b, first in zip(batch, start, strict=True) for k in range(lead[-1])]
    return pd.MultiIndex.from_tuples(rows, names=titles)

"""What inference returns: posterior marginals, and paths."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.dbn.network import Name
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.kernels import Array


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
    start : the slice of the first row
    """

    marginals: Mapping[Name, Array] = field(repr=False)
    log_likelihood: Any
    states: Mapping[Name, tuple[Hashable, ...]]
    start: int = 0

    def __getitem__(self, key: Any) -> Array:
        if key in self.marginals:
            return self.marginals[key]
        name, t = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
        if name not in self.marginals:
            raise unknown_name(name, self.marginals, "variable")
        stop = self.start + self.marginals[name].shape[-2]
        if t is None or not self.start <= t < stop:
            raise DataError(f"{key!r}: t runs from {self.start} to {stop - 1}")
        return self.marginals[name][..., t - self.start, :]

    def __iter__(self) -> Iterator[Name]:
        return iter(self.marginals)

    def __len__(self) -> int:
        return len(self.marginals)

    def most_probable(self, name: Name) -> Array:
        """The most probable state of a variable in each slice, by name; each slice for itself (see `viterbi`)."""
        return _named(self[name].argmax(-1), self.states[name])

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row for each slice (and sequence), a column for each variable and state."""
        import pandas as pd

        columns = [(str(name), state) for name in self.marginals for state in self.states[name]]
        values = np.concatenate(list(self.marginals.values()), -1)
        index = _index(values.shape[:-1], self.start)
        names = ["variable", "state"]
        return pd.DataFrame(values.reshape(-1, len(columns)), index, pd.MultiIndex.from_tuples(columns, names=names))

    def __str__(self) -> str:
        lead = next(iter(self.marginals.values())).shape[:-1]
        total = f"log-likelihood {np.sum(self.log_likelihood):.6g}" + (" in all" if len(lead) > 1 else "")
        lines = [f"Posterior of {_extent(lead)}, {total}"]
        for name, array in self.marginals.items():
            shown = array if array.ndim == 2 else array[0]
            rows = [" ".join(f"{p:.3f}" for p in row[:6]) + (" ..." if len(row) > 6 else "") for row in shown[:4]]
            more = ["..."] if len(shown) > 4 else []
            first = " of the first sequence" if array.ndim == 3 else ""
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
    """

    indices: Mapping[Name, Array] = field(repr=False)
    log_probability: Any
    states: Mapping[Name, tuple[Hashable, ...]]

    def __getitem__(self, name: Any) -> Array:
        if name not in self.indices:
            raise unknown_name(name, self.indices, "variable")
        return self.indices[name]

    def named(self, name: Name) -> Array:
        """The states of a variable by name."""
        return _named(self[name], self.states[name])

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row for each slice (of each path), a column for each variable, states by name."""
        import pandas as pd

        arrays = {str(name): self.named(name) for name in self.indices}
        lead = next(iter(arrays.values())).shape
        return pd.DataFrame({name: a.ravel() for name, a in arrays.items()}, _index(lead, 0))

    def __str__(self) -> str:
        lead = next(iter(self.indices.values())).shape
        found = "" if self.log_probability is None else f", log-probability {np.sum(self.log_probability):.6g}"
        lines = [f"Paths of {_extent(lead)}{found}"]
        for name in self.indices:
            first = self.named(name).reshape(-1, lead[-1])[0]
            lines.append(f"  {name}: {' '.join(map(str, first[:20]))}{' ...' if lead[-1] > 20 else ''}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{str(self).splitlines()[0]}</p>{self.to_frame().to_html(max_rows=20)}"


def _named(indices: Array, states: tuple[Hashable, ...]) -> Array:
    """States by name; None after the end of a sequence."""
    names = np.empty(len(states) + 1, object)
    names[:-1] = states
    found: Array = names[indices]
    plain = np.array(list(states))
    return found if (indices < 0).any() or plain.ndim != 1 else plain[indices]


def _extent(lead: tuple[int, ...]) -> str:
    slices = f"{lead[-1]} slice{'s' if lead[-1] != 1 else ''}"
    return slices if len(lead) == 1 else f"{' x '.join(map(str, lead[:-1]))} sequences of {slices}"


def _index(lead: tuple[int, ...], start: int) -> Any:
    """The row labels of a table: slices, with sequences and draws before them."""
    import pandas as pd

    slices = range(start, start + lead[-1])
    if len(lead) == 1:
        return pd.RangeIndex(start, start + lead[-1], name="t")
    titles = {2: ["sequence", "t"], 3: ["sequence", "draw", "t"]}[len(lead)]
    return pd.MultiIndex.from_product([*map(range, lead[:-1]), slices], names=titles)

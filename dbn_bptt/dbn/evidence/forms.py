"""The forms of evidence: series by variable, single states by variable and slice, and DataFrames of either."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.states import MISSING, indices
from dbn_bptt.dbn.networks.network import SEQUENCE, SLICE, Name, Network
from dbn_bptt.errors import DataError, UnknownNameError, unknown_name
from dbn_bptt.ops.kernels import Array


@dataclass(frozen=True)
class Forms:
    """Evidence sorted by its form.

    Attributes
    ----------
    series : by variable, indices of states, (T,) or (B, T), -1 where one is missing
    single : by (variable, slice), one state
    observed : by name of a vector, (T, d) or (B, T, d), NaN where a number is missing
    lengths, sequences : of the sequences of a DataFrame that tells them apart, and what it calls them
    """

    series: Mapping[Name, Array]
    single: Mapping[tuple[Name, int], Any]
    observed: Mapping[Name, Array] = field(default_factory=dict)
    lengths: Any = None
    sequences: tuple[Hashable, ...] | None = None


def sorted_forms(network: Network, given: Any) -> Forms:
    """Sort evidence by its form, and refuse names that are not in the network."""
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        return _columns(network, given)
    if isinstance(given, list) and given and all(isinstance(record, Mapping) for record in given):
        return _records(network, given)
    return _sorted(network, given)


def _records(network: Network, records: list[Mapping[Name, Any]]) -> Forms:
    """Sequences with a dict each as a ragged batch."""
    forms = []
    for k, record in enumerate(records):
        try:
            forms.append(_sorted(network, record))
        except (DataError, UnknownNameError) as error:
            raise type(error)(f"sequence {k}: {error}") from None
    lengths = []
    for k, (form, record) in enumerate(zip(forms, records, strict=True)):
        if record.keys() != records[0].keys() or form.single:
            has = ", ".join(map(str, record)) or "nothing"
            raise DataError(f"sequence {k} has {has}, but sequence 0 {', '.join(map(str, records[0])) or 'nothing'}")
        leads = {name: a.shape for name, a in form.series.items()}
        leads |= {name: a.shape[:-1] for name, a in form.observed.items()}
        if len(set(leads.values())) != 1 or any(len(lead) != 1 or not lead[0] for lead in leads.values()):
            shapes = ", ".join(f"{name!r} {lead}" for name, lead in leads.items())
            raise DataError(f"sequence {k} has {shapes}; give all of it the same slices, (T,)")
        lengths.append(next(iter(leads.values()))[0])

    def padded(own: list[Array], fill: Any) -> Array:
        whole = np.full((len(own), max(lengths), *own[0].shape[1:]), fill, own[0].dtype)
        for k, a in enumerate(own):
            whole[k, : len(a)] = a
        return whole

    series = {name: padded([form.series[name] for form in forms], MISSING) for name in forms[0].series}
    observed = {name: padded([form.observed[name] for form in forms], np.nan) for name in forms[0].observed}
    return Forms(series, {}, observed, np.array(lengths), tuple(range(len(records))))


def _sorted(network: Network, given: Any) -> Forms:
    if given is not None and not isinstance(given, Mapping):
        forms = "a dict from variables to states, from (variable, slice) to a state, a list of dicts, or a DataFrame"
        raise DataError(f"evidence must be {forms}, not {type(given).__name__}")
    series: dict[Name, Array] = {}
    single: dict[tuple[Name, int], Any] = {}
    observed: dict[Name, Array] = {}
    for key, value in (given or {}).items():
        if key in network.channels:
            observed[key] = vectors(network, key, value)
            continue
        pair = (key[0], int(key[1])) if key not in network.states and is_pair(key) else None
        name = pair[0] if pair else key
        if pair and name in network.channels:
            raise DataError(f"{name!r} is a vector; give all its slices, {{{name!r}: (T, d)}}, NaN where it is missing")
        if name not in network.states:
            raise unknown_name(name, [*network.names, *network.channels], "variable")
        if pair:
            single[pair] = value
        else:
            series[name] = indices(network, name, value)
    return Forms(series, single, observed)


def vectors(network: Network, name: Name, values: Any) -> Array:
    """Observed vectors, (T, d) or (B, T, d)."""
    of = network.channels[name]
    d = of.size
    form = f"it must be (T, {d}) or (B, T, {d})" + (", or (T,) or (B, T)" if d == 1 else "")
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        raise DataError(f"evidence of {name!r} is no array of numbers; {form}") from None
    array = array[..., None] if d == 1 and (array.ndim == 1 or array.shape[-1:] != (1,)) else array
    if array.ndim not in (2, 3) or array.shape[-1] != d or 0 in array.shape:
        raise DataError(f"evidence of {name!r} has shape {np.shape(values)}; {form}")
    if np.isinf(array).any():
        at = tuple(int(k) for k in np.argwhere(np.isinf(array))[0])
        raise DataError(f"evidence of {name!r} is {array[at]} at index {at}; give numbers, NaN where one is missing")
    try:
        of.check(array.reshape(-1, d))
    except DataError as error:
        raise DataError(f"evidence of {name!r}: {error}") from None
    return array


def is_pair(key: Any) -> bool:
    """Whether a key is a variable with its slice, as a tuple or pgmpy's DynamicNode."""
    try:
        two = hasattr(key, "time_slice") or (isinstance(key, tuple) and len(key) == 2)
        return two and isinstance(key[1], int | np.integer) and not isinstance(key[1], bool)
    except (TypeError, IndexError, KeyError):
        return False


def _columns(network: Network, frame: Any) -> Forms:
    """The columns of a DataFrame as series."""
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise DataError(f"the DataFrame has two columns {doubled[0]!r}; keep one")
    if not len(frame):
        raise DataError("the evidence has no rows; give one for each slice, empty where nothing was observed")
    names = list(frame.columns)
    if names and all(map(is_pair, names)) and not any(name in network.states for name in names):
        wide = _pairs(frame)
        single = [name for name, of in network.channels.items() if of.size == 1 and name in wide]
        wide |= {name: wide[name][..., None] for name in single}  # rows are sequences, however few slices they have
        return replace(_sorted(network, wide), sequences=tuple(frame.index))
    rows = sequences_of(frame, network.names)
    series: dict[Name, Array] = {}
    titles = {name: entries(name, of.size) for name, of in network.channels.items()}
    known = [*network.names, *titles, *(title for of in titles.values() for title in of)]
    for name in names:
        if name in network.states:
            series[name] = indices(network, name, frame[name].to_numpy(), rows.place)
        elif name not in (SEQUENCE, SLICE, *known):
            raise unknown_name(name, known, "variable")
    observed = {
        name: rows.padded(vectors(network, name, values), np.nan)
        for name, of in titles.items()
        if (values := gathered(frame, name, of)) is not None
    }
    if not series and not observed:  # rows that say nothing still tell how many slices there are
        series = {network.names[0]: np.full(len(frame), MISSING)}
    padded = {name: rows.padded(states, MISSING) for name, states in series.items()}
    return Forms(padded, {}, observed, rows.lengths if rows.titles is not None else None, rows.titles)


def entries(name: Name, size: int) -> list[str]:
    """What the columns of a vector's numbers are called."""
    return [f"{name}[{k}]" for k in range(size)]


def gathered(frame: Any, name: Name, titles: Sequence[str]) -> Array | None:
    """A vector in each row of a table, out of a column of vectors or a column for each number; None without any."""
    there = [title for title in titles if title in frame.columns]
    if name in frame.columns:
        if there:
            raise DataError(f"{name!r} stands in a column of its own and in {there[0]!r}; keep one")
        return _numbers(name, frame[name])
    if not there:
        return None
    if there != titles:
        raise DataError(f"the column {next(title for title in titles if title not in there)!r} is missing")
    return np.stack([_numbers(title, frame[title]) for title in titles], -1)


def _numbers(title: Name, column: Any) -> Array:
    """A column of numbers, or of vectors of one length."""
    values: Array = column.to_numpy()
    if values.dtype.kind in "iufb":
        return values
    try:
        return np.stack([np.asarray(np.nan if v is None else v, float) for v in values])
    except (TypeError, ValueError):
        raise DataError(f"the column {title!r} holds what is no number, or vectors of several lengths") from None


@dataclass(frozen=True)
class Sequences:
    """Where the rows of a table belong.

    Attributes
    ----------
    codes, slices : by row, the number of its sequence and its slice in it
    lengths : by sequence
    titles : by sequence, what the table calls it; None where it holds one sequence, which has no name
    """

    codes: Array
    slices: Array
    lengths: Array
    titles: tuple[Hashable, ...] | None

    def padded(self, values: Array, fill: Any) -> Array:
        """The values of all rows by sequence and slice, (B, T, ...), or (T, ...) for the one without a name."""
        if self.titles is None:
            return values
        padded = np.full((len(self.lengths), self.lengths.max(), *values.shape[1:]), fill, values.dtype)
        padded[self.codes, self.slices] = values
        return padded

    def place(self, at: tuple[int, ...]) -> str:
        """Where an entry of a column stands, in words."""
        row = at[0]
        of = "" if self.titles is None else f"sequence {self.titles[self.codes[row]]!r}, "
        return f" in row {row + 1} ({of}slice {self.slices[row]})"


def sequences_of(frame: Any, variables: Collection[Name]) -> Sequences:
    """Read from a DataFrame where its rows belong: its columns or index levels ``sequence`` and ``t``, where variables
    are not called so."""
    import pandas as pd

    index = [level for level in frame.index.names if level not in (SEQUENCE, SLICE)]
    if len(index) > 1:
        raise DataError("the DataFrame's index has several levels; call that of the sequences 'sequence'")
    if index[:1] not in ([], [None]) and (index[0] in variables or not frame.index.is_unique):
        mend = "call it 'sequence' or 't', or take reset_index(drop=True)"
        raise DataError(f"the DataFrame's index is called {index[0]!r}, which says nothing of sequences; {mend}")
    named, slices = (_label(variables, frame, title) for title in (SEQUENCE, SLICE))
    if named is None:
        rows = Sequences(np.zeros(len(frame), int), np.arange(len(frame)), np.array([len(frame)]), None)
    else:
        codes, titles = pd.factorize(named)
        lengths = np.bincount(codes)
        order = np.argsort(codes, kind="stable")
        counted = np.empty(len(codes), int)
        counted[order] = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = Sequences(codes, counted, lengths, tuple(titles.tolist()))
    if slices is not None:
        _check_slices(slices, rows)
    return rows


def labels_of(frame: Any, variables: Collection[Name]) -> Array | None:
    """What a table calls its sequences, each once; None where it tells none apart."""
    import pandas as pd

    found = _label(variables, frame, SEQUENCE)
    return None if found is None else np.asarray(pd.unique(found))


def _label(variables: Collection[Name], frame: Any, title: str) -> Any:
    """What a level of the index says of each row, or a column that is no variable; None without either."""
    if title in frame.index.names:
        found = frame.index.get_level_values(title)
    elif title in frame.columns and title not in variables:
        found = frame[title]
    else:
        return None
    if found.isna().any():
        raise DataError(f"the column {title!r} has empty cells; fill it in for each row")
    return found.to_numpy()


def _check_slices(found: Array, rows: Sequences) -> None:
    """Refuse rows that are not those of the slices 0, 1, 2, ..., in numbers or as text."""
    try:
        same = found.astype(float) == rows.slices
    except (TypeError, ValueError):
        same = found.astype(str) == rows.slices.astype(str)
    if same.all():
        return
    k = int(np.argmin(same))
    of = "the DataFrame" if rows.titles is None else f"sequence {rows.titles[rows.codes[k]]!r}"
    own = found[rows.codes == rows.codes[k]]
    shown = ", ".join(map(str, own[:6])) + (", ..." if len(own) > 6 else "")
    mend = "sort the rows, count slices from 0, and leave cells empty where nothing was observed"
    raise DataError(f"the column {SLICE!r} of {of} is {shown}, but rows stand for slices 0, 1, 2, ...; {mend}")


def _pairs(frame: Any) -> dict[Any, Any]:
    """Columns named (variable, slice) as series of one sequence in each row."""
    columns: dict[Name, dict[int, Any]] = {}
    for k, name in enumerate(frame.columns):
        columns.setdefault(name[0], {})[int(name[1])] = frame.iloc[:, k].to_numpy()
    if any(t < 0 for of in columns.values() for t in of):
        raise DataError("a column of the DataFrame names a slice below 0; slices are counted from 0")
    T = 1 + max(t for of in columns.values() for t in of)
    nothing = np.full(len(frame), None)
    return {name: np.stack([of.get(t, nothing).astype(object) for t in range(T)], 1) for name, of in columns.items()}

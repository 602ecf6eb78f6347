"""The forms of evidence: series by variable, single states by variable and slice, and DataFrames of either."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt.dbn.network import Name, Network
from dbn_bptt.errors import DataError, unknown_name

SEQUENCE, SLICE = "sequence", "t"


@dataclass(frozen=True)
class Forms:
    """Evidence sorted by its form.

    Attributes
    ----------
    series : by variable, states (T,) or (B, T)
    single : by (variable, slice), one state
    lengths, sequences : of the sequences of a DataFrame that tells them apart, and what it calls them
    """

    series: Mapping[Name, Any]
    single: Mapping[tuple[Name, int], Any]
    lengths: Any = None
    sequences: tuple[Hashable, ...] | None = None


def sorted_forms(network: Network, given: Any) -> Forms:
    """Sort evidence by its form, and refuse names that are not in the network."""
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        return _columns(network, given)
    return _sorted(network, given)


def _sorted(network: Network, given: Any, lengths: Any = None, sequences: tuple[Hashable, ...] | None = None) -> Forms:
    if given is not None and not isinstance(given, Mapping):
        forms = "a dict from variables to states, from (variable, slice) to a state, or a DataFrame"
        raise DataError(f"evidence must be {forms}, not {type(given).__name__}")
    series: dict[Name, Any] = {}
    single: dict[tuple[Name, int], Any] = {}
    for key, value in (given or {}).items():
        pair = (key[0], int(key[1])) if key not in network.states and is_pair(key) else None
        name = pair[0] if pair else key
        if name not in network.states:
            raise unknown_name(name, network.names, "variable")
        if pair:
            single[pair] = value
        else:
            series[name] = value
    return Forms(series, single, lengths, sequences)


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
        return _sorted(network, _pairs(frame), sequences=tuple(frame.index))
    index = [level for level in frame.index.names if level not in (SEQUENCE, SLICE)]
    if len(index) > 1:
        raise DataError("the DataFrame's index has several levels; call that of the sequences 'sequence'")
    sequence, slices = (_label(network, frame, title) for title in (SEQUENCE, SLICE))
    series = {n: frame[n].to_numpy() for n in frame.columns if n in network.states or n not in (SEQUENCE, SLICE)}
    if not series:  # rows that say nothing still tell how many slices there are
        series = {network.names[0]: np.full(len(frame), None)}
    if sequence is None:
        _check_slices(slices, "the DataFrame")
        return _sorted(network, series)
    places: dict[Hashable, list[int]] = {}
    for k, title in enumerate(sequence):
        places.setdefault(title, []).append(k)
    for title, rows in places.items():
        _check_slices(None if slices is None else [slices[k] for k in rows], f"sequence {title!r}")
    lengths = np.array([len(rows) for rows in places.values()])
    padded = {
        n: _padded([values[rows].tolist() for rows in places.values()], max(lengths)) for n, values in series.items()
    }
    return _sorted(network, padded, lengths, tuple(places))


def _label(network: Network, frame: Any, title: str) -> list[Any] | None:
    """What a level of the index says of each row, or a column that is no variable."""
    if title in frame.index.names:
        found = frame.index.get_level_values(title)
    elif title in frame.columns and title not in network.states:
        found = frame[title]
    else:
        return None
    if found.isna().any():
        raise DataError(f"the column {title!r} has empty cells; fill it in for each row")
    return list(found)


def _check_slices(found: list[Any] | None, of: str) -> None:
    """Refuse rows that are not those of the slices 0, 1, 2, ..., where there are numbers of slices."""
    if found is not None and [str(t) for t in found] != [str(t) for t in range(len(found))]:
        shown = ", ".join(map(str, found[:6])) + (", ..." if len(found) > 6 else "")
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


def _padded(rows: list[list[Any]], T: int) -> Any:
    """Sequences of states as an array (B, T), with None after each one's end."""
    padded = np.full((len(rows), T), None, object)
    for k, row in enumerate(rows):
        for t, state in enumerate(row):
            padded[k, t] = state
    return padded

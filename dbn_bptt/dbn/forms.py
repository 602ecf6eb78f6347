"""The forms of evidence: series by variable, single states by variable and slice, and DataFrames of either."""

from collections.abc import Mapping
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
    lengths : of the sequences of a DataFrame that tells them apart
    """

    series: Mapping[Name, Any]
    single: Mapping[tuple[Name, int], Any]
    lengths: Any = None


def sorted_forms(network: Network, given: Any) -> Forms:
    """Sort evidence by its form, and refuse names that are not in the network."""
    lengths = None
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        given, lengths = _columns(network, given)
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
    return Forms(series, single, lengths)


def is_pair(key: Any) -> bool:
    """Whether a key is a variable with its slice, as a tuple or pgmpy's DynamicNode."""
    try:
        two = hasattr(key, "time_slice") or (isinstance(key, tuple) and len(key) == 2)
        return two and isinstance(key[1], int | np.integer) and not isinstance(key[1], bool)
    except (TypeError, IndexError, KeyError):
        return False


def _columns(network: Network, frame: Any) -> tuple[dict[Any, Any], Any]:
    """The columns of a DataFrame as series, and the lengths of its sequences."""
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise DataError(f"the DataFrame has two columns {doubled[0]!r}; keep one")
    if not len(frame):
        raise DataError("the evidence has no rows; give one for each slice, empty where nothing was observed")
    names = list(frame.columns)
    if names and all(map(is_pair, names)) and not any(name in network.states for name in names):
        return _pairs(frame), None
    levels = [name for name in frame.index.names if name in (SEQUENCE, SLICE)]
    frame = frame.reset_index() if levels else frame
    if frame.index.nlevels > 1:
        raise DataError("the DataFrame's index has several levels; call that of the sequences 'sequence'")
    others = [n for n in (SEQUENCE, SLICE) if n in frame.columns and n not in network.states]
    series = [n for n in frame.columns if n not in others]
    if SEQUENCE not in others:
        return {name: frame[name].to_numpy() for name in series}, None
    if frame[SEQUENCE].isna().any():
        raise DataError(f"the column {SEQUENCE!r} has empty cells; name the sequence of each row")
    groups = [group for _, group in frame.groupby(SEQUENCE, sort=False)]
    lengths = [len(group) for group in groups]
    padded = {name: _padded([group[name].tolist() for group in groups], max(lengths)) for name in series}
    return padded, np.array(lengths)


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

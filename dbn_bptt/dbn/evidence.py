"""Evidence in the forms in which people have it, as likelihoods of the states of each variable.

Sequences are rows of time: (T,) for one, (B, T) for a batch. What comes out is laid out as the kernel wants it, time
first: (T, K) or (T, B, K), one number a state, 1 where a state is possible and 0 where it is not.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbn_bptt.dbn.network import Name, Network
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.kernels import Array
from dbn_bptt.shapes import Shape

MISSING = -1
Soft = Mapping[Name, Any]


@dataclass(frozen=True)
class Evidence:
    """Checked evidence: the number of slices, the batch axes, and likelihoods (T, [B,] K) by variable."""

    T: int
    batch: Shape
    likelihoods: Mapping[Name, Array]
    lengths: Array | None


def evidence(
    network: Network, given: Any = None, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Evidence:
    """Read evidence.

    Parameters
    ----------
    given : a mapping from variables to states (T,) or (B, T), from (variable, slice) to a state, or a DataFrame
        States by name, or by index where the names are no numbers; -1, NaN and None are missing. The columns of a
        DataFrame are variables, its rows slices; or its columns are pairs (variable, slice) and its rows sequences.
    soft : a mapping from variables to likelihoods (T, K) or (B, T, K)
    T : the number of slices, where nothing else tells it
    lengths : (B,), the lengths of the sequences of a batch
    """
    if T is not None and (not isinstance(T, int | np.integer) or isinstance(T, bool) or T < 1):
        raise DataError(f"T is {T!r}; the number of slices must be a positive integer")
    series, single = _sorted(network, given)
    arrays = {name: _indices(network, name, values) for name, values in series.items()}
    likely = {name: _likelihoods(network, name, values) for name, values in _mapping("soft evidence", soft).items()}
    slices, batch = _extent(arrays, likely, single, T)
    for (name, t), state in single.items():
        if not 0 <= t < slices:
            raise DataError(f"{(name, t)!r}: T is {slices}, so t runs from 0 to {slices - 1}")
        found = arrays.setdefault(name, np.full((*batch, slices), MISSING))
        found[..., t] = _indices(network, name, state)
    whole: dict[Name, Array] = {}
    for name in network.names:
        if name in arrays:
            whole[name] = _indicators(arrays[name], len(network.states[name]))
        if name in likely:
            whole[name] = whole.get(name, 1.0) * likely[name]
    ends = _lengths(lengths, slices, batch)
    if ends is not None:
        inside = np.arange(slices) < ends[:, None]
        whole = {name: np.where(inside[..., None], a, 1.0) for name, a in whole.items()}
    timed = {name: np.ascontiguousarray(np.moveaxis(a, -2, 0)) for name, a in whole.items()}
    return Evidence(slices, batch, timed, ends)


def _mapping(what: str, given: Any) -> Mapping[Any, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DataError(f"{what} must be a dict from variables to arrays, not {type(given).__name__}")
    return given


def _sorted(network: Network, given: Any) -> tuple[dict[Name, Any], dict[tuple[Name, int], Any]]:
    """Evidence as series of states by variable, and single states by variable and slice."""
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        given = _columns(network, given)
    series: dict[Name, Any] = {}
    single: dict[tuple[Name, int], Any] = {}
    for key, value in _mapping("evidence", given).items():
        pair = (key[0], key[1]) if key not in network.states and _is_pair(key) else None
        name = pair[0] if pair else key
        if name not in network.states:
            raise unknown_name(name, network.names, "variable")
        if pair:
            single[pair[0], int(pair[1])] = value
        else:
            series[name] = value
    return series, single


def _is_pair(key: Any) -> bool:
    """Whether a key is a variable with its slice, as a tuple or pgmpy's DynamicNode."""
    try:
        return isinstance(key[1], int | np.integer) and not isinstance(key, str)
    except (TypeError, IndexError, KeyError):
        return False


def _columns(network: Network, frame: Any) -> dict[Any, Any]:
    """The columns of a DataFrame: series of one sequence; or, named (variable, slice), of one sequence in each row."""
    names = list(frame.columns)
    if all(name in network.states for name in names) or not all(map(_is_pair, names)):
        return {name: frame[name].to_numpy() for name in names}
    columns: dict[Name, dict[int, Any]] = {}
    for k, (name, t) in enumerate((name[0], int(name[1])) for name in names):
        columns.setdefault(name, {})[t] = frame.iloc[:, k].to_numpy()
    T = 1 + max(t for of in columns.values() for t in of)
    nothing = np.full(len(frame), None)
    return {name: np.stack([of.get(t, nothing).astype(object) for t in range(T)], 1) for name, of in columns.items()}


def _indices(network: Network, name: Name, values: Any) -> Array:
    """States as indices, -1 where one is missing."""
    states = network.states[name]
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"evidence of {name!r} is not rectangular; pad sequences with -1 and give lengths=") from None
    numbered = states == tuple(range(len(states)))
    if array.dtype.kind in "iuf" and (numbered or not any(isinstance(s, int | float) for s in states)):
        return _numbers(name, array, len(states), states)
    place: dict[Hashable, int] = {state: k for k, state in enumerate(states)}
    flat = [_index(name, value, place) for value in array.ravel().tolist()]
    return np.array(flat, int).reshape(array.shape)


def _numbers(name: Name, array: Array, K: int, states: tuple[Hashable, ...]) -> Array:
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    whole = np.where(missing, MISSING, array)
    wrong = (whole < MISSING) | (whole >= K) | (whole != np.floor(whole))
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise DataError(
            f"evidence of {name!r} is {array[at]} at index {at}; its states are {_list(states)} (0 to {K - 1}), "
            "and -1 or NaN is missing"
        )
    return whole.astype(int)


def _index(name: Name, value: Any, place: Mapping[Hashable, int]) -> int:
    if value in place:
        return place[value]
    if value is None or value == MISSING or (isinstance(value, float) and np.isnan(value)):
        return MISSING
    if isinstance(value, int) and all(isinstance(state, str) for state in place) and 0 <= value < len(place):
        return value
    states = _list(tuple(place))
    raise DataError(f"evidence of {name!r} is {value!r}; its states are {states}, and -1 or NaN is missing")


def _list(states: tuple[Hashable, ...]) -> str:
    shown = [repr(state) for state in states[:6]]
    return ", ".join(shown) + (", ..." if len(states) > 6 else "")


def _likelihoods(network: Network, name: Name, values: Any) -> Array:
    if name not in network.states:
        raise unknown_name(name, network.names, "variable")
    K = len(network.states[name])
    array = np.asarray(values, float)
    if array.ndim not in (2, 3) or array.shape[-1] != K:
        raise DataError(f"soft evidence of {name!r} has shape {array.shape}; it must be (T, {K}) or (B, T, {K})")
    if not np.isfinite(array).all() or (array < 0).any():
        raise DataError(f"soft evidence of {name!r} holds negative numbers or NaN; give likelihoods, 1 for no evidence")
    return array


def _extent(
    arrays: Mapping[Name, Array], likely: Mapping[Name, Array], single: Mapping[tuple[Name, int], Any], T: int | None
) -> tuple[int, Shape]:
    """The number of slices and the batch axes on which everything agrees."""
    leads = {name: a.shape for name, a in arrays.items()} | {name: a.shape[:-1] for name, a in likely.items()}
    for name, lead in leads.items():
        if len(lead) not in (1, 2) or 0 in lead:
            raise DataError(f"evidence of {name!r} has shape {lead}; give (T,) for one sequence, (B, T) for a batch")
        first = next(iter(leads))
        if lead != leads[first] or (T is not None and lead[-1] != T):
            other = f"that of {first!r} {leads[first]}" if lead != leads[first] else f"T is {T}"
            raise DataError(f"evidence of {name!r} has shape {lead}, but {other}; give all of it the same slices")
    if leads:
        *batch, slices = next(iter(leads.values()))
        return slices, tuple(batch)
    if T is None and not single:
        raise DataError("there is no evidence that tells the number of slices; give T=")
    return T or 1 + max(t for _, t in single), ()


def _indicators(indices: Array, K: int) -> Array:
    """1 for the state that was seen, for all states where none was."""
    rows = np.concatenate([np.eye(K), np.ones((1, K))])
    return rows[indices]


def _lengths(lengths: Any, T: int, batch: Shape) -> Array | None:
    if lengths is None:
        return None
    array = np.asarray(lengths)
    if array.shape != batch or not batch or array.dtype.kind not in "iu" or (array < 1).any() or (array > T).any():
        raise DataError(f"lengths must be {batch[0] if batch else 'B'} integers from 1 to {T}, one for each sequence")
    return array.astype(int)

"""The states of a variable, by name or by index, as indices."""

from collections.abc import Callable, Hashable, Mapping
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np

from dbn_bptt.dbn.networks.network import Name, Network
from dbn_bptt.dbn.networks.reading import is_numbered
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array

MISSING = -1


def _at(at: tuple[int, ...]) -> str:
    """Where an entry of an array stands, in words."""
    return f" at index {at if len(at) > 1 else at[0]}" if at else ""


def indices(network: Network, name: Name, values: Any, place: Callable[[tuple[int, ...]], str] = _at) -> Array:
    """States as indices, -1 where one is missing.

    A number is the name of a state if any name is a number or reads as one, and an index otherwise.

    Parameters
    ----------
    place : says in words where the entry stands that is no state
    """
    states = network.states[name]
    if isinstance(values, np.ma.MaskedArray):
        plain, masked = np.ma.getdata(values).astype(object), np.ma.getmaskarray(values)
        plain[masked] = None
        values = plain
    array = _plain_array(values)
    if array is not None and array.dtype.kind in "iuf" and is_numbered(states):
        return _numbers(name, array, len(states), place)
    objects = _objects(name, values, states)
    stands = _places(states)
    by_place = not any(isinstance(state, Real) or _number(state) is not None for state in states)
    flat = [
        _read_as(value, states) if by_place and isinstance(value, bool | np.bool_) else _index(value, stands)
        for value in objects.ravel()
    ]
    if None in flat:
        k = flat.index(None)
        where = place(tuple(int(axis) for axis in np.unravel_index(k, objects.shape)))
        raise _no_state(name, objects.ravel()[k], where, states)
    return np.array(flat, int).reshape(objects.shape)


def _plain_array(values: Any) -> Array | None:
    """Values as an array of numbers, where they are numbers and rectangular."""
    if not isinstance(values, np.ndarray) and _holds_objects(values):
        return None
    try:
        return np.asarray(values)
    except ValueError:
        return None


def _holds_objects(values: Any) -> bool:
    """Whether values, lists of lists perhaps, hold anything but numbers."""
    if isinstance(values, list | tuple):
        return any(map(_holds_objects, values))
    return not isinstance(values, Real | np.ndarray | np.number) or isinstance(values, bool)


def _objects(name: Name, values: Any, states: tuple[Hashable, ...]) -> Array:
    """Values as an array of objects, in which a tuple that is a state stays whole."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy(dtype=object)
    if isinstance(values, np.ndarray):
        return values.astype(object)
    if isinstance(values, Mapping | set):
        raise DataError(f"evidence of {name!r} is a {type(values).__name__}; give a list or an array of states")
    if not isinstance(values, list | tuple) or (isinstance(values, tuple) and values in states):
        whole = np.empty((), object)
        whole[()] = values
        return whole
    rows = [_objects(name, value, states) for value in values]
    if len({row.shape for row in rows}) > 1:
        raise DataError(f"evidence of {name!r} is not rectangular; pad sequences with None and give lengths=")
    stacked = np.empty((len(rows), *(rows[0].shape if rows else ())), object)
    for k, row in enumerate(rows):
        stacked[k] = row[()] if row.ndim == 0 else row
    return stacked


def _places(states: tuple[Hashable, ...]) -> dict[Hashable, int]:
    """Where each state stands: by name, by the number that its name is or reads as, or by index."""
    place: dict[Hashable, int] = {state: k for k, state in enumerate(states)}
    if any(isinstance(state, Real) for state in states):
        return {str(state): k for k, state in enumerate(states)} | place
    read = [_number(state) for state in states]
    if any(number is not None for number in read):
        return place | {number: k for k, number in enumerate(read) if number is not None and read.count(number) == 1}
    return place | {k: k for k in range(len(states))}


def _number(state: Hashable) -> float | None:
    try:
        return float(state) if isinstance(state, str) else None
    except ValueError:
        return None


def _numbers(name: Name, array: Array, K: int, place: Callable[[tuple[int, ...]], str]) -> Array:
    if array.dtype.kind != "f" and array.size and array.min() >= MISSING and array.max() < K:
        return array.astype(int)
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    whole = np.where(missing, MISSING, array)
    wrong = (whole < MISSING) | (whole >= K) | (whole != np.floor(whole))
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        states = f"its states are 0 to {K - 1}, and -1 or NaN is missing"
        raise DataError(f"evidence of {name!r} is {array[at]}{place(at)}; {states}")
    return whole.astype(int)


def _read_as(value: Any, states: tuple[Hashable, ...]) -> int | None:
    """Where the state stands that reads as True or as False, among names of which none is a number."""
    found = [k for k, state in enumerate(states) if str(state).lower() == str(value).lower()]
    return found[0] if len(found) == 1 else None


def _index(value: Any, place: Mapping[Hashable, int]) -> int | None:
    """Where a value stands among the states, by name or by the number that it reads as; None if nowhere."""
    value = value.item() if isinstance(value, np.generic) else value
    try:
        if value in place:
            return place[value]
    except TypeError:  # what cannot be hashed is no state
        return None
    if _is_missing(value):
        return MISSING
    return place.get(_number(value)) if isinstance(value, str) else None


def _no_state(name: Name, value: Any, where: str, states: tuple[Hashable, ...]) -> DataError:
    """The error for a value that is no state."""
    near = get_close_matches(str(value), [str(state) for state in states], n=1, cutoff=0.7)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(map(repr, states[:6])) + (", ..." if len(states) > 6 else "")
    return DataError(
        f"evidence of {name!r} is {value!r}{where}{hint}; its states are {shown}, and -1, NaN or None is missing"
    )


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real) and (value == MISSING or value != value)

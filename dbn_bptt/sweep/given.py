"""The one front door: parameters, data, initial states and lengths are checked and brought into one shape."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.transforms.ragged import is_ragged, ragged, with_lengths

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """Checked input in one floating type."""

    T: int
    batch: Shape  # () for one sequence, (B,) for a batch
    dtype: np.dtype[Any]  # float64, or float32 if only such arrays came in
    parameters: dict[str, Array]  # constants included
    data: dict[str, Array]  # inputs and targets, (T, *batch, *shape); classes as indicator vectors
    initial: dict[str, Array]  # (rows, *batch, *shape), a row for each slice in order of time
    shared: frozenset[str] = frozenset()  # initial states that were given once for all sequences
    absent: frozenset[str] = frozenset()  # inputs that were not given, so that they are their defaults in every slice

    def slices(self, a: int, b: int) -> "Given":
        """The input of slices a to b - 1, with the same initial states."""
        return replace(self, T=b - a, data={name: series[a:b] for name, series in self.data.items()})

    def repeated(self, n: int) -> "Given":
        """The input of n times as many sequences, copy by copy."""

        def copies(array: Array) -> Array:
            return np.concatenate([array if self.batch else array[:, None]] * n, axis=1)

        data = {name: copies(series) for name, series in self.data.items()}
        initial = {name: copies(rows) for name, rows in self.initial.items()}
        return replace(self, batch=(n * math.prod(self.batch),), data=data, initial=initial)

    def state(self, name: str, rows: Array) -> Array:
        """What belongs to an initial state, (rows, *batch, *shape), in the shape in which that was given: no axis for
        one row, and the sum over the batch where one state served all sequences."""
        own = rows.sum(1) if self.batch and name in self.shared else rows
        return own[0] if len(own) == 1 else own


def admitted(
    template: Described, parameters: Arrays, data: Arrays | None = None, initial: Arrays | None = None,
    lengths: Any = None, T: int | None = None, who: str = "this",
) -> tuple[Template, Given]:  # fmt: skip
    """The template that fits the input, ragged where there are lengths, and the input, checked before any work."""
    of = checked_template(template, who)
    if lengths is not None and not is_ragged(of):
        of = ragged(of).frozen
    return of, checked(of, parameters, data, initial, lengths, T)


def checked(
    template: Template, parameters: Arrays, data: Arrays | None = None, initial: Arrays | None = None,
    lengths: Any = None, T: int | None = None,
) -> Given:  # fmt: skip
    """What a computation on a checked template is given; a DataError where something does not fit it."""
    data = {} if data is None else data
    initial = {} if initial is None else initial
    check_mapping("inputs and targets", data)
    data = with_lengths(template, data, lengths, T)
    check_mapping("initial states", initial)
    states, series = template.initial_shapes(), template.names("input", "target")
    check_names("parameter", parameters, template.names("parameter"), template)
    check_names("input or target", data, series, template)
    for name in initial:
        if name not in states:
            raise unknown_name(name, states, "initial state")
        if name in template.learned:
            parameter = template.learned[name].name
            raise DataError(f"the initial state of {name} is the parameter {parameter!r}; give it among the parameters")
    arrays = {name: _numbers(name, value) for name, value in parameters.items()}
    for name, array in arrays.items():
        if array.shape != (shape := template.symbols[name].shape):
            raise DataError(f"parameter {name!r} has shape {array.shape}, not {shape}")
    arrays |= {name: _numbers(name, value, template.symbols[name].kind == "input") for name, value in data.items()}
    starts = {name: _numbers(f"initial state of {name}", value) for name, value in initial.items()}
    floats = [a.dtype for a in [*arrays.values(), *starts.values()] if a.dtype.kind == "f"]
    dtype = np.dtype(np.float32 if floats and all(d.itemsize <= 4 for d in floats) else np.float64)
    encoded = {name: _encoded(template, name, arrays[name], dtype) for name in data}
    whole = {**template.arrays, **arrays, **encoded}
    slices, batch = extent(template, encoded, T)
    if not data:
        batch = batch_of_states(template, states, starts)
    wanted = {name: shape for name, shape in states.items() if name not in template.learned}
    return Given(
        T=slices,
        batch=batch,
        dtype=dtype,
        parameters={n: whole[n].astype(dtype) for n in template.names("parameter", "constant")},
        data={
            n: np.broadcast_to(whole[n], (slices, *batch, *template.symbols[n].shape)).astype(dtype, copy=False)
            for n in series
        },
        initial={n: _initial_rows(template, n, s, starts.get(n), batch, dtype) for n, s in wanted.items()},
        shared=frozenset(n for n, shape in wanted.items() if n not in starts or starts[n].ndim == len(shape)),
        absent=frozenset(name for name in series if name not in data),
    )


def trusted(
    template: Template, parameters: Mapping[str, Array], data: Mapping[str, Array], T: int, batch: Shape
) -> Given:
    """Input that the library made itself, unchecked: float64 arrays, data in all slices, nothing initial."""
    missing = [name for name in template.names("input", "target") if name not in data]
    defaults = {n: np.broadcast_to(template.arrays[n], (T, *batch, *template.symbols[n].shape)) for n in missing}
    constants = {name: template.arrays[name] for name in template.names("constant")}
    states = {
        name: _initial_rows(template, name, shape, None, batch, np.dtype(float))
        for name, shape in template.initial_shapes().items()
        if name not in template.learned
    }
    return Given(
        T, batch, np.dtype(float), {**constants, **parameters}, {**defaults, **data}, states, frozenset(states),
        frozenset(missing),
    )  # fmt: skip


def check_mapping(what: str, found: object) -> None:
    """Refuse anything but a mapping from names."""
    if not isinstance(found, Mapping):
        raise DataError(f"{what} must be a dict from names to arrays, not {type(found).__name__}")


def check_names(what: str, found: Arrays, known: list[str], template: Template) -> None:
    """Refuse unknown names, and missing ones without a default."""
    check_mapping(f"{what}s", found)
    for name in found:
        if name not in known:
            raise unknown_name(name, known, what)
    for name in known:
        if name not in found and name not in template.arrays:
            raise DataError(f"{what} {name!r} is missing; template {template.name!r} needs {', '.join(known)}")


def _numbers(name: str, value: Any, is_input: bool = False) -> Array:
    """An array of finite real numbers; an input may hold -inf too, as logits do that are masked out."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DataError(f"{name} has masked elements; fill them, or give lengths= where sequences end early")
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(f"{name} is not a rectangular array; pad sequences to one length and give lengths=") from None
    except (RuntimeError, TypeError) as error:  # torch's, of tensors that require a gradient, or on another device
        raise DataError(f"{name}: {error}") from None
    if array.dtype == bool:
        return array.astype(float)
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} has type {array.dtype}; give real numbers")
    # the sum of squares is finite only if all numbers are, and takes a third of the time
    if array.dtype.kind == "f" and not math.isfinite(np.vdot(array, array)) and not np.isfinite(array).all():
        wrong = ~np.isfinite(array) & ~(is_input & (array == -np.inf))
        if not wrong.any():
            return array
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise DataError(f"{name} holds {array[place]} at index {place}; all numbers must be finite")
    return array


def _encoded(template: Template, name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Class indices as indicator vectors; probabilities as they are."""
    symbol = template.symbols[name]
    if not symbol.probabilities:
        return array
    K = symbol.shape[-1]
    if array.dtype.kind in "iu":
        if array.size and not 0 <= array.min() <= array.max() < K:
            place = tuple(int(k) for k in np.argwhere((array < 0) | (array >= K))[0])
            raise DataError(f"target {name!r} is class {array[place]} at index {place}; classes run from 0 to {K - 1}")
        return np.eye(K, dtype=dtype)[array]
    if array.ndim and array.shape[-1] == K:
        total = array.sum(-1)
        wrong = (np.abs(total - 1) > 1e-5) | (array < 0).any(-1)
        if wrong.any():
            place = tuple(int(k) for k in np.argwhere(wrong)[0])
            mend = "or rows of probabilities that sum to 1 (for weights multiply the loss by an input)"
            wrong_sum = f"target {name!r} at index {place} is no distribution (sum {total[place]:g})"
            raise DataError(f"{wrong_sum}; give class indices, {mend}")
        return np.asarray(array / np.sum(array, -1, float, keepdims=True))
    return array


def extent(template: Template, data: Mapping[str, Array], T: int | None) -> tuple[int, Shape]:
    """The number of slices and the batch axes on which all data agree."""
    if T is not None and (not isinstance(T, int | np.integer) or isinstance(T, bool)):
        raise DataError(f"T is {T!r}; the number of slices must be a positive integer")
    extents = {}
    for name, array in data.items():
        shape = template.symbols[name].shape
        lead = array.shape[: array.ndim - len(shape)]
        if array.shape[array.ndim - len(shape) :] != shape or len(lead) not in (1, 2):
            sizes = "".join(f", {n}" for n in shape)
            is_class = template.symbols[name].probabilities
            classes = f", or integer class indices (T,) or (T, B) below {shape[-1]}" if is_class else ""
            raise DataError(f"{name!r} has shape {array.shape}; it must be (T{sizes}) or (T, B{sizes}){classes}")
        extents[name] = lead
    first, agreed = next(iter(extents.items()), ("", (T,)))
    for name, lead in extents.items():
        if lead != agreed:
            mend = "time is axis 0 and the batch axis 1, in all data alike (one-hot targets must be floats)"
            raise DataError(f"{first!r} has (T[, B]) = {agreed} but {name!r} has {lead}; {mend}")
        if T is not None and lead[0] != T:
            raise DataError(f"{name!r} has {lead[0]} slices, but T is {T}")
    if not extents and T is None:
        raise DataError(f"template {template.name!r} got no data that tells the number of slices; give T=")
    slices, batch = agreed[0], agreed[1:]
    if slices is None or slices < 1 or 0 in batch:
        raise DataError(f"there are {slices} slices (T) of batch {batch}; give at least one slice of one sequence")
    return slices, batch


def batch_of_states(template: Template, states: Mapping[str, Shape], starts: Mapping[str, Array]) -> Shape:
    """The batch axis of initial states, where there are no data to tell it."""
    for name, start in starts.items():
        shape = states[name]
        at = len(shape) - len(template.symbols[name].shape)
        if start.size and start.ndim > len(shape) and start.shape == (*shape[:at], start.shape[at], *shape[at:]):
            return (start.shape[at],)
    return ()


def _initial_rows(
    template: Template, name: str, shape: Shape, start: Array | None, batch: Shape, dtype: np.dtype[Any]
) -> Array:
    """An initial state, (rows, *batch, *shape)."""
    core = template.symbols[name].shape
    rows = shape[: len(shape) - len(core)]
    array = np.asarray(template.initial.get(name, np.zeros(shape)) if start is None else start)
    if array.shape not in (shape, rows + batch + core):
        both = f"{shape} or {rows + batch + core}" if batch else f"{shape}"
        raise DataError(f"the initial state of {name} has shape {array.shape}; it must be {both}")
    n = rows[0] if rows else 1
    lead = (n,) + (1,) * len(batch) if array.shape == shape else (n, *batch)
    return np.broadcast_to(array.astype(dtype, copy=False).reshape(lead + core), (n, *batch, *core))


def roots(template: Template, given: Given) -> Iterator[tuple[Any, Array]]:
    """The nodes of the unrolled graph whose values are given, with these values; timed ones with batch axes."""
    yield from given.parameters.items()
    for name, series in given.data.items():
        yield from (((name, t), series[t]) for t in range(given.T))
    for name, rows in given.initial.items():
        yield from (((name, t), row) for t, row in zip(template.initial_slices(name, given.T), rows, strict=True))

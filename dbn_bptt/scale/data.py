"""The data of a part, as a network and as a template take them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.forms import entries, gathered, labels_of, sequences_of
from dbn_bptt.dbn.inference.tables import read_evidence, read_parquet
from dbn_bptt.dbn.networks.network import SEQUENCE, SLICE, Name, Network
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.files import read_arrays
from dbn_bptt.ops.kernels import Array
from dbn_bptt.scale.parts import Part
from dbn_bptt.template.template import Template

LENGTHS, INITIAL = "lengths", "initial "
Labels = tuple[tuple[str, bool, Array], ...]


@dataclass(frozen=True)
class Opened:
    """The data of a part.

    Attributes
    ----------
    data : evidence, or inputs and targets
    initial, lengths : what comes with them
    labels : what the part calls sequences that may go on in another part, as `Total.labels`
    """

    data: Any
    initial: Mapping[str, Any]
    lengths: Any = None
    labels: Labels = ()


def evidence_in(part: Part, network: Network) -> Opened | None:
    """Evidence in a form that `dbn.smooth` takes; None where there are no sequences."""
    held = part.held
    if _is_table(held):
        held = read_evidence(network, held)
    if hasattr(held, "columns"):
        return Opened(held, {}, None, _labels(part, held, network.names)) if len(held) else None
    if isinstance(held, list | tuple):
        return Opened([dict(_arrays(record)) for record in held], {}) if len(held) else None
    evidence = dict(_arrays(held))
    is_observed = LENGTHS in network.states or LENGTHS in network.emissions
    return Opened(evidence, {}, None if is_observed else evidence.pop(LENGTHS, None))


def data_in(part: Part, template: Template) -> Opened | None:
    """Data, initial states and lengths as `Program.value_and_grad` takes them; None where there are no sequences."""
    held = part.held
    if _is_table(held):
        held = _read_table(held)
    if hasattr(held, "columns"):
        return _from_columns(part, held, template) if len(held) else None
    if isinstance(held, list | tuple):
        return _padded(held) if len(held) else None
    data = dict(_arrays(held))
    lengths = None if LENGTHS in template.symbols else data.pop(LENGTHS, None)
    states = [f"{INITIAL}{name}" for name in template.initial_shapes()]
    return Opened(data, {name.removeprefix(INITIAL): data.pop(name) for name in states if name in data}, lengths)


def _is_table(held: Any) -> bool:
    return isinstance(held, Path) and held.suffix.lower() != ".npz"


def _arrays(held: Any) -> Mapping[str, Any]:
    if isinstance(held, Path):
        try:
            return read_arrays(held)
        except OSError as error:
            raise DataError(f"cannot read {held}: {error.strerror}") from None
    if not isinstance(held, Mapping):
        forms = "a dict, a DataFrame, or a list of dicts with a sequence each"
        raise DataError(f"it is of type {type(held).__name__}; a part is {forms}")
    return held


def _read_table(path: Path) -> Any:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        return read_parquet(path)
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _labels(part: Part, frame: Any, variables: Collection[Name]) -> Labels:
    """What a table calls its sequences, where nothing else tells that each begins in it."""
    found = labels_of(frame, variables)
    if found is None:
        if part.of_table:
            mend = "give it a column 'sequence'; or parts that are a sequence each as a list of Delayed"
            raise DataError(f"the dataframe tells no sequences apart, so each partition would be one; {mend}")
        return ()
    if part.of_table:
        return ((part.title, True, found),)
    counts = SLICE in frame.index.names or (SLICE in frame.columns and SLICE not in variables)
    return () if counts else ((part.title, False, found[[0, -1]]),)


def _padded(records: Any) -> Opened:
    """Sequences with a dict each as a batch, time first."""
    found = [{name: np.asarray(a) for name, a in _arrays(record).items()} for record in records]
    names = list(found[0])
    for k, record in enumerate(found):
        if set(record) != set(names):
            raise DataError(f"sequence {k} has {', '.join(record) or 'nothing'}, but sequence 0 {', '.join(names)}")
        shapes = {name: a.shape for name, a in record.items()}
        if len({shape[:1] for shape in shapes.values()}) != 1 or not all(map(len, shapes.values())):
            shown = ", ".join(f"{name!r} {shape}" for name, shape in shapes.items())
            raise DataError(f"sequence {k} has {shown}; give all of it the same slices, (T, ...)")
        for name, shape in shapes.items():
            if shape[1:] != found[0][name].shape[1:]:
                raise DataError(f"{name!r} of sequence {k} has shape {shape}, but that of 0 {found[0][name].shape}")
    lengths = np.array([len(record[names[0]]) for record in found])
    data = {}
    for name in names:
        kind = np.result_type(*(record[name] for record in found))
        data[name] = np.zeros((lengths.max(), len(found), *found[0][name].shape[1:]), kind)
        for k, record in enumerate(found):
            data[name][: lengths[k], k] = record[name]
    return Opened(data, {}, _if_ragged(lengths))


def _from_columns(part: Part, frame: Any, template: Template) -> Opened:
    """A table's columns as a batch, time first: y, or x[0], x[1], ... for a vector's numbers, or x with vectors."""
    titles = {name: _titles(template, name) for name in template.names("input", "target")}
    known = [SEQUENCE, SLICE, *titles, *(title for of in titles.values() for title in of)]
    for title in frame.columns:
        if title not in known:
            raise unknown_name(title, known, "column")
    rows = sequences_of(frame, list(titles))
    data = {}
    for name, of in titles.items():
        values = gathered(frame, name, of)
        if values is None:
            continue
        padded = rows.padded(values, 0)
        data[name] = padded if rows.titles is None else np.ascontiguousarray(np.swapaxes(padded, 0, 1))
    lengths = None if rows.titles is None else _if_ragged(rows.lengths)
    return Opened(data, {}, lengths, _labels(part, frame, list(titles)))


def _titles(template: Template, name: str) -> list[str]:
    """What the columns of a vector's numbers are called."""
    shape = template.symbols[name].shape
    return entries(name, shape[0]) if len(shape) == 1 else []


def _if_ragged(lengths: Array) -> Array | None:
    return None if (lengths == lengths.max()).all() else lengths

"""The data of a part, as a network and as a template take them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.forms import SEQUENCE, SLICE, entries, gathered, sequences_of
from dbn_bptt.dbn.network import Network
from dbn_bptt.dbn.tables import read_evidence, read_parquet
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.files import read_arrays
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.template import Template

LENGTHS, INITIAL = "lengths", "initial "


def evidence_in(held: Any, network: Network) -> tuple[Any, Any]:
    """Evidence in a form that `dbn.smooth` takes, and the lengths of its sequences if they come with it."""
    if isinstance(held, Path) and held.suffix.lower() != ".npz":
        return read_evidence(network, held), None
    if isinstance(held, Sequence):
        return _table(held), None
    if hasattr(held, "columns"):
        return held, None
    evidence = dict(_arrays(held))
    return evidence, None if LENGTHS in network.states else evidence.pop(LENGTHS, None)


def data_in(held: Any, template: Template) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Data, initial states and lengths as `Program.value_and_grad` takes them."""
    if isinstance(held, Path) and held.suffix.lower() != ".npz":
        held = _read_table(held)
    if isinstance(held, Sequence):
        return _padded(held)
    if hasattr(held, "columns"):
        return _from_columns(held, template)
    data = dict(_arrays(held))
    lengths = None if LENGTHS in template.symbols else data.pop(LENGTHS, None)
    states = [f"{INITIAL}{name}" for name in template.initial_shapes()]
    return data, {name.removeprefix(INITIAL): data.pop(name) for name in states if name in data}, lengths


def _arrays(held: Any) -> Mapping[str, Any]:
    if isinstance(held, Path):
        try:
            return read_arrays(held)
        except OSError as error:
            raise DataError(f"cannot read {held}: {error.strerror}") from None
    if not isinstance(held, Mapping):
        forms = "a dict, a DataFrame, or a list of dicts with a sequence each"
        raise DataError(f"it is a {type(held).__name__}; a part is {forms}")
    return held


def _read_table(path: Path) -> Any:
    import pandas as pd

    if path.suffix.lower() == ".parquet":
        return read_parquet(path)
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _records(records: Sequence[Any]) -> tuple[list[str], list[dict[str, Array]], Array]:
    """Sequences with a dict each: their names, their arrays, and their lengths."""
    found = [{name: np.asarray(a) for name, a in _arrays(record).items()} for record in records]
    if not found:
        raise DataError("it has no sequences")
    names = list(found[0])
    for k, record in enumerate(found):
        if set(record) != set(names):
            raise DataError(f"sequence {k} has {', '.join(record) or 'nothing'}, but sequence 0 {', '.join(names)}")
        if len({a.shape[:1] for a in record.values()}) != 1 or () in (a.shape for a in record.values()):
            shapes = ", ".join(f"{name!r} {a.shape}" for name, a in record.items())
            raise DataError(f"sequence {k} has {shapes}; give all of it the same slices, (T, ...)")
    return names, found, np.array([len(record[names[0]]) for record in found])


def _table(records: Sequence[Any]) -> Any:
    """Sequences with a dict each as one table."""
    import pandas as pd

    names, found, lengths = _records(records)
    columns = {name: np.concatenate([record[name] for record in found]) for name in names}
    return pd.DataFrame({SEQUENCE: np.repeat(np.arange(len(found)), lengths)} | columns)


def _padded(records: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Sequences with a dict each as a batch, time first."""
    names, found, lengths = _records(records)
    data = {}
    for name in names:
        first = found[0][name]
        data[name] = np.zeros((lengths.max(), len(found), *first.shape[1:]), np.result_type(*(r[name] for r in found)))
        for k, record in enumerate(found):
            if record[name].shape[1:] != first.shape[1:]:
                raise DataError(f"{name!r} of sequence {k} has shape {record[name].shape}, but that of 0 {first.shape}")
            data[name][: lengths[k], k] = record[name]
    return data, {}, _if_ragged(lengths)


def _from_columns(frame: Any, template: Template) -> tuple[dict[str, Any], dict[str, Any], Any]:
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
    return data, {}, None if rows.titles is None else _if_ragged(rows.lengths)


def _titles(template: Template, name: str) -> list[str]:
    """What the columns of a vector's numbers are called."""
    shape = template.symbols[name].shape
    return entries(name, shape[0]) if len(shape) == 1 else []


def _if_ragged(lengths: Array) -> Array | None:
    return None if (lengths == lengths.max()).all() else lengths

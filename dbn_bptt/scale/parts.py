"""Sequences in parts: files, Dask's collections, or data at hand."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dbn_bptt.errors import DataError

ENDINGS = (".parquet", ".csv", ".npz")


@dataclass(frozen=True)
class Part:
    """Some of the sequences.

    Attributes
    ----------
    title : what messages call it
    held : the path of a file; data; or what becomes data in Dask's hands
    of_table : whether it is a partition of one table
    """

    title: str
    held: Any = field(repr=False)
    of_table: bool = False


def listed(parts: Any) -> list[Part]:
    """The parts in what a user gives.

    Parameters
    ----------
    parts : a path, a pattern or a folder; a Dask bag or dataframe; one part; or an iterable of parts and paths
        A part is a dict, a DataFrame, a list of dicts with a sequence each, or a Delayed or Future of Dask's of any of
        these. Files end in .parquet, .csv or .npz.
    """
    if hasattr(type(parts), "to_delayed"):
        found = _partitions(parts)
    elif _is_one(parts):
        found = list(_opened(parts))
    elif isinstance(parts, Iterable):
        found = [part for item in parts for part in _opened(item)]
    else:
        forms = "paths, a Dask bag or dataframe, or an iterable of dicts, DataFrames or Delayed"
        raise DataError(f"parts is of type {type(parts).__name__}; give {forms}")
    if not found:
        raise DataError("there are no parts; give at least one")
    return [replace(part, title=f"part {k}{part.title}") for k, part in enumerate(found)]


def _is_one(item: Any) -> bool:
    """Whether something is a path or a part and no iterable of these."""
    if isinstance(item, str | os.PathLike | Mapping) or hasattr(item, "columns") or is_future(item):
        return True
    return "dask" in sys.modules and bool(sys.modules["dask"].is_dask_collection(item))


def is_future(item: Any) -> bool:
    """Whether something is a Future of Dask's."""
    return type(item).__name__ == "Future" and type(item).__module__.startswith("distributed")


def _opened(item: Any) -> Iterator[Part]:
    """A part as it is, or those of a path, a pattern or a folder."""
    if not isinstance(item, str | os.PathLike):
        yield Part("", item)
        return
    path = Path(item)
    if path.is_dir():
        found = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in ENDINGS)
    else:
        found = [str(path)] if path.exists() or not glob.has_magic(str(path)) else sorted(glob.glob(str(path)))
    if not found:
        raise DataError(f"no file of {', '.join(ENDINGS)} is in {item}" if path.is_dir() else f"no file is like {item}")
    for name in found:
        if not name.lower().endswith(ENDINGS):
            raise DataError(f"the ending of {name} tells no format; parts are files of {', '.join(ENDINGS)}")
        yield Part(f" ({name})", Path(name))


def _partitions(collection: Any) -> list[Part]:
    """The partitions of a Dask bag or dataframe."""
    kind = type(collection).__name__
    if hasattr(collection, "chunks") or kind == "Series":
        mend = "give a bag, a dataframe, or Delayed dicts of arrays"
        raise DataError(f"parts is a Dask {kind.lower()}, which has no names; {mend}")
    pieces = list(collection.to_delayed())
    of_table = hasattr(collection, "columns") and len(pieces) > 1
    return [Part("", piece, of_table) for piece in pieces]

"""Files written whole or not at all, and arrays in them."""

import io
import os
import zipfile
from collections.abc import Mapping
from errno import EISDIR
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that nobody ever finds a part of it there.

    Raises
    ------
    OSError
        Where it cannot be written; what was there before stays.
    """
    path = Path(path)
    if not path.name or path.is_dir():
        raise IsADirectoryError(EISDIR, "is a folder", str(path))
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write arrays as `numpy.savez` does, which takes none called file or allow_pickle; whole or not at all."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, a in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(a), allow_pickle=False)
    write_whole(path, content.getvalue())


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays in a file of NumPy's format npz.

    Raises
    ------
    DataError
        Where the file is cut off, damaged, or of another kind.
    OSError
        Where it cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, AttributeError, TypeError):
        raise DataError(f"file {str(path)!r} is cut off, damaged, or no npz file of arrays") from None

"""Files written whole or not at all."""

import os
from errno import EISDIR
from pathlib import Path


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
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

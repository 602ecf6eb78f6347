"""Machine code kept in a folder of the user's, so that it is made once for all processes.

A file is named by the hash of what it was made from, and begins with the hash of what it holds. One that is damaged,
or cannot be written, only costs the time to make it again.
"""

import hashlib
import os
from pathlib import Path

from dbn_bptt import files

_SIZE = hashlib.sha256().digest_size


def folder() -> Path:
    """Where code is kept: ``$DBN_BPTT_CACHE``, or a folder beside other caches of the user."""
    if own := os.environ.get("DBN_BPTT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dbn_bptt"


def _file(made_from: str) -> Path:
    return folder() / f"{hashlib.sha256(made_from.encode()).hexdigest()[:32]}.o"


def taken(made_from: str) -> bytes | None:
    """The code made from something, if it is kept and whole."""
    try:
        held = _file(made_from).read_bytes()
    except (OSError, RuntimeError):  # no such file, no home
        return None
    return held[_SIZE:] if hashlib.sha256(held[_SIZE:]).digest() == held[:_SIZE] else None


def keep(made_from: str, code: bytes) -> None:
    """Keep code, where that works."""
    try:
        path = _file(made_from)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, hashlib.sha256(code).digest() + code)
    except (OSError, RuntimeError):
        return

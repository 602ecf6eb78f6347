"""Scans compiled by numba, once for all processes of a user, and run by several threads.

Compiled code is kept in a folder of the user's, under the hash of its text. Where that cannot be written, or is
damaged, scans are compiled again, which is only slower.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from dbn_bptt import files
from dbn_bptt.errors import DataError

Scan = Callable[..., None]
ENGINES = ("numpy", "native")
SHARED_FROM = 1 << 14  # rows of sequences in a scan from which on threads pay


def is_installed() -> bool:
    """Whether numba is there."""
    return importlib.util.find_spec("numba") is not None


def checked_engine(engine: str | None) -> str | None:
    """The name of an engine, or None for the choice by size."""
    if engine is not None and engine not in ENGINES:
        raise DataError(
            f"engine={engine!r}; give one of {', '.join(map(repr, ENGINES))}, or None for the choice by size"
        )
    if engine == "native" and not is_installed():
        raise DataError("engine='native' needs numba: pip install 'dbn_bptt[native]'")
    return engine


def compiled_scans(scans: Mapping[str, str]) -> dict[str, Scan]:
    """The functions of some texts, compiled when they are first called."""
    return {name: KeptScan(name, text) for name, text in scans.items()}


class KeptScan:
    """A scan compiled for the types with which it is called, from the user's folder where that works."""

    def __init__(self, name: str, text: str):
        self.name, self.text = name, "import numpy as np\n\n\n" + text
        self.compiled: Scan | None = None

    def __call__(self, *arguments: Any) -> None:
        if self.compiled is not None:
            return self.compiled(*arguments)
        try:
            self.compiled = _jitted(_in_folder(self.name, self.text), cache=True)
            self.compiled(*arguments)
        except Exception:  # a folder that cannot be written, a file cut off: whatever it is, the text is still there
            namespace: dict[str, Any] = {}
            exec(self.text, namespace)
            self.compiled = _jitted(namespace[self.name], cache=False)
            self.compiled(*arguments)
        return None


def _jitted(function: Scan, cache: bool) -> Scan:
    import numba

    # sums may be taken in another order, and products be added in one step; infinities and NaN stay what they are
    jit = numba.njit(cache=cache, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
    return jit(function)


def folder() -> Path:
    """Where compiled scans are kept: ``$DBN_BPTT_CACHE``, or a folder beside other caches of the user."""
    if own := os.environ.get("DBN_BPTT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dbn_bptt"


def _in_folder(name: str, text: str) -> Scan:
    """The function of a text, from a file that numba can keep its code beside."""
    title = f"scan_{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    path = folder() / f"{title}.py"
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, text.encode())
    spec = importlib.util.spec_from_file_location(title, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(title, module)
    spec.loader.exec_module(module)
    return getattr(module, name)


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="dbn_bptt")


def in_parts(scan: Scan, B: int, n: int, *arrays: Any) -> None:
    """A scan over all sequences; a large batch is shared out among threads.

    A sequence is computed by one thread, so that the numbers are the same for any number of them.
    """
    if B < 2 or B * n < SHARED_FROM:
        return scan(0, B, n, *arrays)
    parts = min(B, os.cpu_count() or 1)
    bounds = [B * k // parts for k in range(parts + 1)]
    scan(0, 0, n, *arrays)  # compiled here, before threads could do it twice
    done = [_threads().submit(scan, a, b, n, *arrays) for a, b in pairwise(bounds)]
    for part in done:
        part.result()
    return None

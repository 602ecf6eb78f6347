"""Functions of loops as machine code, run by several threads where there are many sequences."""

import importlib.util
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.instructions import Loops
from dbn_bptt.program.llvm_source import written
from dbn_bptt.program.machine import made

POINTER = object.__basicsize__  # bytes into an array of NumPy's, where C's layout of it has the pointer to its numbers
SHARED_FROM = 1 << 14  # rows of sequences in a run from which on threads pay
SIDE, SLICES = 16, 1 << 12  # sequences that go side by side: so many, or of short ones as have so many slices


def is_installed() -> bool:
    """Whether llvmlite is there."""
    return importlib.util.find_spec("llvmlite") is not None


class Library:
    """The functions of loops of one program, compiled when one is first called, for its type of numbers."""

    def __init__(self, loops: Mapping[str, Loops]):
        self.loops = loops
        self.compiled: dict[Any, dict[str, Callable[..., int]]] = {}

    def function(self, name: str, dtype: Any) -> Callable[..., int]:
        """A function for numbers of a type."""
        if dtype not in self.compiled:
            real = {8: "double", 4: "float"}[np.dtype(dtype).itemsize]
            code = {title: written(of.text, title, of.arrays, real) for title, of in self.loops.items()}
            self.compiled[dtype] = made(code, {title: len(of.arrays) for title, of in self.loops.items()})
        return self.compiled[dtype][name]


def compiled_loops(loops: Mapping[str, Loops]) -> dict[str, Any]:
    """What stands in a program for its functions of loops: these compiled, and what shares work among threads."""
    library = Library(loops)
    return {**{name: (library, name) for name in loops}, "in_parts": in_parts}


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="dbn_bptt")


def _is_plain(a: Any, dtype: Any) -> bool:
    """Whether something, a number of NumPy's perhaps, is an array as machine code reads it."""
    return type(a) is np.ndarray and a.flags.c_contiguous and a.dtype == dtype


def in_parts(sweeps: tuple[Library, str], T: int, B: int, dtype: Any, *arrays: Array) -> None:
    """Loops over all sequences; a large batch is shared out among threads.

    A sequence is computed by one thread, so that the numbers are the same for any number of them.
    """
    library, name = sweeps
    function = library.function(name, dtype)
    held = [a if _is_plain(a, dtype) else np.ascontiguousarray(a, dtype) for a in arrays]
    places = [id(a) + POINTER for a in held]

    def part(first: int, last: int) -> int:
        side = max(SIDE, SLICES // T)
        return sum(function(k, min(k + side, last), T, B, *places) for k in range(first, last, side))

    if B < 2 or B * T < SHARED_FROM:
        failed = part(0, B)
    else:
        parts = min(B, os.cpu_count() or 1)
        bounds = [B * k // parts for k in range(parts + 1)]
        runs = [_threads().submit(part, a, b) for a, b in pairwise(bounds)]
        failed = sum(run.result() for run in runs)  # of all, which use the arrays until they are done
    for title, a, own in zip(library.loops[name].arrays, arrays, held, strict=True):
        if own is not a and title in library.loops[name].results:
            a[...] = own
    if failed:
        raise np.linalg.LinAlgError("Singular matrix")

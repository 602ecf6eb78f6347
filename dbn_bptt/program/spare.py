"""Memory that one run leaves to the next.

A system hands memory out page by page, at each first touch, and that can take longer than the work on it. So what a
run has had is kept, up to a limit for all programs together, and lent to the next run that needs as much.
"""

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape

LIMIT = 512 << 20  # bytes kept at most
SMALL = 1 << 17  # bytes up to which memory is quick to come by
_kept: list[Array] = []  # of bytes; what was used last stands last
_lock = threading.Lock()


class lent:
    """A function like `numpy.empty`, whose arrays are good until the end of the block.

    Examples
    --------
    >>> with lent() as empty:
    ...     empty((3, 4), np.float32).shape
    (3, 4)
    """

    def __enter__(self) -> Callable[[Shape, Any], Array]:
        self.taken: list[Array] = []
        return self.empty

    def __exit__(self, *_: object) -> None:
        if self.taken:
            _leave(self.taken)

    def empty(self, shape: Shape, dtype: Any) -> Array:
        """An array without numbers yet."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size <= SMALL:
            return np.empty(shape, dtype)
        self.taken.append(_take(size))
        return self.taken[-1][:size].view(dtype).reshape(shape)


def _take(size: int) -> Array:
    """Some bytes, of what is kept if that is not far too much."""
    with _lock:
        fits = [k for k, chunk in enumerate(_kept) if size <= chunk.size <= 2 * size]
        if fits:
            return _kept.pop(fits[-1])
    return np.empty(size, np.uint8)


def _leave(chunks: list[Array]) -> None:
    """Keep these bytes, and let go of the oldest beyond the limit."""
    with _lock:
        _kept.extend(chunk for chunk in chunks if chunk.size <= LIMIT)
        while sum(chunk.size for chunk in _kept) > LIMIT:
            del _kept[0]

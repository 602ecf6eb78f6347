"""What kinds of emissions share: checked numbers, and rows with the same numbers missing."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array

LEAST = 1e-12  # the share of all weights below which a state has too little to learn from


def finite(what: str, values: Any) -> Array:
    """An array of finite numbers."""
    try:
        found = np.array(values, float)
    except (TypeError, ValueError):
        raise DataError(f"{what} is no array of numbers") from None
    if not np.isfinite(found).all():
        raise DataError(f"{what} holds NaN or infinity; all numbers must be finite")
    return found


def patterns(x: Array) -> Iterator[tuple[Array, Array]]:
    """Rows with the same numbers missing, as masks of the rows and of the numbers that are there, if any is."""
    seen = ~np.isnan(x)
    if seen.all():
        yield np.ones(len(x), bool), np.ones(x.shape[1], bool)
        return
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    for k, of in enumerate(patterns):
        if of.any():
            yield which.ravel() == k, of

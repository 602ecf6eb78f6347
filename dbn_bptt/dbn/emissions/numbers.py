"""What kinds of emissions share: checked numbers, rows with the same numbers missing, and rows far from each other."""

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


def filled(x: Array) -> Array:
    """Rows with the mean of its column for each number that is missing, 0 where all of a column are."""
    seen = ~np.isnan(x)
    means = np.where(seen, x, 0.0).sum(0) / np.maximum(seen.sum(0), 1)
    return np.where(seen, x, means)


def far_apart(rows: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Rows drawn one after the other, each with a probability in proportion to the square of its distance from those
    before it (Arthur and Vassilvitskii 2007), and which of them is nearest to each row.

    Columns count by their standard deviations.
    """
    spread = rows.std(0)
    scaled = rows / np.where(spread > 0, spread, 1.0)
    chosen, distances = [int(rng.integers(len(rows)))], np.full((len(rows), n), np.inf)
    for k in range(n):
        distances[:, k] = ((scaled - scaled[chosen[-1]]) ** 2).sum(1)
        chances = distances.min(1)
        total = chances.sum()
        chosen.append(int(rng.choice(len(rows), p=chances / total if total > 0 else None)))
    return rows[chosen[:n]], distances.argmin(1)

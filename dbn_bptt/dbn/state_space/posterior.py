"""What inference finds in linear-Gaussian models: means and covariances over time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dbn_bptt.dbn.inference.plots import bands, one_sequence
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.ops.kernels import Array


def place(names: tuple[Any, ...], name: Any) -> int:
    """Where a variable stands in a state whose numbers have names."""
    if not names:
        raise DataError(f"the numbers of this state have no names such as {name!r}; they are .mean[..., 0] and so on")
    if name not in names:
        raise unknown_name(name, names, "variable")
    return names.index(name)


class Marginal(NamedTuple):
    """The mean and the variance of one variable, (T,) or (B, T), or of one slice."""

    mean: Array
    variance: Array


@dataclass(frozen=True)
class GaussianPosterior:
    """Means and covariances of the state in every slice, given observations.

    Attributes
    ----------
    mean : (T, d), or (B, T, d) for a batch
    covariance : (T, d, d), or (B, T, d, d)
    log_likelihood : log p(y) in nats, summed over a batch
    start : the slice that the first row belongs to, as in a prediction
    names : of the numbers of the state, in a network: ``posterior["X"]``, ``posterior["X", 2]`` are mean and variance
    """

    mean: Array = field(repr=False)
    covariance: Array = field(repr=False)
    log_likelihood: float
    start: int = 0
    names: tuple[Any, ...] = ()

    def __getitem__(self, key: Any) -> Marginal:
        name, t = key if key not in self.names and isinstance(key, tuple) and len(key) == 2 else (key, None)
        i = place(self.names, name)
        mean, variance = self.mean[..., i], self.covariance[..., i, i]
        if t is None:
            return Marginal(mean, variance)
        if not self.start <= t < self.start + mean.shape[-1]:
            raise DataError(f"there is no slice {t}; slices run from {self.start} to {self.start + mean.shape[-1] - 1}")
        return Marginal(mean[..., t - self.start], variance[..., t - self.start])

    def __str__(self) -> str:
        return f"Gaussian posterior, mean {self.mean.shape}, log-likelihood {self.log_likelihood:.6g}"

    __repr__ = __str__

    def plot(self, evidence: Mapping[str, Any] | None = None, *, sequence: int = 0) -> Any:
        """A matplotlib figure of one sequence: means, two standard deviations to either side, and below what was seen.

        Examples
        --------
        >>> import numpy as np
        >>> from dbn_bptt import dbn
        >>> walk = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]])
        >>> len(dbn.smooth(walk, {"y": [1.0, np.nan, 3.0]}).plot({"y": [1.0, np.nan, 3.0]}).axes)
        2
        """
        batched = self.mean.ndim == 3
        mean, covariance = (a[sequence] if batched else a for a in (self.mean, self.covariance))
        deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0))
        seen = {name: one_sequence(x, sequence, batched, name) for name, x in (evidence or {}).items()}
        return bands(mean, deviation, self.start, seen, self.names)

    def to_frame(self) -> Any:
        """A pandas DataFrame of one sequence: mean and standard deviation of every number of the state, by slice."""
        import pandas as pd

        if self.mean.ndim != 2:
            raise DataError("a frame is made of one sequence; take mean and covariance of a batch apart")
        deviations = np.sqrt(np.maximum(np.diagonal(self.covariance, axis1=-2, axis2=-1), 0.0))
        names = self.names or tuple(range(self.mean.shape[1]))
        columns = {("mean", name): column for name, column in zip(names, self.mean.T, strict=True)}
        columns |= {("deviation", name): column for name, column in zip(names, deviations.T, strict=True)}
        return pd.DataFrame(columns, pd.RangeIndex(self.start, self.start + len(self.mean), name="t"))

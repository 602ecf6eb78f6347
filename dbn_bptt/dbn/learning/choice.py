"""Choosing a model: how many parameters it has, what evidence says of it, and what evidence held out says."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Soft
from dbn_bptt.dbn.inference.query import swept
from dbn_bptt.dbn.inference.task import Task, observe, prepare
from dbn_bptt.dbn.learning.climb import Fit
from dbn_bptt.dbn.learning.learn import fit
from dbn_bptt.dbn.polynomial.reductions import SUM
from dbn_bptt.dbn.state_space.answers import log_likelihood_gaussian
from dbn_bptt.dbn.state_space.kalman import KalmanFilter, kalman_data, refuse
from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.kernels import Array


@dataclass(frozen=True)
class Score:
    """What evidence says of a model; the smaller a criterion, the better.

    Attributes
    ----------
    log_likelihood : log p(evidence) in nats, of all sequences together
    parameters : how many numbers of the model are free
    slices : of all sequences together
    """

    log_likelihood: float
    parameters: int
    slices: int

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 k - 2 log p."""
        return 2 * self.parameters - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """The Bayesian criterion, k log n - 2 log p, with n slices."""
        return self.parameters * float(np.log(self.slices)) - 2 * self.log_likelihood

    def __str__(self) -> str:
        return (
            f"log-likelihood {self.log_likelihood:.6g}, {self.parameters} free parameters, {self.slices} slices: "
            f"AIC {self.aic:.6g}, BIC {self.bic:.6g}"
        )

    __repr__ = __str__


def score(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Score:
    """log p(evidence), the number of free parameters, and the criteria of Akaike and of Bayes that follow.

    A table with K states has K - 1 free numbers in each column, zeros included, and counts once where one serves all
    slices. Emissions and linear-Gaussian models count what `fit` learns, covariances as symmetric; conditional networks
    count every weight. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> score(dbn.umbrella(), {"Umbrella": [1, 1, 0, 1, 0]})
    log-likelihood -3.83929, 5 free parameters, 5 slices: AIC 17.6786, BIC 15.7258
    """
    if isinstance(model, KalmanFilter):
        refuse("score", soft=soft, T=T, lengths=lengths)
        slices = int(np.prod(kalman_data(model, evidence)["y"].shape[:-1]))
        return Score(float(np.sum(log_likelihood_gaussian(model, evidence))), free_parameters(model), slices)
    prepared = prepare(model)
    seen = observe(prepared, evidence, soft=soft, T=T, lengths=lengths)
    found = swept(Task(prepared, seen.under(prepared.network)), SUM, ()).log_likelihood
    return Score(float(np.sum(found)), free_parameters(model), seen.slices)


def free_parameters(model: Any) -> int:
    """How many numbers of a model are free.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> free_parameters(dbn.umbrella()), free_parameters(dbn.emit(dbn.umbrella(), "X", dbn.poisson("Rain", [1.0, 4.0])))
    (5, 7)
    """
    if isinstance(model, KalmanFilter):
        symmetric = {"Q", "R", "covariance"}
        sizes = {name: a.shape for name, a in model.parameters.items()}
        return int(sum(n[0] * (n[0] + 1) // 2 if name in symmetric else np.prod(n) for name, n in sizes.items()))
    network = prepare(model).network
    tables = [table.values for table, _ in network.undriven()]
    if network.conditional:
        columns = sum(int((a > 0).sum()) for a in tables)
    else:
        columns = sum(a.size - a[0].size for a in tables)
    emitted, driven = (sum(of.free for of in some.values()) for some in (network.emissions, network.drives))
    return int(columns + emitted + driven)


@dataclass(frozen=True)
class CrossValidation:
    """What models say of the sequences that they were not learnt from.

    Attributes
    ----------
    log_likelihoods : of each sequence, (B,)
    slices : of all sequences together
    fits : one for each fold
    """

    log_likelihoods: Array = field(repr=False)
    slices: int
    fits: tuple[Fit, ...] = field(repr=False)

    @property
    def mean(self) -> float:
        """The log-likelihood a slice."""
        return float(self.log_likelihoods.sum() / self.slices)

    @property
    def error(self) -> float:
        """The standard error of the mean, from the spread among the sequences."""
        n = len(self.log_likelihoods)
        return float(self.log_likelihoods.std(ddof=1) * np.sqrt(n) / self.slices)

    def __str__(self) -> str:
        return (
            f"held out: log-likelihood {self.mean:.5g} a slice, standard error {self.error:.2g}, "
            f"{len(self.log_likelihoods)} sequences in {len(self.fits)} folds"
        )

    __repr__ = __str__


def cross_validate(
    model: Any, evidence: Any = None, *, folds: int = 5, seed: int | np.random.Generator = 0, soft: Soft | None = None,
    T: int | None = None, lengths: Any = None, **options: Any,
) -> CrossValidation:  # fmt: skip
    """Learn a model without some of the sequences, and ask it about these; in turn, until all have been left out.

    Parameters
    ----------
    model, evidence, soft, T, lengths
        As in `fit`; at least two sequences.
    folds : int
        Into how many groups the sequences are divided, at random by `seed`; as many as there are sequences leaves out
        one at a time.
    **options
        steps, tolerance, prior and starts, as in `fit`.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> data = dbn.sample(dbn.umbrella(), 20, T=30, seed=1)["Umbrella"]
    >>> cross_validate(dbn.umbrella(), {"Umbrella": data}, folds=4, steps=5)
    held out: log-likelihood -0.66558 a slice, standard error 0.013, 20 sequences in 4 folds
    """
    prepared = prepare(model)
    seen = observe(prepared, evidence, soft=soft, T=T, lengths=lengths)
    B = seen.batch[0] if seen.batch else 1
    folds = positive(folds, f"folds is {folds!r}; it must be a number of groups, at least 2")
    if B < 2 or not 2 <= folds <= B:
        raise DataError(f"there are {B} sequences and {folds} folds; give at least two, and no more than the sequences")
    order = np.random.default_rng(seed).permutation(B)
    found, fits = np.zeros(B), list[Fit]()
    for out in np.array_split(order, folds):
        learnt = fit(prepared, seen.chosen(np.setdiff1d(order, out)), **options)
        asked = prepare(learnt.model, prepared.engine)
        found[out] = swept(Task(asked, seen.chosen(out).under(asked.network)), SUM, ()).log_likelihood
        fits.append(learnt)
    return CrossValidation(found, seen.slices, tuple(fits))

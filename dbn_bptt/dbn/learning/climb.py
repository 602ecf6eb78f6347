"""Expectation maximisation, whatever is learnt: when it stops, how far it has come, and what it found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from tqdm import tqdm

from dbn_bptt.errors import DataError, ModelError


@dataclass(frozen=True)
class Fit:
    """What learning found.

    Attributes
    ----------
    found : what was learnt, a `Network` or matrices by name
    log_likelihoods : log p(evidence) before each step and after the last
    converged : whether the last step raised it by less than the tolerance
    finished : what makes of it what `model` is
    """

    found: Any = field(repr=False)
    log_likelihoods: tuple[float, ...]
    converged: bool
    finished: Callable[[Any], Any] | None = field(default=None, repr=False)

    @cached_property
    def model(self) -> Any:
        """What was learnt, made when first asked for.

        A new pgmpy DynamicBayesianNetwork; a `Network` where there are emissions, or edges that reach further back; or
        a template like the one that `linear_gaussian` returned.
        """
        return self.finished(self.found) if self.finished else self.found

    def __str__(self) -> str:
        start, end = self.log_likelihoods[0], self.log_likelihoods[-1]
        how = "converged" if self.converged else "not converged"
        return f"Fit: log-likelihood {start:.6g} -> {end:.6g} in {len(self.log_likelihoods) - 1} steps, {how}"

    __repr__ = __str__


@dataclass(frozen=True)
class Rules:
    """When to stop, and what is added to counts; see `fit`."""

    steps: int
    tolerance: float
    prior: float

    def __post_init__(self) -> None:
        numbers = (self.steps, self.prior, self.tolerance)
        whole = all(isinstance(number, Real) for number in numbers) and np.isfinite(self.steps) and self.steps % 1 == 0
        if not (whole and 0 <= self.prior < np.inf and self.steps >= 1 and self.tolerance >= 0):
            given = f"steps={self.steps!r}, prior={self.prior!r}, tolerance={self.tolerance!r}"
            raise DataError(f"{given}; give at least one step, and a prior and a tolerance of 0 or more")


@dataclass(frozen=True)
class Climb:
    """How far expectation maximisation has come.

    Attributes
    ----------
    model : the network, or the parameters, that the last step led to
    log_likelihoods : log p(evidence) of the models before it
    reached : the last of them, times the prior's density
    """

    model: Any
    log_likelihoods: tuple[float, ...] = ()
    reached: float = -np.inf


@dataclass(frozen=True)
class Steps:
    """What a step is made of.

    Attributes
    ----------
    expected : the E-step: log p(evidence) under a model, and what is expected given the evidence
    improved : the M-step: the model under which that is most probable, with a prior
    finished : what a user gets of a model; a function of a module's, if fits are to be pickled
    log_prior : the logarithm of a prior's density, up to a constant
    scored : log p(evidence) alone, where that is less work than the E-step
    """

    expected: Callable[[Any], tuple[float, Any]]
    improved: Callable[[Any, Any, float], Any]
    finished: Callable[[Any], Any]
    log_prior: Callable[[Any, float], float] = lambda model, prior: 0.0
    scored: Callable[[Any], float] | None = None

    def of_the_last(self, model: Any) -> tuple[float, Any]:
        """What the E-step finds, when no M-step follows."""
        return (self.scored(model), None) if self.scored else self.expected(model)


def climbed(
    steps: Steps, climb: Climb, rules: Rules, progress: bool = False, keep: Callable[[Climb], None] = lambda climb: None
) -> Fit:
    """Steps of expectation maximisation, from where a climb has come to; `keep` is called after each."""
    with tqdm(desc="EM", total=int(rules.steps), initial=len(climb.log_likelihoods), disable=not progress) as bar:
        while True:
            last = len(climb.log_likelihoods) >= rules.steps
            found, counts = steps.of_the_last(climb.model) if last else steps.expected(climb.model)
            bar.set_postfix_str(f"log-likelihood {found:.6g}")
            log_likelihoods = (*climb.log_likelihoods, found)
            reached = found + steps.log_prior(climb.model, rules.prior)
            converged = reached - climb.reached <= rules.tolerance * abs(reached)
            if converged or last:
                return Fit(climb.model, log_likelihoods, converged, steps.finished)
            climb = Climb(steps.improved(climb.model, counts, rules.prior), log_likelihoods, reached)
            keep(climb)
            bar.update()


def best_of(learn: Callable[[Any], Fit], beginnings: Iterable[Any]) -> Fit:
    """The fit that came highest, of those that begin here or there; one that collapses is passed over, unless all do.

    Examples
    --------
    >>> best_of(lambda start: Fit(None, (start, start + 1.0), True), [1.0, 5.0, 3.0])
    Fit: log-likelihood 5 -> 6 in 1 steps, converged
    """
    tried = [_tried(learn, start) for start in beginnings]
    fits = [found for found in tried if isinstance(found, Fit)]
    if not fits:
        raise next(error for error in tried if isinstance(error, ModelError))
    return max(fits, key=lambda found: found.log_likelihoods[-1])


def _tried(learn: Callable[[Any], Fit], start: Any) -> Fit | ModelError:
    try:
        return learn(start)
    except ModelError as error:
        return error

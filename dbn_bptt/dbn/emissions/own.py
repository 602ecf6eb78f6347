"""Emissions of one's own: an expression of parameters and a vector that gives the states' log-likelihoods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.dbn.networks.scores import Scores, scores
from dbn_bptt.errors import DataError, ModelError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.template import Described

OUT = "log_likelihood"
Draw = Callable[[Array, Mapping[str, Array], np.random.Generator], Array]


@dataclass(frozen=True)
class Expressed:
    """An emission whose log-likelihoods are a template's; made by `emission`.

    Attributes
    ----------
    parent : whose states these are
    scores : the log-likelihoods
    draw : draws vectors for states, if there is a way
    """

    parent: Name
    scores: Scores
    draw: Draw | None = field(default=None, repr=False)

    @property
    def states(self) -> int:
        """K."""
        return self.scores.shape[0]

    @property
    def size(self) -> int:
        """d."""
        return self.scores.size

    @property
    def parameters(self) -> Mapping[str, Array]:
        """By name."""
        return self.scores.parameters

    @property
    def free(self) -> int:
        """All numbers in its parameters."""
        return self.scores.free

    def at(self, parameters: Mapping[str, Array]) -> "Expressed":
        """With other parameters."""
        return replace(self, scores=self.scores.at(parameters))

    def check(self, x: Array) -> None:
        """Refuse vectors of which a part is missing."""
        self.scores.check(x)

    def log_likelihoods(self, x: Array) -> Array:
        """(N, K)."""
        return self.scores.of(x)

    def statistics(self, x: Array, weights: Array) -> dict[str, Array]:
        """All vectors and weights: no sum says what they do."""
        return self.scores.seen(x, weights)

    def maximised(self, statistics: Mapping[str, Array]) -> "Expressed":
        """Some steps of L-BFGS up the weighted sum of log-likelihoods, which never lead down."""
        return replace(self, scores=self.scores.raised(statistics["x"], statistics["weights"]))

    def drawn(self, states: Array, x: Array, rng: np.random.Generator) -> Array:
        """(N, d)."""
        missing = np.isnan(x).any(1)
        if not missing.any():
            return x
        if self.draw is None:
            raise DataError("nothing tells how vectors of this emission are drawn; give emission(..., draw=)")
        found = x.copy()
        found[missing] = self.draw(states[missing], self.parameters, rng)
        return found

    def scattered(self, x: Array, rng: np.random.Generator) -> "Expressed":
        """As it is: nothing tells what other parameters make sense."""
        return self


def emission(
    parent: Name, template: Described, parameters: Mapping[str, Any], *, draw: Draw | None = None, steps: int = 20
) -> Expressed:
    """An emission of one's own for `emit`: a template that says log p(x | state) for all states.

    Parameters
    ----------
    parent : the variable
    template : SliceTemplate
        With one input (d,) and a variable ``log_likelihood`` (K,) that depends on its own slice alone. A part of the
        input may be what the others are conditioned on, such as covariates.
    parameters : where learning begins, by name
    draw : function of states (N,), parameters and a generator, to vectors (N, d); for `sample`
    steps : how many steps of L-BFGS an M-step of `fit` takes

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> t = db.SliceTemplate("one of three symbols, from logits")
    >>> x, logits = t.input("x", 3), t.parameter("logits", (2, 3))
    >>> t.define(t.variable("log_likelihood", 2), logits @ x - db.logsumexp(logits, -1))
    >>> own = db.dbn.emission("Rain", t, {"logits": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])})
    >>> model = db.dbn.emit(db.dbn.umbrella(), "Sky", own)
    >>> db.dbn.smooth(model, {"Sky": [[1, 0, 0], [1, 0, 0]]})["Rain"].round(3)
    array([[0.202, 0.798],
           [0.202, 0.798]])
    """
    found = scores("an emission", template, parameters, OUT, steps)
    if len(found.shape) != 1:
        raise ModelError(f"the variable {OUT!r} of an emission has shape {found.shape}; it is a number for each state")
    return Expressed(parent, found, draw)

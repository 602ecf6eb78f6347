"""Emissions of one's own: an expression of parameters and a vector that gives the states' log-likelihoods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.dbn.network import Name
from dbn_bptt.errors import DataError, ModelError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program import Program, compile
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.stored import check_parameters
from dbn_bptt.template.structure import interface
from dbn_bptt.template.template import Described

OUT, WEIGHTS = "log_likelihood", "weights_of_states"
Draw = Callable[[Array, Mapping[str, Array], np.random.Generator], Array]


@dataclass(frozen=True)
class Expressed:
    """An emission whose log-likelihoods are a template's; made by `emission`.

    Attributes
    ----------
    parent : whose states these are
    program : of the template, with the weighted sum of log-likelihoods as its loss
    parameters : by name
    draw : draws vectors for states, if there is a way
    steps : of L-BFGS in an M-step
    """

    parent: Name
    program: Program = field(repr=False)
    parameters: Mapping[str, Array] = field(repr=False)
    draw: Draw | None = field(default=None, repr=False)
    steps: int = 20

    @property
    def states(self) -> int:
        """K."""
        return int(self.program.template.symbols[OUT].shape[0])

    @property
    def _input(self) -> str:
        return next(name for name in self.program.template.names("input") if name != WEIGHTS)

    @property
    def size(self) -> int:
        """d."""
        return int(self.program.template.symbols[self._input].shape[0])

    @property
    def free(self) -> int:
        """All numbers in its parameters."""
        return sum(a.size for a in map(np.asarray, self.parameters.values()))

    def at(self, parameters: Mapping[str, Array]) -> "Expressed":
        """With other parameters."""
        return replace(self, parameters={name: parameters[name] for name in self.parameters})

    def check(self, x: Array) -> None:
        """Refuse vectors of which a part is missing."""
        missing = np.isnan(x)
        if (missing.any(1) != missing.all(1)).any():
            raise DataError("a vector has some numbers and lacks others; give all, or NaN for all")

    def log_likelihoods(self, x: Array) -> Array:
        """(N, K)."""
        found, seen = np.zeros((len(x), self.states)), ~np.isnan(x).any(1)
        if seen.any():
            found[seen] = self.program.values(self.parameters, {self._input: x[seen]}, T=int(seen.sum()))[OUT]
        return found

    def statistics(self, x: Array, weights: Array) -> dict[str, Array]:
        """All vectors and weights: no sum says what they do."""
        seen = ~np.isnan(x).any(1)
        return {"x": x[seen], "weights": weights[seen]}

    def maximised(self, statistics: Mapping[str, Array]) -> "Expressed":
        """Some steps of L-BFGS up the weighted sum of log-likelihoods, which never lead down."""
        from scipy.optimize import minimize

        x, weights = statistics["x"], statistics["weights"]
        if not len(x):
            return self
        fun, start = self.program.flat({self._input: x, WEIGHTS: weights}, parameters=self.parameters)
        found = minimize(fun, start, jac=True, method="L-BFGS-B", options={"maxiter": self.steps})
        return self.at(self.program.unflat(found.x)) if found.fun <= fun(start)[0] else self

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
    t = SliceTemplate.of(template)
    inputs, out = t.frozen.names("input"), t.frozen.symbols.get(OUT)
    if len(inputs) != 1 or len(t.frozen.symbols[inputs[0]].shape) != 1 or t.frozen.names("target"):
        raise ModelError(f"the template of an emission has one input, a vector, and no target; it has {inputs}")
    if out is None or out.kind != "variable" or len(out.shape) != 1:
        raise ModelError(f"the template of an emission defines a variable {OUT!r}, a number for each state")
    if interface(t):
        raise ModelError(f"{interface(t)[0]!r} is read in another slice; an emission depends on its own slice alone")
    if t.frozen.losses:
        raise ModelError("the template of an emission has no loss; expectation maximisation gives it one")
    t.loss("L", -(t.input(WEIGHTS, out.shape, default=0.0) @ t[OUT]))
    arrays = {name: np.asarray(a, float) for name, a in parameters.items()}
    check_parameters("the parameters of the emission", arrays, t.frozen)
    return Expressed(parent, compile(t), arrays, draw, steps)

"""Numbers that a template computes from an observed vector, and how its parameters climb by what these count for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import DataError, ModelError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program import Program
from dbn_bptt.program.run import kept
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.stored import check_parameters
from dbn_bptt.template.structure import interface
from dbn_bptt.template.template import Described, Template

WEIGHTS, NORMALISED = "weights_of_scores", "log_probability"


@dataclass(frozen=True)
class Scores:
    """A template of one vector (d,) whose variable `out` holds the scores; made by `scores`.

    Attributes
    ----------
    parameters : by name
    steps : of L-BFGS at a time
    normalised : whether the scores along axis 0 are made logarithms of probabilities
    """

    template: Template = field(repr=False)
    out: str
    parameters: Mapping[str, Array] = field(repr=False)
    steps: int
    normalised: bool = False

    @property
    def program(self) -> Program:
        """The template with its scores, each times a weight, as gain."""
        return kept(_weighted(self.template, self.out, self.normalised), None)

    @property
    def _input(self) -> str:
        return self.template.names("input")[0]

    @property
    def size(self) -> int:
        """d."""
        return int(self.template.symbols[self._input].shape[0])

    @property
    def shape(self) -> Shape:
        """That of the scores."""
        return self.template.symbols[self.out].shape

    @property
    def free(self) -> int:
        """All numbers in its parameters."""
        return sum(np.size(a) for a in self.parameters.values())

    def at(self, parameters: Mapping[str, Array]) -> "Scores":
        """With other parameters."""
        return replace(self, parameters={name: parameters[name] for name in self.parameters})

    def check(self, x: Array) -> None:
        """Refuse vectors of which a part is missing."""
        missing = np.isnan(x)
        if (missing.any(1) != missing.all(1)).any():
            raise DataError("a vector has some numbers and lacks others; give all, or NaN for all")

    def of(self, x: Array) -> Array:
        """The scores of vectors (N, d); 0 of those that are missing."""
        found, seen = np.zeros((len(x), *self.shape)), ~np.isnan(x).any(1)
        if seen.any():
            out = NORMALISED if self.normalised else self.out
            found[seen] = self.program.values(self.parameters, {self._input: x[seen]}, T=int(seen.sum()))[out]
        return found

    def seen(self, x: Array, weights: Array) -> dict[str, Array]:
        """The vectors that are there, and what their scores count for; no sums say enough."""
        there = ~np.isnan(x).any(1)
        return {"x": x[there], "weights": weights[there]}

    def gradient(self, x: Array, weights: Array) -> dict[str, Array]:
        """That of the weighted sum of scores of vectors that are there."""
        if not len(x):
            return {name: np.zeros_like(a) for name, a in self.parameters.items()}
        found = self.program.value_and_grad(self.parameters, {self._input: x, WEIGHTS: weights})[1]
        return {name: -found[name] for name in self.parameters}

    def raised(self, x: Array, weights: Array) -> "Scores":
        """Some steps of L-BFGS up the weighted sum of scores, which never lead down."""
        from scipy.optimize import minimize

        if not len(x):
            return self
        fun, start = self.program.flat({self._input: x, WEIGHTS: weights}, parameters=self.parameters)
        found = minimize(fun, start, jac=True, method="L-BFGS-B", options={"maxiter": self.steps})
        return self.at(self.program.unflat(found.x)) if found.fun <= fun(start)[0] else self


def _weighted(template: Template, out: str, normalised: bool) -> Template:
    t = SliceTemplate.of(template)
    scores = t[out]
    if normalised:
        scores = t.variable(NORMALISED, scores.shape)
        t.define(scores, t[out] - ops.logsumexp(t[out], 0, keepdims=True))
    t.loss("L", -ops.sum(t.input(WEIGHTS, scores.shape, default=0.0) * scores))
    return t.frozen


def scores(
    what: str, template: Described, parameters: Mapping[str, Any], out: str, steps: int, normalised: bool = False
) -> Scores:
    """Checked scores; `what` is what they are for."""
    t = SliceTemplate.of(template)
    inputs, found = t.frozen.names("input"), t.frozen.symbols.get(out)
    if len(inputs) != 1 or len(t.frozen.symbols[inputs[0]].shape) != 1 or t.frozen.names("target"):
        raise ModelError(f"the template of {what} has one input, a vector, and no target; it has {inputs}")
    if found is None or found.kind != "variable":
        raise ModelError(f"the template of {what} defines a variable {out!r}")
    if interface(t):
        raise ModelError(f"{interface(t)[0]!r} is read in another slice; {what} depends on its own slice alone")
    if t.frozen.losses:
        raise ModelError(f"the template of {what} has no loss; expectation maximisation gives it one")
    arrays = {name: np.asarray(a, float) for name, a in parameters.items()}
    check_parameters(f"the parameters of {what}", arrays, t.frozen)
    return Scores(t.frozen, out, arrays, steps, normalised)

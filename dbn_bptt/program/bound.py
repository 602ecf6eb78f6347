"""A program at given data, for many parameters: what is checked once is not checked again."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, TemplateError, unknown_name
from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.given import Arrays, Given
from dbn_bptt.template.template import Template


@dataclass(frozen=True)
class Bound:
    """A program with its data, initial states and lengths; what `Program.at` returns.

    Attributes
    ----------
    program : the program
    given : the checked input; its parameters are replaced in each call
    """

    program: Any  # a Program, whose file builds on this one
    given: Given = field(repr=False)

    def value_and_grad(self, parameters: Arrays, wrt: Sequence[str] = ("params",)) -> tuple[float, dict[str, Array]]:
        """Loss and gradients, as `Program.value_and_grad` gives them."""
        return self.program.whole(self._with(parameters), wrt)

    def loss(self, parameters: Arrays) -> float:
        """The loss alone."""
        return self.program.loss_on(self._with(parameters))

    def flat(self, start: Arrays) -> tuple[Callable[[Array], tuple[float, Array]], Array]:
        """Loss and gradient as a function of one vector, and the vector of some parameters; see `Program.flat`."""
        names = self.program.template.names("parameter")
        if not names:
            raise TemplateError(f"template {self.program.template.name!r} has no parameters to fit")

        def fun(vector: Array) -> tuple[float, Array]:
            loss, gradients = self.value_and_grad(unflat(self.program.template, vector))
            return loss, np.concatenate([np.ravel(gradients[name]) for name in names])

        parameters = self._with(start).parameters
        return fun, np.concatenate([np.ravel(parameters[name]) for name in names])

    def _with(self, parameters: Arrays) -> Given:
        """The input with other parameters, in the type of the data; their names and shapes are checked."""
        own, symbols = dict(self.given.parameters), self.program.template.symbols
        for name, value in parameters.items():
            if name not in own:
                raise unknown_name(name, self.program.template.names("parameter"), "parameter")
            array = np.asarray(value, self.given.dtype)
            if array.shape != symbols[name].shape:
                raise DataError(f"parameter {name!r} has shape {array.shape}, not {symbols[name].shape}")
            own[name] = array
        for name in self.program.unset:
            if name not in parameters:
                raise DataError(f"parameter {name!r} is missing")
        return replace(self.given, parameters=own)


def unflat(template: Template, vector: Any) -> dict[str, Array]:
    """The parameters in a vector; see `Program.unflat`."""
    shapes = {name: template.symbols[name].shape for name in template.names("parameter")}
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    try:
        numbers = np.asarray(vector, float)
    except (TypeError, ValueError):
        raise DataError(f"give a vector of {ends[-1]} numbers, not {type(vector).__name__}") from None
    if numbers.shape != (ends[-1],) or not np.isfinite(numbers).all():
        raise DataError(f"give a vector of {ends[-1]} finite numbers, not one of shape {numbers.shape} or with NaN")
    parts = zip(shapes.items(), np.split(numbers, ends[:-1]), strict=True)
    return {name: part.reshape(shape) for (name, shape), part in parts}

"""Compiled templates: loss, gradients and values as NumPy runs them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.bounded import Run
from dbn_bptt.program.compiled import Compiled, arguments, compiled
from dbn_bptt.program.gradients import Adjoints, unbatched
from dbn_bptt.program.schedule import Goal, Schedule, shortest_general
from dbn_bptt.sweep.bptt import checked
from dbn_bptt.sweep.given import Arrays, Given
from dbn_bptt.sweep.results import refuse_nan
from dbn_bptt.template.shown import Shown
from dbn_bptt.template.template import SliceTemplate, checked_template, without
from dbn_bptt.transforms.ragged import is_ragged, ragged
from dbn_bptt.transforms.segments import carried
from dbn_bptt.transforms.tangent import dot, tangent

BLOCKED_FROM, BLOCK = 1 << 30, 96 << 20  # bytes: from what size on a run goes block by block, and how large these are
WRT = ("params", "inputs", "initial")


@dataclass(frozen=True)
class Program(Shown):
    """A template's loss, gradients and values as NumPy programs, made when they are first asked for.

    Attributes
    ----------
    template : the template
    adjoints : those of the template; None if it has no loss
    least : the number of slices from which one program serves all sequences; shorter ones have programs of their own
    cuttable : whether a sequence can be run in segments
    """

    template: SliceTemplate
    adjoints: Adjoints | None = field(repr=False)
    least: int
    cuttable: bool
    _made: dict[Any, Compiled] = field(default_factory=dict, repr=False, compare=False)
    _parts: dict[Any, "Program"] = field(default_factory=dict, repr=False, compare=False)
    _for_lengths: list["Program"] = field(default_factory=list, repr=False, compare=False)

    @property
    def schedule(self) -> Schedule:
        """The steps of `value_and_grad`, for long sequences."""
        return self._gradient_program(("params",), None).schedule

    @property
    def source(self) -> str:
        """The source of `value_and_grad`, for long sequences."""
        return self._gradient_program(("params",), None).source

    def value_and_grad(
        self, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None, lengths: Any = None,
        T: int | None = None, wrt: Sequence[str] = ("params",),
        checkpoints: int | None = None, truncate: int | None = None, segment: int = 256,
    ) -> tuple[float, dict[str, Array]]:  # fmt: skip
        """Loss and gradients, as `bptt` gives them.

        Parameters
        ----------
        parameters, data, initial, lengths, T
            As in `bptt`.
        wrt : any of "params", "inputs", "initial"
            With respect to what. The gradient of the initial state of h is called "initial h".
        checkpoints : int, optional
            Bound the memory: store this many states, the first one counted, and run segments again on the way back.
        truncate : int, optional
            Cut the sequence into pieces of this many slices; the state is carried over, messages are not.
        segment : int
            With checkpoints: how many slices run at once; states are stored between segments.

        Examples
        --------
        >>> import numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
        >>> data = {"x": np.ones((5, 3)), "y": np.array([0, 1, 0, 1, 1])}
        >>> loss, gradients = db.compile(rnn).value_and_grad(rnn.initial_parameters(seed=0), data)
        >>> np.allclose(gradients["W"], db.bptt(rnn, rnn.initial_parameters(seed=0), data).gradients["W"])
        True
        """
        _check_wrt(wrt)
        if lengths is not None and not is_ragged(self.template):
            return self.for_lengths().value_and_grad(
                parameters, data, initial=initial, lengths=lengths, T=T, wrt=wrt, checkpoints=checkpoints,
                truncate=truncate, segment=segment,
            )  # fmt: skip
        found = checked(self.template, parameters, data, initial, lengths, T)
        if checkpoints is None and truncate is None:
            return self._whole(found, tuple(wrt))
        return self._bounded(found, tuple(wrt), checkpoints, truncate, segment)

    def _whole(self, found: Given, wrt: tuple[str, ...]) -> tuple[float, dict[str, Array]]:
        """Loss and gradients of all slices, at once or in blocks."""
        block = self._block(found, wrt)
        return self.on(found, wrt) if block is None else self._bounded(found, wrt, -(-found.T // block), None, block)

    def _bounded(
        self, found: Given, wrt: tuple[str, ...], checkpoints: int | None, truncate: int | None, segment: int
    ) -> tuple[float, dict[str, Array]]:
        sizes = {"checkpoints": checkpoints, "truncate": truncate, "segment": segment}
        for name, size in sizes.items():
            if size is not None and (not isinstance(size, int | np.integer) or size < 1):
                raise DataError(f"{name}={size!r}; give a positive number")
        if checkpoints is not None and truncate is not None:
            raise DataError("give checkpoints (exact gradients) or truncate (cut messages), not both")
        run = Run(self.template, self._of, found, wrt, int(truncate or segment))
        if truncate is not None:
            run.truncated()
        else:
            run.checkpointed(int(checkpoints or 1))
        _refuse_nan(run.loss, run.gradients)
        return run.loss, run.gradients

    def _block(self, found: Given, wrt: tuple[str, ...]) -> int | None:
        """How many slices to run at once where the arrays of all would take more than a gigabyte.

        Each block stores its first state and is run once more on the way back.
        """
        if not self.cuttable:
            return None
        B = found.batch[0] if found.batch else 1
        size = (
            B * found.dtype.itemsize * self._gradient_program(wrt, self._exact(found.T), (), found.absent).numbers
        )  # of one slice
        return max(1, BLOCK // size) if found.T * size > BLOCKED_FROM else None

    def _without(self, targets: list[str]) -> "Program":
        """The program of what depends on no target that is missing."""
        return self._of(without(self.template, targets)) if targets else self

    def _of(self, template: SliceTemplate) -> "Program":
        """The program of a part of the template, as a segment of slices, kept for the next call."""
        key = tuple(template.definitions.items()), tuple(template.initial)
        if key not in self._parts:
            self._parts[key] = compile(template)
        return self._parts[key]

    def on(self, found: Given, wrt: Sequence[str] = ("params",)) -> tuple[float, dict[str, Array]]:
        """`value_and_grad` on checked input."""
        losses, gradients, _ = self.parts_on(found, wrt)
        loss = sum(losses.values())
        _refuse_nan(loss, gradients)
        return loss, gradients

    def parts_on(
        self, found: Given, wrt: Sequence[str], also: Sequence[str] = ()
    ) -> tuple[dict[str, float], dict[str, Array], dict[str, Array]]:
        """Each loss by name, the gradients, and some variables in all slices, on checked input.

        `wrt` may name single inputs.
        """
        made = self._gradient_program(tuple(wrt), self._exact(found.T), tuple(also), found.absent)
        out = made(*arguments(self.template, found))
        losses = {name: float(out[name]) for name in self.template.losses}
        return losses, self._adjoints().gradients(out, made.schedule, found, wrt), self._series(out, made, found, also)

    def series(self, found: Given, names: Sequence[str]) -> dict[str, Array]:
        """Some variables in all slices, on checked input."""
        goals: tuple[Goal, ...] = tuple((name, "slices") for name in names)
        made = self._program(goals, self._exact(found.T), found.absent)
        return self._series(made(*arguments(self.template, found)), made, found, names)

    def _series(self, out: dict[str, Array], made: Compiled, found: Given, names: Sequence[str]) -> dict[str, Array]:
        lows = {name: made.schedule.spans[name][0] for name in names}
        return {name: unbatched(out[name][-lows[name] :][: found.T], found) for name in names}

    def loss(
        self, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None, lengths: Any = None,
        T: int | None = None,
    ) -> float:  # fmt: skip
        """The loss alone.

        Examples
        --------
        >>> import dbn_bptt as db
        >>> t = db.SliceTemplate("decay")
        >>> w, h = t.parameter("w", ()), t.variable("h", ())
        >>> t.define(h, w * h.prev)
        >>> t.loss("L", h, at="last")
        >>> round(db.compile(t).loss({"w": 0.2}, T=3, initial={"h": 0.9}), 6)
        0.0072
        """
        if lengths is not None and not is_ragged(self.template):
            return self.for_lengths().loss(parameters, data, initial=initial, lengths=lengths, T=T)
        return self.loss_on(checked(self.template, parameters, data, initial, lengths, T))

    def loss_on(self, found: Given) -> float:
        """`loss` on checked input."""
        loss = float(sum(self.totals_on(found, self.template.losses).values()))
        _refuse_nan(loss, {})
        return loss

    def totals_on(self, found: Given, names: Sequence[str]) -> dict[str, Array]:
        """Some totals, on checked input."""
        out = self._program(tuple(names), self._exact(found.T), found.absent)(*arguments(self.template, found))
        return {name: np.asarray(out[name]) for name in names}

    def values(
        self, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None, lengths: Any = None,
        T: int | None = None,
    ) -> dict[str, Array]:  # fmt: skip
        """All variables in all slices, (T, ...) or (T, B, ...), and the totals.

        Targets may be left out of the data, as for a prediction; then so is whatever depends on them.

        Examples
        --------
        >>> import numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
        >>> values = db.compile(rnn).values(rnn.initial_parameters(0), {"x": np.ones((5, 3)), "y": np.zeros(5, int)})
        >>> values["h"].shape, sorted(values)
        ((5, 4), ['L', 'a', 'h', 'o', 'yhat'])
        """
        by = self._without([n for n in self.template.names("target") if isinstance(data, Mapping) and n not in data])
        by = by.for_lengths() if lengths is not None and not is_ragged(by.template) else by
        given = checked(by.template, parameters, data, initial, lengths, T)
        totals = by.totals_on(given, [name for name in self.template.names("total") if name in by.template.symbols])
        _refuse_nan(sum(float(totals[name]) for name in by.template.losses), {})
        return by.series(given, [n for n in self.template.names("variable") if n in by.template.symbols]) | totals

    def flat(
        self, data: Arrays | None = None, *, initial: Arrays | None = None, lengths: Any = None, T: int | None = None,
        parameters: Arrays | None = None,
    ) -> tuple[Callable[[Array], tuple[float, Array]], Array]:  # fmt: skip
        """Loss and gradient as a function of one vector, for `scipy.optimize.minimize(fun, x0, jac=True)`.

        Returns
        -------
        fun : function from a vector of all parameters, those with a default included, to loss and gradient
        x0 : the vector of `parameters`, or of `initial_parameters(seed=0)`; `unflat` gives them their names

        Examples
        --------
        >>> import numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
        >>> fun, x0 = db.compile(rnn).flat({"x": np.ones((4, 1)), "y": np.array([0, 1, 0, 1])})
        >>> loss, gradient = fun(x0)
        >>> x0.shape, gradient.shape
        ((14,), (14,))
        """
        if lengths is not None and not is_ragged(self.template):
            return self.for_lengths().flat(data, initial=initial, lengths=lengths, T=T, parameters=parameters)
        names = self.template.names("parameter")
        if not names:
            raise TemplateError(f"template {self.template.name!r} has no parameters to fit")
        start = self.template.initial_parameters(0) if parameters is None else parameters
        found = checked(self.template, start, data, initial, lengths, T)

        def fun(vector: Array) -> tuple[float, Array]:
            here = found.parameters | {n: a.astype(found.dtype, copy=False) for n, a in self.unflat(vector).items()}
            loss, gradients = self._whole(replace(found, parameters=here), ("params",))
            return loss, np.concatenate([np.ravel(gradients[name]) for name in names])

        return fun, np.concatenate([np.ravel(found.parameters[name]) for name in names])

    def unflat(self, vector: Any) -> dict[str, Array]:
        """The parameters that a vector of `flat` stands for, such as the `x` of scipy's result: one after the other.

        Examples
        --------
        >>> import numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
        >>> {name: array.shape for name, array in db.compile(rnn).unflat(np.zeros(14)).items()}
        {'W': (2, 2), 'U': (2, 1), 'b': (2,), 'V': (2, 2), 'c': (2,)}
        """
        shapes = {name: self.template.symbols[name].shape for name in self.template.names("parameter")}
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
        try:
            numbers = np.asarray(vector, float)
        except (TypeError, ValueError):
            raise DataError(f"give a vector of {ends[-1]} numbers, not {type(vector).__name__}") from None
        if numbers.shape != (ends[-1],) or not np.isfinite(numbers).all():
            raise DataError(f"give a vector of {ends[-1]} finite numbers, not one of shape {numbers.shape} or with NaN")
        parts = zip(shapes.items(), np.split(numbers, ends[:-1]), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    # --------------------------------------------------------------------------------------------------- programs
    def for_lengths(self) -> "Program":
        """The program of the ragged template, which takes `lengths`."""
        if not self._for_lengths:
            self._for_lengths.append(compile(ragged(self.template)))
        return self._for_lengths[0]

    @cached_property
    def second(self) -> "tuple[Program, str]":
        """The program of the adjoint's tangent, in which second derivatives are, and the ending that it adds."""
        backward = self._adjoints().backward
        return compile(tangent(backward)), dot(backward)

    def _exact(self, T: int) -> int | None:
        """T where a sequence is so short that it needs a program of its own; None for the general one."""
        return T if self.least > T else None

    def _program(self, goals: tuple[Goal, ...], T: int | None, absent: frozenset[str]) -> Compiled:
        key = goals, T, absent
        if key not in self._made:
            self._made[key] = compiled(self.template, goals, T, absent)
        return self._made[key]

    def _gradient_program(
        self, wrt: tuple[str, ...], T: int | None, also: tuple[str, ...] = (), absent: frozenset[str] = frozenset()
    ) -> Compiled:
        key = wrt, also, T, absent
        if key not in self._made:
            adjoints = self._adjoints()
            self._made[key] = compiled(adjoints.backward, adjoints.goals(wrt, also), T, absent)
        return self._made[key]

    def _adjoints(self) -> Adjoints:
        if self.adjoints is None:
            raise TemplateError(f"template {self.template.name!r} has no loss to differentiate; add .loss(...)")
        return self.adjoints


def _refuse_nan(loss: float, gradients: dict[str, Array]) -> None:
    refuse_nan({"the loss": np.asarray(loss)})
    refuse_nan(gradients, "the gradient of ")


def _check_wrt(wrt: Sequence[str]) -> None:
    is_some = isinstance(wrt, list | tuple | set | frozenset) and len(wrt) and all(isinstance(w, str) for w in wrt)
    if not is_some or not set(wrt) <= set(WRT):
        raise DataError(f"wrt={wrt!r}; give a tuple of any of {', '.join(map(repr, WRT))}")


def compile(template: SliceTemplate) -> Program:
    """Make the fast program of a template.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> program = db.compile(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2))
    >>> print(str(program.schedule).splitlines()[1])
    slice by slice, forwards: h (each needs the slice before it; interface to the next slice: h)
    """
    kept = checked_template(template, "compile").copy()
    adjoints = Adjoints.of(kept) if kept.losses else None
    return Program(kept, adjoints, shortest_general(adjoints.backward if adjoints else kept), _is_cuttable(kept))


def _is_cuttable(template: SliceTemplate) -> bool:
    try:
        carried(template)
    except TemplateError:
        return False
    return True

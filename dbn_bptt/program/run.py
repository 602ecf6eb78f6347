"""Compiled templates: loss, gradients and values as NumPy runs them."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, TemplateError, positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.bound import Bound, unflat
from dbn_bptt.program.bounded import Run
from dbn_bptt.program.compiled import Compiled, Target, arguments, compiled
from dbn_bptt.program.engines import Engine, Parallel, checked_engine
from dbn_bptt.program.function import pure
from dbn_bptt.program.gradients import Outcome, check_wrt, gradient_goals, read_gradients, refused, unbatched
from dbn_bptt.program.jax_source import STEPS
from dbn_bptt.program.loops import rounded
from dbn_bptt.program.native import is_installed
from dbn_bptt.program.schedule import Goal, Schedule, shortest_general
from dbn_bptt.sweep.given import Arrays, Given, checked
from dbn_bptt.sweep.results import refuse_nan
from dbn_bptt.template.shown import Shown
from dbn_bptt.template.structure import without
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.transforms.adjoint import adjoint
from dbn_bptt.transforms.ragged import is_ragged, ragged
from dbn_bptt.transforms.segments import carried
from dbn_bptt.transforms.tangent import tangent

BLOCKED_FROM, BLOCK = 1 << 30, 96 << 20  # bytes: from what size on a run goes block by block, and how large these are
NATIVE_FROM = 1000  # slices from which on compiling scans pays


class Program(Shown):
    """A template's loss, gradients and values as NumPy programs, made when they are first asked for.

    A program can be pickled and sent to other processes, where it is made again, once.

    Attributes
    ----------
    template : the template
    engine : "numpy"; "native", loops compiled by LLVM where they are quicker; or None for the choice by size: native
        from `NATIVE_FROM` slices on, where llvmlite is installed
    """

    def __init__(self, template: Template, engine: Engine = None):
        self.template, self.engine = template, engine
        self._made: dict[Any, Compiled] = {}
        self._parts: dict[Any, Program] = {}

    def __repr__(self) -> str:
        return f"Program(template={self.template!r}, least={self.least}, cuttable={self.cuttable})"

    def __reduce__(self) -> tuple[Any, ...]:
        return kept, (self.template, self.engine)

    # --------------------------------------------------------------------------------------------------- properties
    @cached_property
    def backward(self) -> Template:
        """The adjoint of the template, among whose values the gradients are."""
        if not self.template.losses:
            raise TemplateError(f"template {self.template.name!r} has no loss to differentiate; add .loss(...)")
        return adjoint(self.template).frozen

    @cached_property
    def least(self) -> int:
        """The number of slices from which one program serves all sequences; shorter ones have programs of their own."""
        return shortest_general(self.backward if self.template.losses else self.template)

    @cached_property
    def cuttable(self) -> bool:
        """Whether a sequence can be run in segments."""
        try:
            carried(self.template)
        except TemplateError:
            return False
        return True

    @property
    def _typical(self) -> Compiled:
        """What `value_and_grad` runs for one long sequence."""
        target = self.engine if isinstance(self.engine, Parallel) or self.engine == "jax" else None
        return self._made_for((), ("params",), None, frozenset(), 1 if self.engine == "native" else target)

    def engines(self, sequences: int = 1) -> dict[str, str]:
        """What would run each scan of `value_and_grad` over some long sequences as native loops, by its variables.

        Examples
        --------
        >>> import dbn_bptt as db
        >>> db.compile(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)).engines()
        {'h': 'native', 'a_bar': 'native'}
        >>> db.compile(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)).engines(sequences=1000)["h"]
        'numpy: 16 entries in each of 1024 sequences are more than 4096'
        """
        made = self._made_for((), ("params",), None, frozenset(), rounded(sequences))
        return {names: f"numpy: {reason}" if reason else "native" for names, reason in made.reasons.items()}

    @property
    def schedule(self) -> Schedule:
        """The steps of `value_and_grad`, for long sequences."""
        return self._typical.schedule

    @property
    def source(self) -> str:
        """The source of `value_and_grad`, for long sequences."""
        return self._typical.source

    @cached_property
    def _ragged(self) -> "Program":
        return self if is_ragged(self.template) else compile(ragged(self.template), self.engine)

    def for_lengths(self) -> "Program":
        """The program of the ragged template, which takes `lengths`."""
        return self._ragged

    @cached_property
    def second(self) -> "Program":
        """The program of the adjoint's tangent, in which second derivatives are."""
        return compile(tangent(self.backward), self.engine)

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The loss as a pure function (parameters, data, initial, lengths, T=) of JAX arrays, with engine "jax".

        It works under `jax.jit`, `vmap`, `grad` and `shard_map`: its gradient is the adjoint program's, for
        parameters, inputs and initial states. It computes in the type of the arrays; shapes are checked, numbers not.

        Examples
        --------
        >>> import jax, numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
        >>> theta, data = rnn.initial_parameters(seed=0), {"x": np.ones((4, 1)), "y": np.array([0, 1, 0, 1])}
        >>> loss, gradients = jax.value_and_grad(db.compile(rnn, "jax").function)(theta, data)
        >>> bool(np.allclose(gradients["W"], db.bptt(rnn, theta, data).gradients["W"], atol=1e-6))
        True
        """
        if self.engine != "jax" and not isinstance(self.engine, Parallel):
            raise DataError("a function of JAX's needs JAX's engine: db.compile(template, 'jax').function")
        return pure(self)

    # ---------------------------------------------------------------------------------------------------------- runs
    def run(
        self, given: Given, totals: Sequence[str] = (), series: Sequence[str] = (), wrt: Sequence[str] = ()
    ) -> Outcome:
        """Compute what is asked for, on checked input.

        Parameters
        ----------
        totals : totals by name
        series : variables by name, in all slices; with `wrt` those of the adjoint too
        wrt : as in `value_and_grad`, or single inputs by name: the gradients of the losses, and these among the totals
        """
        totals = (*totals, *(self.template.losses if wrt else ()))
        made = self._compiled((*totals, *((name, "slices") for name in series)), tuple(wrt), given)
        out, spans = made(*arguments(self.template, given)), made.schedule.spans
        partners = self.backward.partners if wrt else {}
        return Outcome(
            {name: np.asarray(out[name]) for name in totals},
            {name: unbatched(out[name][-spans[name][0] :][: given.T], given) for name in series},
            read_gradients(out, made.schedule, self.template, partners, given, wrt),
        )

    def _target(self, given: Given) -> Target:
        """What a run is made for; native loops for so many sequences, up to the next power of 2."""
        if self.engine == "jax" or isinstance(self.engine, Parallel):
            return self.engine
        native = self.engine == "native" or (self.engine is None and given.T >= NATIVE_FROM and is_installed())
        return rounded(math.prod(given.batch)) if native else None

    def _compiled(self, goals: tuple[Goal, ...], wrt: tuple[str, ...], given: Given) -> Compiled:
        return self._made_for(
            goals, wrt, given.T if self.least > given.T else None, given.absent, self._target(given)
        )

    def made_for_tracing(self, given: Given, wrt: tuple[str, ...]) -> Compiled:
        """What `function` traces: the losses, or with `wrt` these and their gradients."""
        return self._compiled(tuple(self.template.losses), wrt, given)

    def _made_for(
        self,
        goals: tuple[Goal, ...],
        wrt: tuple[str, ...],
        T: int | None,
        absent: frozenset[str],
        target: Target,
    ) -> Compiled:
        key = goals, wrt, T, absent, target
        if key not in self._made:
            template = self.backward if wrt else self.template
            more = gradient_goals(self.template, self.backward.partners, wrt) if wrt else []
            self._made[key] = compiled(
                template,
                tuple(dict.fromkeys((*self.template.losses, *goals, *more) if wrt else goals)),
                T,
                absent,
                target,
            )
        return self._made[key]

    def loss_on(self, given: Given) -> float:
        """`loss` on checked input."""
        loss = sum(float(total) for total in self.run(given, totals=self.template.losses).totals.values())
        refuse_nan({"the loss": np.asarray(loss)})
        return float(loss)

    def on(self, given: Given, wrt: Sequence[str] = ("params",)) -> tuple[float, dict[str, Array]]:
        """`value_and_grad` on checked input, all slices at once."""
        outcome = self.run(given, wrt=wrt)
        return refused(sum(float(outcome.totals[name]) for name in self.template.losses), outcome.gradients)

    def whole(self, given: Given, wrt: Sequence[str]) -> tuple[float, dict[str, Array]]:
        """Loss and gradients of all slices, at once; or in blocks where their arrays would take more than a gigabyte.

        Each block stores its first state and is run once more on the way back.
        """
        if self.cuttable:
            numbers = self._compiled((), tuple(wrt), given).numbers
            size = numbers * given.dtype.itemsize * math.prod(given.batch)  # of one slice
            if given.T * size > BLOCKED_FROM:
                block = max(1, BLOCK // size)
                return self._segmented(given, wrt, block, -(-given.T // block))
        return self.on(given, wrt)

    def _segmented(
        self, given: Given, wrt: Sequence[str], length: int, stored: int | None
    ) -> tuple[float, dict[str, Array]]:
        """Loss and gradients segment by segment: with some stored states, or with messages cut between segments."""
        run = Run(self.template, self.part, given, tuple(wrt), length)
        if stored is None:
            run.truncated()
        else:
            run.checkpointed(stored)
        return refused(run.loss, run.gradients)

    def part(self, template: Template) -> "Program":
        """The program of a part of the template, kept for the next call."""
        if template.key not in self._parts:
            self._parts[template.key] = compile(template, self.engine)
        return self._parts[template.key]

    def fitting(self, lengths: Any) -> "Program":
        """The program that takes these lengths, or none."""
        return self if lengths is None else self.for_lengths()

    # ------------------------------------------------------------------------------------------------- what users call
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
        check_wrt(wrt)
        program = self.fitting(lengths)
        given = checked(program.template, parameters, data, initial, lengths, T)
        if checkpoints is None and truncate is None:
            return program.whole(given, wrt)
        sizes = {"checkpoints": checkpoints, "truncate": truncate, "segment": segment}
        for name in [name for name, size in sizes.items() if size is not None]:
            positive(sizes[name], f"{name}={sizes[name]!r}; give a positive number")
        if checkpoints is not None and truncate is not None:
            raise DataError("give checkpoints (exact gradients) or truncate (cut messages), not both")
        return program._segmented(given, wrt, int(truncate or segment), checkpoints)

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
        program = self.fitting(lengths)
        return program.loss_on(checked(program.template, parameters, data, initial, lengths, T))

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
        missing = [n for n in self.template.names("target") if isinstance(data, Mapping) and n not in data]
        program = (self.part(without(self.template, missing)) if missing else self).fitting(lengths)
        of = program.template
        given = checked(of, parameters, data, initial, lengths, T)
        own = [name for name in self.template.names("variable") if name in of.symbols]
        outcome = program.run(given, totals=of.names("total"), series=own)
        refuse_nan({"the loss": np.asarray(sum(float(outcome.totals[name]) for name in of.losses))})
        return outcome.series | outcome.totals

    def newton_steps(
        self, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None, lengths: Any = None,
        T: int | None = None,
    ) -> dict[str, int]:  # fmt: skip
        """How many steps of Newton's method the forward scans take with engine "parallel", by their variables.

        0 where a scan needs none, since it is affine, or linear up to its scale; -1 where Newton's method does not
        converge, so that the scan runs slice by slice.

        Examples
        --------
        >>> import numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
        >>> data = {"x": np.ones((100, 1)), "y": np.zeros(100, int)}
        >>> db.compile(rnn, "parallel").newton_steps(rnn.initial_parameters(seed=0), data)
        {'h': 6}
        """
        program = self.fitting(lengths)
        given = checked(program.template, parameters, data, initial, lengths, T)
        made = program.made_for_tracing(given, ())
        out = made(*arguments(program.template, given))
        taken = {name: int(n) for names, n in out.items() if names.startswith(STEPS) for name in names[len(STEPS) :].split(", ")}
        scans = [step.names for step in made.schedule.steps if step.kind == "scan"]
        return {", ".join(names): next((taken[name] for name in names if name in taken), 0) for names in scans}

    def at(
        self, data: Arrays | None = None, *, initial: Arrays | None = None, lengths: Any = None, T: int | None = None
    ) -> Bound:  # fmt: skip
        """The program at given data, for many calls: all but the parameters is checked once, here.

        It computes in the type of the data, float32 only if all floating data are.

        Examples
        --------
        >>> import numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
        >>> here = db.compile(rnn).at({"x": np.ones((4, 1)), "y": np.array([0, 1, 0, 1])})
        >>> loss, gradients = here.value_and_grad(rnn.initial_parameters(seed=0))
        >>> sorted(gradients)
        ['U', 'V', 'W', 'b', 'c']
        """
        program = self.fitting(lengths)
        floats = [a for a in (*(data or {}).values(), *(initial or {}).values()) if np.asarray(a).dtype.kind == "f"]
        least = np.float32 if floats else np.float64
        own = {name: np.zeros(program.template.symbols[name].shape, least) for name in self.unset}
        return Bound(program, checked(program.template, own, data, initial, lengths, T))

    @property
    def unset(self) -> list[str]:
        """The parameters without a default."""
        return [name for name in self.template.names("parameter") if name not in self.template.arrays]

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
        start = self.template.initial_parameters(0) if parameters is None else parameters
        program = self.fitting(lengths)
        return Bound(program, checked(program.template, start, data, initial, lengths, T)).flat(start)

    def unflat(self, vector: Any) -> dict[str, Array]:
        """The parameters that a vector of `flat` stands for, such as the `x` of scipy's result: one after the other.

        Examples
        --------
        >>> import numpy as np, dbn_bptt as db
        >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
        >>> {name: array.shape for name, array in db.compile(rnn).unflat(np.zeros(14)).items()}
        {'W': (2, 2), 'U': (2, 1), 'b': (2,), 'V': (2, 2), 'c': (2,)}
        """
        return unflat(self.template, vector)


def compile(template: Described, engine: Engine = None) -> Program:
    """Make the fast program of a template.

    Parameters
    ----------
    engine : "numpy", "native" or None
        What it runs on: NumPy; loops compiled by LLVM (``pip install 'dbn_bptt[native]'``) where they are quicker; or
        either by size: native for long sequences where llvmlite is installed. Results agree to rounding.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> program = db.compile(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2))
    >>> print(str(program.schedule).splitlines()[1])
    slice by slice, forwards: h (each needs the slice before it; interface to the next slice: h)
    """
    program = Program(checked_template(template, "compile"), checked_engine(engine))
    _ = program.least  # and with it the adjoint: what cannot be derived is refused here
    return program


_KEPT: dict[Any, Program] = {}
_MOST_KEPT = 64


def kept(template: Template, engine: Engine) -> Program:
    """The program of a template, made for the first one of its kind: so do programs travel between processes."""
    key = template.key, engine
    if key not in _KEPT:
        if len(_KEPT) >= _MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = compile(template, engine)
    return _KEPT[key]

"""Compiled templates: loss, gradients and values, fast."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.bound import Bound, unflat
from dbn_bptt.program.compiled import arguments
from dbn_bptt.program.engines import Engine, checked_engine, is_jax
from dbn_bptt.program.function import pure
from dbn_bptt.program.gradients import check_wrt
from dbn_bptt.program.jax_source import STEPS
from dbn_bptt.program.loops import rounded
from dbn_bptt.program.runs import Runs
from dbn_bptt.program.schedule import Schedule
from dbn_bptt.sweep.given import Arrays, checked
from dbn_bptt.sweep.results import refuse_nan
from dbn_bptt.template.structure import without
from dbn_bptt.template.template import Described, Template, checked_template


class Program(Runs):
    """A template's loss, gradients and values as NumPy programs, made when they are first asked for.

    A program can be pickled and sent to other processes, where it is made again, once.

    Attributes
    ----------
    template : the template
    engine : "numpy"; "native", loops compiled by LLVM where they are quicker; "jax"; a `Parallel`, JAX with scans
        parallel in time; or None for the choice by size: native from 1,000 slices on, where llvmlite is installed
    """

    def __repr__(self) -> str:
        return f"Program(template={self.template!r}, least={self.least}, cuttable={self.cuttable})"

    def __reduce__(self) -> tuple[Any, ...]:
        return kept, (self.template, self.engine)

    def engines(self, sequences: int = 1) -> dict[str, str]:
        """What runs each scan of `value_and_grad` over some long sequences, by its variables: with JAX how it does;
        otherwise whether native loops would, or why not.

        Examples
        --------
        >>> import dbn_bptt as db
        >>> db.compile(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)).engines()
        {'h': 'native', 'a_bar': 'native'}
        >>> db.compile(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)).engines(sequences=1000)["h"]
        'numpy: 16 entries in each of 1024 sequences are more than 4096'
        """
        if is_jax(self.engine):
            return {names: f"jax: {how}" for names, how in self._typical.reasons.items()}
        made = self._made_for(tuple(self.template.losses), ("params",), None, frozenset(), rounded(sequences))
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
        if not is_jax(self.engine):
            raise DataError("a function of JAX's needs JAX's engine: db.compile(template, 'jax').function")
        return pure(self)

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
        {'h': 5}
        """
        program = self.fitting(lengths)
        given = checked(program.template, parameters, data, initial, lengths, T)
        made = program.made_for(given, program.template.losses)
        out = made(*arguments(program.template, given))
        taken = {
            name: int(n)
            for names, n in out.items()
            if names.startswith(STEPS)
            for name in names[len(STEPS) :].split(", ")
        }
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
    engine : "numpy", "native", "jax", "parallel", a `Parallel`, or None
        What it runs on: NumPy; loops compiled by LLVM (``pip install 'dbn_bptt[native]'``) where they are quicker; JAX
        (``pip install 'dbn_bptt[jax]'``), slice by slice or parallel in time; or one of the first two by size: native
        for long sequences where llvmlite is installed. Results agree to rounding.

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
            _KEPT.pop(next(iter(_KEPT)), None)  # another thread may have been here
        _KEPT[key] = compile(template, engine)
    return _KEPT[key]

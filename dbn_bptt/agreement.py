"""Do the engines agree? Gradients by messages beside those of every other engine, and finite differences."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
from tqdm import tqdm

from dbn_bptt import cells
from dbn_bptt.errors import DbnBpttError, NotCompiledError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.forward_mode import rtrl_on
from dbn_bptt.program.gradients import WRT
from dbn_bptt.program.run import compile
from dbn_bptt.reference import elman_bptt
from dbn_bptt.sweep.bptt import swept_both_ways
from dbn_bptt.sweep.given import Arrays, Given, admitted
from dbn_bptt.sweep.results import Result
from dbn_bptt.sweep.sweeps import evaluate
from dbn_bptt.sweep.unroll import unroll
from dbn_bptt.template.expressions import Apply
from dbn_bptt.template.shown import Shown
from dbn_bptt.template.template import Described, Template
from dbn_bptt.template.traversal import walk
from dbn_bptt.transforms.adjoint import adjoint
from dbn_bptt.transforms.ragged import is_ragged, ragged


@dataclass(frozen=True)
class Row:
    """One gradient, by messages and by another engine.

    Attributes
    ----------
    engine : what the messages are compared with
    quantity : the parameter, input or initial state
    norm : Euclidean norm of the gradient by messages
    absolute : largest absolute difference; for finite differences that of the derivatives along one direction
    relative : the same relative to the largest entry (for finite differences, to the norm) of the gradient
    tolerance : up to which relative difference the engines count as agreeing
    """

    engine: str
    quantity: str
    norm: float
    absolute: float
    relative: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the engines agree on this gradient."""
        return bool(self.relative <= self.tolerance)


@dataclass(frozen=True)
class Report(Shown):
    """What `compare` found; prints as a table.

    Attributes
    ----------
    template : the name of the template
    loss : by messages, summed over slices and batch
    rows : one for each engine and gradient
    result : the run of BPTT by messages
    """

    template: str
    loss: float
    rows: tuple[Row, ...]
    result: Result = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether all engines agree on all gradients."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The report in plain numbers and strings, for JSON."""
        rows = [{**row.__dict__, "ok": row.ok} for row in self.rows]
        return {"template": self.template, "loss": self.loss, "ok": self.ok, "rows": rows}

    def __str__(self) -> str:
        engines = list(dict.fromkeys(r.engine for r in self.rows))
        shown = {(r.quantity, r.engine): f"{r.relative:.1e}" + ("" if r.ok else " DIFFERS") for r in self.rows}
        norms = {r.quantity: f"{r.norm:.6g}" for r in self.rows}
        head = ("gradient", "norm", *engines)
        body = [(name, norm, *(shown.get((name, e), "-") for e in engines)) for name, norm in norms.items()]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in (head, *body)]
        title = f"{self.template}: loss = {self.loss:.10g}; gradients by messages, and their relative difference from"
        verdict = "all engines agree" if self.ok else "THE ENGINES DISAGREE"
        return "\n".join([title, *lines, verdict])

    __repr__ = __str__


def compare(
    template: Described,
    parameters: Arrays,
    data: Arrays | None = None,
    *,
    initial: Arrays | None = None,
    lengths: Any = None,
    T: int | None = None,
    seed: int = 0,
    forward_mode: bool = False,
    native: bool = False,
    jax: bool = False,
    progress: bool = False,
) -> Report:
    """Compare the gradients by messages with those of every other engine that applies.

    The reference in NumPy applies to `cells.elman` with tanh or sigmoid and cross-entropy, the adjoint network (the
    unrolled `adjoint` template, evaluated) to up to 500 slices, the compiled program to all but recurrences that read
    from slices before and after. Finite differences apply wherever no gradient is stopped: along one random direction
    for each gradient, by the five-point rule, in float64, of losses that beyond 500 slices the compiled program
    computes.

    Parameters
    ----------
    template, parameters, data, initial, lengths, T, progress
        As in `bptt`.
    seed : int
        For the random directions.
    forward_mode : bool
        Compare with real-time recurrent learning as well, whose work grows with the number of parameters.
    native : bool
        Compare with the program whose scans are compiled loops as well; compiling takes seconds.
    jax : bool
        Compare with the programs of JAX as well, slice by slice and parallel in time; compiling takes seconds too.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> data = {"x": np.ones((5, 3)), "y": np.array([0, 1, 0, 1, 1])}
    >>> report = db.compare(rnn, rnn.initial_parameters(seed=0), data)
    >>> report.ok, sorted({row.engine for row in report.rows})
    (True, ['NumPy reference', 'adjoint network', 'finite differences', 'program'])
    """
    of, given = admitted(template, parameters, data, initial, lengths, T, who="compare")
    result = swept_both_ways(of, given, progress=progress)
    gradients = _all_gradients(result)
    compared = {"loss": np.asarray(result.loss), **gradients}
    more = [
        *([_native] if native else []),
        *([_by_jax, _parallel] if jax else []),
        *([_forward_mode] if forward_mode else []),
    ]
    engines = (*ENGINES, *more)
    answers = [answer for engine in engines if (answer := engine(of, result)) is not None]
    largest = max((float(np.max(np.abs(a), initial=0.0)) for a in compared.values()), default=0.0)
    tolerance = 1e-4 if given.dtype == np.float32 else 1e-10
    rows = [
        _row(title, name, mine, found[name], largest, tolerance)
        for title, found in answers
        for name, mine in compared.items()
        if name in found
    ]
    rows += _differences(result, gradients, np.random.default_rng(seed), progress)
    return Report(of.name, result.loss, tuple(rows), result)


def _all_gradients(result: Result) -> dict[str, Array]:
    """The gradients of parameters, initial states and inputs under names that tell them apart."""
    m = result.messages
    masks = {"valid", "ends"} if is_ragged(result.template) else set()
    states = {f"initial {name}": g for name, g in m.initial_gradients.items()}
    return {**m.gradients, **states, **{name: g for name, g in m.input_gradients.items() if name not in masks}}


def _row(engine: str, name: str, mine: Array, other: Array, largest: float, tolerance: float) -> Row:
    """A difference, measured by the gradient; or by a millionth of the largest one, where less is but its rounding."""
    difference = float(np.max(np.abs(mine - other), initial=0.0))
    scale = max(float(np.max(np.abs(other), initial=0.0)), 1e-6 * largest)
    relative = difference / scale if scale else difference
    return Row(engine, name, float(np.linalg.norm(mine)), difference, relative, tolerance)


# ----------------------------------------------------------------------------------------------------- NumPy reference
def _reference(of: Template, result: Result) -> tuple[str, dict[str, Array]] | None:
    """The hand-written BPTT, where the template is the Elman network that it is written for."""
    activation, given = _elman_activation(of), result.values.given
    if activation is None:
        return None
    whole = given if given.batch else given.repeated(1)
    x, y, states = whole.data["x"], whole.data["y"], whole.initial["h"][0]
    ends = whole.data["valid"].sum(0).astype(int) if is_ragged(of) else [whole.T] * len(states)
    total: dict[str, Any] = {"loss": 0.0, "x": np.zeros_like(x)}
    starts = np.zeros_like(states)
    for b, end in enumerate(ends):
        loss, found = elman_bptt(whole.parameters, x[:end, b], y[:end, b], states[b], activation)
        total["x"][:end, b], starts[b] = found.pop("x"), found.pop("h0")
        total |= {name: total.get(name, 0) + g for name, g in {**found, "loss": loss}.items()}
    if not given.batch:
        return "NumPy reference", {
            **total,
            "loss": np.asarray(total["loss"]),
            "x": total["x"][:, 0],
            "initial h": starts[0],
        }
    return "NumPy reference", {**total, "loss": np.asarray(total["loss"]), "initial h": given.state("h", starts[None])}


def _elman_activation(of: Template) -> str | None:
    """tanh or sigmoid if the template is `cells.elman` with that activation: equal expressions are one object."""
    try:
        (H, n), K = of.symbols["U"].shape, of.symbols["c"].shape[0]
        for activation in ("tanh", "sigmoid"):
            model = cells.elman(n, H, K, activation=activation)
            if of.definitions == (ragged(model) if is_ragged(of) else model).definitions and not of.initial:
                return activation
    except (KeyError, ValueError, IndexError, DbnBpttError):
        return None
    return None


# ------------------------------------------------------------------------------------------------------- other engines
_FEW_SLICES = 500  # the terms of the totals of an unrolled adjoint template take the memory of all per-slice gradients


def _adjoint_network(of: Template, result: Result) -> tuple[str, dict[str, Array]] | None:
    """The gradients as values on the unrolled adjoint template."""
    given = result.values.given
    if given.T > _FEW_SLICES:
        return None
    backward = adjoint(of).frozen
    values, bars = evaluate(unroll(backward, given.T), given), backward.partners
    found = {name: values[bars[name]] for name in of.names("parameter")}
    found["loss"] = np.asarray(sum(values[name] for name in of.losses))
    found |= {name: values.stack(bars[name]) for name in of.names("input") if name in bars}
    for name in given.initial:
        if name in bars:
            rows = np.stack([values[bars[name], t] for t in of.initial_slices(name, given.T)])
            found[f"initial {name}"] = given.state(name, rows)
    return "adjoint network", found


def _program(of: Template, result: Result) -> tuple[str, dict[str, Array]] | None:
    """The gradients by the compiled program, where there is one."""
    return _compiled(of, result, "program", "numpy")


def _native(of: Template, result: Result) -> tuple[str, dict[str, Array]] | None:
    """The same with scans as compiled loops."""
    return _compiled(of, result, "native program", "native")


def _by_jax(of: Template, result: Result) -> tuple[str, dict[str, Array]] | None:
    """The same as JAX runs it."""
    return _compiled(of, result, "JAX program", "jax")


def _parallel(of: Template, result: Result) -> tuple[str, dict[str, Array]] | None:
    """The same with scans parallel in time."""
    return _compiled(of, result, "parallel program", "parallel")


def _compiled(of: Template, result: Result, title: str, engine: str) -> tuple[str, dict[str, Array]] | None:
    try:
        loss, found = compile(of, engine).on(result.values.given, WRT)
    except NotCompiledError:
        return None
    return title, {"loss": np.asarray(loss), **found}


def _forward_mode(of: Template, result: Result) -> tuple[str, dict[str, Array]]:
    """The gradients of parameters by real-time recurrent learning."""
    return "forward mode", rtrl_on(of, result.values.given)


Engine = Callable[[Template, Result], tuple[str, dict[str, Array]] | None]
ENGINES: tuple[Engine, ...] = (_reference, _adjoint_network, _program)


# -------------------------------------------------------------------------------------------------- finite differences
def _differences(
    result: Result, gradients: Mapping[str, Array], rng: np.random.Generator, progress: bool
) -> Iterator[Row]:
    """Finite differences of each gradient; none where messages are stopped, of which a difference knows nothing."""
    rules = {rule for _, rule in result.graph.nodes(data="rule") if rule is not None}
    operations = {e.operation for e in walk(rules) if isinstance(e, Apply)}
    if any(operation.stops for operation in operations):
        return
    step, tolerance = (1e-6, 1e-4) if any(operation.kinked for operation in operations) else (1e-4, 1e-6)
    tolerance = 1e-3 if result.values.given.dtype == np.float32 else tolerance
    given = _in_double_precision(result.values.given)
    few = given.T <= _FEW_SLICES
    loss_on = partial(_loss_by_messages, result.graph) if few else compile(result.template).loss_on
    for name in tqdm(gradients, desc="finite differences", leave=False, disable=not progress):
        yield _difference_row(given, name, gradients[name], rng, step, tolerance, loss_on)


def _loss_by_messages(graph: nx.MultiDiGraph, given: Given) -> float:
    return evaluate(graph, given).loss


def _in_double_precision(given: Given) -> Given:
    groups: dict[str, Any] = {
        group: {name: a.astype(float) for name, a in getattr(given, group).items()}
        for group in ("parameters", "data", "initial")
    }
    return replace(given, dtype=np.dtype(float), **groups)


def _difference_row(
    given: Given,
    name: str,
    gradient: Array,
    rng: np.random.Generator,
    step: float,
    tolerance: float,
    loss_on: Callable[[Given], float],
) -> Row:
    """The derivative of the loss along a random direction of unit norm, by messages and by differences."""
    at = _point(given, name)
    direction = np.where(np.isfinite(at), rng.normal(size=gradient.shape), 0.0)
    direction /= np.linalg.norm(direction)
    h = step * max(1.0, float(np.linalg.norm(at[np.isfinite(at)])) / np.sqrt(at.size))
    losses = [loss_on(_moved(given, name, k * h * direction)) for k in (-2, -1, 1, 2)]
    by_differences = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * h)
    norm = float(np.linalg.norm(gradient))
    difference = abs(float(np.sum(gradient * direction)) - by_differences)
    scale = norm or 1.0
    rounding = 1e-14 * max(map(abs, losses)) / h  # differences cannot resolve less of a loss of this size
    return Row("finite differences", name, norm, difference, difference / scale, max(tolerance, rounding / scale))


def _point(given: Given, name: str) -> Array:
    """The value of a parameter, input or initial state, in the shape of its gradient."""
    if name.startswith("initial "):
        rows = given.initial[name.removeprefix("initial ")]
        own = rows[:, 0] if given.batch and name.removeprefix("initial ") in given.shared else rows
        return own[0] if len(own) == 1 else own
    return (given.parameters if name in given.parameters else given.data)[name]


def _moved(given: Given, name: str, by: Array) -> Given:
    """The input with one quantity moved."""
    if name.startswith("initial "):
        state = name.removeprefix("initial ")
        rows = given.initial[state]
        moved = by if len(rows) > 1 else by[None]
        moved = moved[:, None] if given.batch and state in given.shared else moved
        return replace(given, initial={**given.initial, state: rows + moved})
    group = "parameters" if name in given.parameters else "data"
    changed: dict[str, Any] = {group: {**getattr(given, group), name: _point(given, name) + by}}
    return replace(given, absent=given.absent - {name}, **changed)

"""Do the engines agree? Gradients by messages beside those of every other engine, and finite differences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from dbn_bptt import cells
from dbn_bptt.errors import DbnBpttError, NotCompiledError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.forward_mode import rtrl_on
from dbn_bptt.program.run import WRT, Program, compile
from dbn_bptt.reference import elman_bptt
from dbn_bptt.sweep.bptt import bptt, checked, evaluate, gathered
from dbn_bptt.sweep.given import Arrays, initial_slices
from dbn_bptt.sweep.results import Result
from dbn_bptt.sweep.unroll import unroll
from dbn_bptt.template.expressions import Apply
from dbn_bptt.template.shown import Shown
from dbn_bptt.template.template import SliceTemplate
from dbn_bptt.template.traversal import walk
from dbn_bptt.transforms.adjoint import adjoint, bar
from dbn_bptt.transforms.ragged import is_ragged


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
    template: SliceTemplate,
    parameters: Arrays,
    data: Arrays | None = None,
    *,
    initial: Arrays | None = None,
    lengths: Any = None,
    T: int | None = None,
    seed: int = 0,
    forward_mode: bool = False,
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

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> data = {"x": np.ones((5, 3)), "y": np.array([0, 1, 0, 1, 1])}
    >>> report = db.compare(rnn, rnn.initial_parameters(seed=0), data)
    >>> report.ok, sorted({row.engine for row in report.rows})
    (True, ['NumPy reference', 'adjoint network', 'finite differences', 'program'])
    """
    arrays = Inputs(data or {}, initial or {}, lengths)
    result = bptt(template, parameters, data, initial=initial, lengths=lengths, T=T, progress=progress)
    gradients = _all_gradients(result)
    compared = {"loss": np.asarray(result.loss), **gradients}
    single = result.values.given.dtype == np.float32
    engines = (*ENGINES, _forward_mode) if forward_mode else ENGINES
    answers = [answer for engine in engines if (answer := engine(template, result, lengths)) is not None]
    largest = max((float(np.max(np.abs(a), initial=0.0)) for a in compared.values()), default=0.0)
    rows = [
        _row(title, name, compared[name], found[name], largest, 1e-4 if single else 1e-10)
        for title, found in answers
        for name in compared
        if name in found
    ]
    rows += _differences(result, arrays, gradients, np.random.default_rng(seed), progress)
    return Report(template.name, result.loss, tuple(rows), result)


@dataclass(frozen=True)
class Inputs:
    """What a gradient is taken at, beside the parameters, as it was given."""

    data: Arrays
    initial: Arrays
    lengths: Any


def _all_gradients(result: Result) -> dict[str, Array]:
    """The gradients of parameters, initial states and inputs under names that tell them apart."""
    m = result.messages
    masks = {"valid", "ends"} if is_ragged(result.graph.graph["template"]) else set()
    states = {f"initial {name}": g for name, g in m.initial_gradients.items()}
    return {**m.gradients, **states, **{name: g for name, g in m.input_gradients.items() if name not in masks}}


def _expressions(result: Result) -> Iterator[Any]:
    rules = {rule for _, rule in result.graph.nodes(data="rule") if rule is not None}
    return iter(walk(rules))


def _row(engine: str, name: str, mine: Array, other: Array, largest: float, tolerance: float) -> Row:
    """A difference, measured by the gradient; or by a millionth of the largest one, where less is but its rounding."""
    difference = float(np.max(np.abs(mine - other), initial=0.0))
    scale = max(float(np.max(np.abs(other), initial=0.0)), 1e-6 * largest)
    relative = difference / scale if scale else difference
    return Row(engine, name, float(np.linalg.norm(mine)), difference, relative, tolerance)


# ----------------------------------------------------------------------------------------------------- NumPy reference
def _reference(template: SliceTemplate, result: Result, lengths: Any) -> tuple[str, dict[str, Array]] | None:
    """The hand-written BPTT, where the template is the Elman network that it is written for."""
    activation = _elman_activation(template)
    if activation is None:
        return None
    given = result.values.given
    x, y, h0, shape = given.data["x"], given.data["y"], given.initial["h"][0], given.initial_shapes["h"]
    if not given.batch:
        loss, found = elman_bptt(given.parameters, x, y, h0, activation)
        return "NumPy reference", {"loss": np.asarray(loss), "initial h": found.pop("h0"), **found}
    B = given.batch[0]
    ends = [given.T] * B if lengths is None else lengths
    total: dict[str, Any] = {"x": np.zeros_like(x), "initial h": np.zeros((B, *h0.shape[-1:]), x.dtype)}
    states = np.broadcast_to(h0, total["initial h"].shape)
    for b, end in enumerate(ends):
        loss, found = elman_bptt(given.parameters, x[:end, b], y[:end, b], states[b], activation)
        total["loss"] = total.get("loss", 0) + np.asarray(loss)
        total["x"][:end, b], total["initial h"][b] = found.pop("x"), found.pop("h0")
        total |= {name: total.get(name, 0) + g for name, g in found.items()}
    if len(shape) == 1:
        total["initial h"] = total["initial h"].sum(0)
    return "NumPy reference", total


def _elman_activation(template: SliceTemplate) -> str | None:
    """tanh or sigmoid if the template is `cells.elman` with that activation: equal expressions are one object."""
    try:
        (H, n), K = template.symbols["U"].shape, template.symbols["c"].shape[0]
        for activation in ("tanh", "sigmoid"):
            model = cells.elman(n, H, K, activation=activation)
            if template.definitions == model.definitions and not template.initial:
                return activation
    except (KeyError, ValueError, IndexError, DbnBpttError):
        return None
    return None


# ----------------------------------------------------------------------------------------------------- adjoint network
_FEW_SLICES = 500  # the terms of the totals of an unrolled adjoint template take the memory of all per-slice gradients


def _adjoint_network(_: SliceTemplate, result: Result, __: Any) -> tuple[str, dict[str, Array]] | None:
    """The gradients as values on the unrolled adjoint template."""
    template, given = result.graph.graph["template"], result.values.given
    if given.T > _FEW_SLICES:
        return None
    backward, mark = adjoint(template), bar(template)
    values = evaluate(unroll(backward, given.T), given)
    found = {name: values[name + mark] for name in template.names("parameter")}
    found["loss"] = np.asarray(sum(values[name] for name in template.losses))
    for name in template.names("input"):
        if name + mark in backward.symbols:
            found[name] = values.stack(name + mark)
    for name in given.initial:
        if name + mark in backward.symbols:
            slices = initial_slices(template, name, template.reaches()[name], given.T)
            found[f"initial {name}"] = gathered([values[name + mark, t] for t in slices], template, name, given)
    return "adjoint network", found


def _program(_: SliceTemplate, result: Result, __: Any) -> tuple[str, dict[str, Array]] | None:
    """The gradients by the compiled program, where there is one."""
    try:
        loss, found = compile(result.graph.graph["template"]).on(result.values.given, WRT)
    except NotCompiledError:
        return None
    return "program", {"loss": np.asarray(loss), **found}


def _forward_mode(_: SliceTemplate, result: Result, __: Any) -> tuple[str, dict[str, Array]]:
    """The gradients of parameters by real-time recurrent learning."""
    return "forward mode", rtrl_on(result.graph.graph["template"], result.values.given)


Engine = Callable[[SliceTemplate, Result, Any], tuple[str, dict[str, Array]] | None]
ENGINES: tuple[Engine, ...] = (_reference, _adjoint_network, _program)


# -------------------------------------------------------------------------------------------------- finite differences
def _differences(
    result: Result, arrays: Inputs, gradients: dict[str, Array], rng: np.random.Generator, progress: bool
) -> list[Row]:
    """Finite differences of each gradient; none where messages are stopped, of which a difference knows nothing."""
    operations = {e.operation for e in _expressions(result) if isinstance(e, Apply)}
    if any(operation.name == "stop_gradient" for operation in operations):
        return []
    step, tolerance = (1e-6, 1e-4) if any(operation.kinked for operation in operations) else (1e-4, 1e-6)
    tolerance = 1e-3 if result.values.given.dtype == np.float32 else tolerance
    program = compile(result.graph.graph["template"]) if result.values.given.T > _FEW_SLICES else None
    names = tqdm(gradients, desc="finite differences", leave=False, disable=not progress)
    return [_difference_row(result, arrays, name, gradients[name], rng, step, tolerance, program) for name in names]


def _difference_row(
    result: Result,
    arrays: Inputs,
    name: str,
    gradient: Array,
    rng: np.random.Generator,
    step: float,
    tolerance: float,
    program: Program | None,
) -> Row:
    """The derivative of the loss along a random direction of unit norm, by messages and by differences."""
    direction = rng.normal(size=gradient.shape)
    direction /= np.linalg.norm(direction)
    at = _point(result, name)
    h = step * max(1.0, float(np.linalg.norm(at)) / np.sqrt(at.size))
    losses = [_loss_at(result, arrays, name, at + k * h * direction, program) for k in (-2, -1, 1, 2)]
    by_differences = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * h)
    norm = float(np.linalg.norm(gradient))
    difference = abs(float(np.sum(gradient * direction)) - by_differences)
    scale = norm or 1.0
    rounding = 1e-14 * max(map(abs, losses)) / h  # differences cannot resolve less of a loss of this size
    return Row("finite differences", name, norm, difference, difference / scale, max(tolerance, rounding / scale))


def _point(result: Result, name: str) -> Array:
    """The value of a parameter, input or initial state, in float64."""
    given = result.values.given
    if name.startswith("initial "):
        state = name.removeprefix("initial ")
        return given.initial[state].reshape(given.initial_shapes[state]).astype(float)
    return (given.parameters if name in given.parameters else given.data)[name].astype(float)


def _loss_at(result: Result, arrays: Inputs, name: str, value: Array, program: Program | None) -> float:
    """The loss with one quantity replaced."""
    given = result.values.given
    parameters = {n: v.astype(float) for n, v in given.parameters.items()}
    constants = result.graph.graph["template"].names("constant")
    parameters = {n: v for n, v in parameters.items() if n not in constants}
    data = {n: np.asarray(v) for n, v in arrays.data.items()}
    initial = dict(arrays.initial)
    if name.startswith("initial "):
        initial[name.removeprefix("initial ")] = value
    elif name in parameters:
        parameters[name] = value
    else:
        data[name] = value
    graph = result.graph
    found = checked(graph.graph["template"], parameters, data, initial, arrays.lengths, graph.graph["T"])
    return evaluate(graph, found).loss if program is None else program.loss_on(found)

"""A program as a pure function of JAX's, for other people's training loops.

Its derivative is ours: under `jax.grad` it runs the adjoint program, which gives the loss and all gradients that are
asked for in one go. Derivatives of that are JAX's own, taken of the program's source.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.program.compiled import arguments
from dbn_bptt.program.gradients import read_gradients
from dbn_bptt.program.jax_engine import readable
from dbn_bptt.sweep.given import Given, batch_of_states, check_mapping, check_names, extent
from dbn_bptt.template.template import Template
from dbn_bptt.transforms.ragged import ENDS, VALID

Groups = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]  # parameters, data and initial states


def pure(program: Any) -> Callable[..., Any]:
    """The loss of a program as a pure function; see `Program.function`."""

    def function(
        parameters: Mapping[str, Any], data: Mapping[str, Any] | None = None, initial: Mapping[str, Any] | None = None,
        lengths: Any = None, *, T: int | None = None,
    ) -> Any:  # fmt: skip
        own = program.fitting(lengths)
        of, series = own.template, dict(data or {})
        check_mapping("inputs and targets", series)
        if lengths is not None:
            series |= _masks(of, series, lengths, T)
        slices, groups = _whole(of, parameters, series, dict(initial or {}), T)
        with readable():
            return _differentiated(own, slices, frozenset(of.names("input", "target")).difference(series))(*groups)

    return function


def _differentiated(program: Any, T: int, absent: frozenset[str]) -> Callable[..., Any]:
    """The loss of arrays with an axis of the batch, and its derivative by the adjoint program."""
    import jax

    of: Template = program.template

    def run(groups: Groups, wrt: tuple[str, ...]) -> tuple[Any, Any]:
        given = _given(of, groups, T, absent)
        made = program.made_for(given, of.losses, wrt)
        out = made.traced(*arguments(of, given))
        partners = program.backward.partners if wrt else {}
        gradients = read_gradients(out, made.schedule, of, partners, given, wrt)
        return sum(out[name] for name in of.losses), gradients

    @jax.custom_vjp
    def loss(*groups: Any) -> Any:
        return run(groups, ())[0]

    def forwards(*primals: Any) -> tuple[Any, Any]:
        groups = jax.tree.map(lambda leaf: leaf.value, primals, is_leaf=_is_primal)
        moved = [{name for name, leaf in group.items() if leaf.perturbed} for group in primals]
        for name in sorted(moved[1] - set(of.names("input"))):
            raise DataError(f"there is no gradient of the target {name!r}; differentiate in parameters, inputs, states")
        wrt = (*(["params"] if moved[0] else []), *sorted(moved[1]), *(["initial"] if moved[2] else []))
        value, found = run(groups, wrt)
        states = {name: g.reshape(groups[2][name].shape) for name, g in found.initial.items()}
        kept = ({n: found.parameters[n] for n in moved[0]}, found.inputs, {n: states[n] for n in moved[2]})
        return value, (kept, [dict.fromkeys(group) for group in groups])

    def backwards(residuals: Any, g: Any) -> Any:
        kept, names = residuals
        return tuple({n: g * of[n] if n in of else None for n in all_} for of, all_ in zip(kept, names, strict=True))

    loss.defvjp(forwards, backwards, symbolic_zeros=True)
    return loss


def _is_primal(leaf: Any) -> bool:
    return hasattr(leaf, "perturbed")


def _given(of: Template, groups: Groups, T: int, absent: frozenset[str]) -> Given:
    """The same as checked input."""
    import jax.numpy as jnp

    parameters, data, initial = groups
    leaves = [*parameters.values(), *data.values(), *initial.values()]
    dtype = np.dtype(jnp.result_type(*leaves)) if leaves else np.dtype(jnp.result_type(float))
    constants: dict[str, Any] = {name: jnp.asarray(of.arrays[name], dtype) for name in of.names("constant")}
    B = next((a.shape[1] for a in (*data.values(), *initial.values())), 1)
    return Given(T, (B,), dtype, {**parameters, **constants}, data, initial, frozenset(), absent)


def _whole(
    of: Template, parameters: Mapping[str, Any], data: dict[str, Any], initial: dict[str, Any], T: int | None
) -> tuple[int, Groups]:
    """All that a program is given, in one type and with an axis of the batch, shapes checked; numbers are not."""
    import jax.numpy as jnp

    check_names("parameter", parameters, of.names("parameter"), of)
    check_names("input or target", data, of.names("input", "target"), of)
    states = {name: shape for name, shape in of.initial_shapes().items() if name not in of.learned}
    for name in initial:
        if name not in states:
            raise unknown_name(name, states, "initial state")
    types = [_type(a) for a in (*parameters.values(), *data.values(), *initial.values())]
    dtype = jnp.result_type(float, *(t for t in types if jnp.issubdtype(t, np.floating)))
    theta = {n: jnp.asarray(parameters.get(n, of.arrays.get(n)), dtype) for n in of.names("parameter")}
    for name, a in theta.items():
        if a.shape != of.symbols[name].shape:
            raise DataError(f"parameter {name!r} has shape {a.shape}, not {of.symbols[name].shape}")
    series = {name: _encoded(of, name, a, dtype) for name, a in data.items()}
    slices, batch = extent(of, series, T)
    if not series:
        batch = batch_of_states(of, states, {name: np.empty(np.shape(a)) for name, a in initial.items()})
    B = batch or (1,)
    full = {}
    for name in of.names("input", "target"):
        core = of.symbols[name].shape
        a = series[name] if name in series else jnp.asarray(of.arrays[name], dtype)
        a = a.reshape(slices, *B, *core) if name in series else a
        full[name] = jnp.broadcast_to(a, (slices, *B, *core))
    starts = {name: _rows(of, name, shape, initial.get(name), B, dtype) for name, shape in states.items()}
    return slices, (theta, full, starts)


def _type(a: Any) -> Any:
    """The type of an array, as JAX has it: without `jax_enable_x64` at most 32 bits."""
    import jax

    return jax.dtypes.canonicalize_dtype(a.dtype if hasattr(a, "dtype") else np.asarray(a).dtype)


def _encoded(of: Template, name: str, a: Any, dtype: Any) -> Any:
    """Class indices as indicator vectors."""
    import jax
    import jax.numpy as jnp

    symbol = of.symbols[name]
    if symbol.probabilities and jnp.issubdtype(_type(a), np.integer):
        K = symbol.shape[-1]
        if not isinstance(a, jax.core.Tracer) and np.size(a) and not 0 <= np.min(a) <= np.max(a) < K:
            raise DataError(f"target {name!r} has classes from {np.min(a)} to {np.max(a)}; they run from 0 to {K - 1}")
        return jax.nn.one_hot(jnp.asarray(a), symbol.shape[-1], dtype=dtype)
    return jnp.asarray(a, dtype)


def _rows(of: Template, name: str, shape: tuple[int, ...], start: Any, B: tuple[int, ...], dtype: Any) -> Any:
    """An initial state, (rows, B, *shape), given once or for each sequence."""
    import jax.numpy as jnp

    core = of.symbols[name].shape
    a = jnp.asarray(of.initial.get(name, np.zeros(shape)) if start is None else start, dtype)
    rows = shape[: len(shape) - len(core)]
    if a.shape not in (shape, rows + B + core):
        raise DataError(f"the initial state of {name} has shape {a.shape}; it must be {shape} or {rows + B + core}")
    n = rows[0] if rows else 1
    lead = (n, 1) if a.shape == shape else (n, *B)
    return jnp.broadcast_to(a.reshape(lead + core), (n, *B, *core))


def _masks(of: Template, data: Mapping[str, Any], lengths: Any, T: int | None) -> dict[str, Any]:
    """The inputs of a ragged template that say where each sequence runs; numbers beyond must be finite."""
    import jax
    import jax.numpy as jnp

    slices = next((np.shape(a)[0] for name, a in data.items()), T)
    if slices is None:
        raise DataError(f"template {of.name!r} got no data that tells the number of slices; give T=")
    batches = {np.shape(a)[1] for name, a in data.items() if _is_batch(of, name, a)}
    if data and not batches:
        raise DataError("lengths need a batch: inputs (T, B, n) and targets (T, B)")
    if np.ndim(lengths) != 1 or (batches and {np.shape(lengths)[0]} != batches):
        raise DataError(f"lengths must be {sorted(batches)} integers, one for each sequence, not {np.shape(lengths)}")
    if not isinstance(lengths, jax.core.Tracer) and not 1 <= np.min(lengths) <= np.max(lengths) <= slices:
        raise DataError(f"lengths run from {np.min(lengths)} to {np.max(lengths)}; each must be from 1 to T = {slices}")
    t, ends = jnp.arange(slices)[:, None], jnp.asarray(lengths)
    kind = jnp.result_type(*(_type(a) for a in data.values())) if data else float
    kind = kind if jnp.issubdtype(kind, np.floating) else jnp.result_type(jnp.float32)
    return {VALID: (t < ends).astype(kind), ENDS: (t == ends - 1).astype(kind)}


def _is_batch(of: Template, name: str, a: Any) -> bool:
    """Whether data have an axis for the batch."""
    if name not in of.symbols:
        return False
    symbol = of.symbols[name]
    is_class = symbol.probabilities and np.issubdtype(_type(a), np.integer)
    return np.ndim(a) == 2 + (0 if is_class else len(symbol.shape))

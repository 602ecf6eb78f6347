"""Gradients and second derivatives in forward mode: the programs of tangent templates."""

from dataclasses import replace
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program import Program, compile
from dbn_bptt.sweep.bptt import checked
from dbn_bptt.sweep.given import Arrays, Given, check_mapping
from dbn_bptt.sweep.results import refuse_nan
from dbn_bptt.template.expressions import Reference
from dbn_bptt.template.template import SliceTemplate, checked_template
from dbn_bptt.transforms.adjoint import bar
from dbn_bptt.transforms.ragged import is_ragged, ragged
from dbn_bptt.transforms.tangent import dot, tangent


def rtrl(
    template: SliceTemplate, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None,
    lengths: Any = None, T: int | None = None,
) -> dict[str, Array]:  # fmt: skip
    """The gradients of the parameters by real-time recurrent learning: one forward pass for all directions at once.

    It carries dh_t/dtheta along, (P, H) numbers for P parameters, and never looks back; the cost of a slice is P times
    that of the forward sweep. Arguments are those of `bptt`.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> theta, data = rnn.initial_parameters(seed=0), {"x": np.ones((5, 3)), "y": np.array([0, 1, 0, 1, 1])}
    >>> np.allclose(db.rtrl(rnn, theta, data)["W"], db.bptt(rnn, theta, data).gradients["W"])
    True
    """
    template = checked_template(template, "rtrl")
    of = ragged(template) if lengths is not None and not is_ragged(template) else template
    return rtrl_on(of, checked(of, parameters, data, initial, lengths, T))


def rtrl_on(of: SliceTemplate, found: Given) -> dict[str, Array]:
    """`rtrl` on checked input."""
    _check_loss(of)
    program = compile(tangent(of))
    names = [name + dot(of) for name in of.losses]
    gradients = {}
    for name in of.names("parameter"):
        along = _along(of, found, {name: np.eye(found.parameters[name].size)}, program.template, dot(of))
        slices = program.series(along, names)
        total = np.sum([series.sum(0) for series in slices.values()], 0)  # one number a direction and sequence
        shape = found.parameters[name].shape
        gradients[name] = total.reshape(-1, *(found.batch or (1,))).sum(1).reshape(shape)
    refuse_nan(gradients, "the gradient of ")
    return gradients


def hessian_vector_product(
    template: SliceTemplate | Program, parameters: Arrays, data: Arrays | None = None, direction: Arrays | None = None,
    *, initial: Arrays | None = None, lengths: Any = None, T: int | None = None,
) -> dict[str, Array]:  # fmt: skip
    """The second derivative of the loss in the parameters, times a direction: the tangent of the adjoint.

    Parameters
    ----------
    template : SliceTemplate or Program
        A program keeps what it has made for further products, each as quick as two or three gradients.
    direction : dict of arrays
        By parameter; those that are left out are zero. The other arguments are those of `bptt`.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> t = db.SliceTemplate("cubes")
    >>> w = t.parameter("w", 2)
    >>> t.loss("L", db.sum(w**3))
    >>> db.hessian_vector_product(t, {"w": [1.0, 2.0]}, direction={"w": [1.0, 1.0]}, T=1)["w"]
    array([ 6., 12.])
    """
    if not isinstance(template, Program):
        template = compile(checked_template(template, "hessian_vector_product"))
    program: Program = template
    program = program.for_lengths() if lengths is not None and not is_ragged(program.template) else program
    of = program.template
    _check_loss(of)
    found = checked(of, parameters, data, initial, lengths, T)
    given = {} if direction is None else direction
    check_mapping("directions", given)
    checked(of, {**parameters, **given}, data, initial, lengths, T)  # the direction fits the parameters
    second, mark = program.second
    rows = {name: np.asarray(value, found.dtype)[None] for name, value in given.items()}
    ends = bar(of) + mark
    out = second.totals_on(
        _along(of, found, rows, second.template, mark), [name + ends for name in of.names("parameter")]
    )
    products = {name.removesuffix(ends): product for name, product in out.items()}
    refuse_nan(products, "the product in ")
    return products


def _check_loss(template: SliceTemplate) -> None:
    if not template.losses:
        raise TemplateError(f"template {template.name!r} has no loss to differentiate; add .loss(...)")


def slice_tangents(
    template: SliceTemplate, found: Given, parameter: str, names: list[str], immediate: bool
) -> dict[str, Array]:
    """The derivatives of some variables in a parameter, (T, P, *shape) by variable, on checked input of one sequence.

    Total ones; or immediate ones, in which slice t counts its own copy of the parameter alone.
    """
    program, mark = compile(tangent(template)), dot(template)
    along = _along(template, found, {parameter: np.eye(found.parameters[parameter].size)}, program.template, mark)
    wanted = [name + mark for name in names]
    if not immediate:
        series = program.series(along, wanted)
        return {name: series[name + mark] for name in names}
    rows: dict[str, list[Array]] = {name: [] for name in names}
    copies = along.data[parameter + mark]
    for t in range(found.T):
        one = np.zeros_like(copies)
        one[t] = copies[t]
        series = program.series(replace(along, data={**along.data, parameter + mark: one}), wanted)
        for name in names:
            rows[name].append(series[name + mark][t])
    return {name: np.stack(found_rows) for name, found_rows in rows.items()}


def _along(of: SliceTemplate, found: Given, directions: dict[str, Array], by: SliceTemplate, mark: str) -> Given:
    """The input of a tangent template `by`: everything repeated for each direction of some parameters."""
    P = len(next(iter(directions.values()))) if directions else 1
    B = found.batch[0] if found.batch else 1
    data = {}
    for name, series in found.data.items():
        whole = series if found.batch else series[:, None]
        data[name] = np.concatenate([whole] * P, 1)  # the directions are the outer part of the batch
    initial = {}
    for name, rows in found.initial.items():
        core = of.symbols[name].shape
        whole = rows if found.batch and rows.ndim == 2 + len(core) else rows[:, None]
        initial[name] = np.tile(np.broadcast_to(whole, (len(rows), B, *core)), (1, P, *(1 for _ in core)))
    for name in of.names("parameter", "input"):
        core = of.symbols[name].shape
        spread = directions[name].reshape(P, *core) if name in directions else np.zeros((P, *core))
        rows = np.repeat(spread, B, 0).astype(found.dtype) if name in directions else np.zeros((), found.dtype)
        data[name + mark] = np.broadcast_to(rows, (found.T, P * B, *core))
    for name, (before, after) in of.reaches().items():
        if before + after and of.symbols[name].kind in ("variable", "input"):
            core, learned = of.symbols[name].shape, of.initial.get(name)
            rows = np.zeros((before + after, P * B, *core), found.dtype)
            if isinstance(learned, Reference) and learned.name in directions:
                start = directions[learned.name].reshape(P, before + after, *core)
                rows[:] = np.repeat(np.moveaxis(start, 0, 1), B, 1)
            earlier, later = by.reaches()[name + mark]  # the tangent may read less: nothing through a step
            initial[name + mark] = rows[before - earlier : before + later]
    shapes = {name: rows.shape if len(rows) > 1 else rows.shape[1:] for name, rows in initial.items()}
    return Given(found.T, (P * B,), found.dtype, found.parameters, data, initial, shapes)

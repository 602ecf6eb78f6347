"""Gradients and second derivatives in forward mode: the programs of tangent templates."""

from dataclasses import replace
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.run import Program, compile
from dbn_bptt.sweep.given import Arrays, Given, admitted, check_mapping, checked
from dbn_bptt.sweep.results import refuse_nan
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.transforms.tangent import tangent


def rtrl(
    template: Described, parameters: Arrays, data: Arrays | None = None, *, initial: Arrays | None = None,
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
    return rtrl_on(*admitted(template, parameters, data, initial, lengths, T, who="rtrl"))


def rtrl_on(of: Template, given: Given) -> dict[str, Array]:
    """`rtrl` on checked input."""
    _check_loss(of)
    program = compile(tangent(of))
    dots = program.template.partners
    gradients = {}
    for name in of.names("parameter"):
        along = _along(of, given, {name: np.eye(given.parameters[name].size)}, program.template)
        slices = program.run(along, series=[dots[loss] for loss in of.losses]).series
        total = np.sum([series.sum(0) for series in slices.values()], 0)  # one number a direction and sequence
        gradients[name] = total.reshape(-1, *(given.batch or (1,))).sum(1).reshape(given.parameters[name].shape)
    refuse_nan(gradients, "the gradient of ")
    return gradients


def hessian_vector_product(
    template: Described | Program, parameters: Arrays, data: Arrays | None = None, direction: Arrays | None = None,
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
    whole = template if isinstance(template, Program) else compile(checked_template(template, "hessian_vector_product"))
    program = whole.fitting(lengths)
    of = program.template
    _check_loss(of)
    given = checked(of, parameters, data, initial, lengths, T)
    directions = {} if direction is None else direction
    check_mapping("directions", directions)
    checked(of, {**parameters, **directions}, data, initial, lengths, T)  # the direction fits the parameters
    second = program.second
    rows = {name: np.asarray(value, given.dtype)[None] for name, value in directions.items()}
    names = {name: second.template.partners[program.backward.partners[name]] for name in of.names("parameter")}
    totals = second.run(_along(of, given, rows, second.template), totals=list(names.values())).totals
    products = {name: totals[title] for name, title in names.items()}
    refuse_nan(products, "the product in ")
    return products


def _check_loss(template: Template) -> None:
    if not template.losses:
        raise TemplateError(f"template {template.name!r} has no loss to differentiate; add .loss(...)")


def slice_tangents(of: Template, given: Given, parameter: str, names: list[str], immediate: bool) -> dict[str, Array]:
    """The derivatives of some variables in a parameter, (T, P, *shape) by variable, on checked input of one sequence.

    Total ones; or immediate ones, in which slice t counts its own copy of the parameter alone.
    """
    program = compile(tangent(of))
    dots = program.template.partners
    along = _along(of, given, {parameter: np.eye(given.parameters[parameter].size)}, program.template)
    wanted = [dots[name] for name in names]
    if not immediate:
        series = program.run(along, series=wanted).series
        return {name: series[dots[name]] for name in names}
    rows: dict[str, list[Array]] = {name: [] for name in names}
    copies = along.data[dots[parameter]]
    for t in range(given.T):
        one = np.zeros_like(copies)
        one[t] = copies[t]
        series = program.run(replace(along, data={**along.data, dots[parameter]: one}), series=wanted).series
        for name in names:
            rows[name].append(series[dots[name]][t])
    return {name: np.stack(found) for name, found in rows.items()}


def _along(of: Template, given: Given, directions: dict[str, Array], by: Template) -> Given:
    """The input of a tangent template `by`: everything repeated for each direction of some parameters, one a row."""
    P = len(next(iter(directions.values()))) if directions else 1
    B, T, dtype = given.batch[0] if given.batch else 1, given.T, given.dtype
    many, dots = given.repeated(P), by.partners

    def spread(rows: Array, slices: int, core: tuple[int, ...]) -> Array:
        """Rows (P, slices or 1, *core) as a series, the directions the outer part of the batch."""
        each = np.repeat(np.moveaxis(rows, 0, 1), B, 1).astype(dtype)
        return np.broadcast_to(each, (slices, P * B, *core))

    data, initial = dict(many.data), dict(many.initial)
    for name in of.names("parameter", "input"):
        core = of.symbols[name].shape
        rows = directions[name].reshape(P, 1, *core) if name in directions else np.zeros((P, 1, *core))
        data[dots[name]] = spread(rows, T, core)
    for name, (before, after) in of.reaches().items():
        if before + after and of.symbols[name].kind in ("variable", "input"):
            core, learned = of.symbols[name].shape, of.learned.get(name)
            start = np.zeros((P, before + after, *core))
            if learned is not None and learned.name in directions:
                start = directions[learned.name].reshape(start.shape)
            earlier, later = by.reaches()[dots[name]]  # the tangent may read less: nothing through a step
            initial[dots[name]] = spread(start, before + after, core)[before - earlier : before + later]
    return replace(many, data=data, initial=initial, shared=frozenset(), absent=frozenset())

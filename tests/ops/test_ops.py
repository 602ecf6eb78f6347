"""Every row of the table of operations: forward against NumPy, VJPs against finite differences, to second order."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.special

import dbn_bptt as db
import dbn_bptt.dbn.polynomial.reductions  # its rows are tested here too
from dbn_bptt import ops
from dbn_bptt.ops.rows import TABLE
from dbn_bptt.sweep.steps import tape
from dbn_bptt.template.expressions import Apply, Constant
from dbn_bptt.template.traversal import walk
from tests.helpers import assert_close, directional_difference


@dataclass(frozen=True)
class Use:
    """A use of operations: a function of arguments of some core shapes, and the same in NumPy."""

    name: str
    build: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    numpy: Callable[..., Any] | None
    positive: bool = False

    def __repr__(self) -> str:
        return self.name

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> list[Any]:
        """Random arguments; well away from the kinks of relu and max."""
        return [
            np.asarray(rng.uniform(0.5, 2.0, lead + s) if self.positive else rng.normal(size=lead + s))
            for s in self.shapes
        ]


def _spd(a: Any, T: Callable[[Any], Any] = lambda a: a.T) -> Any:
    """A well-conditioned matrix from any matrix."""
    return a @ T(a) + 2 * np.eye(3)


ROWS = set(TABLE)  # before any test adds one
MASK = np.array([1.0, 0.0, 1.0])
V, M, S = (3,), (3, 3), ()
USES = [
    Use("add", lambda a, b: a + b, (V, V), np.add),
    Use("add, broadcast", lambda a, b: a + b, ((2, 3), V), np.add),
    Use("add, column and row", lambda a, b: a + b, ((2, 1), (1, 3)), np.add),
    Use("add, scalar", lambda a, b: a + b, (S, (2, 3)), np.add),
    Use("subtract", lambda a, b: a - b, (V, S), np.subtract),
    Use("subtract from a number", lambda a: 3 - a, (V,), lambda a: 3 - a),
    Use("multiply", lambda a, b: a * b, ((2, 3), V), np.multiply),
    Use("multiply by itself", lambda a: a * a * a, (V,), lambda a: a**3),
    Use("divide", lambda a, b: a / b, ((2, 3), V), np.divide, positive=True),
    Use("divide a number", lambda a: 2 / a, (V,), lambda a: 2 / a, positive=True),
    Use("negative", lambda a: -a, (V,), np.negative),
    Use("square", lambda a: a**2, (V,), np.square),
    Use("power", lambda a: a**2.5, (V,), lambda a: a**2.5, positive=True),
    Use("negative power", lambda a: a**-1, (V,), lambda a: 1 / a, positive=True),
    Use("exp", db.exp, (V,), np.exp),
    Use("log", db.log, (V,), np.log, positive=True),
    Use("sqrt", db.sqrt, (V,), np.sqrt, positive=True),
    Use("tanh", db.tanh, (V,), np.tanh),
    Use("sigmoid", db.sigmoid, (V,), lambda a: 1 / (1 + np.exp(-a))),
    Use("relu", db.relu, (V,), lambda a: np.maximum(a, 0)),
    Use("softplus", db.softplus, (V,), lambda a: np.log1p(np.exp(a))),
    Use("select", lambda a, b: db.select(MASK, a, b), (V, V), lambda a, b: np.where(MASK, a, b)),
    Use("select, broadcast", lambda a, b: db.select(MASK, a, b), ((2, 3), S), lambda a, b: np.where(MASK, a, b)),
    Use("select by an argument", lambda m, a: db.select(ops.step(m), a, -a), (V, V), lambda m, a: np.where(m > 0, a, -a)),
    Use("matrix times vector", lambda a, b: a @ b, ((2, 3), V), np.matmul),
    Use("vector times matrix", lambda a, b: a @ b, (V, (3, 2)), np.matmul),
    Use("vector times vector", lambda a, b: a @ b, (V, V), np.matmul),
    Use("matrix times matrix", lambda a, b: a @ b, ((2, 3), (3, 4)), np.matmul),
    Use("stack times matrix", lambda a, b: a @ b, ((2, 4, 3), (3, 2)), np.matmul),
    Use("stack times stack, broadcast", lambda a, b: a @ b, ((2, 1, 2, 3), (4, 3, 2)), np.matmul),
    Use("stack times vector", lambda a, b: a @ b, ((2, 4, 3), V), np.matmul),
    Use("vector times stack", lambda a, b: a @ b, (V, (2, 3, 4)), np.matmul),
    Use("outer", db.outer, (V, (2,)), np.outer),
    Use("inverse", lambda a: db.inverse(_spd(a)), (M,), lambda a: np.linalg.inv(_spd(a))),
    Use("logdet", lambda a: db.logdet(_spd(a)), (M,), lambda a: np.linalg.slogdet(_spd(a))[1]),
    Use("einsum", lambda a, b: db.einsum("ij,kj->ik", a, b), ((2, 3), (4, 3)), lambda a, b: a @ b.T),
    Use("einsum, three", lambda a, b, c: db.einsum("i,ij,j", a, b, c), (V, M, V), lambda a, b, c: a @ b @ c),
    Use("einsum, sum of one", lambda a: db.einsum("ij->i", a), ((2, 3),), lambda a: a.sum(1)),
    Use("einsum, unshared label", lambda a, b: db.einsum("ij,k->k", a, b), ((2, 3), V), lambda a, b: a.sum() * b),
    Use("einsum, diagonal", lambda a: db.einsum("ii->i", a), (M,), np.diagonal),
    Use("einsum, any letters", lambda a, b: db.einsum("Zi,i->Z", a, b), ((2, 3), V), np.matmul),
    Use("einsum, trace", lambda a: db.einsum("ii", a), (M,), np.trace),
    Use("transpose", lambda a: a.T if hasattr(a, "T") else a, ((2, 3),), np.transpose),
    Use("transpose, three axes", lambda a: db.transpose(a, (2, 0, 1)), ((2, 3, 4),), lambda a: np.transpose(a, (2, 0, 1))),
    Use("reshape", lambda a: db.reshape(a, (3, -1)), ((2, 3),), lambda a: a.reshape(3, 2)),
    Use("broadcast", lambda a: ops.broadcast_to(a, (4, 2, 3)), ((2, 1),), lambda a: np.broadcast_to(a, (4, 2, 3))),
    Use("concatenate", lambda a, b: db.concatenate([a, b, a]), (V, (2,)), lambda a, b: np.concatenate([a, b, a])),
    Use("concatenate, rows", lambda a, b: db.concatenate([a, b], axis=0), ((2, 3), (1, 3)), lambda a, b: np.concatenate([a, b])),
    Use("index", lambda a: a[1], ((2, 3),), lambda a: a[1]),
    Use("index, slice", lambda a: a[..., 1:], ((2, 3),), lambda a: a[:, 1:]),
    Use("index, reversed", lambda a: a[::-1, 2], ((2, 3),), lambda a: a[::-1, 2]),
    Use("sum", db.sum, ((2, 3),), np.sum),
    Use("sum, axis", lambda a: db.sum(a, axis=0), ((2, 3),), lambda a: a.sum(0)),
    Use("sum, keepdims", lambda a: a / db.sum(a, axis=-1, keepdims=True), ((2, 3),), lambda a: a / a.sum(-1, keepdims=True), True),
    Use("max", db.max, ((2, 3),), np.max),
    Use("max, axis", lambda a: db.max(a, axis=1, keepdims=True), ((2, 3),), lambda a: a.max(1, keepdims=True)),
    Use("peak, which cancels", lambda a: db.log(db.sum(db.exp(a - ops.peak(a, axis=(-1,))), -1)) + ops.peak(a, axis=(-1,))[:, 0] - db.sum(a, -1),
        ((2, 3),), lambda a: scipy.special.logsumexp(a, axis=-1) - a.sum(-1)),
    Use("stop_gradient, which cancels", lambda a: db.log(a / db.stop_gradient(db.sum(a))) + db.log(db.stop_gradient(db.sum(a))), (V,), np.log, True),
    Use("logsumexp", db.logsumexp, ((2, 3),), scipy.special.logsumexp),
    Use("logsumexp, axis", lambda a: db.logsumexp(a, axis=0), ((2, 3),), lambda a: scipy.special.logsumexp(a, axis=0)),
    Use("softmax", db.softmax, ((2, 3),), lambda a: scipy.special.softmax(a, axis=-1)),
    Use("softmax, axis", lambda a: db.softmax(a, axis=0), ((2, 3),), lambda a: scipy.special.softmax(a, axis=0)),
    Use("log_softmax", db.log_softmax, ((2, 3),), lambda a: scipy.special.log_softmax(a, axis=-1)),
    Use("cross_entropy", lambda o, p: db.cross_entropy(o, db.softmax(p)), (V, V),
        lambda o, p: -(scipy.special.softmax(p) * scipy.special.log_softmax(o)).sum()),
    Use("cross_entropy, rows", db.cross_entropy, ((2, 3), (2, 3)), lambda o, p: -(p * scipy.special.log_softmax(o, axis=-1)).sum(-1)),
    Use("cross_entropy, class", lambda o: db.cross_entropy(o, 2), (V,), lambda o: -scipy.special.log_softmax(o)[2]),
    Use("expectation", ops.expectation, ((2, 3), (2, 3)), lambda p, a: (p * a).sum(-1)),
    Use("squared_error", db.squared_error, ((2, 3), (2, 3)), lambda a, b: 0.5 * ((a - b) ** 2).sum()),
]  # fmt: skip


def _template(use: Use, as_inputs: bool) -> db.SliceTemplate:
    """One slice: the loss is a random quadratic function of what is used."""
    t = db.SliceTemplate(use.name)
    declare = t.input if as_inputs else t.parameter
    built = use.build(*(declare(f"p{k}", shape) for k, shape in enumerate(use.shapes)))
    t.loss("L", _quadratic(built))
    return t


def _quadratic(built: Any) -> Any:
    weights = np.random.default_rng(5).normal(size=built.shape)
    return db.sum(weights * (built + built * built))


@pytest.mark.parametrize("use", USES, ids=repr)
def test_forward_equals_numpy(use: Use):
    arrays = use.draw(np.random.default_rng(1))
    assert use.numpy is not None
    assert_close(use.build(*arrays), use.numpy(*arrays), 1e-13)


@pytest.mark.parametrize("use", USES, ids=repr)
def test_gradients_equal_finite_differences(use: Use):
    rng = np.random.default_rng(1)
    template = _template(use, as_inputs=False)
    parameters = {f"p{k}": a for k, a in enumerate(use.draw(rng))}
    result = db.bptt(template, parameters, T=1)
    for name, at in parameters.items():
        direction = rng.normal(size=at.shape)
        expected = directional_difference(
            lambda a, n=name: db.bptt(template, parameters | {n: a}, T=1).loss, at, direction
        )
        assert_close(np.sum(result.gradients[name] * direction), expected, 1e-8, name)


@pytest.mark.parametrize("use", USES, ids=repr)
def test_each_vjp_works_on_arrays(use: Use):
    """Every row that the use is made of, called with arrays, against finite differences of its own kernel."""
    rng = np.random.default_rng(2)
    template = _template(use, as_inputs=False)
    leaves = [template[f"p{k}"] for k in range(len(use.shapes))]
    (piece,) = template.definitions["L"].pieces
    parts = [e for e in walk([piece.expression]) if isinstance(e, Apply)]
    needed = list(dict.fromkeys(a for e in parts for a in (*e.arguments, e)))
    arrays = dict(zip(needed, tape(needed, leaves, (), float)(use.draw(rng)), strict=True))
    for e in parts:
        attributes = dict(e.attributes)
        at = [np.asarray(arrays[a]) for a in e.arguments]
        g = rng.normal(size=e.shape)
        for position, argument in enumerate(e.arguments):
            vjp = e.operation.vjp(position)
            if vjp is None or isinstance(argument, Constant):
                continue
            message = vjp(g, np.asarray(arrays[e]), *at, **attributes)
            if e.operation.elementwise:
                message = ops.sum_to(message, at[position])
            direction = rng.normal(size=argument.shape)

            def moved(a, e=e, at=at, position=position, attributes=attributes):
                return e.operation(*at[:position], a, *at[position + 1 :], **attributes)

            expected = np.sum(g * directional_difference(moved, at[position], direction))
            assert np.shape(message) == argument.shape, e.operation.name
            assert_close(np.sum(message * direction), expected, 1e-8, e.operation.name)


@pytest.mark.parametrize("use", USES, ids=repr)
def test_second_derivatives_by_way_of_expressions(use: Use):
    rng = np.random.default_rng(3)
    template = _template(use, as_inputs=False)
    parameters = {f"p{k}": a for k, a in enumerate(use.draw(rng))}
    direction = {name: rng.normal(size=a.shape) for name, a in parameters.items()}
    graph = db.unroll(db.adjoint(db.adjoint(template)), 1)
    values = db.forward(graph, parameters | {f"{n}_bar_bar2": d for n, d in direction.items()})
    for name in parameters:

        def gradient(step, name=name):
            return db.bptt(template, {n: a + step * direction[n] for n, a in parameters.items()}, T=1).gradients[name]

        expected = directional_difference(gradient, 0.0, 1.0)
        assert_close(values[f"{name}_bar2"], expected, 1e-7, name)


@pytest.mark.parametrize("use", USES, ids=repr)
@pytest.mark.parametrize("batched", ["all", "one"])
def test_a_batch_equals_one_call_a_sequence(use: Use, batched: str):
    """Arguments with batch axes, and arguments with and without them mixed."""
    rng = np.random.default_rng(4)
    template = _template(use, as_inputs=True)
    if batched == "one":
        template = db.SliceTemplate(use.name)
        refs = [(template.parameter if k else template.input)(f"p{k}", s) for k, s in enumerate(use.shapes)]
        built = use.build(*refs)
        template.loss("L", _quadratic(built))
    timed = template.names("input")
    arrays = {f"p{k}": a for k, a in enumerate(use.draw(rng, (4,)))}
    fixed = {n: a[0] for n, a in arrays.items() if n not in timed}
    whole = db.bptt(template, fixed, {n: arrays[n][None] for n in timed})
    single = [db.bptt(template, fixed, {n: arrays[n][b][None] for n in timed}) for b in range(4)]
    assert_close(whole.loss, sum(r.loss for r in single), 1e-12)
    for name in fixed:
        assert_close(whole.gradients[name], sum(r.gradients[name] for r in single), 1e-12, name)
    for name in timed:
        stacked = np.stack([r.messages.input_gradients[name][0] for r in single])
        assert_close(whole.messages.input_gradients[name][0], stacked, 1e-12, name)


def test_every_row_of_the_table_is_used_here():
    used = set()
    for use in USES:
        template = db.adjoint(_template(use, as_inputs=False))
        pieces = [piece.expression for d in template.definitions.values() for piece in d.pieces]
        used |= {e.operation.name for e in walk(pieces) if isinstance(e, Apply)}
    of_dbn = {"draw", "drawn", "largest", "first_largest", "indicator"}
    assert ROWS - used == {"batch_sum", *of_dbn}, "batch_sum is the sum of a total"


def test_a_user_adds_a_row_without_touching_the_engine():
    cube = db.operation("cube", lambda a: a**3, [lambda g, y, a: 3 * g * a * a], latex="{0}^3")
    t = db.SliceTemplate("cubes")
    w = t.parameter("w", 3)
    t.loss("L", db.sum(cube(w)))
    w0 = np.array([1.0, -2.0, 3.0])
    assert_close(db.bptt(t, {"w": w0}, T=2).gradients["w"], 6 * w0**2)
    assert "w^3" in db.equations(t)
    with pytest.raises(db.TemplateError, match="there is an operation 'cube' already"):
        db.operation("cube", np.abs, [None])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: db.tanh(np.array([800.0, -800.0])), [1.0, -1.0]),
        (lambda: db.sigmoid(np.array([800.0, -800.0])), [1.0, 0.0]),
        (lambda: db.softplus(np.array([800.0, -800.0])), [800.0, 0.0]),
        (lambda: db.logsumexp(np.array([1000.0, 1000.0])), 1000 + np.log(2)),
        (lambda: db.logsumexp(np.array([-np.inf, -np.inf])), -np.inf),
        (lambda: db.logsumexp(np.array([-np.inf, 0.0])), 0.0),
        (lambda: db.softmax(np.array([1000.0, 0.0])), [1.0, 0.0]),
        (lambda: db.softmax(np.array([-np.inf, -np.inf])), [0.0, 0.0]),
        (lambda: db.cross_entropy(np.array([1000.0, 0.0]), 1), 1000.0),
        (lambda: db.cross_entropy(np.array([0.0, -np.inf]), 0), 0.0),
        (lambda: db.cross_entropy(np.array([0.0, -np.inf]), 1), np.inf),
    ],
)
def test_extreme_values_neither_overflow_nor_become_nan(call, expected):
    assert np.array_equal(call(), expected)


def test_equal_maxima_share_the_derivative():
    t = db.SliceTemplate("ties")
    w = t.parameter("w", 3)
    t.loss("L", db.max(w))
    assert np.array_equal(db.bptt(t, {"w": [2.0, 1.0, 2.0]}, T=1).gradients["w"], [0.5, 0.0, 0.5])


def test_operations_on_arrays_return_arrays():
    assert db.softmax(np.zeros(4)).tolist() == [0.25] * 4
    assert db.einsum("ij,j->i", np.eye(2), np.array([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_cross_entropy_of_integer_logits_is_no_integer():
    assert db.cross_entropy(np.array([0, 0, 0]), 2) == pytest.approx(np.log(3))


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.ufunc], ids=lambda row: row.name)
def test_a_ufunc_may_write_over_any_argument(row):
    rng = np.random.default_rng(0)
    arguments = [rng.uniform(0.5, 2, (4, 3)) for _ in row.vjps]
    expected = row.forward(*arguments)
    for k in range(len(arguments)):
        own = [a.copy() for a in arguments]
        assert row.ufunc(*own, out=own[k]) is own[k]
        np.testing.assert_allclose(own[k], expected, rtol=1e-14)

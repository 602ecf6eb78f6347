"""Forward mode: equal to reverse mode on every case, and its second derivatives to differences of gradients."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dbn_bptt as db
from dbn_bptt.template.expressions import Apply
from dbn_bptt.template.traversal import walk
from tests.cases import CASES, Case, Drawn, draw
from tests.helpers import assert_close, directional_difference
from tests.random_templates import RandomTemplate


def _assert_rtrl_equals_bptt(drawn: Drawn) -> None:
    found = db.rtrl(drawn.template, **drawn.arguments())
    for name, gradient in drawn.bptt().gradients.items():
        assert_close(found[name], gradient, 1e-10, name)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_rtrl_equals_bptt(case: Case):
    _assert_rtrl_equals_bptt(draw(case))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), T=st.integers(1, 8), batch=st.none() | st.integers(1, 3))
def test_rtrl_of_random_templates_equals_bptt(seed, T, batch):
    _assert_rtrl_equals_bptt(draw(Case("random", RandomTemplate(seed).make, T=T, B=batch), seed))


def _is_smooth(template: db.SliceTemplate) -> bool:
    pieces = [piece.expression for d in template.definitions.values() for piece in d.pieces]
    return not any(isinstance(e, Apply) and e.operation.kinked for e in walk(pieces))


@pytest.mark.parametrize("case", [case for case in CASES if _is_smooth(case.make())], ids=repr)
def test_second_derivatives_are_differences_of_gradients(case: Case):
    drawn = draw(case)
    rng = np.random.default_rng(3)
    direction = {name: rng.normal(size=np.shape(a)) for name, a in drawn.parameters.items()}
    found = db.hessian_vector_product(drawn.template, direction=direction, **drawn.arguments())

    def gradient_at(step: Any) -> Any:
        moved = {name: np.asarray(a) + step * direction[name] for name, a in drawn.parameters.items()}
        gradients = drawn.bptt(parameters=moved).gradients
        return np.concatenate([np.ravel(gradients[name]) for name in found])

    expected = directional_difference(gradient_at, 0.0, 1.0)
    assert_close(np.concatenate([np.ravel(a) for a in found.values()]), expected, 1e-6)


def test_a_direction_of_one_slice_gives_the_gradient_of_its_copy():
    """The inputs W_dot may differ between slices: then they are tangents of the copies W^(t)."""
    rnn = db.cells.elman(2, 3, 2)
    theta, x, y = rnn.initial_parameters(0), np.random.default_rng(0).normal(size=(4, 2)), np.array([0, 1, 1, 0])
    per_slice = db.bptt(rnn, theta, {"x": x, "y": y}).messages.per_slice("W")
    W_dot = np.zeros((4, 3, 3))
    W_dot[1, 0, 2] = 1
    values = db.compile(db.tangent(rnn)).values(theta, {"x": x, "y": y, "W_dot": W_dot})
    assert_close(values["L_dot"].sum(), per_slice[1, 0, 2])
    assert values["L_dot"][0] == 0


def test_the_hessian_is_symmetric():
    drawn = draw(next(case for case in CASES if case.name.startswith("elman")))
    sizes = {name: np.size(a) for name, a in drawn.parameters.items()}
    columns = []
    for k in range(sum(sizes.values())):
        parts = np.split(np.eye(sum(sizes.values()))[k], np.cumsum(list(sizes.values()))[:-1])
        direction = {n: p.reshape(np.shape(drawn.parameters[n])) for n, p in zip(sizes, parts, strict=True)}
        found = db.hessian_vector_product(drawn.template, direction=direction, **drawn.arguments())
        columns.append(np.concatenate([np.ravel(found[name]) for name in sizes]))
    hessian = np.stack(columns, 1)
    assert_close(hessian, hessian.T, 1e-10)


def test_the_equations_are_those_of_the_lecture():
    lines = db.equations(db.tangent(db.cells.elman(3, 4, 2)), format="text").splitlines()
    assert lines[5:8] == [
        "a_dot_t = b_dot_t + W_dot_t h_{t-1} + W h_dot_{t-1} + U_dot_t x_t + U x_dot_t",
        "h_dot_t = a_dot_t * (1 - h_t^2)",
        "o_dot_t = c_dot_t + V_dot_t h_t + V h_dot_t",
    ]


def test_a_direction_must_fit():
    rnn = db.cells.elman(2, 3, 2)
    with pytest.raises(db.DataError, match="parameter 'W' has shape"):
        db.hessian_vector_product(rnn, rnn.initial_parameters(0), {"x": np.ones((2, 2)), "y": [0, 1]}, {"W": [1.0]})
    with pytest.raises(db.UnknownNameError, match="unknown parameter 'w'"):
        db.hessian_vector_product(rnn, rnn.initial_parameters(0), {"x": np.ones((2, 2)), "y": [0, 1]}, {"w": [1.0]})


def test_compare_includes_forward_mode():
    rnn = db.cells.lstm(2, 3, 2)
    data = {"x": np.random.default_rng(0).normal(size=(4, 2)), "y": [0, 1, 1, 0]}
    report = db.compare(rnn, rnn.initial_parameters(0), data, forward_mode=True)
    assert report.ok
    assert {row.quantity for row in report.rows if row.engine == "forward mode"} == set(rnn.names("parameter"))


def test_a_template_without_a_loss_has_no_derivatives():
    t = db.SliceTemplate("no loss")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, w * h.prev)
    t.total("S", h)
    for call in (db.rtrl, db.hessian_vector_product):
        with pytest.raises(db.TemplateError, match="has no loss to differentiate"):
            call(t, {"w": 0.5}, T=3)


def test_a_program_gives_the_same_products_and_keeps_what_it_has_made():
    drawn = draw(next(case for case in CASES if case.name == "lstm, ragged"))
    rng = np.random.default_rng(3)
    direction = {name: rng.normal(size=np.shape(a)) for name, a in drawn.parameters.items()}
    given = {k: v for k, v in drawn.arguments().items() if k != "T"} | {"direction": direction}
    expected = db.hessian_vector_product(drawn.template, **given)
    program = db.compile(drawn.template)
    for _ in range(2):
        found = db.hessian_vector_product(program, **given)
        for name, product in expected.items():
            np.testing.assert_array_equal(found[name], product)
    assert program.for_lengths().second is program.for_lengths().second

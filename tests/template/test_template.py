"""Templates: declarations, views and random parameters."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells
from dbn_bptt.template.domains import AFTER_FIRST, EVERY, FIRST, LAST, between, initial_slice
from dbn_bptt.template.structure import interface, parents
from tests.cases import CASES, Case, draw


def test_the_readme_of_design_builds_its_own_cell():
    t = db.SliceTemplate("my cell")
    W, U, b = t.parameter("W", (4, 4)), t.parameter("U", (4, 3)), t.parameter("b", (4,))
    x, y = t.input("x", 3), t.target("y", classes=4)
    h = t.variable("h", 4)
    t.define(h, db.tanh(b + W @ h.prev + U @ x))
    t.loss("L", db.cross_entropy(h, y))
    result = db.bptt(t, t.initial_parameters(0), {"x": np.ones((2, 3)), "y": [0, 3]}, initial={"h": np.ones(4)})
    assert result.messages.initial_gradients["h"].shape == (4,)
    assert str(t) == "SliceTemplate 'my cell': parameters W, U, b; inputs x; variables h; loss L"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("elman", ["h"]),
        ("lstm", ["s", "h"]),
        ("gru", ["h"]),
        ("jordan", ["yhat"]),
        ("jordan with teacher forcing", []),
        ("bidirectional", ["h_fw", "h_bw"]),
        ("stack", ["s1", "h1", "h2", "h3"]),
        ("first slice", ["h"]),
        ("matrices", ["P", "m"]),
    ],
)
def test_interfaces(name, expected):
    assert interface(next(c for c in CASES if c.name == name).make()) == expected


def test_parents_come_with_their_lags():
    assert parents(cells.gru(3, 4, 2))["h"] == [("z", 0), ("n", 0), ("h", 1)]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_initial_parameters_run(case: Case):
    drawn = draw(case)
    parameters = drawn.template.initial_parameters(seed=3)
    assert np.isfinite(drawn.bptt(parameters=parameters).loss)
    again = drawn.template.initial_parameters(seed=np.random.default_rng(3))
    assert all(np.array_equal(parameters[name], again[name]) for name in parameters)


def test_shapes_of_initial_states():
    template = next(c for c in CASES if c.name == "lags").make()
    assert template.initial_shapes() == {"h": (3, 3), "x": (2, 2)}
    assert template.reaches()["h"] == (3, 0)


@pytest.mark.parametrize(
    ("domain", "T", "expected"),
    [
        (EVERY, 3, range(0, 3)),
        (FIRST, 3, range(0, 1)),
        (AFTER_FIRST, 1, range(1, 1)),
        (LAST, 3, range(2, 3)),
        (LAST.shifted(-1), 3, range(1, 2)),
        (EVERY & EVERY.shifted(1), 3, range(1, 3)),
        (FIRST & LAST, 1, range(0, 1)),
        (initial_slice(-2), 3, range(-2, -1)),
        (initial_slice(1), 3, range(4, 5)),
        (between(-2, 1), 3, range(-2, 4)),
    ],
)
def test_domains(domain, T, expected):
    assert list(domain.slices(T)) == list(expected)
    assert (domain & domain) == domain


def test_equal_expressions_are_one_object():
    t = db.SliceTemplate("t")
    W, h = t.parameter("W", (2, 2)), t.variable("h", 2)
    assert db.tanh(W @ h.prev + 1.0) is db.tanh(W @ h.lag(1) + 1)
    assert W @ h is not W @ h.prev
    assert h + 0 is h
    assert h * 1 is h
    minus = -h
    assert -minus is h
    assert W.T.T is W


def test_arrays_may_stand_on_either_side():
    t = db.SliceTemplate("t")
    h = t.variable("h", 2)
    M, v = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0])
    t.define(h, M @ h.prev + v * h.prev - (v - h.prev) / 2.0)
    t.loss("L", v @ h)
    result = db.bptt(t, {}, {}, T=1, initial={"h": [1.0, 1.0]})
    assert result.values["h", 0].tolist() == [3 + 1 - 0.0, 7 - 1 + 1.0]

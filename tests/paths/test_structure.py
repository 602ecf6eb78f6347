"""What an equation depends on, walked operation by operation, is what differentiation at random values finds."""

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import paths
from dbn_bptt.sweep.steps import LocalSteps
from dbn_bptt.sweep.unroll import arguments
from tests.cases import CASES, Case, draw
from tests.dbn_models import STRUCTURES, Structure
from tests.random_templates import CLASSES, SIZE, RandomTemplate


def _drawn(graph: nx.MultiDiGraph, v: Any, local: LocalSteps, arrays: list[Any], rng: Any) -> dict[int, Any]:
    """Which derivatives of an equation are not 0 everywhere: those that are not 0 at some random values."""
    found: dict[int, Any] = {}
    unchanged = 0
    while unchanged < 12:  # rectifiers and maxima hide some of them in each draw
        signs = [rng.choice([-1, 1], a.shape) if unchanged % 3 else np.ones(a.shape) for a in arrays]
        drawn = [rng.uniform(0.1, 0.9, a.shape) * sign for a, sign in zip(arrays, signs, strict=True)]
        before = {key: there.copy() for key, there in found.items()}
        with np.errstate(all="ignore"):
            value = local.value(v, graph.nodes[v], drawn)
            for seed in range(value.size):
                adjoint = np.eye(value.size)[seed].reshape(value.shape)
                for key, message in local.messages(v, graph.nodes[v], drawn, value, adjoint):
                    rows = found.setdefault(key, np.zeros((value.size, message.size), bool))
                    rows[seed] |= (np.isfinite(message) & (message != 0)).ravel()
        same = before.keys() == found.keys() and all((before[key] == found[key]).all() for key in found)
        unchanged = unchanged + 1 if same else 0
    return found


def _by_draws(graph: nx.MultiDiGraph, values: db.Values) -> set[tuple[Any, Any]]:
    """The edges of the scalar graph by random draws."""
    local, rng = LocalSteps(values.given), np.random.default_rng(0)
    edges, found = set(), {}
    for v in nx.topological_sort(graph):
        parents, attributes = arguments(graph, v), graph.nodes[v]
        rule = attributes["rule"], attributes["name"], len(parents)
        if parents and rule not in found:
            found[rule] = _drawn(graph, v, local, [values.node[u] for u in parents], rng)
        for key, there in found[rule].items() if parents else ():
            sources, sinks = (
                [(graph.nodes[u]["name"], graph.nodes[u]["t"], i) for i in np.ndindex(*graph.nodes[u]["shape"])]
                for u in (parents[key], v)
            )
            edges |= {(sources[j], sinks[i]) for i, j in np.argwhere(there)}
    return edges


ONE_SEQUENCE = [replace(case, B=None, lengths=None) for case in CASES if "ragged" not in case.name]


@pytest.mark.parametrize("case", ONE_SEQUENCE, ids=repr)
def test_the_walk_finds_the_edges_that_draws_find(case: Case):
    drawn = draw(case)
    result = drawn.bptt()
    assert set(paths.linearize(result.graph, result.values).edges) == _by_draws(result.graph, result.values)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_the_walk_finds_the_edges_of_forward_recursions(structure: Structure):
    """Tables of probabilities, products of factors and a normalisation."""
    result = db.bptt(db.dbn.template(structure.make(1, zeros=0.2)), {}, {}, T=3)
    assert set(paths.linearize(result.graph, result.values).edges) == _by_draws(result.graph, result.values)


def test_the_walk_finds_the_edges_of_the_kalman_filter():
    """Inverses and determinants."""
    kalman = db.dbn.linear_gaussian(0.5 * np.eye(2) + 0.1, [[1.0, 0.0]], np.eye(2), [[1.0]], np.zeros(2), np.eye(2))
    result = db.bptt(kalman, {}, db.dbn.kalman_data(kalman, {"y": np.ones((2, 1))}))
    assert set(paths.linearize(result.graph, result.values).edges) == _by_draws(result.graph, result.values)


@pytest.mark.parametrize("seed", range(20))
def test_the_walk_finds_the_edges_of_random_templates(seed: int):
    random = RandomTemplate(seed)
    rng = np.random.default_rng(seed)
    theta = {name: rng.normal(size=shape) for name, shape in random.parameters.items()}
    data = {"x": rng.normal(size=(3, SIZE)), "y": rng.integers(0, CLASSES, 3)}
    result = db.bptt(random.make(), theta, data)
    assert set(paths.linearize(result.graph, result.values).edges) == _by_draws(result.graph, result.values)


# ------------------------------------------------------------------------------------------- one operation at a time
middle = db.operation(
    "middle", lambda a: np.median(a, -1), [lambda g, y, a: db.select(a - db.reshape(y, (3, 1)), 0.0, db.reshape(g, (3, 1)))],
    shape=lambda a: a[:-1], kinked=True,
)  # fmt: skip
larger = db.operation(
    "larger", np.maximum, [lambda g, y, a, b: g * db.step(a - b), lambda g, y, a, b: g * db.step(b - a)]
)
smaller = db.operation(
    "smaller", np.minimum, [lambda g, y, a, b: g * db.step(b - a), lambda g, y, a, b: g * db.step(a - b)]
)
rooted = db.operation("rooted", lambda a: np.sqrt(a - 5), [lambda g, y, a: g / (2 * y)], shape=lambda a: a)

A, I, O = np.ones((3, 3), bool), np.eye(3, dtype=bool), np.zeros((3, 3), bool)  # noqa: E741
LOWER = np.tril(np.ones((3, 3)))
MASK = np.array([1.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        pytest.param(lambda h: h * MASK, np.diag(MASK), id="a product with a constant that is 0 somewhere"),
        pytest.param(lambda h: LOWER @ h, LOWER, id="a matrix with zeros"),
        pytest.param(lambda h: db.exp(h) + MASK, I, id="zeros that are added"),
        pytest.param(lambda h: db.select(MASK, h, db.sum(h)), np.where(MASK[:, None] == 1, I, A), id="a mask"),
        pytest.param(lambda h: db.select(h, MASK, 2 * h[0]), [[1, 0, 0]] * 3, id="where a mask is 0"),
        pytest.param(lambda h: larger(h, MASK), I, id="the larger of a number and 0 or 1"),
        pytest.param(lambda h: db.sum(larger(h, LOWER), axis=0), I, id="the larger of a number and many"),
        pytest.param(lambda h: db.sum(smaller(h, LOWER), axis=0), I, id="the smaller of a number and many"),
        pytest.param(lambda h: smaller(h, MASK), I, id="the smaller of a number and 0 or 1"),
        pytest.param(
            lambda h: db.sum(db.softmax(h[:2])) * MASK, [[1, 1, 0], [0, 0, 0], [1, 1, 0]], id="what sums to 1"
        ),
        pytest.param(lambda h: db.relu(-100 + h), I, id="a rectifier"),
        pytest.param(lambda h: db.step(h) * db.stop_gradient(h), O, id="what has no derivative"),
        pytest.param(lambda h: h[::-1], I[::-1], id="an order turned round"),
        pytest.param(lambda h: db.concatenate([h[1:], h[:1]]), np.roll(I, 1, 1), id="parts joined"),
        pytest.param(lambda h: db.softmax(h) + db.logsumexp(h), A, id="a softmax"),
        pytest.param(lambda h: db.max(LOWER * h, axis=1), LOWER, id="maxima of rows with zeros"),
        pytest.param(lambda h: db.einsum("i,j,jk->i", h, np.ones(3), np.eye(3)), I, id="an einsum"),
        pytest.param(lambda h: db.inverse(db.outer(h, h) + np.eye(3))[0], A, id="an inverse"),
        pytest.param(lambda h: middle(db.outer(h, h)), A, id="a user's median"),
        pytest.param(lambda h: rooted(h), A, id="a user's operation that has no value at numbers below 1"),
    ],
)
def test_what_one_operation_depends_on(equation, expected):
    t = db.SliceTemplate("one operation")
    x, h = t.input("x", 3), t.variable("h", 3)
    t.define(h, equation(x))
    t.loss("L", db.sum(h))
    graph = db.unroll(t, 1)
    scalars = paths.linearize(graph, db.forward(graph, {}, {"x": np.array([[7.0, 8.0, 6.5]])}))
    there = [[scalars.has_edge(("x", 0, (j,)), ("h", 0, (i,))) for j in range(3)] for i in range(3)]
    np.testing.assert_array_equal(there, np.asarray(expected, bool))

"""The scalar graph: its edges, sums over its paths, and the triangular system."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import paths
from tests.paths.networks import LOSS, elman, linearized

T, n, H, K = 3, 2, 3, 2


@pytest.mark.parametrize("T", [1, 2, 3, 4])
def test_how_many_paths_there_are(T: int):
    _, _, scalars = linearized(T=T)
    counts = paths.sweep(scalars, LOSS, paths.COUNT)
    assert counts["h", -1, (0,)] == K * sum(H**s for s in range(1, T + 1))
    from_W = sum(K * H ** (s - t) for t in range(1, T + 1) for s in range(t, T + 1))
    assert counts["W", None, (0, 1)] == from_W
    assert len(list(paths.paths_between(scalars, ("h", -1, (0,)), LOSS))) == counts["h", -1, (0,)]


def test_edges_stand_for_dependence_and_not_for_numbers():
    """A rectifier that is off, or a state of zeros, has derivatives of 0 but still its edges."""
    rnn, theta, data = elman(activation="relu")
    off = {**theta, "b": np.full(H, -100.0)}
    graph = db.unroll(rnn, T)
    scalars = paths.linearize(graph, db.forward(graph, off, data))
    assert paths.sweep(scalars, LOSS, paths.COUNT)["h", -1, (0,)] == K * sum(H**s for s in range(1, T + 1))
    assert paths.sweep(scalars, LOSS)["h", -1, (0,)] == 0


def test_a_number_used_twice_has_one_edge():
    t = db.SliceTemplate("square")
    h = t.variable("h", 2)
    t.define(h, h.prev * h.prev)
    t.loss("L", db.sum(h), at="last")
    graph = db.unroll(t, 2)
    values = db.forward(graph, {}, initial={"h": [2.0, 3.0]})
    scalars = paths.linearize(graph, values)
    assert scalars.edges[("h", -1, (0,)), ("h", 0, (0,))]["weight"] == 4
    assert not scalars.has_edge(("h", -1, (1,)), ("h", 0, (0,)))


def test_edges_of_rectifiers_maxima_and_roots():
    t = db.SliceTemplate("rectified")
    W, x, h, m, r = (
        t.parameter("W", (20, 20)),
        t.input("x", 20),
        t.variable("h", 20),
        t.variable("m", ()),
        t.variable("r", 20),
    )
    t.define(h, db.relu(W @ h.prev + x))
    t.define(m, db.max(h))
    t.define(r, db.sqrt(1 + h))
    t.loss("L", m + db.sum(r))
    graph = db.unroll(t, 1)
    theta = {"W": np.random.default_rng(0).normal(size=(20, 20))}
    scalars = paths.linearize(graph, db.forward(graph, theta, {"x": np.full((1, 20), -1000.0)}))
    degrees = dict(scalars.in_degree())
    assert all(degrees["h", 0, (i,)] == 20 + 20 + 1 for i in range(20))
    assert degrees["m", 0, ()] == 20
    assert all(degrees["r", 0, (i,)] == 1 for i in range(20))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paths.path_sum(linearized()[2], ("h", 9, (0,)), LOSS), "is no node; nodes are"),
        (lambda: paths.sweep(linearized()[2], "L"), "'L' is no node of the graph"),
        (lambda: paths.heaviest(0), "k is 0"),
        (lambda: paths.eliminate(linearized()[2], "backward"), "none of 'forward', 'reverse', 'markowitz'"),
        (lambda: paths.eliminate(linearized()[2], []), "must name every node"),
        (lambda: paths.credit(*elman())["w"], "unknown parameter 'w'"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(db.DbnBpttError, match=message):
        call()

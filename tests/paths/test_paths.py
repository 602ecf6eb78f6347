"""The statements of THEORY.md on paths, semirings, credit and elimination orders."""

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dbn_bptt as db
from dbn_bptt import paths
from tests.helpers import assert_close

T, n, H, K = 3, 2, 3, 2


def _elman(seed: int = 0, T: int = T, activation: str = "tanh", n: int = n, H: int = H, K: int = K):
    rng = np.random.default_rng(seed)
    rnn = db.cells.elman(n, H, K, activation=activation)
    theta = {name: rng.normal(size=a.shape) for name, a in rnn.initial_parameters(0).items()}
    return rnn, theta, {"x": rng.normal(size=(T, n)), "y": rng.integers(0, K, T)}


def _linearized(seed: int = 0, T: int = T, copies: bool = False, **options: Any):
    rnn, theta, data = _elman(seed, T, **options)
    graph = db.unroll(rnn, T, copies=copies)
    values = db.forward(graph, theta, data)
    return graph, values, paths.linearize(graph, values)


LOSS = ("L", None, ())


# --------------------------------------------------------------------------------------------- section 1: derivatives
def test_the_table_of_immediate_and_total_derivatives():
    rnn, theta, data = _elman(1, T=5)
    table = paths.derivative_table(rnn, theta, data)
    gradients = db.bptt(rnn, theta, data).gradients
    for name in "WUb":
        assert_close(table.bptt[name], gradients[name], 1e-12, name)
        assert_close(table.rtrl[name], gradients[name], 1e-12, name)
        for wrong in (table.twice, table.one_step):
            assert np.abs(wrong[name] - gradients[name]).max() > 1e-3 * np.abs(gradients[name]).max()
    truncated = db.compile(rnn).value_and_grad(theta, data, truncate=1)[1]
    for name in "WUb":
        assert_close(table.one_step[name], truncated[name], 1e-12, name)
    assert str(table).splitlines()[1].startswith("parameter")


# ------------------------------------------------------------------------- section 2: paths, messages, a linear system
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_path_sums_messages_and_a_triangular_solve_are_one(activation):
    graph, values, scalars = _linearized(activation=activation)
    messages = db.backward(graph, values)
    solved = paths.adjoint_solve(scalars, LOSS)
    swept = paths.sweep(scalars, LOSS)
    for (name, t, index), derivative in solved.items():
        node = name if t is None else (name, t)
        if node in messages.adjoint:
            assert derivative == pytest.approx(float(messages.adjoint[node][index]), abs=1e-13)
            assert swept[name, t, index] == pytest.approx(derivative, abs=1e-13)
    for source in [("h", -1, (0,)), ("W", None, (1, 2)), ("x", 0, (1,)), ("c", None, (0,))]:
        assert paths.path_sum(scalars, source, LOSS) == pytest.approx(solved[source], abs=1e-13)


@pytest.mark.parametrize("T", [1, 2, 3, 4])
def test_how_many_paths_there_are(T: int):
    _, _, scalars = _linearized(T=T)
    counts = paths.sweep(scalars, LOSS, paths.COUNT)
    assert counts["h", -1, (0,)] == K * sum(H**s for s in range(1, T + 1))
    from_W = sum(K * H ** (s - t) for t in range(1, T + 1) for s in range(t, T + 1))
    assert counts["W", None, (0, 1)] == from_W
    assert len(list(paths.paths_between(scalars, ("h", -1, (0,)), LOSS))) == counts["h", -1, (0,)]


def test_edges_stand_for_dependence_and_not_for_numbers():
    """A rectifier that is off, or a state of zeros, has derivatives of 0 but still its edges."""
    rnn, theta, data = _elman(activation="relu")
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


# --------------------------------------------------------------------------------------------------- section 8: semirings
def _random_graph(seed: int, nodes: int = 9) -> nx.DiGraph:
    rng = np.random.default_rng(seed)
    scalars = nx.DiGraph()
    scalars.add_nodes_from(range(nodes))
    for v in range(nodes):
        for u in range(v):
            if rng.random() < 0.5:
                scalars.add_edge(u, v, weight=float(rng.normal()), lag=int(rng.integers(0, 2)))
    return scalars


def _by_enumeration(scalars: nx.DiGraph, semiring: paths.Semiring, source: Any, target: Any) -> Any:
    total = semiring.zero
    for path in nx.all_simple_paths(scalars, source, target):
        product = semiring.one
        for u, v in nx.utils.pairwise(path):
            product = semiring.multiply(product, semiring.lift(scalars[u][v]["weight"], scalars[u][v]["lag"]))
        total = semiring.add(total, product)
    return total


@pytest.mark.parametrize("semiring", paths.SEMIRINGS, ids=lambda s: s.name)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_sweep_is_the_sum_over_paths_in_every_semiring(semiring: paths.Semiring, seed: int):
    scalars = _random_graph(seed)
    found = paths.sweep(scalars, 8, semiring)
    for source in range(8):
        assert semiring.equal(found[source], _by_enumeration(scalars, semiring, source, 8))


@pytest.mark.parametrize("semiring", paths.SEMIRINGS, ids=lambda s: s.name)
@settings(max_examples=50, deadline=None)
@given(
    weights=st.lists(st.floats(-3, 3).filter(lambda w: abs(w) > 1e-3), min_size=3, max_size=3),
    lags=st.lists(st.integers(0, 2), min_size=3, max_size=3),
)
def test_the_laws_of_semirings(semiring: paths.Semiring, weights, lags):
    a, b, c = (semiring.lift(w, lag) for w, lag in zip(weights, lags, strict=True))
    add, times, same = semiring.add, semiring.multiply, semiring.equal
    assert same(add(a, b), add(b, a))
    assert same(add(add(a, b), c), add(a, add(b, c)))
    assert same(times(times(a, b), c), times(a, times(b, c)))
    assert same(times(a, add(b, c)), add(times(a, b), times(a, c)))
    assert same(add(a, semiring.zero), a)
    assert same(times(a, semiring.one), a)
    assert same(times(a, semiring.zero), semiring.zero)


def test_a_graph_of_thousands_of_paths():
    _, _, scalars = _linearized(T=4, H=4)
    source = ("h", -1, (1,))
    every = [paths.path_weight(scalars, path) for path in paths.paths_between(scalars, source, LOSS)]
    assert len(every) == paths.sweep(scalars, LOSS, paths.COUNT)[source] > 600
    assert paths.sweep(scalars, LOSS, paths.ABSOLUTE)[source] == pytest.approx(np.abs(every).sum())
    assert paths.sweep(scalars, LOSS, paths.HEAVIEST)[source] == pytest.approx(np.abs(every).max())
    shares = np.abs(every) / np.abs(every).sum()
    entropy = paths.path_entropy(paths.sweep(scalars, LOSS, paths.ENTROPY)[source])
    assert entropy == pytest.approx(-(shares * np.log(shares)).sum())
    best = paths.heaviest_paths(scalars, source, LOSS, k=5)
    assert [abs(w) for w, _ in best] == pytest.approx(sorted(np.abs(every))[::-1][:5])
    assert all(paths.path_weight(scalars, path) == pytest.approx(w) for w, path in best)
    assert paths.sweep(scalars, LOSS, paths.heaviest(5))[source] == pytest.approx([abs(w) for w, _ in best])


def test_the_lag_semiring_splits_the_gradient_and_truncates_it():
    slices = 5
    rnn, theta, data = _elman(2, T=slices)
    graph = db.unroll(rnn, slices, copies=True)
    scalars = paths.linearize(graph, db.forward(graph, theta, data))
    found = paths.sweep(scalars, LOSS, paths.LAG)
    by_lag = paths.credit(rnn, theta, data).by_lag("W")
    for index in np.ndindex(H, H):
        assert_close(paths.split_by_lag(found, ("W", None, index), slices), by_lag[(slice(None), *index)])
    chance = 0.3  # of stopping at each border: the mean of random truncation without its correction
    kept = np.array([(1 - chance) ** k for k in range(slices)])
    rng, draws = np.random.default_rng(0), 4000
    items = paths.credit(rnn, theta, data)["W"]
    mean = np.zeros((H, H))
    for _ in range(draws):
        cuts = np.r_[False, rng.random(slices - 1) < chance].cumsum()  # which piece each slice is in
        mean += sum(items[s, t] for s in range(slices) for t in range(s + 1) if cuts[s] == cuts[t]) / draws
    expected = np.tensordot(kept, by_lag, 1)
    assert np.abs(mean - expected).max() < 0.08 * np.abs(by_lag).max()
    assert np.abs(expected - by_lag.sum(0)).max() > 0.01


def test_sweeps_are_linear_in_the_edges():
    """100,000 edges in one call; the work per edge is one addition and one multiplication."""
    scalars = nx.DiGraph()
    calls = 0

    def counted(a: float, b: float) -> float:
        nonlocal calls
        calls += 1
        return a * b

    for t in range(12_500):
        scalars.add_edges_from(
            ((t, i), (t + 1, j), {"weight": 0.3}) for i in range(3) for j in range(3) if (i, j) != (2, 2)
        )
    scalars.add_edges_from(((12_500, i), "L", {"weight": 1.0}) for i in range(3))
    semiring = paths.Semiring("counted", 0.0, 1.0, lambda a, b: a + b, counted, lambda w, lag: w)
    paths.sweep(scalars, "L", semiring)
    assert calls == scalars.number_of_edges() > 100_000


# ------------------------------------------------------------------------------------------------------ credit
@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_the_itemised_gradient_adds_up(cell):
    rng = np.random.default_rng(0)
    rnn = getattr(db.cells, cell)(n, H, K)
    theta, data = rnn.initial_parameters(1), {"x": rng.normal(size=(4, 2, n)), "y": rng.integers(0, K, (4, 2))}
    items = paths.credit(rnn, theta, data)
    result = db.bptt(rnn, theta, data)
    for name, gradient in result.gradients.items():
        assert_close(items[name].sum((0, 1)), gradient, 1e-12, name)
        assert_close(items.by_copy(name), result.messages.per_slice(name), 1e-12, name)
        assert_close(items.by_loss(name).sum(0), gradient, 1e-12, name)
        assert_close(items.by_lag(name).sum(0), gradient, 1e-12, name)
        above = np.triu(np.ones((4, 4), bool), 1)
        assert not items[name][above].any()
    for k in (1, 2):
        cut = db.compile(rnn).value_and_grad(theta, data, truncate=k)[1]
        name = next(name for name in theta if name.startswith("W"))
        inside = sum(items[name][s, t] for s in range(4) for t in range(4) if s // k == t // k)
        assert_close(cut[name], inside, 1e-12)


# ---------------------------------------------------------------------------------------------- section 9: elimination
@pytest.mark.parametrize("T", [1, 2, 4])
def test_every_order_gives_the_same_gradient_and_reverse_is_bptt(T: int):
    _, _, scalars = _linearized(T=T, n=1, H=2, K=2)
    useful = scalars.subgraph(nx.ancestors(scalars, LOSS) | {LOSS})
    rng = np.random.default_rng(T)
    inner = [v for v in useful if useful.in_degree(v) and useful.out_degree(v)]
    found = {order: paths.eliminate(useful, order) for order in ("forward", "reverse", "markowitz")}
    found["random"] = paths.eliminate(useful, [inner[k] for k in rng.permutation(len(inner))])
    expected = paths.adjoint_solve(useful, LOSS)
    for elimination in found.values():
        for (source, _), derivative in elimination.jacobian.items():
            assert derivative == pytest.approx(expected[source], abs=1e-12)
    assert found["reverse"].multiplications == useful.number_of_edges() - useful.in_degree(LOSS)
    assert found["forward"].multiplications > found["reverse"].multiplications


def _least_cost(scalars: nx.DiGraph) -> int:
    """The cost of the best order: what is left after some nodes are gone depends on their set alone."""
    inner = frozenset(v for v in scalars if scalars.in_degree(v) and scalars.out_degree(v))
    closure = nx.DiGraph(scalars)

    def cost(v: Any, gone: frozenset[Any]) -> int:
        """The parents and children of v once others are gone: who reaches it through these alone."""
        counts = []
        for graph in (closure, closure.reverse(copy=False)):
            part = graph.subgraph([u for u in graph if u in gone or u == v])
            reached = nx.descendants(part, v) | {v}
            counts.append(len({w for u in reached for w in graph.succ[u]} - gone - {v}))
        return counts[0] * counts[1]

    best = {frozenset(): 0}
    for size in range(1, len(inner) + 1):
        for gone in map(frozenset, itertools.combinations(inner, size)):
            best[gone] = min(best[gone - {v}] + cost(v, gone - {v}) for v in gone)
    return best[inner]


def test_forward_reverse_and_the_optimum_of_a_tiny_network():
    """The full Jacobian of o_1, ..., o_4 in w and h_0 for a_t = w h_{t-1}, h_t = f(a_t), o_t = v h_t (THEORY.md, 9)."""
    scalars = nx.DiGraph()
    for t in range(1, 5):
        scalars.add_edges_from(
            [(("h", t - 1), ("a", t)), ("w", ("a", t)), (("a", t), ("h", t)), (("h", t), ("o", t))], weight=0.5
        )
    costs = {order: paths.elimination_cost(scalars, order) for order in ("forward", "reverse", "markowitz")}
    assert costs == {"forward": 22, "reverse": 30, "markowitz": 21}
    assert _least_cost(scalars) == 21


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=3, max_size=6), seed=st.integers(0, 1000))
def test_on_a_chain_the_best_order_is_the_matrix_chain_program(sizes, seed):
    """Eliminating the layers of a chain costs what multiplying its Jacobians in that order costs."""
    scalars = nx.DiGraph()
    for k, (a, b) in enumerate(itertools.pairwise(sizes)):
        scalars.add_edges_from(((k, i), (k + 1, j), {"weight": 1.0}) for i in range(a) for j in range(b))

    def chain(i: int, j: int) -> int:
        if j - i < 2:
            return 0
        return min(chain(i, m) + chain(m, j) + sizes[i] * sizes[m] * sizes[j] for m in range(i + 1, j))

    layers = range(1, len(sizes) - 1)
    by_layers = [
        paths.elimination_cost(scalars, [(k, i) for k in order for i in range(sizes[k])])
        for order in itertools.permutations(layers)
    ]
    assert min(by_layers) == chain(0, len(sizes) - 1)


def test_a_gradient_step_is_a_posterior_mean():
    """In the linear-Gaussian network with edge weights = derivatives and N(0, 1) roots (THEORY.md, 9)."""
    _, _, scalars = _linearized(n=1, H=2, K=2)
    useful = nx.DiGraph(scalars.subgraph(nx.ancestors(scalars, LOSS) | {LOSS}))
    order = list(nx.topological_sort(useful))
    A = nx.to_numpy_array(useful, order)
    roots = [k for k, v in enumerate(order) if not useful.in_degree(v)]
    influence = np.linalg.inv(np.eye(len(order)) - A)[roots]  # d node / d root
    covariance = influence.T @ influence
    at = order.index(LOSS)
    gradient = np.array([paths.adjoint_solve(useful, LOSS)[order[k]] for k in roots])
    assert_close(covariance[roots, at], gradient, 1e-12)
    assert covariance[at, at] == pytest.approx(np.sum(gradient**2))
    eta = 0.1
    posterior_mean = covariance[roots, at] / covariance[at, at] * (-eta * covariance[at, at])
    assert_close(posterior_mean, -eta * gradient, 1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paths.path_sum(_linearized()[2], ("h", 9, (0,)), LOSS), "is no node; nodes are"),
        (lambda: paths.sweep(_linearized()[2], "L"), "'L' is no node of the graph"),
        (lambda: paths.heaviest(0), "k is 0"),
        (lambda: paths.eliminate(_linearized()[2], "backward"), "none of 'forward', 'reverse', 'markowitz'"),
        (lambda: paths.eliminate(_linearized()[2], []), "must name every node"),
        (lambda: paths.credit(*_elman())["w"], "unknown parameter 'w'"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(db.DbnBpttError, match=message):
        call()


# ------------------------------------------------------------------------------------------- what a review found
def _learnt() -> db.SliceTemplate:
    t = db.SliceTemplate("learnt start")
    w, h0 = t.parameter("w", ()), t.parameter("h0", ())
    h = t.variable("h", (), initial=h0)
    t.define(h, w * h.prev)
    t.loss("L", h)
    return t


def test_learned_initial_states_get_their_credit():
    items = paths.credit(_learnt(), {"w": 0.5, "h0": 1.0}, T=3)
    assert items["h0"].sum() == pytest.approx(0.875)
    with pytest.raises(db.DataError, match="an initial state is learnt"):
        paths.derivative_table(_learnt(), {"w": 0.5, "h0": 1.0}, T=3)


def test_the_table_refuses_states_and_losses_that_it_would_count_twice():
    data = {"x": np.ones((3, 2)), "y": [0, 1, 0]}
    lstm = db.cells.lstm(2, 3, 2)
    with pytest.raises(db.DataError, match="h depends on s in one slice"):
        paths.derivative_table(lstm, lstm.initial_parameters(0), data)
    t = db.SliceTemplate("lagged loss")
    x, h = t.input("x", 2), t.variable("h", 2)
    t.define(h, db.tanh(x + h.prev))
    t.loss("L", db.sum(h * h.prev))
    with pytest.raises(db.DataError, match="L reads the slice before"):
        paths.derivative_table(t, {}, {"x": np.ones((3, 2))})


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


def test_lags_of_chains_that_run_backwards_are_refused():
    rng = np.random.default_rng(0)
    rnn = db.cells.bidirectional("elman", 2, 3, 2)
    data = {"x": rng.normal(size=(4, 2)), "y": rng.integers(0, 2, 4)}
    items = paths.credit(rnn, rnn.initial_parameters(0), data)
    backwards = next(name for name in items.items if items[name][np.triu_indices(4, 1)].any())
    with pytest.raises(db.DataError, match="whose lags are negative"):
        items.by_lag(backwards)


def test_paths_from_the_initial_state_cross_every_slice():
    graph, values, scalars = _linearized(T=4)
    found = paths.split_by_lag(paths.sweep(scalars, LOSS, paths.LAG), ("h", -1, (0,)), 4)
    assert found.shape == (5,)
    assert found.sum() == pytest.approx(db.backward(graph, values).adjoint["h", -1][0])

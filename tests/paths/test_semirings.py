"""Path sums in semirings (THEORY.md, section 8): laws, enumeration, lags."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dbn_bptt as db
from dbn_bptt import paths
from tests.helpers import assert_close
from tests.paths.networks import LOSS, elman, linearized

T, n, H, K = 3, 2, 3, 2


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
    _, _, scalars = linearized(T=4, H=4)
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
    rnn, theta, data = elman(2, T=slices)
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


def test_paths_from_the_initial_state_cross_every_slice():
    graph, values, scalars = linearized(T=4)
    found = paths.split_by_lag(paths.sweep(scalars, LOSS, paths.LAG), ("h", -1, (0,)), 4)
    assert found.shape == (5,)
    assert found.sum() == pytest.approx(db.backward(graph, values).adjoint["h", -1][0])

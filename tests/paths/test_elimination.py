"""Elimination orders (THEORY.md, section 9): one Jacobian, many costs."""

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbn_bptt import paths
from tests.paths.networks import LOSS, linearized

T, n, H, K = 3, 2, 3, 2


@pytest.mark.parametrize("T", [1, 2, 4])
def test_every_order_gives_the_same_gradient(T: int):
    _, _, scalars = linearized(T=T, n=1, H=2, K=2)
    useful = scalars.subgraph(nx.ancestors(scalars, LOSS) | {LOSS})
    rng = np.random.default_rng(T)
    inner = [v for v in useful if useful.in_degree(v) and useful.out_degree(v)]
    found = {order: paths.eliminate(useful, order) for order in ("forward", "reverse", "markowitz")}
    found["random"] = paths.eliminate(useful, [inner[k] for k in rng.permutation(len(inner))])
    expected = paths.adjoint_solve(useful, LOSS)
    for elimination in found.values():
        for (source, _), derivative in elimination.jacobian.items():
            assert derivative == pytest.approx(expected[source], abs=1e-12)
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

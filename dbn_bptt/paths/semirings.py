"""One sweep, many questions: path sums in other semirings than that of real numbers.

A reverse sweep needs of numbers only that they can be added and multiplied, that products distribute over sums, and 0
and 1. With (max, *) in place of (+, *) it finds the path that carries most, with counting their number, with
polynomials in z how the gradient splits by lag.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError


@dataclass(frozen=True)
class Semiring:
    """Addition and multiplication with neutral elements, and how an edge gets its element.

    Attributes
    ----------
    name : str
    zero, one : the neutral elements
    add, multiply : functions of two elements
    lift : from an edge's weight and lag to its element
    equal : whether two elements are the same up to rounding
    """

    name: str
    zero: Any
    one: Any
    add: Callable[[Any, Any], Any]
    multiply: Callable[[Any, Any], Any]
    lift: Callable[[float, int], Any]
    equal: Callable[[Any, Any], bool] = lambda a, b: bool(np.allclose(a, b, rtol=1e-10, atol=1e-12))


def _entropy_product(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return a[0] * b[0], a[0] * b[1] + b[0] * a[1]


def _entropy_lift(weight: float, lag: int) -> tuple[float, float]:
    size = abs(weight)
    return size, -size * float(np.log(size)) if size else 0.0


def _polynomial_sum(a: Any, b: Any) -> Any:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = np.array(longer, float)
    total[: len(shorter)] += shorter
    return total


def _polynomial_product(a: Any, b: Any) -> Any:
    return np.convolve(a, b) if len(a) and len(b) else np.zeros(0)


def _power(weight: float, lag: int) -> Any:
    if lag < 0:
        raise DataError("an edge points to an earlier slice; lags are those of chains that run forwards")
    return np.array([*[0.0] * lag, weight])


def _same_polynomial(a: Any, b: Any) -> bool:
    return bool(np.allclose(_polynomial_sum(a, -np.asarray(b)), 0, atol=1e-10))


GRADIENT = Semiring("gradient", 0.0, 1.0, lambda a, b: a + b, lambda a, b: a * b, lambda w, lag: w)
COUNT = Semiring("count", 0, 1, lambda a, b: a + b, lambda a, b: a * b, lambda w, lag: 1)
ABSOLUTE = Semiring("absolute", 0.0, 1.0, lambda a, b: a + b, lambda a, b: a * b, lambda w, lag: abs(w))
HEAVIEST = Semiring("heaviest", 0.0, 1.0, max, lambda a, b: a * b, lambda w, lag: abs(w))
WIDEST = Semiring("widest", 0.0, float("inf"), max, min, lambda w, lag: abs(w))
ENTROPY = Semiring(
    "entropy", (0.0, 0.0), (1.0, 0.0), lambda a, b: (a[0] + b[0], a[1] + b[1]), _entropy_product, _entropy_lift
)
LAG = Semiring(
    "lag", np.zeros(0), np.ones(1), _polynomial_sum, _polynomial_product,
    lambda w, lag: _power(w, lag), _same_polynomial,
)  # fmt: skip


def heaviest(k: int) -> Semiring:
    """The k largest products of absolute weights, in descending order.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 3.0), ("a", "c", 1.0)])
    >>> sweep(scalars, "c", heaviest(2))["a"]
    (6.0, 1.0)
    """
    if k < 1:
        raise DataError(f"k is {k}; ask for at least one path")

    def best(products: Any) -> tuple[float, ...]:
        return tuple(heapq.nlargest(k, products))

    def same(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return len(a) == len(b) and bool(np.allclose(a, b, rtol=1e-10))

    return Semiring(
        f"{k} heaviest", (), (1.0,), lambda a, b: best(a + b), lambda a, b: best(x * y for x in a for y in b),
        lambda w, lag: (abs(w),), same,
    )  # fmt: skip


SEMIRINGS = (GRADIENT, COUNT, ABSOLUTE, HEAVIEST, WIDEST, ENTROPY, LAG, heaviest(3))


def sweep(scalars: nx.DiGraph, target: Any, semiring: Semiring = GRADIENT) -> dict[Any, Any]:
    """For every node the sum over all paths to a target of the products along them, in one reverse sweep.

    The work is linear in the number of edges.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", -3.0), ("a", "c", 1.0)])
    >>> sweep(scalars, "c")["a"], sweep(scalars, "c", COUNT)["a"], sweep(scalars, "c", HEAVIEST)["a"]
    (-5.0, 2, 6.0)
    """
    if target not in scalars:
        raise DataError(f"{target!r} is no node of the graph")
    sums = dict.fromkeys(scalars, semiring.zero) | {target: semiring.one}
    for v in reversed(list(nx.topological_sort(scalars))):
        for w, edge in scalars.succ[v].items():
            element = semiring.lift(edge.get("weight", 1.0), edge.get("lag", 0))
            sums[v] = semiring.add(sums[v], semiring.multiply(element, sums[w]))
    return sums


def path_entropy(element: tuple[float, float]) -> float:
    """The entropy, in nats, of the distribution that gives each path the share of its absolute weight.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 3.0), ("a", "c", 1.0)])
    >>> round(path_entropy(sweep(scalars, "c", ENTROPY)["a"]), 6)  # of the distribution (6/7, 1/7)
    0.410116
    """
    total, weighted = element
    return float(np.log(total) + weighted / total) if total else 0.0


def heaviest_paths(scalars: nx.DiGraph, source: Any, target: Any, k: int = 1) -> list[tuple[float, list[Any]]]:
    """The k paths with the largest products of absolute weights, each with its signed product.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", -3.0), ("a", "c", 1.0)])
    >>> heaviest_paths(scalars, "a", "c", k=2)
    [(-6.0, ['a', 'b', 'c']), (1.0, ['a', 'c'])]
    """
    if k < 1:
        raise DataError(f"k is {k}; ask for at least one path")
    for node in (source, target):
        if node not in scalars:
            raise DataError(f"{node!r} is no node of the graph")
    best: dict[Any, list[tuple[float, tuple[Any, ...]]]] = {v: [] for v in scalars}
    best[target] = [(1.0, (target,))]
    for v in reversed(list(nx.topological_sort(scalars))):
        edges = scalars.succ[v].items()
        through = [(edge["weight"] * weight, (v, *path)) for w, edge in edges for weight, path in best[w]]
        best[v] = heapq.nlargest(k, [*best[v], *through], key=lambda path: abs(path[0]))
    return [(weight, list(path)) for weight, path in best[source]]


def split_by_lag(found: Mapping[Any, Any], node: Any, T: int) -> Any:
    """The derivative of a target in a node by the number of slices that its paths cross, from a `LAG` sweep.

    (T,), or more where paths begin before slice 0. Their sums from 0 to k are the gradients of truncated BPTT.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_edge("a", "c", weight=1.0, lag=0)
    >>> scalars.add_edge("a", "b", weight=2.0, lag=1)
    >>> scalars.add_edge("b", "c", weight=3.0, lag=1)
    >>> split_by_lag(sweep(scalars, "c", LAG), "a", T=3)
    array([1., 0., 6.])
    """
    rows = np.zeros(max(T, len(found[node])))
    rows[: len(found[node])] = found[node]
    return rows

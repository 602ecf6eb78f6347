"""Elimination orders: every order in which inner nodes are removed gives the same derivatives, at another cost.

Removing a node v joins each of its parents to each of its children by the product of the two edges, which takes
(parents of v) x (children of v) multiplications. Last nodes first is reverse mode, BPTT; first nodes first is forward
mode, RTRL; the greedy order of Markowitz removes the cheapest node next. The best order is hard to find (Naumann 2008).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError

Order = Literal["forward", "reverse", "markowitz"]


@dataclass(frozen=True)
class Elimination:
    """What an elimination order gives.

    Attributes
    ----------
    jacobian : the derivatives of sinks in sources, by (source, sink)
    multiplications : how many it took
    order : the nodes in the order in which they were removed
    """

    jacobian: dict[tuple[Any, Any], float]
    multiplications: int
    order: tuple[Any, ...]


def eliminate(scalars: nx.DiGraph, order: Order | Iterable[Any] = "reverse") -> Elimination:
    """Remove all inner nodes of a weighted graph in some order.

    Parameters
    ----------
    order : "forward", "reverse", "markowitz", or the nodes themselves

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "c", 2.0), ("b", "c", 3.0), ("c", "d", 4.0), ("d", "e", 5.0)])
    >>> eliminate(scalars, "reverse").multiplications, eliminate(scalars, "forward").multiplications
    (3, 4)
    >>> eliminate(scalars, "reverse").jacobian
    {('a', 'e'): 40.0, ('b', 'e'): 60.0}
    """
    inner = [v for v in nx.topological_sort(scalars) if scalars.in_degree(v) and scalars.out_degree(v)]
    left = nx.DiGraph()
    left.add_nodes_from(scalars)
    left.add_weighted_edges_from(scalars.edges(data="weight", default=1.0))
    cost, removed = 0, []
    for v in _in_order(left, inner, order):
        removed.append(v)
        cost += left.in_degree(v) * left.out_degree(v)
        for u, into in left.pred[v].items():
            for w, out in left.succ[v].items():
                weight = left.get_edge_data(u, w, {"weight": 0.0})["weight"]
                left.add_edge(u, w, weight=weight + into["weight"] * out["weight"])
        left.remove_node(v)
    return Elimination({(u, w): weight for u, w, weight in left.edges(data="weight")}, cost, tuple(removed))


def elimination_cost(scalars: nx.DiGraph, order: Order | Iterable[Any] = "reverse") -> int:
    """How many multiplications an elimination order takes.

    Examples
    --------
    >>> import networkx as nx
    >>> scalars = nx.DiGraph()
    >>> scalars.add_weighted_edges_from([("a", "c", 2.0), ("b", "c", 3.0), ("c", "d", 4.0), ("d", "e", 5.0)])
    >>> elimination_cost(scalars, "reverse"), elimination_cost(scalars, "forward")
    (3, 4)
    """
    return eliminate(scalars, order).multiplications


def _in_order(left: nx.DiGraph, inner: list[Any], order: Order | Iterable[Any]) -> Iterable[Any]:
    """The inner nodes in the order in which they go."""
    named = {"forward": inner, "reverse": inner[::-1], "markowitz": _cheapest_first(left, inner)}
    if isinstance(order, str):
        if order not in named:
            raise DataError(f"order {order!r} is none of 'forward', 'reverse', 'markowitz'; or give the nodes")
        return named[order]
    nodes = list(order)
    if sorted(map(repr, nodes)) != sorted(map(repr, inner)):
        raise DataError("an order must name every node that has parents and children, once")
    return nodes


def _cheapest_first(left: nx.DiGraph, inner: list[Any]) -> Iterable[Any]:
    """The node that costs least next; of several the first."""
    waiting = list(inner)
    while waiting:
        yield waiting.pop(int(np.argmin([left.in_degree(v) * left.out_degree(v) for v in waiting])))

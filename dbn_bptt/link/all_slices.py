"""Recurrences solved for all slices at once, written out in NumPy: the tree of a scan, and Newton's method.

A program with ``engine="parallel"`` does the same with JAX.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.ops.kernels import Array

Affine = tuple[Array, Array]  # a matrix and a vector


def composed(first: Affine, second: Affine) -> Affine:
    """Two affine maps, one after the other."""
    return second[0] @ first[0], second[0] @ first[1] + second[1]


def prefixes(parts: Sequence[Any], compose: Callable[[Any, Any], Any] = composed) -> list[Any]:
    """The first part, the first two, the first three, ..., in about 2 log2(n) rounds of independent compositions.

    Examples
    --------
    >>> double_and_add = (np.array([[2.0]]), np.array([1.0]))
    >>> [int(b[0]) for _, b in prefixes([double_and_add] * 4)]
    [1, 3, 7, 15]
    """
    if len(parts) < 2:
        return list(parts)
    pairs = prefixes([compose(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)], compose)
    return [
        parts[0] if k == 0 else pairs[k // 2] if k % 2 else compose(pairs[k // 2 - 1], parts[k])
        for k in range(len(parts))
    ]


def scan_tree(T: int) -> nx.DiGraph:
    """What `prefixes` composes with what: nodes are (first slice, last slice), with the round in which they are made.

    Examples
    --------
    >>> tree = scan_tree(8)
    >>> max(round for _, round in tree.nodes(data="round")), list(tree.predecessors((0, 6)))
    (4, [(0, 5), (6, 6)])
    """
    tree = nx.DiGraph()
    leaves = [(t, t) for t in range(T)]
    tree.add_nodes_from(leaves, round=0)

    def joined(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        span = a[0], b[1]
        tree.add_node(span, round=1 + max(tree.nodes[a]["round"], tree.nodes[b]["round"]))
        tree.add_edges_from([(a, span), (b, span)])
        return span

    prefixes(leaves, joined)
    return tree


def newton_iterates(theta: Mapping[str, Array], x: Array, steps: int) -> list[Array]:
    """The states of h_t = tanh(b + W h_{t-1} + U x_t), from h_{-1} = 0, by Newton's method from 0: (T, H) each.

    Each step linearises every slice about the states before and solves the affine recursion by `prefixes`; slice t is
    exact after t + 1 steps at the latest.

    Examples
    --------
    >>> theta = {"W": np.array([[0.5]]), "U": np.array([[1.0]]), "b": np.zeros(1)}
    >>> [h[-1].round(6).item() for h in newton_iterates(theta, np.ones((5, 1)), 4)]
    [0.0, 0.963634, 0.895414, 0.895205, 0.895205]
    """
    W, drive = theta["W"], theta["b"] + x @ theta["U"].T
    found = [np.zeros_like(drive)]
    for _ in range(steps):
        before = np.concatenate([np.zeros((1, len(W))), found[-1][:-1]])
        value = np.tanh(drive + before @ W.T)
        slopes = (1 - value**2)[:, :, None] * W
        maps = [(J, v - J @ h) for J, v, h in zip(slopes, value, before, strict=True)]
        maps[0] = np.zeros_like(W), value[0]
        found.append(np.stack([s for _, s in prefixes(maps)]))
    return found

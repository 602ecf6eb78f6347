"""Boyen and Koller's approximation: a message as the product of its marginals over clusters of variables.

Where the interface of a network is too large for a table over all of it, each cluster of variables gets a message of
its own: what the tables of a slice make of the product of all messages is summed down to each cluster. What is lost in
a slice fades in the slices after it, as the network forgets (Boyen & Koller 1998), so that the error does not grow.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from dbn_bptt.dbn.networks.network import Name, Network
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.dbn.polynomial.forward import interface, structure
from dbn_bptt.errors import ModelError, unknown_name


def factored(model: Any, clusters: Iterable[Iterable[Name]]) -> Network:
    """A model whose messages are products over clusters of variables: an approximation, for large interfaces.

    `filter`, `predict`, `log_likelihood` and `start` take it, and are approximate; other verbs refuse it. With one
    cluster of all variables, or clusters that no edge joins, they are exact.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs, or a `Network`
    clusters : groups of variables that have children in slices to come; each of these is in one group

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> move = [[[0.9, 0.5], [0.3, 0.1]], [[0.1, 0.5], [0.7, 0.9]]]        # [own, own before, other before]
    >>> pair = dbn.model(
    ...     [("A", "A", 1), ("B", "A", 1), ("B", "B", 1), ("A", "B", 1), ("A", "X", 0)],
    ...     {"A": {0: [0.5, 0.5], 1: move}, "B": {0: [0.5, 0.5], 1: move}, "X": [[0.8, 0.3], [0.2, 0.7]]})
    >>> apart = dbn.factored(pair, [["A"], ["B"]])
    >>> for network in (pair, apart):
    ...     print(dbn.filter(network, {"X": [0, 0, 1, 1]})["B"][:, 1].round(4))
    [0.5    0.4141 0.5301 0.6932]
    [0.5    0.4141 0.5197 0.6757]
    """
    network = read(model)
    listed = list(clusters)
    if isinstance(clusters, str) or not all(isinstance(cluster, list | tuple | set | frozenset) for cluster in listed):
        raise ModelError(f"clusters are lists of variables, such as [['A'], ['B', 'C']], not {clusters!r}")
    groups = tuple(
        tuple(sorted(cluster, key=network.names.index) if isinstance(cluster, set | frozenset) else cluster)
        for cluster in listed
    )
    needed = dict.fromkeys(name for name, _ in interface(structure(network), network.names))
    given = [name for group in groups for name in group]
    for name in given:
        if name not in network.states:
            raise unknown_name(name, network.names, "variable")
        if name not in needed:
            raise ModelError(f"{name!r} has no children in slices to come; leave it out of the clusters")
        if given.count(name) > 1:
            raise ModelError(f"{name!r} is in two clusters; they must not overlap")
    if left := [name for name in needed if name not in given]:
        raise ModelError(f"{left[0]!r} is in no cluster; messages are about all of {', '.join(map(repr, needed))}")
    return replace(network, clusters=tuple(group for group in groups if group))

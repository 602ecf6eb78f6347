"""A structure for complete data: greedy search over the edges of a two-slice network, by AIC or BIC.

Both criteria are sums over variables of what a variable costs given its parents, so that a move which changes the
parents of one or two variables is judged by one or two tables of counts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import inf
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.forms import is_pair
from dbn_bptt.dbn.learning.choice import Score
from dbn_bptt.dbn.learning.complete import Complete, complete, network_of
from dbn_bptt.dbn.learning.descent import Cost, Edge, Move, Rules, arrow, descended, edge_of
from dbn_bptt.dbn.networks.convert import to_pgmpy
from dbn_bptt.dbn.networks.network import Name, Parent
from dbn_bptt.errors import DataError, positive, unknown_name
from dbn_bptt.ops.kernels import Array


@dataclass(frozen=True)
class Search:
    """What `search` found.

    Attributes
    ----------
    model : a pgmpy DynamicBayesianNetwork, its CPDs the shares of what was counted
    edges : from ``(name, 0)`` to ``(name, 0)`` or ``(name, 1)``
    score : as `dbn.score` gives it of the model and the same data, with ``.aic`` and ``.bic``
    moves : in their order, with what each gained
    criterion : "bic" or "aic"
    """

    model: Any = field(repr=False)
    edges: tuple[Edge, ...]
    score: Score
    moves: tuple[Move, ...] = field(repr=False)
    criterion: str = "bic"

    @property
    def bic(self) -> float:
        """Of the model."""
        return self.score.bic

    def __str__(self) -> str:
        end = self.score.aic if self.criterion == "aic" else self.score.bic
        start = end + sum(move.gain for move in self.moves)
        many = f"{len(self.moves)} moves, {len(self.edges)} edges"
        lines = [f"Search: {self.criterion.upper()} {start:.6g} -> {end:.6g} in {many}"]
        return "\n".join([*lines, *(f"  {arrow(edge)}" for edge in self.edges)])

    __repr__ = __str__


def search(
    evidence: Any, *, states: Mapping[Name, Any] | None = None, lengths: Any = None, criterion: str = "bic",
    most_parents: int | None = None, forbidden: Collection[Any] = (),
) -> Search:  # fmt: skip
    """Learn the edges of a two-slice network from complete data, and its CPDs with them.

    From no edges on, the move that lowers the criterion most is taken until none lowers it: to add or remove an edge
    within every slice or from each slice to the next, or to reverse one within a slice; where none does, one within a
    slice together with other parents in the slice before, or with one move more. Of equal moves the first in the order
    of the variables is taken. What is found is a local optimum; directions within a slice are those of one of several
    networks that say the same.

    Parameters
    ----------
    evidence : dict, list of dicts, DataFrame, or what `observe` returned
        As in `smooth`, with a state of every variable in every slice.
    states : dict, optional
        By variable, the names of its states, or how many it has; unless given, those that occur (in a categorical
        column those of its type).
    lengths : array (B,), optional
        The lengths of the sequences of a ragged batch.
    criterion : "bic" or "aic"
        That of `dbn.score`.
    most_parents : int, optional
        At most so many parents of each variable, those in the slice before included.
    forbidden : edges that must not be
        ``(("A", 0), ("B", 0))`` within a slice, ``(("A", 0), ("B", 1))`` to the next.

    Returns
    -------
    Search
        With the model, its edges, its score, and the moves. Where parents never occur together a column is uniform;
        ``dbn.fit(found.model, evidence, prior=1.0, steps=1)`` leaves no entry at 0.

    Raises
    ------
    DataError
        Where a state is missing.

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> drawn = dbn.sample(dbn.umbrella(), 10, T=200, seed=1).to_frame()
    >>> found = dbn.search(drawn)
    >>> found
    Search: BIC 5542.59 -> 4188.97 in 3 moves, 2 edges
      (Rain, 0) -> (Rain, 1)
      (Rain, 0) -> (Umbrella, 0)
    >>> dbn.score(found.model, drawn)
    log-likelihood -2075.48, 5 free parameters, 2000 slices: AIC 4160.96, BIC 4188.97
    """
    if criterion not in ("bic", "aic"):
        raise DataError(f"criterion={criterion!r}; give 'bic' or 'aic'")
    data = complete(evidence, states, lengths)
    most = None if most_parents is None else positive(most_parents, f"most_parents={most_parents!r}; give 1 or more")
    rules = Rules(2 * len(data.states) if most is None else most, _checked(forbidden, data))
    cost = costs(data, float(np.log(data.slices)) if criterion == "bic" else 2.0)
    parents, moves = descended(dict.fromkeys(data.states, frozenset[Parent]()), rules, cost)
    tables = {name: data.tables(name, own) for name, own in parents.items()}
    counts = {name: [(table.parents, table.counts()) for table in own] for name, own in tables.items()}
    found = sum(log_likelihood(a) for own in counts.values() for _, a in own)
    free = sum(table.free for own in tables.values() for table in own)
    edges = tuple(edge_of(name, parent) for name, own in tables.items() for parent in own[-1].parents)
    return Search(to_pgmpy(network_of(data.states, counts)), edges, Score(found, free, data.slices), moves, criterion)


def costs(data: Complete, penalty: float) -> Cost:
    """What each variable adds to a criterion, given its parents: a penalty for each free number, minus twice log p."""

    def cost(child: Name, parents: frozenset[Parent], most: float = inf) -> float:
        tables = data.tables(child, parents)
        price = penalty * sum(table.free for table in tables)
        return inf if price > most else price - 2 * sum(log_likelihood(table.counts()) for table in tables)

    most = sum(cost(name, frozenset()) for name in data.states)  # what costs more alone is in no improvement
    return cache(lambda child, parents: cost(child, parents, most))


def log_likelihood(counts: Array) -> float:
    """log p of what was counted, under the shares of the counts."""
    total = np.broadcast_to(counts.sum(0), counts.shape)
    there = counts > 0
    return float(counts[there] @ np.log(counts[there] / total[there]))


def _checked(edges: Collection[Any], data: Complete) -> frozenset[Edge]:
    """Edges as a caller gives them."""
    found = set()
    for edge in edges:
        pairs = isinstance(edge, tuple) and len(edge) == 2 and all(map(is_pair, edge))
        if not pairs or edge[0][1] != 0 or edge[1][1] not in (0, 1):
            raise DataError(
                f"{edge!r} is no edge; give (('A', 0), ('B', 0)) within a slice, (('A', 0), ('B', 1)) to the next"
            )
        for name, _ in edge:
            if name not in data.states:
                raise unknown_name(name, data.states, "variable")
        found.add(edge_of(edge[1][0], (edge[0][0], edge[1][1])))
    return frozenset(found)

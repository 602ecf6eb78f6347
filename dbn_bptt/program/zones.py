"""The parts of a program: zones of slices with their equations, and steps made of zones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import networkx as nx

from dbn_bptt.template.expressions import Expression, Reference
from dbn_bptt.template.traversal import walk

Kind = Literal["all slices", "scan", "total"]


@dataclass(frozen=True)
class Zone:
    """Consecutive slices in which the same equations hold: first and last one, and the right-hand sides."""

    first: int
    last: int
    rules: Mapping[str, Expression]

    def in_order(self) -> list[str]:
        """The variables of a slice, each after those that it needs in the same slice."""
        needs = nx.DiGraph()
        needs.add_nodes_from(self.rules)
        for name, rule in self.rules.items():
            inside = (e.name for e in walk([rule]) if isinstance(e, Reference) and e.delay == 0)
            needs.add_edges_from((other, name) for other in inside if other in self.rules)
        place = {name: k for k, name in enumerate(self.rules)}
        return list(nx.lexicographical_topological_sort(needs, key=place.__getitem__))


@dataclass(frozen=True)
class Step:
    """A part of the program.

    Attributes
    ----------
    kind : computed for all slices at once, slice by slice, or summed over all slices
    names : what it defines; in a scan all variables of the recurrence
    zones : its slices, in the order in which they are computed
    direction : 1 or -1 for a scan forwards or backwards in time
    local : variables of a scan that nothing uses but their own slice, so that one array serves all slices
    """

    kind: Kind
    names: tuple[str, ...]
    zones: tuple[Zone, ...]
    direction: int = 1
    local: frozenset[str] = frozenset()

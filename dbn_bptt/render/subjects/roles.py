"""What part a variable plays: input, target, hidden, output, loss or parameter."""

from collections.abc import Mapping
from typing import Any, Literal

import networkx as nx

from dbn_bptt.errors import DataError
from dbn_bptt.render.colors import PARAMETER_KINDS, Role
from dbn_bptt.render.subjects.sources import Source

Colors = Literal["plain", "role"]
COLORS = ("plain", "role")
_BY_KIND: dict[str, Role] = {
    "input": "input", "observed": "input", "target": "target", "term": "loss",
    **dict.fromkeys(PARAMETER_KINDS, "parameter"),
}  # fmt: skip


def roles(source: Source) -> Mapping[Any, Role]:
    """The role of each variable and parameter, by its name.

    An output is what a loss reads, and what is computed from outputs of its slice alone; all other variables are
    hidden. An adjoint has the role of what it is the adjoint of.
    """
    if source.staggered:
        raise DataError("colors='role' is about the variables of a slice; leave it out for a scalar graph")
    graph, found = source.graph, dict[Any, Role]()
    outputs = _outputs(source)
    for _, at in graph.nodes(data=True):
        name = at["name"]
        known = _BY_KIND.get(at["kind"]) or ("output" if name in outputs else "hidden")
        if found.get(name, "hidden") == "hidden":  # an initial state has the role of its variable
            found[name] = known
    for bar in source.partners:
        of = bar
        while of in source.partners:
            of = source.partners[of]
        found[bar] = found.get(of, "hidden")
    return found


def _outputs(source: Source) -> set[Any]:
    graph, found = source.graph, set[Any](source.measured)
    kind, name = dict(graph.nodes(data="kind")), dict(graph.nodes(data="name"))
    for v in nx.topological_sort(graph):
        read = [(name[u], lag) for u, _, lag in graph.in_edges(v, data="lag") if kind[u] not in PARAMETER_KINDS]
        if kind[v] == "variable" and read and all(of in found and not lag for of, lag in read):
            found.add(name[v])
    return found

"""The unrolled graph: a template repeated over T slices, as an ordinary `networkx.MultiDiGraph`.

Nodes are ("h", 2) for variable h at slice 2, ("h", -1) for its initial state, and plain strings for parameters and
totals. An edge (u, v, k) says that u is the k-th argument of v's equation.
"""

from collections.abc import Iterator

import networkx as nx

from dbn_bptt import ops
from dbn_bptt.errors import positive
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.expressions import Expression, Reference
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.template.traversal import frames, resolved, uses

Node = str | tuple[str, int]


def unroll(template: Described, T: int, copies: bool = False) -> nx.MultiDiGraph:
    """Repeat a template over T slices.

    Parameters
    ----------
    template : SliceTemplate
    T : int
        The number of slices, at least 1.
    copies : bool
        Give every slice its own copy ("W", t) of each parameter, joined to "W" by an identity edge, so that the sum
        over time in a parameter's gradient is to be seen.

    Returns
    -------
    networkx.MultiDiGraph
        Node attributes: `name`, `t` (None for parameters and totals), `kind` (parameter, copy, constant, input,
        target, initial, variable, term of a total, total), `shape` in one slice of one sequence, and `rule`, the
        right-hand side of its equation (None where the value is given, or is the sum of the parents). Edge
        attribute: `lag`, in slices. Graph attributes: `template`, `T`.

    Examples
    --------
    >>> import networkx as nx, dbn_bptt as db
    >>> graph = db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=5)
    >>> nx.is_directed_acyclic_graph(graph)
    True
    >>> sorted(graph.predecessors(("h", 0))), sorted(graph.successors(("h", 0)))
    ([('a', 0)], [('a', 1), ('o', 0)])
    """
    of = checked_template(template, "unroll")
    T = positive(T, f"T is {T!r}; the number of slices must be a positive integer")
    graph = nx.MultiDiGraph(template=of, T=T)
    _add_given_nodes(graph, of, T)
    _add_slices(graph, of, T, copies)
    _add_totals(graph, of, T)
    return graph


def _add_given_nodes(graph: nx.MultiDiGraph, template: Template, T: int) -> None:
    """Parameters, constants, data and initial states."""
    for name in template.names("parameter", "constant"):
        _add(graph, name, template, None, template.symbols[name].kind)
    for name in template.reaches():
        for t in template.initial_slices(name, T):
            _add(graph, (name, t), template, t, "initial")
        for piece in template.initial_pieces.get(name, ()):
            for t in piece.domain.slices(T):
                _connect(graph, (name, t), piece.expression, _leaves(piece.expression), t, copies=False)
    for t in range(T):
        for name in template.names("input", "target"):
            _add(graph, (name, t), template, t, template.symbols[name].kind)


def _add_slices(graph: nx.MultiDiGraph, template: Template, T: int, copies: bool) -> None:
    """The variables and the terms of totals, slice by slice, with their equations."""
    rules = [(t, d, rule) for d in template.definitions.values() for p in d.pieces for t, rule in _rules(d, p, T)]
    rules.sort(key=lambda item: item[0])
    for t, definition, _ in rules:
        kind = "variable" if definition.symbol.kind == "variable" else "term"
        _add(graph, (definition.symbol.name, t), template, t, kind)
    leaves = {rule: _leaves(rule) for rule in {rule for _, _, rule in rules}}
    for t, definition, rule in rules:
        _connect(graph, (definition.symbol.name, t), rule, leaves[rule], t, copies)


def _rules(definition: Definition, piece: Piece, T: int) -> Iterator[tuple[int, Expression]]:
    """The right-hand side in each slice of a piece, made once for all slices where the same windows show something."""
    views = frames(piece.expression)
    made: dict[tuple[bool, ...], Expression] = {}
    for t in piece.domain.slices(T):
        visible = tuple(t - delay in domain.slices(T) for delay, domain in views)
        if visible not in made:
            made[visible] = resolved(piece.expression, t, T)
        rule = made[visible]
        if definition.symbol.kind == "variable":
            yield t, rule
        elif not rule.is_all(0):
            yield t, ops.batch_sum(rule, rank=rule.ndim)


def _add_totals(graph: nx.MultiDiGraph, template: Template, T: int) -> None:
    """The sums over all slices."""
    for name in template.names("total"):
        _add(graph, name, template, None, "total")
        slices = sorted(t for piece in template.definitions[name].pieces for t in piece.domain.slices(T))
        terms = [(name, t) for t in slices if (name, t) in graph]
        graph.add_edges_from((term, name, key, {"lag": 0}) for key, term in enumerate(terms))


def _add(graph: nx.MultiDiGraph, node: Node, template: Template, t: int | None, kind: str) -> None:
    name = node if isinstance(node, str) else node[0]
    graph.add_node(node, name=name, t=t, kind=kind, shape=template.symbols[name].shape, rule=None)


def _leaves(rule: Expression) -> list[Reference]:
    return [leaf for _, _, leaf in uses(rule)]


def _connect(
    graph: nx.MultiDiGraph, node: Node, rule: Expression, leaves: list[Reference], t: int, copies: bool
) -> None:
    """Write the equation on its node, and an edge from each argument."""
    graph.nodes[node]["rule"] = rule
    for key, leaf in enumerate(leaves):
        graph.add_edge(_argument(graph, leaf, t, copies), node, key=key, lag=leaf.delay)


def _argument(graph: nx.MultiDiGraph, leaf: Reference, t: int, copies: bool) -> Node:
    """The node that a reference in an equation of slice t stands for."""
    if leaf.symbol.timed:
        return leaf.name, t - leaf.delay
    if not copies or leaf.symbol.kind != "parameter":
        return leaf.name
    copy = leaf.name, t
    if copy not in graph:
        graph.add_node(copy, name=leaf.name, t=t, kind="copy", shape=leaf.shape, rule=None)
        graph.add_edge(leaf.name, copy, key=0, lag=0)
    return copy


def arguments(graph: nx.MultiDiGraph, node: Node) -> list[Node]:
    """The parents of a node in the order of its equation's arguments, one for each edge."""
    keyed = {key: parent for parent, edges in graph.pred[node].items() for key in edges}
    return [keyed[key] for key in range(len(keyed))]

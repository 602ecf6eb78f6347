"""What can be drawn, as one kind of graph.

Templates, unrolled graphs, results of BPTT, pgmpy's dynamic networks and scalar graphs all become a `Source`: a
`networkx.MultiDiGraph` whose nodes have a name and a slice (None for parameters), and whose edges may carry the name of
a parameter.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import networkx as nx

from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.rows import Map, Move
from dbn_bptt.render.colors import PARAMETER_KINDS
from dbn_bptt.render.placing.labels import TRANSPOSED, counted
from dbn_bptt.sweep.results import Result
from dbn_bptt.sweep.unroll import unroll
from dbn_bptt.template.domains import settled
from dbn_bptt.template.expressions import Apply, Expression, Reference
from dbn_bptt.template.template import Described, Template
from dbn_bptt.template.traversal import dependencies, uses


@dataclass(frozen=True)
class Source:
    """A graph to be drawn.

    Its nodes have `name`, `called` (what the picture says), `index` (of a scalar), `t`, `kind`, `shape`, `block` (how
    many adjoints were taken before it was there) and `equation`; its edges have `lag`, `parameter` (the name that
    multiplies the argument), `weight` (None where nothing is known) and `origin`.
    """

    graph: nx.MultiDiGraph = field(repr=False)
    title: str  # with its slices
    name: str  # without them
    T: int
    view: str  # that suits it, unless another is asked for
    downward: bool = False  # children stand below their parents, as in Bayesian networks
    staggered: bool = False  # variables stand beside each other by their depth in the slice, each on a row of its own
    result: Result | None = None
    sinks: frozenset[Any] = frozenset()  # sums over all slices, not drawn, where paths may end
    partners: Mapping[str, str] = field(default_factory=dict)  # by the name of an adjoint, what it is the adjoint of
    measured: frozenset[str] = frozenset()  # the variables that losses read
    folded: frozenset[Any] = frozenset()  # nodes of variables that a compact picture leaves out


def source(obj: Any, T: int | None = None, all_slices: bool = True) -> Source:
    """The graph of whatever can be drawn.

    Unless all slices are to be there, those are left out that neither the first nor the last ones, nor one in the
    middle, have to do with.
    """
    if T is not None:
        positive(T, f"T is {T!r}; the number of slices must be a positive integer")
    if isinstance(obj, Described):
        return _of_template(obj.frozen, T, all_slices)
    if is_network(obj):
        return _of_network(obj, T)
    if T is not None:
        raise DataError(f"T goes with a template or a dynamic network; this {type(obj).__name__} has its own slices")
    if isinstance(obj, Result):
        return _of_unrolled(obj.graph, obj, all_slices=all_slices)
    if isinstance(obj, nx.MultiDiGraph) and "template" in obj.graph:
        return _of_unrolled(obj, all_slices=all_slices)
    if isinstance(obj, nx.DiGraph) and len(obj) and all(_is_scalar(node) for node in obj):
        return _of_scalars(obj)
    raise DataError(
        f"cannot draw {type(obj).__name__}; give a SliceTemplate, a graph from unroll(template, T), a result of bptt, "
        "a graph from paths.linearize, or a pgmpy DynamicBayesianNetwork"
    )


def is_network(obj: Any) -> bool:
    """Whether it is a dynamic Bayesian network: pgmpy's, or a `Network`."""
    return hasattr(obj, "get_inter_edges") or hasattr(obj, "emissions")


def _add_node(graph: nx.MultiDiGraph, node: Any, **known: Any) -> None:
    own = {"called": known["name"], "index": (), "shape": (), "block": 0, "equation": None}
    graph.add_node(node, **{**own, **known})


def _add_edge(graph: nx.MultiDiGraph, tail: Any, head: Any, *, key: int = 0, **known: Any) -> None:
    graph.add_edge(tail, head, key=key, **{"parameter": "", "weight": None, "origin": (tail, head, key), **known})


def _of_template(template: Template, T: int | None, all_slices: bool) -> Source:
    """A template, over T slices or over enough for a slice that is like all others."""
    if T is not None:
        return _of_unrolled(unroll(template, T), all_slices=all_slices)
    template.check()
    pieces = [piece.domain for d in template.definitions.values() for piece in d.pieces]
    slices = max(settled(pieces), 4 * _reach(template) + 1) + 2
    return _of_unrolled(unroll(template, slices), view="rolled")


def _reach(template: Template) -> int:
    """How far equations reach out of their slice."""
    return max((max(pair) for pair in template.reaches().values()), default=0)


def _of_unrolled(
    graph: nx.MultiDiGraph, result: Result | None = None, view: str = "unrolled", all_slices: bool = True
) -> Source:
    """An unrolled graph, the copies of its parameters taken together."""
    T, template = graph.graph["T"], graph.graph["template"]
    drawn = nx.MultiDiGraph()
    history = [template]  # and of an adjoint what it is the adjoint of, and so on; the oldest first
    while history[0].origin is not None:
        history.insert(0, history[0].origin)
    near = 4 + _reach(template)
    for node, at in graph.nodes(data=True):
        t, name, kind = at["t"], at["name"], at["kind"]
        left_out = not all_slices and t is not None and near < t < T - near and abs(t - T // 2) > near
        if left_out or kind in ("constant", "total", "copy"):
            continue
        if kind == "term" and not template.definitions[name].loss:
            kind = "sum"
        block = next(k for k, of in enumerate(history) if name in of.symbols)
        _add_node(drawn, node, name=name, t=t, kind=kind, shape=at["shape"], block=block, equation=at["rule"])
    multiplier = cache(_multiplier)  # the same in all slices that share an equation
    for u, v, key, lag in graph.in_edges(list(drawn), keys=True, data="lag"):
        kind = graph.nodes[u]["kind"]
        tail = graph.nodes[u]["name"] if kind == "copy" else u
        if tail in drawn:
            parameter = "" if kind in PARAMETER_KINDS else multiplier(graph.nodes[v]["rule"], key)
            _add_edge(drawn, tail, v, key=key, lag=lag, parameter=parameter, origin=(u, v, key))
    return Source(
        graph=drawn, title=f"{template.name}, unrolled over {counted(T, 'slice')}", name=template.name, T=T, view=view,
        result=result, sinks=frozenset(template.names("total")),
        partners={bar: name for of in history for name, bar in of.partners.items()},
        measured=frozenset(name for of in history for name in _measured(of)),
    )  # fmt: skip


def _measured(template: Template) -> Iterator[str]:
    """The variables that losses read."""
    for piece in (piece for name in template.losses for piece in template.definitions[name].pieces):
        yield from (s.name for s, *_ in dependencies(piece.expression, piece.domain) if s.kind == "variable")


def _multiplier(rule: Expression | None, key: int) -> str:
    """The parameter that multiplies an argument, if there is one."""
    user = uses(rule)[key][0] if rule is not None else None
    if isinstance(user, Apply) and isinstance(user.operation.role, Map):
        matrix, turned = user.arguments[0], ""
        if isinstance(matrix, Apply) and isinstance(matrix.operation.role, Move):
            matrix, turned = matrix.arguments[0], TRANSPOSED
        if isinstance(matrix, Reference) and matrix.symbol.kind == "parameter":
            return matrix.name + turned
    return ""


def _of_network(model: Any, T: int | None) -> Source:
    """A dynamic Bayesian network over some slices."""
    slices = 5 if T is None else int(T)
    if hasattr(model, "emissions"):
        shapes = {name: (len(states),) for name, states in model.states.items()}
        shapes |= {name: (of.size,) for name, of in model.channels.items()}
        edges = [
            (parent, name, lag, t)
            for t in range(slices)
            for name in model.names
            for parent, lag in model.at(name, t).parents
        ]
        for name, emission in model.emissions.items():
            above = model.members(emission.parent)
            edges += [(parent, name, 0, t) for t in range(slices) for parent in above]
        edges += [
            (of.by, name, 0, t) for name, of in model.drives.items() for t in range(max(model.tables[name]), slices)
        ]
        return _over_slices(shapes, edges, T, "unrolled" if model.order > 1 else "two-slice")
    names = list(dict.fromkeys(node[0] for node in sorted(model.nodes(), key=lambda node: node[1])))
    if not names:
        raise DataError("the network has no variables; add nodes and edges")
    shapes = {cpd.variables[0][0]: (int(cpd.cardinality[0]),) for cpd in model.cpds}
    edges = []
    for u, v in model.edges():
        lag = v[1] - u[1]
        # an edge inside slice 0 holds there alone, one inside slice 1 in all later slices
        heads = range(lag, slices) if lag else range(1) if u[1] == 0 else range(1, slices)
        edges += [(u[0], v[0], lag, t) for t in heads]
    return _over_slices({name: shapes.get(name, ()) for name in names}, edges, T, "two-slice")


def _over_slices(
    shapes: Mapping[Any, tuple[int, ...]], edges: Iterable[tuple[Any, Any, int, int]], T: int | None, view: str
) -> Source:
    """The graph of variables with edges (parent, child, lag, slice of the child), over T slices or enough of them."""
    slices, graph, name = 5 if T is None else int(T), nx.MultiDiGraph(), "dynamic Bayesian network"
    for t in range(slices):
        for variable, shape in shapes.items():
            _add_node(graph, (variable, t), name=variable, t=t, kind="chance", shape=shape)
    for parent, child, lag, t in edges:
        _add_edge(graph, (parent, t - lag), (child, t), lag=lag)
    view, title = "unrolled" if T is not None else view, f"{name} over {slices} slices"
    return Source(graph=graph, title=title, name=name, T=slices, view=view, downward=True)


def _is_scalar(node: Any) -> bool:
    return isinstance(node, tuple) and len(node) == 3 and isinstance(node[2], tuple)


def _of_scalars(scalars: nx.DiGraph) -> Source:
    """A scalar graph: every number a node, every local derivative a weight."""
    untimed = [node for node in scalars if node[1] is None]
    sinks = {node for node in untimed if not scalars.out_degree(node) and scalars.in_degree(node)}
    parameters = {node[0] for node in untimed if node not in sinks}
    computed = {name for (name, _, _), degree in scalars.in_degree() if degree}
    graph = nx.MultiDiGraph()
    for node in scalars:
        name, t, index = node
        if node not in sinks and scalars.degree(node):
            kind = "parameter" if name in parameters else "variable" if name in computed else "input"
            kind = "initial" if t is not None and t < 0 else kind
            _add_node(graph, node, name=name, t=t, kind=kind, index=index)
    for u, v, at in scalars.edges(data=True):
        if u in graph and v in graph:
            _add_edge(graph, u, v, lag=at.get("lag", 0), weight=abs(at["weight"]))
    T, name = 1 + max((t for _, t, _ in scalars if t is not None), default=0), "scalar graph"
    return Source(
        graph=graph, title=f"{name} over {counted(T, 'slice')}", name=name, T=T, view="unrolled", staggered=True,
        sinks=frozenset(sinks),
    )  # fmt: skip

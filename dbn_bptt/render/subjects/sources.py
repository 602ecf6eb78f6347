"""What can be drawn, as one kind of graph.

Templates, unrolled graphs, results of BPTT, pgmpy's dynamic networks and scalar graphs all become a `Source`: a
`networkx.MultiDiGraph` whose nodes have a name and a slice (None for parameters), and whose edges may carry the name of
a parameter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.rows import Map, Move
from dbn_bptt.render.colors import PARAMETER_KINDS
from dbn_bptt.render.placing.labels import TRANSPOSED
from dbn_bptt.sweep.results import Result
from dbn_bptt.sweep.unroll import unroll
from dbn_bptt.template.domains import settled
from dbn_bptt.template.expressions import Apply, Expression, Reference
from dbn_bptt.template.template import Described, Template
from dbn_bptt.template.traversal import uses


@dataclass(frozen=True)
class Source:
    """A graph to be drawn.

    Attributes
    ----------
    graph : nodes have `name`, `index` (of a scalar), `t`, `kind`, `shape` and `equation`; edges have `lag`,
        `parameter` (the name that multiplies the argument), `weight` (None where nothing is known) and `origin`
    title : what it is called, with its slices
    name : what it is called without them
    T : the number of its slices
    view : the view that suits it, unless another is asked for
    downward : whether children stand below their parents, as in Bayesian networks
    staggered : whether variables stand beside each other by their depth in the slice, each on a row of its own
    result : the result of BPTT that it shows, if any
    sinks : nodes that are not drawn, but where paths may end: sums over all slices
    """

    graph: nx.MultiDiGraph = field(repr=False)
    title: str
    name: str
    T: int
    view: str
    downward: bool = False
    staggered: bool = False
    result: Result | None = None
    sinks: frozenset[Any] = frozenset()

    @property
    def middle(self) -> int:
        """A slice far from both ends, which stands for all of them."""
        return self.T // 2


def source(obj: Any, T: int | None = None, whole: bool = True) -> Source:
    """The graph of whatever can be drawn.

    Parameters
    ----------
    obj : SliceTemplate, unrolled graph, Result, scalar graph of `paths.linearize`, or pgmpy DynamicBayesianNetwork
    T : int, optional
        The number of slices of a template or a dynamic network; what is unrolled has its own.
    whole : bool
        Otherwise slices that neither the first nor the last ones, nor one in the middle, have to do with are left out.
    """
    if T is not None and (not isinstance(T, int | np.integer) or isinstance(T, bool) or T < 1):
        raise DataError(f"T is {T!r}; the number of slices must be a positive integer")
    if isinstance(obj, Described):
        return _of_template(obj.frozen, T, whole)
    if hasattr(obj, "get_inter_edges"):
        return _of_network(obj, T)
    if T is not None:
        raise DataError(f"T goes with a template or a dynamic network; this {type(obj).__name__} has its own slices")
    if isinstance(obj, Result):
        return _of_unrolled(obj.graph, obj, whole=whole)
    if isinstance(obj, nx.MultiDiGraph) and "template" in obj.graph:
        return _of_unrolled(obj, whole=whole)
    if isinstance(obj, nx.DiGraph) and len(obj) and all(_is_scalar(node) for node in obj):
        return _of_scalars(obj)
    raise DataError(
        f"cannot draw {type(obj).__name__}; give a SliceTemplate, a graph from unroll(template, T), a result of bptt, "
        "a graph from paths.linearize, or a pgmpy DynamicBayesianNetwork"
    )


def _of_template(template: Template, T: int | None, whole: bool) -> Source:
    """A template, over T slices or over enough for a slice that is like all others."""
    if T is not None:
        return _of_unrolled(unroll(template, T), whole=whole)
    template.check()
    reach = max((max(pair) for pair in template.reaches().values()), default=0)
    pieces = [piece.domain for d in template.definitions.values() for piece in d.pieces]
    slices = max(settled(pieces), 4 * reach + 1) + 2
    return _of_unrolled(unroll(template, slices), view="rolled")


def _of_unrolled(
    graph: nx.MultiDiGraph, result: Result | None = None, view: str = "unrolled", whole: bool = True
) -> Source:
    """An unrolled graph, the copies of its parameters taken together."""
    T, template = graph.graph["T"], graph.graph["template"]
    found = nx.MultiDiGraph()
    old, multipliers = _generations(template), dict[tuple[Any, int], str]()
    near = 4 + max((max(pair) for pair in template.reaches().values()), default=0)
    for node, at in graph.nodes(data=True):
        t = at["t"]
        left_out = not whole and t is not None and near < t < T - near and abs(t - T // 2) > near
        if left_out or at["kind"] in ("constant", "total", "copy"):
            continue
        is_sum = at["kind"] == "term" and not template.definitions[at["name"]].loss
        found.add_node(
            node, name=at["name"], index=(), t=at["t"], kind="sum" if is_sum else at["kind"],
            shape=at["shape"], block=old[at["name"]],
            equation=at["rule"],
        )  # fmt: skip
    for u, v, key, lag in graph.in_edges(list(found), keys=True, data="lag"):
        kind = graph.nodes[u]["kind"]
        tail = graph.nodes[u]["name"] if kind == "copy" else u
        if tail in found:
            use = graph.nodes[v]["rule"], key  # the same in all slices that share an equation
            if use not in multipliers:
                multipliers[use] = _multiplier(*use)
            parameter = "" if kind in PARAMETER_KINDS else multipliers[use]
            found.add_edge(tail, v, key=key, lag=lag, parameter=parameter, weight=None, origin=(u, v, key))
    return Source(
        graph=found, title=f"{template.name}, unrolled over {_counted(T)}", name=template.name, T=T, view=view,
        result=result, sinks=frozenset(template.names("total")),
    )  # fmt: skip


def _counted(slices: int) -> str:
    return f"{slices} slice{'s' if slices > 1 else ''}"


def _generations(template: Template) -> dict[str, int]:
    """For each name how many adjoints were taken before it was there."""
    history = [template]
    while history[-1].origin is not None:
        history.append(history[-1].origin)
    return {
        name: generation for generation, made in reversed(list(enumerate(reversed(history)))) for name in made.symbols
    }


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
    """A dynamic Bayesian network; its two slices repeated."""
    slices = 5 if T is None else int(T)
    names = list(dict.fromkeys(node[0] for node in sorted(model.nodes(), key=lambda node: node[1])))
    if not names:
        raise DataError("the network has no variables; add nodes and edges")
    cards: Mapping[Any, int] = {cpd.variables[0][0]: int(cpd.cardinality[0]) for cpd in model.cpds}
    found = nx.MultiDiGraph()
    for t in range(slices):
        for name in names:
            shape = (cards[name],) if name in cards else ()
            found.add_node(
                (name, t), name=name, index=(), t=t, kind="chance", shape=shape, block=0, equation=None
            )  # fmt: skip
    for u, v in model.edges():
        lag = v[1] - u[1]
        # an edge inside slice 0 holds there alone, one inside slice 1 in all later slices
        starts = range(slices - lag) if lag else range(1) if u[1] == 0 else range(1, slices)
        for t in starts:
            e = (u[0], t), (v[0], t + lag), 0
            found.add_edge(*e[:2], key=0, lag=lag, parameter="", weight=None, origin=e)
    name, view = "dynamic Bayesian network", "unrolled" if T is not None else "two-slice"
    return Source(graph=found, title=f"{name} over {slices} slices", name=name, T=slices, view=view, downward=True)


def _is_scalar(node: Any) -> bool:
    return isinstance(node, tuple) and len(node) == 3 and isinstance(node[2], tuple)


def _of_scalars(graph: nx.DiGraph) -> Source:
    """A scalar graph: every number a node, every local derivative a weight."""
    found = nx.MultiDiGraph()
    slices = [t for _, t, _ in graph if t is not None]
    sinks = {node for node in graph if node[1] is None and not graph.out_degree(node) and graph.in_degree(node)}
    sources = {node[0] for node in graph if node[1] is None and node not in sinks}
    computed = {name for (name, _, _), degree in graph.in_degree() if degree}
    for node in graph:
        name, t, index = node
        if node not in sinks and graph.degree(node):
            kind = "parameter" if name in sources else "variable" if name in computed else "input"
            found.add_node(
                node, name=name, index=index, t=t, kind="initial" if t is not None and t < 0 else kind, shape=(),
                block=0, equation=None,
            )  # fmt: skip
    for u, v, at in graph.edges(data=True):
        if u in found and v in found:
            found.add_edge(
                u, v, key=0, lag=at.get("lag", 0), parameter="", weight=abs(at["weight"]), origin=(u, v, 0)
            )  # fmt: skip
    T = max(slices, default=0) + 1
    name = "scalar graph"
    return Source(
        graph=found, title=f"{name} over {_counted(T)}", name=name, T=T, view="unrolled", staggered=True,
        sinks=frozenset(sinks),
    )  # fmt: skip

"""What the explorer shows of a run of BPTT, in plain lists: steps, numbers, formulas."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt.agreement import Report, compare
from dbn_bptt.errors import NotANumberError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.paths.itemised import credit
from dbn_bptt.paths.scalar import jacobians
from dbn_bptt.render.colors import PARAMETER_KINDS
from dbn_bptt.render.explorer.formulas import Formulas
from dbn_bptt.render.subjects.scene import Scene, Spot
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.sweep.results import Result
from dbn_bptt.sweep.steps import LocalSteps
from dbn_bptt.sweep.unroll import arguments
from dbn_bptt.template.structure import interface
from dbn_bptt.template.template import Template

DIGITS = 4  # significant ones of the numbers that are shown
MOST_CREDIT = 60  # slices up to which the gradient is itemised


def one_sequence(result: Result) -> Result:
    """The run of the first sequence of a batch."""
    given = result.values.given
    if not given.batch:
        return result
    template: Template = result.graph.graph["template"]
    data = {name: a[:, 0] for name, a in given.data.items()}
    initial = {n: a[:, 0] if len(a) > 1 else a[0, 0] for n, a in given.initial.items() if n not in template.initial}
    return bptt(template, own_parameters(result), data, initial=initial, T=given.T)


def own_parameters(result: Result) -> dict[str, Array]:
    """The parameters of a run, without the template's constants."""
    template: Template = result.graph.graph["template"]
    return {name: result.values.given.parameters[name] for name in template.names("parameter")}


def content(result: Result, picture: Scene, report: Report | None) -> dict[str, Any]:
    """All that the page shows, ready for JSON.

    Parameters
    ----------
    result : of one sequence
    picture : of the result's graph
    report : the comparison of the engines; None where it was left out
    """
    formulas = Formulas()
    template: Template = result.graph.graph["template"]
    nodes = [_node(spot, result, formulas) for spot in picture.spots]
    edges = _edges(picture, result, formulas)
    graph = result.graph
    order = {node: k for k, node in enumerate(nx.topological_sort(graph))}
    drawn = [spot for spot in picture.spots if spot.node in order and spot.t is not None]
    computed = [s for s in drawn if graph.in_degree(s.node)]
    by_slice = not any(lag < 0 for _, _, lag in graph.edges(data="lag"))  # what looks ahead has an order of its own
    computed.sort(key=lambda s: (s.t if by_slice else 0, order[s.node]))
    messages = result.messages
    telling = {u for u, *_ in messages.edge} | {v for v in graph if graph.nodes[v]["kind"] == "term"}
    answering = [s for s in drawn if s.node in messages.adjoint and s.node in telling]
    answering.sort(key=lambda s: -order[s.node])
    T, adjoint = result.values.given.T, messages.adjoint
    norms = {n: [_norm(adjoint.get((n, t), 0.0)) for t in range(T)] for n in interface(template)}
    return {
        "title": template.name,
        "loss": float(f"{result.loss:.8g}"),
        "T": T,
        "nodes": nodes,
        "edges": edges,
        "forward": [s.id for s in computed],
        "backward": [s.id for s in answering],
        "parameters": _parameters(result, picture),
        "norms": norms,
        "credit": _credit(result),
        "agreement": _agreement(report),
        "formulas": formulas.written,
    }


def _number(x: Any) -> float:
    return float(f"{float(x):.{DIGITS}g}")


def _norm(array: Any) -> float:
    """The Euclidean norm, also of numbers whose squares are no numbers."""
    largest = float(np.max(np.abs(array), initial=0.0))
    if not largest or not np.isfinite(largest):
        return _number(largest)
    return _number(largest * np.linalg.norm(np.asarray(array) / largest))


def numbers(array: Any) -> Any:
    """An array as nested lists of short numbers."""
    array = np.asarray(array, float)
    return _number(array) if array.ndim == 0 else [numbers(row) for row in array]


def _node(spot: Spot, result: Result, formulas: Formulas) -> dict[str, Any]:
    """A node: its name, its equation, its value and its adjoint."""
    graph = result.graph
    if spot.node not in graph:
        given = spot.kind != "elided"
        return {"name": formulas.name(spot), "plain": spot.label.text, "kind": spot.kind, "t": spot.t, "given": given}
    kind = {"term": "term of the loss"}.get(spot.kind, spot.kind)
    found: dict[str, Any] = {
        "name": formulas.name(spot), "plain": spot.label.text, "kind": kind, "t": spot.t,
        "shape": list(graph.nodes[spot.node]["shape"]), "given": not graph.in_degree(spot.node),
        "value": numbers(result.values.node[spot.node]),
    }  # fmt: skip
    if spot.node in result.messages.adjoint:
        found["adjoint"] = numbers(result.messages.adjoint[spot.node])
    if graph.nodes[spot.node]["rule"] is not None:
        found["equation"] = formulas.equation(graph, spot.node)
    return found


def _edges(picture: Scene, result: Result, formulas: Formulas) -> list[dict[str, Any]]:
    """The edges: messages, local Jacobians and formulas."""
    local, graph, known = LocalSteps(result.values.given), result.graph, dict[Any, dict[int, Array]]()
    found = []
    for line in picture.lines:
        edge: dict[str, Any] = {"tail": line.tail, "head": line.head, "about": line.title.split(";")[0]}
        found.append(edge)
        if line.origin not in result.messages.edge or graph.nodes[line.origin[0]]["kind"] in PARAMETER_KINDS:
            continue
        _, head, key = line.origin
        if head not in known:
            arrays = [result.values.node[u] for u in arguments(graph, head)]
            known[head] = dict(jacobians(local, graph, head, arrays, result.values.node[head]))
        message = result.messages.edge[line.origin]
        edge |= {
            "message": numbers(message), "norm": _norm(message), "jacobian": numbers(known[head][key]),
            "formula": formulas.message(graph, head, key),
        }  # fmt: skip
        if line.label:
            edge["parameter"] = line.label.text
    return found


def _parameters(result: Result, picture: Scene) -> list[dict[str, Any]]:
    """The gradients, and what each node sends to each parameter."""
    spots = {spot.node: spot.id for spot in picture.spots}
    sent: dict[str, list[Any]] = {}
    for (parent, child, _), message in result.messages.edge.items():
        name = parent if isinstance(parent, str) else parent[0]
        if name in result.gradients and child in spots:
            sent.setdefault(name, []).append((spots[child], message))
    found = []
    for name, gradient in result.gradients.items():
        shares = [[node, numbers(message)] for node, message in sent.get(name, [])]
        found.append({"name": name, "gradient": numbers(gradient), "norm": _norm(gradient), "sent": shares})
    return found


def _credit(result: Result) -> dict[str, Any]:
    """For each parameter the norms of the itemised gradient, (slice of the loss, slice of the copy)."""
    given, template = result.values.given, result.graph.graph["template"]
    if given.T > MOST_CREDIT or not result.gradients:
        return {}
    initial = {n: a if len(a) > 1 else a[0] for n, a in given.initial.items() if n not in template.initial}
    items = credit(template, own_parameters(result), given.data, initial=initial, T=given.T)
    return {name: numbers(items.norms(name)) for name in items.items}


def _agreement(report: Report | None) -> dict[str, Any] | None:
    if report is None:
        return None
    engines = list(dict.fromkeys(row.engine for row in report.rows))
    table: dict[str, dict[str, Any]] = {}
    for row in report.rows:
        table.setdefault(row.quantity, {})[row.engine] = [float(f"{row.relative:.2e}"), row.ok]
    return {"ok": report.ok, "engines": engines, "rows": list(table.items())}


def compared(result: Result) -> Report | None:
    """The comparison of the engines on the data of a run; None where numbers are too large to be compared."""
    given, template = result.values.given, result.graph.graph["template"]
    initial: Mapping[str, Array] = {
        n: a if len(a) > 1 else a[0] for n, a in given.initial.items() if n not in template.initial
    }
    try:
        with np.errstate(all="ignore"):
            report = compare(template, own_parameters(result), given.data, initial=initial, T=given.T)
    except NotANumberError:
        return None
    return replace(report, result=result)

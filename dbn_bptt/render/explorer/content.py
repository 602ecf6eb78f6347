"""What the explorer shows of a run of BPTT and of inference, in plain lists: steps, numbers, formulas."""

from dataclasses import replace
from itertools import product
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
from dbn_bptt.render.explorer.wording import norm
from dbn_bptt.render.layout import scene
from dbn_bptt.render.subjects.inference import Inference
from dbn_bptt.render.subjects.scene import Scene, Spot
from dbn_bptt.render.writers.svg import TIPS, document
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.sweep.results import Result
from dbn_bptt.sweep.steps import LocalSteps
from dbn_bptt.sweep.unroll import arguments
from dbn_bptt.template.structure import interface

DIGITS = 4  # significant ones of the numbers that are shown
MOST_CREDIT = 60  # slices up to which the gradient is itemised


def one_sequence(result: Result) -> Result:
    """The run of the first sequence of a batch."""
    return bptt(result.template, **_input(result)) if result.values.given.batch else result


def _input(result: Result) -> dict[str, Any]:
    """What a run was given, without what belongs to the template; of a batch, its first sequence."""
    given, template = result.values.given, result.template
    first = (0,) if given.batch else ()
    states = {name: a[:, *first] for name, a in given.initial.items() if name not in template.initial}
    return {
        "parameters": {name: given.parameters[name] for name in template.names("parameter")},
        "data": {name: a[:, *first] for name, a in given.data.items()},
        "initial": {name: rows if len(rows) > 1 else rows[0] for name, rows in states.items()},
        "T": given.T,
    }


def content(result: Result, picture: Scene, report: Report | None) -> dict[str, Any]:
    """All that the page shows of a run of one sequence, ready for JSON; without a report no agreement."""
    formulas = Formulas(result.template)
    T, adjoint = result.values.given.T, result.messages.adjoint
    forward, backward = _steps(result, picture)
    return {
        "title": result.template.name,
        "loss": float(f"{result.loss:.8g}"),
        "T": T,
        "nodes": [_node(spot, result, formulas) for spot in picture.spots],
        "edges": _edges(picture, result, formulas),
        "forward": forward,
        "backward": backward,
        "parameters": _parameters(result, picture),
        "norms": {n: [numbers(norm(adjoint.get((n, t), 0.0))) for t in range(T)] for n in interface(result.template)},
        "credit": _credit(result),
        "agreement": _agreement(report),
        "formulas": formulas.written(),
    }


def _steps(result: Result, picture: Scene) -> tuple[list[int], list[int]]:
    """The ids of the nodes that the two sweeps come to, in their order."""
    graph, messages = result.graph, result.messages
    order = {node: k for k, node in enumerate(nx.topological_sort(graph))}
    drawn = [spot for spot in picture.spots if spot.node in order and spot.t is not None]
    by_slice = not any(lag < 0 for _, _, lag in graph.edges(data="lag"))  # what looks ahead has an order of its own
    computed = [spot for spot in drawn if graph.in_degree(spot.node)]
    computed.sort(key=lambda spot: (spot.t if by_slice else 0, order[spot.node]))
    telling = {u for u, *_ in messages.edge} | {v for v in graph if graph.nodes[v]["kind"] == "term"}
    answering = [spot for spot in drawn if spot.node in messages.adjoint and spot.node in telling]
    answering.sort(key=lambda spot: -order[spot.node])
    return [spot.id for spot in computed], [spot.id for spot in answering]


def numbers(array: Any) -> Any:
    """An array as nested lists of short numbers."""
    array = np.asarray(array, float)
    return float(f"{array:.{DIGITS}g}") if array.ndim == 0 else [numbers(row) for row in array]


def _node(spot: Spot, result: Result, formulas: Formulas) -> dict[str, Any]:
    """A node: its name, its equation, its value and its adjoint."""
    node, graph = spot.node, result.graph
    kind = {"term": "term of the loss"}.get(spot.kind, spot.kind)
    about = {
        "name": formulas.put(spot.label.latex),
        "plain": spot.label.text,
        "variable": str(spot.name),
        "kind": kind,
        "t": spot.t,
    }
    if node not in graph:
        return {**about, "given": spot.kind != "elided"}
    about |= {
        "shape": list(graph.nodes[node]["shape"]), "given": not graph.in_degree(node),
        "value": numbers(result.values.node[node]),
    }  # fmt: skip
    if node in result.messages.adjoint:
        about["adjoint"] = numbers(result.messages.adjoint[node])
    if graph.nodes[node]["rule"] is not None:
        about["equation"] = formulas.equation(graph.nodes[node]["rule"], spot.name)
    return about


def _edges(picture: Scene, result: Result, formulas: Formulas) -> list[dict[str, Any]]:
    """The edges: messages, local Jacobians and formulas."""
    local, graph, known = LocalSteps(result.values.given), result.graph, dict[Any, dict[int, Array]]()
    edges = []
    for line in picture.lines:
        edge: dict[str, Any] = {"tail": line.tail, "head": line.head, "about": line.title.split(";")[0]}
        edges.append(edge)
        if line.origin not in result.messages.edge or graph.nodes[line.origin[0]]["kind"] in PARAMETER_KINDS:
            continue
        _, head, key = line.origin
        if head not in known:
            arrays = [result.values.node[u] for u in arguments(graph, head)]
            known[head] = dict(jacobians(local, graph, head, arrays, result.values.node[head]))
        message = result.messages.edge[line.origin]
        edge |= {
            "message": numbers(message), "norm": numbers(norm(message)), "jacobian": numbers(known[head][key]),
            "formula": formulas.message(graph.nodes[head]["rule"], graph.nodes[head]["name"], key),
        }  # fmt: skip
        if line.label:
            edge["parameter"] = line.label.text
    return edges


def _parameters(result: Result, picture: Scene) -> list[dict[str, Any]]:
    """The gradients, and what each node sends to each parameter."""
    spots = {spot.node: spot.id for spot in picture.spots}
    sent: dict[str, list[Any]] = {name: [] for name in result.gradients}
    for (parent, child, _), message in result.messages.edge.items():
        name = parent if isinstance(parent, str) else parent[0]
        if name in sent and child in spots:
            sent[name].append([spots[child], numbers(message)])
    return [
        {"name": name, "gradient": numbers(gradient), "norm": numbers(norm(gradient)), "sent": sent[name]}
        for name, gradient in result.gradients.items()
    ]


def _credit(result: Result) -> dict[str, Any]:
    """For each parameter the norms of the itemised gradient, (slice of the loss, slice of the copy)."""
    if result.values.given.T > MOST_CREDIT or not result.gradients:
        return {}
    items = credit(result.template, **_input(result))
    return {name: numbers(items.norms(name)) for name in items.items}


def _agreement(report: Report | None) -> dict[str, Any] | None:
    if report is None:
        return None
    table: dict[str, dict[str, Any]] = {}
    for row in report.rows:
        table.setdefault(row.quantity, {})[row.engine] = [float(f"{row.relative:.2e}"), row.ok]
    engines = dict.fromkeys(row.engine for row in report.rows)
    return {"ok": report.ok, "engines": list(engines), "rows": list(table.items())}


def compared(result: Result) -> Report | None:
    """The comparison of the engines on the data of a run; None where numbers are too large to be compared."""
    try:
        with np.errstate(all="ignore"):
            return replace(compare(result.template, **_input(result)), result=result)
    except NotANumberError:
        return None


def network(model: Any, inference: Inference, result: Result) -> dict[str, Any]:
    """The picture with its posteriors, the posteriors as numbers, and the messages alpha and beta.

    beta is minus the adjoint of alpha, Rabiner's scaled backward variable.
    """
    slices, states, sent = range(inference.T), inference.task.network.states, []
    for title, about in inference.messages.items():
        joint = [
            ", ".join(f"{n}={s}" if len(about) > 1 else str(s) for (_, n), s in zip(about, row, strict=True))
            for row in product(*(states[name] for name, _ in about))
        ]
        alpha = np.stack([np.ravel(result.values[title, t]) for t in slices])
        beta = -np.stack([np.ravel(result.messages.adjoint[title, t]) for t in slices])
        sent.append({"name": title, "states": joint, "alpha": numbers(alpha), "beta": numbers(beta)})
    return {
        "picture": document(scene(model, evidence=inference), head=False).replace(TIPS, ""),
        "posteriors": [
            {"name": str(name), "states": [str(s) for s in states[name]], "rows": numbers(a)}
            for name, a in inference.posterior.items()
        ],
        "messages": sent,
        "log_likelihood": float(f"{inference.log_likelihood:.8g}"),
    }

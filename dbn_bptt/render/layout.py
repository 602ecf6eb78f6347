"""From an object to its scene: source, page, ground, routes, in this order."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx

from dbn_bptt.errors import DataError, positive
from dbn_bptt.render.placing.curves import Box, Points, middle
from dbn_bptt.render.placing.labels import Label, label
from dbn_bptt.render.placing.measures import ground, key_of
from dbn_bptt.render.placing.names import delay_marks, label_places, mark_boxes
from dbn_bptt.render.placing.routes import Route, routed
from dbn_bptt.render.placing.sheet import HEADINGS, Sheet, borders, extent, frames, middles
from dbn_bptt.render.subjects.inference import inference
from dbn_bptt.render.subjects.overlays import RIM, Heat, Overlay, Show, of_inference, of_result, weights
from dbn_bptt.render.subjects.parameters import PARAMETERS, Parameters, with_parameters
from dbn_bptt.render.subjects.scene import Line, Scene, Spot
from dbn_bptt.render.subjects.sources import Source, source
from dbn_bptt.render.subjects.views import Page, View, page
from dbn_bptt.render.subjects.words import about_edge, about_node, about_picture


def scene(
    obj: Any, *, view: View | None = None, T: int | None = None, parameters: Parameters | None = None,
    show: Show | None = None, path: Iterable[Any] | None = None, truncate: int | None = None, evidence: Any = None,
) -> Scene:  # fmt: skip
    """Lay an object out; the options are those of `Options`.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> drawn = scene(db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=3))
    >>> print(drawn.title)
    Elman network, unrolled over 3 slices
    >>> len({spot.y for spot in drawn.spots if spot.key[0] == "h"})
    1
    """
    about_slices = {"show": show, "path": path, "truncate": truncate, "evidence": evidence}
    if isinstance(obj, Scene):
        if any(option is not None for option in (view, T, parameters, *about_slices.values())):
            raise DataError("a scene is laid out already; give the options to render.scene")
        return obj
    if parameters is not None and parameters not in PARAMETERS:
        raise DataError(f"parameters is {parameters!r}; it must be one of {', '.join(map(repr, PARAMETERS))}")
    if truncate is not None:
        positive(truncate, f"truncate is {truncate!r}; it must be a positive number of slices")
    asked = None if evidence is None else inference(obj, evidence, T)
    of = source(obj, T if asked is None else asked.T, whole=view == "unrolled" or path is not None)
    nodes = tuple(path or ())
    for node in nodes:
        if node not in of.graph and node not in of.sinks:
            raise DataError(f"path: {node!r} is no node of what is drawn")
    how = parameters or ("none" if of.staggered else "labels")
    drawn = with_parameters(page(of, view), how)
    for name, option in about_slices.items():
        if option is not None and not drawn.of_slices:
            raise DataError(f"{name} is about slices of their own; draw it with view='unrolled' or 'folded'")
    over = of_result(of, drawn.graph, show) if drawn.of_slices else Overlay()
    over = over if asked is None else of_inference(asked)
    return _assembled(of, drawn, replace(over, path=nodes, truncate=truncate or 0), plates=how == "plates")


def _assembled(of: Source, drawn: Page, over: Overlay, plates: bool) -> Scene:
    """Measure, route, name, and put everything at its place."""
    sheet = _sheet(of, drawn, over)
    plain = frames(sheet, plates)
    dx, dy, width, height = extent(sheet, plain)
    spots = _spots(sheet, dx, dy)
    lines = _lines(sheet, spots, dx, dy)
    names = list(dict.fromkeys(str(at["name"]) for _, at in drawn.graph.nodes(data=True) if at["column"] is not None))
    columns = [(dx + x, column.heading) for x, column in zip(middles(sheet), drawn.columns, strict=True)]
    return Scene(
        title=sheet.title,
        description=about_picture(names, len(spots), len(lines), of.downward),
        width=width,
        height=height,
        spots=tuple(spots.values()),
        lines=lines,
        frames=tuple(replace(f, x=f.x + dx, y=f.y + dy) for f in plain),
        headings=tuple((x, height - HEADINGS, text) for x, text in columns if text and not plates),
        borders=tuple(x + dx for x in borders(sheet, of.T)),
        columns=tuple(text for _, text in columns),
        source=of,
    )


def _sheet(of: Source, drawn: Page, over: Overlay) -> Sheet:
    """The page measured, its edges routed and named."""
    graph = drawn.graph
    labels = {n: label(at["name"], at["time"], at["index"]) for n, at in graph.nodes(data=True)}
    labels |= {n: Label("\u22ef", "", "", r"\cdots") for n, kind in graph.nodes(data="kind") if kind == "elided"}
    base = ground(of, drawn, labels, over)
    routes = _routes(graph)
    curves = routed(list(dict.fromkeys(routes.values())), base)
    names = {(u, v, key): label(name) for u, v, key, name in graph.edges(keys=True, data="parameter") if name}
    widths: dict[Route, float] = {}
    for e, name in names.items():
        widths[routes[e]] = max(name.width(), widths.get(routes[e], 0.0))
    marks = delay_marks(curves)
    busy = [*mark_boxes(marks), *_heat_boxes(graph, routes, curves, over)]
    places = label_places(curves, widths, busy, base)
    return Sheet(
        page=drawn,
        yard=base,
        over=over,
        labels=labels,
        curves={e: curves[route] for e, route in routes.items()},
        names={e: (name, places[routes[e]]) for e, name in names.items()},
        marks={e: marks[route] for e, route in routes.items() if route in marks},
        title=of.title if drawn.of_slices else of.name,
    )


def _routes(graph: nx.MultiDiGraph) -> dict[Any, Route]:
    """The route of each edge: the same for edges that look the same in another slice."""
    routes, between = {}, Counter[Any]()
    for u, v, key, delay in graph.edges(keys=True, data="delay"):
        tail, head = graph.nodes[u], graph.nodes[v]
        begin = tail["column"] or 0  # parameters stand left of the first column
        columns = head["column"] - begin
        phase = begin % min(abs(columns), 4) if columns else 0
        routes[u, v, key] = Route(key_of(tail), key_of(head), columns, between[u, v], delay, phase)
        between[u, v] += 1
    return routes


def _heat_boxes(
    graph: nx.MultiDiGraph, routes: Mapping[Any, Route], curves: Mapping[Route, Points], over: Overlay
) -> list[Box]:
    """Where numbers lie on edges."""
    heats: dict[Route, Heat] = {}
    for u, v, key, origin in graph.edges(keys=True, data="origin"):
        if origin in over.edges:
            heats.setdefault(routes[u, v, key], over.edges[origin])
    return [Box(*middle(curves[route]), heat.width + RIM, heat.height + RIM) for route, heat in heats.items()]


def _spots(sheet: Sheet, dx: float, dy: float) -> dict[Any, Spot]:
    spots: dict[Any, Spot] = {}
    for node, at in sheet.page.graph.nodes(data=True):
        box = sheet.box(node).moved(dx)
        own = at.get("stands_for", node)
        kind = "observed" if own in sheet.over.observed else at["kind"]
        spots[node] = Spot(
            id=len(spots), node=own, key=key_of(at), t=at["t"], column=at["column"],
            x=box.x, y=box.y + dy, width=box.width, height=box.height, shape=box.shape,
            kind=kind, label=sheet.labels[node], title=about_node(at, kind, sheet.page.of_slices),
            heat=sheet.over.nodes.get(own), marked=own in sheet.over.path,
        )  # fmt: skip
    return spots


def _lines(sheet: Sheet, spots: Mapping[Any, Spot], dx: float, dy: float) -> tuple[Line, ...]:
    over, weight, lines = sheet.over, weights(sheet.over.norms), list[Line]()
    for u, v, key, at in sheet.page.graph.edges(keys=True, data=True):
        tail, head, origin = spots[u], spots[v], at["origin"]
        shift = sheet.left(u) + dx
        name, place = sheet.names.get((u, v, key), (None, (0.0, 0.0)))
        mark = sheet.marks.get((u, v, key), (0.0, 0.0))
        lines.append(Line(
            id=len(lines), origin=origin, tail=tail.id, head=head.id,
            points=tuple((x + shift, y + dy) for x, y in sheet.curves[u, v, key]),
            label=name, label_at=(place[0] + shift, place[1] + dy), weight=weight.get(origin),
            delay=at["delay"], mark=(mark[0] + shift, mark[1] + dy), dashed="elided" in (tail.kind, head.kind),
            title=about_edge(tail, head, at, over.norms.get(origin), sheet.page.of_slices),
            heat=over.edges.get(origin), marked=over.marks(tail.node, head.node),
        ))  # fmt: skip
    return tuple(lines)

"""From an object to its scene: source, page, ground, routes, in this order."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import networkx as nx

from dbn_bptt.errors import DataError, positive
from dbn_bptt.render.colors import Role
from dbn_bptt.render.placing.labels import NOTATIONS, Notation
from dbn_bptt.render.placing.measures import key_of
from dbn_bptt.render.placing.sheet import HEADINGS, Sheet, borders, extent, frames, sheet
from dbn_bptt.render.subjects.choices import one_of
from dbn_bptt.render.subjects.compact import compacted
from dbn_bptt.render.subjects.inference import inference
from dbn_bptt.render.subjects.named import renamed
from dbn_bptt.render.subjects.overlays import Overlay, Show, of_inference, of_result, weights
from dbn_bptt.render.subjects.parameters import Parameters, with_parameters
from dbn_bptt.render.subjects.roles import COLORS, Colors, roles
from dbn_bptt.render.subjects.scene import Line, Scene, Spot
from dbn_bptt.render.subjects.sources import Source, source
from dbn_bptt.render.subjects.views import Slices, View, page
from dbn_bptt.render.subjects.words import about_edge, about_node, about_picture, plain_time


def scene(
    obj: Any, *, view: View | None = None, T: int | None = None, parameters: Parameters | None = None,
    show: Show | None = None, path: Iterable[Any] | None = None, truncate: int | None = None, evidence: Any = None,
    compact: bool = False, names: Mapping[str, str] | None = None, notation: Notation | None = None,
    slices: Slices | None = None, colors: Colors | None = None,
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
        looks = view, T, parameters, names, notation, slices, colors, *about_slices.values()
        if compact or any(option is not None for option in looks):
            raise DataError("a scene is laid out already; give the options to render.scene")
        return obj
    if truncate is not None:
        positive(truncate, f"truncate is {truncate!r}; it must be a positive number of slices")
    one_of("colors", colors or "plain", COLORS)
    one_of("notation", notation or "superscript", NOTATIONS)
    asked = None if evidence is None else inference(obj, evidence, T)
    of = source(obj, T if asked is None else asked.T, all_slices=view == "unrolled" or path is not None)
    of = renamed(of, names) if names else of
    of = compacted(of) if compact else of
    how = parameters or ("none" if of.staggered else "labels")
    drawn = with_parameters(page(of, view, slices or "numbers"), how)
    for name, option in about_slices.items():
        if option is not None and not drawn.of_slices:
            raise DataError(f"{name} is about slices of their own; draw it with view='unrolled' or 'folded'")
    over = of_result(of, drawn.graph, show) if drawn.of_slices else Overlay()
    over = over if asked is None else of_inference(asked)
    over = replace(over, path=_drawn_path(of, drawn.graph, path or ()), truncate=truncate or 0)
    placed = sheet(of, drawn, over, notation or "superscript")
    return _assembled(of, placed, how == "plates", roles(of) if colors == "role" else {})


def _drawn_path(of: Source, graph: nx.MultiDiGraph, path: Iterable[Any]) -> tuple[Any, ...]:
    """A path without the nodes that a compact picture leaves out; copies of parameters may be part of it."""
    nodes, copies = tuple(path), {at.get("stands_for") for _, at in graph.nodes(data=True)}
    for node in nodes:
        if all(node not in known for known in (of.graph, of.sinks, of.folded, copies)):
            raise DataError(f"path: {node!r} is no node of what is drawn")
    return tuple(node for node in nodes if node not in of.folded)


def _assembled(of: Source, on: Sheet, plates: bool, role: Mapping[Any, Role]) -> Scene:
    """Everything at its place."""
    plain = frames(on, plates)
    dx, dy, width, height = extent(on, plain)
    spots = _spots(on, dx, dy, role)
    lines = _lines(on, spots, dx, dy)
    middle = (on.yard.pitch - on.yard.gap) / 2
    columns = [(dx + (k * on.yard.pitch + middle), column.heading) for k, column in enumerate(on.page.columns)]
    names = dict.fromkeys(str(at["called"]) for _, at in on.page.graph.nodes(data=True) if at["column"] is not None)
    return Scene(
        title=on.title,
        description=about_picture(names, len(spots), len(lines), of.downward),
        width=width,
        height=height,
        spots=tuple(spots.values()),
        lines=lines,
        frames=tuple(replace(f, x=f.x + dx, y=f.y + dy) for f in plain),
        headings=tuple((x, height - HEADINGS, text) for x, text in columns if text and not plates),
        borders=tuple(x + dx for x in borders(on, of.T)),
        columns=tuple(text for _, text in columns),
        source=of,
    )


def _spots(on: Sheet, dx: float, dy: float, role: Mapping[Any, Role]) -> dict[Any, Spot]:
    spots: dict[Any, Spot] = {}
    for node, at in on.page.graph.nodes(data=True):
        box = on.box(node).moved(dx)
        own = at.get("stands_for", node)
        kind = "observed" if own in on.over.observed else at["kind"]
        spots[node] = Spot(
            id=len(spots), node=own, name=at["name"], key=key_of(at), t=at["t"], column=at["column"],
            x=box.x, y=box.y + dy, width=box.width, height=box.height, shape=box.shape,
            kind=kind, label=on.labels[node], title=about_node(at, kind), time=plain_time(at),
            heat=on.over.nodes.get(own), marked=own in on.over.path,
            role="input" if role and kind == "observed" else None if kind == "elided" else role.get(at["name"]),
        )  # fmt: skip
    return spots


def _lines(on: Sheet, spots: Mapping[Any, Spot], dx: float, dy: float) -> tuple[Line, ...]:
    over, weight, lines = on.over, weights(on.over.norms), list[Line]()
    path, nodes = set(pairwise(over.path)), on.page.graph.nodes
    for u, v, key, at in on.page.graph.edges(keys=True, data=True):
        tail, head, origin, route = spots[u], spots[v], at["origin"], on.routes[u, v, key]
        shift = on.left(u) + dx
        place, mark = on.places.get(route, (0.0, 0.0)), on.marks.get(route, (0.0, 0.0))
        lines.append(Line(
            id=len(lines), origin=origin, tail=tail.id, head=head.id,
            points=tuple((x + shift, y + dy) for x, y in on.curves[route]),
            label=on.names.get((u, v, key)), label_at=(place[0] + shift, place[1] + dy), weight=weight.get(origin),
            delay=at["delay"], mark=(mark[0] + shift, mark[1] + dy), dashed="elided" in (tail.kind, head.kind),
            title=about_edge(nodes[u], nodes[v], at, over.norms.get(origin)),
            heat=over.edges.get(origin), marked=(tail.node, head.node) in path,
        ))  # fmt: skip
    return tuple(lines)

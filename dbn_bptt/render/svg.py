"""Unrolled graphs as SVG."""

from html import escape

import networkx as nx

from dbn_bptt.equations import name_parts
from dbn_bptt.errors import DataError
from dbn_bptt.render.scene import RADIUS, ROW, Line, Scene, Spot, scene
from dbn_bptt.results import Result

# Okabe and Ito's colours, told apart by the colour-blind; shapes and line styles say the same a second time.
STYLE = """
text { font-family: 'Latin Modern Math', 'STIX Two Text', Georgia, serif; fill: #1a1a1a; text-anchor: middle }
.name { font-size: 17px; font-style: italic } .small { font-size: 11px } .head { font-size: 15px }
.slice { font-size: 13px; fill: #666 } .label { font-size: 14px; font-style: italic; fill: #0072b2 }
.halo { stroke: #fff; stroke-width: 5px; paint-order: stroke }
.node { fill: #fff; stroke: #1a1a1a; stroke-width: 1.6 } .input, .target { fill: #d9d9d9 }
.term { fill: #fbe3c0; stroke: #a65e00 } .initial { stroke-dasharray: 4 3; fill: #f7f7f7 }
.edge { fill: none; stroke: #333; stroke-width: 1.4 } .edge.over { stroke: #56b4e9 }
path.tip { fill: #333 } .weighted { stroke: #d55e00 }
"""


def svg(obj: nx.MultiDiGraph | Result) -> str:
    """A picture of an unrolled graph; for a result of `bptt`, edges are as thick as their messages are large.

    Beyond 8 slices the first and the last ones are drawn. Inputs and targets are grey, losses are square, initial
    states dashed. Each node and edge tells on hovering what it is.

    Parameters
    ----------
    obj : networkx.MultiDiGraph or Result
        From `unroll` or `bptt`.

    Returns
    -------
    str
        A stand-alone SVG document.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> picture = svg(db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=3))
    >>> picture[:4], picture.count("<circle"), picture.count("<rect class")
    ('<svg', 19, 3)
    """
    if isinstance(obj, Result):
        return _document(scene(obj.graph, obj.messages.edge))
    if not isinstance(obj, nx.MultiDiGraph) or "template" not in obj.graph:
        raise DataError(f"cannot draw {type(obj).__name__}; give a graph from unroll(template, T) or a result of bptt")
    return _document(scene(obj))


def _document(picture: Scene) -> str:
    w, h = picture.width, picture.height + 54
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:g} {h:g}" width="{w:g}" height="{h:g}" role="img">',
        f"<title>{escape(picture.title)}</title>",
        f"<desc>{escape(_description(picture))}</desc>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="7" markerHeight="7" '
        'markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 0.6 L8 4 L0 7.4 z"/></marker></defs>',
        f'<rect width="{w:g}" height="{h:g}" fill="#fff"/>',
        f'<text class="head" x="{w / 2:g}" y="26">{escape(picture.title)}</text>',
        '<g transform="translate(0 26)">',
        *(_edge(line) for line in picture.lines),
        *(_edge_label(line) for line in picture.lines if line.label),
        *(_node(spot) for spot in picture.spots),
        *(f'<text class="head" x="{x:g}" y="{picture.height / 2:g}">. . .</text>' for x in picture.ellipsis),
        *(f'<text class="slice" x="{x:g}" y="{picture.height - 14:g}">{name}</text>' for x, name in picture.columns),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _description(picture: Scene) -> str:
    names = list(dict.fromkeys(spot.name for spot in picture.spots))
    return (
        f"{len(picture.spots)} nodes and {len(picture.lines)} edges on a grid. Columns are time slices, "
        f"rows from the bottom are the variables {', '.join(names)}."
    )


def _node(spot: Spot) -> str:
    shape = (
        f'<rect class="node {spot.kind}" x="{spot.x - RADIUS:g}" y="{spot.y - RADIUS:g}" '
        f'width="{2 * RADIUS:g}" height="{2 * RADIUS:g}" rx="4"/>'
        if spot.kind == "term"
        else f'<circle class="node {spot.kind}" cx="{spot.x:g}" cy="{spot.y:g}" r="{RADIUS:g}"/>'
    )
    label = _mathematics(spot.name, str(spot.t))
    text = f'<text class="name" x="{spot.x:g}" y="{spot.y + 5:g}">{label}</text>'
    return f"<g><title>{escape(spot.title)}</title>{shape}{text}</g>"


def _mathematics(name: str, t: str | None = None) -> str:
    """A name with its subscripts: ("W_i1", None) as W with i and 1 below, ("h", "2") as h with 2 below."""
    base, below = name_parts(name)
    subscript = ",".join([*below, *([t] if t is not None else [])])
    lowered = f'<tspan class="small" dy="4">{escape(subscript.replace("-", chr(0x2212)))}</tspan>' if subscript else ""
    return f"{escape(base)}{lowered}"


def _edge(line: Line) -> str:
    weight = "" if line.weight is None else f' style="stroke-width:{0.5 + 4 * line.weight:.2f}"'
    kind = "edge" if line.weight is None else "edge weighted"
    (x, y), *others = line.points
    path = f"M{x:g} {y:g} C" + " ".join(f"{x:g} {y:g}" for x, y in others)
    return f'<path class="{kind}" d="{path}" marker-end="url(#tip)"{weight}><title>{escape(line.title)}</title></path>'


def _edge_label(line: Line) -> str:
    """The parameter beside the middle of the curve."""
    middle = (len(line.points) // 3 - 1) // 2 * 3
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = line.points[middle : middle + 4]
    x, y = (x0 + 3 * x1 + 3 * x2 + x3) / 8, (y0 + 3 * y1 + 3 * y2 + y3) / 8
    across = abs(x3 - x0) > ROW / 2
    label = _mathematics(line.label)
    return (
        f'<text class="label halo" x="{x + (0 if across else 13):g}" y="{y + (-7 if across else 4):g}">{label}</text>'
    )

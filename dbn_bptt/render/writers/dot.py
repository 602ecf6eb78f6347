"""Scenes as graphviz DOT, every node at its place."""

from typing import Any, Unpack

from dbn_bptt.render.colors import LIGHT, LINE, edge_color, edge_width, heat_color, paint
from dbn_bptt.render.layout import scene
from dbn_bptt.render.subjects.overlays import Heat
from dbn_bptt.render.subjects.scene import Line, Options, Spot

_INCH = 72.0  # px of a scene in an inch of graphviz's


def dot(obj: Any, **options: Unpack[Options]) -> str:
    """A picture as DOT text for graphviz's programs, which route the edges themselves: ``dot -Tsvg``.

    Nodes are pinned to the places of the scene, by the layout engine `neato` that the text asks for. The options are
    those of `svg`.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> text = dot(db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=2))
    >>> print(text.splitlines()[0])
    digraph "Elman network, unrolled over 2 slices" {
    """
    picture = scene(obj, **options)
    # neato's router breaks down (graphviz 2.43) where a node has a loop, or a pair of nodes two edges
    pairs = [frozenset((line.tail, line.head)) for line in picture.lines]
    splines = "curved" if len(set(pairs)) < len(pairs) or any(len(pair) == 1 for pair in pairs) else "true"
    lines = [
        f"digraph {_quoted(picture.title)} {{",
        f'  layout="neato"; splines="{splines}"; label={_quoted(picture.title)}; labelloc="t"; fontname="Times";',
        '  node [fontname="Times", fixedsize="true", style="filled", fillcolor="white", penwidth="1.3"];',
        f'  edge [fontname="Times", fontcolor="{LIGHT.blue}", color="{LIGHT.line}", arrowsize="0.7"];',
        *(_node(spot, picture.height) for spot in picture.spots),
        *(_edge(line) for line in picture.lines),
        *(_heading(k, *heading, picture.height) for k, heading in enumerate(picture.headings)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _heading(number: int, x: float, y: float, text: str, height: float) -> str:
    size = f'height="0.3", width="{0.15 * len(text):.2f}"'
    return f'  h{number} [shape="plaintext", style="", {size}, label={_quoted(text)}, pos="{_place(x, y, height)}"];'


def _quoted(text: str) -> str:
    """A text in quotes, in which nothing is a command."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _place(x: float, y: float, height: float) -> str:
    return f"{x / _INCH:.3f},{(height - y) / _INCH:.3f}!"


def _node(spot: Spot, height: float) -> str:
    shape = "box" if spot.shape == "box" else "plaintext" if spot.kind == "elided" else "ellipse"
    of = paint(spot.kind, spot.role, LIGHT)
    dashes = "dotted" if of.dash and min(of.dash) < 2 else "dashed"
    rest = f'style="filled,{dashes}", ' if of.dash else 'style="", ' if spot.kind == "elided" else ""
    rest += f'penwidth="{of.width}", ' if of.width != LINE else ""
    colors = f'fillcolor="{of.fill}", color="{LIGHT.green if spot.marked else of.stroke}"'
    label = _with_numbers(spot.label.html, spot.heat)
    return (
        f'  n{spot.id} [label=<{label}>, pos="{_place(spot.x, spot.y, height)}", shape="{shape}", {rest}'
        f'{colors}, width="{spot.width / _INCH:.3f}", height="{spot.height / _INCH:.3f}", '
        f"tooltip={_quoted(spot.title)}];"
    )


def _with_numbers(label: str, heat: Heat | None) -> str:
    """A label above the cells of a heat map; a probability is as dark as it is large."""
    if heat is None:
        return label
    cells = "".join(
        "<TR>"
        + "".join(f'<TD BGCOLOR="{heat_color(x)}" WIDTH="9" HEIGHT="9" FIXEDSIZE="TRUE"></TD>' for x in row)
        + "</TR>"
        for row in heat.rows
    )
    head = f'<TR><TD COLSPAN="{len(heat.rows[0])}">{label}</TD></TR>' if label else ""
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{head}{cells}</TABLE>'


def _edge(line: Line) -> str:
    of = [f"tooltip={_quoted(line.title)}"]
    words = ([line.label.html] if line.label else []) + ([f"{line.delay:+d}"] if line.delay else [])
    if words or line.heat:
        of.append(f"label=<{_with_numbers(' '.join(words), line.heat)}>")
    if line.weight is not None:
        of.append(f'penwidth="{edge_width(line.weight):.2f}", color="{edge_color(line.weight, LIGHT)}"')
    if line.marked:
        of.append(f'penwidth="4", color="{LIGHT.green}"')
    if line.dashed:
        of.append('style="dashed"')
    return f"  n{line.tail} -> n{line.head} [{', '.join(of)}];"

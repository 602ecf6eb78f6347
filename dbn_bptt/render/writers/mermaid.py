"""Scenes as Mermaid flowcharts, which Markdown pages draw themselves."""

import re
from typing import Any, Unpack

from dbn_bptt.render.colors import FILLED, LIGHT, LOOKS, edge_color, edge_width, paint
from dbn_bptt.render.layout import scene
from dbn_bptt.render.subjects.scene import Line, Options, Spot


def mermaid(obj: Any, **options: Unpack[Options]) -> str:
    """A picture as a Mermaid flowchart, one subgraph for each slice; Mermaid places the nodes itself.

    The options are those of `svg`.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate("decay")
    >>> w, h = t.parameter("w", (2, 2)), t.variable("h", 2)
    >>> t.define(h, w @ h.prev)
    >>> print("\\n".join(mermaid(t).splitlines()[3:]))
      subgraph s0["t = 0, …, T−1"]
        n0(("h⁽ᵗ⁾"))
      end
      n0 -->|"w, 1 later"| n0
    """
    picture = scene(obj, **options)
    lines = [
        f"flowchart {'TB' if picture.source.downward else 'BT'}",
        f"  accTitle: {_plain(picture.title)}",
        f"  accDescr: {_plain(picture.description)}",
    ]
    columns: dict[int | None, list[Spot]] = {}
    for spot in picture.spots:
        columns.setdefault(spot.column, []).append(spot)
    for column, spots in columns.items():
        heading = "" if column is None else picture.columns[column]
        nodes = [f"  {_node(spot)}" for spot in spots]
        if heading:
            nodes = [f'  subgraph s{column}["{_escaped(heading)}"]', *(f"  {node}" for node in nodes), "  end"]
        lines += nodes
    lines += [f"  {_edge(line)}" for line in picture.lines]
    lines += [
        f"  linkStyle {line.id} stroke:{edge_color(line.weight, LIGHT)},stroke-width:{edge_width(line.weight):.1f}px"
        for line in picture.lines if line.weight is not None
    ]  # fmt: skip
    classes = {
        f"{kinds[0]}Kind": [s for s in picture.spots if s.kind in kinds and not s.role] for kinds in FILLED.values()
    }
    classes |= {f"{role}Role": [spot for spot in picture.spots if spot.role == role] for role in LOOKS}
    for name, spots in classes.items():
        if spots:
            of = paint("" if spots[0].role else spots[0].kind, spots[0].role, LIGHT)
            dashes = f",stroke-dasharray:{' '.join(map(str, of.dash))}" if of.dash else ""
            outline = f",stroke:{of.stroke},stroke-width:{of.width}px{dashes}" if spots[0].role else ""
            lines.append(f"  classDef {name} fill:{of.fill},color:#000{outline}")
            lines.append(f"  class {','.join(f'n{spot.id}' for spot in spots)} {name}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """A text for quotes: what could mean something to Mermaid or HTML as the number of its character."""
    return re.sub(
        r"[^\w .,:=+()\u2026\u2212\u22ef\u207d\u207e⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵗᵀ\u0300-\u036f\u20d0-\u20ff-]",
        lambda m: f"#{ord(m[0])};",
        text,
    )


def _plain(text: str) -> str:
    return re.sub(r"[^\w .,=()\u2026\u2212-]", "_", text.replace(";", ","))


def _node(spot: Spot) -> str:
    left, right = '["', '"]'
    if spot.kind in ("variable", "input", "target", "initial", "chance", "observed"):
        left, right = ('(("', '"))') if spot.shape == "circle" else ('(["', '"])')
    return f"n{spot.id}{left}{_escaped(spot.label.text)}{right}"


def _edge(line: Line) -> str:
    arrow = "-.->" if line.dashed else "==>" if line.marked else "-->"
    name = [_escaped(line.label.text)] if line.label else []
    name += [f"{abs(line.delay)} {'later' if line.delay > 0 else 'earlier'}"] if line.delay else []
    label = f'|"{", ".join(name)}"|' if name else ""
    return f"n{line.tail} {arrow}{label} n{line.head}"

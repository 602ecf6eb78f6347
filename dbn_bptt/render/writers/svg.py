"""Scenes as SVG: stand-alone, made of plain shapes and text."""

from html import escape
from typing import Any, Literal, Unpack

from dbn_bptt.render.colors import (
    LEVELS,
    LIGHT,
    LOOKS,
    PARAMETER_KINDS,
    THEMES,
    Ink,
    Role,
    edge_color,
    edge_width,
    level,
    paint,
)  # fmt: skip
from dbn_bptt.render.layout import scene
from dbn_bptt.render.placing.curves import shortened
from dbn_bptt.render.placing.labels import FONT, SMALL, SMALLER, Label, text_width
from dbn_bptt.render.subjects.choices import one_of
from dbn_bptt.render.subjects.overlays import BARS, RIM, Heat
from dbn_bptt.render.subjects.scene import PX_OF_CM, Frame, Line, Options, Scene, Spot, scale

FACES = "'STIX Two Text', 'Latin Modern Roman', 'Times New Roman', Georgia, serif"
TRUNCATED = "<title>truncated: no message crosses this border</title>"
Theme = Literal["auto", "light", "dark"]
THEME_NAMES = ("auto", "light", "dark")


class Svg(str):
    """SVG text that a notebook shows as the picture."""

    def _repr_svg_(self) -> str:
        return str(self)


def svg(obj: Any, *, theme: Theme = "light", size_cm: float | None = None, **options: Unpack[Options]) -> Svg:
    """A picture as stand-alone SVG; a notebook shows it.

    Columns are time slices and rows are variables. Inputs and targets are grey, terms of losses square, initial states
    dashed. Of a result of `bptt`, edges are as thick as the messages on them are large, on a log scale. Each node and
    edge tells on hovering what it is.

    Parameters
    ----------
    obj : SliceTemplate, unrolled graph, Result, graph of `paths.linearize`, pgmpy DynamicBayesianNetwork, or Scene
    theme : "light", "dark" or "auto"
        "auto" follows the reader's system.
    size_cm : float
        The width in centimetres; 96 px to the inch, unless given.
    **options
        See `render.Options`.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> picture = svg(db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=3))
    >>> picture[:4], picture.count("<circle")
    ('<svg', 19)
    """
    one_of("theme", theme, THEME_NAMES)
    picture = scene(obj, **options)
    return Svg(document(picture, theme, scale=scale(picture, size_cm)))


def document(picture: Scene, theme: Theme = "light", head: bool = True, scale: float | None = None) -> str:
    """A scene as SVG; without a head it is the inside alone, for a page that brings its own style."""
    return framed(picture, [part for part in parts(picture) if part], style(theme, has_roles(picture)), head, scale)


def has_roles(picture: Scene) -> bool:
    """Whether nodes are painted by their roles."""
    return any(spot.role for spot in picture.spots)


def parts(picture: Scene) -> list[str]:
    """Everything that is drawn, from the ground up; nothing in the place of numbers that are not there."""
    top, low = picture.border_ends
    x, y = picture.caption_at
    return [
        *(_frame(frame) for frame in picture.frames),
        *(f'<path class="border" d="M{x:.1f} {top:.1f} V{low:.1f}">{TRUNCATED}</path>' for x in picture.borders),
        *(_edge(line) for line in picture.lines),
        *dict.fromkeys(_mark(line) for line in picture.lines if line.delay),
        *(_edge_heat(line) if line.heat else "" for line in picture.lines),
        *(
            mathematics(line.label, line.label_at[0], line.label_at[1] + 5, 14.0, "label")
            for line in picture.lines
            if line.label
        ),
        *(_node(spot) for spot in picture.spots),
        *(f'<text class="slice" x="{x:g}" y="{y:g}">{escape(text)}</text>' for x, y, text in picture.headings),
        f'<text class="head" x="{x:.0f}" y="{y:.0f}">{escape(picture.caption.text)}</text>' if picture.caption else "",
    ]


def framed(picture: Scene, inside: list[str], sheet: str, head: bool = True, scale: float | None = None) -> str:
    """What is drawn, in a picture with a title; with a head also its style sheet and its paper."""
    w, h = picture.width, picture.height
    title = escape(picture.title)
    size = f'width="{w:.0f}" height="{h:.0f}"'
    if scale is not None:
        size = f'width="{w * scale / PX_OF_CM:.4g}cm" height="{h * scale / PX_OF_CM:.4g}cm"'
    paper = [
        f'<rect class="paper" width="{w:.0f}" height="{h:.0f}"/>',
        f'<text class="head" x="{w / 2:.0f}" y="24">{title}</text>',
    ]  # fmt: skip
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dbn-bptt" viewBox="0 0 {w:.0f} {h:.0f}" {size} role="img">',
        f"<title>{title}</title>",
        f"<desc>{escape(picture.description)}</desc>",
        *([f"<style>{sheet}</style>"] if head else []),
        TIPS,
        *(paper if head else []),
        *inside,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


TIP = 8.0  # px


def _tip(kind: str, height: int) -> str:
    """The marker of an arrow's tip."""
    name = f"tip-{kind}" if kind else "tip"
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="0.4" refY="4" markerWidth="9" markerHeight="{height}" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="tip {kind}" d="M0 0.8 L8 4 L0 7.2 z"/></marker>'
    )


_KINDS = {"": 8, "weighted": 11, "marked": 12, **{f"w{k}": 9 + k // 2 for k in range(LEVELS)}}
TIPS = f"<defs>{''.join(_tip(kind, height) for kind, height in _KINDS.items())}</defs>"


def style(theme: Theme, by_role: bool = False) -> str:
    """The style sheet of a theme."""
    if theme == "auto":
        return style("light", by_role) + "@media (prefers-color-scheme: dark) {" + style("dark", by_role) + "}\n"
    ink = THEMES[theme]
    roles = "".join(_role(role, ink) for role in LOOKS) if by_role else ""
    roles += ".dbn-bptt .initial.node { stroke-dasharray: 4 3 }\n" if by_role else ""
    levels = "\n".join(
        f".dbn-bptt .w{k} {{ stroke: {edge_color(k / (LEVELS - 1), ink)} }} "
        f".dbn-bptt path.tip.w{k} {{ fill: {edge_color(k / (LEVELS - 1), ink)}; stroke: none }}"
        for k in range(LEVELS)
    )
    return f"""
.dbn-bptt text {{ font-family: {FACES}; fill: {ink.text}; text-anchor: middle }}
.dbn-bptt .end {{ text-anchor: end }} .dbn-bptt .start {{ text-anchor: start }}
.dbn-bptt .italic {{ font-style: italic }} .dbn-bptt .head {{ font-size: 15px }}
.dbn-bptt .slice {{ font-size: 13px; fill: {ink.faint} }}
.dbn-bptt .halo {{ stroke: {ink.paper}; stroke-width: 4px; paint-order: stroke }}
.dbn-bptt .label {{ fill: {ink.blue}; stroke: {ink.paper}; stroke-width: 4px; paint-order: stroke;
  stroke-linejoin: round }}
.dbn-bptt .paper {{ fill: {ink.paper} }}
.dbn-bptt .node {{ fill: {ink.paper}; stroke: {ink.text}; stroke-width: 1.6 }}
.dbn-bptt .input, .dbn-bptt .target, .dbn-bptt .observed {{ fill: {ink.shade} }}
.dbn-bptt .term {{ fill: {ink.loss}; stroke: {ink.orange} }}
.dbn-bptt .initial {{ stroke-dasharray: 4 3 }} .dbn-bptt .elided {{ stroke: none; fill: none }}
.dbn-bptt .parameter, .dbn-bptt .copy {{ stroke: {ink.blue}; fill: {ink.tint} }}
{roles}.dbn-bptt .marked {{ stroke-width: 3.4; stroke: {ink.green} }}
.dbn-bptt .edge {{ fill: none; stroke: {ink.line}; stroke-width: 1.4 }}
.dbn-bptt .dashed {{ stroke-dasharray: 5 4 }} .dbn-bptt .tip {{ fill: {ink.line} }}
.dbn-bptt .weighted {{ stroke: {ink.orange} }} .dbn-bptt path.tip.weighted {{ fill: {ink.orange}; stroke: none }}
.dbn-bptt path.tip.marked {{ fill: {ink.green}; stroke: none }}
{levels}
.dbn-bptt .edge.marked {{ stroke: {ink.green}; stroke-width: 4.5 }}
.dbn-bptt .plate {{ fill: none; stroke: {ink.faint}; stroke-width: 1.1 }}
.dbn-bptt .border {{ stroke: {ink.purple}; stroke-width: 2; stroke-dasharray: 8 5; fill: none }}
.dbn-bptt .delay {{ fill: {ink.text}; stroke: {ink.paper}; stroke-width: 1.5 }}
.dbn-bptt .cell {{ stroke: {ink.paper}; stroke-width: 0.6 }} \
.dbn-bptt .minus {{ stroke: {LIGHT.text}; stroke-width: 1 }}
.dbn-bptt .bar {{ fill: {ink.blue} }} .dbn-bptt .rest {{ fill: none; stroke: {ink.faint}; stroke-width: 0.7 }}
"""


def _role(role: Role, ink: Ink) -> str:
    of = paint("", role, ink)
    dash = f"stroke-dasharray: {' '.join(map(str, of.dash)) or 'none'}"
    return f".dbn-bptt .role-{role} {{ fill: {of.fill}; stroke: {of.stroke}; stroke-width: {of.width}; {dash} }}\n"


def mathematics(name: Label, x: float, y: float, size: float, kind: str) -> str:
    """A label as SVG text around x: the letter, and behind its right edge what stands above and below it."""
    italic = " italic" if name.italic else ""
    scripts = [(text, dy) for text, dy in ((name.below, size * 0.26), (name.above, -size * 0.4)) if text]
    if not scripts:
        return _text(f"{kind}{italic}", size, x, y, name.letter)
    edge = x - name.width(size) / 2 + text_width(name.letter, size)
    after = edge + (1.2 if italic else 0.4)
    parts = [_text(f"{kind} small start", size * SMALL / FONT, after, y + dy, text) for text, dy in scripts]
    return "".join(parts) + _text(f"{kind}{italic} end", size, edge, y, name.letter)


def _text(kind: str, size: float, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" font-size="{size:.3g}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _rect(kind: str, x: float, y: float, width: float, height: float, more: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{more}/>'


def _frame(frame: Frame) -> str:
    x, y = frame.x + frame.width / 2, frame.y + 17
    caption = f'<text class="slice" x="{x:.1f}" y="{y:.1f}">{escape(frame.caption)}</text>'
    return _rect("plate", frame.x, frame.y, frame.width, frame.height, ' rx="9"') + caption


def _edge(line: Line) -> str:
    kind, tip, own = "edge dashed" if line.dashed else "edge", "tip", ""
    kind += " faint" if line.faint else ""
    if line.marked:
        kind, tip = f"{kind} marked", "tip-marked"
    elif line.weight is not None:
        shade = f"w{level(line.weight)}"
        kind, tip = f"{kind} weighted {shade}", f"tip-{shade}"
        own = f' style="stroke-width:{edge_width(line.weight):.2f}"'
    start, *others = (f"{x:.1f} {y:.1f}" for x, y in shortened(line.points, TIP))
    return (
        f'<path class="{kind}" data-edge="{line.id}" d="M{start} C{" ".join(others)}" marker-end="url(#{tip})"{own}>'
        f"<title>{escape(line.title)}</title></path>"
    )


def _mark(line: Line) -> str:
    """The square that says how many slices an edge of the rolled view skips."""
    x, y = line.mark
    number = f'<text class="slice halo" x="{x + 12:.1f}" y="{y - 6:.1f}">{line.delay:+d}</text>'.replace("-", "\u2212")
    square = f'<rect class="delay" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>'
    return square + (number if line.delay != 1 else "")


def _node(spot: Spot) -> str:
    kind = f"node {spot.kind}" + (f" role-{spot.role}" if spot.role else "")
    kind += " marked" if spot.marked else " answered" if spot.answered else ""
    faint = ' class="faint"' if spot.faint else ""
    x, y, w, h = spot.x, spot.y, spot.width, spot.height
    if spot.shape == "circle":
        shape = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{w / 2:.1f}"/>'
    else:
        corner = "5" if spot.shape == "box" else f"{h / 2:.1f}"
        shape = _rect(kind, x - w / 2, y - h / 2, w, h, f' rx="{corner}"')
    size = FONT * (SMALLER if spot.kind in PARAMETER_KINDS else 1.0)
    at = y - h / 2 + 22 if spot.heat else y + size * 0.32
    text = mathematics(spot.label, x, at, size, "name")
    numbers = _heat(spot.heat, *spot.heat_at) if spot.heat else ""
    return f'<g data-node="{spot.id}"{faint}><title>{escape(spot.title)}</title>{shape}{text}{numbers}</g>'


def _heat(heat: Heat, x: float, low: float) -> str:
    """Cells, a negative one with a dash in it; or bars."""
    parts = []
    for cell in heat.cells(x, low):
        kind, fill = ("bar", "") if heat.bars else ("cell", f' fill="{cell.color}"')
        parts.append(_rect(kind, cell.x, cell.y, cell.width, cell.height, fill))
        if heat.bars:
            parts.append(
                f'<rect class="rest" x="{cell.x:.1f}" y="{low - BARS:.1f}" width="{cell.width:.1f}" height="{BARS:g}"/>'
            )
        elif cell.number < -0.02:
            dash = f"M{cell.x + 2:.1f} {cell.y + cell.height / 2:.1f} h{cell.width - 4:.1f}"
            parts.append(f'<path class="minus" d="{dash}"/>')
    return "".join(parts)


def _edge_heat(line: Line) -> str:
    assert line.heat is not None
    x, low = line.heat_at
    w, h = line.heat.width + RIM, line.heat.height + RIM
    return _rect("paper", x - w / 2, low - h + 2, w, h, ' rx="2"') + _heat(line.heat, x, low)

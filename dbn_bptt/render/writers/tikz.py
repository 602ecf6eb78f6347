"""Scenes as TikZ: a standalone LaTeX document, or a picture to be put into one's own."""

from typing import Any, Unpack

from dbn_bptt.render.colors import ANSWERED, FAINT, FILL_OF, LIGHT, LOOKS, PARAMETER_KINDS, level, paint, rgb
from dbn_bptt.render.layout import scene
from dbn_bptt.render.placing.curves import Point
from dbn_bptt.render.placing.labels import latex_text
from dbn_bptt.render.subjects.overlays import Heat
from dbn_bptt.render.subjects.scene import Frame, Line, Options, Scene, Spot, scale

_UNIT = 0.75  # bp for a px
_NAME = "dbblue, inner sep=1bp, fill=white, fill opacity=0.75, text opacity=1"  # on an edge
_COLORS = ("shade", "tint", "loss", "blue", "orange", "green", "purple", "faint", "pale")
_STYLES = {kind: f"fill=db{ink}" for kind, ink in FILL_OF.items()} | {"initial": "dashed", "elided": "draw=none"}
_DRAWN = {"term": ", draw=dborange", **dict.fromkeys(PARAMETER_KINDS, ", draw=dbblue")}


def tikz(obj: Any, *, standalone: bool = True, size_cm: float | None = None, **options: Unpack[Options]) -> str:
    r"""A picture as TikZ, with the labels in LaTeX's mathematics; it needs the packages tikz and amsmath.

    Parameters
    ----------
    obj
        Whatever `svg` draws.
    standalone : bool
        A whole document for pdflatex; otherwise the `tikzpicture` alone.
    size_cm : float
        The width in centimetres; px are three quarters of a point, unless given.
    **options
        Those of `svg`.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> text = tikz(db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=2), standalone=False)
    >>> print(text.splitlines()[0], r"$\hat{y}^{(1)}$" in text)
    \begin{tikzpicture}[x=0.75bp, y=-0.75bp, >=latex, line width=0.6bp] True
    """
    picture = scene(obj, **options)
    body = [line for line in parts(picture, whole=size_cm is not None) if line]
    body = scaled(body, scale(picture, size_cm))
    if standalone:
        head = [r"\documentclass[border=4pt]{standalone}", r"\usepackage{tikz, amsmath}", r"\begin{document}"]
        body = [*head, *body, r"\end{document}"]
    return "\n".join(body) + "\n"


def scaled(body: list[str], by: float | None) -> list[str]:
    """A picture made larger or smaller with its letters and lines, so that its px are 96 to the inch times a factor."""
    return body if by is None else [rf"\scalebox{{{by:.5f}}}{{%", *body[:-1], body[-1] + "%", "}"]


def parts(picture: Scene, whole: bool = False) -> list[str]:
    """The lines of a picture, nothing in the place of numbers that are not there; the whole of it with its margins, or
    what is drawn alone."""
    top, low = picture.border_ends
    used = {spot.role for spot in picture.spots}
    colors = {name: str(getattr(LIGHT, name)) for name in _COLORS}
    colors |= {f"role{role}": paint("", role, LIGHT).fill for role in LOOKS if role in used}
    box = rf"\path[use as bounding box] (0,0) rectangle {_at((picture.width, picture.height))};"
    return [
        rf"\begin{{tikzpicture}}[x={_UNIT}bp, y=-{_UNIT}bp, >=latex, line width=0.6bp]",
        *([box] if whole else []),
        *(rf"\definecolor{{db{name}}}{{HTML}}{{{color[1:].upper()}}}" for name, color in colors.items()),
        rf"\node at ({picture.width / 2:.1f},18) {{{latex_text(picture.title)}}};",
        *(_frame(frame) for frame in picture.frames),
        *(rf"\draw[dbpurple, dashed, line width=1bp] ({x:.1f},{top:g}) -- {_at((x, low))};" for x in picture.borders),
        *(_edge(line) for line in picture.lines),
        *dict.fromkeys(_mark(line) for line in picture.lines if line.delay),
        *(rf"\node[{_NAME}] at {_at(line.label_at)} {{${line.label.latex}$}};" for line in picture.lines if line.label),
        *("".join(_numbers(line.heat, *line.heat_at)) if line.heat else "" for line in picture.lines),
        *(_node(spot) for spot in picture.spots),
        *(
            rf"\node[dbfaint, font=\footnotesize] at ({x:.1f},{y - 5:.1f}) {{{latex_text(text)}}};"
            for x, y, text in picture.headings
        ),
        rf"\node at {_at(picture.caption_at)} {{{picture.caption.latex}}};" if picture.caption else "",
        r"\end{tikzpicture}",
    ]


def _at(point: Point) -> str:
    return f"({point[0]:.1f},{point[1]:.1f})"


def _frame(frame: Frame) -> str:
    middle = f"({frame.x + frame.width / 2:.1f},{frame.y + 13:.1f})"
    corner = frame.x + frame.width, frame.y + frame.height
    return (
        rf"\draw[dbfaint, rounded corners=6bp] {_at((frame.x, frame.y))} rectangle {_at(corner)};"
        rf" \node[dbfaint, font=\footnotesize] at {middle} {{{latex_text(frame.caption)}}};"
    )


def _edge(line: Line) -> str:
    style = ["->"]
    if line.weight is not None:
        style += [f"dborange!{25 * level(line.weight)}!dbpale", f"line width={0.4 + 2.6 * line.weight:.2f}bp"]
    if line.faint:
        style.append(f"opacity={FAINT}")
    if line.marked:
        style += ["dbgreen", "line width=3bp"]
    if line.dashed:
        style.append("dashed")
    p = line.points
    curves = "".join(f" .. controls {_at(p[k])} and {_at(p[k + 1])} .. {_at(p[k + 2])}" for k in range(1, len(p), 3))
    return rf"\draw[{', '.join(style)}] {_at(p[0])}{curves};"


def _mark(line: Line) -> str:
    number = rf" \node[font=\scriptsize] at ({line.mark[0] + 12:.1f},{line.mark[1] - 8:.1f}) {{{line.delay:+d}}};"
    return rf"\node[fill=black, inner sep=2.6bp] at {_at(line.mark)} {{}};" + (number if line.delay != 1 else "")


def _node(spot: Spot) -> str:
    w, h = spot.width * _UNIT, spot.height * _UNIT
    corners = f"rounded corners={3 if spot.shape == 'box' else h / 2:.1f}bp"
    style = f"draw, fill=white, inner sep=0, minimum width={w:.1f}bp, minimum height={h:.1f}bp, "
    style += "circle" if spot.shape == "circle" else corners
    if spot.role:
        of = paint(spot.kind, spot.role, LIGHT)
        style += f", fill=dbrole{spot.role}, line width={_UNIT * of.width:.2f}bp{_dashes(of.dash)}"
    elif spot.kind in _STYLES:
        style += f", {_STYLES[spot.kind]}{_DRAWN.get(spot.kind, '')}"
    if spot.marked:
        style += ", draw=dbgreen, line width=2bp"
    elif spot.answered:
        style += f", draw=dborange, line width={_UNIT * ANSWERED:.2f}bp"
    style += f", opacity={FAINT}" if spot.faint else ""
    if not spot.heat:
        return rf"\node[{style}] at {_at((spot.x, spot.y))} {{${spot.label.latex}$}};"
    name = rf"\node at {_at((spot.x, spot.y - spot.height / 2 + 16))} {{${spot.label.latex}$}};"
    numbers = "".join(_numbers(spot.heat, *spot.heat_at))
    return rf"\node[{style}] at {_at((spot.x, spot.y))} {{}}; {name}{numbers}"


def _dashes(dash: tuple[float, ...]) -> str:
    """A pattern of px on and off."""
    parts = [f"{word} {_UNIT * px:.2f}bp" for word, px in zip(("on", "off") * len(dash), dash, strict=False)]
    return f", dash pattern={' '.join(parts)}" if parts else ""


def _numbers(heat: Heat, x: float, low: float) -> list[str]:
    """Cells or bars, around x and above y = low."""
    drawn = []
    for cell in heat.cells(x, low):
        corners = f"{_at((cell.x, cell.y))} rectangle {_at((cell.x + cell.width, cell.y + cell.height))}"
        red, green, blue = rgb(cell.color)
        drawn.append(rf" \fill[fill={{rgb,255:red,{red};green,{green};blue,{blue}}}] {corners};")
        if cell.number < 0:
            y = cell.y + cell.height / 2
            drawn.append(rf" \draw[line width=0.4bp] {_at((cell.x + 2, y))} -- {_at((cell.x + cell.width - 2, y))};")
    return drawn

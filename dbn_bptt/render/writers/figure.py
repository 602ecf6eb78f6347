"""Scenes as matplotlib figures, for PNG and PDF files and for notebooks that have them."""

import math
from typing import Any, Unpack

import numpy as np

from dbn_bptt.errors import DbnBpttError
from dbn_bptt.render.colors import ANSWERED, FAINT, LIGHT, PARAMETER_KINDS, edge_color, paint
from dbn_bptt.render.layout import scene
from dbn_bptt.render.placing.curves import Point, shortened
from dbn_bptt.render.placing.labels import Label
from dbn_bptt.render.subjects.overlays import BARS, Heat
from dbn_bptt.render.subjects.scene import Line, Options, Spot, scale

TIP = 9.0  # px of an arrow's tip
_POINT = 0.75  # points for a px


def figure(obj: Any, *, size_cm: float | None = None, **options: Unpack[Options]) -> Any:
    """A picture as a matplotlib figure; ``figure(obj).savefig("network.pdf")``.

    matplotlib is imported here (``pip install dbn_bptt[figures]``). The options are those of `svg`, `size_cm` too.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> drawn = figure(db.unroll(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2), T=2))
    >>> drawn.axes[0].get_title()
    'Elman network, unrolled over 2 slices'
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyBboxPatch
    except ImportError:
        raise DbnBpttError("figures need matplotlib; pip install matplotlib") from None
    picture = scene(obj, **options)
    by = scale(picture, size_cm) or 1.0
    drawn = Figure(figsize=(picture.width * _POINT / 72, picture.height * _POINT / 72))
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.set_axis_off()
    axes.set_title(picture.title, y=1.0, pad=-16 * by, fontsize=11, parse_math=False)
    plate: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=9", "edgecolor": LIGHT.faint, "linewidth": 0.8}
    for frame in picture.frames:
        axes.add_patch(FancyBboxPatch((frame.x, frame.y), frame.width, frame.height, fill=False, **plate))
        _text(axes, frame.x + frame.width / 2, frame.y + 13, frame.caption, 9, LIGHT.faint)
    for x in picture.borders:
        axes.plot([x, x], picture.border_ends, color=LIGHT.purple, linestyle="--", linewidth=1.5)
    for line in picture.lines:
        _edge(axes, line)
    for spot in picture.spots:
        _node(axes, spot)
    for x, y, text in picture.headings:
        _text(axes, x, y - 5, text, 9, LIGHT.faint, parse_math=False)
    if picture.caption:
        _text(axes, *picture.caption_at, picture.caption.text, 11, LIGHT.text, parse_math=False)
    _rescale(drawn, by)
    return drawn


def _rescale(drawn: Any, by: float) -> None:
    """Make a figure larger or smaller with its letters and lines, so that its px are 96 to the inch times a factor."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    drawn.set_size_inches(drawn.get_size_inches() * by)
    for text in drawn.findobj(Text):
        text.set_fontsize(text.get_fontsize() * by)
    for line in drawn.findobj(Patch) + drawn.findobj(Line2D):
        line.set_linewidth(line.get_linewidth() * by)
    for mark in drawn.findobj(Line2D):
        mark.set_markersize(mark.get_markersize() * by)


def _write(axes: Any, x: float, y: float, name: Label, size: float, color: str, **more: Any) -> None:
    """A label: as mathematics, or letter by letter where it is no name that mathematics knows."""
    known = not name.latex_letter.startswith(r"\text")
    text = f"${name.latex}$".replace(r"\check", r"\breve") if known else name.text
    _text(axes, x, y, text, size, color, parse_math=known, math_fontfamily="stix", **{"zorder": 3, **more})


def _text(axes: Any, x: float, y: float, text: str, size: float, color: str, **more: Any) -> None:
    axes.text(x, y, text, size=size, color=color, ha="center", va="center", **more)


def _edge(axes: Any, line: Line) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    width, color = (0.9, LIGHT.line) if line.weight is None else (0.5 + 3 * line.weight, edge_color(line.weight, LIGHT))
    if line.marked:
        width, color = 3.2, LIGHT.green
    path = Path(np.array(shortened(line.points, TIP)), [Path.MOVETO] + [Path.CURVE4] * (len(line.points) - 1))
    style = "--" if line.dashed else "-"
    alpha = FAINT if line.faint else None
    axes.add_patch(PathPatch(path, fill=False, edgecolor=color, linewidth=width, linestyle=style, alpha=alpha))
    axes.add_patch(Polygon(_tip(line), facecolor=color, edgecolor="none", zorder=2, alpha=alpha))
    if line.heat:
        _numbers(axes, line.heat, *line.heat_at)
    if line.delay:
        axes.plot(*line.mark, marker="s", color=LIGHT.text, markersize=6)
        if line.delay != 1:
            axes.text(line.mark[0] + 13, line.mark[1] - 8, f"{line.delay:+d}", size=8, ha="center", va="center")
    if line.label:
        _write(axes, *line.label_at, line.label, 10, LIGHT.blue)


def _tip(line: Line) -> list[Point]:
    """The corners of an arrow's tip."""
    (x0, y0), (x1, y1) = line.points[-2:]
    reach = math.dist((x0, y0), (x1, y1)) or 1.0
    dx, dy = (x1 - x0) / reach, (y1 - y0) / reach
    foot = x1 - TIP * dx, y1 - TIP * dy
    half = 3.6 if line.weight is None else 5.0
    return [(x1, y1), (foot[0] - half * dy, foot[1] + half * dx), (foot[0] + half * dy, foot[1] - half * dx)]


def _node(axes: Any, spot: Spot) -> None:
    from matplotlib.patches import Ellipse, FancyBboxPatch

    elided = spot.kind == "elided"
    paints = paint(spot.kind, spot.role, LIGHT)
    width = 2.5 if spot.marked else _POINT * (ANSWERED if spot.answered else paints.width)
    edge = LIGHT.green if spot.marked else LIGHT.orange if spot.answered else paints.stroke
    alpha = FAINT if spot.faint else None
    of: dict[str, Any] = {
        "facecolor": "none" if elided else paints.fill, "linewidth": width, "zorder": 3,
        "edgecolor": "none" if elided else edge, "alpha": alpha,
        "linestyle": (0, [_POINT * px / width for px in paints.dash]) if paints.dash else "-",
    }  # fmt: skip
    left, top = spot.x - spot.width / 2, spot.y - spot.height / 2
    if spot.shape == "circle":
        axes.add_patch(Ellipse((spot.x, spot.y), spot.width, spot.height, **of))
    else:
        corner = 5 if spot.shape == "box" else spot.height / 2
        box = f"round,pad=0,rounding_size={corner}"
        axes.add_patch(FancyBboxPatch((left, top), spot.width, spot.height, boxstyle=box, **of))
    at = top + 16 if spot.heat else spot.y
    _write(axes, spot.x, at, spot.label, 10 if spot.kind in PARAMETER_KINDS else 12, LIGHT.text, zorder=4, alpha=alpha)
    if spot.heat:
        _numbers(axes, spot.heat, *spot.heat_at)


def _numbers(axes: Any, heat: Heat, x: float, low: float) -> None:
    """Cells or bars, around x and above y = low."""
    from matplotlib.patches import Rectangle

    for cell in heat.cells(x, low):
        axes.add_patch(Rectangle((cell.x, cell.y), cell.width, cell.height, facecolor=cell.color, zorder=4))
        if heat.bars:
            frame = (cell.x, low - BARS), cell.width, BARS
            axes.add_patch(Rectangle(*frame, fill=False, edgecolor=LIGHT.faint, linewidth=0.5, zorder=4))
        elif cell.number < 0:
            y = cell.y + cell.height / 2
            axes.plot([cell.x + 2, cell.x + cell.width - 2], [y, y], color=LIGHT.text, linewidth=0.7, zorder=5)

"""Colours: Okabe and Ito's, which colour-blind readers can tell apart; shapes, dashes and signs say the same again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal["input", "target", "hidden", "output", "loss", "parameter"]


@dataclass(frozen=True)
class Ink:
    """The colours of a theme."""

    paper: str
    text: str
    line: str
    faint: str
    shade: str
    tint: str
    loss: str
    blue: str
    orange: str
    green: str
    purple: str
    pale: str
    share: float  # of a role's colour in a fill, so that names can be read on it


LIGHT = Ink(
    paper="#ffffff", text="#1a1a1a", line="#3a3a3a", faint="#666666", shade="#d9d9d9", tint="#e3f0fa", loss="#fbe3c0",
    blue="#0072b2", orange="#d55e00", green="#009e73", purple="#cc79a7", pale="#bdb2a8", share=0.65,
)  # fmt: skip
DARK = Ink(
    paper="#16181d", text="#f0f0f0", line="#c8c8c8", faint="#a0a0a0", shade="#4a4d55", tint="#17354a", loss="#4d3510",
    blue="#56b4e9", orange="#e69f00", green="#2fd0a0", purple="#cc79a7", pale="#6a5f52", share=0.4,
)  # fmt: skip
THEMES = {"light": LIGHT, "dark": DARK}
PARAMETER_KINDS = "parameter", "copy"
FILLED = {"shade": ("input", "target", "observed"), "loss": ("term",), "tint": PARAMETER_KINDS}  # kinds of nodes
FILL_OF = {kind: ink for ink, kinds in FILLED.items() for kind in kinds}
LINE = 1.6  # px of a node's outline
FAINT = 0.22  # opacity of what is still to come in an animation
ANSWERED = 2.8  # px of the outline of what has answered
LEVELS = 5  # colours of edges, from pale to orange
_ZERO = 247, 247, 247  # of a heat map: nearly white


@dataclass(frozen=True)
class Paint:
    """How a node is painted."""

    fill: str
    stroke: str
    dash: tuple[float, ...]  # px on and off, one after the other; nothing for a full line
    width: float = LINE  # px of its outline


@dataclass(frozen=True)
class Look:
    """The colour of a role, and the outline that tells it without colour."""

    color: str
    dash: tuple[float, ...] = ()
    width: float = LINE


LOOKS: Mapping[Role, Look] = {
    "input": Look("#cc79a7", dash=(1.6, 3)), "target": Look("#f0e442", dash=(7, 3, 1.6, 3)), "hidden": Look("#e69f00"),
    "output": Look("#009e73", width=3.2), "loss": Look("#d55e00"), "parameter": Look("#0072b2"),
}  # fmt: skip


def paint(kind: str, role: Role | None, ink: Ink) -> Paint:
    """The paint of a node, by its kind, or by its role where it has one."""
    dash = (4.0, 3.0) if kind == "initial" else ()
    if role is not None:
        look = LOOKS[role]
        return Paint(_mixed(rgb(ink.paper), rgb(look.color), ink.share), ink.text, dash or look.dash, look.width)
    stroke = ink.orange if kind == "term" else ink.blue if kind in PARAMETER_KINDS else ink.text
    return Paint(str(getattr(ink, FILL_OF.get(kind, "paper"))), stroke, dash)


def edge_width(weight: float) -> float:
    """The px of an edge of a weight in 0..1."""
    return 0.6 + 4 * weight


def level(weight: float) -> int:
    """Which of the colours an edge of a weight in 0..1 has."""
    return min(LEVELS - 1, int(weight * LEVELS))


def edge_color(weight: float, ink: Ink) -> str:
    """The colour of an edge by the size of its message: the larger, the stronger."""
    return _mixed(rgb(ink.pale), rgb(ink.orange), level(weight) / (LEVELS - 1))


def heat_color(number: float) -> str:
    """The colour of a number from -1 to 1: vermillion below 0, blue above; small ones are to be seen too."""
    return _mixed(_ZERO, rgb(LIGHT.blue if number >= 0 else LIGHT.orange), abs(number) ** 0.6)


def rgb(color: str) -> tuple[int, ...]:
    """Red, green and blue of a colour, from 0 to 255."""
    return tuple(int(color[k : k + 2], 16) for k in (1, 3, 5))


def _mixed(one: tuple[int, ...], other: tuple[int, ...], share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, other, strict=True))

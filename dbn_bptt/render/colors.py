"""Colours: Okabe and Ito's, which colour-blind readers can tell apart; shapes, dashes and signs say the same again."""

from dataclasses import dataclass


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


THEMES = {
    "light": Ink(
        "#ffffff", "#1a1a1a", "#3a3a3a", "#666666", "#d9d9d9", "#e3f0fa", "#fbe3c0", "#0072b2", "#d55e00", "#009e73",
        "#cc79a7", "#bdb2a8",
    ),
    "dark": Ink(
        "#16181d", "#f0f0f0", "#c8c8c8", "#a0a0a0", "#4a4d55", "#17354a", "#4d3510", "#56b4e9", "#e69f00", "#2fd0a0",
        "#cc79a7", "#6a5f52",
    ),
}  # fmt: skip
_LESS, _NONE, _MORE = (213, 94, 0), (247, 247, 247), (0, 114, 178)  # vermillion, white, blue


LEVELS = 5  # colours of edges, from pale to orange


def level(weight: float) -> int:
    """Which of the colours an edge of a weight in 0..1 has."""
    return min(LEVELS - 1, int(weight * LEVELS))


def edge_color(weight: float, ink: Ink) -> str:
    """The colour of an edge by the size of its message: the larger, the stronger."""
    share = level(weight) / (LEVELS - 1)
    ends = ([int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in (ink.pale, ink.orange))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))


def heat_color(number: float) -> str:
    """The colour of a number from -1 to 1: vermillion below 0, blue above."""
    end, share = (_MORE, number) if number >= 0 else (_LESS, -number)
    share = share**0.6  # small numbers are to be seen too
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(_NONE, end, strict=True))

"""Names as mathematics: a letter, what stands below it, and the slice above it, h^{(2)}."""

import re
from dataclasses import dataclass
from html import escape
from typing import Literal

from dbn_bptt.template.letters import latex_letter, name_parts

TRANSPOSED = "\u22a4"  # after the name of a parameter
FONT, SMALL = 17.0, 11.0  # px of letters, and of what stands above and below them
HEADING, CAPTION = 15.0, 13.0  # px of the letters of titles, and of captions
SMALLER = 0.85  # share of the size of letters on nodes of parameters
LONGEST = 18  # characters of a name that are shown; the rest is told in the title
Notation = Literal["superscript", "subscript"]
NOTATIONS = ("superscript", "subscript")
_NARROW, _WIDE = frozenset("iljftr.,:;|!'()[]1"), frozenset("mwMWQ@%&\u2212+")
_RAISED = str.maketrans("0123456789+-()tT\u2212", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵗᵀ⁻")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\^{}", "~": r"\~{}", "\u2212": "-", "\u2026": r"\dots{}", "\u22a4": r"\top{}",
    "\u2080": "$_0$", "\u2192": r"$\to$",
}  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A name as it is written on a node or an edge."""

    letter: str  # or a word, with combining accents
    below: str  # subscripts, joined
    above: str  # the slice, with its parentheses; or nothing
    latex_letter: str

    @property
    def italic(self) -> bool:
        """Whether the letter is a mathematical variable, not a word."""
        return sum(not 0x0300 <= ord(c) <= 0x036F and ord(c) < 0x20D0 for c in self.letter) == 1

    def width(self, size: float = FONT) -> float:
        """The width in px, by rule of thumb, in some size of the letter."""
        small = size * SMALL / FONT
        return text_width(self.letter, size) + max(text_width(self.below, small), text_width(self.above, small))

    @property
    def latex(self) -> str:
        """The label in LaTeX's mathematics."""
        below, above = (latex_text(text) for text in (self.below, self.above))
        return self.latex_letter + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")

    @property
    def html(self) -> str:
        """The label in the few tags that HTML, and graphviz's labels, share."""
        letter = f"<I>{escape(self.letter)}</I>" if self.italic else escape(self.letter)
        below = f"<SUB>{escape(self.below)}</SUB>" if self.below else ""
        return letter + below + (f"<SUP>{escape(self.above)}</SUP>" if self.above else "")

    @property
    def text(self) -> str:
        """The label in plain characters: W_i⁽²⁾."""
        return self.letter + (f"_{self.below}" if self.below else "") + self.above.translate(_RAISED)


def label(name: object, time: str = "", index: tuple[int, ...] = (), notation: Notation = "superscript") -> Label:
    """The label of a variable in a slice, which stands above or below; a number of it has an index.

    Examples
    --------
    >>> label("yhat", "t\u22121").latex, label("W_i1").latex, label("h", "2", (0,)).text
    ('\\\\hat{y}^{(t-1)}', 'W_{i,1}', 'h_0⁽²⁾')
    """
    shown = str(name).removesuffix(TRANSPOSED)
    raised = time and notation == "superscript"
    above = f"({time})" if raised else TRANSPOSED if str(name).endswith(TRANSPOSED) else ""
    last = [*map(str, index), *([time] if time and not raised else [])]
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", shown):
        return Label(_short(shown), ",".join(last), above, rf"\text{{{latex_text(_short(shown))}}}")
    letter, below = name_parts(shown)
    in_latex = latex_letter(shown) if len(letter) <= LONGEST else rf"\text{{{latex_text(_short(letter))}}}"
    return Label(_short(letter), _short(",".join([*below, *last])), above, in_latex)


def counted(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number} {noun}" + ("s" if number != 1 else "")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "\u2026"


def latex_text(text: str) -> str:
    """A text for LaTeX; letters that its fonts lack become their numbers."""
    return "".join(_LATEX.get(c, c if " " <= c < "\u0250" else f"U+{ord(c):04X}") for c in text)


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a serif face."""
    units = 0.0
    for c in text:
        if 0x0300 <= ord(c) <= 0x036F or 0x20D0 <= ord(c) <= 0x20FF:  # accents over the letter before
            continue
        wide = ord(c) > 0x2E80
        units += 1.0 if wide else 0.36 if c in _NARROW else 0.84 if c in _WIDE else 0.68 if c.isupper() else 0.53
    return units * size

"""Names as letters: with hats, bars, arrows and subscripts, for LaTeX and for plain text."""

import re

_MARKS = {"bar": r"\bar", "bar2": r"\tilde", "bar3": r"\check", "fw": r"\overrightarrow", "bw": r"\overleftarrow"}
_ACCENTS = {"bar": "\u0304", "bar2": "\u0303", "bar3": "\u030c", "fw": "\u20d7", "bw": "\u20d6"}
GREEK = {
    "alpha": "\u03b1", "beta": "\u03b2", "gamma": "\u03b3", "delta": "\u03b4", "epsilon": "\u03b5", "theta": "\u03b8",
    "lambda": "\u03bb", "mu": "\u03bc", "nu": "\u03bd", "pi": "\u03c0", "rho": "\u03c1", "sigma": "\u03c3",
    "phi": "\u03c6", "psi": "\u03c8", "zeta": "\u03b6", "eta": "\u03b7", "kappa": "\u03ba", "xi": "\u03be",
    "tau": "\u03c4", "chi": "\u03c7", "omega": "\u03c9", "Gamma": "\u0393", "Delta": "\u0394", "Theta": "\u0398",
    "Lambda": "\u039b", "Xi": "\u039e", "Pi": "\u03a0", "Sigma": "\u03a3", "Phi": "\u03a6", "Psi": "\u03a8",
    "Omega": "\u03a9", "ell": "\u2113",
}  # fmt: skip


def name_parts(name: str) -> tuple[str, list[str]]:
    """A name for plain text: letter, with combining accents for hat, bar and arrows, and its subscripts.

    Examples
    --------
    >>> name_parts("W_i1"), name_parts("h")
    (('W', ['i', '1']), ('h', []))
    """
    base, subs, layer, marks = _taken_apart(name)
    hat = base.endswith("hat") and len(base) > 3
    letter = (base[:-3] + "\u0302") if hat else GREEK.get(base, base)
    return letter + "".join(_ACCENTS[mark] for mark in marks), [*subs, *([layer] if layer else [])]


def latex_letter(name: str) -> str:
    r"""The letter of a name in LaTeX, with its hat, bar and arrows and without its subscripts.

    Examples
    --------
    >>> print(latex_letter("W_i1_bar"), latex_letter("yhat"))
    \bar{W} \hat{y}
    """
    base, _, _, marks = _taken_apart(name)
    hat = base.endswith("hat") and len(base) > 3
    letter = _letter(base[:-3] if hat else base)
    if hat:
        letter = rf"\hat{{{letter}}}"
    for mark in marks:
        letter = rf"{_MARKS[mark]}{{{letter}}}"
    return letter


def latex_parts(name: str) -> tuple[str, str, str]:
    """Base, subscript and superscript: W_i2_bar is the adjoint of gate i's W in layer 2."""
    _, subs, layer, _ = _taken_apart(name)
    return latex_letter(name), ",".join(subs), f"^{{({layer})}}" if layer else ""


def braced(text: str, superscript: str) -> str:
    """A name with a superscript in braces, so that it can be raised or transposed."""
    return f"{{{text}}}" if superscript else text


def _taken_apart(name: str) -> tuple[str, list[str], str, list[str]]:
    """Base, subscripts, number of the layer and marks of a name."""
    base, *rest = name.split("_")
    marks = [part for part in rest if part in _MARKS]
    subs = [part for part in rest if part and part not in _MARKS]
    layer = ""
    if subs and (match := re.fullmatch(r"([A-Za-z]+)(\d+)", subs[-1])):
        subs[-1], layer = match[1], match[2]
    elif match := re.fullmatch(r"([A-Za-z]+?)(\d+)", base):
        base, layer = match[1], match[2]
    return base, subs, layer, marks


def _letter(base: str) -> str:
    if base in GREEK:
        return f"\\{base}"
    return base if len(base) == 1 else rf"\mathrm{{{base}}}"

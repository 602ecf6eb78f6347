"""A template's equations, written as LaTeX or as text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.ops.rows import ATOM, JUXTAPOSED, SUM, Move, Product
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import EVERY, Bound, Domain, settled
from dbn_bptt.template.expressions import Apply, Constant, Expression, Reference, Window, is_zero
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.template.traversal import frames, resolved, terms, transformed, walk

Format = Literal["latex", "text"]
_MARKS = {"bar": r"\bar", "bar2": r"\tilde", "bar3": r"\check", "fw": r"\overrightarrow", "bw": r"\overleftarrow"}
_ACCENTS = {"bar": "\u0304", "bar2": "\u0303", "bar3": "\u030c", "fw": "\u20d7", "bw": "\u20d6"}
_GREEK = {
    "alpha": "\u03b1", "beta": "\u03b2", "gamma": "\u03b3", "delta": "\u03b4", "epsilon": "\u03b5", "theta": "\u03b8",
    "lambda": "\u03bb", "mu": "\u03bc", "nu": "\u03bd", "pi": "\u03c0", "rho": "\u03c1", "sigma": "\u03c3",
    "phi": "\u03c6", "psi": "\u03c8", "zeta": "\u03b6", "eta": "\u03b7", "kappa": "\u03ba", "xi": "\u03be",
    "tau": "\u03c4", "chi": "\u03c7", "omega": "\u03c9", "Gamma": "\u0393", "Delta": "\u0394", "Theta": "\u0398",
    "Lambda": "\u039b", "Xi": "\u039e", "Pi": "\u03a0", "Sigma": "\u03a3", "Phi": "\u03a6", "Psi": "\u03a8",
    "Omega": "\u03a9",
}  # fmt: skip


def equations(template: Described, format: Format = "latex") -> str:
    r"""The equations of a template, one a line; of an adjoint template, those that it adds.

    Parameters
    ----------
    template : SliceTemplate
    format : "latex" or "text"
        LaTeX is an `aligned` environment for a display; text is plain ASCII, with ' for the transpose.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    >>> print(db.equations(rnn, format="text"))
    a_t = b + W h_{t-1} + U x_t
    h_t = tanh(a_t)
    o_t = c + V h_t
    yhat_t = softmax(o_t)
    L = -sum_t y_t' log(yhat_t)
    >>> print(db.equations(db.adjoint(rnn), format="text"))
    o_bar_t = yhat_t - y_t
    h_bar_t = V' o_bar_t + W' a_bar_{t+1}
    h_bar_{T-1} = V' o_bar_{T-1}
    h_bar_{-1} = W' a_bar_0
    a_bar_t = h_bar_t * (1 - h_t^2)
    x_bar_t = U' a_bar_t
    W_bar = sum_t a_bar_t h_{t-1}'
    U_bar = sum_t a_bar_t x_t'
    b_bar = sum_t a_bar_t
    V_bar = sum_t o_bar_t h_t'
    c_bar = sum_t o_bar_t
    """
    if format not in ("latex", "text"):
        raise TemplateError(f"format={format!r} is not 'latex' or 'text'")
    of = checked_template(template, "equations")
    writer = Writer(format)
    old = of.origin.definitions if of.origin else {}
    lines = [line for name, d in of.definitions.items() if name not in old for line in _lines(of, d, writer)]
    for name, pieces in of.initial_pieces.items() if of.origin is None else ():
        for piece in pieces:
            (bound,) = piece.domain.lows
            lines.append((writer.timed(name, str(bound), 0), writer.expression(piece.expression, str(bound))[0]))
    if format == "text":
        return "\n".join(f"{left} = {right}" for left, right in lines)
    body = " \\\\\n".join(f"{left} &= {right}" for left, right in lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _lines(template: Template, definition: Definition, writer: "Writer") -> Iterator[tuple[str, str]]:
    """Left and right sides of one definition: the general one, then those of the slices at the border."""
    name = definition.symbol.name
    if definition.symbol.kind == "total":
        yield writer.name(name), _total(template, definition, writer)
        return
    for piece in definition.pieces:
        T = _enough_slices(piece)
        usual, *others = _runs(piece, T)
        condition = writer.where(piece.domain) if not _extends(piece, T) else ""
        for k, (first, last, rule) in enumerate([usual, *others]):
            at = _slice_name(first, T) if first == last else "t"
            between = f"{_slice_name(first, T)} <= t <= {_slice_name(last, T)}"
            where = "" if first == last else condition if k == 0 else writer.where(between)
            right = writer.expression(_with_names(template, rule), at)[0]
            yield writer.timed(name, at, 0), right + where


def _enough_slices(piece: Piece) -> int:
    """A number of slices among which those where windows at either border show something else are few."""
    return settled([piece.domain, *(domain.shifted(delay) for delay, domain in frames(piece.expression))])


def _extends(piece: Piece, T: int) -> bool:
    slices = piece.domain.slices(T)
    return slices.start <= 0 and slices.stop >= T


Run = tuple[int, int, Expression]


def _runs(piece: Piece, T: int) -> list[Run]:
    """Slices in a row in which the same windows show something: the middle ones, later ones backwards, earlier ones."""
    runs: list[Run] = []
    for t in piece.domain.slices(T):
        rule = resolved(piece.expression, t, T)
        if runs and runs[-1][2] is rule:
            runs[-1] = runs[-1][0], t, rule
        else:
            runs.append((t, t, rule))
    if not runs:  # a term of slices that no sequence has
        return []
    middle = max(range(len(runs)), key=lambda k: runs[k][1] - runs[k][0])
    return [runs[middle], *runs[:middle:-1], *runs[:middle]]


def _total(template: Template, definition: Definition, writer: "Writer") -> str:
    """The right side of a total: its terms, those over the same slices under one sum."""
    groups: dict[Domain, list[Expression]] = {}
    for piece in definition.pieces:
        for sign, term in terms(piece.expression):
            domain, shown = piece.domain, term
            if isinstance(term, Window):  # what is seen from slice t is summed over the slices where it is
                domain, shown = piece.domain.shifted(-term.delay) & term.domain, term.expression
            if not is_zero(shown):
                groups.setdefault(domain, []).append(shown if sign > 0 else -shown)
    written = []
    for domain, together in groups.items():
        whole = Piece(domain, reduce(ops.add, together))
        T = _enough_slices(whole)
        for first, last, rule in _runs(whole, T):
            every = domain == EVERY and (first, last) == (0, T - 1)
            bounds = "" if every else (_slice_name(first, T), _slice_name(last, T))
            if not is_zero(rule):
                written.append(writer.total(_with_names(template, rule), bounds))
    return " + ".join(written).replace("+ -", "- ") or "0"


def _slice_name(t: int, T: int) -> str:
    return str(Bound("start", t)) if t < T // 2 else str(Bound("end", t - T + 1))


def _with_names(template: Template, expression: Expression) -> Expression:
    """The expression in the template's own names: -y' log(yhat) for a cross-entropy whose softmax is yhat."""
    known: dict[Expression, Expression] = {}
    for e in walk([expression]):
        if isinstance(e, Apply) and e.operation.unfolded:
            unfolded = e.operation.unfolded(*e.arguments, **dict(e.attributes))
            if unfolded is not None and any(part in template.named_parts for part in walk([unfolded])):
                known[e] = transformed(unfolded, lambda leaf: leaf, template.named_parts)
    return transformed(expression, lambda leaf: leaf, known)


@dataclass(frozen=True)
class Writer:
    """Writes names and expressions in one format."""

    format: Format

    def name(self, name: str) -> str:
        """A symbol without a slice."""
        if self.format == "text":
            return name
        base, sub, sup = _latex_parts(name)
        return _braced(base + sup + (f"_{{{sub}}}" if sub else ""), sup)

    def timed(self, name: str, at: str, delay: int) -> str:
        """A symbol in the slice `delay` before slice `at` (t, a number, or T, T-1, ...)."""
        place = _minus(at, delay)
        if self.format == "text":
            return f"{name}_{place}" if len(place) == 1 else f"{name}_{{{place}}}"
        base, sub, sup = _latex_parts(name)
        return _braced(f"{base}{sup}_{{{sub},{place}}}" if sub else f"{base}{sup}_{{{place}}}", sup)

    def total(self, root: Expression, bounds: tuple[str, str] | str) -> str:
        """A sum over all slices, or over those from the first to the last bound."""
        if bounds and bounds[0] == bounds[1]:
            return self.expression(root, bounds[0])[0]
        body, level = self.expression(root)
        minus = isinstance(root, Apply) and str(root.operation.notation.text).startswith("-")
        body = body[1:] if minus else f"({body})" if level == SUM else body
        if self.format == "text":
            sigma = f"sum_{{t={bounds[0]}..{bounds[1]}}} " if bounds else "sum_t "
        else:
            sigma = rf"\sum_{{t={bounds[0]}}}^{{{bounds[1]}}} " if bounds else r"\sum_{t} "
        return ("-" if minus else "") + sigma + body

    def where(self, slices: Domain | str) -> str:
        """The slices on which an equation holds."""
        if self.format == "text":
            return f"  for {slices}"
        return rf"\quad \text{{for }} {slices}".replace("<=", r"\le")

    def expression(self, root: Expression, at: str = "t") -> tuple[str, int]:
        """A right-hand side at slice `at`, without windows, and how tightly it binds."""
        written: dict[Expression, tuple[str, int]] = {}
        for e in walk([root]):
            if isinstance(e, Reference):
                text = self.timed(e.name, at, e.delay) if e.symbol.timed else self.name(e.name)
                written[e] = text, ATOM
            elif isinstance(e, Constant):
                written[e] = self._constant(e)
            elif isinstance(e, Apply):
                written[e] = self._apply(e, written)
        return written[root]

    def _constant(self, e: Constant) -> tuple[str, int]:
        first = float(e.array.flat[0])
        if e.is_all(first):
            return self._number(first), ATOM if first >= 0 else SUM
        if e.ndim == 2 and e.shape[0] == e.shape[1] and np.array_equal(e.array, np.eye(e.shape[0])):
            return "I", ATOM
        if e.ndim == 1 and len(e.array) <= 6:
            return f"[{', '.join(map(self._number, e.array))}]", ATOM
        size = " x ".join(map(str, e.shape)) if self.format == "text" else r" \times ".join(map(str, e.shape))
        return f"const({size})" if self.format == "text" else rf"\mathrm{{const}}_{{{size}}}", ATOM

    def _number(self, number: float) -> str:
        mantissa, _, exponent = f"{number:.10g}".partition("e")
        if not exponent:
            return mantissa
        return f"{mantissa}e{int(exponent)}" if self.format == "text" else rf"{mantissa} \cdot 10^{{{int(exponent)}}}"

    def _apply(self, e: Apply, written: dict[Expression, tuple[str, int]]) -> tuple[str, int]:
        notation, attributes = e.operation.notation, dict(e.attributes)
        if _is_alignment(e):
            return written[e.arguments[0]]
        parts = []
        for position, argument in enumerate(e.arguments):
            text, level = written[argument]
            parts.append(text if level >= notation.need(position) else f"({text})")
        if isinstance(e.operation.role, Product) and any(not _bare(a).shape for a in e.arguments):
            return self._scaled(e, parts), JUXTAPOSED
        text = notation.written(self.format, parts, attributes)
        axes = attributes.get("axis", ())
        if text.endswith(")") and e.arguments[0].ndim > max(1, len(axes)) and axes and len(e.arguments) == 1:
            named = ", ".join(str(k + e.arguments[0].ndim) for k in axes)
            text = text[:-1] + (f", axis {named})" if self.format == "text" else rf",\ \text{{axis }} {named})")
        return text.replace("+ -", "- "), notation.level

    def _scaled(self, e: Apply, parts: list[str]) -> str:
        """A product with a scalar: the number, or the scalar, in front and without a sign."""
        a, b = e.arguments
        turned = isinstance(b, Constant) or (bool(_bare(a).shape) and not isinstance(a, Constant))
        first, second = parts[::-1] if turned else parts
        return f"{first} ({second})" if second[0].isdigit() else f"{first} {second}"


def _bare(e: Expression) -> Expression:
    """An expression before it was given axes of size 1 in front."""
    return e.arguments[0] if isinstance(e, Apply) and _is_alignment(e) else e


def _is_alignment(e: Apply) -> bool:
    """Whether an operation only adds or removes axes of size 1 in front, repeats, or sums over the batch."""
    role = e.operation.role
    if not isinstance(role, Move):
        return e.operation.over_batch
    short, long = sorted((e.arguments[0].shape, e.shape), key=len)
    return role.repeats or (role.in_order and long == (1,) * (len(long) - len(short)) + short)


def _minus(at: str, delay: int) -> str:
    """The name of the slice `delay` before the one called `at`."""
    match = re.fullmatch(r"([tT]?)([+-]?\d*)", at)
    letter, offset = (match[1], int(match[2] or 0)) if match else (at, 0)
    k = offset - delay
    if not letter:
        return str(k)
    return f"{letter}{k:+d}" if k else letter


def name_parts(name: str) -> tuple[str, list[str]]:
    """A name for plain text: letter, with combining accents for hat, bar and arrows, and its subscripts.

    Examples
    --------
    >>> name_parts("W_i1"), name_parts("h")
    (('W', ['i', '1']), ('h', []))
    """
    base, subs, layer, marks = _taken_apart(name)
    hat = base.endswith("hat") and len(base) > 3
    letter = (base[:-3] + "\u0302") if hat else _GREEK.get(base, base)
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


def _latex_parts(name: str) -> tuple[str, str, str]:
    """Base, subscript and superscript: W_i2_bar is the adjoint of gate i's W in layer 2."""
    _, subs, layer, _ = _taken_apart(name)
    return latex_letter(name), ",".join(subs), f"^{{({layer})}}" if layer else ""


def _braced(text: str, superscript: str) -> str:
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
    if base in _GREEK:
        return f"\\{base}"
    return base if len(base) == 1 else rf"\mathrm{{{base}}}"

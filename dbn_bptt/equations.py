"""A template's equations, written as LaTeX or as text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dbn_bptt import ops
from dbn_bptt.definitions import Definition, Piece
from dbn_bptt.errors import TemplateError
from dbn_bptt.expressions import Apply, Constant, Expression, Reference
from dbn_bptt.operation import ATOM, JUXTAPOSED, SUM
from dbn_bptt.slices import Bound, Domain
from dbn_bptt.template import SliceTemplate
from dbn_bptt.traversal import frames, resolved, transformed, walk

Format = Literal["latex", "text"]
_MARKS = {"bar": r"\bar", "bar2": r"\tilde", "bar3": r"\check", "fw": r"\overrightarrow", "bw": r"\overleftarrow"}
_ACCENTS = {"bar": "\u0304", "bar2": "\u0303", "bar3": "\u030c", "fw": "\u20d7", "bw": "\u20d6"}
_GREEK = {
    "alpha": "\u03b1", "beta": "\u03b2", "gamma": "\u03b3", "delta": "\u03b4", "epsilon": "\u03b5", "theta": "\u03b8",
    "lambda": "\u03bb", "mu": "\u03bc", "nu": "\u03bd", "pi": "\u03c0", "rho": "\u03c1", "sigma": "\u03c3",
    "phi": "\u03c6", "psi": "\u03c8",
}  # fmt: skip


def equations(template: SliceTemplate, format: Format = "latex") -> str:
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
    template.check()
    writer = Writer(format)
    old = template.origin.definitions if template.origin else {}
    lines = [
        line for name, d in template.definitions.items() if name not in old for line in _lines(template, d, writer)
    ]
    for name, pieces in template.initial_pieces().items() if template.origin is None else ():
        for piece in pieces:
            at = _only(piece.domain, _enough_slices(piece)) or "t"
            lines.append((writer.timed(name, at, 0), writer.expression(piece.expression, at)[0]))
    if format == "text":
        return "\n".join(f"{left} = {right}" for left, right in lines)
    body = " \\\\\n".join(f"{left} &= {right}" for left, right in lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _lines(template: SliceTemplate, definition: Definition, writer: "Writer") -> Iterator[tuple[str, str]]:
    """Left and right sides of one definition: the general one, then those of the slices at the border."""
    name = definition.symbol.name
    for piece in definition.pieces:
        T = _enough_slices(piece)
        usual = resolved(piece.expression, T // 2 if T // 2 in piece.domain.slices(T) else _first(piece, T), T)
        shown = _with_named_softmax(template, usual)
        only = _only(piece.domain, T)
        if definition.symbol.kind == "total":
            body = writer.expression(shown, only or "t")
            yield writer.name(name), body[0] if only is not None else writer.total(shown, *body)
            continue
        condition = "" if only is not None or _extends(piece, T) else writer.where(piece.domain)
        yield writer.timed(name, only or "t", 0), writer.expression(shown, only or "t")[0] + condition
        for at, there in _borders(piece, usual, T):
            yield writer.timed(name, at, 0), writer.expression(there, at)[0]


def _enough_slices(piece: Piece) -> int:
    """A number of slices whose middle lies beyond the windows at either border."""
    return 4 + 4 * max([2, *(abs(delay) for delay, _ in frames(piece.expression))])


def _first(piece: Piece, T: int) -> int:
    return piece.domain.slices(T).start


def _extends(piece: Piece, T: int) -> bool:
    slices = piece.domain.slices(T)
    return slices.start <= 0 and slices.stop >= T


def _borders(piece: Piece, usual: Expression, T: int) -> Iterator[tuple[str, Expression]]:
    """The slices next to a border in which other windows show something than in the middle."""
    slices = piece.domain.slices(T)
    seen = {usual}
    for t in (*range(slices.stop - 1, T // 2, -1), *range(slices.start, T // 2)):
        there = resolved(piece.expression, t, T)
        if there not in seen:
            seen.add(there)
            yield _slice_name(t, T), there


def _slice_name(t: int, T: int) -> str:
    return str(Bound("start", t)) if t < T // 2 else str(Bound("end", t - T + 1))


def _only(domain: Domain, T: int) -> str | None:
    """The slice of a domain that has just one, by name."""
    slices = domain.slices(T)
    return _slice_name(slices.start, T) if len(slices) == 1 else None


def _with_named_softmax(template: SliceTemplate, expression: Expression) -> Expression:
    """-y' log(yhat) for the cross-entropy of logits whose softmax has a name."""
    named = {
        d.pieces[0].expression: template[name]
        for name, d in template.definitions.items()
        if d.symbol.kind == "variable" and len(d.pieces) == 1
    }
    known: dict[Expression, Expression] = {}
    for e in walk([expression]):
        if isinstance(e, Apply) and e.operation.name == "cross_entropy" and e.arguments[0].ndim == 1:
            logits, target = e.arguments
            softmax = ops.softmax(logits)
            if softmax in named:
                known[e] = -(target @ ops.log(named[softmax]))
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
        return base + sup + (f"_{{{sub}}}" if sub else "")

    def timed(self, name: str, at: str, delay: int) -> str:
        """A symbol in the slice `delay` before slice `at` (t, a number, or T, T-1, ...)."""
        place = _minus(at, delay)
        if self.format == "text":
            return f"{name}_{place}" if len(place) == 1 else f"{name}_{{{place}}}"
        base, sub, sup = _latex_parts(name)
        return f"{base}{sup}_{{{sub},{place}}}" if sub else f"{base}{sup}_{{{place}}}"

    def total(self, root: Expression, body: str, level: int) -> str:
        """A sum over all slices of a written expression."""
        minus = isinstance(root, Apply) and str(root.operation.notation.text).startswith("-")
        body = body[1:] if minus else f"({body})" if level == SUM else body
        return ("-" if minus else "") + ("sum_t " if self.format == "text" else r"\sum_{t} ") + body

    def where(self, domain: Domain) -> str:
        """The slices on which an equation holds."""
        return f"  for {domain}" if self.format == "text" else rf"\quad \text{{for }} {domain}".replace("<=", r"\le")

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
            return f"{first:g}", ATOM if first >= 0 else SUM
        if e.ndim == 2 and e.shape[0] == e.shape[1] and np.array_equal(e.array, np.eye(e.shape[0])):
            return "I", ATOM
        return ("const", ATOM) if self.format == "text" else (r"\mathrm{const}", ATOM)

    def _apply(self, e: Apply, written: dict[Expression, tuple[str, int]]) -> tuple[str, int]:
        notation = e.operation.notation
        parts = []
        for position, argument in enumerate(e.arguments):
            text, level = written[argument]
            parts.append(text if level >= notation.need(position) else f"({text})")
        if e.operation is ops.multiply and any(not a.shape for a in e.arguments):
            first, second = parts if not e.arguments[0].shape else parts[::-1]
            return f"{first} {second}", JUXTAPOSED
        text = notation.written(self.format, parts, dict(e.attributes))
        if e.operation.name in ("reshape", "broadcast", "batch_sum"):
            return text, written[e.arguments[0]][1]
        return text.replace("+ -", "- "), notation.level


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


def _latex_parts(name: str) -> tuple[str, str, str]:
    """Base, subscript and superscript: W_i2_bar is the adjoint of gate i's W in layer 2."""
    base, subs, layer, marks = _taken_apart(name)
    hat = base.endswith("hat") and len(base) > 3
    letter = _letter(base[:-3] if hat else base)
    if hat:
        letter = rf"\hat{{{letter}}}"
    for mark in marks:
        letter = rf"{_MARKS[mark]}{{{letter}}}"
    return letter, ",".join(subs), f"^{{({layer})}}" if layer else ""


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

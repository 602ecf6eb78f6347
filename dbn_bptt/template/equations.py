"""A template's equations, written as LaTeX or as text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Literal

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.ops.rows import ATOM, JUXTAPOSED, SUM, Move, Product
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import EVERY, Bound, Domain, settled
from dbn_bptt.template.expressions import Apply, Constant, Expression, Reference, Window
from dbn_bptt.template.letters import braced, latex_parts
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.template.traversal import frames, resolved, terms, transformed, walk

Format = Literal["latex", "text"]


class Equations(str):
    """LaTeX that a notebook shows as a formula."""

    def _repr_latex_(self) -> str:
        return f"$${self}$$"


def equations(template: Described, format: Format = "latex") -> str:
    r"""The equations of a template, one a line; of an adjoint template, those that it adds.

    Parameters
    ----------
    template : SliceTemplate
    format : "latex" or "text"
        LaTeX is an `aligned` environment, which a notebook displays; text is plain ASCII, with ' for the transpose.

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
    return Equations(f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}")


def _lines(template: Template, definition: Definition, writer: "Writer") -> Iterator[tuple[str, str]]:
    """Left and right sides of one definition: the general one, then those of the slices at the border."""
    name = definition.symbol.name
    if definition.symbol.kind == "total":
        yield writer.name(name), _total(template, definition, writer)
        return
    for piece in definition.pieces:
        T = _enough_slices(piece)
        usual, *others = _runs(piece, T)
        slices = piece.domain.slices(T)
        condition = "" if slices.start <= 0 and slices.stop >= T else writer.where(piece.domain)
        for k, (first, last, rule) in enumerate([usual, *others]):
            at = _slice_name(first, T) if first == last else "t"
            between = f"{_slice_name(first, T)} <= t <= {_slice_name(last, T)}"
            where = "" if first == last else condition if k == 0 else writer.where(between)
            right = writer.expression(_with_names(template, rule), at)[0]
            yield writer.timed(name, at, 0), right + where


def _enough_slices(piece: Piece) -> int:
    """A number of slices among which those where windows at either border show something else are few."""
    return settled([piece.domain, *(domain.shifted(delay) for delay, domain in frames(piece.expression))])


def _runs(piece: Piece, T: int) -> list[tuple[int, int, Expression]]:
    """Slices in a row in which the same windows show something: the middle ones, later ones backwards, earlier ones."""
    rules = {t: resolved(piece.expression, t, T) for t in piece.domain.slices(T)}
    together = [list(slices) for _, slices in groupby(rules, rules.__getitem__)]
    runs = [(slices[0], slices[-1], rules[slices[0]]) for slices in together]
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
            if not shown.is_all(0):
                groups.setdefault(domain, []).append(shown if sign > 0 else -shown)
    written = []
    for domain, together in groups.items():
        whole = Piece(domain, reduce(ops.add, together))
        T = _enough_slices(whole)
        for first, last, rule in _runs(whole, T):
            every = domain == EVERY and (first, last) == (0, T - 1)
            bounds = "" if every else (_slice_name(first, T), _slice_name(last, T))
            if not rule.is_all(0):
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
        base, sub, sup = latex_parts(name)
        return braced(base + sup + (f"_{{{sub}}}" if sub else ""), sup)

    def timed(self, name: str, at: str, delay: int) -> str:
        """A symbol in the slice `delay` before slice `at` (t, a number, or T, T-1, ...)."""
        place = _minus(at, delay)
        if self.format == "text":
            return f"{name}_{place}" if len(place) == 1 else f"{name}_{{{place}}}"
        base, sub, sup = latex_parts(name)
        return braced(f"{base}{sup}_{{{sub},{place}}}" if sub else f"{base}{sup}_{{{place}}}", sup)

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
        arguments = enumerate(written[a] for a in e.arguments)
        parts = [text if level >= notation.need(k) else f"({text})" for k, (text, level) in arguments]
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

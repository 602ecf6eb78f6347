"""The tangent of a template is a template: forward-mode differentiation, the twin of the adjoint.

There is no rule for it beside the VJPs. The messages of an equation are linear in the adjoint of its result; their
pullback, with tangents in place of adjoints, is the equation's derivative along the tangents (reverse mode twice is
forward mode). Its chains run the way the template's do, so that running it is real-time recurrent learning (RTRL).
"""

from dbn_bptt import ops
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Piece
from dbn_bptt.template.domains import AFTER_FIRST, FIRST, LAST, between
from dbn_bptt.template.expressions import Expression, Reference, Symbol, constant, reference, window
from dbn_bptt.template.structure import unused_names
from dbn_bptt.template.template import Described, checked_template
from dbn_bptt.template.traversal import delayed, transformed
from dbn_bptt.transforms.adjoint import without_losses
from dbn_bptt.transforms.pullback import pullback, unsummed


def tangent(template: Described) -> SliceTemplate:
    """The template that carries the derivative along a direction forwards, beside the values.

    For every parameter, input and variable it holds one with ``_dot`` after its name, or ``_dot2`` where there is an
    ``x_dot`` of an x already. Those of parameters and inputs are inputs, zero unless given: a direction, the same in
    every slice, or one for each slice's copy. The initial state of ``h_dot`` is the direction of h's. For a loss L, the
    variable ``L_dot`` is what each slice adds to the derivative; for another total, as in an adjoint template, there is
    a total. The tangent of the adjoint gives products with the Hessian.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> print(db.equations(db.tangent(db.cells.elman(3, 4, 2)), format="text").splitlines()[5])
    a_dot_t = b_dot_t + W_dot_t h_{t-1} + W h_dot_{t-1} + U_dot_t x_t + U x_dot_t
    """
    of = checked_template(template, "tangent")
    names = unused_names(of, "_dot")
    result = SliceTemplate.of(without_losses(of).rewritten(name=f"tangent of {of.name}"))
    dots: dict[str, Reference] = {}
    for name in of.names("parameter", "input"):
        dots[name] = result.input(names[name], of.symbols[name].shape, default=0.0)
    for name in of.names("variable"):
        dots[name] = result.variable(names[name], of.symbols[name].shape)
    for name, definition in of.definitions.items():
        pieces = []
        for p in definition.pieces:
            value = reference(definition.symbol) if name in dots else p.expression
            derivative = _derivative(p.expression, value, dots)
            pieces.append(Piece(p.domain, transformed(derivative, lambda leaf: leaf, of.named_parts)))
        if name in dots:
            result.add(dots[name].symbol, pieces)
        elif definition.loss:
            result.add(result.variable(names[name], definition.symbol.shape).symbol, _everywhere(pieces))
        else:
            result.add(result.declare(names[name], definition.symbol.shape, "total").symbol, pieces)
    partners = {name: dot for name, dot in names.items() if dot in result.symbols}
    complete = SliceTemplate.of(result.frozen.rewritten(partners=partners))
    complete.check()
    return complete


def _everywhere(pieces: list[Piece]) -> list[Piece]:
    """The pieces of a loss, with zeros in the slices where it does not count."""
    (piece,) = pieces
    rest = {FIRST: AFTER_FIRST, LAST: between(0, -1)}
    return [*pieces, Piece(rest[piece.domain], constant(0.0))] if piece.domain in rest else pieces


def _derivative(root: Expression, value: Expression, dots: dict[str, Reference]) -> Expression:
    """The derivative of an expression along the tangents of what it is made of; `value` stands for its value."""
    g = reference(Symbol("adjoint of the root", root.shape, "variable"))
    pulled = pullback(root, value, g)
    total: Expression = constant(0.0)
    for _, leaf, message in pulled.sent:
        if leaf.name in dots:
            total = total + _transposed(unsummed(message), g, delayed(dots[leaf.name], leaf.delay))
    for seen, message in pulled.windows:
        inside = _derivative(seen.expression, seen.expression, dots)
        total = total + _transposed(message, g, window(inside, seen.delay, seen.domain))
    return ops.broadcast_to(total, root.shape)


def _transposed(message: Expression, g: Reference, along: Expression) -> Expression:
    """The transpose of a map that is linear in g, applied to a tangent."""
    back = pullback(message, message, ops.broadcast_to(along, message.shape))
    return sum((part for _, leaf, part in back.sent if leaf is g), start=constant(0.0))

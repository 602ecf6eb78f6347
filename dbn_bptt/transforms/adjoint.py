"""The adjoint of a template is a template.

The pullback of every equation, written down, is the adjoint template: where the equation of a uses h.prev, the adjoint
of h gets the term (W' a_bar).next; the adjoint of a parameter is a sum over slices. A chain that ran forwards in time
runs backwards, and the adjoint can be taken again.
"""

from collections import Counter
from collections.abc import Mapping

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import Domain, hull
from dbn_bptt.template.expressions import Expression, Symbol, constant, reference, window
from dbn_bptt.template.structure import influence, unused_names, upstream
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.transforms.deltas import Derived, Share, with_deltas


def adjoint(template: Described) -> SliceTemplate:
    """The template that computes a template's gradients.

    It holds the equations of the template and, for every variable and input that has an influence on a loss, its
    adjoint: ``h_bar`` for ``h``, in the same slices as ``h``, the initial ones included: ``("h_bar", -1)`` is the
    gradient of the initial state. The adjoint of a pre-activation, as of the argument of sigmoid in a gate i, is called
    ``delta_i``. For every parameter there is the total ``W_bar``. The adjoint of a loss is 1; the adjoint of another
    total is a parameter, zero unless given, so that the adjoint of an adjoint gives products with second derivatives.
    There, and wherever else a template has an ``h_bar`` of its own, the names end in ``_bar2``. The `partners` of the
    result tell which name is the adjoint of which.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> backward = db.adjoint(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2))
    >>> backward.names("total")
    ['L', 'W_bar', 'U_bar', 'b_bar', 'V_bar', 'c_bar']
    >>> print(db.equations(backward, format="text").splitlines()[0])
    o_bar_t = yhat_t - y_t
    """
    of = checked_template(template, "adjoint")
    bars = unused_names(of, "_bar")
    result = SliceTemplate.of(without_losses(of).rewritten(name=f"adjoint of {of.name}"))
    seeds = _seeds(of, result, bars)
    reached = upstream(influence(of), seeds)
    adjoints = {
        name: result.variable(bars[name], of.symbols[name].shape)
        for name in of.names("input", "variable") if name in reached
    }  # fmt: skip
    derived = Derived()
    for symbol, piece in _every_piece(of):
        seed = seeds.get(symbol.name, adjoints.get(symbol.name))
        if seed is not None:
            value = reference(symbol) if symbol.kind == "variable" else piece.expression
            derived.add(symbol.name, piece.expression, value, seed, piece.domain)
    ending = next(bar.removeprefix(name) for name, bar in bars.items())
    shares, deltas = with_deltas(derived, of, result, ending)
    for name in (*of.names("total"), *reversed(adjoints)):
        if name in adjoints:
            domain = of.domain(name)
            result.add(adjoints[name].symbol, [Piece(domain, _total(shares[name], domain, of.symbols[name]))])
        for delta, pieces in deltas.get(name, {}).items():
            result.add(result.symbols[delta], pieces)
    for name in of.names("parameter"):
        domain = hull(share.domain for share in shares[name])
        result.total(bars[name], _total(shares[name], domain, of.symbols[name]), at=domain)
    partners = {name: bar for name, bar in bars.items() if bar in result.symbols}
    complete = SliceTemplate.of(result.frozen.rewritten(origin=of, partners=partners))
    complete.check()
    return complete


def without_losses(template: Template) -> Template:
    """The same equations; losses become plain totals."""
    plain = {name: Definition(d.symbol, d.pieces) for name, d in template.definitions.items()}
    return template.rewritten(definitions=plain, partners={})


def _seeds(template: Template, result: SliceTemplate, bars: Mapping[str, str]) -> dict[str, Expression]:
    """The adjoints of the totals: 1 for losses; for a template without one, parameters that are 0 unless given."""
    if template.losses:
        return {name: constant(1.0) for name in template.losses}
    totals = template.names("total")
    if not totals:
        raise TemplateError(f"template {template.name!r} has no loss to differentiate; add .loss(...) or .total(...)")
    return {name: result.parameter(bars[name], template.symbols[name].shape, default=0.0) for name in totals}


def _every_piece(template: Template) -> list[tuple[Symbol, Piece]]:
    """All equations, those of learned initial states included."""
    learned = [(template.symbols[n], piece) for n, pieces in template.initial_pieces.items() for piece in pieces]
    return [(d.symbol, piece) for d in template.definitions.values() for piece in d.pieces] + learned


def _total(shares: list[Share], domain: Domain, symbol: Symbol) -> Expression:
    """The sum of the terms, equal ones counted; each from its own slice."""
    in_order = sorted(shares, key=lambda share: abs(share.lag))  # the own slice first, as in print
    total: Expression = constant(0.0)
    for share, times in Counter(in_order).items():
        message = share.message if times == 1 else times * share.message
        here = share.lag == 0 and share.domain == domain
        total = total + (message if here else window(message, -share.lag, share.domain))
    return ops.broadcast_to(total, symbol.shape)

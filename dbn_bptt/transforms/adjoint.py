"""The adjoint of a template is a template.

The pullback of every equation, written down, is the adjoint template: where the equation of a uses h.prev, the adjoint
of h gets the term (W' a_bar).next; the adjoint of a parameter is a sum over slices. A chain that ran forwards in time
runs backwards, and the adjoint can be taken again.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

import networkx as nx

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import EVERY, Domain, enough, spanning
from dbn_bptt.template.expressions import Apply, Expression, Reference, Symbol, constant, reference, window
from dbn_bptt.template.template import SliceTemplate, checked_template, ending
from dbn_bptt.template.traversal import delayed, dependencies, transformed, uses, walk
from dbn_bptt.transforms.pullback import pullback


@dataclass(frozen=True)
class Share:
    """A term of an adjoint: a message made on some slices, `lag` slices after the one that receives it."""

    message: Expression
    lag: int
    domain: Domain


def adjoint(template: SliceTemplate) -> SliceTemplate:
    """The template that computes a template's gradients.

    It holds the equations of the template and, for every variable and input that has an influence on a loss, its
    adjoint: ``h_bar`` for ``h``, in the same slices as ``h``, the initial ones included: ``("h_bar", -1)`` is the
    gradient of the initial state. The adjoint of a pre-activation, as of the argument of sigmoid in a gate i, is called
    ``delta_i``. For every parameter there is the total ``W_bar``. The adjoint of a loss is 1; the adjoint of another
    total is a parameter, zero unless given, so that the adjoint of an adjoint gives products with second derivatives.
    There, and wherever else a template has an ``h_bar`` of its own, the names end in ``_bar2``.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> backward = db.adjoint(db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2))
    >>> backward.names("total")
    ['L', 'W_bar', 'U_bar', 'b_bar', 'V_bar', 'c_bar']
    >>> print(db.equations(backward, format="text").splitlines()[0])
    o_bar_t = yhat_t - y_t
    """
    template = checked_template(template, "adjoint")
    result, mark = without_losses(template), bar(template)
    result.name, result.origin = f"adjoint of {template.name}", template
    seeds = _seeds(template, result, mark)
    bars = _declared_adjoints(template, result, mark, set(seeds))
    shares: dict[str, list[Share]] = {}
    deltas = Deltas(result, mark)
    for symbol, piece in _every_piece(template):
        seed = seeds.get(symbol.name, bars.get(symbol.name))
        if seed is not None:
            value = reference(symbol) if symbol.kind == "variable" else piece.expression
            _collect(shares, deltas.of(symbol.name), piece.expression, value, seed, piece.domain)
    known, reaches = known_parts(template), template.reaches()
    for name in (*template.names("total"), *reversed(bars)):
        if name in bars:
            domain = _covered(template, name, reaches[name])
            total = _total(shares.get(name, []), domain, template.symbols[name], known)
            result.add(bars[name].symbol, [Piece(domain, total)])
        deltas.define(name)
    for name in template.names("parameter"):
        _add_parameter_total(result, name + mark, shares.get(name, []), template.symbols[name], known)
    result.check()
    return result


def without_losses(template: SliceTemplate) -> SliceTemplate:
    """The same equations under a new roof; losses become plain totals."""
    result = template.copy()
    result.definitions.update({n: Definition(d.symbol, d.pieces) for n, d in template.definitions.items()})
    return result


def bar(template: SliceTemplate) -> str:
    """The ending of names in a template's adjoint: h_bar is the adjoint of h, or h_bar2 where there is an h_bar."""
    return ending(template, "_bar")


def _seeds(template: SliceTemplate, result: SliceTemplate, mark: str) -> dict[str, Expression]:
    """The adjoints of the totals: 1 for losses; for a template without one, parameters that are 0 unless given."""
    if template.losses:
        return {name: constant(1.0) for name in template.losses}
    totals = template.names("total")
    if not totals:
        raise TemplateError(f"template {template.name!r} has no loss to differentiate; add .loss(...) or .total(...)")
    return {name: result.parameter(name + mark, template.symbols[name].shape, default=0.0) for name in totals}


def _declared_adjoints(
    template: SliceTemplate, result: SliceTemplate, mark: str, seeded: set[str]
) -> dict[str, Reference]:
    """An adjoint variable for each variable and input with an influence on a seeded total."""
    influence = nx.DiGraph()
    for symbol, piece in _every_piece(template):
        influence.add_edges_from((used.name, symbol.name) for used, _, _ in dependencies(piece.expression, EVERY))
    reached = set(seeded).union(*(nx.ancestors(influence, name) for name in seeded if name in influence))
    return {
        name: result.variable(name + mark, template.symbols[name].shape)
        for name in template.names("input", "variable")
        if name in reached
    }


def _every_piece(template: SliceTemplate) -> list[tuple[Symbol, Piece]]:
    """All equations, those of learned initial states included."""
    learned = [(template.symbols[n], piece) for n, pieces in template.initial_pieces().items() for piece in pieces]
    return [(d.symbol, piece) for d in template.definitions.values() for piece in d.pieces] + learned


Name = Callable[[Expression, Expression, Domain], Expression]


class Deltas:
    """The adjoints of pre-activations under their usual name: delta_h = h_bar f'(.) for h = f(b + W h.prev + U x).

    All messages of an equation through a pre-activation share it. Further ones of a variable are delta_h_2, ...; those
    of its first-slice equation and of its other one share a name where they have one shape.
    """

    def __init__(self, result: SliceTemplate, mark: str):
        self.result = result
        self.prefix = f"delta{mark.removeprefix('_bar')}_"
        self.pieces: dict[str, dict[str, list[Piece]]] = {}

    def of(self, owner: str) -> Name:
        """The function that names the adjoints in one equation of a variable."""
        mine = self.pieces.setdefault(owner, {})

        def name(_: Expression, g: Expression, domain: Domain) -> Expression:
            for k in count(1):
                delta = self.prefix + owner + (f"_{k}" if k > 1 else "")
                fresh = delta not in self.result.symbols
                if fresh or (delta in mine and self._may_share(mine[delta], self.result[delta], g, domain)):
                    break
            declared = self.result.variable(delta, g.shape) if fresh else self.result[delta]
            mine.setdefault(delta, []).append(Piece(domain, g))
            return declared

        return name

    def _may_share(self, pieces: list[Piece], delta: Reference, g: Expression, domain: Domain) -> bool:
        """Whether a delta has the shape, and no piece yet in these slices."""
        few = range(1, enough([domain, *(p.domain for p in pieces)]))
        meets = any((p.domain & domain).slices(T) for p in pieces for T in few)
        return delta.shape == g.shape and not meets

    def define(self, owner: str) -> None:
        """Add the definitions of a variable's deltas."""
        for delta, pieces in self.pieces.get(owner, {}).items():
            self.result.add(self.result.symbols[delta], pieces)


def _collect(
    shares: dict[str, list[Share]], name: Name, root: Expression, value: Expression, seed: Expression, domain: Domain
) -> None:
    """Note what one equation contributes to the adjoint of each of its arguments."""
    inner = {e.arguments[0] for e in walk([root]) if isinstance(e, Apply) and e.operation.activation}
    messages, views = pullback(root, value, seed, lambda e, g: name(e, g, domain) if e in inner else g)
    for user, position, leaf in uses(root):
        if (user, position) in messages and leaf.symbol.kind not in ("target", "constant"):
            share = Share(messages[user, position], leaf.delay, domain)
            shares.setdefault(leaf.name, []).append(share)
    for view, g in views:
        seen = domain.shifted(-view.delay) & view.domain
        _collect(shares, name, view.expression, view.expression, delayed(g, -view.delay), seen)


def _total(shares: list[Share], domain: Domain, symbol: Symbol, known: Mapping[Expression, Expression]) -> Expression:
    """The sum of the terms, equal ones counted; each from its own slice."""
    in_order = sorted(shares, key=lambda share: abs(share.lag))  # the own slice first, as in print
    total: Expression = constant(0.0)
    for share, times in Counter(in_order).items():
        message = transformed(share.message, lambda leaf: leaf, known)
        message = message if times == 1 else times * message
        here = share.lag == 0 and share.domain == domain
        total = total + (message if here else window(message, -share.lag, share.domain))
    spread: Expression = ops.broadcast_to(total, symbol.shape)
    return spread


def _add_parameter_total(
    result: SliceTemplate, name: str, shares: list[Share], symbol: Symbol, known: Mapping[Expression, Expression]
) -> None:
    """The adjoint of a parameter: the terms of all slices, summed over time."""
    total = Symbol(name, symbol.shape, "total")
    if name in result.symbols:
        raise TemplateError(f"{name} is declared already; rename it to take the adjoint")
    result.symbols[name] = total
    plain = [Share(unsummed(s.message), 0, s.domain) for s in shares]
    domain = _hull([s.domain for s in plain])
    result.add(total, [Piece(domain, _total(plain, domain, symbol, known))])


def _covered(template: SliceTemplate, name: str, reach: tuple[int, int]) -> Domain:
    """All slices in which a name has a node, its initial states included."""
    definition = template.definitions.get(name)
    T = enough(p.domain for p in definition.pieces) if definition else 16
    T += 4 * max(reach)
    low, high = definition.span(T) if definition else (0, T)
    return spanning(low - reach[0], high + reach[1] - 1, T)


def _hull(domains: list[Domain]) -> Domain:
    """One domain that holds all of them."""
    if len(set(domains)) == 1:
        return domains[0]
    T = enough(domains)
    ranges = [d.slices(T) for d in domains] or [range(T)]
    first = min(0, *(r.start for r in ranges))  # of several domains one may be all that is left of a short sequence
    return spanning(first, max(T, *(r.stop for r in ranges)) - 1, T)


def unsummed(message: Expression) -> Expression:
    """A message to a parameter before the sum over the batch, which a total takes anyway."""
    is_sum = isinstance(message, Apply) and message.operation is ops.batch_sum
    return message.arguments[0] if is_sum and isinstance(message, Apply) else message


def known_parts(template: SliceTemplate) -> dict[Expression, Expression]:
    """Right-hand sides that a variable names, such as softmax(o), which is yhat."""
    return {
        d.pieces[0].expression: reference(d.symbol)
        for d in template.definitions.values()
        if d.symbol.kind == "variable" and len(d.pieces) == 1 and d.pieces[0].domain == EVERY
        and isinstance(d.pieces[0].expression, Apply)
    }  # fmt: skip

"""What equations contribute to adjoints, and the usual names of the adjoints of pre-activations."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Piece
from dbn_bptt.template.domains import Domain, hull
from dbn_bptt.template.expressions import Apply, Expression, Reference, Symbol, reference
from dbn_bptt.template.template import Template
from dbn_bptt.template.traversal import delayed, transformed, walk
from dbn_bptt.transforms.pullback import pullback, unsummed

Met = tuple[tuple[Expression, int], ...]  # adjoints of pre-activations, each with how many slices before it is seen


@dataclass(frozen=True)
class Share:
    """A term of an adjoint: a message made on some slices, `lag` slices after the one that receives it."""

    message: Expression
    lag: int
    domain: Domain
    met: Met = field(default=(), compare=False)  # the adjoints of pre-activations that it may contain


@dataclass(frozen=True)
class PreActivation:
    """The adjoint of the argument of an activation, on some slices of the equation of its owner."""

    owner: str
    adjoint: Expression
    domain: Domain
    met: Met


@dataclass
class Derived:
    """The shares of all names, and the pre-activations that were met, in the order of the equations."""

    shares: dict[str, list[Share]] = field(default_factory=lambda: defaultdict(list))
    preactivations: list[PreActivation] = field(default_factory=list)

    def add(
        self, owner: str, root: Expression, value: Expression, seed: Expression, domain: Domain, outer: Met = ()
    ) -> None:
        """Note what one equation contributes to the adjoint of each of its arguments."""
        pulled = pullback(root, value, seed)
        inside = {e.arguments[0] for e in walk([root]) if isinstance(e, Apply) and e.operation.activation}
        own = [g for e, g in pulled.inner.items() if e in inside and isinstance(g, Apply)]
        met = (*outer, *((g, 0) for g in own))
        self.preactivations += [PreActivation(owner, g, domain, met) for g in own]
        for _, leaf, message in pulled.sent:
            if leaf.symbol.kind not in ("target", "constant"):
                self.shares[leaf.name].append(Share(unsummed(message), leaf.delay, domain, met))
        for view, g in pulled.windows:
            seen = domain.shifted(-view.delay) & view.domain
            there = tuple((e, k - view.delay) for e, k in met)
            self.add(owner, view.expression, view.expression, delayed(g, -view.delay), seen, there)


Deltas = Mapping[str, Mapping[str, list[Piece]]]  # by owner, and by name


def with_deltas(
    derived: Derived, of: Template, result: SliceTemplate, ending: str
) -> tuple[Mapping[str, list[Share]], Deltas]:
    """The shares with names for the adjoints of pre-activations: delta_h = h_bar f'(.) for h = f(b + W h.prev + U x).

    Further ones of a variable are delta_h_2, ...; those of its first-slice equation and of its other one share a name
    where they have one shape. What has a name in the template, such as yhat for softmax(o), is called by that.
    """
    names: dict[Expression, Reference] = {}
    owned: dict[str, list[PreActivation]] = defaultdict(list)  # by name
    for p in derived.preactivations:
        if p.adjoint not in names:
            name = _name(p, owned, result, f"delta{ending.removeprefix('_bar')}_{p.owner}")
            names[p.adjoint] = reference(Symbol(name, p.adjoint.shape, "variable"))
        owned[names[p.adjoint].name].append(p)

    def called(e: Expression, met: Met) -> Expression:
        known = {delayed(g, k): names[g].lag(k) for g, k in met}
        return transformed(e, lambda leaf: leaf, {**of.named_parts, **known})

    inside = {p.adjoint: tuple(m for m in p.met if m[0] is not p.adjoint) for p in derived.preactivations}
    shares: dict[str, list[Share]] = defaultdict(list)
    for name, terms in derived.shares.items():
        shares[name] = [Share(called(s.message, s.met), s.lag, s.domain) for s in terms]
    pieces = {
        name: [Piece(p.domain, called(p.expression, inside[p.expression])) for p in _joined(own)]
        for name, own in owned.items()
    }
    deltas: dict[str, dict[str, list[Piece]]] = defaultdict(dict)
    used = _used(pieces, [share.message for terms in shares.values() for share in terms])
    for name in [name for name in pieces if name in used]:
        result.variable(name, pieces[name][0].expression.shape)
        deltas[owned[name][0].owner][name] = pieces[name]
    return shares, deltas


def _name(p: PreActivation, owned: Mapping[str, list[PreActivation]], result: SliceTemplate, wish: str) -> str:
    """A name that nothing else has, or one that the same owner uses in other slices for what has the same shape."""

    def fits(name: str) -> bool:
        if name not in owned:
            return name not in result.symbols
        alike = owned[name][0].owner == p.owner and owned[name][0].adjoint.shape == p.adjoint.shape
        return alike and all((q.domain & p.domain).is_empty for q in owned[name])

    return next(name for k in count(1) if fits(name := wish + (f"_{k}" if k > 1 else "")))


def _joined(own: list[PreActivation]) -> list[Piece]:
    """Their equations; those of one expression whose slices meet are one."""
    found: list[Piece] = []
    for p in own:
        meeting = [q for q in found if q.expression is p.adjoint and not (q.domain & p.domain).is_empty]
        found = [q for q in found if q not in meeting]
        found.append(Piece(hull([p.domain, *(q.domain for q in meeting)]), p.adjoint))
    return found


def _used(pieces: Mapping[str, list[Piece]], messages: list[Expression]) -> set[str]:
    """The names that messages use, and those that they are computed from."""
    used: set[str] = set()
    left = messages
    while left:
        fresh = {e.name for e in walk(left) if isinstance(e, Reference) and e.name in pieces} - used
        used |= fresh
        left = [p.expression for name in fresh for p in pieces[name]]
    return used

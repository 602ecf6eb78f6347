"""Work moved out of scans, and work done once.

What an equation of a scan computes from outside of it is computed for all slices before, unless it is large and no
product with a matrix, as the places of the maxima that `viterbi` goes back along. What several equations
compute over the same slices is computed once, under a name.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial

from dbn_bptt.ops.rows import Move
from dbn_bptt.program.lower import is_linear_map, is_static, joined, outside, split
from dbn_bptt.program.zones import Step, Zone
from dbn_bptt.template.expressions import Apply, Expression, Reference, Symbol, reference
from dbn_bptt.template.traversal import delayed, transformed, uses, walk

# numbers in a slice from which on an operation gains nothing from many slices at once, but takes memory
LARGE = 1 << 12
Place = tuple[Expression, int, int]  # an expression, and the first and the last slice for which it is computed


class Hoist:
    """Collects what is computed for all slices before the scans that use it."""

    def __init__(self, symbols: dict[str, Symbol], spans: dict[str, tuple[int, int]], maps_only: bool = False):
        self.symbols = symbols
        self.spans = spans
        self.maps_only = maps_only
        self.ahead: dict[Expression, tuple[Symbol, int, int]] = {}
        self.settled: dict[Expression, tuple[Expression, int]] = {}

    def all_of(self, steps: list[Step]) -> list[Step]:
        """The steps, with the parts of scans that need no scan as steps of their own."""
        done = [self._scan(step) if step.kind == "scan" else step for step in steps]
        return self._shared([*(self._ahead_steps()), *done])

    def _scan(self, step: Step) -> Step:
        zones = []
        for zone in step.zones:
            inside = set(step.names)
            rules = joined(zone.rules, inside)
            ahead = self._ahead(rules, inside, zone)
            parts = {name: split(rule, inside, partial(_instead, ahead)) for name, rule in rules.items()}
            zones.append(Zone(zone.first, zone.last, parts))
        return Step(step.kind, step.names, tuple(zones), step.direction, step.local)

    def _ahead(self, rules: Mapping[str, Expression], inside: set[str], zone: Zone) -> dict[Expression, Expression]:
        """What stands for the parts of a scan's equations that are computed before it."""
        users: dict[Expression, list[str]] = {}
        for name, rule in rules.items():
            for e in outside(rule, inside):
                if (self.maps_only or math.prod(e.shape) > LARGE) and not _maps([e]):
                    continue
                users.setdefault(e, []).append(name)
        for e, names in users.items():
            symbol, first, last = self.ahead.get(e) or (
                self._fresh("_".join(["pre", *names]), e),
                zone.first,
                zone.last,
            )
            self.ahead[e] = symbol, min(first, zone.first), max(last, zone.last)
        return {e: reference(self.ahead[e][0]) for e in users}

    def _fresh(self, wish: str, e: Expression) -> Symbol:
        name, k = wish, 1
        while name in self.symbols:
            k += 1
            name = f"{wish}_{k}"
        self.symbols[name] = Symbol(name, e.shape, "variable")
        return self.symbols[name]

    def _ahead_steps(self) -> list[Step]:
        steps = []
        for e, (symbol, first, last) in self.ahead.items():
            self.spans[symbol.name] = first, last
            steps.append(Step("all slices", (symbol.name,), (Zone(first, last, {symbol.name: e}),)))
        return steps

    def _shared(self, steps: list[Step]) -> list[Step]:
        """Expressions that several equations use over the same slices are computed once, under a name.

        They may use them from different places: what one reads from its own slice, another reads from the next.
        """
        steps, named = self._mapped(steps)
        users: dict[Place, set[object]] = {}
        for step, zone, rule in _whole_rules(steps):
            users.setdefault(self._place(rule, zone), set()).add(step.names)
            for e in walk([rule]):
                for argument in e.arguments if isinstance(e, Apply) else ():
                    users.setdefault(self._place(argument, zone), set()).add(self._place(e, zone))
        roots = {
            self._place(rule, z): reference(self.symbols[s.names[0]]).lag(-self._settled(rule)[1])
            for s, z, rule in _whole_rules(steps)
            if s.kind == "all slices" and len(s.zones) == 1  # several zones of two steps could need each other
        }
        extra: list[Step] = []
        for place, by in users.items():
            e, first, last = place
            if place in named or len(by) < 2 or is_static(e) or not _worth_a_name(e):
                continue
            if place in roots:
                named[place] = roots[place]
                continue
            named[place] = reference(self._fresh("shared", e))
            name = named[place].name
            self.spans[name] = first, last
            extra.append(Step("all slices", (name,), (Zone(first, last, {name: e}),)))
        return [self._with_names(step, named) for step in [*extra, *steps]]

    def _mapped(self, steps: list[Step]) -> tuple[list[Step], dict[Place, Reference]]:
        """The steps, where maps that a scan computes and other equations use too are variables of the scan."""
        wanted = {self._place(e, zone) for _, zone, rule in _whole_rules(steps) for e in _maps([rule])}
        named: dict[Place, Reference] = {}
        done: list[Step] = []
        for step in steps:
            zones = []
            for zone in step.zones if step.kind == "scan" else ():
                known: dict[Expression, Reference] = {}
                for e in _maps(zone.rules.values()):
                    place = self._place(e, zone)
                    if place in wanted and e not in zone.rules.values():
                        symbol = self._fresh("mapped", e)
                        self.spans[symbol.name] = zone.first, zone.last
                        known[e] = reference(symbol)
                        named[place] = reference(symbol).lag(-self._settled(e)[1])
                rules = {name: transformed(rule, lambda leaf: leaf, known) for name, rule in zone.rules.items()}
                zones.append(Zone(zone.first, zone.last, {r.name: e for e, r in known.items()} | rules))
            names = dict.fromkeys([*step.names, *(name for zone in zones for name in zone.rules)])
            done.append(Step(step.kind, tuple(names), tuple(zones), step.direction, step.local) if zones else step)
        return done, named

    def _with_names(self, step: Step, named: Mapping[Place, Reference]) -> Step:
        if step.kind == "scan":
            return step
        zones = []
        for zone in step.zones:
            rules = {name: self._named(rule, zone, named, own=name) for name, rule in zone.rules.items()}
            zones.append(Zone(zone.first, zone.last, rules))
        return Step(step.kind, step.names, tuple(zones), step.direction, step.local)

    def _named(self, rule: Expression, zone: Zone, named: Mapping[Place, Reference], own: str) -> Expression:
        """The rule in terms of named expressions, its own name left out."""
        known = {}
        for e in walk([rule]):
            found = named.get(self._place(e, zone))
            if found is not None and found.name != own:
                known[e] = delayed(found, self._settled(e)[1])
        return transformed(rule, lambda leaf: leaf, known)

    def _place(self, e: Expression, zone: Zone) -> Place:
        """An expression with the slices that it reads counted from its first variable, and where it is used."""
        settled, lag = self._settled(e)
        return settled, zone.first - lag, zone.last - lag

    def _settled(self, e: Expression) -> tuple[Expression, int]:
        if e not in self.settled:
            lags = (leaf.delay for _, _, leaf in uses(e) if leaf.symbol.timed)
            lag = next(lags, 0)
            self.settled[e] = delayed(e, -lag), lag
        return self.settled[e]


def _instead(ahead: Mapping[Expression, Expression], e: Expression) -> Expression:
    """What stands for an expression that is computed before a scan, or itself."""
    return ahead.get(e, e)


def _maps(roots: Iterable[Expression]) -> list[Apply]:
    return [e for e in walk(roots) if isinstance(e, Apply) and is_linear_map(e)]


def _worth_a_name(e: Expression) -> bool:
    """Whether an expression takes work, and is not only wanted summed over all slices."""
    if not isinstance(e, Apply):
        return False
    return not (isinstance(e.operation.role, Move) or e.operation.over_batch or e.operation.summed)


def _whole_rules(steps: list[Step]) -> list[tuple[Step, Zone, Expression]]:
    return [(s, z, rule) for s in steps if s.kind != "scan" for z in s.zones for rule in z.rules.values()]

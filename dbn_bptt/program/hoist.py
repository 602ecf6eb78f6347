"""Work moved out of scans, and work done once.

What an equation of a scan computes from outside of it is computed for all slices before. What several equations
compute over the same slices is computed once, under a name.
"""

from collections.abc import Mapping

from dbn_bptt import ops
from dbn_bptt.expressions import Apply, Expression, Reference, Symbol, reference
from dbn_bptt.program.lower import is_static, joined, split
from dbn_bptt.program.steps import Step, Zone
from dbn_bptt.traversal import transformed, walk


class Hoist:
    """Collects what is computed for all slices before the scans that use it."""

    def __init__(self, symbols: dict[str, Symbol], spans: dict[str, tuple[int, int]]):
        self.symbols = symbols
        self.spans = spans
        self.ahead: dict[Expression, tuple[Symbol, int, int]] = {}

    def all_of(self, steps: list[Step]) -> list[Step]:
        """The steps, with the parts of scans that need no scan as steps of their own."""
        done = [self._scan(step) if step.kind == "scan" else step for step in steps]
        return self._shared([*(self._ahead_steps()), *done])

    def _scan(self, step: Step) -> Step:
        zones = []
        for zone in step.zones:
            rules = {name: self._split(name, rule, set(step.names), zone) for name, rule in zone.rules.items()}
            zones.append(Zone(zone.first, zone.last, joined(rules)))
        return Step(step.kind, step.names, tuple(zones), step.direction)

    def _split(self, name: str, rule: Expression, inside: set[str], zone: Zone) -> Expression:
        def hoist(e: Expression) -> Expression:
            if e in self.ahead:
                symbol, first, last = self.ahead[e]
                self.ahead[e] = symbol, min(first, zone.first), max(last, zone.last)
                return reference(symbol)
            symbol = self._fresh(f"pre_{name}", e)
            self.ahead[e] = symbol, zone.first, zone.last
            return reference(symbol)

        return split(rule, inside, hoist)

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
        """Expressions that several equations use over the same slices are computed once, under a name."""
        users: dict[tuple[Expression, int, int], set[object]] = {}
        for step, zone, rule in _whole_rules(steps):
            users.setdefault((rule, zone.first, zone.last), set()).add(step.names)
            for e in walk([rule]):
                for argument in e.arguments if isinstance(e, Apply) else ():
                    users.setdefault((argument, zone.first, zone.last), set()).add(e)
        roots = {(rule, z.first, z.last): s.names[0] for s, z, rule in _whole_rules(steps) if s.kind == "all slices"}
        named: dict[tuple[Expression, int, int], Expression] = {}
        extra: list[Step] = []
        for (e, first, last), by in users.items():
            if len(by) < 2 or is_static(e) or not _worth_a_name(e):
                continue
            if (e, first, last) in roots:
                named[e, first, last] = reference(self.symbols[roots[e, first, last]])
                continue
            symbol = self._fresh("shared", e)
            self.spans[symbol.name] = first, last
            named[e, first, last] = reference(symbol)
            extra.append(Step("all slices", (symbol.name,), (Zone(first, last, {symbol.name: e}),)))
        return [self._with_names(step, named) for step in [*extra, *steps]]

    def _with_names(self, step: Step, named: Mapping[tuple[Expression, int, int], Expression]) -> Step:
        if step.kind == "scan":
            return step
        zones = []
        for zone in step.zones:
            known = {e: r for (e, a, b), r in named.items() if (a, b) == (zone.first, zone.last)}
            rules = {n: _replaced(rule, known, self.symbols[n]) for n, rule in zone.rules.items()}
            zones.append(Zone(zone.first, zone.last, rules))
        return Step(step.kind, step.names, tuple(zones), step.direction)


def _worth_a_name(e: Expression) -> bool:
    if not isinstance(e, Apply):
        return False
    return e.operation not in (ops.batch_sum, ops.outer) and e.operation.name not in (
        "reshape",
        "broadcast",
        "transpose",
    )


def _replaced(rule: Expression, known: Mapping[Expression, Expression], own: Symbol) -> Expression:
    """The rule in terms of named expressions, its own name left out."""
    others = {e: r for e, r in known.items() if not (isinstance(r, Reference) and r.symbol == own)}
    return transformed(rule, lambda leaf: leaf, others)


def _whole_rules(steps: list[Step]) -> list[tuple[Step, Zone, Expression]]:
    return [(s, z, rule) for s in steps if s.kind != "scan" for z in s.zones for rule in z.rules.values()]

"""The schedule: what must run slice by slice, and what can be computed for all slices at once.

Drop time from the unrolled graph: its strongly connected components are the recurrences. A component with a cycle is a
scan over t, forwards or backwards as its lags say; anything else is one operation on arrays with the axis T in front.
Nothing about backward passes needs to be known: the adjoint template's chains are recurrences like any others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import networkx as nx
import numpy as np

from dbn_bptt.errors import NotCompiledError, TemplateError
from dbn_bptt.program.hoist import Hoist
from dbn_bptt.program.lower import lowered
from dbn_bptt.program.zones import Step, Zone
from dbn_bptt.sweep.unroll import Node, unroll
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.expressions import Expression, Reference, Symbol, Window, constant, window
from dbn_bptt.template.structure import upstream
from dbn_bptt.template.template import Template
from dbn_bptt.template.traversal import frames, transformed, uses

Goal = str | tuple[str, Literal["slices", "initial"]]  # a total; a variable in its slices, or in its initial ones


@dataclass(frozen=True)
class Schedule:
    """The steps of a program in the order in which they run.

    Slices are those of a sequence of T = `slices`; unless `exact`, a slice in the upper half stands for one that many
    before the end, for every T from `slices` / 2 on.
    """

    template: Template
    slices: int
    exact: bool
    steps: tuple[Step, ...]
    symbols: Mapping[str, Symbol] = field(repr=False)
    spans: Mapping[str, tuple[int, int]] = field(repr=False)
    reaches: Mapping[str, tuple[int, int]] = field(repr=False)
    learned: frozenset[str] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(self.describe(step) for step in self.steps)

    def after_end(self, t: int) -> int | None:
        """How many slices after T a slice is; None for one that is counted from the start."""
        return None if self.exact or t < self.slices // 2 else t - self.slices

    def describe(self, step: Step) -> str:
        """One step in words: how it runs, and why."""
        names = ", ".join(step.names)
        read = dict.fromkeys((leaf.name, leaf.delay) for rule in _rules(step) for _, _, leaf in uses(rule))
        if step.kind == "scan":
            way, before, after = (
                ("forwards", "before", "next") if step.direction > 0 else ("backwards", "after", "previous")
            )
            interface = dict.fromkeys(name for name, delay in read if delay and name in step.names)
            why = f"each needs the slice {before} it; interface to the {after} slice: {', '.join(interface)}"
            return f"slice by slice, {way}: {names} ({why})"
        timed = dict.fromkeys(name for name, _ in read if self.symbols[name].timed)
        how = "summed over all slices" if step.kind == "total" else "all slices at once"
        return f"{how}: {names}" + (f" (from {', '.join(timed)})" if timed else "")


def _rules(step: Step) -> list[Expression]:
    return [rule for zone in step.zones for rule in zone.rules.values()]


def shortest_general(template: Template) -> int:
    """The least T for which one program serves all longer sequences: borders on either side do not meet."""
    delays = [abs(delay) for d in template.definitions.values() for p in d.pieces for delay, _ in frames(p.expression)]
    lags = [sum(reach) for reach in template.reaches().values()]
    return 2 * (max([1, *delays, *lags]) + 2)


def schedule(
    template: Template, wanted: Iterable[Goal], T: int | None = None, absent: frozenset[str] = frozenset(),
    maps_only: bool = False,
) -> Schedule:  # fmt: skip
    """Order the work for some totals and variables.

    Parameters
    ----------
    template : SliceTemplate
    wanted : totals by name; ("h", "slices") for a variable in all its slices, ("h", "initial") in its initial ones
    T : int, optional
        The number of slices; without it the schedule serves all from `shortest_general` on.
    absent : set of str
        Inputs that are their defaults in every slice.
    maps_only : bool
        Whether only products with matrices are computed before scans: in compiled loops the rest is cheaper where it is
        used, and takes no memory.
    """
    template = _without(template, absent)
    slices = T or 2 * shortest_general(template)
    graph = unroll(template, slices)
    goals = [node for goal in wanted for node in _goal_nodes(graph, goal)]
    live = _live(graph, goals) if T is None else upstream(graph, goals)
    spans = {name: (min(at), max(at)) for name, at in _times(graph).items()}
    graph.remove_nodes_from([v for v in graph if v not in live])
    times = _times(graph)
    steps = [_step(graph, names, times, lags, set(goals)) for names, lags in _components(graph)]
    hoist = Hoist(dict(template.symbols), spans, maps_only)
    tasks = hoist.all_of([step for step in steps if step is not None])
    learned = frozenset(template.initial_pieces)
    return Schedule(
        template, slices, T is not None, tuple(_ordered(tasks)), hoist.symbols, hoist.spans, template.reaches(), learned
    )


def _times(graph: nx.MultiDiGraph) -> dict[str, list[int]]:
    """The slices in which each name has a node, in order."""
    times: dict[str, list[int]] = {}
    for node in graph:
        if isinstance(node, tuple):
            times.setdefault(node[0], []).append(node[1])
    return {name: sorted(at) for name, at in times.items()}


def _live(graph: nx.MultiDiGraph, goals: Iterable[Node]) -> set[Node]:
    """What sequences of any length need; where that is every other slice, or so, all of them."""
    live = upstream(graph, goals)
    while True:
        times: dict[str, set[int]] = {}
        for node in live:
            if isinstance(node, tuple):
                times.setdefault(node[0], set()).add(node[1])
        gaps = {name for name, at in times.items() if len(at) <= max(at) - min(at)}
        every = {v for v in graph if isinstance(v, tuple) and v[0] in gaps and 0 <= v[1] < graph.graph["T"]}
        if every <= live:
            return live
        live |= upstream(graph, every)


def _without(template: Template, absent: frozenset[str]) -> Template:
    """The template with inputs replaced by their defaults where these are one number, and no state goes with it."""
    defaults = {name: np.unique(template.arrays[name]) for name in absent if not any(template.reaches()[name])}
    fixed = {name for name, values in defaults.items() if len(values) == 1 and values[0] != 0}
    if not fixed:
        return template
    definitions = {}
    try:
        with np.errstate(all="ignore"):
            for name, d in template.definitions.items():
                pieces = [Piece(p.domain, _with_defaults(p.expression, template, fixed)) for p in d.pieces]
                definitions[name] = Definition(d.symbol, tuple(pieces), d.loss)
    except TemplateError:  # a part that nothing selects is NaN at the default
        return template
    result = template.rewritten(definitions=definitions)
    return result if result.reaches() == template.reaches() else template


def _with_defaults(rule: Expression, template: Template, fixed: set[str]) -> Expression:
    def leaf(e: Expression) -> Expression:
        if isinstance(e, Window):
            return window(_with_defaults(e.expression, template, fixed), e.delay, e.domain)
        return constant(template.arrays[e.name]) if isinstance(e, Reference) and e.name in fixed else e

    return transformed(rule, leaf)


def _goal_nodes(graph: nx.MultiDiGraph, goal: Goal) -> list[Node]:
    if isinstance(goal, str):
        return [goal]
    name, which = goal
    T = graph.graph["T"]
    nodes = [v for v in graph if isinstance(v, tuple) and v[0] == name]
    return [v for v in nodes if (0 <= v[1] < T) == (which == "slices")]


def _components(work: nx.MultiDiGraph) -> list[tuple[list[str], set[int]]]:
    """The strongly connected components of the graph without time, in topological order, with the lags inside."""
    rolled = nx.MultiDiGraph()
    for _, attributes in work.nodes(data=True):
        if attributes["t"] is not None:
            rolled.add_node(attributes["name"])
    for u, v, lag in work.edges(data="lag"):
        if isinstance(u, tuple) and isinstance(v, tuple):
            rolled.add_edge(u[0], v[0], lag=lag)
    condensed = nx.condensation(nx.DiGraph(rolled))
    place = {name: k for k, name in enumerate(rolled)}
    found = []
    for c in nx.topological_sort(condensed):
        members = condensed.nodes[c]["members"]
        lags = {lag for u in members for _, v, lag in rolled.out_edges(u, data="lag") if v in members and lag}
        found.append((sorted(members, key=place.__getitem__), lags))
    return found


def _step(
    work: nx.MultiDiGraph, names: list[str], times: Mapping[str, list[int]], lags: set[int], goals: set[Node]
) -> Step | None:
    """One component as a step; None for given data."""
    zones: list[Zone] = []
    for t in sorted({t for name in names for t in times[name]}):
        rules = {n: r for n in names if (n, t) in work and (r := work.nodes[n, t]["rule"]) is not None}
        if zones and zones[-1].last == t - 1 and zones[-1].rules == rules:
            zones[-1] = Zone(zones[-1].first, t, rules)
        elif rules:
            zones.append(Zone(t, t, rules))
    kind = work.graph["template"].symbols[names[0]].kind
    if not zones:  # data; or a variable of which only the initial state is asked for
        return Step("all slices", tuple(names), ()) if kind == "variable" else None
    zones = [Zone(z.first, z.last, {n: lowered(r) for n, r in z.rules.items()}) for z in zones]
    if kind == "total":
        return Step("total", tuple(names), tuple(zones))
    if not lags:
        return Step("all slices", tuple(names), tuple(zones))
    return _scan(names, zones, lags, {n: _uses_in_slice(work, n, times[n], set(names), goals) for n in names})


def _scan(names: list[str], zones: list[Zone], lags: set[int], uses_in_slice: Mapping[str, int]) -> Step:
    """A recurrence; variables that one other uses in their slice alone are written into it."""
    if min(lags) < 0 < max(lags):
        loop = ", ".join(names)
        raise NotCompiledError(
            f"{loop} read each other from slices before and after; such a scan is not compiled: use bptt"
        )
    direction = 1 if max(lags) > 0 else -1
    passing = [n for n, most in uses_in_slice.items() if most == 1]
    kept = tuple(name for name in names if name not in passing)
    zones = [Zone(z.first, z.last, _inlined(z, passing)) for z in zones]
    local = frozenset(n for n, most in uses_in_slice.items() if most > 1)
    return Step("scan", kept, tuple(zones[::direction]), direction, local)


def _uses_in_slice(work: nx.MultiDiGraph, name: str, times: list[int], names: set[str], goals: set[Node]) -> int:
    """How often a variable of a scan is used at most in its own slice of the scan; 0 if others use it too."""
    nodes = [(name, t) for t in times]
    if goals & set(nodes) or any(w[0] not in names or w[1] != v[1] for v in nodes for w in work.successors(v)):
        return 0
    return max(work.out_degree(v) for v in nodes)


def _inlined(zone: Zone, passing: list[str]) -> dict[str, Expression]:
    """The rules of a zone with some variables written into the ones that use them."""
    done: dict[str, Expression] = {}

    def leaf(e: Expression) -> Expression:
        return done[e.name] if isinstance(e, Reference) and e.delay == 0 and e.name in through else e

    through = set(passing)
    for name in zone.in_order():
        done[name] = transformed(zone.rules[name], leaf)
    return {name: done[name] for name in zone.rules if name not in through}


def _ordered(steps: list[Step]) -> list[Step]:
    """The steps in an order in which each finds what it needs."""
    maker = {name: k for k, step in enumerate(steps) for name in step.names}
    needs = nx.DiGraph()
    needs.add_nodes_from(range(len(steps)))
    for k, step in enumerate(steps):
        for rule in _rules(step):
            needs.add_edges_from((maker[leaf.name], k) for _, _, leaf in uses(rule) if maker.get(leaf.name, k) != k)
    return [steps[k] for k in nx.lexicographical_topological_sort(needs)]

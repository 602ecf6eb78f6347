"""Equations and messages as MathML, each different one written once."""

import re
from typing import Any

import networkx as nx

from dbn_bptt.render.subjects.scene import Spot
from dbn_bptt.template.equations import Writer
from dbn_bptt.template.expressions import Expression, Symbol, reference
from dbn_bptt.template.traversal import uses
from dbn_bptt.transforms.pullback import pullback


def mathml(latex: str) -> str:
    """A formula for a page."""
    from latex2mathml.converter import convert

    return str(convert(latex))


class Formulas:
    """The formulas of a page: `written` holds their MathML, and each method returns a place in it."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._places: dict[str, int] = {}
        self._known: dict[Any, int] = {}
        self._write = Writer("latex")

    def put(self, latex: str) -> int:
        """The place of a formula."""
        if latex not in self._places:
            self._places[latex] = len(self.written)
            words = re.sub(r"\\mathrm\{(\w\w+)\}", r"\\operatorname{\1}", latex)  # one word, not letter by letter
            self.written.append(mathml(words))
        return self._places[latex]

    def name(self, spot: Spot) -> int:
        """The name of a node."""
        return self.put(spot.label.latex)

    def equation(self, graph: nx.MultiDiGraph, node: Any) -> int:
        """The equation of a node, about slice t."""
        rule, name = graph.nodes[node]["rule"], graph.nodes[node]["name"]
        if (rule, name) not in self._known:
            right = self._write.expression(rule)[0]
            self._known[rule, name] = self.put(f"{self._write.timed(name, 't', 0)} = {right}")
        return self._known[rule, name]

    def message(self, graph: nx.MultiDiGraph, node: Any, key: int) -> int:
        """What a node of slice t sends to one of its parents."""
        rule, name = graph.nodes[node]["rule"], graph.nodes[node]["name"]
        if (rule, name, key) not in self._known:
            self._known[rule, name, key] = self.put(self._sent(rule, name, key))
        return self._known[rule, name, key]

    def _sent(self, rule: Expression, name: str, key: int) -> str:
        own = reference(Symbol(name, rule.shape, "variable"))
        seed = reference(Symbol(f"{name}_bar", rule.shape, "variable"))
        user, position, leaf = uses(rule)[key]
        messages = pullback(rule, own, seed).messages
        target = f"{leaf.name}_bar"
        left = self._write.timed(target, "t", leaf.delay) if leaf.symbol.timed else self._write.name(target)
        return rf"{left} \;{{+}}{{=}}\; {self._write.expression(messages[user, position])[0]}"

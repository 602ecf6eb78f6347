"""Equations and messages as MathML, each different one written once."""

import re
from collections.abc import Callable
from typing import Any

import networkx as nx

from dbn_bptt.template.equations import Writer
from dbn_bptt.template.expressions import Expression, Symbol, reference
from dbn_bptt.template.structure import unused_names
from dbn_bptt.template.template import Template
from dbn_bptt.template.traversal import uses
from dbn_bptt.transforms.pullback import pullback


def mathml(latex: str) -> str:
    """A formula for a page."""
    from latex2mathml.converter import convert

    return str(convert(latex))


class Formulas:
    """The formulas of a page: `written` holds their MathML, and each method returns a place in it."""

    def __init__(self, template: Template) -> None:
        self.written: list[str] = []
        self._places: dict[str, int] = {}
        self._known: dict[Any, int] = {}
        self._write = Writer("latex")
        self._bars = unused_names(template, "_bar")  # what its adjoint template calls adjoints

    def put(self, latex: str) -> int:
        """The place of a formula."""
        if latex not in self._places:
            self._places[latex] = len(self.written)
            words = re.sub(r"\\mathrm\{(\w\w+)\}", r"\\operatorname{\1}", latex)  # one word, not letter by letter
            self.written.append(mathml(words))
        return self._places[latex]

    def equation(self, graph: nx.MultiDiGraph, node: Any) -> int:
        """The equation of a node, about slice t."""
        return self._once(self._equation, graph.nodes[node]["rule"], graph.nodes[node]["name"])

    def message(self, graph: nx.MultiDiGraph, node: Any, key: int) -> int:
        """What a node of slice t sends to one of its parents."""
        return self._once(self._message, graph.nodes[node]["rule"], graph.nodes[node]["name"], key)

    def _once(self, write: Callable[..., str], *about: Any) -> int:
        """The place of what is written about a rule, which many slices share."""
        if about not in self._known:
            self._known[about] = self.put(write(*about))
        return self._known[about]

    def _equation(self, rule: Expression, name: str) -> str:
        return f"{self._write.timed(name, 't', 0)} = {self._write.expression(rule)[0]}"

    def _message(self, rule: Expression, name: str, key: int) -> str:
        own = reference(Symbol(name, rule.shape, "variable"))
        seed = reference(Symbol(self._bars[name], rule.shape, "variable"))
        user, position, leaf = uses(rule)[key]
        messages = pullback(rule, own, seed).messages
        target = self._bars[leaf.name]
        left = self._write.timed(target, "t", leaf.delay) if leaf.symbol.timed else self._write.name(target)
        return rf"{left} \;{{+}}{{=}}\; {self._write.expression(messages[user, position])[0]}"

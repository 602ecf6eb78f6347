"""Equations and messages as MathML, each different one written once."""

import re
from functools import cache

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
    """The formulas of a page: each method returns the place of one."""

    def __init__(self, template: Template) -> None:
        self._places: dict[str, int] = {}
        self._write = Writer("latex")
        self._bars = unused_names(template, "_bar")  # what its adjoint template calls adjoints
        self.equation = cache(self._equation)  # many slices share a rule
        self.message = cache(self._message)

    def put(self, latex: str) -> int:
        """The place of a formula."""
        return self._places.setdefault(latex, len(self._places))

    def written(self) -> list[str]:
        """All formulas as MathML, at their places."""
        # a word is one name, not letter by letter
        return [mathml(re.sub(r"\\mathrm\{(\w\w+)\}", r"\\operatorname{\1}", latex)) for latex in self._places]

    def _equation(self, rule: Expression, name: str) -> int:
        """The equation of a node, about slice t."""
        return self.put(f"{self._write.timed(name, 't', 0)} = {self._write.expression(rule)[0]}")

    def _message(self, rule: Expression, name: str, key: int) -> int:
        """What a node of slice t sends to one of its parents."""
        own = reference(Symbol(name, rule.shape, "variable"))
        seed = reference(Symbol(self._bars[name], rule.shape, "variable"))
        user, position, leaf = uses(rule)[key]
        messages = pullback(rule, own, seed).messages
        target = self._bars[leaf.name]
        left = self._write.timed(target, "t", leaf.delay) if leaf.symbol.timed else self._write.name(target)
        return self.put(rf"{left} \;{{+}}{{=}}\; {self._write.expression(messages[user, position])[0]}")

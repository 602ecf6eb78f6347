"""Formulas as MathML, which browsers draw themselves: no script, no font, no other host."""

import re
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(convert(_spaced(node.astext())))
    raise SkipNode


def _display(translator: Any, node: Any) -> None:
    translator.body.append(f'<div class="formula">{convert(_plain(node.astext()), display="block")}</div>')
    raise SkipNode


def _plain(latex: str) -> str:
    """A display without the dollars that a notebook's output has; an environment for lines that the converter knows."""
    return _spaced(latex.strip().removeprefix("$$").removesuffix("$$").replace("{aligned}", "{align*}"))


def _spaced(latex: str) -> str:
    """With the space that TeX sets after the name of a function."""
    return re.sub(r"\\(log|tanh|exp|max|min)\s+(?=[\w\\])", r"\\\1\\, ", latex)

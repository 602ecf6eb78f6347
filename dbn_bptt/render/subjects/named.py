"""Names of one's own: what variables and parameters are called in a picture, and in the equations that it tells."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import networkx as nx

from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.render.placing.labels import TRANSPOSED
from dbn_bptt.render.subjects.sources import Source
from dbn_bptt.template.expressions import Expression, Reference, Symbol, reference
from dbn_bptt.template.letters import GREEK
from dbn_bptt.template.traversal import transformed

_MARKS = {"hat": "hat", "bar": "_bar", "tilde": "_bar2", "check": "_bar3"}  # what a name has for LaTeX's accents


def renamed(source: Source, names: Mapping[str, str]) -> Source:
    """A source whose nodes, edges and equations are called by other names; who is who stays as it is.

    Names are read as all names are (`alpha`, `yhat`, `W_i`), and in LaTeX's spelling: `\\ell`, `\\hat{y}`, `W_{i}`.
    """
    if not isinstance(names, Mapping):
        raise DataError(f"names is {names!r}; give a mapping such as {{'h': 's'}}")
    known = list(dict.fromkeys(str(name) for _, name in source.graph.nodes(data="name")))
    for name in names:
        if name not in known:
            raise unknown_name(name, known, "name of what is drawn")
    called = {name: _read(names[name]) if name in names else name for name in known}
    for one, other in ((a, b) for k, a in enumerate(known) for b in known[:k] if called[a] == called[b]):
        raise DataError(f"names: {other} and {one} would both be called {called[one]!r}; give each a name of its own")
    graph: nx.MultiDiGraph = source.graph.copy()
    rewritten = cache(lambda rule: _rewritten(rule, called))  # many slices share an equation
    for _, at in graph.nodes(data=True):
        at["called"] = called[str(at["name"])]
        at["equation"] = None if at["equation"] is None else rewritten(at["equation"])
    for *_, at in graph.edges(data=True):
        bare = at["parameter"].removesuffix(TRANSPOSED)
        at["parameter"] = called.get(bare, bare) + at["parameter"][len(bare) :]
    return replace(source, graph=graph)


def _read(name: Any) -> str:
    """A name as names are written here, from that or from LaTeX's spelling."""
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"names: {name!r} is no name; give a letter or a word")
    read = re.sub(r"_\{(\w+)\}", r"_\1", name.strip())
    for command, mark in _MARKS.items():
        read = re.sub(rf"^\\{command}\{{([^{{}}]+)\}}(?=_|$)", rf"\1{mark}", read)
    read = re.sub(r"^\\([A-Za-z]+)", lambda m: m[1] if m[1] in GREEK else m[0], read)
    if "\\" in read:
        raise DataError(
            f"names: {name!r} is LaTeX that pictures do not know; give a letter, one of Greece such as \\alpha, \\ell, "
            f"or one of these with \\hat, \\bar or \\tilde, and subscripts"
        )
    return read


def _rewritten(rule: Expression, called: Mapping[str, str]) -> Expression:
    """An equation with other names in it."""

    def leaf(e: Expression) -> Expression:
        if not isinstance(e, Reference) or called.get(e.name, e.name) == e.name:
            return e
        of = e.symbol
        return reference(Symbol(called[e.name], of.shape, of.kind, of.probabilities), e.delay)

    return transformed(rule, leaf)

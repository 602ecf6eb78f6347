"""The scaled network polynomial of a dynamic Bayesian network, as a slice template.

The probability of evidence is a polynomial in the entries of the tables and in one indicator e_v[k] per variable and
state (Darwiche 2003). The forward recursion over the interface evaluates it slice by slice: the message alpha of the
slice before is multiplied by the tables and indicators of this slice, and all but the new interface is summed out; the
message f is divided by its sum, the scale. The loss is -log p(evidence), minus the sum of the logarithms of the scales.
Back-propagation through time of it gives every posterior marginal, e_v * d log p / d e_v. The scales cancel, whatever
they are, so no message is sent through them: what arrives at alpha is minus the backward message beta of the textbooks,
scaled alike.

Parts of the network that no edge joins have messages of their own. Where edges reach k slices back, the first k slices
have equations of their own, and a message is about several slices; of those that are not there it says nothing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import networkx as nx

from dbn_bptt import ops
from dbn_bptt.dbn.networks.network import Name, Network
from dbn_bptt.dbn.polynomial.contraction import Contraction, Factor, Labels
from dbn_bptt.dbn.polynomial.reductions import LOG_SUM, SUM, Reduction, indicator
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program import Program, compile
from dbn_bptt.program.engines import Engine
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Piece
from dbn_bptt.template.domains import between, only
from dbn_bptt.template.expressions import Expression


@dataclass(frozen=True)
class Structure:
    """What of a network its template depends on: everything but the numbers in the tables.

    Attributes
    ----------
    sizes : each variable and its number of states
    tables : by variable, the parents of its tables, each with the slice from which on it holds
    called : the variables' names as text, for 1, 1.0 and True are equal
    driven : the variables whose last table is another one in every slice
    clusters : the variables that messages are about together, where each is about some of the interface only
    joint : groups of variables that have indicators of their joint states
    """

    sizes: tuple[tuple[Name, int], ...]
    tables: tuple[tuple[Name, tuple[tuple[int, Labels], ...]], ...]
    called: tuple[str, ...]
    driven: frozenset[Name] = frozenset()
    clusters: tuple[tuple[Name, ...], ...] = ()
    joint: tuple[tuple[Name, ...], ...] = ()

    def title(self, name: Name) -> str:
        """A name made of letters, digits and _ for a variable, or a group of them; no two have the same."""
        return self._titles[name]

    @cached_property
    def _titles(self) -> dict[Name, str]:
        names = [name for name, _ in self.sizes]
        called = [*map(str, names), *("_and_".join(map(str, group)) for group in self.joint)]
        return dict(zip([*names, *self.joint], titles(tuple(called)), strict=True))

    @cached_property
    def order(self) -> int:
        """The slice from which on all slices are alike."""
        return max(start for _, of in self.tables for start, _ in of)

    def start(self, name: Name, t: int) -> int:
        """The slice from which on the table holds that a variable has in slice t."""
        return max(start for start, _ in dict(self.tables)[name] if start <= t)

    def parents(self, name: Name, t: int) -> Labels:
        """The parents of a variable in slice t."""
        return dict(dict(self.tables)[name])[self.start(name, t)]

    def parameter(self, name: Name, t: int) -> str:
        """The name in the template of the table that a variable has in slice t."""
        return self._parameters[name, min(t, self.order)]

    @cached_property
    def _parameters(self) -> dict[tuple[Name, int], str]:
        found = {}
        for name, _ in self.sizes:
            for t in range(self.order + 1):
                start, title = self.start(name, t), self.title(name)
                found[name, t] = f"P_{title}" if start == self.start(name, self.order) else f"P{start}_{title}"
        return found

    def evidence(self, name: Name) -> str:
        """The name of a variable's indicators in the template."""
        return f"e_{self.title(name)}"


@lru_cache(maxsize=256)
def titles(names: tuple[str, ...]) -> list[str]:
    """Names made of letters, digits and _ only, all different."""
    titles: list[str] = []
    for name in names:
        title = "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
        while title in titles:
            title += "_"
        titles.append(title)
    return titles


def structure(network: Network) -> Structure:
    """The structure of a network."""
    sizes = tuple((name, len(states)) for name, states in network.states.items())
    tables = tuple((n, tuple((s, t.parents) for s, t in sorted(of.items()))) for n, of in network.tables.items())
    called = tuple(map(repr, network.names))
    return _kept(Structure(sizes, tables, called, frozenset(network.drives), network.clusters, network.joint))


@lru_cache(maxsize=256)
def _kept(of: Structure) -> Structure:
    """The first one that was like it, which knows its names already."""
    return of


@lru_cache(maxsize=64)
def program(of: Structure, reduction: Reduction = SUM, alone: bool = False, engine: Engine = None) -> Program:
    """The compiled template of a structure, kept for the next network of the same one."""
    return compile(polynomial(of, reduction, alone, posteriors=reduction in (SUM, LOG_SUM)), engine)


def polynomial(
    of: Structure, reduction: Reduction = SUM, alone: bool = False, tables: Mapping[str, Array] | None = None,
    begun: bool = False, posteriors: bool = False,
) -> SliceTemplate:  # fmt: skip
    """The template of a structure.

    Parameters
    ----------
    reduction : how states are eliminated
        By a sum; by a maximum, for the most probable path; or by a random draw, for sampled paths. Where it works on
        logarithms, tables and indicators are given as logarithms.
    alone : bool
        Whether each slice stands alone, with the message of the slice before as an input instead of a state.
    tables : the defaults of the template's parameters
    begun : bool
        Whether there were so many slices before that all that come are alike.
    posteriors : bool
        Whether the adjoint of indicators is their posterior.
    """
    t = SliceTemplate("network polynomial")
    sizes = dict(of.sizes)
    for name in sizes:
        for start, parents in dict(of.tables)[name]:
            parameter = of.parameter(name, start)
            shape = (sizes[name], *(sizes[parent] for parent, _ in parents))
            if name in of.driven and start == of.start(name, of.order):
                t.input(parameter, shape)
            else:
                t.parameter(parameter, shape, default=(tables or {}).get(parameter))
    for name in sizes:
        t.input(of.evidence(name), sizes[name], default=1.0)
    for group in of.joint:
        t.input(of.evidence(group), tuple(sizes[name] for name in group), default=1.0)
    for suffix, part in _suffixed(of):
        said = {name: t[of.evidence(name)] for name in (*part, *(group for group in of.joint if group[0] in part))}
        if posteriors:
            said = {name: indicator(e, reduction, alone) for name, e in said.items()}
        _recursion(t, of, suffix, part, said, reduction, alone, 0 if begun else max(of.order, 1))
    return t


def _recursion(
    t: SliceTemplate, of: Structure, suffix: str, part: list[Name], said: Mapping[Name, Expression],
    reduction: Reduction, alone: bool, own: int,
) -> None:  # fmt: skip
    """The forward recursion of one part: its unscaled message f, the scale, and the message alpha.

    f_t = sum over all but the interface of alpha_{t-1} times the tables and indicators of slice t;
    alpha_t = f_t / scale_t; without an interface f is the probability of a slice's evidence. The first `own`
    slices have equations of their own. The loss of a slice that stands alone is that of its scale, and no more.
    """
    sizes, sent = dict(of.sizes), _sent(of, suffix, part)
    past: list[Factor] = []
    for end, state in sent:
        shape, before = _shape(sizes, state), tuple((name, lag + 1) for name, lag in state)
        past.append((t.input("before" + end, shape) if alone else t.variable("alpha" + end, shape).prev, before))
    contraction = Contraction(t, sizes, reduction, suffix)
    log = (lambda e: e) if reduction.logs else ops.log
    wanted = sent or [(suffix, ())]
    for k, (end, state) in enumerate(wanted):
        pieces = list[Piece]()
        for s in range(own):
            there, domain = tuple(label for label in state if label[1] <= s), only(s)
            e = contraction.of([*(past if s else []), *_factors(t, of, said, s)], there, domain)
            pieces.append(Piece(domain, _widened(e, there, state, sizes, reduction)))
        domain = between(own, 0)
        pieces.append(Piece(domain, contraction.of([*past, *_factors(t, of, said, of.order)], state, domain)))
        f = t.variable("f" + end, _shape(sizes, state))
        t.add(f.symbol, pieces)
        if not state:
            t.loss("L" + end, -log(contraction.total(f)))
            return
        alpha = t.variable("alpha" + end, f.shape) if alone else t["alpha" + end]
        scale = t.variable("scale" + end, (1,) * len(state))
        total = contraction.total(f, keepdims=True)
        t.define(scale, total if alone else ops.stop_gradient(total))
        t.define(alpha, f - scale if reduction.logs else f / scale)
        if k == 0:  # all messages of a part have the same scale
            t.loss("L" + end, -log(ops.reshape(scale, ())))
        if k == 0 and not alone:
            t.loss("end" + end, -log(contraction.total(alpha)), at="last")


def _shape(sizes: Mapping[Name, int], labels: Labels) -> tuple[int, ...]:
    return tuple(sizes[name] for name, _ in labels)


def _widened(e: Expression, there: Labels, state: Labels, sizes: Mapping[Name, int], by: Reduction) -> Expression:
    """A message about labels that are there as one about all of a state: of the others it says nothing."""
    gone = math.prod(sizes[name] for name, lag in state if (name, lag) not in there)
    if gone == 1:
        return e
    shared = e + by.share(gone) if by.logs else e * by.share(gone)
    shape = tuple(sizes[label[0]] if label in there else 1 for label in state)
    return ops.broadcast_to(ops.reshape(shared, shape), _shape(sizes, state))


def _factors(t: SliceTemplate, of: Structure, said: Mapping[Name, Expression], s: int) -> list[Factor]:
    """The tables and indicators of a slice, each with the variables of its axes."""
    tables = [(t[of.parameter(name, s)], ((name, 0), *of.parents(name, s))) for name in said if name not in of.joint]
    about = {name: tuple((member, 0) for member in (name if name in of.joint else (name,))) for name in said}
    return [*tables, *((e, about[name]) for name, e in said.items())]


def parts(of: Structure) -> list[list[Name]]:
    """The variables of the parts of a network that no edge joins, in any slice, and no observed vector."""
    graph = nx.Graph()
    graph.add_nodes_from(name for name, _ in of.sizes)
    for name, tables in of.tables:
        graph.add_edges_from((name, parent) for _, parents in tables for parent, _ in parents)
    graph.add_edges_from((group[0], name) for group in of.joint for name in group[1:])
    order = list(graph)
    return [sorted(part, key=order.index) for part in nx.connected_components(graph)]


def interface(of: Structure, part: Iterable[Name]) -> Labels:
    """The variables of a part that have children in slices to come, and how far before the last slice they are."""
    reach: dict[Name, int] = {}
    for parent, lag in (label for _, tables in of.tables for _, parents in tables for label in parents):
        reach[parent] = max(lag, reach.get(parent, 0))
    return tuple((name, lag) for name in part for lag in range(reach.get(name, 0)))


def _sent(of: Structure, suffix: str, part: list[Name]) -> list[tuple[str, Labels]]:
    """The messages of a part: what follows their names, and what they are about; one, or one for each cluster."""
    state = interface(of, part)
    if not of.clusters:
        return [(suffix, state)] if state else []
    about = (tuple(label for label in state if label[0] in cluster) for cluster in of.clusters)
    return [("_" + of.title(labels[0][0]), labels) for labels in about if labels]


@lru_cache(maxsize=64)
def scales(of: Structure) -> list[str]:
    """The variables of a template whose logarithms add up to log p(evidence)."""
    every = [(suffix, _sent(of, suffix, part)) for suffix, part in _suffixed(of)]
    return [f"scale{sent[0][0]}" if sent else f"f{suffix}" for suffix, sent in every]


@lru_cache(maxsize=64)
def messages(of: Structure) -> dict[str, str]:
    """The variables of a template that are messages, and the inputs that take their place where slices stand alone."""
    return {alpha: "before" + alpha.removeprefix("alpha") for alpha in about(of)}


def about(of: Structure) -> dict[str, Labels]:
    """The variables of a template that are messages, and what these are about."""
    return {"alpha" + end: state for suffix, part in _suffixed(of) for end, state in _sent(of, suffix, part)}


def _suffixed(of: Structure) -> list[tuple[str, list[Name]]]:
    """The parts of a network, each with what follows its variables' names in the template."""
    several = parts(of)
    return [("_" + of.title(part[0]) if len(several) > 1 else "", part) for part in several]

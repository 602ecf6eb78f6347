"""The scaled network polynomial of a dynamic Bayesian network, as a slice template.

The probability of evidence is a polynomial in the entries of the tables and in one indicator e_v[k] per variable and
state (Darwiche 2003). The forward recursion over the interface evaluates it slice by slice: the message alpha of the
slice before is multiplied by the tables and indicators of this slice, and all but the new interface is summed out; the
message f is divided by its sum, the scale. The loss is -log p(evidence), minus the sum of the logarithms of the scales.
Back-propagation through time of it gives every posterior marginal, e_v * d log p / d e_v. The scales cancel, whatever
they are, so no message is sent through them: what arrives at alpha is minus the backward message beta of the textbooks,
scaled alike.

Parts of the network that no edge joins have messages of their own.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_letters
from typing import Any

import networkx as nx

from dbn_bptt import ops
from dbn_bptt.dbn.network import Name, Network, Table
from dbn_bptt.dbn.reductions import DRAW, SUM, Reduction
from dbn_bptt.errors import ModelError
from dbn_bptt.program import Program, compile
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.expressions import Expression

Label = tuple[Name, int]  # a variable, and its lag
Labels = tuple[Label, ...]


@dataclass(frozen=True)
class Structure:
    """What of a network its template depends on: everything but the numbers in the tables.

    Attributes
    ----------
    sizes : each variable and its number of states
    first, later : the tables, without numbers
    tied : the variables with one table for all slices
    called : the variables' names as text, for 1, 1.0 and True are equal
    """

    sizes: tuple[tuple[Name, int], ...]
    first: tuple[tuple[Name, Labels], ...]
    later: tuple[tuple[Name, Labels], ...]
    tied: frozenset[Name]
    called: tuple[str, ...]

    def title(self, name: Name) -> str:
        """A variable's name made of letters, digits and _; no two variables have the same."""
        return dict(zip((n for n, _ in self.sizes), titles(tuple(str(n) for n, _ in self.sizes)), strict=True))[name]

    def parameter(self, name: Name, slice_: int) -> str:
        """The name of a variable's table in the template."""
        return f"P_{self.title(name)}" if slice_ or name in self.tied else f"P0_{self.title(name)}"

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

    def side(tables: Mapping[Name, Table]) -> tuple[tuple[Name, Labels], ...]:
        return tuple((name, tables[name].parents) for name in network.names)

    sizes = tuple((name, len(states)) for name, states in network.states.items())
    called = tuple(map(repr, network.names))
    return Structure(sizes, side(network.first), side(network.later), network.tied, called)


@lru_cache(maxsize=64)
def program(of: Structure, reduction: Reduction = SUM, alone: bool = False) -> Program:
    """The compiled template of a structure, kept for the next network of the same one."""
    return compile(polynomial(of, reduction, alone))


def polynomial(of: Structure, reduction: Reduction = SUM, alone: bool = False) -> SliceTemplate:
    """The template of a structure.

    Parameters
    ----------
    reduction : how states are eliminated
        By a sum; by a maximum, for the most probable path; or by a random draw, for sampled paths. Where it works on
        logarithms, tables and indicators are given as logarithms.
    alone : bool
        Whether each slice stands alone, with the message of the slice before as an input instead of a state.
    """
    t = SliceTemplate("network polynomial")
    sizes = dict(of.sizes)
    for name in sizes:
        for slice_, side in ((0, of.first), (1, of.later)):
            parameter, parents = of.parameter(name, slice_), dict(side)[name]
            if parameter not in t.symbols:
                t.parameter(parameter, (sizes[name], *(sizes[parent] for parent, _ in parents)))
    for name in sizes:
        t.input(of.evidence(name), sizes[name], default=1.0)
    for suffix, part in _suffixed(of):
        _part(t, of, suffix, part, reduction, alone)
    return t


def parts(of: Structure) -> list[list[Name]]:
    """The variables of the parts of a network that no edge joins, in any slice."""
    graph = nx.Graph()
    graph.add_nodes_from(name for name, _ in of.sizes)
    for side in (of.first, of.later):
        graph.add_edges_from((name, parent) for name, parents in side for parent, _ in parents)
    order = list(graph)
    return [sorted(part, key=order.index) for part in nx.connected_components(graph)]


def interface(of: Structure, part: Iterable[Name]) -> list[Name]:
    """The variables of a part that have children in the next slice."""
    used = {parent for name, parents in of.later for parent, lag in parents if lag}
    return [name for name in part if name in used]


def scales(of: Structure) -> list[str]:
    """The variables of a template whose logarithms add up to log p(evidence)."""
    return [("scale" if interface(of, part) else "f") + suffix for suffix, part in _suffixed(of)]


def messages(of: Structure) -> dict[str, str]:
    """The variables of a template that are messages, and the inputs that take their place where slices stand alone."""
    return {"alpha" + suffix: "before" + suffix for suffix, part in _suffixed(of) if interface(of, part)}


def _suffixed(of: Structure) -> list[tuple[str, list[Name]]]:
    """The parts of a network, each with what follows its variables' names in the template."""
    found = parts(of)
    return [("_" + of.title(part[0]) if len(found) > 1 else "", part) for part in found]


def _part(
    t: SliceTemplate, of: Structure, suffix: str, part: list[Name], reduction: Reduction, alone: bool
) -> None:  # fmt: skip
    """The equations of one part: the unscaled message f, its scale, and the message alpha."""
    state = interface(of, part)
    sizes = dict(of.sizes)
    shape = tuple(sizes[name] for name in state)
    kept = tuple((name, 0) for name in state)
    alpha = t.variable("alpha" + suffix, shape) if state else None
    before = (t.input("before" + suffix, shape) if alone else alpha.prev) if alpha is not None else None
    contraction = Contraction(t, sizes, reduction, suffix)
    first = contraction.of(_factors(t, of, part, 0), kept)
    later = _factors(t, of, part, 1)
    if before is not None:
        later = [(before, tuple((name, 1) for name in state)), *later]
    rest = contraction.of(later, kept)
    f = t.variable("f" + suffix, shape)
    t.define(f, rest, first=first)
    log = (lambda e: e) if reduction.logs else ops.log
    if alpha is None or alone:
        t.loss("L" + suffix, -log(contraction.total(f)))
    if alpha is None:
        return
    scale = t.variable("scale" + suffix, (1,) * len(shape))
    t.define(scale, ops.stop_gradient(contraction.total(f, keepdims=True)))
    t.define(alpha, f - scale if reduction.logs else f / scale)
    if not alone:
        t.loss("L" + suffix, -log(ops.reshape(scale, ())))
        t.loss("end" + suffix, -log(contraction.total(alpha)), at="last")


def _factors(t: SliceTemplate, of: Structure, part: list[Name], slice_: int) -> list[tuple[Expression, Labels]]:
    """The tables and indicators of a slice, each with the variables of its axes."""
    side = dict(of.later if slice_ else of.first)
    tables = [(t[of.parameter(name, slice_)], ((name, 0), *side[name])) for name in part]
    return [*tables, *((t[of.evidence(name)], ((name, 0),)) for name in part)]


def path(factors: list[Labels], kept: Labels, sizes: Mapping[Name, int]) -> tuple[list[tuple[int, ...]], Any]:
    """Which factors to multiply in which order, so that the work is little; and what opt_einsum says about it."""
    import opt_einsum

    letters: dict[Label, str] = {}
    for labels in factors:
        for label in labels:
            letters.setdefault(label, opt_einsum.get_symbol(len(letters)))
    inputs = ["".join(letters[label] for label in labels) for labels in factors]
    shapes = [tuple(sizes[name] for name, _ in labels) for labels in factors]
    subscripts = ",".join(inputs) + "->" + "".join(letters[label] for label in kept)
    found, info = opt_einsum.contract_path(subscripts, *shapes, shapes=True, optimize="auto")
    return list(found), info


LARGEST = 1 << 26  # numbers in one table of a slice: half a gigabyte


@dataclass
class Contraction:
    """Products of factors with variables eliminated from them, two factors at a time."""

    template: SliceTemplate
    sizes: Mapping[Name, int]
    reduction: Reduction
    suffix: str
    draws: int = 0

    def of(self, factors: list[tuple[Expression, Labels]], kept: Labels) -> Expression:
        """The product of factors with all variables but the kept ones eliminated."""
        numbered = list(enumerate(factors))  # by their first factor, in whose order products are written
        for places in path([labels for _, labels in factors], kept, self.sizes)[0]:
            chosen = sorted((numbered[k] for k in places), key=lambda part: part[0])
            numbered = [part for k, part in enumerate(numbered) if k not in places]
            needed = {*kept, *(label for _, (_, labels) in numbered for label in labels)}
            numbered.append((chosen[0][0], self._pair([factor for _, factor in chosen], needed)))
        ((_, (whole, labels)),) = numbered
        order = [labels.index(label) for label in kept]
        return ops.transpose(whole, order) if order != sorted(order) else whole

    def _pair(self, factors: list[tuple[Expression, Labels]], needed: set[Label]) -> tuple[Expression, Labels]:
        """The product of one or two factors, without the variables that nothing else needs."""
        union = tuple(dict.fromkeys(label for _, labels in factors for label in labels))
        left = tuple(label for label in union if label in needed)
        gone = tuple(label for label in union if label not in needed)
        self._check_size(left if self.reduction is SUM and len(factors) == 2 else union)
        if not gone:
            return self._product(factors, union), union
        if self.reduction is SUM and len(factors) == 2:
            return self._matrix_product(factors, left, gone)
        whole = self._product(factors, (*left, *gone))
        return self.reduced(whole, tuple(range(len(left), len(union)))), left

    def _check_size(self, labels: Labels) -> None:
        """Refuse tables that no memory holds."""
        size = self._size(labels)
        if size > LARGEST:
            some = ", ".join(str(name) for name, _ in labels[:3])
            raise ModelError(
                f"exact inference needs a table over {len(labels)} variables ({some}, ...) in every slice, which is"
                f" {size:.2g} numbers; leave out edges between the variables of a slice and of the next, or states"
            )

    def _size(self, labels: Labels) -> int:
        return math.prod(self.sizes[name] for name, _ in labels)

    def _product(self, factors: list[tuple[Expression, Labels]], union: Labels) -> Expression:
        """The product of factors over the axes of all of them."""
        aligned: list[Any] = []
        for e, labels in factors:
            order = sorted(range(len(labels)), key=lambda k: union.index(labels[k]))
            shape = [self.sizes[label[0]] if label in labels else 1 for label in union]
            while shape and shape[0] == 1 and len(shape) > len(labels):
                shape.pop(0)  # axes in front align by themselves
            aligned.append(ops.reshape(ops.transpose(e, order), tuple(shape)))
        both = aligned if len(aligned) == 2 else [*aligned, 0.0 if self.reduction.logs else 1.0]
        product = both[0] + both[1] if self.reduction.logs else both[0] * both[1]
        return ops.broadcast_to(product, tuple(self.sizes[name] for name, _ in union))

    def _matrix_product(
        self, factors: list[tuple[Expression, Labels]], left: Labels, gone: Labels
    ) -> tuple[Expression, Labels]:
        """A product summed over variables: as one of matrices where the factors share just these."""
        (a, of_a), (b, of_b) = factors
        shared = {*of_a} & {*of_b}
        if shared != {*gone} or len(of_a) == len(of_b) == len(gone):
            letters = {label: ascii_letters[k] for k, label in enumerate(dict.fromkeys((*of_a, *of_b)))}
            inputs = ",".join("".join(letters[label] for label in labels) for labels in (of_a, of_b))
            return ops.einsum(f"{inputs}->{''.join(letters[label] for label in left)}", a, b), left
        if len(of_a) == len(gone):  # the vector on the right
            (a, of_a), (b, of_b) = (b, of_b), (a, of_a)
        rows = tuple(label for label in of_a if label not in gone)
        columns = tuple(label for label in of_b if label not in gone)
        matrix = self._as_matrix(a, of_a, rows, gone)
        other = self._as_matrix(b, of_b, gone, columns)
        product = ops.matmul(matrix, other)
        return ops.reshape(product, tuple(self.sizes[name] for name, _ in (*rows, *columns))), (*rows, *columns)

    def _as_matrix(self, e: Expression, labels: Labels, rows: Labels, columns: Labels) -> Expression:
        """A factor as a matrix, or as a vector where it has no columns."""
        turned = ops.transpose(e, [labels.index(label) for label in (*rows, *columns)])
        sizes = [self._size(part) for part in (rows, columns)]
        return ops.reshape(turned, tuple(sizes if columns else sizes[:1]))

    def total(self, e: Expression, keepdims: bool = False) -> Expression:
        """An expression with all axes eliminated."""
        return self.reduced(e, tuple(range(len(e.shape))), keepdims) if e.shape else e

    def reduced(self, e: Expression, axes: tuple[int, ...], keepdims: bool = False) -> Expression:
        """An expression with axes eliminated; a draw takes a random number from an input of its own."""
        if self.reduction is not DRAW:
            return self.reduction.reduce(e, axes, keepdims)
        self.draws += 1
        number = self.template.input(f"u{self.suffix}_{self.draws}", ())
        return self.reduction.reduce(e, axes, keepdims, number)

"""Variables eliminated from a product of factors, two factors at a time.

A factor is an expression and the label of each of its axes: a variable, and its lag. The order in which factors are
multiplied is opt_einsum's, so that the tables in between stay small.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

from dbn_bptt import ops
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.dbn.polynomial.reductions import DRAW, SUM, Reduction
from dbn_bptt.errors import ModelError
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Piece
from dbn_bptt.template.domains import Domain
from dbn_bptt.template.expressions import Expression

Label = tuple[Name, int]  # a variable, and its lag
Labels = tuple[Label, ...]
Factor = tuple[Expression, Labels]

LARGEST = 1 << 26  # numbers in one table of a slice: half a gigabyte
MANY = 16  # factors, from which on products of some of them are variables, so that no equation reads all


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
    steps, info = opt_einsum.contract_path(subscripts, *shapes, shapes=True, optimize="auto")
    return list(steps), info


@dataclass
class Contraction:
    """Products of factors with variables eliminated from them; draws take random numbers from inputs of their own."""

    template: SliceTemplate
    sizes: Mapping[Name, int]
    reduction: Reduction
    suffix: str
    draws: int = 0
    products: int = 0

    def of(self, factors: list[Factor], kept: Labels, domain: Domain) -> Expression:
        """The product of factors, on some slices, with all variables but the kept ones eliminated."""
        numbered = list(enumerate(factors))  # by their first factor, in whose order products are written
        for places in path([labels for _, labels in factors], kept, self.sizes)[0]:
            chosen = sorted((numbered[k] for k in places), key=lambda part: part[0])
            numbered = [part for k, part in enumerate(numbered) if k not in places]
            needed = {*kept, *(label for _, (_, labels) in numbered for label in labels)}
            product, labels = self._eliminated([factor for _, factor in chosen], needed)
            if len(factors) > MANY:
                product = self._named(product, domain)
            numbered.append((chosen[0][0], (product, labels)))
        ((_, (product, labels)),) = numbered
        order = [labels.index(label) for label in kept]
        return ops.transpose(product, order) if order != sorted(order) else product

    def _named(self, product: Expression, domain: Domain) -> Expression:
        """A variable for a product."""
        self.products += 1
        variable = self.template.variable(f"product{self.suffix}_{self.products}", product.shape)
        self.template.add(variable.symbol, [Piece(domain, product)])
        return variable

    def total(self, e: Expression, keepdims: bool = False) -> Expression:
        """An expression with all axes eliminated."""
        return self._reduced(e, tuple(range(len(e.shape))), keepdims) if e.shape else e

    def _reduced(self, e: Expression, axes: tuple[int, ...], keepdims: bool = False) -> Expression:
        if self.reduction is not DRAW:
            return self.reduction.reduce(e, axes, keepdims)
        self.draws += 1
        return self.reduction.reduce(e, axes, keepdims, self.template.input(f"u{self.suffix}_{self.draws}", ()))

    def _eliminated(self, factors: list[Factor], needed: set[Label]) -> Factor:
        """The product of one or two factors, without the variables that nothing else needs."""
        union = tuple(dict.fromkeys(label for _, labels in factors for label in labels))
        left = tuple(label for label in union if label in needed)
        gone = tuple(label for label in union if label not in needed)
        at_once = self.reduction is SUM and len(factors) == 2
        self._check_size(left if at_once else union)
        if not gone:
            return self._product(factors, union), union
        if at_once:
            return self._matrix_product(factors[0], factors[1], left, gone)
        return self._reduced(self._product(factors, (*left, *gone)), tuple(range(len(left), len(union)))), left

    def _check_size(self, labels: Labels) -> None:
        """Refuse tables that no memory holds."""
        size = math.prod(self._shape(labels))
        if size > LARGEST:
            some = ", ".join(str(name) for name, _ in labels[:3])
            raise ModelError(
                f"exact inference needs a table over {len(labels)} variables ({some}, ...) in every slice, which is"
                f" {size:.2g} numbers; leave out edges or states, or see factored for an approximation"
            )

    def _shape(self, labels: Labels) -> tuple[int, ...]:
        return tuple(self.sizes[name] for name, _ in labels)

    def _product(self, factors: list[Factor], union: Labels) -> Expression:
        """The product of factors over the axes of all of them."""
        aligned: list[Any] = []
        for e, labels in factors:
            order = sorted(range(len(labels)), key=lambda k: union.index(labels[k]))
            shape = [self.sizes[label[0]] if label in labels else 1 for label in union]
            while shape and shape[0] == 1 and len(shape) > len(labels):
                shape.pop(0)  # axes in front align by themselves
            aligned.append(ops.reshape(ops.transpose(e, order), tuple(shape)))
        a, b = aligned if len(aligned) == 2 else (*aligned, 0.0 if self.reduction.logs else 1.0)
        return ops.broadcast_to(a + b if self.reduction.logs else a * b, self._shape(union))

    def _matrix_product(self, one: Factor, other: Factor, left: Labels, gone: Labels) -> Factor:
        """A product summed over variables: as one of matrices where the factors share just these."""
        if {*one[1]} & {*other[1]} != {*gone} or len(one[1]) == len(other[1]) == len(gone):
            letters = dict(zip(dict.fromkeys((*one[1], *other[1])), ascii_letters, strict=False))
            a, b, ab = ("".join(letters[label] for label in labels) for labels in (one[1], other[1], left))
            return ops.einsum(f"{a},{b}->{ab}", one[0], other[0]), left
        if len(one[1]) == len(gone):  # the vector on the right
            one, other = other, one
        rows, columns = (tuple(label for label in labels if label not in gone) for _, labels in (one, other))
        product = ops.matmul(self._as_matrix(one, rows, gone), self._as_matrix(other, gone, columns))
        return ops.reshape(product, self._shape((*rows, *columns))), (*rows, *columns)

    def _as_matrix(self, factor: Factor, rows: Labels, columns: Labels) -> Expression:
        """A factor as a matrix, or as a vector where it has no columns."""
        e, labels = factor
        turned = ops.transpose(e, [labels.index(label) for label in (*rows, *columns)])
        sizes = tuple(math.prod(self._shape(part)) for part in (rows, columns))
        return ops.reshape(turned, sizes if columns else sizes[:1])

"""Losses: cross-entropy and squared error."""

import builtins
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops import kernels, nests, shapes
from dbn_bptt.ops.axes import reshape, sum
from dbn_bptt.ops.elementwise import log
from dbn_bptt.ops.reductions import exponentials, log_softmax, softmax
from dbn_bptt.ops.rows import ATOM, PRODUCT, SUM, Symbolic, ndim, operation, shape_of


def cross_entropy(logits: Any, target: Any) -> Any:
    """-sum_k target_k log softmax(logits)_k over the last axis, in nats.

    The target is an array of probabilities, or of class indices with one axis less. In a template, a target that is
    declared with `classes=` takes either form of data.

    Examples
    --------
    >>> round(float(cross_entropy(np.array([0.0, 0.0, 0.0]), 2)), 6) == round(float(np.log(3)), 6)
    True
    """
    if _is_distribution(logits):
        raise TemplateError("cross_entropy takes the logits first: cross_entropy(o, y) for a target y")
    if not isinstance(target, Symbolic) and ndim(target) == ndim(logits) - 1:
        target = kernels.one_hot(np.asarray(target), shape_of(logits)[-1])
    return _cross_entropy(logits, target)


def squared_error(a: Any, b: Any) -> Any:
    """Half the squared distance, sum((a - b)^2) / 2 over all axes, so that its derivative in a is a - b.

    Both have one shape, or one of them is a scalar.

    Examples
    --------
    >>> float(squared_error(np.array([1.0, 2.0]), np.array([1.0, 5.0])))
    4.5
    """
    if shape_of(a) != shape_of(b) and () not in (shape_of(a), shape_of(b)):
        raise TemplateError(f"squared_error of shapes {shape_of(a)} and {shape_of(b)}; give both one shape")
    return _squared_error(a - b, rank=builtins.max(ndim(a), ndim(b)))


_squared_error = operation(
    "squared_error", kernels.half_square, [lambda g, y, d, rank: reshape(g, (1,) * rank) * d],
    shape=lambda d, rank: (),
    latex=r"\tfrac{1}{2} \lVert {0} \rVert^{2}", text="1/2 |{0}|^2", level=PRODUCT, fresh=True,
    nest=nests.half_square,
)  # fmt: skip


def total_probability(p: Any, keepdims: bool = False) -> Any:
    """The sum over the last axis, known to be 1 for a target of distributions in its own slice; before and after the
    sequence, where such a target is 0, it is not."""
    if _is_distribution(p) and not p.delay:
        return np.ones((*shape_of(p)[:-1], 1) if keepdims else shape_of(p)[:-1])
    return sum(p, -1, keepdims)


def _is_distribution(p: Any) -> bool:
    """Whether something is a target whose data sum to 1."""
    return bool(getattr(getattr(p, "symbol", None), "probabilities", False))


def _column(g: Any) -> Any:
    return reshape(g, (*shape_of(g), 1))


expectation = operation(
    "expectation", kernels.expectation,
    [lambda g, y, p, a: _column(g) * a, lambda g, y, p, a: _column(g) * p],
    shape=shapes.cross_entropy_shape, elementwise=False, fresh=True,
    latex=r"\mathrm{E}_{{0}}[{1}]", text="E_{0}[{1}]", batch_sum=kernels.expectation_batch_sum,
    nest=nests.expectation, traced=kernels.expectation_traced,
)  # fmt: skip


def _lowered_cross_entropy(o: Any, p: Any) -> Any:
    shifted, _, total = exponentials(o, (-1,))
    return reshape(log(total), shape_of(o)[:-1]) * total_probability(p) - expectation(p, shifted)


_cross_entropy = operation(
    "cross_entropy", kernels.cross_entropy,
    [
        lambda g, y, o, p: _column(g) * (softmax(o) * total_probability(p, keepdims=True) - p),
        lambda g, y, o, p: -_column(g) * log_softmax(o),
    ],
    shape=shapes.cross_entropy_shape, elementwise=False,
    latex=r"-{1}^\top \log \mathrm{softmax}({0})", text="-{1}' log softmax({0})", level=SUM, needs=(SUM, ATOM),
    lower=_lowered_cross_entropy, unfolded=lambda o, p: -(p @ log(softmax(o))) if ndim(o) == 1 else None,
)  # fmt: skip

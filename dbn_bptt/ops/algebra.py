"""Linear algebra: products of vectors, matrices and stacks of them."""

import builtins
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops import kernels, nests, shapes
from dbn_bptt.ops.axes import broadcast_to, reshape, sum_to
from dbn_bptt.ops.rows import ATOM, JUXTAPOSED, RAISED, Map, Move, Operation, Vjp, ndim, operation, shape_of
from dbn_bptt.ops.shapes import Shape


def transpose(a: Any, axes: Sequence[int] | None = None) -> Any:
    """Permute the axes; reverse them without `axes`.

    Examples
    --------
    >>> transpose(np.array([[1.0, 2.0, 3.0]])).shape
    (3, 1)
    """
    rank = ndim(a)
    order = tuple(range(rank))[::-1] if axes is None else tuple(k + rank if k < 0 else k for k in map(int, axes))
    if sorted(order) != list(range(rank)):
        raise TemplateError(f"axes {axes} do not permute the {ndim(a)} axes of shape {shape_of(a)}")
    return a if order == tuple(range(ndim(a))) else _transpose(a, axes=order)


def swap(a: Any) -> Any:
    """Transpose the last two axes."""
    rank = ndim(a)
    return transpose(a, (*range(rank - 2), rank - 1, rank - 2))


def _turned_view(shape: Shape, axes: tuple[int, ...]) -> str | None:
    rank = len(axes)
    return ".mT" if axes == (*range(rank - 2), rank - 1, rank - 2) else None


def _simpler_transpose(a: Any, axes: tuple[int, ...]) -> Any:
    if parts := a.applied(_transpose):
        inner = dict(a.attributes)["axes"]
        return transpose(parts[0], [inner[k] for k in axes])
    return outer(*reversed(parts)) if (parts := a.applied(outer)) else None


_transpose: Operation = operation(
    "transpose", kernels.transpose, [lambda g, y, a, axes: transpose(g, [axes.index(k) for k in range(len(axes))])],
    shape=lambda a, axes: tuple(a[k] for k in axes),
    latex=r"{0}^\top", text="{0}'", level=RAISED, needs=(ATOM,),
    role=Move(_turned_view), simplify=_simpler_transpose, nest=nests.transposed,
)  # fmt: skip


def matmul(a: Any, b: Any) -> Any:
    """The matrix product, as `numpy.matmul` defines it for the core shapes, broadcasting included.

    Examples
    --------
    >>> matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    ranks = ndim(a), ndim(b)
    if 0 in ranks:
        raise TemplateError(f"a matrix product needs at least one axis: shapes {shape_of(a)} and {shape_of(b)}; use *")
    if min(ranks) == 1 and builtins.max(ranks) > 2:  # a stack of matrices times one vector: make the vector a matrix
        if ranks[0] == 1:
            stack = matmul(reshape(a, (1, *shape_of(a))), b)
            return reshape(stack, (*shape_of(stack)[:-2], shape_of(stack)[-1]))
        stack = matmul(a, reshape(b, (*shape_of(b), 1)))
        return reshape(stack, shape_of(stack)[:-1])
    if ranks == (1, 1):
        return inner(a, b)
    if ranks == (1, 2):
        return matmul(transpose(b), a)
    if min(ranks) > 1:
        rank = builtins.max(ranks)
        a, b = (reshape(m, (1,) * (rank - ndim(m)) + shape_of(m)) for m in (a, b))
        ranks = rank, rank
    return _matmul(a, b, ranks=ranks)


_matmul = operation(
    "matmul", kernels.matmul,
    [
        lambda g, y, a, b, ranks: outer(g, b) if ranks == (2, 1) else sum_to(matmul(g, swap(b)), a),
        lambda g, y, a, b, ranks: sum_to(matmul(swap(a), g), b),
    ],
    shape=shapes.matmul_shape,
    latex="{0} {1}", text="{0} {1}", level=JUXTAPOSED, needs=(JUXTAPOSED, JUXTAPOSED),
    role=Map(lambda ranks: ranks == (2, 1)), nest=nests.product_of_matrices,
)  # fmt: skip
inner = operation(
    "inner", kernels.inner, [lambda g, y, a, b: g * b, lambda g, y, a, b: g * a], shape=shapes.inner_shape,
    latex=r"{0}^\top {1}", text="{0}' {1}", level=JUXTAPOSED, needs=(ATOM, JUXTAPOSED), fresh=True,
    nest=partial(nests.contraction, inputs=("i", "i"), output=""),
)  # fmt: skip
outer: Operation = operation(
    "outer", kernels.outer, [lambda g, y, a, b: matmul(g, b), lambda g, y, a, b: matmul(a, g)],
    shape=shapes.outer_shape, latex=r"{0} {1}^\top", text="{0} {1}'", level=JUXTAPOSED, needs=(JUXTAPOSED, ATOM),
    batch_sum=kernels.outer_batch_sum, summed="flat({0}).T @ flat({1})", fresh=True,
    nest=partial(nests.contraction, inputs=("i", "j"), output="ij"),
)  # fmt: skip
inverse = operation(
    "inverse", np.linalg.inv, [lambda g, y, a: -matmul(matmul(swap(y), g), swap(y))], shape=shapes.square_shape,
    latex="{0}^{-1}", text="{0}^-1", level=RAISED, needs=(ATOM,), nest=nests.inverse,
)  # fmt: skip
logdet = operation(
    "logdet", kernels.logdet, [lambda g, y, a: reshape(g, (*shape_of(g), 1, 1)) * swap(inverse(a))],
    shape=lambda a: shapes.square_shape(a)[:-2], latex=r"\log|{0}|", text="log|{0}|", fresh=True,
    nest=nests.log_determinant,
)  # fmt: skip


def einsum(subscripts: str, *operands: Any) -> Any:
    """`numpy.einsum` over the core axes, with an explicit or implicit output and without an ellipsis.

    Examples
    --------
    >>> einsum("ij,j->i", np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    inputs, output, operands = shapes.einsum_labels(subscripts, operands, shape_of)
    return _einsum(*operands, inputs=inputs, output=output)


def _einsum_vjp(position: int) -> Vjp:
    def vjp(g: Any, y: Any, *operands: Any, inputs: tuple[str, ...], output: str) -> Any:
        others = [k for k in range(len(operands)) if k != position]
        reached = set(output).union(*(inputs[k] for k in others))
        wanted = "".join(label for label in inputs[position] if label in reached)
        labels = (output, *(inputs[k] for k in others))
        message = _einsum(g, *(operands[k] for k in others), inputs=labels, output=wanted)
        mine = shape_of(operands[position])
        kept = tuple(n if label in reached else 1 for label, n in zip(inputs[position], mine, strict=True))
        return broadcast_to(reshape(message, kept), mine)

    return vjp


_einsum = operation(
    "einsum", kernels.einsum, _einsum_vjp, shape=shapes.einsum_shape,
    latex=lambda *a, inputs, output: rf"\mathrm{{einsum}}_{{{','.join(inputs)}\to {output}}}({', '.join(a)})",
    text=lambda *a, inputs, output: f"einsum({','.join(inputs)}->{output}; {', '.join(a)})",
    batch_sum=kernels.einsum_batch_sum, nest=nests.contraction,
)  # fmt: skip

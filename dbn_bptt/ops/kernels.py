"""The numerical kernels behind the table of operations.

A kernel gets arrays whose last axes are the core axes; axes of the batch may stand before them, in some arguments and
not in others. Where NumPy is quickest with a branch on numbers, or with writing into an array, the same stands below
without: `..._traced(xp, ...)`, for array modules like JAX's that trace functions.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbn_bptt.errors import TemplateError
from dbn_bptt.ops.shapes import Shape, reduced_shape, spans

Array = NDArray[Any]


def _lead(a: Array, rank: int) -> Shape:
    """The batch axes of an array with `rank` core axes."""
    return a.shape[: a.ndim - rank]


# -------------------------------------------------------------------------------------------------------- elementwise
def power(a: Array, exponent: float) -> Array:
    return a**exponent


def identity(a: Array) -> Array:
    return a


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), safe from overflow."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1, e) / (1 + e)


def logistic(a: Array, out: Array | None = None) -> Array:
    """1 / (1 + exp(-a)), for those who ignore the overflow themselves."""
    out = np.negative(a, out=np.empty(a.shape, np.result_type(a, np.float16)) if out is None else out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    return np.divide(1, out, out=out)


def step(a: Array) -> Array:
    return (a > 0).astype(a.dtype)


def relu(a: Array) -> Array:
    return np.maximum(a, 0)


def softplus(a: Array) -> Array:
    """log(1 + exp(a)), safe from overflow."""
    return np.logaddexp(a, a.dtype.type(0))


def select(mask: Array, a: Array, b: Array) -> Array:
    return np.where(mask != 0, a, b)


# ----------------------------------------------------------------------------------------------------- linear algebra
def matmul(a: Array, b: Array, ranks: tuple[int, int]) -> Array:
    """The product for core ranks (2, 1) or equal ranks from 2 on.

    A matrix without batch axes times a batch of vectors is one matrix product, not B of them.
    """
    if ranks == (2, 1):
        return b @ a.T if a.ndim == 2 else np.matmul(a, b[..., None])[..., 0]
    return np.matmul(a, b)


def inner(a: Array, b: Array) -> Array:
    return np.einsum("...i,...i->...", a, b)


def outer(a: Array, b: Array) -> Array:
    return a[..., :, None] * b[..., None, :]


def outer_batch_sum(a: Array, b: Array, batch: Shape) -> Array:
    """The outer products of a batch, summed: one matrix product."""
    if a.ndim == b.ndim:
        summed = a.reshape(-1, a.shape[-1]).T @ b.reshape(-1, b.shape[-1])
        return summed if a.ndim > 1 else summed * math.prod(batch)
    return outer(a.reshape(-1, a.shape[-1]).sum(0), b.reshape(-1, b.shape[-1]).sum(0))


def logdet(a: Array) -> Array:
    return np.linalg.slogdet(a)[1]


def einsum(*operands: Array, inputs: tuple[str, ...], output: str) -> Array:
    """`numpy.einsum`, the batch axes of all operands broadcast."""
    subscripts = ",".join("..." + labels for labels in inputs) + "->..." + output
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)


def einsum_batch_sum(*operands: Array, inputs: tuple[str, ...], output: str, batch: Shape) -> Array:
    """An einsum summed over the batch: the batch is one more label that the output lacks."""
    pairs = list(zip(operands, inputs, strict=True))
    batched = [a.ndim > len(labels) for a, labels in pairs]
    flat = [a.reshape(-1, *a.shape[a.ndim - len(labels) :]) if a.ndim > len(labels) else a for a, labels in pairs]
    labels = ["Z" * b + s for s, b in zip(inputs, batched, strict=True)]
    summed = np.einsum(",".join(labels) + "->" + output, *flat, optimize=len(operands) > 1)
    return summed if any(batched) else summed * math.prod(batch)


# -------------------------------------------------------------------------------------------------------------- shape
def transpose(a: Array, axes: tuple[int, ...]) -> Array:
    lead = a.ndim - len(axes)
    return np.transpose(a, (*range(lead), *(lead + k for k in axes)))


def reshape(a: Array, shape: Shape, rank: int) -> Array:
    return a.reshape(_lead(a, rank) + shape)


def broadcast(a: Array, shape: Shape) -> Array:
    return np.broadcast_to(a, _lead(a, len(shape)) + shape)


def concatenate(*parts: Array, axis: int, sizes: tuple[int, ...]) -> Array:
    """Join along a core axis."""
    core = min(p.ndim for p in parts)
    lead = np.broadcast_shapes(*(_lead(p, core) for p in parts)) if any(p.ndim > core for p in parts) else ()
    return np.concatenate([np.broadcast_to(p, lead + p.shape[p.ndim - core :]) for p in parts], axis=axis)


def _decode(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return (Ellipsis, *(slice(k[1], None if k[2] < 0 else k[2], k[3]) if spans(k) else k for k in key))


def index(a: Array, key: tuple[Any, ...], shape: Shape) -> Array:
    return a[_decode(key)]


def scatter(a: Array, key: tuple[Any, ...], shape: Shape) -> Array:
    """Zeros of a shape with `a` at the index."""
    rank = sum(map(spans, key))
    out = np.zeros(_lead(a, rank) + shape, a.dtype)
    out[_decode(key)] = a
    return out


def scatter_traced(xp: Any, a: Any, key: tuple[Any, ...], shape: Shape) -> Any:
    """Zeros of a shape with `a` at the index."""
    rank = sum(map(spans, key))
    return xp.zeros(_lead(a, rank) + shape, a.dtype).at[_decode(key)].set(a)


# --------------------------------------------------------------------------------------------------------- reductions
def sum_(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    return a.sum(axis, keepdims=keepdims)


def max_(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    return a.max(axis, keepdims=keepdims)


def peak(a: Array, axis: tuple[int, ...]) -> Array:
    """The maximum over core axes, which stay with size 1; 0 where all is -inf, and NaN left out, which makes it several
    times faster."""
    m = np.fmax.reduce(a, axis, keepdims=True)
    return m if m.min(initial=0) > -np.inf else np.where(m == -np.inf, m.dtype.type(0), m)


def peak_traced(xp: Any, a: Any, axis: tuple[int, ...]) -> Any:
    """The maximum over core axes, which stay with size 1; 0 where all is -inf."""
    m = a.max(axis, keepdims=True)
    return xp.where(m == -xp.inf, 0, m)


def is_max(a: Array, axis: tuple[int, ...]) -> Array:
    """1 at the maximum; equal shares where it is attained more than once."""
    hits = (a == a.max(axis, keepdims=True)).astype(a.dtype)
    return hits / hits.sum(axis, keepdims=True)


def _shifted_exp(a: Array, axis: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """exp(a - m), its sum, and m, the maximum over the axis (0 where that is infinite)."""
    m = a.max(axis, keepdims=True)
    m = np.where(np.isfinite(m), m, a.dtype.type(0))
    e = np.exp(a - m)
    return e, e.sum(axis, keepdims=True), m


def logsumexp(a: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """log sum exp over core axes."""
    _, total, m = _shifted_exp(a, axis)
    out = np.where(total == 0, -np.inf, np.log(np.where(total == 0, 1, total)) + m)
    return out if keepdims else out.reshape(reduced_shape(a.shape, axis))


def softmax(a: Array, axis: tuple[int, ...]) -> Array:
    """exp(a) / sum exp(a); zeros where every element is -inf."""
    e, total, _ = _shifted_exp(a, axis)
    return e / np.where(total == 0, a.dtype.type(1), total)


def log_softmax(a: Array, axis: tuple[int, ...]) -> Array:
    return a - logsumexp(a, axis, keepdims=True)


# ------------------------------------------------------------------------------------------------------------- losses
def cross_entropy(logits: Array, target: Array) -> Array:
    """-sum target * log_softmax(logits) over the last axis."""
    loss = -expectation(target, log_softmax(logits, (-1,)))
    return np.asarray(loss, np.result_type(logits, np.float16))


def expectation(p: Array, a: Array) -> Array:
    """sum p * a over the last axis; what p gives nothing counts 0, though it be infinite."""
    total = np.einsum("...k,...k->...", p, a)
    return np.einsum("...k,...k->...", p, np.where(p == 0, 0, a)) if np.isnan(total).any() else total


def expectation_traced(xp: Any, p: Any, a: Any) -> Any:
    """sum p * a over the last axis; what p gives nothing counts 0, though it be infinite."""
    return xp.sum(xp.where(p == 0, 0, p * xp.where(p == 0, 0, a)), -1)


def expectation_batch_sum(p: Array, a: Array, batch: Shape) -> Array:
    if p.shape != a.shape or p.ndim == 1:
        return batch_sum(expectation(p, a), 0, batch)
    total = np.vdot(p, a)
    return np.asarray(np.vdot(p, np.where(p == 0, 0, a)) if np.isnan(total) else total)


def half_square(difference: Array, rank: int) -> Array:
    return 0.5 * np.square(difference).sum(tuple(range(-rank, 0)))


def one_hot(classes: Array, K: int) -> Array:
    """Class indices as indicator vectors of K entries."""
    if not np.issubdtype(classes.dtype, np.integer) or (classes.size and not 0 <= classes.min() <= classes.max() < K):
        raise TemplateError(f"class indices must be integers from 0 to {K - 1}, not {np.unique(classes)[:5]}")
    return np.eye(K)[classes]


# -------------------------------------------------------------------------------------------------------------- batch
def batch_sum(a: Array, rank: int, batch: Shape) -> Array:
    """The sum over the batch axes; an array without them counts once for every sequence."""
    lead = a.ndim - rank
    return a.sum(tuple(range(lead))) if lead else a * math.prod(batch)

"""Scans parallel in time, in place of `jax.lax.scan`: functions that programs of JAX show, and run there.

Each takes a function ``step(carry, rows) -> (carry, results)`` of one slice, what is carried at first, and the rows of
all slices; arrays carried have the axis of the batch in front. A prefix of n slices is put together in about log2(n)
rounds (Blelloch 1990) instead of n steps.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp


def product(a: Any, b: Any) -> Any:
    """The product of stacks of matrices; of small ones written out, which is quicker."""
    return a @ b if a.shape[-1] > 16 else (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def as_vectors(carry: Any) -> Any:
    """What is carried as one vector for each sequence."""
    return jnp.concatenate([a.reshape(*a.shape[:1], -1) for a in carry], -1)


def as_carried(vectors: Any, like: Any) -> Any:
    """Vectors as what is carried."""
    parts, at = [], 0
    for a in like:
        size = math.prod(a.shape[1:])
        parts.append(vectors[..., at : at + size].reshape(a.shape))
        at += size
    return tuple(parts)


def each_slice(function: Any, vectors: Any, rows: Any) -> Any:
    """A function of what is carried into a slice, and of its rows, in all slices at once."""
    return jax.vmap(function, in_axes=(0, None if rows is None else 0))(vectors, rows)


def before_each(start: Any, vectors: Any, reverse: bool) -> Any:
    """What is carried into each slice, from what is carried out of each."""
    parts = [vectors[1:], start[None]] if reverse else [start[None], vectors[:-1]]
    return jnp.concatenate(parts)


def units(n: int, B: int, one: float, zero: float, dtype: Any) -> Any:
    """Vectors with a one in one place, for all sequences alike, (n, B, n)."""
    return jnp.broadcast_to(jnp.where(jnp.eye(n, dtype=bool), one, zero).astype(dtype)[:, None], (n, B, n))


def linearised(step: Any, carry: Any) -> Any:
    """What is carried out of a slice and its Jacobian, as a function of what is carried in, and of the rows."""

    def at(vectors: Any, rows: Any) -> Any:
        B, n = vectors.shape

        def moved(v: Any) -> Any:
            return as_vectors(step(as_carried(v, carry), rows)[0])

        value, push = jax.linearize(moved, vectors)
        return value, jax.vmap(push, out_axes=-1)(units(n, B, 1, 0, vectors.dtype))

    return at


def bounded(a: Any) -> Any:
    """What is too large for a number, the largest: 0 times that is 0, as it should be."""
    most = np.finfo(a.dtype).max
    return jnp.clip(a, -most, most)


def applied(J: Any, vectors: Any) -> Any:
    """Matrices, or diagonals, times vectors."""
    return J * vectors if J.ndim == vectors.ndim else product(J, vectors[..., None])[..., 0]


def composed(first: Any, second: Any) -> Any:
    """Two affine maps, (matrix or diagonal, vector), one after the other."""
    (J1, c1), (J2, c2) = first, second
    return bounded(J2 * J1 if J1.ndim == c1.ndim else product(J2, J1)), applied(J2, c1) + c2


def solved(J: Any, c: Any, start: Any, reverse: bool) -> Any:
    """The vectors s of the affine recursion s_t = J_t s_{t-1} + c_t in all slices."""
    at = -1 if reverse else 0
    c = c.at[at].add(applied(J[at], start))
    return jax.lax.associative_scan(composed, (J, c), reverse=reverse)[1]


def smoothed(J: Any, c: Any, start: Any, seen: Any, trust: float, reverse: bool) -> Any:
    """The smoothed means of s_t = J_t s_{t-1} + c_t + noise, J_t diagonal, each s_t seen as it was guessed.

    The noise has variance 1, that of what is seen 1 / trust; the elements of the filter are those of Särkkä and
    García-Fernández (2021).
    """
    k, at = trust / (1 + trust), -1 if reverse else 0
    c, J = c.at[at].add(J[at] * start), J.at[at].set(0)
    elements = (1 - k) * J, c + k * (seen - c), (1 - k) * jnp.ones_like(J), k * J * (seen - c), k * J * J
    _, m, P, _, _ = jax.lax.associative_scan(filtered, elements, reverse=reverse)
    # backwards: s_t given the slice after it is affine in that; the last one is filtered
    J, c = (before_each(jnp.zeros_like(start), a, not reverse) for a in (J, c))
    gain = P * J / (J * P * J + 1)
    return solved(gain, m - gain * (J * m + c), jnp.zeros_like(start), not reverse)


def filtered(first: Any, second: Any) -> Any:
    """Two stretches of a Kalman filter, one after the other, for numbers that do not touch each other."""
    (A1, b1, C1, n1, J1), (A2, b2, C2, n2, J2) = first, second
    share = 1 / (1 + C1 * J2)
    A = A2 * share * A1
    b, C = A2 * share * (b1 + C1 * n2) + b2, A2 * share * C1 * A2 + C2
    return A, b, C, A1 * share * (n2 - J2 * b1) + n1, A1 * share * J2 * A1 + J1


def rows_of(rows: Any, length: int) -> Any:
    """The rows of all slices, of which there are `length` where nothing is read."""
    return jnp.zeros(length) if rows is None else rows


def at_once_or_in_turn(is_right: Any, states: Any, step: Any, carry: Any, rows: Any, reverse: bool) -> Any:
    """The results of all slices, from the function that gives their states if that is right; else slice by slice."""

    def at_once(_: Any) -> Any:
        into = before_each(as_vectors(carry), states(), reverse)
        return each_slice(lambda v, row: step(as_carried(v, carry), row)[1], into, rows)

    def in_turn(_: Any) -> Any:
        return jax.lax.scan(step, carry, rows, reverse=reverse)[1]

    return jax.lax.cond(is_right, at_once, in_turn, None)


def affine_scan(step: Any, carry: Any, rows: Any, length: int = 0, reverse: bool = False) -> Any:
    """A scan that is affine in what it carries."""
    rows, start = rows_of(rows, length), as_vectors(carry)
    T = len(jax.tree.leaves(rows)[0])
    c, J = each_slice(linearised(step, carry), jnp.zeros((T, *start.shape), start.dtype), rows)
    is_finite = jnp.isfinite(c).all() & jnp.isfinite(J).all() & jnp.isfinite(start).all()  # 0 times -inf is NaN
    return None, at_once_or_in_turn(is_finite, lambda: solved(J, c, start, reverse), step, carry, rows, reverse)


def newton_scan(
    step: Any, carry: Any, rows: Any, length: int = 0, reverse: bool = False, *,
    jacobian: str, trust: float, tolerance: float | None, steps: int,
) -> Any:  # fmt: skip
    """Any scan, by Newton's method on all slices at once (Lim et al. 2024); and how many steps that took.

    Where it does not converge, the scan runs slice by slice, and the number of steps is -1.
    """
    rows, start = rows_of(rows, length), as_vectors(carry)
    T, at = len(jax.tree.leaves(rows)[0]), linearised(step, carry)
    least = (1e-10 if start.dtype == jnp.float64 else 1e-5) if tolerance is None else tolerance

    def improved(state: Any) -> Any:
        S, _, k = state
        into = before_each(start, S, reverse)
        value, J = each_slice(at, into, rows)
        if jacobian == "diagonal":
            J = jnp.diagonal(J, axis1=-2, axis2=-1)
        c = value - applied(J, into)
        new = smoothed(J, c, start, S, trust, reverse) if trust else solved(J, c, start, reverse)
        return new, (jnp.abs(new - S) / jnp.maximum(1, jnp.abs(new))).max(), k + 1

    def goes_on(state: Any) -> Any:
        _, change, k = state
        return (change > least) & (k < steps)

    guess = jnp.broadcast_to(start, (T, *start.shape))
    S, change, k = jax.lax.while_loop(goes_on, improved, (guess, jnp.asarray(jnp.inf, start.dtype), 0))

    is_there = change <= least
    return jnp.where(is_there, k, -1), at_once_or_in_turn(is_there, lambda: S, step, carry, rows, reverse)


def homogeneous_scan(
    step: Any, carry: Any, rows: Any, length: int = 0, reverse: bool = False, *, semiring: str
) -> Any:  # fmt: skip
    """A scan that is linear over some sums and products, but for a scale by which it divides.

    Its step gives in the third place what is carried before the division.
    """
    rows, start = rows_of(rows, length), as_vectors(carry)
    B, n = start.shape
    logs = semiring in ("maxima of sums", "logarithms")
    one, zero = (0.0, -jnp.inf) if logs else (1.0, 0.0)
    basis = units(n, B, one, zero, start.dtype)

    def matrix(row: Any) -> Any:
        def moved(v: Any) -> Any:
            return as_vectors(step(as_carried(v, carry), row)[2])

        return jax.vmap(moved, out_axes=-1)(basis)

    M = jax.vmap(matrix)(rows)
    at = -1 if reverse else 0
    first = combined(semiring, start[..., None], M[at])
    M = M.at[at].set(jnp.broadcast_to(first, M[at].shape))
    if logs:
        found = jax.lax.associative_scan(lambda a, b: levelled(combined(semiring, a, b)), M, reverse=reverse)
    else:
        scaled = (M, jnp.zeros(M.shape[:-2] + M.shape[-1:], M.dtype))
        found = jax.lax.associative_scan(lambda a, b: combined_scaled(semiring, a, b), scaled, reverse=reverse)[0]
    into = before_each(start, found[..., 0], reverse)
    # a prefix is right but for its scale, which the step takes away; its scales are those of what is right altogether
    exact = each_slice(lambda v, row: as_vectors(step(as_carried(v, carry), row)[0]), into, rows)
    into = before_each(start, exact, reverse)
    return each_slice(lambda v, row: step(as_carried(v, carry), row), into, rows)


def combined(semiring: str, first: Any, second: Any) -> Any:
    """The product of matrices, the second on the left, over a semiring."""
    if semiring == "sums of products":
        return product(second, first)
    terms = (second[..., :, :, None], first[..., None, :, :])
    both = terms[0] + terms[1]
    top = both.max(-2)
    if semiring == "maxima of sums":
        return top
    safe = jnp.where(jnp.isfinite(top), top, 0)
    return jnp.log(jnp.exp(both - safe[..., None, :]).sum(-2)) + safe


def combined_scaled(semiring: str, first: Any, second: Any) -> Any:
    """The same of matrices whose column k stands for M[:, k] exp(l[k]), so that none becomes too large or too small.

    What matters is the ratio of columns: the largest l is 0. A column of zeros has l = -inf, and says nothing.
    """
    (M1, l1), (M2, l2) = first, second
    scales = l2[..., :, None]
    there = (M1 != 0) & (scales > -jnp.inf)
    top = jnp.where(there, scales, -jnp.inf).max(-2)
    top = jnp.where(top > -jnp.inf, top, 0)
    weighed = M1 * jnp.where(there, jnp.exp(jnp.where(there, scales - top[..., None, :], 0)), 0)
    M = combined(semiring, weighed, M2)
    size = jnp.abs(M).max(-2)
    is_zero = size == 0
    size = jnp.where(is_zero, 1, size)
    scale = jnp.where(is_zero, -jnp.inf, l1 + top + jnp.log(size))
    largest = scale.max(-1, keepdims=True)
    return M / size[..., None, :], scale - jnp.where(largest > -jnp.inf, largest, 0)


def levelled(M: Any) -> Any:
    """Logarithms whose largest is 0, so that none becomes large."""
    return M - jnp.maximum(M.max((-2, -1), keepdims=True), -np.finfo(M.dtype).max)

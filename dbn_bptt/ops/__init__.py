"""Primitive operations: what each computes, its derivatives, its shape, how it is written, and how it compiles."""

from dbn_bptt.ops.algebra import einsum, inner, inverse, logdet, matmul, outer, transpose
from dbn_bptt.ops.axes import batch_sum, broadcast_to, concatenate, index, reshape, sum, sum_to
from dbn_bptt.ops.elementwise import (
    add,
    divide,
    exp,
    log,
    multiply,
    negative,
    power,
    relu,
    select,
    sigmoid,
    softplus,
    sqrt,
    square,
    step,
    stop_gradient,
    subtract,
    tanh,
)
from dbn_bptt.ops.losses import cross_entropy, expectation, squared_error, total_probability
from dbn_bptt.ops.reductions import log_softmax, logsumexp, max, peak, softmax

__all__ = [
    "add", "subtract", "multiply", "divide", "negative", "square", "power", "exp", "log", "sqrt",
    "tanh", "sigmoid", "step", "relu", "softplus", "select", "matmul", "inner", "outer", "inverse", "logdet", "einsum",
    "transpose", "reshape", "broadcast_to", "concatenate", "index", "sum", "sum_to", "max", "peak", "logsumexp",
    "softmax", "log_softmax", "stop_gradient", "cross_entropy", "expectation", "squared_error",
    "total_probability", "batch_sum",
]  # fmt: skip

"""Back-propagation through time for the Elman network, written out by hand in NumPy.

The formulas of Goodfellow, Bengio and Courville, Deep Learning, section 10.2.2, as two loops over t. This file uses
nothing else of the package: it is what the message passing is compared with.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def elman_bptt(
    parameters: Mapping[str, Array], x: Array, y: Array, h0: ArrayLike = 0.0, activation: str = "tanh"
) -> tuple[float, dict[str, Array]]:
    """Loss and gradients of the Elman network.

    a_t = b + W h_{t-1} + U x_t, h_t = f(a_t), o_t = c + V h_t, yhat_t = softmax(o_t), L = -sum_t y_t . log yhat_t.

    Parameters
    ----------
    parameters : dict with W (H, H), U (H, n), b (H,), V (K, H), c (K,)
    x : array (T, n) or (T, B, n)
    y : array (T, K) or (T, B, K)
        Probabilities; a class is a row with a single 1.
    h0 : array (H,) or (B, H)
    activation : "tanh" or "sigmoid"

    Returns
    -------
    loss : float
        Summed over slices and batch, in nats.
    gradients : dict
        For the five parameters, h0 (in its shape within the batch, (H,) or (B, H)) and x.

    Examples
    --------
    >>> p = {"W": np.zeros((1, 1)), "U": np.ones((1, 1)), "b": np.zeros(1), "V": np.ones((2, 1)), "c": np.zeros(2)}
    >>> loss, gradients = elman_bptt(p, np.ones((3, 1)), np.eye(2)[[0, 1, 0]])
    >>> round(loss, 6) == round(3 * float(np.log(2)), 6), gradients["c"]
    (True, array([-0.5,  0.5]))
    """
    W, U, b, V, c = (parameters[name] for name in "WUbVc")
    T = len(x)
    h_initial = np.zeros((*x.shape[1:-1], len(b)), x.dtype) + h0

    h: list[Array] = []
    yhat: list[Array] = []
    loss = 0.0
    for t in range(T):
        h_before = h[t - 1] if t > 0 else h_initial
        a = b + h_before @ W.T + x[t] @ U.T
        h.append(np.tanh(a) if activation == "tanh" else 1 / (1 + np.exp(-a)))
        o = c + h[t] @ V.T
        e = np.exp(o - o.max(-1, keepdims=True))
        yhat.append(e / e.sum(-1, keepdims=True))
        loss -= float(np.sum(y[t] * (o - o.max(-1, keepdims=True) - np.log(e.sum(-1, keepdims=True)))))

    d = {name: np.zeros_like(parameters[name]) for name in "WUbVc"}
    dx = np.zeros_like(x)
    from_later = np.zeros_like(h_initial)
    for t in reversed(range(T)):
        h_before = h[t - 1] if t > 0 else h_initial
        d_o = yhat[t] * y[t].sum(-1, keepdims=True) - y[t]
        d_h = d_o @ V + from_later
        d_a = d_h * (1 - h[t] ** 2 if activation == "tanh" else h[t] * (1 - h[t]))
        d["c"] += _over_batch(d_o)
        d["V"] += _outer(d_o, h[t])
        d["b"] += _over_batch(d_a)
        d["W"] += _outer(d_a, h_before)
        d["U"] += _outer(d_a, x[t])
        dx[t] = d_a @ U
        from_later = d_a @ W
    return loss, {**d, "h0": from_later, "x": dx}


def _over_batch(a: Array) -> Array:
    return a if a.ndim == 1 else a.sum(0)


def _outer(a: Array, b: Array) -> Array:
    """The outer product of two vectors; summed over the batch for two batches."""
    return np.outer(a, b) if a.ndim == 1 else a.T @ b

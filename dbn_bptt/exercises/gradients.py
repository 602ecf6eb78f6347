"""Chapter 3: the gradients of the definition."""

from functools import partial

import numpy as np

from dbn_bptt import ops
from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.exercises.networks import one_hot, parameters, swept
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.template.builder import SliceTemplate


def grad_o(yhat, y):
    """dL/do_t of every slice, (T, K), from yhat_t = softmax(o_t) and targets y; L = -sum_t y_t . log yhat_t.

    The targets of a slice may sum to any number.
    """
    return yhat * y.sum(axis=1, keepdims=True) - y


def grad_c(yhat, y):
    """dL/dc of shape (K,), from yhat (T, K) and targets y (T, K), each of which sums to 1."""
    return (yhat - y).sum(axis=0)


def grad_V(yhat, y, h):
    """dL/dV of shape (K, H), from yhat (T, K), targets y (T, K) that sum to 1, and states h (T, H)."""
    return sum(np.outer(yhat[t] - y[t], h[t]) for t in range(len(h)))


def grad_h(V, W, yhat, y, h):
    """dL/dh_t of every slice, (T, H), by the recursion from the last slice to the first; h_t = tanh(a_t)."""
    lam, later = np.zeros(h.shape), np.zeros(h.shape[1])
    for t in reversed(range(len(h))):
        lam[t] = V.T @ (yhat[t] - y[t]) + later
        later = W.T @ ((1 - h[t] ** 2) * lam[t])
    return lam


def grad_W(W, lam, h, h0):
    """dL/dW of shape (H, H), from messages lam_t = dL/dh_t (T, H), states h (T, H), and the initial state h0 (H,)."""
    before = np.vstack([h0, h[:-1]])
    return sum(np.outer((1 - h[t] ** 2) * lam[t], before[t]) for t in range(len(h)))


# ------------------------------------------------------------------------------ the same, by the package's messages
def _outputs(yhat, y, V=None, W=None, h=None):
    """BPTT of a network whose own parameters are V, W and c = 0, with inputs that lead it through h and yhat."""
    K, H = yhat.shape[1], 1 if h is None else h.shape[1]
    h = np.zeros((len(yhat), H)) if h is None else h
    V, W = np.zeros((K, H)) if V is None else V, np.zeros((H, H)) if W is None else W
    t = SliceTemplate("led")
    v, w, c = t.parameter("V", V.shape), t.parameter("W", W.shape), t.parameter("c", K)
    to_h, to_o, target = t.input("to_h", H), t.input("to_o", K), t.input("y", K)
    state, o = t.variable("h", H), t.variable("o", K)
    t.define(state, ops.tanh(to_h + w @ state.prev))
    t.define(o, to_o + c + v @ state)
    t.loss("L", -ops.sum(target * ops.log_softmax(o)))
    before = np.vstack([np.zeros(H), h[:-1]])
    data = {"to_h": np.arctanh(h) - before @ W.T, "to_o": np.log(yhat) - h @ V.T, "y": y}
    return bptt(t, {"V": V, "W": W, "c": np.zeros(K)}, data)


def _with_messages(W, lam, h, h0):
    """BPTT of a network led through h whose loss is linear in the states, so that lam are its messages."""
    H = h.shape[1]
    t = SliceTemplate("led")
    w, to_h, share = t.parameter("W", W.shape), t.input("to_h", H), t.input("share", H)
    state = t.variable("h", H, initial=h0)
    t.define(state, ops.tanh(to_h + w @ state.prev))
    t.loss("L", ops.sum(share * state))
    before = np.vstack([h0, h[:-1]])
    later = np.vstack([((1 - h[1:] ** 2) * lam[1:]) @ W, np.zeros((1, H))])
    return bptt(t, {"W": W}, {"to_h": np.arctanh(h) - before @ W.T, "share": lam - later})


# --------------------------------------------------------------------------------------------------------------- cases
def _network(rng):
    theta, T = parameters(rng), 4
    y = one_hot(rng, T, 2)
    return theta, y, swept(theta, rng.normal(size=(T, 2)), y)


def _yhat(rng):
    _, y, result = _network(rng)
    return result.values.stack("yhat"), y


def _states(rng):
    theta, y, result = _network(rng)
    return theta["V"], theta["W"], result.values.stack("yhat"), y, result.values.stack("h")


def _messages(rng):
    theta, _, result = _network(rng)
    return theta["W"], result.messages.stack("h"), result.values.stack("h"), rng.uniform(-1, 1, 3)


# ------------------------------------------------------------------------------------------------------------- mistakes
def _backwards(V, W, yhat, y, h, passed):
    """The recursion, with another way back from lam_{t+1} to slice t."""
    lam, following = np.zeros(h.shape), None
    for t in reversed(range(len(h))):
        lam[t] = V.T @ (yhat[t] - y[t])
        if following is not None:
            lam[t] += passed(W, h[t], h[t + 1], following)
        following = lam[t]
    return lam


def _twice(W, lam, h, h0):
    """Total derivatives of h_t in W, carried forwards, times total derivatives of L in h_t."""
    before, total = np.vstack([h0, h[:-1]]), np.zeros((len(h0), *W.shape))
    found = np.zeros(W.shape)
    for t in range(len(h)):
        immediate = np.einsum("ik,j->ikj", np.eye(len(h0)), before[t])
        total = (1 - h[t] ** 2)[:, None, None] * (immediate + np.tensordot(W, total, 1))
        found += np.tensordot(lam[t], total, 1)
    return found


EXERCISES = (
    Exercise(
        solution=grad_o,
        truth=lambda yhat, y: _outputs(yhat, y).messages.stack("o"),
        draw=lambda rng: (rng.dirichlet(np.ones(3), 4), rng.random((4, 3)) * rng.integers(1, 4, (4, 1))),
        mistakes={
            "this is yhat - y, which is right where the targets of a slice sum to 1; otherwise yhat is multiplied by their sum": (
                lambda yhat, y: yhat - y
            ),
            "the targets are summed over slices; sum those of each slice, over its outputs": lambda yhat, y: (
                yhat * y.sum(axis=0) - y
            ),
            "all targets are summed; sum those of each slice by themselves": lambda yhat, y: yhat * y.sum() - y,
            "the targets are made to sum to 1; a slice with more target counts more": (
                lambda yhat, y: yhat - y / y.sum(axis=1, keepdims=True)
            ),
            "the sign is turned: L has a minus": lambda yhat, y: y - yhat * y.sum(axis=1, keepdims=True),
            "this is the derivative in yhat, not yet through the softmax": lambda yhat, y: -y / yhat,
            "the softmax mixes all outputs of a slice; its Jacobian is not diagonal": lambda yhat, y: -y * (1 - yhat),
        },
    ),
    Exercise(
        solution=grad_c,
        truth=lambda yhat, y: _outputs(yhat, y).gradients["c"],
        draw=_yhat,
        mistakes={
            "this is the last slice alone; c is used in every slice, and its gradient is a sum over them": (
                lambda yhat, y: (yhat - y)[-1]
            ),
            "this is the mean over slices; L is a sum, and so is its gradient": lambda yhat, y: (yhat - y).mean(axis=0),
            "the sign is turned: it is yhat - y": lambda yhat, y: (y - yhat).sum(axis=0),
            "the slices are itemised; sum them up": lambda yhat, y: yhat - y,
        },
    ),
    Exercise(
        solution=grad_V,
        truth=lambda yhat, y, h: _outputs(yhat, y, h=h).gradients["V"],
        draw=lambda rng: _states(rng)[2:],
        mistakes={
            "it is transposed; row k of V makes output k": lambda yhat, y, h: h.T @ (yhat - y),
            "the sign is turned: it is yhat - y": lambda yhat, y, h: (y - yhat).T @ h,
            "this is the mean over slices; L is a sum, and so is its gradient": lambda yhat, y, h: (
                (yhat - y).T @ h / len(h)
            ),
            "the slices are itemised; sum them up": lambda yhat, y, h: np.einsum("tk,th->tkh", yhat - y, h),
            "this is the last slice alone; sum over slices": lambda yhat, y, h: np.outer((yhat - y)[-1], h[-1]),
            "the sums over slices are multiplied; multiply in each slice, then sum": (
                lambda yhat, y, h: np.outer((yhat - y).sum(0), h.sum(0))
            ),
            "h is that of the slice before; o_t = c + V h_t takes this slice's": (
                lambda yhat, y, h: (yhat - y).T @ np.vstack([0 * h[:1], h[:-1]])
            ),
        },
    ),
    Exercise(
        solution=grad_h,
        truth=lambda V, W, yhat, y, h: _outputs(yhat, y, V, W, h).messages.stack("h"),
        draw=_states,
        mistakes={
            "the message from the next slice is missing, or was not there yet: h_t acts on all later losses; go from the last slice back": (
                partial(_backwards, passed=lambda W, h, after, lam: 0.0)
            ),
            "the derivative of tanh is missing: what comes from later passes a_{t+1} on its way": (
                partial(_backwards, passed=lambda W, h, after, lam: W.T @ lam)
            ),
            "the slope is that of slice t; on the edge from h_t to a_{t+1} it is 1 - h_{t+1}^2, before W'": (
                partial(_backwards, passed=lambda W, h, after, lam: W.T @ ((1 - h**2) * lam))
            ),
            "the slope is multiplied after W' (a slip that is in print); it is W' diag(1 - h_{t+1}^2) lam_{t+1}": (
                partial(_backwards, passed=lambda W, h, after, lam: (1 - after**2) * (W.T @ lam))
            ),
            "the message from o_t is missing in all slices but the last": lambda V, W, yhat, y, h: _backwards(
                V, W, np.vstack([y[:-1], yhat[-1:]]), y, h, lambda W, h, after, lam: W.T @ ((1 - after**2) * lam)
            ),
            "this is dL/da_t; leave out the slope of the slice's own tanh, which comes after h_t": lambda V, W, yhat, y, h: (
                (1 - h**2) * grad_h(V, W, yhat, y, h)
            ),
            "W is not transposed": partial(_backwards, passed=lambda W, h, after, lam: W @ ((1 - after**2) * lam)),
        },
    ),
    Exercise(
        solution=grad_W,
        truth=lambda W, lam, h, h0: _with_messages(W, lam, h, h0).gradients["W"],
        draw=_messages,
        mistakes={
            "you summed total derivatives: dh_t/dW holds all copies of W up to t, and lam_t counts what follows, so that early "
            "slices are counted twice; take the immediate derivative, in the copy W^(t) alone": _twice,
            "the slope is that of the state before; a_t leads to h_t": lambda W, lam, h, h0: (
                ((1 - np.vstack([h0, h[:-1]]) ** 2) * lam).T @ np.vstack([h0, h[:-1]])
            ),
            "this is the last slice alone; sum over slices": lambda W, lam, h, h0: np.outer(
                (1 - h[-1] ** 2) * lam[-1], h[-2]
            ),
            "the state is that of slice t; W multiplies h_{t-1}": lambda W, lam, h, h0: ((1 - h**2) * lam).T @ h,
            "the slope 1 - h_t^2 is missing: lam_t is dL/dh_t, and W acts on a_t": (
                lambda W, lam, h, h0: lam.T @ np.vstack([h0, h[:-1]])
            ),
            "it is transposed; row i of W makes a_i": lambda W, lam, h, h0: (
                np.vstack([h0, h[:-1]]).T @ ((1 - h**2) * lam)
            ),
            "slice 0 is left out, or the state before it was taken as 0; it is h0": lambda W, lam, h, h0: (
                ((1 - h[1:] ** 2) * lam[1:]).T @ h[:-1]
            ),
        },
    ),
)

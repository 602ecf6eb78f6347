"""Chapter 2: a node sums its messages, a parameter sums over its copies."""

import numpy as np

from dbn_bptt import ops
from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.exercises.networks import parameters
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.template.builder import SliceTemplate


def adjoint_of_h(V, W, o_bar, a_bar_next):
    """dL/dh_t of shape (H,), from what its two children know: o_bar = dL/do_t (K,) and a_bar_next = dL/da_{t+1} (H,).

    o_t = c + V h_t, and a_{t+1} = b + W h_t + U x_{t+1}.
    """
    return V.T @ o_bar + W.T @ a_bar_next


def dx_dw(w, x0, T):
    """dx_T/dw, a number, for x_t = w x_{t-1}, t = 1..T: the sum over the copies w^(t) that the slices use."""
    return sum(w ** (T - t) * w ** (t - 1) * x0 for t in range(1, T + 1))


def _h(V, W, o_bar, a_bar_next):
    """By the package: two slices whose loss is linear in o_0 and a_1, so that these have the given adjoints."""
    t = SliceTemplate("two children")
    v, w = t.constant("V", V), t.constant("W", W)
    to_o, to_a = t.input("to_o", len(V)), t.input("to_a", len(W))
    h, o, a = t.variable("h", len(W)), t.variable("o", len(V)), t.variable("a", len(W))
    t.define(a, w @ h.prev)
    t.define(h, 1.0 * a)
    t.define(o, v @ h)
    t.loss("L", ops.sum(to_o * o) + ops.sum(to_a * a))
    data = {"to_o": np.array([o_bar, 0 * o_bar]), "to_a": np.array([0 * a_bar_next, a_bar_next])}
    return bptt(t, {}, data).messages.adjoint["h", 0]


def _children(rng):
    theta = parameters(rng, H=3, K=2)
    return theta["V"], theta["W"], rng.normal(size=2), rng.normal(size=3)


def _chain(w, x0, T):
    """By the package."""
    t = SliceTemplate("a chain")
    weight, x = t.parameter("w", ()), t.variable("x", (), initial=np.asarray(x0))
    t.define(x, weight * x.prev)
    t.loss("L", x, at="last")
    return bptt(t, {"w": np.asarray(w)}, {}, T=T).gradients["w"]


EXERCISES = (
    Exercise(
        solution=adjoint_of_h,
        truth=_h,
        draw=_children,
        mistakes={
            "the message from o_t alone; h_t acts on the next slice too": lambda V, W, o_bar, a_bar_next: V.T @ o_bar,
            "the message from a_{t+1} alone; h_t acts on o_t too": lambda V, W, o_bar, a_bar_next: W.T @ a_bar_next,
            "the messages are multiplied; where paths part, derivatives add up": lambda V, W, o_bar, a_bar_next: (
                (V.T @ o_bar) * (W.T @ a_bar_next)
            ),
            "W is not transposed; messages run backwards over its edges": lambda V, W, o_bar, a_bar_next: (
                V.T @ o_bar + W @ a_bar_next
            ),
            "the message from a_{t+1} is its adjoint times the derivative of a_{t+1} in h_t, which is W": lambda V, W, o_bar, a_bar_next: (
                V.T @ o_bar + a_bar_next
            ),
            "the messages are averaged; they add up": lambda V, W, o_bar, a_bar_next: (
                (V.T @ o_bar + W.T @ a_bar_next) / 2
            ),
        },
    ),
    Exercise(
        solution=dx_dw,
        truth=_chain,
        draw=lambda rng: (float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.5, 1.5)), int(rng.integers(3, 6))),
        mistakes={
            "this is the last copy alone, with x_{T-1} held fixed; w acted on the slices before too": lambda w, x0, T: (
                w ** (T - 1) * x0
            ),
            "total derivatives are summed: each dx_t/dw holds all copies before t already, so that those are counted again": (
                lambda w, x0, T: sum(w ** (T - t) * t * w ** (t - 1) * x0 for t in range(1, T + 1))
            ),
            "these are the states summed, immediate derivatives: each is still to be carried on to x_T, over T - t more steps": (
                lambda w, x0, T: sum(w ** (t - 1) * x0 for t in range(1, T + 1))
            ),
            "this is the sum of dx_t/dw over all t; wanted is the derivative of x_T alone": lambda w, x0, T: sum(
                t * w ** (t - 1) * x0 for t in range(1, T + 1)
            ),
            "this is the derivative in x_0": lambda w, x0, T: w**T,
            "this is x_T itself": lambda w, x0, T: w**T * x0,
            "every copy is given w^T; the copy of a slice is differentiated and multiplies no more": lambda w, x0, T: (
                T * w**T * x0
            ),
        },
    ),
)

"""Chapter 12: other orders."""

from functools import partial

import numpy as np

from dbn_bptt import ops
from dbn_bptt.exercises.checker import Exercise
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.template.builder import SliceTemplate


def forward_mode(w, u, x):
    """dL/dw by real-time recurrent learning, a number: h_t = tanh(w h_{t-1} + u x_t), h_{-1} = 0, L = sum_t h_t.

    x (T,). Carry dh_t/dw along with h_t; no earlier state is kept, and nothing runs backwards.
    """
    h, slope, gradient = 0.0, 0.0, 0.0
    for number in x:
        before = h
        h = np.tanh(w * before + u * number)
        slope = (1 - h**2) * (before + w * slope)
        gradient += slope
    return gradient


def compose(later, earlier):
    """The map first `later`, then `earlier`, of affine maps (M, g): lam -> M lam + g, as such a pair.

    On its way back a message meets the later slice first.
    """
    M2, g2 = later
    M1, g1 = earlier
    return M1 @ M2, M1 @ g2 + g1


def advances(T, every):
    """How many slices are computed in all, if one state in `every` is stored.

    The forward sweep runs over all T slices. On the way back every segment runs again but the last, whose states are
    still there.
    """
    last = T % every or every
    return T + (T - last)


def _by_messages(w, u, x):
    t = SliceTemplate("one unit")
    weight, gain = t.parameter("w", ()), t.parameter("u", ())
    number, h = t.input("x", ()), t.variable("h", ())
    t.define(h, ops.tanh(weight * h.prev + gain * number))
    t.loss("L", h)
    return bptt(t, {"w": np.asarray(w), "u": np.asarray(u)}, {"x": x}).gradients["w"]


def _applied(later, earlier):
    """From what the two maps do to a basis."""

    def both(lam):
        return earlier[0] @ (later[0] @ lam + later[1]) + earlier[1]

    g = both(np.zeros(len(later[1])))
    return np.array([both(e) - g for e in np.eye(len(g))]).T, g


def _counted(T, every):
    """Slice by slice."""
    starts = list(range(0, T, every))
    steps = T
    for k in reversed(range(len(starts) - 1)):
        steps += len(range(starts[k], starts[k + 1]))
    return steps


def _carried(w, u, x, carry=1.0, own=True, late=False, through=True):
    h, slope, gradient = 0.0, 0.0, 0.0
    for number in x:
        before, h = h, np.tanh(w * h + u * number)
        slope = (1 - h**2 if own else 1) * ((h if late else before) + carry * (w if through else 1) * slope)
        gradient += slope
    return gradient


EXERCISES = (
    Exercise(
        solution=forward_mode,
        truth=_by_messages,
        draw=lambda rng: (float(rng.uniform(0.3, 1)), float(rng.uniform(0.5, 1.5)), rng.normal(size=5)),
        mistakes={
            "the derivative of the state before is not carried along: this is truncation to one step": partial(
                _carried, carry=0.0
            ),
            "this is the last slice alone; L sums over slices": lambda w, u, x: (
                _by_messages(w, u, x) - _by_messages(w, u, x[:-1])
            ),
            "what is carried along passes w on its way to the next slice": partial(_carried, through=False),
            "the slope 1 - h_t^2 is missing": partial(_carried, own=False),
            "w multiplies h_{t-1}, not h_t; keep the state before until its derivative is taken": partial(
                _carried, late=True
            ),
        },
    ),
    Exercise(
        solution=compose,
        truth=_applied,
        draw=lambda rng: ((rng.normal(size=(2, 2)), rng.normal(size=2)), (rng.normal(size=(2, 2)), rng.normal(size=2))),
        mistakes={
            "the order is turned: the later slice acts first, so that its matrix stands on the right": lambda later, earlier: (
                later[0] @ earlier[0],
                later[0] @ earlier[1] + later[1],
            ),
            "the matrices stand in the wrong order: the later slice acts first, so that its matrix stands on the right": (
                lambda later, earlier: (later[0] @ earlier[0], earlier[0] @ later[1] + earlier[1])
            ),
            "the vector of the earlier map is missing": lambda later, earlier: (
                earlier[0] @ later[0],
                earlier[0] @ later[1],
            ),
            "the vectors are added; that of the later slice has still to pass the earlier one": lambda later, earlier: (
                earlier[0] @ later[0],
                earlier[1] + later[1],
            ),
            "the matrices are added; maps that follow each other multiply": lambda later, earlier: (
                earlier[0] + later[0],
                earlier[0] @ later[1] + earlier[1],
            ),
        },
    ),
    Exercise(
        solution=advances,
        truth=_counted,
        draw=lambda rng: (int(rng.integers(10, 20)), int(rng.integers(3, 6))),
        mistakes={
            "this is the forward sweep alone; segments run again on the way back": lambda T, every: T,
            "the last segment does not run again: its states are still there": lambda T, every: 2 * T,
            "the last segment may be shorter than the others": lambda T, every: 2 * T - every,
            "these are the stored states": lambda T, every: len(range(0, T, every)),
        },
    ),
)

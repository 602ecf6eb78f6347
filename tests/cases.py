"""The one table of cases that the tests share: templates with data, each a variation on what can go wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import dbn_bptt as db
from dbn_bptt import cells
from dbn_bptt.template.expressions import Reference


@dataclass(frozen=True)
class Case:
    """A template and the size of its data."""

    name: str
    make: Callable[[], db.SliceTemplate]
    T: int = 5
    B: int | None = None
    lengths: tuple[int, ...] | None = None
    given_initial: bool = True

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Drawn:
    """A case with random parameters, data and initial states."""

    template: db.SliceTemplate
    parameters: dict[str, Any]
    data: dict[str, Any]
    initial: dict[str, Any]
    lengths: tuple[int, ...] | None
    T: int

    def bptt(self, **changed: Any) -> db.Result:
        """Run BPTT, some arguments changed."""
        return db.bptt(self.template, **(self.arguments() | changed))

    def arguments(self) -> dict[str, Any]:
        """The arguments of a run."""
        return {
            "parameters": self.parameters, "data": self.data, "initial": self.initial,
            "lengths": self.lengths, "T": self.T,
        }  # fmt: skip


def draw(case: Case, seed: int = 0) -> Drawn:
    """Random numbers for a case."""
    rng = np.random.default_rng(seed)
    template = case.make()
    lead = (case.T,) if case.B is None else (case.T, case.B)
    data: dict[str, Any] = {}
    for name in template.names("input", "target"):
        symbol = template.symbols[name]
        if symbol.probabilities:
            data[name] = rng.integers(0, symbol.shape[-1], lead)
        elif name not in template.arrays:
            data[name] = rng.normal(size=lead + symbol.shape)
    shapes = template.initial_shapes()
    initial = {}
    for name in shapes if case.given_initial else ():
        if not isinstance(template.initial.get(name), Reference):
            core = template.symbols[name].shape
            rows = shapes[name][: len(shapes[name]) - len(core)]
            initial[name] = rng.normal(size=rows + lead[1:] + core)
    parameters = {n: rng.normal(size=template.symbols[n].shape) * 0.6 for n in template.initial_parameters(0)}
    return Drawn(template, parameters, data, initial, case.lengths, case.T)


# ------------------------------------------------------------------------------------------- templates of our own
def lags() -> db.SliceTemplate:
    """Lags 1 to 3, of a variable and of an input."""
    t = db.SliceTemplate("lags")
    W, V, U = t.parameter("W", (3, 3)), t.parameter("V", (3, 3)), t.parameter("U", (3, 2))
    x, y = t.input("x", 2), t.target("y", 3)
    h = t.variable("h", 3)
    t.define(h, db.tanh(W @ h.prev + V @ h.lag(3) + U @ x + U @ x.lag(2)))
    t.loss("L", db.squared_error(h, y))
    return t


def first_slice() -> db.SliceTemplate:
    """A first-slice equation, and so a variable without an initial state: B0 and B-> of a DBN."""
    t = db.SliceTemplate("first slice")
    W, U, p = t.parameter("W", (3, 3)), t.parameter("U", (3, 2)), t.parameter("p", 3)
    x, y = t.input("x", 2), t.target("y", classes=3)
    h = t.variable("h", 3)
    t.define(h, db.tanh(W @ h.prev + U @ x), first=db.sigmoid(p * p))
    t.loss("L", db.cross_entropy(h, y))
    return t


def alpha_recursion() -> db.SliceTemplate:
    """The scaled forward recursion of a hidden Markov model, from its emission likelihoods."""
    t = db.SliceTemplate("alpha recursion")
    start, A = t.parameter("start", 3), t.parameter("A", (3, 3))
    like = t.input("like", 3)
    u, z, alpha = t.variable("u", 3), t.variable("z", ()), t.variable("alpha", 3)
    t.define(u, (db.softmax(A).T @ alpha.prev) * db.exp(like), first=db.softmax(start) * db.exp(like))
    t.define(z, db.sum(u))
    t.define(alpha, u / z)
    t.loss("L", -db.log(z))
    return t


def backward_chain() -> db.SliceTemplate:
    """A chain that runs backwards in time above one that runs forwards."""
    t = db.SliceTemplate("backward chain")
    W, G = t.parameter("W", (3, 3)), t.parameter("G", (3, 3))
    x, y = t.input("x", 3), t.target("y", 3)
    h, g = t.variable("h", 3), t.variable("g", 3)
    t.define(h, db.tanh(W @ h.prev + x))
    t.define(g, db.tanh(G @ g.next + h))
    t.loss("L", db.squared_error(g, y))
    return t


def learned_initial() -> db.SliceTemplate:
    """Initial states that are parameters, for one slice and for two."""
    t = db.SliceTemplate("learned initial states")
    h0, g0 = t.parameter("h0", 3), t.parameter("g0", (2, 3))
    W, x = t.parameter("W", (3, 3)), t.input("x", 3)
    h, g = t.variable("h", 3, initial=h0), t.variable("g", 3, initial=g0)
    t.define(h, db.tanh(W @ h.prev + x + g0[1]))
    t.define(g, db.tanh(g.prev * h - g.lag(2)))
    t.loss("L", db.sum(g * g))
    return t


def several_losses() -> db.SliceTemplate:
    """Losses at every, the first and the last slice, one of them a penalty without data."""
    t = db.SliceTemplate("several losses")
    W, b = t.parameter("W", (2, 3)), t.parameter("b", ())
    x = t.input("x", 3)
    h = t.variable("h", 2)
    t.define(h, db.tanh(W @ x + b + h.prev))
    t.loss("fit", db.sum(db.exp(h)))
    t.loss("penalty", 0.1 * db.sum(W * W) + b * b, at="first")
    t.loss("end", db.logsumexp(h), at="last")
    return t


def given_by_default() -> db.SliceTemplate:
    """A constant, an input with a default, an initial state by default, and an unused parameter."""
    t = db.SliceTemplate("defaults")
    A = t.constant("A", np.arange(6.0).reshape(2, 3) / 5)
    t.parameter("unused", 4)
    w, scale = t.parameter("w", 2), t.parameter("scale", (), default=2.0)
    x, step = t.input("x", 3), t.input("step", (), default=0.5)
    h = t.variable("h", 2, initial=[1.0, -1.0])
    t.define(h, h.prev + step * db.tanh(A @ x * w - scale * h.prev))
    t.loss("L", db.sum(db.softplus(h)))
    return t


def matrices() -> db.SliceTemplate:
    """Matrix-valued variables: a covariance recursion with inverse and log-determinant."""
    t = db.SliceTemplate("matrices")
    A, C, q = t.parameter("A", (2, 2)), t.parameter("C", (1, 2)), t.parameter("q", 2)
    y = t.input("y", 1)
    P, m, S = t.variable("P", (2, 2), initial=np.eye(2)), t.variable("m", 2), t.variable("S", (1, 1))
    before = A @ P.prev @ A.T + db.outer(q, q) + np.eye(2)
    gain = before @ C.T @ db.inverse(S)
    t.define(S, C @ before @ C.T + np.eye(1))
    t.define(P, before - gain @ C @ before)
    t.define(m, A @ m.prev + gain @ (y - C @ (A @ m.prev)))
    t.loss("L", db.logdet(S) + db.squared_error(C @ m, y))
    return t


def two_directions_of_sight() -> db.SliceTemplate:
    """A variable that sees its neighbours in both directions, without a chain."""
    t = db.SliceTemplate("neighbours")
    x, w = t.input("x", 2), t.parameter("w", (3, 2))
    u, v = t.variable("u", 2), t.variable("v", 2)
    t.define(u, db.tanh(x * w[0]))
    t.define(v, u.prev * w[1] + u.next * w[2] + u)
    t.loss("L", db.sum(db.square(v)))
    return t


def several_preactivations() -> db.SliceTemplate:
    """Pre-activations of different shapes, two in one equation, others in that of the first slice; names that clash."""
    t = db.SliceTemplate("pre-activations")
    A, B, C, D = t.parameter("A", (5, 2)), t.parameter("B", (3, 5)), t.parameter("C", (4, 3)), t.parameter("D", (3, 4))
    delta_h, s, x = t.parameter("delta_h", 3), t.parameter("s", ()), t.input("x", 2)
    h, h_2 = t.variable("h", 3), t.variable("h_2", 3)
    later = db.sigmoid(s * db.sum(h.prev) + 1.0) * (D @ db.tanh(C @ h.prev + 1.0)) + delta_h
    t.define(h, later, first=B @ db.tanh(A @ x + 0.5))
    t.define(h_2, db.tanh(h * s + delta_h) * db.tanh(h - 1.0))
    t.loss("L", db.sum(h_2) + db.sum(h * h))
    return t


def windows() -> db.SliceTemplate:
    """Expressions, not variables, taken from other slices, the first slice apart."""
    t = db.SliceTemplate("windows")
    w, s = t.parameter("w", ()), t.parameter("s", ())
    x, h = t.input("x", ()), t.variable("h", ())
    t.define(h, db.tanh(w * x).prev + 0.5 * h.prev + (s * db.tanh(w * x)).next, first=db.tanh(w * x) * x)
    t.total("unused", 2.0 * (w * x).prev)
    t.loss("L", h * h + (s * h).lag(2))
    return t


def looked_back_and_ahead() -> db.SliceTemplate:
    """A chain that runs forwards, and is read one slice ahead."""
    t = db.SliceTemplate("read ahead")
    W, x = t.parameter("W", (2, 2)), t.input("x", 2)
    h, g = t.variable("h", 2), t.variable("g", 2)
    t.define(h, db.tanh(W @ h.prev + x))
    t.define(g, h.next * x + x.next * x.lag(2))
    t.loss("L", db.sum(g * g))
    return t


def defined_for_some_values() -> db.SliceTemplate:
    """Logarithms that exist while the sequence runs, and not for long after its end."""
    t = db.SliceTemplate("countdown")
    w, x = t.parameter("w", ()), t.input("x", ())
    h, z = t.variable("h", (), initial=20.0), t.variable("z", ())
    t.define(h, h.prev - 1.0 - db.square(x) * 0.01)
    t.define(z, db.log(h - 4.0 * db.sigmoid(w)))
    t.loss("L", z / db.sqrt(h))
    return t


def looking_back() -> db.SliceTemplate:
    """Inputs of slices before, and losses of the last slice that look back."""
    t = db.SliceTemplate("looking back")
    W, U, x = t.parameter("W", (2, 2)), t.parameter("U", (2, 2)), t.input("x", 2)
    h = t.variable("h", 2)
    t.define(h, db.tanh(W @ h.prev + U @ x.lag(3) + x.prev))
    t.loss("L", db.sum(db.square(h.prev - x.lag(2))), at="last")
    t.loss("K", db.sum(h * x.prev))
    return t


def far_back() -> db.SliceTemplate:
    """Expressions of many slices before."""
    t = db.SliceTemplate("far back")
    w, x, h = t.parameter("w", ()), t.input("x", ()), t.variable("h", ())
    t.define(h, db.tanh((w * x).lag(70) + (w * db.exp(x)).lag(60) + w * h.lag(40)))
    t.loss("L", h * h)
    return t


def oscillator() -> db.SliceTemplate:
    """Names that the adjoint and the tangent would give: of x there is an x_dot, of h an h_bar."""
    t = db.SliceTemplate("oscillator")
    k, x, h, g = t.parameter("k", ()), t.variable("x", ()), t.variable("h", 2), t.variable("h_bar", 2)
    v = t.variable("x_dot", ())
    t.define(v, v.prev - k * x.prev)
    t.define(x, x.prev + 0.1 * v.prev)
    t.define(g, 0.5 * g.prev + h.prev)
    t.define(h, db.tanh(k * g.prev + x))
    t.loss("L", x * x + db.sum(h * g))
    return t


def shifted_targets() -> db.SliceTemplate:
    """Distributions read from other slices, which sum to 0 before the sequence begins and after its end."""
    t = db.SliceTemplate("shifted targets")
    b, c, x, y = t.parameter("b", 3), t.parameter("c", 3), t.input("x", 3), t.target("y", classes=3)
    t.loss("L", db.cross_entropy(b + x, y.next) + db.cross_entropy(c * x, y.prev))
    return t


def once_and_from_the_second_slice_on() -> db.SliceTemplate:
    """A parameter of the first slice, and of those that look back."""
    t = db.SliceTemplate("once")
    w, x = t.parameter("w", ()), t.input("x", ())
    t.loss("A", w, at="first")
    t.loss("B", x * (w * w).prev)
    return t


def through_a_step() -> db.SliceTemplate:
    """An older slice that only a step reads, through which no derivative passes."""
    t = db.SliceTemplate("through a step")
    h0, w, x = t.parameter("h0", 2), t.parameter("w", ()), t.input("x", ())
    h = t.variable("h", (), initial=h0)
    t.define(h, w * h.prev * db.step(h.lag(2) + 0.5) + x)
    t.loss("L", h * h + w * x * db.step(x.lag(3)) + (w * x.prev) ** 2)
    return t


def far_ahead_seen_from_far_behind() -> db.SliceTemplate:
    """An expression that looks ahead, looked at from later slices."""
    t = db.SliceTemplate("ahead from behind")
    w, x = t.parameter("w", ()), t.input("x", ())
    t.loss("L", (w * w * x.lag(-6)).lag(4))
    return t


def before_and_after() -> db.SliceTemplate:
    """Names that a ragged batch would give."""
    t = db.SliceTemplate("before and after")
    w, x, h, before, after = (
        t.parameter("w", ()),
        t.input("x", 2),
        *(t.variable(n, 2) for n in ("h", "h_before", "h_after")),
    )
    t.define(h, db.tanh(w * h.prev + before.prev + x))
    t.define(before, 0.5 * h + x.prev)
    t.define(after, db.tanh(after.next + h))
    t.loss("L", db.sum(h * before * after))
    return t


def adjoint_with_a_loss() -> db.SliceTemplate:
    """A loss of the gradients themselves, so that their names end in _bar and those of its own adjoint in _bar2."""
    t = db.adjoint(cells.elman(**SIZES))
    t.loss("penalty", db.sum(t["h_bar"] * t["h_bar"]))
    return t


SIZES = {"n_inputs": 3, "n_hidden": 4, "n_outputs": 2}


def _cell(make: Callable[..., db.SliceTemplate], *first: Any, **options: Any) -> Callable[[], db.SliceTemplate]:
    return lambda: make(*first, **SIZES, **options)


RAGGED = {"T": 6, "B": 3, "lengths": (6, 1, 4)}
CASES = [
    Case("elman", _cell(cells.elman)),
    Case("elman of one slice", _cell(cells.elman), T=1),
    Case("elman without given initial state", _cell(cells.elman), given_initial=False),
    Case("elman in a batch", _cell(cells.elman), B=3),
    Case("elman in a batch of one slice", _cell(cells.elman), T=1, B=2),
    Case("elman, ragged", _cell(cells.elman), **RAGGED),
    Case("elman, sigmoid", _cell(cells.elman, activation="sigmoid"), B=2),
    Case("elman, relu", _cell(cells.elman, activation="relu")),
    Case("elman, identity, squared error", _cell(cells.elman, activation="identity", output="linear"), B=3),
    Case("elman, loss at the last slice", _cell(cells.elman, loss_at="last"), B=2),
    Case("elman, loss at the last slice, ragged", _cell(cells.elman, loss_at="last"), **RAGGED),
    Case("jordan", _cell(cells.jordan), B=2),
    Case("jordan, linear", _cell(cells.jordan, output="linear")),
    Case("jordan with teacher forcing", _cell(cells.jordan, teacher_forcing=True), B=2),
    Case("lstm", _cell(cells.lstm)),
    Case("lstm, ragged", _cell(cells.lstm), **RAGGED),
    Case("gru", _cell(cells.gru), B=2),
    Case("gru, reset before", _cell(cells.gru, reset="before"), B=2),
    Case("stack", _cell(cells.stacked, ["lstm", "elman", "gru"]), B=2),
    Case("bidirectional", _cell(cells.bidirectional, "elman")),
    Case("bidirectional, ragged", _cell(cells.bidirectional, "gru"), **RAGGED),
    Case("bidirectional stack", _cell(cells.stacked, [cells.both_directions("lstm")] * 2), **RAGGED),
    Case("lags", lags),
    Case("lags over fewer slices", lags, T=2, B=2),
    Case("lags, ragged", lags, **RAGGED),
    Case("first slice", first_slice, B=2),
    Case("first slice only", first_slice, T=1),
    Case("first slice, ragged", first_slice, **RAGGED),
    Case("alpha recursion", alpha_recursion, B=2),
    Case("backward chain", backward_chain, B=2),
    Case("backward chain, ragged", backward_chain, **RAGGED),
    Case("learned initial", learned_initial),
    Case("learned initial in a batch", learned_initial, B=3),
    Case("learned initial, ragged", learned_initial, **RAGGED),
    Case("several losses", several_losses),
    Case("several losses in a batch", several_losses, B=3),
    Case("several losses, ragged", several_losses, **RAGGED),
    Case("defaults", given_by_default, B=2),
    Case("defaults without given initial state", given_by_default, given_initial=False),
    Case("matrices", matrices, B=2, given_initial=False),
    Case("pre-activations", several_preactivations, B=2),
    Case("pre-activations, one slice", several_preactivations, T=1),
    Case("pre-activations, ragged", several_preactivations, **RAGGED),
    Case("windows", windows, B=2),
    Case("windows over few slices", windows, T=2),
    Case("read ahead", looked_back_and_ahead),
    Case("read ahead, ragged", looked_back_and_ahead, **RAGGED),
    Case("countdown", defined_for_some_values, B=2, given_initial=False),
    Case("countdown, ragged", defined_for_some_values, T=6, B=3, lengths=(6, 1, 4), given_initial=False),
    Case("looking back", looking_back, B=2),
    Case("looking back, one slice", looking_back, T=1),
    Case("looking back, ragged", looking_back, **RAGGED),
    Case("far back", far_back, T=75),
    Case("far back over few slices", far_back, T=5),
    Case("shifted targets", shifted_targets, B=2),
    Case("shifted targets of one slice", shifted_targets, T=1),
    Case("once, of one slice", once_and_from_the_second_slice_on, T=1),
    Case("once, in a batch", once_and_from_the_second_slice_on, B=2),
    Case("through a step, kinked", through_a_step),
    Case("ahead from behind", far_ahead_seen_from_far_behind, T=8),
    Case("before and after", before_and_after, **RAGGED),
    Case("oscillator", oscillator),
    Case("oscillator in a batch", oscillator, B=3),
    Case("adjoint with a loss", adjoint_with_a_loss),
    Case("neighbours", two_directions_of_sight, B=2),
    Case("neighbours, ragged", two_directions_of_sight, **RAGGED),
]

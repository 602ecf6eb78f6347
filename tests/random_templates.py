"""Random templates, each also as a plain function of any NumPy-like library.

The equations are drawn once, as functions of a namespace of operations and a lookup `at(name, lag)`. With this
package's operations they define a template; with another library's they compute the loss by a loop over slices, so that
an independent program can differentiate it.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import dbn_bptt as db

Formula = Callable[[Any, Callable[[str, int], Any], Callable[[str], Any]], Any]
SIZE, CLASSES = 3, 3


class RandomTemplate:
    """A template of up to four variables with lags up to 2, drawn from a seed."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.parameters: dict[str, tuple[int, ...]] = {}
        self.names = [f"v{k}" for k in range(self.rng.integers(1, 5))]
        self.equations = {name: self._equation(k) for k, name in enumerate(self.names)}
        self.firsts = {name: self._equation(k) for k, name in enumerate(self.names) if self.rng.random() < 0.3}
        self.read = self.rng.choice(self.names)
        self.uses_target = bool(self.rng.random() < 0.5)

    def _new(self, *shape: int) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = shape
        return name

    def _equation(self, position: int) -> Formula:
        """A bounded function of a sum of random terms, so that nothing overflows."""
        terms = [self._term(position) for _ in range(self.rng.integers(1, 4))]
        squash = self.rng.choice(["tanh", "sigmoid", "softmax", "softplus"])
        scale = self.rng.uniform(0.5, 1.0)
        if squash == "softplus":
            return lambda lib, at, p: scale * lib.softplus(lib.tanh(sum(term(lib, at, p) for term in terms)))
        return lambda lib, at, p: scale * getattr(lib, squash)(sum(term(lib, at, p) for term in terms))

    def _source(self, position: int) -> Formula:
        """The input, an earlier variable of the slice, or any variable of an earlier slice."""
        pick = self.rng.integers(0, 3)
        if pick == 0 and position > 0:
            earlier = self.names[self.rng.integers(0, position)]
            return lambda lib, at, p: at(earlier, 0)
        if pick == 1:
            lag = int(self.rng.integers(0, 3))
            return lambda lib, at, p: at("x", lag)
        name, lag = self.names[self.rng.integers(0, len(self.names))], int(self.rng.integers(1, 3))
        return lambda lib, at, p: at(name, lag)

    def _term(self, position: int) -> Formula:
        a, b = self._source(position), self._source(position)
        kind = self.rng.integers(0, 8)
        if kind == 0:
            w = self._new(SIZE)
            return lambda lib, at, p: p(w) * a(lib, at, p)
        if kind == 1:
            return lambda lib, at, p: a(lib, at, p) * b(lib, at, p)
        if kind == 2:
            w, v = self._new(SIZE, SIZE), self._new(SIZE)
            return lambda lib, at, p: lib.tanh(lib.matvec(p(w), a(lib, at, p)) + p(v)) - b(lib, at, p)
        if kind == 3:
            return lambda lib, at, p: a(lib, at, p) / (1.5 + b(lib, at, p) * b(lib, at, p))
        if kind == 4:
            return lambda lib, at, p: lib.logsumexp(a(lib, at, p)) * b(lib, at, p)
        if kind == 5:
            return lambda lib, at, p: lib.join(a(lib, at, p)[1:], b(lib, at, p)[:1])
        if kind == 6:
            w = self._new()
            return lambda lib, at, p: p(w) * lib.exp(-a(lib, at, p) * a(lib, at, p))
        w = self._new(SIZE, SIZE)
        return lambda lib, at, p: lib.matvec(p(w), a(lib, at, p))

    def make(self) -> db.SliceTemplate:
        """The template."""
        t = db.SliceTemplate("random")
        params = {name: t.parameter(name, shape) for name, shape in self.parameters.items()}
        x, y = t.input("x", SIZE), t.target("y", classes=CLASSES)
        refs = {"x": x} | {name: t.variable(name, SIZE) for name in self.names}

        def expression(formula: Formula) -> Any:
            return formula(_LIBRARY, lambda name, lag: refs[name].lag(lag), lambda name: params[name])

        for name in self.names:
            first = expression(self.firsts[name]) if name in self.firsts else None
            t.define(refs[name], expression(self.equations[name]), first=first)
        t.loss("L", self._loss(_LIBRARY, refs[self.read], y))
        return t

    def _loss(self, lib: Any, value: Any, y: Any) -> Any:
        return lib.cross_entropy(value, y) if self.uses_target else lib.total(value * value)

    def program(self, lib: Any, parameters: dict[str, Any], x: Any, y: Any, initial: dict[str, Any]) -> Any:
        """The loss of one sequence, in a NumPy-like library, by a loop over slices; y is one-hot."""
        past: dict[tuple[str, int], Any] = {}
        for name in ("x", *self.names):
            rows = initial.get(name, np.zeros((2, SIZE)))
            rows = rows if np.ndim(rows) == 2 else [rows]
            for k, row in enumerate(rows):
                past[name, k - len(rows)] = row
        loss = 0.0
        for t in range(len(x)):
            past["x", t] = x[t]
            for name in self.names:
                formula = self.firsts.get(name, self.equations[name]) if t == 0 else self.equations[name]
                past[name, t] = formula(lib, lambda n, lag, t=t: past[n, t - lag], lambda n: parameters[n])
            loss = loss + self._loss(lib, past[self.read, t], y[t])
        return loss


_LIBRARY = SimpleNamespace(
    tanh=db.tanh, sigmoid=db.sigmoid, softmax=db.softmax, softplus=db.softplus, logsumexp=db.logsumexp, exp=db.exp,
    matvec=db.matmul, cross_entropy=db.cross_entropy, total=db.sum, join=lambda a, b: db.concatenate([a, b]),
)  # fmt: skip


def library(np_like: Any) -> SimpleNamespace:
    """The same operations in terms of another library's NumPy."""

    def logsumexp(a: Any) -> Any:
        return np_like.log(np_like.sum(np_like.exp(a)))

    return SimpleNamespace(
        tanh=np_like.tanh,
        sigmoid=lambda a: 1 / (1 + np_like.exp(-a)),
        softmax=lambda a: np_like.exp(a - logsumexp(a)),
        softplus=lambda a: np_like.log(1 + np_like.exp(a)),
        logsumexp=logsumexp,
        exp=np_like.exp,
        matvec=np_like.dot,
        cross_entropy=lambda a, y: -np_like.sum(y * (a - logsumexp(a))),
        total=np_like.sum,
        join=lambda a, b: np_like.concatenate([a, b]),
    )

"""Every check of a correspondence sees a fault in what it checks."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn, paths
from dbn_bptt.link import checks, table


def _turned(arrays: dict[str, Any], *names: str) -> dict[str, Any]:
    """Square matrices transposed."""
    return {**arrays, **{name: np.swapaxes(arrays[name], 0, 1) for name in names}}


def _with_turned_tables(bptt: Callable[..., Any]) -> Callable[..., Any]:
    """BPTT of a hidden Markov model whose tables of probabilities are transposed."""

    def run(template: db.SliceTemplate, theta: Any, data: Any) -> db.Result:
        tables = {name: template.arrays[name].T for name in template.names("parameter")}
        return bptt(template, tables, data)

    return run


def _lost(linearize: Callable[..., Any], lost: Callable[[Any], bool]) -> Callable[..., Any]:
    """The scalar graph without some edges."""

    def run(*arguments: Any) -> Any:
        scalars = linearize(*arguments)
        scalars.remove_edges_from([edge for edge in scalars.edges if lost(edge)])
        return scalars

    return run


def _negated(scalars: Any) -> Any:
    spoilt = scalars.copy()
    for _, _, edge in spoilt.edges(data=True):
        edge["weight"] *= -1
    return spoilt


# what a row says of inference: the function that is spoilt, and how
FAULTS: list[tuple[str, Any, str, Callable[[Any], Any]]] = [
    ("costate, gradient of the cost-to-go", checks, "bptt", lambda f: lambda t, w, d: f(t, _turned(w, "W"), d)),
    ("-log backward message beta_t", dbn, "value_function", lambda f: lambda t, w, *a: f(t, _turned(w, "W"), *a)),
    ("sum over paths", paths, "linearize", lambda f: _lost(f, lambda edge: edge[0][:2] == ("L", 1))),
    ("triangular linear system", paths, "adjoint_solve", lambda f: lambda scalars, v: f(_negated(scalars), v)),
    ("paths of lag below k", paths, "LAG", lambda lag: replace(lag, lift=lambda w, k: lag.lift(w, min(k, 0)))),
    ("paths of lag below k", paths, "credit", lambda f: lambda t, w, d: f(t, w, {**d, "x": -d["x"]})),
    ("forward elimination", checks, "by_rtrl", lambda f: lambda t, w, d: f(t, _turned(w, "W"), d)),
    ("forward elimination", paths, "linearize", lambda f: _lost(f, lambda edge: edge[0][:2] == ("h", 0))),
    ("reverse elimination", paths, "elimination_cost", lambda f: lambda scalars, order: f(scalars, "forward")),
    ("forward interface", checks, "interface_of", lambda f: lambda t: [*f(t), "a"]),
    ("forward algorithm", checks, "bptt", _with_turned_tables),
    ("backward algorithm", checks, "bptt", _with_turned_tables),
    ("posterior marginal", checks, "bptt", _with_turned_tables),
    ("expected count of EM", dbn, "expected_counts", lambda f: lambda *a: {("Z", 1): f(*a)["Z", 1].T}),
    ("filtering", dbn, "filter", lambda f: dbn.smooth),
    ("filtering", checks, "compile", lambda f: lambda t: SimpleNamespace(
        value_and_grad=lambda *a, wrt, truncate: f(t).value_and_grad(*a, wrt=wrt))),
    ("most probable path", dbn, "viterbi", lambda f: lambda *a: {"Z": (f(*a)["Z"] + 1) % 3}),
    ("smoother's adjoint", dbn, "linear_gaussian", lambda f: lambda **m: f(**_turned(m, "A"))),
    ("smoothed mean", dbn, "linear_gaussian", lambda f: lambda **m: f(**_turned(m, "A"))),
    ("prior minus posterior mean", dbn, "unit_posterior", lambda f: lambda t, w, d: f(t, _turned(w, "W"), d)),
    ("gradient of the DBN", dbn, "sigmoid_belief", lambda f: lambda *sizes: f(*sizes, activation="sigmoid")),
    ("affine maps composed in a tree", checks, "prefixes", lambda f: lambda maps: f([(M.T, v) for M, v in maps])),
    ("smoothed mean of a linearised model", checks, "compile", lambda f: lambda t: SimpleNamespace(
        values=lambda theta, data: f(t).values(_turned(theta, "W"), data))),
    ("fixed point of Newton's method", checks, "newton_iterates", lambda f: lambda t, x, k: f(t, x, k - 2)),
    ("posterior mean of roots", paths, "sweep", lambda f: lambda scalars, v: f(scalars, v, paths.ABSOLUTE)),
]  # fmt: skip


def _error(claim: Any) -> float:
    """What `correspondences()` gives for a row."""
    rng = np.random.default_rng([0, table.CLAIMS.index(claim)])
    return claim.check(checks.Setting(db.cells.elman(2, 3, 2), rng))


@pytest.mark.parametrize(
    ("inference", "module", "name", "spoil"), FAULTS, ids=lambda a: a if isinstance(a, str) else ""
)
def test_a_fault_shows_in_the_row(monkeypatch, inference: str, module: Any, name: str, spoil: Callable[[Any], Any]):
    (claim,) = (c for c in table.CLAIMS if c.inference == inference)
    assert _error(claim) <= claim.tolerance
    monkeypatch.setattr(module, name, spoil(getattr(module, name)))
    assert _error(claim) > claim.tolerance


def test_every_row_has_a_fault():
    assert {fault[0] for fault in FAULTS} == {claim.inference for claim in table.CLAIMS}

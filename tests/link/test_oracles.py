"""The rows whose two sides are both computed by this package, against products and sums written out by hand."""

import itertools
from typing import Any

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import paths
from tests.helpers import assert_close
from tests.paths.networks import LOSS, elman

F = {"tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a)), "relu": lambda a: np.maximum(a, 0)}
SLOPE = {"tanh": lambda h: 1 - h**2, "sigmoid": lambda h: h * (1 - h), "relu": lambda h: (h > 0) * 1.0}


def _by_paths(theta: dict[str, Any], data: dict[str, Any], activation: str) -> Any:
    """dL_s/dW^(t) of an Elman network, (T, T, H, H): for each path through the units of slices t, ..., s a product."""
    T, H = len(data["x"]), len(theta["b"])
    h = [np.zeros(H)]
    for x in data["x"]:
        h.append(F[activation](theta["b"] + theta["W"] @ h[-1] + theta["U"] @ x))
    slopes = [SLOPE[activation](state) for state in h]
    items = np.zeros((T, T, H, H))
    for t in range(T):
        for s in range(t, T):
            p = np.exp(theta["c"] + theta["V"] @ h[s + 1])
            error = p / p.sum() - np.eye(len(p))[data["y"][s]]
            for units in itertools.product(range(H), repeat=s - t + 1):
                product = slopes[t + 1][units[0]] * (theta["V"][:, units[-1]] @ error)
                for r, (i, k) in enumerate(itertools.pairwise(units), start=t + 2):
                    product *= theta["W"][k, i] * slopes[r][k]
                items[s, t, units[0]] += product * h[t]
    return items


@pytest.mark.parametrize("activation", F)
def test_gradients_are_sums_of_products_written_out(activation: str):
    """Path sums, the triangular system, credit and its split by lag, forward mode, and BPTT itself."""
    rnn, theta, data = elman(T=4, activation=activation)
    items = _by_paths(theta, data, activation)
    assert_close(db.bptt(rnn, theta, data).gradients["W"], items.sum((0, 1)), 1e-12)
    assert_close(db.rtrl(rnn, theta, data)["W"], items.sum((0, 1)), 1e-12)
    assert_close(paths.credit(rnn, theta, data)["W"], items, 1e-12)
    graph = db.unroll(rnn, 4, copies=True)
    scalars = paths.linearize(graph, db.forward(graph, theta, data))
    solved, by_lag = paths.adjoint_solve(scalars, LOSS), paths.sweep(scalars, LOSS, paths.LAG)
    for index in np.ndindex(3, 3):
        W, here = ("W", None, index), items[(..., *index)]
        assert paths.path_sum(scalars, W, LOSS) == pytest.approx(here.sum(), abs=1e-12)
        assert solved[W] == pytest.approx(here.sum(), abs=1e-12)
        for t in range(4):
            assert solved["W", t, index] == pytest.approx(here[:, t].sum(), abs=1e-12)
        assert_close(paths.split_by_lag(by_lag, W, 4), [np.trace(here, -k) for k in range(4)], 1e-12)

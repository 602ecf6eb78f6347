"""Random networks that the tests of paths and correspondences share."""

from typing import Any

import numpy as np

import dbn_bptt as db
from dbn_bptt import paths

LOSS = ("L", None, ())


def elman(seed: int = 0, T: int = 3, n: int = 2, H: int = 3, K: int = 2, activation: str = "tanh"):
    """An Elman network with random parameters and data of one sequence."""
    rng = np.random.default_rng(seed)
    rnn = db.cells.elman(n, H, K, activation=activation)
    theta = {name: rng.normal(size=a.shape) for name, a in rnn.initial_parameters(0).items()}
    return rnn, theta, {"x": rng.normal(size=(T, n)), "y": rng.integers(0, K, T)}


def linearized(seed: int = 0, T: int = 3, copies: bool = False, **options: Any):
    """The unrolled graph of one, its values and its scalar graph."""
    rnn, theta, data = elman(seed, T, **options)
    graph = db.unroll(rnn, T, copies=copies)
    values = db.forward(graph, theta, data)
    return graph, values, paths.linearize(graph, values)

"""What exercises are drawn from: small Elman networks and hidden Markov models, and what the package finds in them."""

from typing import Any

import numpy as np

from dbn_bptt.cells import elman
from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.sweep.results import Result


def parameters(rng: np.random.Generator, H: int = 3, n: int = 2, K: int = 2) -> dict[str, Array]:
    """Parameters of an Elman network."""
    shapes = {"W": (H, H), "U": (H, n), "b": (H,), "V": (K, H), "c": (K,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def swept(theta: dict[str, Any], x: Any, y: Any, h0: Any = None) -> Result:
    """BPTT of the Elman network."""
    (H, n), K = np.shape(theta["U"]), len(theta["c"])
    initial = None if h0 is None else {"h": h0}
    return bptt(elman(n_inputs=n, n_hidden=H, n_outputs=K), theta, {"x": x, "y": y}, initial=initial)


def one_hot(rng: np.random.Generator, T: int, K: int) -> Array:
    """Targets, a row a slice."""
    return np.eye(K)[rng.integers(0, K, T)]


def columns(rng: np.random.Generator, *shape: int) -> Array:
    """A table of probabilities whose columns sum to 1."""
    table = rng.random(shape) + 0.1
    return np.asarray(table / table.sum(axis=0))


def hmm(rng: np.random.Generator, T: int = 5, K: int = 3, M: int = 4) -> tuple[Array, Array, Array, Array]:
    """The prior (K,), the transitions P (K, K), the emissions B (M, K), each a column a state, and symbols (T,)."""
    return columns(rng, K), columns(rng, K, K), columns(rng, M, K), rng.integers(0, M, T)


def joint(prior: Any, P: Any, B: Any, y: Any) -> Array:
    """By enumeration: p(states, symbols) for all paths, an axis a slice."""
    T, K = len(y), len(prior)
    table = np.zeros((K,) * T)
    for path in np.ndindex(table.shape):
        p = prior[path[0]] * B[y[0], path[0]]
        for t in range(1, T):
            p *= P[path[t], path[t - 1]] * B[y[t], path[t]]
        table[path] = p
    return table

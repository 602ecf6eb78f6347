"""Exact inference against a plain NumPy forward-backward, pyAgrum's KTBN, and pgmpy.

pyAgrum is left out where it is not installed.
"""

import importlib.util
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

from dbn_bptt import dbn
from dbn_bptt.dbn.networks.convert import to_pgmpy
from dbn_bptt.dbn.networks.reading import read
from tests.benchmarks.conftest import InTurn, Work, title
from tests.dbn_models import build

SHAPES = [(4, 5, 100), (4, 5, 2000), (64, 64, 100), (64, 64, 2000)]
ONLINE = [(2, 2), (4, 5), (64, 64)]
PAGE, ROWS = "benchmarks_dbn.md", len(SHAPES) + 2
HEAD = """
# Benchmarks of inference

All marginals of a hidden Markov model of K states and M symbols over T slices: the time of `dbn.smooth` with NumPy, and its
ratio to others (below 1: `smooth` is faster). pgmpy computes one marginal. The last columns are the time for a batch of
64 sequences, in times of one, and the same for NumPy by hand. With 64 states a batch of 64 takes 64 times the
multiplications, and little else is left to share. Medians of runs in turn in one process; `{command}`
makes this page.

| (K, M, T) | smooth | NumPy forward-backward | pyAgrum | pgmpy | 64 sequences | 64 by hand |
|---|---|---|---|---|---|---|
"""
pytestmark = pytest.mark.filterwarnings("default")  # the others' are not ours to mend


def forward_backward(pi: Any, A: Any, B: Any, y: Any) -> tuple[Any, float]:
    """Scaled forward-backward in plain NumPy: all marginals and the log-likelihood."""
    T, K = len(y), len(pi)
    alpha, beta, scale, likely = np.empty((T, K)), np.ones((T, K)), np.empty(T), B[y]  # a row of B for each symbol
    for t in range(T):
        f = (pi if t == 0 else A @ alpha[t - 1]) * likely[t]
        scale[t] = f.sum()
        alpha[t] = f / scale[t]
    for t in range(T - 2, -1, -1):
        beta[t] = A.T @ (likely[t + 1] * beta[t + 1]) / scale[t + 1]
    return alpha * beta, float(np.log(scale).sum())


def of_a_batch(pi: Any, A: Any, B: Any, y: Any) -> tuple[Any, float]:
    """The same for sequences (N, T) side by side."""
    (N, T), K = y.shape, len(pi)
    alpha, beta, scale, likely = np.empty((T, N, K)), np.ones((T, N, K)), np.empty((T, N, 1)), B[y.T]
    for t in range(T):
        f = (pi if t == 0 else alpha[t - 1] @ A.T) * likely[t]
        scale[t] = f.sum(-1, keepdims=True)
        np.divide(f, scale[t], out=alpha[t])
    for t in range(T - 2, -1, -1):
        np.divide((likely[t + 1] * beta[t + 1]) @ A, scale[t + 1], out=beta[t])
    return alpha * beta, float(np.log(scale).sum())


def with_pyagrum(pi: Any, A: Any, B: Any, y: Any) -> Work:
    """pyAgrum's engine: all marginals of the hidden variable."""
    import pyagrum as gum
    from pyagrum import ktbn

    K, M = len(pi), len(B)
    model = ktbn.KTBN(2)
    model.addTemporal(gum.RangeVariable("Z", "", 0, K - 1))
    model.addTemporal(gum.RangeVariable("Y", "", 0, M - 1))
    model.addArc("Z", 0, "Z", 1)
    model.cpt("Z", 0).fillWith(pi.tolist())
    model.cpt("Z", 1).fillWith(A.T.ravel().tolist())
    for t in (0, 1):
        model.addArc("Z", t, "Y", t)
        model.cpt("Y", t).fillWith(B.T.ravel().tolist())

    def work() -> None:
        engine = ktbn.KTBNInference(model)
        for t, state in enumerate(y.tolist()):
            engine.addObservation("Y", t, state)
        engine.addTarget("Z")
        engine.makeInference(len(y))
        engine.posterior("Z", 0)

    return work


def with_pgmpy(model: Any, y: Any) -> Work:
    """pgmpy's engine: one marginal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.inference import DBNInference
    full = to_pgmpy(read(model))
    full.initialize_initial_state()
    engine = DBNInference(full)
    evidence = {("Y", t): int(state) for t, state in enumerate(y)}
    return lambda: engine.backward_inference([("Z", len(y) // 2)], evidence)


@pytest.mark.parametrize("shape", SHAPES, ids=title)
def test_smooth(in_turn: InTurn, page: list[str], shape: tuple[int, int, int]) -> None:
    """A hidden Markov model of K states and M symbols over T slices."""
    K, M, T = shape
    model = build({"Z": K, "Y": M}, [("Z", "Y", 0), ("Z", "Z", 1)])
    cpds = {tuple(c.variables[0]): c.values for c in model.cpds}
    pi, A, B = cpds["Z", 0], cpds["Z", 1], cpds["Y", 0]
    rng = np.random.default_rng(0)
    y, many = rng.integers(0, M, T), rng.integers(0, M, (64, T))
    works: dict[str, Work] = {
        "smooth": lambda: dbn.smooth(model, {"Y": y}, engine="numpy"),
        "NumPy": lambda: forward_backward(pi, A, B, y),
        "64 by hand": lambda: of_a_batch(pi, A, B, many),
        "64 sequences": lambda: dbn.smooth(model, {"Y": many}, engine="numpy"),
    }
    if importlib.util.find_spec("pyagrum") is not None:
        works["pyAgrum"] = with_pyagrum(pi, A, B, y)
    if T <= 100 and K <= 4:
        works["pgmpy"] = with_pgmpy(model, y)
    found = in_turn(works, rounds=7)
    ratios = [f"{found['smooth'] / found[o]:.3g}" if o in found else "" for o in ("NumPy", "pyAgrum", "pgmpy")]
    batch, by_hand = found["64 sequences"] / found["smooth"], found["64 by hand"] / found["NumPy"]
    page.append(f"| {shape} | {found['smooth'] * 1e3:.2f} ms | {' | '.join(ratios)} | {batch:.1f} | {by_hand:.1f} |")


def test_memory_of_eight_chains(page: list[str]) -> None:
    """Eight independent binary chains must not become one variable of 2**8 states."""
    sizes = {f"{kind}{k}": 2 for k in range(8) for kind in "ZY"}
    model = build(sizes, [e for k in range(8) for e in ((f"Z{k}", f"Y{k}", 0), (f"Z{k}", f"Z{k}", 1))])
    evidence = {f"Y{k}": [0, 1, 1] for k in range(8)}
    tracemalloc.start()
    dbn.smooth(model, evidence)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    page.append(f"\nEight independent binary chains, 16 variables a slice, take {peak:.1f} MB at T = 3.")


def steps(K: int, M: int, n: int = 1000, sequences: int | None = None) -> Work:
    """Steps of online inference in a hidden Markov model, one after the other."""
    model = dbn.prepare(build({"Z": K, "Y": M}, [("Z", "Y", 0), ("Z", "Z", 1)]), "numpy")
    y = np.random.default_rng(0).integers(0, M, (n, sequences or 1))
    each = y if sequences else y[:, 0].tolist()

    def work() -> None:
        state = dbn.start(model, sequences)
        for seen in each:
            state, _ = state.step({"Y": seen})

    return work


def test_a_step(in_turn: InTurn, page: list[str]) -> None:
    """Evidence that comes a slice at a time."""
    found = in_turn({title(shape): steps(*shape) for shape in ONLINE} | {"many": steps(4, 5, 50, 1000)}, rounds=7)
    each = ", ".join(f"{found[title(shape)] * 1e3:.0f} us for (K, M) = {shape}" for shape in ONLINE)
    page.append(
        f"\nA step of `dbn.start(model)`, on NumPy, takes {each}; one of a thousand sequences at once, (4, 5), takes"
        f" {found['many'] / 50 * 1e6:.0f} us."
    )

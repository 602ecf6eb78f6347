"""The message sweep against the NumPy reference, and how its time grows with the number of slices."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt.reference import elman_bptt
from tests.benchmarks.conftest import InTurn, title

SHAPES = [(5, 1, 3, 4, 2), (100, 1, 8, 16, 8), (100, 32, 64, 128, 64), (200, 64, 256, 512, 256)]
LENGTHS = [1_000, 5_000, 20_000]
PAGE, ROWS = "benchmarks_messages.md", len(SHAPES) + len(LENGTHS)
HEAD = """
# Benchmarks of the message sweep

Time of `forward` and `backward` on an Elman network's graph, and its ratio to the NumPy reference; and time to unroll
and sweep a small one. Medians of runs in turn in one process; `{command}` makes this page.

| (T, B, n, H, K) | messages | NumPy reference | a slice |
|---|---|---|---|
"""


@pytest.mark.parametrize("shape", SHAPES, ids=title)
def test_sweep(in_turn: InTurn, page: list[str], shape: tuple[int, ...]) -> None:
    T, B, n, H, K = shape
    rng = np.random.default_rng(0)
    rnn = db.cells.elman(n, H, K)
    theta, x, y = rnn.initial_parameters(0), rng.normal(size=(T, B, n)), rng.integers(0, K, (T, B))
    graph, one_hot = db.unroll(rnn, T), np.eye(K)[y]
    found = in_turn(
        {
            "messages": lambda: db.backward(graph, db.forward(graph, theta, {"x": x, "y": y})),
            "reference": lambda: elman_bptt(theta, x, one_hot),
        },
        rounds=7,
    )
    ours = found["messages"]
    page.append(f"| {shape} | {ours * 1e3:.2f} ms | {ours / found['reference']:.2f} | {ours / T * 1e6:.0f} us |")


@pytest.mark.parametrize("T", LENGTHS)
def test_unroll_and_sweep(in_turn: InTurn, page: list[str], T: int) -> None:
    rnn = db.cells.elman(3, 4, 2)
    data = {"x": np.ones((T, 3)), "y": np.zeros(T, int)}
    seconds = in_turn({"bptt": lambda: db.bptt(rnn, rnn.initial_parameters(0), data)}, rounds=1)["bptt"]
    page.append(f"| {(T, 1, 3, 4, 2)}, with unrolling | {seconds * 1e3:.0f} ms | | {seconds / T * 1e6:.0f} us |")

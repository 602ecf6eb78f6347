"""The message sweep against the NumPy reference, timed in turn in one process: `python -m tests.benchmarks.messages`."""

import statistics
import time
from collections.abc import Callable

import numpy as np

import dbn_bptt as db
from dbn_bptt.reference import elman_bptt

SHAPES = [(5, 1, 3, 4, 2), (100, 1, 8, 16, 8), (100, 32, 64, 128, 64), (200, 64, 256, 512, 256)]
LENGTHS = [1_000, 5_000, 20_000]


def seconds(work: Callable[[], object]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def against_the_reference(T: int, B: int, n: int, H: int, K: int, rounds: int = 7) -> tuple[float, float]:
    """Medians of the reference's time and of forward and backward sweep together."""
    rng = np.random.default_rng(0)
    rnn = db.cells.elman(n, H, K)
    theta, x, y = rnn.initial_parameters(0), rng.normal(size=(T, B, n)), rng.integers(0, K, (T, B))
    graph, one_hot = db.unroll(rnn, T), np.eye(K)[y]
    pairs = [
        (
            seconds(lambda: elman_bptt(theta, x, one_hot)),
            seconds(lambda: db.backward(graph, db.forward(graph, theta, {"x": x, "y": y}))),
        )
        for _ in range(rounds)
    ]
    reference, messages = zip(*pairs, strict=True)
    return statistics.median(reference), statistics.median(messages)


def whole_run(T: int) -> float:
    """The time to unroll and sweep a small Elman network."""
    rnn = db.cells.elman(3, 4, 2)
    data = {"x": np.ones((T, 3)), "y": np.zeros(T, int)}
    return seconds(lambda: db.bptt(rnn, rnn.initial_parameters(0), data))


if __name__ == "__main__":
    print("(T, B, n, H, K)            NumPy ref.   messages   ratio of medians")
    for shape in SHAPES:
        ours, theirs = against_the_reference(*shape)[::-1]
        print(f"{shape!s:25}  {theirs * 1e3:8.2f} ms {ours * 1e3:8.2f} ms   {ours / theirs:.2f}")
    for T in LENGTHS:
        print(f"unroll and sweep T = {T:6d}: {whole_run(T) / T * 1e6:6.1f} microseconds a slice")

"""The compiled program against hand-written NumPy, its matrix products alone, torch, jax and autograd.

`python -m tests.benchmarks.program` times all of them in turn in one process, prints ratios of medians, and writes
docs/benchmarks.md. torch, jax and autograd are left out where they are not installed.
"""

import importlib.util
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dbn_bptt as db
from dbn_bptt.reference import elman_bptt

Work = Callable[[], object]
LARGE = [(100, 32, 64, 128, 64), (1000, 32, 64, 128, 64), (200, 64, 256, 512, 256)]
SMALL = [(100, 1, 8, 16, 8), (5, 1, 3, 4, 2)]


def fused(theta: dict[str, Any], x: Any, y: Any) -> tuple[float, dict[str, Any]]:
    """Elman BPTT as an expert writes it in NumPy: one product for all slices wherever there can be one."""
    T, B, n = x.shape
    W, U, b, V, c = (theta[name] for name in "WUbVc")
    H = len(b)
    pre = (x.reshape(-1, n) @ U.T).reshape(T, B, H)
    pre += b
    h = np.empty((T + 1, B, H), x.dtype)
    h[0] = 0
    for before, now, p in zip(h[:-1], h[1:], pre, strict=True):
        np.dot(before, W.T, out=now)
        np.add(now, p, out=now)
        np.tanh(now, out=now)
    rows = h[1:].reshape(-1, H)
    o = rows @ V.T
    o += c
    o -= o.max(1, keepdims=True)
    e = np.exp(o)
    total = e.sum(1, keepdims=True)
    flat = y.reshape(e.shape)
    loss = float(np.log(total).sum() - np.einsum("ik,ik->", flat, o))
    e /= total
    e -= flat
    said = (e @ V).reshape(T, B, H)
    slope = 1 - h[1:] ** 2
    a = np.empty((T, B, H), x.dtype)
    np.multiply(said[-1], slope[-1], out=a[-1])
    for later, now, s, d in zip(a[:0:-1], a[-2::-1], said[-2::-1], slope[-2::-1], strict=True):
        np.dot(later, W, out=now)
        np.add(now, s, out=now)
        np.multiply(now, d, out=now)
    deltas = a.reshape(-1, H)
    return loss, {
        "W": deltas.T @ h[:-1].reshape(-1, H), "U": deltas.T @ x.reshape(-1, n), "b": deltas.sum(0),
        "V": e.T @ rows, "c": e.sum(0),
    }  # fmt: skip


def products_alone(theta: dict[str, Any], shape: tuple[int, ...], dtype: Any) -> Work:
    """The matrix products of Elman BPTT and nothing else, into arrays that are there."""
    T, B, n, H, K = shape
    x, h, o = (np.ones((T, B, k), dtype) for k in (n, H, K))
    a, e, out = np.empty((T * B, H), dtype), np.empty((T * B, K), dtype), np.empty((B, H), dtype)
    W, U, V = theta["W"], theta["U"], theta["V"]
    gradients = [np.empty_like(m) for m in (W, U, V)]

    def work() -> None:
        np.dot(x.reshape(-1, n), U.T, out=a)
        for row in h:
            np.dot(row, W.T, out=out)
        np.dot(h.reshape(-1, H), V.T, out=e)
        np.dot(o.reshape(-1, K), V, out=a)
        for row in h:
            np.dot(row, W, out=out)
        np.dot(h.reshape(-1, H).T, h.reshape(-1, H), out=gradients[0])
        np.dot(h.reshape(-1, H).T, x.reshape(-1, n), out=gradients[1])
        np.dot(o.reshape(-1, K).T, h.reshape(-1, H), out=gradients[2])

    return work


def with_torch(kind: str, x: Any, y: Any, H: int, K: int) -> Work:
    """torch's module with a linear head and summed cross-entropy, forward and backward."""
    import torch

    make = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
    inputs, targets = torch.tensor(x), torch.tensor(y).reshape(-1)
    module, head = make(x.shape[-1], H).to(inputs.dtype), torch.nn.Linear(H, K).to(inputs.dtype)

    def work() -> None:
        module.zero_grad()
        head.zero_grad()
        hidden, _ = module(inputs)
        torch.nn.functional.cross_entropy(head(hidden).reshape(-1, K), targets, reduction="sum").backward()

    return work


def with_jax(theta: dict[str, Any], x: Any, y: Any) -> Work:
    """jit(grad) of a scan."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(p: Any, x: Any, y: Any) -> Any:
        def slice_(h: Any, both: Any) -> Any:
            h = jnp.tanh(p["b"] + h @ p["W"].T + both[0] @ p["U"].T)
            scores = jax.nn.log_softmax(p["c"] + h @ p["V"].T)
            return h, -jnp.sum(scores * both[1])

        start = jnp.zeros((x.shape[1], p["b"].shape[0]), x.dtype)
        return jnp.sum(jax.lax.scan(slice_, start, (x, y))[1])

    run = jax.jit(jax.value_and_grad(loss))
    arguments = jax.tree.map(jnp.asarray, (theta, x, y))
    return lambda: jax.block_until_ready(run(*arguments))


def with_autograd(theta: dict[str, Any], x: Any, y: Any) -> Work:
    """HIPS autograd of a loop."""
    import autograd
    import autograd.numpy as anp

    def loss(p: Any) -> Any:
        h, total = np.zeros((x.shape[1], len(p["b"]))), 0.0
        for now, target in zip(x, y, strict=True):
            h = anp.tanh(p["b"] + anp.dot(h, p["W"].T) + anp.dot(now, p["U"].T))
            o = p["c"] + anp.dot(h, p["V"].T)
            o = o - anp.max(o, axis=1, keepdims=True)
            total = total - anp.sum(target * (o - anp.log(anp.sum(anp.exp(o), axis=1, keepdims=True))))
        return total

    run = autograd.value_and_grad(loss)
    return lambda: run(theta)


def medians(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """Each work timed in turn: after a pause, in which the others' threads go to sleep, and a run that does not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            time.sleep(0.1)
            work()
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def row(kind: str, shape: tuple[int, ...], dtype: Any) -> dict[str, float]:
    """The medians for one network, shape and type."""
    T, B, n, H, K = shape
    rng = np.random.default_rng(0)
    template = getattr(db.cells, kind)(n, H, K)
    theta = {name: p.astype(dtype) for name, p in template.initial_parameters(0).items()}
    x, y = rng.normal(size=(T, B, n)).astype(dtype), rng.integers(0, K, (T, B))
    one_hot = np.eye(K, dtype=dtype)[y]
    program = db.compile(template)
    works: dict[str, Work] = {"program": lambda: program.value_and_grad(theta, {"x": x, "y": y})}
    if kind == "elman":
        works |= {
            "products alone": products_alone(theta, shape, dtype),
            "fused by hand": lambda: fused(theta, x, one_hot),
            "reference": lambda: elman_bptt(theta, x, one_hot),
        }
    if _there("torch"):
        works["torch"] = with_torch(kind, x, y, H, K)
    if kind == "elman" and _there("jax"):
        works["jax"] = with_jax(theta, x, one_hot)
    if kind == "elman" and _there("autograd") and T * B * H < 10**6:
        works["autograd"] = with_autograd(theta, x, one_hot)
    return medians(works, rounds=21 if T * B * H < 10**5 else 5)


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def main() -> None:
    """Print the table, and write it into docs/benchmarks.md."""
    others = ["products alone", "fused by hand", "reference", "torch", "jax", "autograd"]
    lines = [
        "# Benchmarks", "",
        "Time of the compiled program, loss and all gradients, and its ratio to others (below 1: the program is faster).",
        "Medians of runs in turn in one process; `python -m tests.benchmarks.program` makes this page.", "",
        f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}.", "",
        "| network | (T, B, n, H, K) | type | program | " + " | ".join(others) + " |",
        "|---" * (4 + len(others)) + "|",
    ]  # fmt: skip
    plan = [("elman", s, d) for s in LARGE for d in (np.float64, np.float32)] + [
        ("elman", s, np.float64) for s in SMALL
    ]
    plan += [(kind, s, d) for kind in ("lstm", "gru") for s in LARGE for d in (np.float64, np.float32)]
    for kind, shape, dtype in plan:
        found = row(kind, shape, dtype)
        ratios = " | ".join(f"{found['program'] / found[o]:.2f}" if o in found else "" for o in others)
        title = f"| {kind} | {shape} | {np.dtype(dtype).name} | {found['program'] * 1e3:.2f} ms | {ratios} |"
        print(title, file=sys.stderr, flush=True)
        lines.append(title)
    Path(__file__).parents[2].joinpath("docs", "benchmarks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

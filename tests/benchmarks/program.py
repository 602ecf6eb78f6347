"""The compiled program against hand-written NumPy, its matrix products alone, torch, jax and autograd.

torch, jax and autograd are left out where they are not installed.
"""

import importlib.util
import platform
from typing import Any

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt.reference import elman_bptt
from tests.benchmarks.conftest import InTurn, Work, title

LARGE = [(100, 32, 64, 128, 64), (1000, 32, 64, 128, 64), (200, 64, 256, 512, 256)]
SMALL = [(100, 1, 8, 16, 8), (5, 1, 3, 4, 2)]
PLAN = [
    *(("elman", shape, dtype) for shape in LARGE for dtype in ("float64", "float32")),
    *(("elman", shape, "float64") for shape in SMALL),
    *((kind, shape, dtype) for kind in ("lstm", "gru") for shape in LARGE for dtype in ("float64", "float32")),
]
OTHERS = ["products alone", "fused by hand", "reference", "torch", "jax", "autograd"]
PAGE, ROWS = "benchmarks.md", len(PLAN)
HEAD = f"""
# Benchmarks

Time of the compiled program, loss and all gradients, and its ratio to others (below 1: the program is faster).
Medians of runs in turn in one process; `{{command}}` makes this page.

{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}.

| network | (T, B, n, H, K) | type | program | {" | ".join(OTHERS)} |
|{"---|" * (4 + len(OTHERS))}
"""
pytestmark = pytest.mark.filterwarnings("default")  # the others' are not ours to mend


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


def works(kind: str, shape: tuple[int, ...], dtype: Any) -> dict[str, Work]:
    """The program, and what it is set against, for one network, shape and type."""
    T, B, n, H, K = shape
    rng = np.random.default_rng(0)
    template = getattr(db.cells, kind)(n, H, K)
    theta = {name: p.astype(dtype) for name, p in template.initial_parameters(0).items()}
    x, y = rng.normal(size=(T, B, n)).astype(dtype), rng.integers(0, K, (T, B))
    one_hot = np.eye(K, dtype=dtype)[y]
    program = db.compile(template)
    found: dict[str, Work] = {"program": lambda: program.value_and_grad(theta, {"x": x, "y": y})}
    if kind == "elman":
        found |= {
            "products alone": products_alone(theta, shape, dtype),
            "fused by hand": lambda: fused(theta, x, one_hot),
            "reference": lambda: elman_bptt(theta, x, one_hot),
        }
    if _there("torch"):
        found["torch"] = with_torch(kind, x, y, H, K)
    if kind == "elman" and _there("jax"):
        found["jax"] = with_jax(theta, x, one_hot)
    if kind == "elman" and _there("autograd") and T * B * H < 10**6:
        found["autograd"] = with_autograd(theta, x, one_hot)
    return found


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@pytest.mark.parametrize(("kind", "shape", "dtype"), PLAN, ids=title)
def test_value_and_grad(in_turn: InTurn, page: list[str], kind: str, shape: tuple[int, ...], dtype: str) -> None:
    T, B, _, H, _ = shape
    found = in_turn(works(kind, shape, np.dtype(dtype)), rounds=21 if T * B * H < 10**5 else 5)
    ratios = " | ".join(f"{found['program'] / found[o]:.2f}" if o in found else "" for o in OTHERS)
    page.append(f"| {kind} | {shape} | {dtype} | {found['program'] * 1e3:.2f} ms | {ratios} |")

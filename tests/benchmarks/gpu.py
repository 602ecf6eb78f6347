"""The JAX engine on an accelerator, as a script that needs the package and JAX only; torch's cuDNN beside it if there.

    python tests/benchmarks/gpu.py [--small] [--page FILE]

Recurrent networks in float32 without TF32: loss and all gradients of a batch, all compiled by `jax.jit`. Hidden Markov
models: all posterior marginals from the likelihoods of states, slice by slice and parallel in time.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import dbn_bptt as db
from dbn_bptt.dbn.networks.network import Network, Table
from dbn_bptt.dbn.polynomial.forward import program as network_program
from dbn_bptt.dbn.polynomial.forward import structure

Shape = tuple[int, int, int, int, int]  # T, B, n, H, K
ELMANS: list[Shape] = [(100, 1, 8, 16, 8), (100, 32, 64, 128, 64), (1000, 32, 64, 128, 64), (200, 64, 256, 512, 256)]
GATED: list[Shape] = [(100, 32, 64, 128, 64), (200, 64, 256, 512, 256)]
HMMS = [(4, 10_000), (4, 1_000_000), (16, 100_000), (64, 20_000)]
NEWTON = [(4, 20_000), (16, 20_000)]
SCANNED = 20_000  # slices up to which the scan is timed too; it takes seconds beyond
SMALL: dict[str, list[Any]] = {
    "elman": [(20, 2, 3, 4, 2)],
    "gated": [(20, 2, 3, 4, 2)],
    "hmm": [(4, 300)],
    "newton": [(4, 300)],
}
WHOLE: dict[str, list[Any]] = {"elman": ELMANS, "gated": GATED, "hmm": HMMS, "newton": NEWTON}
HEAD = """# Benchmarks of the JAX engine

Card: {card}; jax {jax}, {torch}. Medians in ms of calls in turn, each waited for. The schedule by hand goes
eight slices a turn (`unroll=8`), as ours does on an accelerator; `jax.grad` of a scan is given as it is written and unrolled. `{command}` makes this page.

## Recurrent networks: loss and all gradients, float32 without TF32

| network, (T, B, n, H, K) | `program.function` | the schedule by hand | `jax.grad` of a scan | unrolled | cuDNN | to by hand | to the scan | to it unrolled | to cuDNN |
|---|---|---|---|---|---|---|---|---|---|
"""
HMM_HEAD = """
## Hidden Markov models: all posterior marginals, float32

| K, T | parallel in time | slice by slice | ratio | largest difference |
|---|---|---|---|---|
"""
NEWTON_HEAD = """
## Elman network forwards: Newton's method and the sequential scan, float32

| H, T | Newton | steps | scan | ratio | largest difference |
|---|---|---|---|---|---|
"""


# ------------------------------------------------------------------------------------------------------------- timing
def in_turn(works: dict[str, Callable[[], Any]], seconds: float = 0.6) -> dict[str, float]:
    """Median times in ms of some works, each run once before."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    end = time.perf_counter() + seconds * len(works)
    while time.perf_counter() < end or len(next(iter(times.values()))) < 5:
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def waited(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """A call that is over when its results are there."""
    return lambda: jax.block_until_ready(function(*arguments))


# --------------------------------------------------------------------------------------------------- recurrent networks
def cross_entropy(logits: Any, y: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1).sum()


def stacked(p: dict[str, Any], letter: str, gates: str) -> Any:
    return jnp.concatenate([p[f"{letter}_{gate}"] for gate in gates])


def elman_loss(p: dict[str, Any], x: Any, y: Any) -> Any:
    def step(h: Any, x_t: Any) -> Any:
        h = jnp.tanh(p["b"] + h @ p["W"].T + x_t @ p["U"].T)
        return h, h

    h = jax.lax.scan(step, jnp.zeros((x.shape[1], len(p["W"])), x.dtype), x)[1]
    return cross_entropy(h @ p["V"].T + p["c"], y)


def lstm_loss(p: dict[str, Any], x: Any, y: Any) -> Any:
    W, U, b = (stacked(p, letter, "ifgq") for letter in "WUb")

    def step(carry: Any, x_t: Any) -> Any:
        s, h = carry
        i, f, g, q = jnp.split(b + h @ W.T + x_t @ U.T, 4, -1)
        s = jax.nn.sigmoid(f) * s + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(q) * jnp.tanh(s)
        return (s, h), h

    zero = jnp.zeros((x.shape[1], W.shape[1]), x.dtype)
    return cross_entropy(jax.lax.scan(step, (zero, zero), x)[1] @ p["V"].T + p["c"], y)


def gru_loss(p: dict[str, Any], x: Any, y: Any) -> Any:
    W, U, b = (stacked(p, letter, "rzn") for letter in "WUb")

    def step(h: Any, x_t: Any) -> Any:
        r, z, n = jnp.split(b + x_t @ U.T, 3, -1)
        r_h, z_h, n_h = jnp.split(h @ W.T, 3, -1)
        r, z = jax.nn.sigmoid(r + r_h), jax.nn.sigmoid(z + z_h)
        h = (1 - z) * jnp.tanh(n + r * (p["d_n"] + n_h)) + z * h
        return h, h

    h = jax.lax.scan(step, jnp.zeros((x.shape[1], W.shape[1]), x.dtype), x)[1]
    return cross_entropy(h @ p["V"].T + p["c"], y)


def unrolled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same with eight slices a turn of each scan."""

    def call(*arguments: Any) -> Any:
        plain = jax.lax.scan
        jax.lax.scan = partial(plain, unroll=8)
        try:
            return function(*arguments)
        finally:
            jax.lax.scan = plain

    return call


def elman_by_hand(p: dict[str, Any], x: Any, y: Any) -> Any:
    """Loss and gradients: only what needs its neighbour is in a scan."""

    def flat(a: Any) -> Any:
        return a.reshape(-1, a.shape[-1])

    pre = p["b"] + x @ p["U"].T

    def forwards(h: Any, pre_t: Any) -> Any:
        h = jnp.tanh(h @ p["W"].T + pre_t)
        return h, h

    start = jnp.zeros((x.shape[1], len(p["W"])), x.dtype)
    h = jax.lax.scan(forwards, start, pre)[1]
    before = jnp.concatenate([start[None], h[:-1]])
    o = h @ p["V"].T + p["c"]
    o_bar = jax.nn.softmax(o) - jax.nn.one_hot(y, o.shape[-1], dtype=o.dtype)

    def backwards(a_next: Any, of_slice: Any) -> Any:
        h_bar, slope = of_slice
        a = (a_next @ p["W"] + h_bar) * slope
        return a, a

    a_bar = jax.lax.scan(backwards, jnp.zeros_like(start), (o_bar @ p["V"], 1 - h**2), reverse=True)[1]
    gradients = {
        "W": flat(a_bar).T @ flat(before), "U": flat(a_bar).T @ flat(x), "b": a_bar.sum((0, 1)),
        "V": flat(o_bar).T @ flat(h), "c": o_bar.sum((0, 1)),
    }  # fmt: skip
    return cross_entropy(o, y), gradients


def cudnn(kind: str, shape: Shape) -> Callable[[], Any] | None:
    """Loss and gradients by torch on a GPU."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    T, B, n, H, K = shape
    cell = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](n, H).cuda()
    head = torch.nn.Linear(H, K).cuda()
    x, y = torch.randn(T, B, n, device="cuda"), torch.randint(0, K, (T * B,), device="cuda")

    def work() -> None:
        for part in (cell, head):
            part.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(head(cell(x)[0]).reshape(T * B, K), y, reduction="sum")
        loss.backward()
        torch.cuda.synchronize()

    return work


def networks(elmans: list[Shape], gated: list[Shape]) -> Iterator[str]:
    """The rows of the first table."""
    kinds: dict[str, tuple[Any, Any]] = {
        "elman": (db.cells.elman, elman_loss), "lstm": (db.cells.lstm, lstm_loss), "gru": (db.cells.gru, gru_loss),
    }  # fmt: skip
    for kind, shape in [("elman", s) for s in elmans] + [(k, s) for k in ("lstm", "gru") for s in gated]:
        T, B, n, H, K = shape
        make, peer = kinds[kind]
        cell, rng = make(n, H, K), np.random.default_rng(0)
        p = {name: jnp.asarray(a, jnp.float32) for name, a in cell.initial_parameters(seed=0).items()}
        x, y = jnp.asarray(rng.normal(size=(T, B, n)), jnp.float32), jnp.asarray(rng.integers(0, K, (T, B)))
        function = db.compile(cell, "jax").function
        ours = jax.jit(lambda p, x, y, f=function: jax.value_and_grad(f)(p, {"x": x, "y": y}))
        scan = jax.jit(jax.value_and_grad(peer))
        same(ours(p, x, y), scan(p, x, y))
        turns = jax.jit(unrolled(jax.value_and_grad(peer)))
        works = {"ours": waited(ours, p, x, y), "scan": waited(scan, p, x, y), "turns": waited(turns, p, x, y)}
        if kind == "elman":
            on_accelerator = jax.default_backend() != "cpu"
            by_hand = jax.jit(unrolled(elman_by_hand) if on_accelerator else elman_by_hand)
            same(by_hand(p, x, y), scan(p, x, y))
            works["hand"] = waited(by_hand, p, x, y)
        if (other := cudnn(kind, shape)) is not None:
            works["cudnn"] = other
        t = in_turn(works)
        cells = [f"{t[name]:.3f}" if name in t else "" for name in ("ours", "hand", "scan", "turns", "cudnn")]
        ratios = [f"{t['ours'] / t[name]:.2f}" if name in t else "" for name in ("hand", "scan", "turns", "cudnn")]
        yield f"| {kind}, {shape} | {' | '.join([*cells, *ratios])} |"


def same(one: Any, other: Any) -> None:
    """Refuse a loss or a gradient that differs by more than rounding."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert jnp.abs(a - b).max() <= 1e-3 * jnp.maximum(1e-3, jnp.abs(b).max()), "gradients differ"


# ------------------------------------------------------------------------------------------------ hidden Markov models
def network(K: int, rng: np.random.Generator) -> Network:
    """A chain of K states."""
    first = Table("Z", (), rng.dirichlet(np.ones(K)))
    later = Table("Z", (("Z", 1),), rng.dirichlet(np.ones(K), K).T)
    return Network({"Z": tuple(range(K))}, {"Z": {0: first, 1: later}})


def marginals(of: Network, engine: Any) -> Callable[[Any], Any]:
    """All marginals as a function of the likelihoods of states, (T, K): these times the gradient of log p."""
    tables = {"P0_Z": of.first["Z"].values, "P_Z": of.later["Z"].values}
    p = {name: jnp.asarray(a, jnp.float32) for name, a in tables.items()}
    function = network_program(structure(of), engine=engine).function
    return jax.jit(lambda e: -e * jax.grad(lambda e: function(p, {"e_Z": e}))(e))


def markov(shapes: list[tuple[int, int]]) -> Iterator[str]:
    """The rows of the second table."""
    for K, T in shapes:
        rng = np.random.default_rng(0)
        of, e = network(K, rng), jnp.asarray(rng.uniform(0.01, 1, (T, K)), jnp.float32)
        works = {name: marginals(of, engine) for name, engine in (("parallel", db.Parallel()), ("scan", "jax"))}
        difference = ""
        if T <= SCANNED:
            difference = f"{float(jnp.abs(works['parallel'](e) - works['scan'](e)).max()):.1e}"
        timed = works if T <= SCANNED else {"parallel": works["parallel"]}
        t = in_turn({name: waited(work, e) for name, work in timed.items()}, 0.5)
        scan, ratio = (f"{t['scan']:.1f}", f"{t['parallel'] / t['scan']:.4f}") if "scan" in t else ("", "")
        yield f"| {K}, {T} | {t['parallel']:.3f} | {scan} | {ratio} | {difference} |"


# ---------------------------------------------------------------------------------------------------- Newton's method
def newton(shapes: list[tuple[int, int]]) -> Iterator[str]:
    """The rows of the third table."""
    for H, T in shapes:
        cell, rng = db.cells.elman(3, H, 2), np.random.default_rng(0)
        p = {name: jnp.asarray(a, jnp.float32) for name, a in cell.initial_parameters(seed=0).items()}
        data = {"x": jnp.asarray(rng.normal(size=(T, 3)), jnp.float32), "y": jnp.asarray(rng.integers(0, 2, T))}
        works = {name: jax.jit(db.compile(cell, e).function) for name, e in (("newton", "parallel"), ("scan", "jax"))}
        losses = {name: float(work(p, data)) for name, work in works.items()}
        plain = {name: np.asarray(a) for name, a in p.items()}
        steps = db.compile(cell, "parallel").newton_steps(plain, {name: np.asarray(a) for name, a in data.items()})
        t = in_turn({name: waited(work, p, data) for name, work in works.items()}, 0.5)
        off = abs(losses["newton"] / losses["scan"] - 1)
        counts = ", ".join(map(str, steps.values()))
        yield f"| {H}, {T} | {t['newton']:.3f} | {counts} | {t['scan']:.1f} | {t['newton'] / t['scan']:.4f} | {off:.1e} |"


def main() -> None:
    """Print the page; write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="small shapes, to see that all runs")
    parser.add_argument("--page", type=Path, help="where to write the page")
    options = parser.parse_args()
    jax.config.update("jax_default_matmul_precision", "highest")
    shapes = SMALL if options.small else WHOLE
    try:
        import torch

        peer = f"torch {torch.__version__}"
    except ImportError:
        peer = "no torch"
    head = HEAD.format(
        card=jax.devices()[0].device_kind, jax=jax.__version__, torch=peer, command="python tests/benchmarks/gpu.py"
    )
    lines = [head.rstrip("\n")]
    print(lines[0], flush=True)
    parts = {
        "": networks(shapes["elman"], shapes["gated"]), HMM_HEAD: markov(shapes["hmm"]), NEWTON_HEAD: newton(shapes["newton"])
    }  # fmt: skip
    for title, rows in parts.items():
        for line in itertools.chain(title.rstrip().splitlines(), rows):
            lines.append(line)
            print(line, flush=True)
            if options.page:
                options.page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Compiled loops against the C++ and Cython of the field: hmmlearn, statsmodels, and jax where they are installed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from tests.benchmarks.conftest import InTurn, Work, title
from tests.dbn_models import build

HMMS = [(2, 2000), (4, 2000), (16, 2000), (64, 2000), (4, 100), (4, 100_000)]
BATCHES = [(4, 2000), (16, 2000)]
KALMANS = [(1, 1, 1000), (4, 2, 1000), (8, 4, 1000), (4, 2, 20_000)]
ELMANS = [(5, 1, 3, 4, 2), (100, 1, 8, 16, 8), (1000, 1, 8, 16, 8)]
SYMBOLS = 5
PAGE, ROWS = "benchmarks_native.md", 3 * len(HMMS) + len(BATCHES) + len(KALMANS) + len(ELMANS)
HEAD = """
# Benchmarks of compiled loops

Times of a call with `engine="native"`, its ratio to `engine="numpy"`, and to the peer (below 1: ours is faster): hmmlearn
(C++, `implementation="scaling"`) for hidden Markov models of K states over T slices, statsmodels (Cython) for Kalman smoothers of
n states and p outputs, `jax.value_and_grad` of a scan for Elman networks (T, B, n, H, K) by `program.at`. Models are prepared,
programs compiled before. Medians of runs in turn in one process; `{command}` makes this page.

| work | native | to NumPy | to the peer |
|---|---|---|---|
"""
pytest.importorskip("llvmlite", reason="compiled loops need llvmlite")


def _row(page: list[str], what: str, found: dict[str, float]) -> None:
    ratios = [f"{found['native'] / found[o]:.3g}" if o in found else "" for o in ("numpy", "peer")]
    page.append(f"| {what} | {found['native'] * 1e3:.3f} ms | {' | '.join(ratios)} |")


def _hmm(K: int, T: int) -> tuple[dict[str, dbn.Prepared], Any, Callable[[], Any]]:
    """A model prepared for both engines, observations, and hmmlearn's model."""
    hmm = pytest.importorskip("hmmlearn.hmm")
    model = build({"Z": K, "Y": SYMBOLS}, [("Z", "Y", 0), ("Z", "Z", 1)])
    tables = {tuple(c.variables[0]): c.values for c in model.cpds}

    def peer() -> Any:
        of = hmm.CategoricalHMM(K, implementation="scaling", n_iter=1, init_params="", tol=-np.inf)
        of.startprob_, of.transmat_, of.emissionprob_ = tables["Z", 0], tables["Z", 1].T, tables["Y", 0].T
        return of

    prepared = {engine: dbn.prepare(model, engine) for engine in ("native", "numpy")}
    return prepared, np.random.default_rng(0).integers(0, SYMBOLS, T), peer


@pytest.mark.parametrize("shape", HMMS, ids=title)
@pytest.mark.parametrize("verb", ["smooth", "viterbi", "fit"])
def test_hidden_markov_model(in_turn: InTurn, page: list[str], verb: str, shape: tuple[int, int]) -> None:
    """All marginals; the most probable path; one step of expectation maximisation."""
    models, y, peer = _hmm(*shape)
    column, options = y[:, None], {"steps": 1, "progress": False} if verb == "fit" else {}
    ready = peer()
    theirs = {
        "smooth": lambda: ready.score_samples(column),
        "viterbi": lambda: ready.predict(column),
        "fit": lambda: peer().fit(column),
    }
    works: dict[str, Work] = {
        engine: lambda of=of: getattr(dbn, verb)(of, {"Y": y}, **options) for engine, of in models.items()
    }
    _row(page, f"{verb}, K, T = {shape}", in_turn({**works, "peer": theirs[verb]}, rounds=7))


@pytest.mark.parametrize("shape", BATCHES, ids=title)
def test_batch(in_turn: InTurn, page: list[str], shape: tuple[int, int]) -> None:
    """64 sequences side by side."""
    models, _, peer = _hmm(*shape)
    T, ready = shape[1], peer()
    y = np.random.default_rng(0).integers(0, SYMBOLS, (64, T))
    works: dict[str, Work] = {engine: lambda of=of: dbn.smooth(of, {"Y": y}) for engine, of in models.items()}
    works["peer"] = lambda: ready.score_samples(y.reshape(-1, 1), lengths=[T] * 64)
    _row(page, f"smooth of 64 sequences, K, T = {shape}", in_turn(works, rounds=5))


@pytest.mark.parametrize("shape", KALMANS, ids=title)
def test_kalman(in_turn: InTurn, page: list[str], shape: tuple[int, int, int]) -> None:
    """A Kalman smoother of n states and p outputs, a tenth of the outputs missing."""
    mlemodel = pytest.importorskip("statsmodels.tsa.statespace.mlemodel")
    n, p, T = shape
    rng = np.random.default_rng(0)
    A, C = 0.9 * np.linalg.qr(rng.normal(size=(n, n)))[0], rng.normal(size=(p, n))
    y = np.where(rng.random((T, p)) < 0.1, np.nan, rng.normal(size=(T, p)))
    model = dbn.linear_gaussian(A, C, 0.3 * np.eye(n), 0.5 * np.eye(p), np.zeros(n), np.eye(n))
    peer = mlemodel.MLEModel(y, k_states=n, k_posdef=n).ssm
    peer["design"], peer["transition"], peer["selection"] = C, A, np.eye(n)
    peer["state_cov"], peer["obs_cov"] = 0.3 * np.eye(n), 0.5 * np.eye(p)
    peer.initialize_known(np.zeros(n), np.eye(n))
    works: dict[str, Work] = {
        engine: lambda engine=engine: dbn.smooth(model, {"y": y}, engine=engine) for engine in ("native", "numpy")
    }
    _row(page, f"Kalman smoother, n, p, T = {shape}", in_turn({**works, "peer": peer.smooth}, rounds=5))


@pytest.mark.parametrize("shape", ELMANS, ids=title)
def test_elman(in_turn: InTurn, page: list[str], shape: tuple[int, int, int, int, int]) -> None:
    """Loss and gradients of an Elman network by `program.at`, in float64."""
    T, B, n, H, K = shape
    rnn, rng = db.cells.elman(n, H, K), np.random.default_rng(0)
    theta, x, y = rnn.initial_parameters(0), rng.normal(size=(T, B, n)), rng.integers(0, K, (T, B))
    bound = {engine: db.compile(rnn, engine).at({"x": x, "y": y}) for engine in ("native", "numpy")}
    works: dict[str, Work] = {engine: lambda of=of: of.value_and_grad(theta) for engine, of in bound.items()}
    found = in_turn({**works, "peer": _with_jax(theta, x, y)}, rounds=31)
    _row(page, f"Elman, T, B, n, H, K = {shape}", found)


def _with_jax(theta: Any, x: Any, y: Any) -> Work:
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    jax.config.update("jax_enable_x64", True)
    marks, parameters = jax.nn.one_hot(y, len(theta["c"]), dtype=float), {k: jnp.array(v) for k, v in theta.items()}

    def loss(p: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = jnp.tanh(p["b"] + h @ p["W"].T + x @ p["U"].T)
            return h, h

        _, states = jax.lax.scan(step, jnp.zeros((x.shape[1], len(p["b"]))), jnp.array(x))
        return -(marks * jax.nn.log_softmax(p["c"] + states @ p["V"].T)).sum()

    gradients = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(gradients(parameters))

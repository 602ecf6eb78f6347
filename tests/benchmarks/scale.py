"""One step of expectation maximisation over a million sequences in 200 Parquet files, on one and on two workers.

    python tests/benchmarks/scale.py [--small] [--page FILE]

A hidden Markov model with 4 states and 4 symbols, sequences of 100 slices, 5,000 in a file. The files are made by this
script, in a temporary folder.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import distributed
import numpy as np
import pandas as pd

from dbn_bptt import scale
from dbn_bptt.dbn.inference.query import swept
from dbn_bptt.dbn.inference.task import Prepared, given_task
from dbn_bptt.dbn.learning.learn import randomised
from dbn_bptt.dbn.networks.network import Network, Table
from dbn_bptt.dbn.polynomial.reductions import SUM
from dbn_bptt.scale.data import evidence_in
from dbn_bptt.scale.learning import _counts
from dbn_bptt.scale.parts import Part, listed
from dbn_bptt.scale.sums import total

K, T, IN_A_PART = 4, 100, 5000
LIMIT = "1GiB"
HEAD = """# Benchmarks of sums over parts

{cores} cores, Dask {dask}, workers of one thread and {limit} of memory each (Dask restarts one that takes more). A hidden
Markov model with {K} states and {K} symbols, sequences of {T} slices, {part} in each Parquet file, a row a slice.
`python tests/benchmarks/scale.py --page docs/benchmarks_scale.md` makes this page.

## An E-step: expected counts of all sequences

Seconds: the median of {runs} steps after one to warm up. A plain process has the settings of a worker's (one thread for BLAS, freed
memory handed back at once), but no Dask; two plain processes share the files and tell nobody what they found.

| sequences | files | one worker | two workers | speed-up | us a sequence, two workers | one plain process | two | speed-up |
|---|---|---|---|---|---|---|---|---|
"""


def network(seed: int = 0) -> Network:
    """A hidden Markov model with random tables."""
    states = {"Z": tuple(range(K)), "Y": tuple(range(K))}
    flat = np.full((K, K), 1.0 / K)
    start, move = Table("Z", (), np.full(K, 1.0 / K)), Table("Z", (("Z", 1),), flat)
    show = Table("Y", (("Z", 0),), flat)
    return randomised(Network(states, {"Z": {0: start, 1: move}, "Y": {0: show}}), seed)


def written(folder: Path, files: int) -> list[Path]:
    """Files of sequences drawn from a model."""
    of, rng, paths = network(1), np.random.default_rng(0), []
    tables = [np.cumsum(t.values, 0).T for t in (of.first["Z"], of.later["Z"], of.later["Y"])]
    columns = {
        "sequence": np.repeat(np.arange(IN_A_PART, dtype=np.int32), T),
        "t": np.tile(np.arange(T, dtype=np.int16), IN_A_PART),
    }
    for k in range(files):
        y = np.empty((IN_A_PART, T), np.int8)
        z = _drawn(np.broadcast_to(tables[0], (IN_A_PART, K)), rng)
        for t in range(T):
            z = _drawn(tables[1][z], rng) if t else z
            y[:, t] = _drawn(tables[2][z], rng)
        paths.append(folder / f"{k:03d}.parquet")
        pd.DataFrame(columns | {"Y": y.ravel()}).to_parquet(paths[-1], index=False)
    return paths


def _drawn(cumulated: Any, rng: np.random.Generator) -> Any:
    return np.minimum((rng.random((len(cumulated), 1)) > cumulated).sum(1), K - 1)


@contextmanager
def workers(n: int) -> Iterator[distributed.Client]:
    """A client of so many worker processes."""
    options = {"threads_per_worker": 1, "processes": True, "memory_limit": LIMIT, "dashboard_address": ":0"}
    with distributed.LocalCluster(n_workers=n, **options) as cluster, distributed.Client(cluster) as client:
        yield client


@contextmanager
def plain_processes(n: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes with the settings of Dask's workers."""
    settings = {name: str(value) for name, value in dask.config.get("distributed.nanny.pre-spawn-environ").items()}
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        with ProcessPoolExecutor(n, multiprocessing.get_context("spawn")) as pool:
            yield pool
    finally:
        os.environ.clear()
        os.environ.update(before)


def counted(share: tuple[list[Path], Prepared]) -> None:
    """The counts of some files, which nobody wants."""
    for path in share[0]:
        _counts(Part("", path), share[1])


def median(step: Callable[[], Any], runs: int) -> float:
    """The median of some runs in seconds, after one to warm up."""
    took = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        step()
        took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def stages(path: Path, model: Prepared, runs: int) -> list[tuple[str, float]]:
    """Where the time of one file goes, in one process."""
    frame = pd.read_parquet(path)
    task = given_task(model, frame)
    whole = median(lambda: _counts(Part("", path), model), runs)
    read = median(lambda: evidence_in(Part("", path), model.network), runs)
    arranged = median(lambda: given_task(model, frame), runs)
    counted = median(lambda: swept(task, SUM, ("params",)).counts(), runs)
    return [("a file", whole), ("reading Parquet", read), ("rows to sequences", arranged), ("the sweep", counted)]


def page(sizes: list[int], runs: int) -> str:
    """All figures as a page."""
    model = Prepared(network(2))
    head = {"cores": os.cpu_count(), "dask": dask.__version__, "limit": LIMIT, "K": K, "T": T}
    lines = [HEAD.format(**head, part=f"{IN_A_PART:,}", runs=runs)]
    found: dict[Any, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        paths = written(Path(name), max(sizes))
        for n in (1, 2):
            with plain_processes(n) as pool:
                for files in sizes:
                    shares = [(paths[k:files:n], model) for k in range(n)]
                    found["plain", n, files] = median(lambda shares=shares: list(pool.map(counted, shares)), runs)
            with workers(n) as client:
                for files in sizes:
                    parts = listed(paths[:files])
                    found[n, files] = median(lambda parts=parts: total(_counts, parts, model), runs)
                found["peak", n] = max(client.run(peak).values())
                if n == 2:
                    step = median(lambda: scale.fit(dbn_model(model), paths, steps=1, tolerance=0), 1) / 2
        for files in sizes:
            one, two = found[1, files], found[2, files]
            plain, pair = found["plain", 1, files], found["plain", 2, files]
            each = two / (files * IN_A_PART) * 1e6
            times = (
                f"{one:.2f} | {two:.2f} | {one / two:.2f} | {each:.1f} | {plain:.2f} | {pair:.2f} | {plain / pair:.2f}"
            )
            lines.append(f"| {files * IN_A_PART:,} | {files} | {times} |\n")
        last = max(sizes)
        beside = [found[n, last] / found["plain", n, last] - 1 for n in (1, 2)]
        lines.append(
            f"\nOne step of `scale.fit` over all {last} files on two workers, with the model's way there and the counts' way"
            f" back: {step:.2f} s. The most memory that a worker ever had: {found['peak', 1]:.0f} MiB (one worker),"
            f" {found['peak', 2]:.0f} MiB (two). Dask adds"
            f" {beside[0]:.0%} to one plain process, {beside[1]:.0%} to two.\n"
        )
        lines.append("\n## Where the time of a file goes, in one process\n\n| | ms | share |\n|---|---|---|\n")
        measured = stages(paths[0], model, 5 * runs)
        lines += [f"| {title} | {1e3 * s:.1f} | {s / measured[0][1]:.0%} |\n" for title, s in measured]
    return "".join(lines)


def dbn_model(model: Prepared) -> Any:
    """The model as pgmpy's."""
    from dbn_bptt.dbn.networks.convert import to_pgmpy

    return to_pgmpy(model.network)


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a few files, to see that all runs")
    parser.add_argument("--page", type=Path, help="the file for the page")
    options = parser.parse_args()
    text = page([2, 4], 1) if options.small else page([2, 20, 200], 3)
    print(text)
    if options.page:
        options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

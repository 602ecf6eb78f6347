"""How long pictures take, and how large they are.

`python -m tests.benchmarks.render` prints medians, and writes docs/benchmarks_render.md. The folded view of a graph of
1000 slices is to take less than a second, an explorer of 20 slices with 8 units less than a megabyte.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

import dbn_bptt as db
from dbn_bptt import cells, render


def _median(work: Callable[[], str], rounds: int = 5) -> tuple[float, int]:
    """The median time of some runs, in s, and the size of what comes out, in bytes."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - start)
    return median(times), len(found.encode())


def _rows(name: str, cell: Callable[..., db.SliceTemplate]) -> list[str]:
    rng = np.random.default_rng(0)
    template = cell(3, 8, 2)
    data = {"x": rng.normal(size=(20, 3)), "y": rng.integers(0, 2, 20)}
    result = db.bptt(template, template.initial_parameters(0), data)
    graph = db.unroll(template, 1000)
    works: dict[str, Callable[[], str]] = {
        "rolled": lambda: render.svg(template),
        "eight slices": lambda: render.svg(template, T=8),
        "a graph of 1000 slices, folded": lambda: render.svg(graph),
        "1000 slices from the template, folded": lambda: render.svg(template, T=1000),
        "adjoint, three slices": lambda: render.svg(db.adjoint(template), T=3),
        "explorer, 20 slices": lambda: render.html(result),
    }
    rows = []
    for title, work in works.items():
        seconds, size = _median(work)
        rows.append(f"| {name} | {title} | {seconds * 1e3:.0f} ms | {size / 1e3:.0f} kB |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Print the table, and write it into docs/benchmarks_render.md."""
    lines = [
        "# Benchmarks of pictures", "",
        "Medians of five runs; `python -m tests.benchmarks.render` makes this page. The explorer has 8 hidden units.", "",
        "| cell | picture | time | size |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, cell in (("elman", cells.elman), ("gru", cells.gru), ("lstm", cells.lstm)):
        lines += _rows(name, cell)
    page = Path(__file__).parents[2] / "docs" / "benchmarks_render.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

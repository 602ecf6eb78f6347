"""How long pictures take, and how large they are.

The folded view of a graph of 1000 slices is to take less than a second, an explorer of 20 slices with 8 units less than
a megabyte.
"""

from collections.abc import Callable

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, render
from tests.benchmarks.conftest import InTurn

CELLS = {"elman": cells.elman, "gru": cells.gru, "lstm": cells.lstm}
PICTURES: dict[str, Callable[[db.SliceTemplate], Callable[[], str]]] = {
    "rolled": lambda template: lambda: render.svg(template),
    "eight slices": lambda template: lambda: render.svg(template, T=8),
    "a graph of 1000 slices, folded": lambda template: _of_graph(db.unroll(template, 1000)),
    "1000 slices from the template, folded": lambda template: lambda: render.svg(template, T=1000),
    "adjoint, three slices": lambda template: lambda: render.svg(db.adjoint(template), T=3),
    "explorer, 20 slices": lambda template: _explorer(template),
}
PAGE, ROWS = "benchmarks_render.md", len(CELLS) * len(PICTURES)
HEAD = """
# Benchmarks of pictures

Medians of five runs; `{command}` makes this page. The explorer has 8 hidden units.

| cell | picture | time | size |
|---|---|---|---|
"""


def _of_graph(graph: object) -> Callable[[], str]:
    return lambda: render.svg(graph)


def _explorer(template: db.SliceTemplate) -> Callable[[], str]:
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(20, 3)), "y": rng.integers(0, 2, 20)}
    result = db.bptt(template, template.initial_parameters(0), data)
    return lambda: render.html(result)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("cell", CELLS)
def test_picture(in_turn: InTurn, page: list[str], cell: str, picture: str) -> None:
    draw = PICTURES[picture](CELLS[cell](3, 8, 2))
    seconds = in_turn({picture: draw}, rounds=5)[picture]
    page.append(f"| {cell} | {picture} | {seconds * 1e3:.0f} ms | {len(draw().encode()) / 1e3:.0f} kB |")

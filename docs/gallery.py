"""Draws the pictures of the README and of docs/gallery.md into docs/pictures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import dbn_bptt as db
from dbn_bptt import cells, dbn, paths, render

Picture = tuple[str, str]  # the name of a file, and its SVG


def _run(template: db.SliceTemplate, T: int) -> db.Result:
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(T, 3)), "y": rng.integers(0, 2, T)}
    return db.bptt(template, template.initial_parameters(seed=0), data)


def pictures() -> Iterator[Picture]:
    """Every picture, by the name of its file."""
    elman, lstm = cells.elman(3, 4, 2), cells.lstm(3, 4, 2)
    yield "messages.svg", render.svg(_run(elman, 4))
    yield "rolled.svg", render.svg(lstm)
    yield "two_slices.svg", render.svg(elman, view="two-slice")
    yield "lstm.svg", render.svg(lstm, T=3)
    yield "gru.svg", render.svg(_run(cells.gru(3, 4, 2), 3))
    yield "folded.svg", render.svg(elman, T=1000)
    yield "copies.svg", render.svg(elman, T=2, parameters="copies")
    yield "shared.svg", render.svg(elman, T=3, parameters="shared")
    yield "shared_lstm.svg", render.svg(lstm, T=2, parameters="shared")
    yield "plates.svg", render.svg(elman, view="rolled", parameters="plates")
    yield "adjoint.svg", render.svg(db.adjoint(elman), T=3)
    yield "bidirectional.svg", render.svg(cells.bidirectional("gru", 3, 4, 2), T=3)
    yield "values.svg", render.svg(_run(elman, 4), show="values")
    yield "dark.svg", render.svg(_run(elman, 4), show="messages", theme="dark", truncate=2)
    small = _run(cells.elman(1 + 2, 2, 2), 3)
    scalars = paths.linearize(small.graph, small.values)
    ((_, heaviest),) = paths.heaviest_paths(scalars, ("x", 0, (0,)), ("L", None, ()))
    yield "heaviest_path.svg", render.svg(scalars, path=heaviest)
    yield "posteriors.svg", render.svg(dbn.umbrella(), evidence={"Umbrella": [1, 1, 0, 1]})
    yield "compact.svg", render.svg(elman, T=3, compact=True)
    yield "sweeps.svg", render.animated_svg(_run(elman, 3), compact=True)
    yield "roles.svg", render.svg(elman, T=3, compact=True, colors="role", size_cm=14)
    yield "roles_dark.svg", render.svg(elman, T=3, compact=True, colors="role", size_cm=14, theme="dark")
    own = {"h": "s", "L": r"\ell", "yhat": r"\hat{p}"}
    yield "names.svg", render.svg(elman, T=3, compact=True, names=own, notation="subscript", slices="relative")


if __name__ == "__main__":
    folder = Path(__file__).with_name("pictures")
    for name, picture in pictures():
        (folder / name).write_text(picture, encoding="utf-8")

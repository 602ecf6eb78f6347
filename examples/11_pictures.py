"""Pictures: one scene, four views, many formats, and the explorer; written into a folder, if one is given."""

import sys
from pathlib import Path

import numpy as np

import dbn_bptt as db
from dbn_bptt import cells, render

rnn = cells.gru(n_inputs=3, n_hidden=4, n_outputs=2)
rng = np.random.default_rng(0)
data = {"x": rng.normal(size=(5, 3)), "y": rng.integers(0, 2, 5)}
result = db.bptt(rnn, rnn.initial_parameters(seed=0), data)

for view in ("rolled", "two-slice", "unrolled", "folded"):
    scene = render.scene(rnn, view=view, T=9 if view in ("unrolled", "folded") else None)
    size = f"{scene.width:.0f} x {scene.height:.0f}"
    print(f"{view:>9}: {len(scene.spots):3d} nodes, {len(scene.lines):3d} edges, {size} px")

files = {
    "messages.svg": render.svg(result),  # edges as thick as the messages on them are large
    "values.svg": render.svg(result, show="values", theme="dark"),
    "network.tex": render.tikz(rnn),
    "network.dot": render.dot(result),
    "network.mmd": render.mermaid(rnn),
    "network.graphml": render.graphml(result),
    "explorer.html": render.html(result),  # steps through both sweeps
}
print("formats:", ", ".join(files))
if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    print("written into", folder)

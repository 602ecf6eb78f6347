"""Draws docs/unrolled.svg, the picture of the README."""

from pathlib import Path

import numpy as np

import dbn_bptt as db
from dbn_bptt import render

rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
data = {"x": np.random.default_rng(0).normal(size=(4, 3)), "y": np.array([0, 1, 1, 0])}
result = db.bptt(rnn, rnn.initial_parameters(seed=0), data)
Path(__file__).with_name("unrolled.svg").write_text(render.svg(result), encoding="utf-8")

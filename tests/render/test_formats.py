"""Writers: every format is taken by the program that it is for, and names from users cannot break it."""

import os
import re
import subprocess
import xml.etree.ElementTree as ET

import networkx as nx
import numpy as np
import pytest
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

import dbn_bptt as db
from dbn_bptt import cells, dbn, render
from tests.render.checks import tool

HOSTILE = '</title><script>alert("1")</script>&\\end{document}$%_^~#{}\'`|;-->\n]]>'


def _result():
    rng = np.random.default_rng(0)
    rnn = cells.lstm(3, 4, 2)
    return db.bptt(rnn, rnn.initial_parameters(0), {"x": rng.normal(size=(3, 3)), "y": rng.integers(0, 2, 3)})


def _hostile_template():
    t = db.SliceTemplate(HOSTILE)
    h = t.variable("h\u00e9\u4e2d", 2)
    t.define(h, db.tanh(h.prev))
    t.loss("L", db.sum(h))
    return t


def _hostile_network():
    model = DynamicBayesianNetwork()
    names = HOSTILE, "plain"
    model.add_edges_from([((names[0], 0), (names[0], 1)), ((names[0], 0), (names[1], 0))])
    model.add_cpds(
        TabularCPD((names[0], 0), 2, [[0.5], [0.5]]),
        TabularCPD((names[0], 1), 2, [[0.7, 0.3], [0.3, 0.7]], [(names[0], 0)], [2]),
        TabularCPD((names[1], 0), 2, [[0.9, 0.2], [0.1, 0.8]], [(names[0], 0)], [2]),
    )
    return model


DRAWN = {
    "lstm": lambda: (_result(), {}),
    "numbers": lambda: (_result(), {"show": "values", "path": [("x", 0), ("i", 0), ("s", 0)], "truncate": 2}),
    "rolled": lambda: (cells.gru(3, 4, 2), {}),
    "two slices, plates": lambda: (cells.elman(3, 4, 2), {"view": "two-slice", "parameters": "plates"}),
    "by role": lambda: (cells.elman(3, 4, 2), {"T": 2, "colors": "role", "parameters": "copies", "compact": True}),
    "own names": lambda: (_result(), {"names": {"h": r"\ell", "U_i": "cell & state"}, "notation": "subscript"}),
    "copies": lambda: (cells.elman(3, 4, 2), {"T": 2, "parameters": "copies"}),
    "folded": lambda: (cells.jordan(3, 4, 2), {"T": 30}),
    "adjoint": lambda: (db.adjoint(cells.elman(3, 4, 2)), {"T": 2}),
    "two edges between two nodes": lambda: (cells.gru(3, 4, 2), {"T": 2}),
    "an adjoint": lambda: (db.adjoint(cells.lstm(3, 4, 2)), {"T": 2}),
    "far delays": lambda: (cells.bidirectional("elman", 3, 4, 2), {"view": "rolled"}),
    "network": lambda: (dbn.umbrella(), {"evidence": {"Umbrella": [1, 0, 1]}}),
    "hostile template": lambda: (_hostile_template(), {"T": 2}),
    "hostile network": lambda: (_hostile_network(), {"evidence": {"plain": [0, 1]}}),
}
drawn = pytest.mark.parametrize("name", DRAWN)


@drawn
def test_graphviz_takes_dot(name):
    obj, options = DRAWN[name]()
    run = subprocess.run(
        [tool("dot"), "-Tsvg"], input=render.dot(obj, **options).encode(), capture_output=True, timeout=60
    )
    assert run.returncode == 0, run.stderr.decode()
    assert b"syntax error" not in run.stderr
    picture = ET.fromstring(run.stdout)
    count = len([g for g in picture.iter("{http://www.w3.org/2000/svg}g") if g.get("class") == "node"])
    scene = render.scene(obj, **options)
    assert count == len(scene.spots) + len(scene.headings)


@drawn
def test_pdflatex_takes_tikz(name, tmp_path):
    obj, options = DRAWN[name]()
    (tmp_path / "picture.tex").write_text(render.tikz(obj, **options))
    command = [tool("pdflatex"), "-interaction=nonstopmode", "-halt-on-error", "picture.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-1500:]
    assert (tmp_path / "picture.pdf").stat().st_size > 1000


def test_pdflatex_gives_the_width_that_was_asked_for(tmp_path):
    latex, information = tool("pdflatex"), tool("pdfinfo")
    (tmp_path / "picture.tex").write_text(render.tikz(_result(), size_cm=9.0))
    subprocess.run([latex, "-interaction=batchmode", "picture.tex"], cwd=tmp_path, capture_output=True, timeout=120)
    told = subprocess.run([information, "picture.pdf"], cwd=tmp_path, capture_output=True, timeout=60).stdout.decode()
    width = float(re.search(r"Page size: +([\d.]+)", told)[1]) - 8 * 72 / 72.27  # without the border of the page
    assert width == pytest.approx(9.0 / 2.54 * 72, abs=0.5)


def test_mermaid_takes_its_flowcharts(tmp_path):
    node = tool("node")
    modules = os.environ.get("DBN_BPTT_NODE_MODULES")
    if not modules:
        pytest.skip("DBN_BPTT_NODE_MODULES does not say where npm put mermaid and jsdom")
    texts = {name: render.mermaid(obj, **options) for name, (obj, options) in ((n, f()) for n, f in DRAWN.items())}
    for k, text in enumerate(texts.values()):
        (tmp_path / f"{k}.mmd").write_text(text)
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "parse.mjs").write_text(
        "import { readFileSync } from 'fs';\n"
        "import { JSDOM } from 'jsdom';\n"
        "const { window } = new JSDOM('');\n"
        "globalThis.window = window; globalThis.document = window.document;\n"
        "const mermaid = (await import('mermaid')).default;\n"
        f"for (let k = 0; k < {len(texts)}; k++) {{\n"
        "  const found = await mermaid.parse(readFileSync(`${k}.mmd`, 'utf8'));\n"
        "  console.log(k, found.diagramType);\n"
        "}\n"
    )
    run = subprocess.run([node, "parse.mjs"], cwd=tmp_path, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode().count("flowchart") == len(texts)


@drawn
def test_networkx_takes_graphml(name):
    obj, options = DRAWN[name]()
    options.pop("evidence", None)
    again = nx.parse_graphml(render.graphml(obj, **options), force_multigraph=True)
    scene = render.scene(obj, **{"view": "unrolled", "parameters": "shared", **options})
    placed = {(at["x"], at["y"]) for _, at in again.nodes(data=True) if "x" in at}
    assert placed == {(spot.x, spot.y) for spot in scene.spots}
    assert again.number_of_edges() >= len(scene.lines)


@drawn
def test_svg_is_well_formed_and_holds_no_program(name):
    obj, options = DRAWN[name]()
    picture = render.svg(obj, **options)
    ET.fromstring(picture)
    assert "<script" not in picture


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")  # which letters there are is up to the reader's fonts
@drawn
@pytest.mark.parametrize("format", ["png", "pdf"])
def test_matplotlib_writes_files(name, format, tmp_path):
    pytest.importorskip("matplotlib")
    obj, options = DRAWN[name]()
    path = tmp_path / f"picture.{format}"
    render.figure(obj, **options).savefig(path)
    assert path.read_bytes()[:4] in (b"\x89PNG", b"%PDF")


def test_every_writer_works_without_any_program(monkeypatch):
    monkeypatch.setenv("PATH", "")
    for write in (render.svg, render.dot, render.mermaid, render.tikz, render.graphml, render.html):
        assert write(_result())


def test_hostile_names_stay_text():
    page = render.html(_hostile_network(), evidence={"plain": [0, 1]})
    assert "<script>alert" not in page
    assert len(re.findall(r"<script", page)) == 2
    assert "\nalert" not in render.mermaid(_hostile_network())

"""`dbn-bptt draw`, as a person runs it."""

import xml.etree.ElementTree as ET

import networkx as nx
import pytest

from dbn_bptt import dbn
from dbn_bptt.app import cli


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "umbrella.bif"
    dbn.write_bif(dbn.umbrella(), path)
    (tmp_path / "seen.csv").write_text("Umbrella\n1\n0\n1\n")
    return path


def _run(*arguments, capsys):
    status = cli.main(["draw", *map(str, arguments)])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("cell", ["elman", "jordan", "lstm", "gru"])
@pytest.mark.parametrize("view", ["rolled", "two-slice", "unrolled", "folded"])
def test_every_cell_in_every_view(cell, view, capsys):
    status, out, err = _run(cell, "--view", view, "-T", "3", capsys=capsys)
    assert (status, err) == (0, "")
    ET.fromstring(out)


BEGINNINGS = {
    "svg": "<svg", "html": "<!doctype html>", "dot": "digraph", "mermaid": "flowchart", "tikz": "\\documentclass",
    "graphml": "<graphml", "animated_svg": "<svg", "beamer": "\\documentclass{beamer}",
}  # fmt: skip


@pytest.mark.parametrize("format", BEGINNINGS)
def test_every_format_of_text(format, capsys):
    status, out, _ = _run("gru", "-T", "2", "--format", format, capsys=capsys)
    assert status == 0
    assert out.startswith(BEGINNINGS[format])


@pytest.mark.parametrize("ending", ["svg", "html", "dot", "png", "pdf", "gv", "tex", "mmd", "SVG", "gif"])
def test_the_ending_of_a_file_tells_its_format(ending, tmp_path, capsys):
    path = tmp_path / f"picture.{ending}"
    status, out, _ = _run("elman", "-T", "2", "--out", path, capsys=capsys)
    assert (status, out) == (0, f"wrote {path}\n")
    format = {"gv": "dot", "tex": "tikz", "mmd": "mermaid", "SVG": "svg"}.get(ending, ending)
    beginning = {"png": b"\x89PNG", "pdf": b"%PDF", "gif": b"GIF89a"}.get(format) or BEGINNINGS[format].encode()
    assert path.read_bytes().startswith(beginning)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def test_a_model_with_its_posteriors(model, capsys):
    status, out, _ = _run(model, "--evidence", model.with_name("seen.csv"), capsys=capsys)
    assert status == 0
    assert out.count('class="bar"') == 12
    status, out, _ = _run(model, "--format", "html", "--evidence", model.with_name("seen.csv"), capsys=capsys)
    assert status == 0
    assert "log_likelihood" in out


def test_graphml_of_a_model_is_the_unrolled_network(model, capsys):
    _, out, _ = _run(model, "-T", "3", "--format", "graphml", capsys=capsys)
    graph = nx.parse_graphml(out)
    assert set(graph) == {f"{name}[{t}]" for name in ("Rain", "Umbrella") for t in range(3)}
    assert graph.number_of_edges() == 5


def test_numbers_and_adjoints(capsys):
    assert 'class="cell"' in _run("elman", "--show", "messages", capsys=capsys)[1]
    assert "adjoint of Elman network" in _run("elman", "--adjoint", "-T", "2", capsys=capsys)[1]


def test_compact(capsys):
    out = _run("elman", "-T", "2", "--compact", capsys=capsys)[1]
    assert "h_1 = tanh(b + W h_0 + U x_1)" in out


def test_names(capsys):
    options = ["--name", "h=s", "--name", "L=\\ell", "--notation", "subscript", "--slices", "relative"]
    out = _run("elman", "-T", "3", "--format", "tikz", *options, capsys=capsys)[1]
    assert all(f"{{${name}$}}" in out for name in ("s_{t-2}", r"\ell_{t+1}", "x_{t}"))


def test_colours_and_a_width(capsys):
    out = _run("elman", "-T", "2", "--colors", "role", "--size-cm", "9", capsys=capsys)[1]
    assert "role-hidden" in out
    assert 'width="9cm"' in out


REFUSED = [
    (
        ["elman", "--format", "dot", "--size-cm", "9"],
        "dot has no width of its own; leave --size-cm out, or draw svg, tikz",
    ),
    (["elman", "--name", "h"], "--name h has no =; write --name OLD=NEW"),
    (["elman", "--name", "hh=s"], "unknown name of what is drawn 'hh'; did you mean 'h'?"),
    (["elmann"], "unknown cell 'elmann'; did you mean 'elman'"),
    (["elman", "-T", "0"], "T is 0; the number of slices must be a positive integer"),
    (["elman", "--format", "png"], "png is no text; say where it goes: --out FILE"),
    (["elman", "--seed", "-1", "--format", "html"], "seed is -1; give a number from 0 on"),
    (["elman", "--evidence", "seen.csv"], "--evidence goes with a model"),
    (["elman", "--adjoint", "--format", "html"], "numbers are those of a cell; draw it without --adjoint"),
    (["elman", "--format", "html", "--show", "values"], "the explorer shows all numbers; leave --show out"),
    (["elman", "--format", "html", "--view", "rolled"], "view must be 'unrolled' or 'folded'"),
    (["MODEL", "--format", "html"], "add --evidence EVIDENCE.csv"),
    (["MODEL", "--show", "values"], "--adjoint and --show go with a cell"),
    (["MODEL", "--view", "rolled", "--evidence", "SEEN"], "evidence is about slices of their own"),
    (["nowhere.bif"], "cannot read nowhere.bif"),
    (
        ["elman", "--out", "picture.jpg"],
        "the ending of picture.jpg tells no format; use one of animated_svg, beamer, dot, gif, graphml, gv, htm, html, mermaid, mmd",
    ),
    (["elman", "--format", "tikz", "--theme", "dark"], "tikz has no themes; leave --theme out, or draw svg"),
    (["elman", "--out", "."], "cannot write .: is a folder"),
    (["elman", "--out", "/nowhere/picture.svg"], "cannot write /nowhere/picture.svg: No such file"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_mistakes_are_told(arguments, message, model, capsys):
    places = {"MODEL": model, "SEEN": model.with_name("seen.csv")}
    status, out, err = _run(*[places.get(a, a) for a in arguments], capsys=capsys)
    assert (status, out) == (2, "")
    assert message in err


def test_a_model_that_is_cut_off_is_refused(model, capsys):
    text = model.read_text()
    model.write_text(text[: text.index("probability ( Rain_1") + 20])
    status, _, err = _run(model, capsys=capsys)
    assert status == 2
    assert "Rain_1 has no probability table; is the file whole?" in err


def test_the_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("dbn-bptt 0.")

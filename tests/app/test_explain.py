"""The command, as a person runs it."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dbn_bptt.agreement import Report, Row
from dbn_bptt.app import cli, explain
from tests.render.checks import page_content


def _run(*arguments, out, capsys):
    status = cli.main(["explain", *arguments, "--out", str(out)])
    return status, *capsys.readouterr()


def test_it_explains_the_embedded_text(tmp_path, capsys):
    status, out, _ = _run(out=tmp_path, capsys=capsys)
    assert status == 0
    for line in (
        "h_t = tanh(a_t)",
        "h_bar_t = V' o_bar_t + W' a_bar_{t+1}",
        "all engines agree",
        "interface, all that one slice tells the next: h (16 numbers)",
        f"wrote {tmp_path}/explorer.html",
        f"wrote {tmp_path}/unrolled.svg",
        "the first and the last slices are drawn; a short text is easiest to follow: explain hello --hidden 4",
    ):
        assert line in out.splitlines()
    found = json.loads((tmp_path / "explain.json").read_text())
    assert found["slices"] == len(explain.TEXT) - 1
    assert len(found["adjoint_norms"]["h"]) == found["slices"]
    assert {row["engine"] for row in found["agreement"]["rows"]} == {
        "NumPy reference",
        "adjoint network",
        "program",
        "finite differences",
    }
    assert found["agreement"]["ok"]
    ET.parse(tmp_path / "unrolled.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["explain.json", "explorer.html", "unrolled.svg"]


@pytest.mark.parametrize("cell", sorted(explain.CELLS))
def test_every_cell(cell, tmp_path, capsys):
    status, out, _ = _run("banana", "--cell", cell, "--hidden", "3", "--seed", "2", out=tmp_path, capsys=capsys)
    assert status == 0
    assert "T = 5 slices" in out


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "identity"])
def test_every_activation(activation, tmp_path, capsys):
    assert _run("banana", "--activation", activation, out=tmp_path, capsys=capsys)[0] == 0


@pytest.mark.parametrize("text", ["aa", "ab", "a\nb\n", "\u00fcber \u2211 \U0001f600", "<svg>&\"'"])
def test_texts_of_all_kinds(text, tmp_path, capsys):
    assert _run(text, out=tmp_path, capsys=capsys)[0] == 0
    assert json.loads((tmp_path / "explain.json").read_text())["text"] == text


def test_a_file(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("hello, hello\n")
    assert _run("--file", str(tmp_path / "text.txt"), out=tmp_path / "deep" / "out", capsys=capsys)[0] == 0
    assert (tmp_path / "deep" / "out" / "unrolled.svg").exists()


BAD = [
    ("missing file", ["--file", "{}/nowhere.txt"], "cannot read .*nowhere.txt: No such file"),
    ("a folder", ["--file", "{}"], "cannot read .*: Is a directory"),
    ("empty file", ["--file", "{}/empty"], "empty is empty; give a file with at least two characters"),
    ("no text", ["--file", "{}/picture"], r"picture is not UTF-8 text \(byte 1\); convert it or give another file"),
    ("zero bytes", ["--file", "{}/zeros"], r"zeros is not text \(it holds zero bytes\)"),
    ("undecodable bytes", ["a\udcff b"], "bytes that are not UTF-8"),
    ("negative seed", ["abc", "--seed", "-1"], "seed is -1; give a number from 0 on"),
    ("one character", ["x"], r"the text 'x' has 1 character\(s\); give at least two"),
    ("no character", [""], r"the text '' has 0 character\(s\)"),
    ("text and file", ["abc", "--file", "{}/empty"], "give a TEXT or a --file, not both"),
    ("no hidden unit", ["abc", "--hidden", "0"], "hidden is 0; give at least one hidden unit"),
    ("activation of an lstm", ["abc", "--cell", "lstm", "--activation", "relu"], "activation is for elman and jordan"),
]


@pytest.mark.parametrize(("arguments", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_ends_with_status_2_and_writes_nothing(arguments, message, tmp_path, capsys):
    (tmp_path / "empty").touch()
    (tmp_path / "zeros").write_bytes(b"a\0b")
    (tmp_path / "picture").write_bytes(b"a\xff\xd8\x00")
    status, out, err = _run(*(a.format(tmp_path) for a in arguments), out=tmp_path / "out", capsys=capsys)
    assert status == 2
    assert not out
    assert re.search(message, err)
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").touch()
    status, _, err = _run("abc", out=tmp_path / "file", capsys=capsys)
    assert status == 2
    assert "choose another --out" in err


def test_a_reader_who_has_seen_enough(tmp_path):
    command = f"{sys.executable} -m dbn_bptt explain abab --out {tmp_path} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert not done.stderr
    assert (tmp_path / "unrolled.svg").exists()


def test_a_failed_write_leaves_no_part_behind(tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli.Path, "replace", full)
    status, _, err = _run("abc", out=tmp_path, capsys=capsys)
    assert status == 2
    assert "No space left on device; choose another --out" in err
    assert not list(tmp_path.iterdir())


def test_disagreeing_engines_end_with_status_1(tmp_path, capsys, monkeypatch):
    agreeing = explain.compare

    def disagreeing(*arguments, **options):
        report = agreeing(*arguments, **options)
        return Report(
            report.template, report.loss, (*report.rows, Row("broken", "W", 1.0, 1.0, 1.0, 1e-9)), report.result
        )

    monkeypatch.setattr(explain, "compare", disagreeing)
    status, out, _ = _run("abc", out=tmp_path, capsys=capsys)
    assert status == 1
    assert "THE ENGINES DISAGREE" in out
    assert "1.0e+00 DIFFERS" in out


def test_the_module_runs_and_a_second_run_says_the_same(tmp_path):
    command = [sys.executable, "-m", "dbn_bptt", "explain", "abab", "--out", str(tmp_path)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in "12"
    ]
    assert runs[0].stdout == runs[1].stdout


def test_long_texts_show_progress(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(explain, "_LONG", 3)
    _, _, err = _run("abcabc", out=tmp_path, capsys=capsys)
    assert "messages" in err
    assert "finite differences" in err


def test_the_norms_of_the_last_loss_decay_with_small_weights():
    found = explain.explain("abcabcabcabc", hidden=4, seed=1)
    norms = found.last_norms["h"]
    assert norms.shape == (11,)
    assert np.all(np.diff(norms) > 0)


@pytest.mark.parametrize(("text", "drawn"), [("hello", 4), ("nine char", 8), ("ten letters", 5)])
def test_a_newcomer_sees_few_slices(text, drawn):
    found = explain.explain(text, hidden=4)
    nodes = page_content(found.page)["nodes"]
    assert sum(node["variable"] == "h" and node["kind"] == "variable" for node in nodes) == drawn
    assert found.folded == (drawn == 5)

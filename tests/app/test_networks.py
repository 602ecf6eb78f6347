"""The command's verbs for networks, from files to files."""

import importlib.util
import io

import numpy as np
import pandas as pd
import pytest

from dbn_bptt import dbn
from dbn_bptt.app.cli import main
from tests.dbn_models import build

MODEL = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)
SEEN = pd.DataFrame({"sequence": ["a", "a", "a", "b", "b"], "t": [0, 1, 2, 0, 1], "Y": [0, 3, 1, 2, 2]})
HAS_PARQUET = importlib.util.find_spec("pyarrow") is not None
FORMATS = ["csv", pytest.param("parquet", marks=pytest.mark.skipif(not HAS_PARQUET, reason="pyarrow is not installed"))]


@pytest.fixture
def files(tmp_path):
    """A model and evidence, as CSV and, where it can be written, as Parquet."""
    dbn.write_bif(MODEL, tmp_path / "model.bif")
    SEEN.to_csv(tmp_path / "seen.csv", index=False)
    if HAS_PARQUET:
        SEEN.to_parquet(tmp_path / "seen.parquet", index=False)
    return tmp_path


def _run(capsys, *arguments):
    assert main(list(map(str, arguments))) == 0
    out, err = capsys.readouterr()
    return out, err


def _flat(table):
    table.columns = ["=".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in table.columns]
    return table.reset_index()


EXPECTED = {
    "smooth": lambda: dbn.smooth(MODEL, SEEN),
    "filter": lambda: dbn.filter(MODEL, SEEN),
    "predict --horizon 2": lambda: dbn.predict(MODEL, 2, SEEN),
    "viterbi": lambda: dbn.viterbi(MODEL, SEEN),
    "sample --size 3 --seed 5": lambda: dbn.sample(MODEL, 3, SEEN, seed=5),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("verb", EXPECTED)
def test_a_verb_prints_what_the_function_finds(verb, format, files, capsys):
    name, *options = verb.split()
    out, _ = _run(capsys, name, files / "model.bif", files / f"seen.{format}", *options)
    expected = _flat(EXPECTED[verb]().to_frame())
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(out)), expected, check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("verb", EXPECTED)
def test_a_verb_writes_a_file(verb, format, files, capsys):
    name, *options = verb.split()
    place = files / f"found.{format}"
    out, _ = _run(capsys, name, files / "model.bif", files / "seen.csv", *options, "--out", place)
    assert out == f"wrote {place}\n"
    found = {"csv": pd.read_csv, "parquet": pd.read_parquet}[format](place)
    states = [c for c in found.columns if c in ("Z", "Y")]
    expected = _flat(EXPECTED[verb]().to_frame())
    pd.testing.assert_frame_equal(found.astype(dict.fromkeys(states, int)), expected, check_dtype=False, rtol=1e-12)


def test_log_likelihoods(files, capsys):
    out, err = _run(capsys, "log-likelihood", files / "model.bif", files / "seen.csv")
    expected = dbn.log_likelihood(MODEL, SEEN)
    found = pd.read_csv(io.StringIO(out))
    assert found["sequence"].tolist() == ["a", "b"]
    np.testing.assert_allclose(found["log_likelihood"], expected, rtol=1e-12)
    assert float(err.split()[-1]) == pytest.approx(expected.sum())
    (files / "one.csv").write_text("Y\n1\n2\n")
    out, _ = _run(capsys, "log-likelihood", files / "model.bif", files / "one.csv")
    assert out.splitlines()[0] == "log_likelihood"
    assert float(out.splitlines()[1]) == pytest.approx(dbn.log_likelihood(MODEL, {"Y": [1, 2]}))


def test_paths_without_evidence(files, capsys):
    out, _ = _run(capsys, "sample", files / "model.bif", "-T", 4, "--size", 2)
    assert len(pd.read_csv(io.StringIO(out))) == 8


def test_the_summary(files, capsys):
    assert _run(capsys, "summary", files / "model.bif")[0] == f"{dbn.summary(MODEL)}\n"


def test_a_model_is_learnt_from_a_pattern(files, capsys):
    for name in ("a", "b"):
        SEEN[SEEN["sequence"] == name].to_csv(files / f"part_{name}.csv", index=False)
    common = ["--steps", 4, "--prior", "0.5", "--seed", 2]
    out, err = _run(capsys, "fit", files / "model.bif", files / "part_*.csv", *common)
    expected = dbn.fit(dbn.read_bif(files / "model.bif"), SEEN, steps=4, prior=0.5, seed=2)
    assert err.splitlines()[-1] == str(expected)
    assert _run(capsys, "fit", files / "model.bif", files / "seen.csv", *common, "--out", files / "f.bif")[0] == (
        f"wrote {files / 'f.bif'}\n"
    )
    assert (files / "f.bif").read_text().split()[:20] == out.split()[:20]
    found = dbn.read_bif(files / "f.bif")
    for cpd in expected.model.cpds:
        np.testing.assert_allclose(found.get_cpds(cpd.variables[0]).values, cpd.values, atol=1e-12)


def test_an_interrupted_fit_goes_on(files, capsys):
    common = ["fit", files / "model.bif", files / "seen.csv", "--checkpoint", files / "fit.npz", "--tolerance", "0"]
    _run(capsys, *common, "--steps", 2)
    _, err = _run(capsys, *common, "--steps", 5)
    assert err.splitlines()[-1] == str(dbn.fit(MODEL, SEEN, steps=5, tolerance=0))


MISTAKES = [
    (["sample", "model.bif"], "how long are the paths? give EVIDENCE, or -T N"),
    (["sample", "model.bif", "-T", "3", "--seed", "-1"], "seed is -1"),
    (["predict", "model.bif", "seen.csv", "--horizon", "0"], "horizon is 0"),
    (
        ["smooth", "model.bif", "seen.csv", "--out", "x.png"],
        "the ending of x.png tells no format; use .csv or .parquet",
    ),
    (
        ["smooth", "model.bif", "seen.csv", "--out", "no/x.csv"],
        "cannot write no/x.csv: no is no folder that you may write into",
    ),
    (["fit", "model.bif", "seen.csv", "--out", "x.csv"], "the ending of x.csv tells no format; use .bif"),
    (["fit", "model.bif", "*.parq"], "no file is like *.parq"),
    (["fit", "model.bif", "model.bif"], "the ending of model.bif tells no format; parts are files of"),
    (["fit", "model.bif", "seen.csv", "--steps", "0"], "give at least one step"),
    (["fit", "model.bif", "seen.csv", "bad.csv"], "part 1 (bad.csv): evidence of 'Y' is 'x' in row 2 (slice 1)"),
    (["smooth", "model.bif", "latin.csv"], "latin.csv is not UTF-8 text (byte 2)"),
    (["summary", "none.bif"], "cannot read none.bif"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_are_named(arguments, message, files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    (files / "bad.csv").write_text("Y\n1\nx\n")
    (files / "latin.csv").write_bytes(b"Y\n\xe9\n")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err

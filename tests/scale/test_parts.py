"""Sums over parts, whatever these come in, are those of all sequences at once."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

import dbn_bptt as db
from dbn_bptt import dbn, scale
from dbn_bptt.scale.sums import BRANCHES
from tests.dbn_models import build

MODEL = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)
LENGTHS = [3, 7, 1, 5, 5, 2, 4, 6, 3, 2, 1, 4]
RNN = db.cells.lstm(n_inputs=2, n_hidden=3, n_outputs=3)
THETA = RNN.initial_parameters(0)


@pytest.fixture(scope="module")
def sequences():
    """Observations, a list a sequence."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 4, n).tolist() for n in LENGTHS]


@pytest.fixture(scope="module")
def frame(sequences):
    """All of them as one table."""
    return pd.DataFrame({
        "sequence": np.repeat(np.arange(len(LENGTHS)), LENGTHS),
        "t": np.concatenate([np.arange(n) for n in LENGTHS]),
        "Y": np.concatenate(sequences),
    })  # fmt: skip


@pytest.fixture(scope="module")
def records():
    """Inputs and targets of a network, a dict a sequence."""
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(size=(n, 2)), "y": rng.integers(0, 3, n)} for n in LENGTHS]


def _frames(frame):
    return [frame[frame["sequence"].isin(which)] for which in np.array_split(np.arange(len(LENGTHS)), 3)]


def _padded(sequences):
    return {
        "Y": [s + [-1] * (max(map(len, sequences)) - len(s)) for s in sequences],
        "lengths": list(map(len, sequences)),
    }


def _network_table(records):
    x, y = (np.concatenate([r[name] for r in records]) for name in "xy")
    sequence = np.repeat(np.arange(len(records)), [len(r["y"]) for r in records])
    return pd.DataFrame({"sequence": sequence, "x[0]": x[:, 0], "x[1]": x[:, 1], "y": y})


def _batched(records):
    T = max(len(r["y"]) for r in records)
    data = {name: np.zeros((T, len(records), *records[0][name].shape[1:]), records[0][name].dtype) for name in "xy"}
    for k, record in enumerate(records):
        for name in "xy":
            data[name][: len(record[name]), k] = record[name]
    return data, [len(r["y"]) for r in records]


def _written(tables, folder, ending):
    for k, table in enumerate(tables):
        getattr(table, {".csv": "to_csv", ".parquet": "to_parquet"}[ending])(folder / f"{k}{ending}", index=False)
    return folder


# --------------------------------------------------------------------------------------------------- forms of parts
AT_HAND = {
    "dicts of one sequence": lambda s, f, d: [{"Y": y} for y in s],
    "dicts of a batch": lambda s, f, d: [_padded(s[:5]), _padded(s[5:])],
    "lists of dicts": lambda s, f, d: [[{"Y": y} for y in s[:5]], [{"Y": y} for y in s[5:]]],
    "frames": lambda s, f, d: _frames(f),
    "one frame": lambda s, f, d: f,
    "a generator": lambda s, f, d: (part for part in _frames(f)),
    "CSV files in a folder": lambda s, f, d: _written(_frames(f), d, ".csv"),
    "a pattern": lambda s, f, d: f"{_written(_frames(f), d, '.csv')}/*.csv",
    "paths": lambda s, f, d: sorted(_written(_frames(f), d, ".csv").iterdir()),
}


@pytest.mark.parametrize("form", AT_HAND)
def test_a_log_likelihood_is_the_sum_of_those_of_all_sequences(form, sequences, frame, tmp_path):
    expected = sum(dbn.log_likelihood(MODEL, {"Y": y}) for y in sequences)
    found = scale.log_likelihood(MODEL, AT_HAND[form](sequences, frame, tmp_path))
    assert found == pytest.approx(expected, rel=1e-12)


def test_parquet_files_and_npz_files(sequences, frame, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    expected = sum(dbn.log_likelihood(MODEL, {"Y": y}) for y in sequences)
    folder = _written(_frames(frame)[:2], tmp_path, ".parquet")
    np.savez(folder / "2.npz", **_padded(sequences[8:]))
    assert scale.log_likelihood(MODEL, folder) == pytest.approx(expected, rel=1e-12)


def _in_dask(form, sequences, frame):
    bag, dataframe, delayed = (pytest.importorskip(f"dask.{name}") for name in ("bag", "dataframe", "delayed"))
    return {
        "bag": lambda: bag.from_sequence([{"Y": y} for y in sequences], npartitions=4),
        "dataframe": lambda: dataframe.from_pandas(frame.set_index("sequence"), npartitions=3, sort=True),
        "delayed": lambda: [delayed.delayed(lambda f: f)(part) for part in _frames(frame)],
        "one delayed": lambda: delayed.delayed(lambda f: f)(frame),
    }[form]()


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
@pytest.mark.parametrize("form", ["bag", "dataframe", "delayed", "one delayed"])
def test_what_dask_holds(form, scheduler, sequences, frame):
    dask = pytest.importorskip("dask", reason="Dask is not installed")
    expected = sum(dbn.log_likelihood(MODEL, {"Y": y}) for y in sequences)
    with dask.config.set(scheduler=scheduler):
        assert scale.log_likelihood(MODEL, _in_dask(form, sequences, frame)) == pytest.approx(expected, rel=1e-12)


NETWORKS = {
    "dicts of a sequence": lambda r, d: r,
    "lists of dicts": lambda r, d: [r[:5], r[5:]],
    "one frame": lambda r, d: _network_table(r),
    "frames with vectors": lambda r, d: [_vectors(r[:5]), _vectors(r[5:])],
    "CSV files": lambda r, d: _written([_network_table(r[:5]), _network_table(r[5:])], d, ".csv"),
    "npz files": lambda r, d: _npz([r[:5], r[5:]], d),
}


def _vectors(records):
    table = _network_table(records)
    return table.assign(x=list(table[["x[0]", "x[1]"]].to_numpy())).drop(columns=["x[0]", "x[1]"])


def _npz(groups, folder):
    for k, records in enumerate(groups):
        data, lengths = _batched(records)
        np.savez(folder / f"{k}.npz", **data, lengths=lengths)
    return folder


@pytest.mark.parametrize("form", NETWORKS)
def test_gradients_are_those_of_all_sequences(form, records, tmp_path):
    data, lengths = _batched(records)
    program = db.compile(RNN)
    expected, gradients = program.value_and_grad(THETA, data, lengths=lengths)
    loss, found = scale.value_and_grad(program, THETA, NETWORKS[form](records, tmp_path))
    assert loss == pytest.approx(expected, rel=1e-12)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=1e-12 * abs(gradient).max())


def test_initial_states_come_with_the_data(records):
    program, start = db.compile(RNN), {"h": np.full((12, 3), 0.1), "s": np.full((12, 3), -0.2)}
    data, lengths = _batched(records)
    expected = program.loss(THETA, data, initial=start, lengths=lengths)
    part = data | {"lengths": lengths, "initial h": start["h"], "initial s": start["s"]}
    assert scale.value_and_grad(program, THETA, part)[0] == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------------------------------------------- the fixed tree
def test_the_same_parts_give_the_same_bits_with_dask_and_without(sequences, monkeypatch):
    dask = pytest.importorskip("dask", reason="Dask is not installed")
    parts = [{"Y": y} for y in sequences * (BRANCHES + 1)]
    found = []
    for scheduler in ("threads", "synchronous"):
        with dask.config.set(scheduler=scheduler):
            found.append(scale.fit(MODEL, parts, steps=3))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "dask" else sys.modules.get(name))
    found.append(scale.fit(MODEL, parts, steps=3))
    assert len({fit.log_likelihoods for fit in found}) == 1
    assert len({b"".join(cpd.values.tobytes() for cpd in fit.model.cpds) for fit in found}) == 1


# ------------------------------------------------------------------------------------------------------------ learning
@pytest.mark.parametrize("options", [{}, {"prior": 0.5}, {"seed": 3}, {"tolerance": 1e-2}], ids=str)
def test_a_fit_is_that_of_all_sequences_at_once(options, sequences, frame):
    padded = _padded(sequences)
    expected = dbn.fit(MODEL, {"Y": padded["Y"]}, lengths=padded["lengths"], steps=6, **options)
    found = scale.fit(MODEL, _frames(frame), steps=6, **options)
    np.testing.assert_allclose(found.log_likelihoods, expected.log_likelihoods, rtol=1e-12)
    assert found.converged == expected.converged
    for ours, theirs in zip(found.model.cpds, expected.model.cpds, strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-12)


@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_a_fit_goes_on_from_its_checkpoint(prior, frame, tmp_path):
    parts, path = _frames(frame), tmp_path / "fit.npz"
    whole = scale.fit(MODEL, parts, steps=8, prior=prior, tolerance=0)
    scale.fit(MODEL, parts, steps=3, prior=prior, tolerance=0, checkpoint=path)
    found = scale.fit(MODEL, parts, steps=8, prior=prior, tolerance=0, checkpoint=path)
    again = scale.fit(MODEL, parts, steps=8, prior=prior, tolerance=0, checkpoint=path)
    for fit in (found, again):
        assert fit.log_likelihoods == whole.log_likelihoods
        assert all((a.values == b.values).all() for a, b in zip(fit.model.cpds, whole.model.cpds, strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]


def test_a_checkpoint_of_something_else_is_refused(frame, tmp_path):
    parts, path = _frames(frame), tmp_path / "fit.npz"
    scale.fit(MODEL, parts, steps=1, checkpoint=path)
    kept = path.read_bytes()
    other = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=2)
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    (tmp_path / "cut.npz").write_bytes(kept[:-40])
    cases = [
        (lambda: scale.fit(other, parts, checkpoint=path), "began with another model or seed; delete it"),
        (lambda: scale.fit(MODEL, parts, seed=1, checkpoint=path), "began with another model"),
        (lambda: scale.fit(MODEL, parts[:2], checkpoint=path), "to other data: log p.evidence. was"),
        (lambda: scale.fit(MODEL, parts, engine="numpy", checkpoint=path), "on another engine"),
        (lambda: scale.fit(MODEL, parts, prior=1, checkpoint=path), "with another prior"),
        (lambda: scale.fit(MODEL, parts, checkpoint=tmp_path / "other.npz"), "other.npz is no checkpoint"),
        (lambda: scale.fit(MODEL, parts, checkpoint=tmp_path / "cut.npz"), "cut off, damaged"),
        (
            lambda: scale.fit(MODEL, parts, checkpoint=tmp_path / "no" / "fit.npz"),
            "cannot write the checkpoint .*No such file",
        ),
        (lambda: scale.fit(MODEL, parts, checkpoint=tmp_path), "is a folder|Is a directory"),
    ]
    for mistake, message in cases:
        with pytest.raises(db.DataError, match=message):
            mistake()
    assert path.read_bytes() == kept


# ----------------------------------------------------------------------------------------------------------- posteriors
def test_posteriors_are_written_part_by_part(sequences, frame, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    found = scale.smooth(MODEL, _frames(frame), to=tmp_path / "out")
    assert [path.name for path in found.paths] == ["part-0.parquet", "part-1.parquet", "part-2.parquet"]
    assert str(found) == f"Smoothed: 3 files in {tmp_path}/out, log-likelihood {found.log_likelihood:.6g}"
    table = pd.concat([pd.read_parquet(path) for path in found.paths])
    assert list(table.columns[:3]) == ["sequence", "t", "Z=0"]
    assert (table[["sequence", "t"]].to_numpy() == frame[["sequence", "t"]].to_numpy()).all()
    for k, y in enumerate(sequences):
        alone = dbn.smooth(MODEL, {"Y": y})
        own = table[table["sequence"] == k]
        np.testing.assert_allclose(own[["Z=0", "Z=1", "Z=2"]], alone["Z"], atol=1e-12)
    with pytest.raises(db.DataError, match=r"part-2\.parquet of another run; empty it"):
        scale.smooth(MODEL, _frames(frame)[:2], to=tmp_path / "out")


# ------------------------------------------------------------------------------------------------------------ bad data
def test_bad_parts_are_named_with_the_place_and_the_others_are_done(frame, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    tables = _frames(frame)
    tables[1] = tables[1].assign(Y=np.where(np.arange(len(tables[1])) == 6, 9, tables[1]["Y"]))
    _written(tables, data, ".parquet")
    (data / "3.parquet").write_bytes((data / "0.parquet").read_bytes()[:500])
    with pytest.raises(db.DataError) as caught:
        scale.smooth(MODEL, data, to=out)
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 of 4 parts cannot be used:"
    assert re.match(
        r"part 1 \(.*1\.parquet\): evidence of 'Y' is 9 in row 7 \(sequence 5, slice 1\); its states", lines[1]
    )
    assert re.match(r"part 3 \(.*3\.parquet\): .*3\.parquet is cut off, or no Parquet file", lines[2])
    assert sorted(path.name for path in out.iterdir()) == ["part-0.parquet", "part-2.parquet"]


def test_a_fit_with_bad_data_keeps_its_checkpoint(frame, tmp_path):
    data, path = _written(_frames(frame), tmp_path, ".csv"), tmp_path / "fit.npz"
    parts = sorted(data.glob("*.csv"))
    whole = scale.fit(MODEL, parts, steps=4, tolerance=0)
    scale.fit(MODEL, parts, steps=2, tolerance=0, checkpoint=path)
    good = parts[1].read_text()
    parts[1].write_text(good.replace("3", "x"))
    with pytest.raises(db.DataError, match="part 1 "):
        scale.fit(MODEL, parts, steps=4, tolerance=0, checkpoint=path)
    parts[1].write_text(good)
    assert scale.fit(MODEL, parts, steps=4, tolerance=0, checkpoint=path).log_likelihoods == whole.log_likelihoods


def test_impossible_evidence_is_named_by_its_sequence():
    always = DynamicBayesianNetwork([(("Y", 0), ("Y", 1))])
    always.add_cpds(
        TabularCPD(("Y", 0), 2, [[1.0], [0.0]]),
        TabularCPD(("Y", 1), 2, [[1.0, 1.0], [0.0, 0.0]], [("Y", 0)], [2]),
    )
    part = pd.DataFrame({"sequence": ["a", "a", "b", "b"], "Y": [0, 0, 0, 1]})
    with pytest.raises(db.ImpossibleEvidenceError, match="part 0: the evidence up to slice 1 of sequence 'b' has"):
        scale.log_likelihood(always, [part, {"Y": [0]}])


def test_a_sequence_in_two_partitions_is_refused(frame):
    dataframe = pytest.importorskip("dask.dataframe", reason="Dask is not installed")
    table = frame.drop(columns="t")
    table = dataframe.concat([dataframe.from_pandas(part, npartitions=1) for part in (table.iloc[:5], table.iloc[5:])])
    with pytest.raises(db.DataError, match="part 1: sequence 1 is in part 0 too; keep its rows"):
        scale.log_likelihood(MODEL, table)


PROGRAM = db.compile(RNN)
MISTAKES = [
    (lambda d: scale.log_likelihood(MODEL, []), "there are no parts"),
    (lambda d: scale.log_likelihood(MODEL, 3), "parts is of type int; give paths"),
    (lambda d: scale.log_likelihood(MODEL, f"{d}/*.csv"), "no file is like"),
    (lambda d: scale.log_likelihood(MODEL, d), "no file of .parquet, .csv, .npz is in"),
    (lambda d: scale.log_likelihood(MODEL, f"{d}/model.bif"), "the ending of .*model.bif tells no format"),
    (lambda d: scale.log_likelihood(MODEL, f"{d}/none.csv"), "none.csv.*cannot read .*No such file"),
    (lambda d: scale.log_likelihood(MODEL, [np.zeros(3)]), "part 0: it is of type ndarray; a part is a dict"),
    (lambda d: scale.log_likelihood(MODEL, [[{"Y": [0]}, {"Q": [0]}]]), "part 0: sequence 1: unknown variable 'Q'"),
    (lambda d: scale.log_likelihood(MODEL, [[{"Y": [0], "Z": [0, 1]}]]), "sequence 0 has 'Y' .1,., 'Z' .2,.; give all of it"),
    (lambda d: scale.log_likelihood(MODEL, [{"Q": [0]}]), "unknown variable 'Q'"),
    (lambda d: scale.log_likelihood("model", [{"Y": [0]}]), "give a pgmpy DynamicBayesianNetwork"),
    (lambda d: scale.fit(MODEL, [{"Y": [0]}], steps=0), "give at least one step"),
    (lambda d: scale.value_and_grad(RNN, THETA, [{}]), "takes a program, db.compile"),
    (lambda d: scale.value_and_grad(PROGRAM, THETA | {"c": np.ones(2)}, [{}]), "theta: parameter 'c' has shape"),
    (lambda d: scale.value_and_grad(PROGRAM, THETA, [{"x": np.ones((2, 2))}]), "part 0: input or target 'y' is missing"),
    (lambda d: scale.value_and_grad(PROGRAM, THETA, pd.DataFrame({"x[0]": [1.0], "y": [0]})), r"the column 'x\[1\]' is missing"),
    (lambda d: scale.value_and_grad(PROGRAM, THETA, pd.DataFrame({"x[7]": [1.0]})), r"unknown column 'x\[7\]'"),
    (lambda d: scale.value_and_grad(PROGRAM, THETA, pd.DataFrame({"x": [[1.0], [1.0, 2.0]]})), "vectors of several lengths"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_are_named(mistake, message, tmp_path):
    with pytest.raises(db.DbnBpttError, match=message):
        mistake(tmp_path)


def test_a_dask_array_is_refused():
    array = pytest.importorskip("dask.array", reason="Dask is not installed")
    with pytest.raises(db.DataError, match="a Dask array, which has no names"):
        scale.log_likelihood(MODEL, array.ones(3))


def test_no_more_faults_than_fit_a_screen():
    with pytest.raises(db.DataError) as caught:
        scale.log_likelihood(MODEL, [{"Y": [9]}] * 20)
    assert len(str(caught.value).splitlines()) == 7
    assert str(caught.value).endswith("... and 15 more parts")


def test_what_sums_do_not_tell_is_refused():
    driven = dbn.drive(MODEL, "X", dbn.logistic("Z", np.zeros((3, 3, 1))))
    part = {"Y": np.zeros((2, 4), int), "X": np.zeros((2, 4))}
    with pytest.raises(db.DataError, match="driven table of 'Z' is learnt from all vectors at once"):
        scale.fit(driven, [part])
    with pytest.raises(db.DataError, match="a conditional network is learnt"):
        scale.fit(dbn.conditional(driven), [part])
    whole = scale.log_likelihood(driven, [part, part])
    assert whole == pytest.approx(2 * dbn.log_likelihood(driven, part).sum())

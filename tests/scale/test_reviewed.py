"""What a review found: each case once gave a wrong number, a traceback, or no word at all."""

import io

import numpy as np
import pandas as pd
import pytest
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

import dbn_bptt as db
from dbn_bptt import dbn, scale
from dbn_bptt.app.cli import main
from tests.dbn_models import build

MODEL = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)


def _named(names, variable="Y"):
    """A chain whose states have names."""
    start, move = np.array([0.3, 0.7, 0.0]), np.array([[0.6, 0.1, 0.2], [0.4, 0.9, 0.3], [0.0, 0.0, 0.5]])
    K = len(names)
    start, move = (a[:K] / a[:K].sum(0) for a in (start + 0.05, move[:, :K] + 0.05))
    nodes = {(variable, t): list(names) for t in (0, 1)}
    model = DynamicBayesianNetwork([((variable, 0), (variable, 1))])
    model.add_cpds(
        TabularCPD((variable, 0), K, start[:, None], state_names={(variable, 0): list(names)}),
        TabularCPD((variable, 1), K, move, [(variable, 0)], [K], nodes),
    )
    return model


# ----------------------------------------------------------------------------------------------------------- booleans
@pytest.mark.parametrize("names", [("True", "False"), ("true", "false"), ("False", "True")], ids=str)
@pytest.mark.parametrize("dtype", ["bool", "boolean", "object"])
def test_booleans_are_the_states_that_read_as_them(names, dtype):
    model, seen = _named(names), [True, True, False]
    expected = dbn.log_likelihood(
        model, {"Y": [names[0] if names[0].lower() == str(s).lower() else names[1] for s in seen]}
    )
    assert dbn.log_likelihood(model, pd.DataFrame({"Y": pd.Series(seen, dtype=dtype)})) == pytest.approx(expected)
    assert dbn.log_likelihood(model, {"Y": seen}) == pytest.approx(expected)


def test_booleans_are_no_index_of_other_names():
    with pytest.raises(db.DataError, match="evidence of 'Y' is True"):
        dbn.log_likelihood(_named(("yes", "no")), {"Y": [True, False]})
    assert dbn.log_likelihood(_named((0, 1)), {"Y": [True, False]}) == dbn.log_likelihood(_named((0, 1)), {"Y": [1, 0]})


# ------------------------------------------------------------------------------------------------------ words for nothing
@pytest.mark.parametrize(("names", "cell"), [((-1, 0), "-1"), (("none", "some"), "none"), (("NA", "x"), "NA")], ids=str)
def test_a_word_for_nothing_may_be_a_state(names, cell, tmp_path):
    (tmp_path / "seen.csv").write_text(f"Y\n{cell}\n{cell}\n")
    expected = dbn.log_likelihood(_named(names), {"Y": [names[0], names[0]]})
    assert scale.log_likelihood(_named(names), tmp_path / "seen.csv") == pytest.approx(expected)


def test_a_word_for_nothing_in_other_letters_is_not_guessed_at(tmp_path):
    (tmp_path / "seen.csv").write_text("Y\nNone\n")
    with pytest.raises(db.DataError, match="did you mean 'none'"):
        scale.log_likelihood(_named(("none", "some")), tmp_path / "seen.csv")


# ----------------------------------------------------------------------------------------------------- lists of dicts
RECORDS = {
    "missing among names": ([["a", float("nan"), "c"], ["a", -1], ["b"]], ("a", "b", "c")),
    "masked": ([np.ma.masked_array([0, 1, 2], [0, 1, 0]), [2]], (0, 1, 2)),
    "tuples as names": ([[("a", 1), ("b", 2)], [("b", 2)]], (("a", 1), ("b", 2))),
}


@pytest.mark.parametrize("name", RECORDS)
def test_lists_of_dicts_are_a_ragged_batch(name):
    series, names = RECORDS[name]
    model = _named(names)
    expected = [dbn.log_likelihood(model, {"Y": y}) for y in series]
    records = [{"Y": y} for y in series]
    np.testing.assert_allclose(dbn.log_likelihood(model, records), expected, rtol=1e-12)
    assert scale.log_likelihood(model, [records]) == pytest.approx(sum(expected))


def test_a_variable_may_be_called_as_our_columns_are(tmp_path, capsys):
    model = _named((0, 1), "sequence")
    records = [{"sequence": [0, 1]}, {"sequence": [1, 1, 0]}]
    expected = sum(dbn.log_likelihood(model, record) for record in records)
    assert scale.log_likelihood(model, [records]) == pytest.approx(expected)
    dbn.write_bif(_named((0, 1), "t"), tmp_path / "t.bif")
    (tmp_path / "t.csv").write_text("t\n0\n1\n")
    assert main(["viterbi", str(tmp_path / "t.bif"), str(tmp_path / "t.csv")]) == 0
    assert list(pd.read_csv(io.StringIO(capsys.readouterr().out)).columns) == ["t (index)", "t"]


# ------------------------------------------------------------------------------------------------- where rows belong
def _frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"sequence": np.repeat(np.arange(6), 4), "Y": rng.integers(0, 4, 24)})


def test_an_index_that_says_nothing_is_refused():
    with pytest.raises(db.DataError, match="index is called 'seq', which says nothing of sequences"):
        dbn.log_likelihood(MODEL, _frame().rename(columns={"sequence": "seq"}).set_index("seq"))
    with pytest.raises(db.DataError, match="index is called 'Y'"):
        dbn.log_likelihood(MODEL, pd.DataFrame({"Z": [0, 1]}, index=pd.Index([0, 1], name="Y")))
    dates = pd.DataFrame({"Y": [0, 1]}, index=pd.date_range("2026-01-01", periods=2, name="date"))
    assert dbn.log_likelihood(MODEL, dates) == dbn.log_likelihood(MODEL, {"Y": [0, 1]})


def test_slices_may_be_counted_in_floats():
    table = pd.DataFrame({"t": [0.0, 1.0], "Y": [0, 1]})
    assert dbn.log_likelihood(MODEL, table) == dbn.log_likelihood(MODEL, {"Y": [0, 1]})


def test_sequences_split_between_files_are_refused_where_nothing_counts_slices(tmp_path):
    frame = _frame()
    frame.iloc[:10].to_csv(tmp_path / "0.csv", index=False)
    frame.iloc[10:].to_csv(tmp_path / "1.csv", index=False)
    with pytest.raises(db.DataError, match=r"part 1 .*: sequence '2' is in part 0 .* too; keep its rows"):
        scale.log_likelihood(MODEL, tmp_path)


def test_a_dask_dataframe_is_one_table():
    dataframe = pytest.importorskip("dask.dataframe", reason="Dask is not installed")
    frame = _frame()
    whole = dbn.log_likelihood(MODEL, frame).sum()
    split = dataframe.from_pandas(
        frame.iloc[[0, 1, 4, 5, 6, 7, 2, 3]].reset_index(drop=True), npartitions=2, sort=False
    )
    with pytest.raises(db.DataError, match="part 1: sequence 1 is in part 0 too"):
        scale.log_likelihood(MODEL, split)
    with pytest.raises(db.DataError, match="tells no sequences apart, so each partition would be one"):
        scale.log_likelihood(MODEL, dataframe.from_pandas(frame[["Y"]], npartitions=3))
    found = scale.log_likelihood(MODEL, dataframe.from_pandas(frame.set_index("sequence"), npartitions=3))
    assert found == pytest.approx(whole)
    with pytest.raises(db.DataError, match="Dask series, which has no names"):
        scale.log_likelihood(MODEL, dataframe.from_pandas(frame, npartitions=2)["Y"])


def test_parts_without_sequences_count_nothing(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    frame = _frame()
    parts = [frame.iloc[:0], frame, [], frame.iloc[:0]]
    assert scale.log_likelihood(MODEL, parts) == pytest.approx(dbn.log_likelihood(MODEL, frame).sum())
    assert scale.fit(MODEL, parts, steps=2).log_likelihoods == scale.fit(MODEL, frame, steps=2).log_likelihoods
    assert [path.name for path in scale.smooth(MODEL, parts, to=tmp_path).paths] == ["part-1.parquet"]
    with pytest.raises(db.DataError, match="no part has a sequence"):
        scale.fit(MODEL, parts[2:])


# ------------------------------------------------------------------------------------------------------------- the rest
def test_columns_that_say_the_same_twice_are_refused(tmp_path):
    program = db.compile(db.cells.elman(n_inputs=2, n_hidden=3, n_outputs=2))
    table = pd.DataFrame({"x": [[1.0, 2.0]], "x[0]": [1.0], "x[1]": [2.0], "y": [0]})
    with pytest.raises(db.DataError, match=r"'x' stands in a column of its own and in 'x\[0\]'"):
        scale.value_and_grad(program, program.template.initial_parameters(0), table)
    (tmp_path / "two.csv").write_text("Y,Y\n0,1\n")
    with pytest.raises(db.DataError, match="has two columns 'Y'; keep one"):
        scale.log_likelihood(MODEL, tmp_path / "two.csv")


def test_blank_lines_at_the_end_of_a_table_say_nothing(tmp_path):
    (tmp_path / "seen.csv").write_text("t,Y\n0,1\n1,2\n\n\n")
    assert scale.log_likelihood(MODEL, tmp_path / "seen.csv") == dbn.log_likelihood(MODEL, {"Y": [1, 2]})


@pytest.mark.parametrize("steps", [float("inf"), float("nan"), 2.5, "3"])
def test_steps_are_a_whole_number(steps):
    with pytest.raises(db.DataError, match="give at least one step"):
        scale.fit(MODEL, [{"Y": [0]}], steps=steps)


def test_a_seed_below_zero_is_refused(tmp_path, capsys):
    dbn.write_bif(MODEL, tmp_path / "model.bif")
    (tmp_path / "seen.csv").write_text("Y\n1\n")
    assert main(["fit", str(tmp_path / "model.bif"), str(tmp_path / "seen.csv"), "--seed", "-3"]) == 2
    assert "seed is -3" in capsys.readouterr().err

"""Parameters are written whole, and come back only for what they are for."""

import os

import numpy as np
import pytest

import dbn_bptt as db

LSTM = db.cells.lstm(3, 4, 2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("template", [LSTM, None], ids=["of a template", "of none"])
def test_there_and_back(tmp_path, template, dtype):
    theta = {name: a.astype(dtype) for name, a in LSTM.initial_parameters(0).items()}
    db.save(tmp_path / "theta.npz", theta, template)
    for asked in (template, None):
        found = db.load(tmp_path / "theta.npz", asked)
        assert found.keys() == theta.keys()
        assert all((found[name] == a).all() and found[name].dtype == dtype for name, a in theta.items())
    assert os.listdir(tmp_path) == ["theta.npz"]


def test_parameters_may_be_called_as_savez_calls_its_own(tmp_path):
    theta = {"file": np.ones(2), "allow_pickle": np.zeros(3), "a b": np.arange(2)}
    db.save(tmp_path / "theta.npz", theta)
    found = db.load(tmp_path / "theta.npz")
    assert found.keys() == theta.keys()
    assert all((found[name] == a).all() for name, a in theta.items())
    with np.load(tmp_path / "theta.npz") as plain:
        assert sorted(plain.files) == sorted(theta)


def test_what_does_not_fit_is_refused_by_name(tmp_path):
    path, theta = tmp_path / "theta.npz", LSTM.initial_parameters(0)
    db.save(path, theta, LSTM)
    whole = path.read_bytes()
    gru, other = db.cells.gru(3, 4, 2), db.cells.lstm(3, 4, 2, loss_at="last")
    cases = [
        (lambda: db.save(path, {**theta, "W_i": np.full((4, 4), np.nan)}, LSTM), "'W_i' holds NaN"),
        (lambda: db.save(path, {**theta, "c": np.ones(3)}, LSTM), r"'c' has shape \(3,\), not \(2,\)"),
        (lambda: db.save(path, {**theta, "W": np.ones(3)}, LSTM), "unknown parameter 'W'"),
        (lambda: db.save(path, {"c": np.ones(2)}, LSTM), "'W_i' is missing"),
        (lambda: db.load(path, gru), "unknown parameter 'W_i'"),
        (lambda: db.load(path, db.cells.lstm(3, 5, 2)), r"'W_i' has shape \(4, 4\), not \(5, 5\)"),
        (lambda: db.load(path, other), r"with other equations than 'LSTM': L = -sum_t"),
    ]
    for mistake, message in cases:
        with pytest.raises(db.DbnBpttError, match=message):
            mistake()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99], ids=lambda part: f"{part:.0%}")
def test_a_file_that_is_cut_off_is_refused(tmp_path, part):
    path = tmp_path / "theta.npz"
    db.save(path, LSTM.initial_parameters(0), LSTM)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(db.DataError, match=r"theta\.npz' is cut off, damaged"):
        db.load(path, LSTM)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no parameters")
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    for name in ("text.npz", "array.npy", "objects.npz"):
        with pytest.raises(db.DataError, match="no npz file of arrays"):
            db.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        db.load(tmp_path / "nowhere.npz")

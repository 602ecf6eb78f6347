"""On a cluster of worker processes: the same sums, bit for bit, also where workers and whole runs are killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dbn_bptt as db
from dbn_bptt import dbn, scale
from tests.dbn_models import build

delayed = pytest.importorskip("dask.delayed", reason="Dask is not installed").delayed
distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")

MODEL = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)
RNN = db.cells.lstm(n_inputs=2, n_hidden=3, n_outputs=3)
PARTS, B, T, STEPS = 20, 15, 12, 4


@pytest.fixture(scope="module")
def clients():
    """A client of one worker process, and one of two."""
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(n_workers=1, **options) as one,
        distributed.LocalCluster(n_workers=2, **options) as two,
        distributed.Client(one, set_as_default=False) as of_one,
        distributed.Client(two, set_as_default=False) as of_two,
    ):
        yield {1: of_one, 2: of_two}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sequences in Parquet files."""
    path = tmp_path_factory.mktemp("sequences")
    rng = np.random.default_rng(0)
    for k in range(PARTS):
        y = rng.integers(0, 4, (B, T))
        columns = {"sequence": np.repeat(np.arange(B), T), "t": np.tile(np.arange(T), B), "Y": y.ravel()}
        pd.DataFrame(columns).to_parquet(path / f"{k:02d}.parquet", index=False)
    return path


def _bits(fit):
    return fit.log_likelihoods, b"".join(cpd.values.tobytes() for cpd in fit.model.cpds)


# ----------------------------------------------------------------------------------------------------- the same numbers
def test_a_fit_is_the_same_on_one_worker_and_on_two(clients, folder):
    found = {}
    for workers, client in clients.items():
        with client.as_current():
            found[workers] = scale.fit(MODEL, folder, steps=STEPS)
    assert _bits(found[1]) == _bits(found[2])
    whole = pd.concat([pd.read_parquet(path).assign(file=path.stem) for path in sorted(folder.iterdir())])
    expected = dbn.fit(MODEL, {"Y": whole["Y"].to_numpy().reshape(-1, T)}, steps=STEPS)
    np.testing.assert_allclose(found[2].log_likelihoods, expected.log_likelihoods, rtol=1e-12)
    for ours, theirs in zip(found[2].model.cpds, expected.model.cpds, strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-12)


def test_gradients_are_the_same_on_one_worker_and_on_two(clients):
    rng, program, theta = np.random.default_rng(1), db.compile(RNN), RNN.initial_parameters(0)
    parts = [{"x": rng.normal(size=(T, B, 2)), "y": rng.integers(0, 3, (T, B))} for _ in range(PARTS)]
    found = {}
    for workers, client in clients.items():
        with client.as_current():
            found[workers] = scale.value_and_grad(program, theta, parts)
    data = {name: np.concatenate([part[name] for part in parts], 1) for name in "xy"}
    loss, gradients = program.value_and_grad(theta, data)
    assert found[1][0] == found[2][0] == pytest.approx(loss, rel=1e-12)
    for name, gradient in gradients.items():
        assert (found[1][1][name] == found[2][1][name]).all()
        np.testing.assert_allclose(found[2][1][name], gradient, rtol=0, atol=1e-12 * abs(gradient).max())


def test_futures_stay_where_they_are(clients, folder):
    with clients[2].as_current():
        parts = clients[2].map(pd.read_parquet, sorted(folder.iterdir()))
        assert scale.log_likelihood(MODEL, parts) == scale.log_likelihood(MODEL, folder)


def test_one_future_is_a_part(clients):
    with clients[1].as_current():
        part = clients[1].submit(dict, Y=[0, 1, 2])
        assert scale.log_likelihood(MODEL, part) == dbn.log_likelihood(MODEL, {"Y": [0, 1, 2]})


def test_a_worker_that_lacks_an_operation_says_so(clients):
    cubed = db.operation("cubed here alone", lambda a: a**3, [lambda g, y, a: 3 * a * a * g])
    t = db.SliceTemplate("of an operation that workers have not imported")
    x, h = t.input("x", 2), t.variable("h", 2)
    t.define(h, cubed(t.parameter("w", 2) * x))
    t.loss("L", db.sum(h))
    part = {"x": np.ones((3, 2))}
    with clients[1].as_current(), pytest.raises(db.TemplateError, match=r"part 0: .*'cubed here alone'"):
        scale.value_and_grad(db.compile(t), {"w": np.ones(2)}, part)


def test_posteriors_are_written_by_the_workers(clients, folder, tmp_path):
    with clients[2].as_current():
        found = scale.smooth(MODEL, folder, to=tmp_path)
    table = pd.read_parquet(found.paths[7])
    own = pd.read_parquet(folder / "07.parquet")
    expected = dbn.smooth(MODEL, own)["Z"]
    np.testing.assert_allclose(table[["Z=0", "Z=1", "Z=2"]].to_numpy().reshape(B, T, 3), expected, atol=1e-12)


# --------------------------------------------------------------------------------------------------------- what is killed
def _read_by_the_living(path, flag):
    """A part whose first reader in the second iteration dies."""
    seen = Path(flag)
    count = int(seen.read_text()) if seen.exists() else 0
    seen.write_text(str(count + 1))
    if count == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return pd.read_parquet(path)


def test_a_worker_that_is_killed_changes_no_bit(clients, folder, tmp_path):
    expected = scale.fit(MODEL, folder, steps=STEPS)
    paths = sorted(folder.iterdir())
    parts = [delayed(_read_by_the_living)(path, tmp_path / "seen") if k == 9 else path for k, path in enumerate(paths)]
    with clients[2].as_current():
        found = scale.fit(MODEL, parts, steps=STEPS)
    assert int((tmp_path / "seen").read_text()) > STEPS + 1, "the part was read once more, since a worker died"
    assert _bits(found) == _bits(expected)


RUN = """
import os, signal, sys
from dask.delayed import delayed
from pathlib import Path
import pandas as pd
from dbn_bptt import scale
from tests.scale.test_cluster import MODEL

def read(path, counted):
    with open(counted, "a") as file:
        file.write("x")
    if os.path.getsize(counted) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return pd.read_parquet(path)

folder, out = map(Path, sys.argv[1:3])
parts = [delayed(read)(path, out / "counted") for path in sorted(folder.iterdir())]
found = scale.fit(MODEL, parts, steps=4, checkpoint=out / "fit.npz")
print(found.log_likelihoods)
"""


def test_a_run_that_is_killed_goes_on_to_the_same_model(folder, tmp_path):
    """The third E-step dies in its middle; the run after it begins with that step."""
    expected = scale.fit(MODEL, folder, steps=STEPS)
    command = [sys.executable, "-c", RUN, str(folder), str(tmp_path)]
    killed = subprocess.run([*command, str(2 * PARTS + PARTS // 2)], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (tmp_path / "counted").write_text("")
    again = subprocess.run([*command, "0"], capture_output=True, text=True, check=True)
    assert again.stdout.strip() == str(expected.log_likelihoods)
    assert (tmp_path / "counted").stat().st_size == (1 + STEPS + 1 - 2) * PARTS, "and one to see that data are the same"

"""Programs that travel: pickled by their template, made again and kept where they arrive."""

import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest
from joblib import Parallel, delayed

import dbn_bptt as db
from dbn_bptt import cells
from tests.cases import CASES, Case, draw
from tests.helpers import assert_close


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_program_comes_back_as_it_was(case: Case):
    drawn = draw(case)
    program = db.compile(drawn.template)
    there = pickle.loads(pickle.dumps(program))
    loss, gradients = program.value_and_grad(**drawn.arguments())
    again_loss, again = there.value_and_grad(**drawn.arguments())
    assert again_loss == loss
    for name, g in gradients.items():
        assert np.array_equal(again[name], g)


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_what_arrives_twice_is_made_once(dumps):
    sent = dumps(db.compile(cells.lstm(3, 4, 2)))
    assert pickle.loads(sent) is pickle.loads(sent)
    assert pickle.loads(sent) is not pickle.loads(dumps(db.compile(cells.lstm(3, 5, 2))))


def _gradient(program, theta, data):
    return program.value_and_grad(theta, data)[1]["W"]


def test_joblib_carries_programs_to_other_processes():
    rnn = cells.elman(3, 4, 2)
    theta, rng = rnn.initial_parameters(0), np.random.default_rng(0)
    program = db.compile(rnn)
    batches = [{"x": rng.normal(size=(9, 2, 3)), "y": rng.integers(0, 2, (9, 2))} for _ in range(4)]
    found = Parallel(n_jobs=2)(delayed(_gradient)(program, theta, data) for data in batches)
    for g, data in zip(found, batches, strict=True):
        assert_close(g, db.bptt(rnn, theta, data).gradients["W"])


def test_functions_that_hold_a_program_travel_by_cloudpickle(tmp_path):
    rnn = cells.gru(2, 3, 2)
    theta, program = rnn.initial_parameters(0), db.compile(rnn)
    data = {"x": np.ones((5, 2)), "y": np.zeros(5, int)}
    (tmp_path / "sent").write_bytes(cloudpickle.dumps(lambda: program.loss(theta, data)))
    code = "import pickle, sys; print(repr(pickle.load(open(sys.argv[1], 'rb'))()))"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "sent"], capture_output=True, text=True, check=True)
    assert float(done.stdout) == program.loss(theta, data)


def test_a_template_travels_and_is_built_on():
    rnn = cells.elman(3, 4, 2)
    there = pickle.loads(pickle.dumps(rnn))
    assert there.definitions == rnn.definitions
    there.loss("penalty", db.sum(there["h"] * there["h"]))
    assert "penalty" not in rnn.symbols


def test_an_operation_that_is_missing_where_a_program_arrives_is_named(tmp_path):
    twice = db.operation("twice_of_pickles", lambda a: 2 * a, [lambda g, y, a: 2 * g])
    t = db.SliceTemplate("twice")
    t.loss("L", twice(t.parameter("w", ())))
    (tmp_path / "sent").write_bytes(pickle.dumps(db.compile(t)))
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "sent"], capture_output=True, text=True, check=False)
    assert "no operation 'twice_of_pickles' here; import the module that adds it" in done.stderr

"""Scans as compiled loops give what NumPy gives; without numba, or a folder to keep them in, everything works too."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from dbn_bptt.program import compiled, native, run
from dbn_bptt.program.loops import loops_printer
from dbn_bptt.program.numpy_source import numpy_source
from dbn_bptt.program.schedule import schedule
from tests.cases import CASES, Case, draw
from tests.dbn_models import build, draw_evidence, random_structure
from tests.helpers import assert_close
from tests.random_templates import RandomTemplate

needs_llvm = pytest.mark.skipif(not native.is_installed(), reason="llvmlite is not installed")
SLICES = 40  # enough for the program of long sequences
WRT = ("params", "inputs", "initial")


@pytest.fixture
def by_hand(monkeypatch):
    """Loops run as Python runs their text, which is slow and needs no llvmlite."""
    monkeypatch.setattr(compiled, "compiled_loops", lambda loops: {})
    monkeypatch.setattr(native, "is_installed", lambda: True)


def _agree(template, arguments, tolerance=1e-12):
    loss, gradients = db.compile(template, "numpy").value_and_grad(**arguments, wrt=WRT)
    program = db.compile(template, "native")
    own_loss, own = program.value_and_grad(**arguments, wrt=WRT)
    assert_close(own_loss, loss, tolerance)
    assert own.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert_close(own[name], gradient, tolerance, name)
    return program


def _compiles(case):
    try:
        db.compile(case.make())
    except db.NotCompiledError:
        return False
    return True


LONG = [
    Case(c.name, c.make, SLICES, c.B, c.lengths, c.given_initial)
    for c in CASES
    if c.lengths is None and c.name != "countdown"
]


@pytest.mark.parametrize("case", [*CASES, *LONG], ids=lambda case: f"{case.name}-{case.T}")
def test_the_text_of_loops_gives_what_numpy_gives(case, by_hand):
    if not _compiles(case):
        pytest.skip("reads from slices before and after")
    drawn = draw(case)
    _agree(drawn.template, drawn.arguments())


@needs_llvm
@pytest.mark.parametrize("case", [c for c in LONG if c.B is not None][:6], ids=repr)
def test_compiled_loops_give_what_numpy_gives(case):
    drawn = draw(case)
    if _compiles(case):
        _agree(drawn.template, drawn.arguments())


@pytest.mark.parametrize("seed", range(60))
def test_random_templates(seed, by_hand):
    drawn = draw(Case("random", RandomTemplate(seed).make, SLICES, [None, 2][seed % 2]), seed)
    _agree(drawn.template, drawn.arguments())


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed, by_hand):
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, int(rng.integers(1, 4)))
    model = build(structure.sizes, structure.edges, seed)
    T = 30
    evidence = draw_evidence(rng, structure, T)
    verbs = (dbn.smooth, dbn.filter, dbn.viterbi, dbn.expected_counts)
    for verb in verbs:
        expected, found = (verb(model, evidence, T=T, engine=engine) for engine in ("numpy", "native"))
        for name in expected:
            assert_close(found[name], expected[name], what=f"{verb.__name__} {name}")
    drawn = [dbn.sample(model, 3, evidence, T=T, seed=1, engine=engine) for engine in ("numpy", "native")]
    assert all((drawn[0][name] == drawn[1][name]).all() for name in structure.sizes)


def test_every_operation_that_a_scan_can_hold_has_a_nest():
    script = "import dbn_bptt.dbn.verbs; from dbn_bptt.ops.rows import TABLE; "
    script += "print({row.name for row in TABLE.values() if row.nest is None and not row.lower})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'batch_sum'}"  # which a scan leaves to totals


def test_an_operation_without_a_nest_stays_with_numpy_and_says_so():
    bent = db.operation("bent_of_native", lambda a: np.sinh(a), [None])
    t = db.SliceTemplate("bent")
    w, h = t.parameter("w", 3), t.variable("h", 3)
    t.define(h, w * bent(0.1 * h.prev) + 1)
    t.loss("L", db.sum(h * h))
    emitted = numpy_source(schedule(t.frozen, ["L"]), ["L"], loops_printer(1))
    assert emitted.reasons == {"h": "operation 'bent_of_native' has no nest"}
    assert not emitted.loops


def test_large_scans_stay_with_numpy():
    t = db.cells.elman(3, 200, 2)
    plan = schedule(t.frozen, ["L"])
    assert "more than" in numpy_source(plan, ["L"], loops_printer(1)).reasons["h"]
    assert numpy_source(schedule(db.cells.elman(3, 8, 2).frozen, ["L"]), ["L"], loops_printer(1)).reasons == {"h": ""}


@pytest.mark.parametrize("engine", ["cuda", "", 3])
def test_an_unknown_engine_is_refused(engine):
    with pytest.raises(db.DataError, match="'numpy', 'native'"):
        db.compile(db.cells.elman(1, 1, 2), engine)


def test_without_numba_native_is_refused_by_name_and_none_means_numpy(monkeypatch):
    for module in (native, run):
        monkeypatch.setattr(module, "is_installed", lambda: False)
    with pytest.raises(db.DataError, match="pip install"):
        db.compile(db.cells.elman(1, 1, 2), "native")
    assert dbn.smooth(dbn.umbrella(), {"Umbrella": [1] * 1500})["Rain"].shape == (1500, 2)


HMM = {"Umbrella": [1, 0, 1, 1] * 20}


@needs_llvm
@pytest.mark.parametrize("cores", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_numbers(cores, monkeypatch):
    states = np.random.default_rng(0).integers(0, 2, (7, 80))
    expected = dbn.smooth(dbn.umbrella(), {"Umbrella": states}, engine="native")["Rain"]
    monkeypatch.setattr(native, "SHARED_FROM", 1)
    monkeypatch.setattr(native.os, "cpu_count", lambda: cores)
    np.testing.assert_array_equal(dbn.smooth(dbn.umbrella(), {"Umbrella": states}, engine="native")["Rain"], expected)


@needs_llvm
def test_a_kalman_smoother():
    rng = np.random.default_rng(0)
    A, C = 0.9 * np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(size=(2, 3))
    model = dbn.linear_gaussian(A, C, 0.3 * np.eye(3), 0.5 * np.eye(2), np.zeros(3), np.eye(3))
    y = np.where(rng.random((50, 2)) < 0.2, np.nan, rng.normal(size=(50, 2)))
    expected, found = (dbn.smooth(model, {"y": y}, engine=engine) for engine in ("numpy", "native"))
    assert_close(found.mean, expected.mean)
    assert_close(found.covariance, expected.covariance)
    assert_close(found.log_likelihood, expected.log_likelihood)


@needs_llvm
def test_compare_lists_the_native_program():
    drawn = draw(Case("elman", lambda: db.cells.elman(2, 3, 2), T=12, B=2))
    report = db.compare(drawn.template, drawn.parameters, drawn.data, native=True)
    assert report.ok
    assert "native program" in {row.engine for row in report.rows}


def test_a_program_at_data_gives_what_it_gives_elsewhere():
    drawn = draw(Case("elman", lambda: db.cells.elman(2, 3, 2), T=12, B=2, lengths=(12, 5)))
    given = {name: value for name, value in drawn.arguments().items() if name != "parameters"}
    program = db.compile(drawn.template)
    here = program.at(**given)
    loss, gradients = here.value_and_grad(drawn.parameters, WRT)
    expected_loss, expected = program.value_and_grad(**drawn.arguments(), wrt=WRT)
    assert (loss, here.loss(drawn.parameters)) == (expected_loss, expected_loss)
    for name in expected:
        np.testing.assert_array_equal(gradients[name], expected[name])
    with pytest.raises(db.DataError, match="'W' has shape"):
        here.value_and_grad({**drawn.parameters, "W": np.ones(2)})
    with pytest.raises(db.DataError, match="'W' is missing"):
        here.loss({name: value for name, value in drawn.parameters.items() if name != "W"})
    with pytest.raises(db.UnknownNameError, match="Q"):
        here.loss({**drawn.parameters, "Q": 1.0})


def test_a_prepared_model_stands_for_the_model():
    model, prepared = dbn.umbrella(), dbn.prepare(dbn.umbrella(), engine="numpy")
    assert dbn.prepare(prepared) is prepared
    for verb in (dbn.smooth, dbn.filter, dbn.viterbi, dbn.expected_counts):
        expected, found = verb(model, HMM), verb(prepared, HMM)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])

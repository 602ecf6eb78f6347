"""Compiled loops, as text and as machine code, give what NumPy gives; without llvmlite everything works too."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from dbn_bptt.ops import rows
from dbn_bptt.ops.nests import formula
from dbn_bptt.program import compiled, llvm_source, machine, native, runs
from dbn_bptt.program.instructions import Loops
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


@pytest.fixture(params=["text", pytest.param("code", marks=needs_llvm)])
def both_ways(request, monkeypatch):
    """Loops run as Python runs their text, which is slow and needs no llvmlite; and as machine code."""
    if request.param == "text":
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
def test_loops_give_what_numpy_gives(case, both_ways):
    if not _compiles(case):
        pytest.skip("reads from slices before and after")
    drawn = draw(case)
    _agree(drawn.template, drawn.arguments())


def test_a_batch_of_which_numpy_runs_the_scan_and_loops_the_borders(both_ways):
    model = build({"Z": 16, "Y": 3}, [("Z", "Y", 0), ("Z", "Z", 1)])
    evidence = {"Y": np.random.default_rng(0).integers(0, 3, (64, 12))}
    expected, found = (dbn.smooth(model, evidence, engine=engine)["Z"] for engine in ("numpy", "native"))
    assert_close(found, expected)


@needs_llvm
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_views_of_a_scan_that_numpy_runs_beside_loops_are_there(cell):
    t = db.cells.CELLS[cell](n_inputs=2, n_hidden=8, n_outputs=3)
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(5, 64, 2)), "y": rng.integers(0, 3, (5, 64))}
    (loss, found), (expected, gradients) = (
        db.compile(t, engine).value_and_grad(t.initial_parameters(0), data) for engine in ("native", "numpy")
    )
    assert loss == pytest.approx(expected, rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found[name], gradient, atol=1e-12 * abs(gradient).max())


@needs_llvm
def test_what_loops_write_into_an_array_in_another_order_is_not_lost():
    text = "def f(first, last, T, B, dtype, y_):\n    for b in range(first, last):\n"
    text += "        for i in range(3):\n            y_[0, b, i] = 1.0\n"
    loops = native.compiled_loops({"f": Loops(text, {"y_": (2, (3,))}, frozenset(["y_"]))})
    y = np.zeros((3, 2, 1)).T
    loops["in_parts"](loops["f"], 1, 2, y.dtype, y)
    assert (y == 1).all()


def test_numbers_of_32_bits(both_ways):
    rnn, rng = db.cells.lstm(2, 3, 2), np.random.default_rng(0)
    theta = {name: a.astype(np.float32) for name, a in rnn.initial_parameters(0).items()}
    data = {"x": rng.normal(size=(SLICES, 2)).astype(np.float32), "y": rng.integers(0, 2, SLICES)}
    runs = [db.compile(rnn, engine).value_and_grad(theta, data) for engine in ("numpy", "native")]
    assert_close(runs[1][0], runs[0][0], 1e-5)
    for name, gradient in runs[0][1].items():
        assert runs[1][1][name].dtype == gradient.dtype == np.float32
        assert_close(runs[1][1][name], gradient, 1e-4, name)


@needs_llvm
def test_a_whole_network_is_one_loop_forwards_and_one_backwards():
    source = db.compile(db.cells.elman(3, 4, 2), "native").source
    loops = [line.strip() for line in source.splitlines() if line.strip().startswith("for t in")]
    assert loops == ["for t in range(0, T):", "for t in range(T - 1, -1, -1):"]


@pytest.mark.parametrize("seed", range(60))
def test_random_templates(seed, both_ways):
    drawn = draw(Case("random", RandomTemplate(seed).make, SLICES, [None, 2][seed % 2]), seed)
    _agree(drawn.template, drawn.arguments())


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed, both_ways):
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
    script = "import dbn_bptt.dbn.inference.verbs; from dbn_bptt.ops.rows import TABLE; "
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
    assert "operation_bent_of_native(" in emitted.source


def test_large_scans_stay_with_numpy():
    t = db.cells.elman(3, 200, 2)
    plan = schedule(t.frozen, ["L"])
    assert "more than" in numpy_source(plan, ["L"], loops_printer(1)).reasons["h"]
    assert numpy_source(schedule(db.cells.elman(3, 8, 2).frozen, ["L"]), ["L"], loops_printer(1)).reasons == {"h": ""}


@pytest.mark.parametrize("engine", ["cuda", "", 3])
def test_an_unknown_engine_is_refused(engine):
    with pytest.raises(db.DataError, match="'numpy', 'native'"):
        db.compile(db.cells.elman(1, 1, 2), engine)


def test_without_llvmlite_native_is_refused_by_name_and_none_means_numpy(monkeypatch):
    for module in (native, runs):
        monkeypatch.setattr(module, "is_installed", lambda: False)
    with pytest.raises(db.DataError, match="pip install"):
        db.compile(db.cells.elman(1, 1, 2), "native")
    assert dbn.smooth(dbn.umbrella(), {"Umbrella": [1] * 1500})["Rain"].shape == (1500, 2)


HMM = {"Umbrella": [1, 0, 1, 1] * 20}


HMM = {"Umbrella": [1, 0, 1, 1] * 20}
SCRIPT = """
import sys, numpy as np
from dbn_bptt import dbn
print(repr(dbn.smooth(dbn.umbrella(), {"Umbrella": [1, 0, 1, 1] * 20}, engine="native")["Rain"][:, 0].tolist()))
"""


def _smoothed_elsewhere(folder):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "DBN_BPTT_CACHE": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return eval(done.stdout)


@needs_llvm
def test_code_that_is_damaged_or_cannot_be_kept_is_made_again(tmp_path):
    expected = dbn.smooth(dbn.umbrella(), HMM, engine="numpy")["Rain"][:, 0]
    folder = tmp_path / "kept"
    assert_close(_smoothed_elsewhere(folder), expected)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    assert_close(_smoothed_elsewhere(folder), expected)
    path.write_bytes(whole[: len(whole) // 2])
    assert_close(_smoothed_elsewhere(folder), expected)
    assert path.read_bytes() == whole
    no_folder = tmp_path / "a file"
    no_folder.write_text("")
    assert_close(_smoothed_elsewhere(no_folder / "below"), expected)


@needs_llvm
def test_two_processes_that_compile_the_same_at_once(tmp_path):
    expected = dbn.smooth(dbn.umbrella(), HMM, engine="numpy")["Rain"][:, 0]
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(_smoothed_elsewhere, [tmp_path / "kept"] * 2):
            assert_close(found, expected)


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
@pytest.mark.parametrize("stack", [(), (2,), (2, 3)])
@pytest.mark.parametrize("n", [1, 3])
def test_inverses_and_determinants_of_stacks(stack, n):
    t = db.SliceTemplate("stacks")
    a, h = t.parameter("a", (*stack, n, n)), t.variable("h", (*stack, n, n))
    t.define(h, db.ops.inverse(a + 0.1 * h.prev))
    t.loss("L", db.sum(db.ops.logdet(h)) + db.sum(h * h))
    theta = {"a": np.random.default_rng(0).normal(size=(*stack, n, n)) + 3 * np.eye(n)}
    expected, found = (db.compile(t, engine).value_and_grad(theta, T=5) for engine in ("numpy", "native"))
    assert_close(found[0], expected[0])
    assert_close(found[1]["a"], expected[1]["a"])
    assert db.compile(t, "native").engines()["h"] == "native"


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


@needs_llvm
@pytest.mark.parametrize("real", ["double", "float"])
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_functions_of_our_own_are_right_to_two_units_in_the_last_place(name, real):
    mp = pytest.importorskip("mpmath", reason="exact values come from mpmath")
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(-740, 6.6, 2000))
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 709.78, 709.79, -708.4, -745.1, -745.2]
    x = np.concatenate([special, rng.uniform(-1, 1, 2000), rng.uniform(-30, 30, 2000), sizes, -sizes])
    dtype = {"double": np.float64, "float": np.float32}[real]
    x = np.ascontiguousarray(x, dtype)
    text = "def f(first, last, T, B, dtype, x_, y_):\n    for b in range(first, last):\n"
    text += f"        for i in range({len(x)}):\n            y_[b, i] = np.{name}(x_[b, i])\n"
    code = llvm_source.written(text, "f", dict.fromkeys(("x_", "y_"), (1, x.shape)), real)
    y = np.empty_like(x)
    assert machine.made({"f": code}, {"f": 2})["f"](0, 1, 1, 1, id(x) + native.POINTER, id(y) + native.POINTER) == 0
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(y[~finite], expected[~finite])
    np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))
    with mp.workprec(120):
        exact = [getattr(mp, name)(mp.mpf(float(a))) for a in x[finite]]
        errors = [abs(mp.mpf(float(a)) - b) for a, b in zip(y[finite], exact, strict=True)]
    assert (np.array(errors, float) <= 2 * np.spacing(np.abs(expected[finite])).astype(float)).all()


@pytest.mark.parametrize(
    ("nest", "what"),
    [
        ("np.round({0})", "np.round(a1[i0])"),
        ("{0} @ {0}", "a1[i0] @ a1[i0]"),
        ("[{0}][0]", "[a1[i0]][0]"),
        ("np.e", "np.e"),
    ],
)
def test_a_nest_that_is_not_compiled_sends_its_scan_to_numpy_and_says_so(nest, what, monkeypatch):
    monkeypatch.setattr(rows, "TABLE", dict(rows.TABLE))
    odd = db.operation("odd_of_native", lambda a: np.sinh(a), [None], nest=formula(nest))
    t = db.SliceTemplate("odd")
    w, h = t.parameter("w", 3), t.variable("h", 3)
    t.define(h, w * odd(0.1 * h.prev) + 1)
    t.loss("L", db.sum(h * h))
    reasons = numpy_source(schedule(t.frozen, ["L"]), ["L"], loops_printer(1)).reasons
    assert reasons == {"h": f"the nest of 'odd_of_native': {what} is not compiled"}

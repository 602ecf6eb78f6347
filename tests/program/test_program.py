"""The compiled program: equal to the message sweep, readable, stand-alone."""

import subprocess
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import dbn_bptt as db
from dbn_bptt import cells, ops
from dbn_bptt.program import spare
from dbn_bptt.program.compiled import arguments
from dbn_bptt.program.schedule import shortest_general
from tests.cases import CASES, Case, draw
from tests.helpers import assert_close, gradients
from tests.random_templates import RandomTemplate

EVERYTHING = ("params", "inputs", "initial")


def _assert_equals_sweep(drawn):
    expected = drawn.bptt()
    arguments = drawn.arguments()
    program = db.compile(drawn.template)
    loss, found = program.value_and_grad(**arguments, wrt=EVERYTHING)
    assert_close(loss, expected.loss, 1e-12, "loss")
    assert_close(program.loss(**arguments), expected.loss, 1e-12, "loss alone")
    for name, g in gradients(expected).items():
        if name not in ("valid", "ends"):
            assert_close(found[name], g, 1e-12, name)
    for name, array in program.values(**arguments).items():
        if drawn.template.symbols[name].kind == "variable":
            assert_close(array, expected.values.stack(name), 1e-12, name)
        else:
            assert_close(array, expected.values[name], 1e-12, name)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_program_equals_the_message_sweep(case: Case):
    _assert_equals_sweep(draw(case))


@pytest.mark.parametrize("case", [c for c in CASES if not c.lengths and "countdown" not in c.name], ids=repr)
def test_the_general_program_serves_all_longer_sequences(case: Case):
    least = shortest_general(db.adjoint(case.make()))
    for T in (least, least + 1, 3 * least):
        _assert_equals_sweep(draw(Case(case.name, case.make, T=T, B=case.B)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), T=st.integers(1, 14), batch=st.none() | st.integers(1, 3))
def test_the_program_of_random_templates_equals_the_sweep(seed, T, batch):
    _assert_equals_sweep(draw(Case("random", RandomTemplate(seed).make, T=T, B=batch), seed))


def test_only_the_recurrence_is_a_scan():
    steps = str(db.compile(cells.elman(3, 4, 2)).schedule).splitlines()
    assert [line for line in steps if line.startswith("slice by slice")] == [
        "slice by slice, forwards: h (each needs the slice before it; interface to the next slice: h)",
        "slice by slice, backwards: a_bar (each needs the slice after it; interface to the previous slice: a_bar)",
    ]
    assert "all slices at once: o (from h)" in steps
    assert "summed over all slices: W_bar (from a_bar, h)" in steps


def test_the_gates_of_an_lstm_are_one_product():
    program = db.compile(cells.lstm(3, 4, 2))
    forwards = program.source.split("slice by slice, forwards")[1].split("    # ")[0]
    assert forwards.count("np.dot(") == 1
    assert "interface to the next slice: s, h)" in str(program.schedule)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoids_saturate_without_a_warning(dtype):
    t = db.SliceTemplate("gate")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, db.sigmoid(w + h.prev))
    t.loss("L", h)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for w_value, expected in ((-1000.0, 0.0), (1000.0, 1.0)):
            assert db.compile(t).loss({"w": dtype(w_value)}, T=20) == 20 * expected
            assert db.bptt(t, {"w": dtype(w_value)}, T=20).loss == 20 * expected


def test_the_scan_of_the_elman_network_is_what_an_expert_writes():
    source = db.compile(cells.elman(3, 4, 2)).source
    loop = "\n".join(
        [
            "    for h_prev, h_t, pre_h_t in zip(h[:T], h[1:], pre_h):",
            "        np.dot(h_prev, W_T, out=h_t)",
            "        np.add(h_t, pre_h_t, out=h_t)",
            "        np.tanh(h_t, out=h_t)",
        ]
    )
    assert loop in source
    assert "W_bar = flat(a_bar).T @ flat(h[:T])" in source


@pytest.mark.parametrize("case", [c for c in CASES if c.lengths is None and c.B], ids=repr)
def test_the_source_stands_alone(case: Case, tmp_path):
    """Pasted into an empty file, with nothing of the package in reach."""
    drawn = draw(Case(case.name, case.make, T=12, B=case.B))
    if case.name == "countdown":
        pytest.skip("its logarithm does not exist for twelve slices")
    program = db.compile(drawn.template)
    loss, expected = program.value_and_grad(**drawn.arguments())
    from dbn_bptt.sweep.given import checked

    found = checked(program.template, drawn.parameters, drawn.data, drawn.initial, None, 12)
    parameters, data, initial, T, B, _ = arguments(program.template, found)
    arrays = {f"p_{n}": a for n, a in parameters.items()} | {f"d_{n}": a for n, a in data.items()}
    np.savez(tmp_path / "in.npz", **arrays, **{f"i_{n}": a for n, a in initial.items()})
    main = f"""
import sys
assert not any(m.startswith("dbn_bptt") for m in sys.modules)
z = np.load("in.npz")
take = lambda head: {{k[2:]: z[k] for k in z.files if k.startswith(head)}}
np.savez("out.npz", **run(take("p_"), take("d_"), take("i_"), {T}, {B}, np.dtype(float)))
"""
    (tmp_path / "alone.py").write_text(program.source + main)
    subprocess.run([sys.executable, "-I", "alone.py"], cwd=tmp_path, check=True)
    out = np.load(tmp_path / "out.npz")
    for name, g in expected.items():
        assert_close(out[program.backward.partners[name]], g, 1e-13, name)
    assert_close(sum(out[name] for name in drawn.template.losses), loss, 1e-13)


def test_flat_serves_scipy():
    rng = np.random.default_rng(0)
    rnn = cells.elman(2, 4, 2)
    data = {"x": rng.normal(size=(6, 8, 2)), "y": rng.integers(0, 2, (6, 8))}
    fun, x0 = db.compile(rnn).flat(data)
    assert scipy.optimize.check_grad(lambda v: fun(v)[0], lambda v: fun(v)[1], x0 + 0.1) < 1e-4
    fitted = scipy.optimize.minimize(fun, x0, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    assert fitted.fun < 0.7 * fun(x0)[0]


def test_flat_fits_parameters_that_have_a_default_too():
    t = db.SliceTemplate("line")
    w, a, x, y = t.parameter("w", ()), t.parameter("a", (), default=0.0), t.input("x", ()), t.target("y", ())
    t.loss("L", db.squared_error(w * x + a, y))
    program, xs = db.compile(t), np.arange(6.0)
    fun, x0 = program.flat({"x": xs, "y": 3 * xs + 7})
    found = program.unflat(scipy.optimize.minimize(fun, x0, jac=True).x)
    assert found["w"] == pytest.approx(3, abs=1e-6)
    assert found["a"] == pytest.approx(7, abs=1e-6)


def _kink(t):
    """sqrt(w^2)'s derivative is 0 / 0 at w = 0."""
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, db.sqrt(db.square(w)) + h.prev)
    t.loss("L", h, at="last")


def _logarithm(t):
    """log(w - 1) is not there at w = 0."""
    t.loss("L", db.log(t.parameter("w", ()) - 1.0))


@pytest.mark.parametrize(
    ("define", "engine", "message"),
    [
        (_kink, lambda t, p: db.bptt(t, p, T=3), "the adjoint of .* is NaN"),
        (_kink, lambda t, p: db.compile(t).value_and_grad(p, T=3), "the gradient of w is NaN; bptt"),
        (
            _kink,
            lambda t, p: db.compile(t).value_and_grad(p, T=3, checkpoints=1, segment=2),
            "the gradient of w is NaN",
        ),
        (_kink, lambda t, p: db.compile(t).value_and_grad(p, T=3, truncate=1), "the gradient of w is NaN"),
        (_kink, lambda t, p: db.compile(t).flat(T=3)[0](np.zeros(1)), "the gradient of w is NaN"),
        (_kink, lambda t, p: db.rtrl(t, p, T=3), "the gradient of w is NaN"),
        (_kink, lambda t, p: db.hessian_vector_product(t, p, direction=p, T=3), "the product in w is NaN"),
        (_logarithm, lambda t, p: db.bptt(t, p, T=3), "the value of .* is NaN"),
        (_logarithm, lambda t, p: db.compile(t).value_and_grad(p, T=3), "the loss is NaN; bptt"),
        (_logarithm, lambda t, p: db.compile(t).loss(p, T=3), "the loss is NaN"),
        (_logarithm, lambda t, p: db.compile(t).values(p, T=3), "the loss is NaN"),
    ],
)
def test_no_engine_lets_out_a_nan(define, engine, message):
    t = db.SliceTemplate("not a number")
    define(t)
    with pytest.raises(db.NotANumberError, match=message):
        engine(t, {"w": 0.0})


def test_float32_stays_float32():
    drawn = draw(Case("lstm", lambda: cells.lstm(3, 4, 2), T=9, B=2))
    single = {n: v.astype(np.float32) for n, v in drawn.parameters.items()}
    data = {"x": drawn.data["x"].astype(np.float32), "y": drawn.data["y"]}
    _, found = db.compile(drawn.template).value_and_grad(single, data)
    assert {g.dtype for g in found.values()} == {np.dtype(np.float32)}


def test_calls_repeat_and_change_nothing():
    drawn = draw(Case("gru", lambda: cells.gru(3, 4, 2), T=9, B=2))
    before = {n: np.copy(v) for n, v in (drawn.parameters | drawn.data | drawn.initial).items()}
    program = db.compile(drawn.template)
    _, first = program.value_and_grad(**drawn.arguments())
    kept = {n: g.copy() for n, g in first.items()}
    _, second = program.value_and_grad(**drawn.arguments())
    for name, g in kept.items():
        assert np.array_equal(first[name], g)
        assert np.array_equal(second[name], g)
    for name, v in (drawn.parameters | drawn.data | drawn.initial).items():
        assert np.array_equal(v, before[name])


BAD = [
    ("wrt, no names", lambda p, d: p.value_and_grad(**d, wrt=None), "give a tuple of any of"),
    ("wrt", lambda p, d: p.value_and_grad(**d, wrt="params"), "give a tuple of any of 'params', 'inputs', 'initial'"),
    ("missing", lambda p, d: p.value_and_grad({}, {}), "parameter 'W' is missing"),
    ("shape", lambda p, d: p.loss(d["parameters"] | {"W": np.ones(3)}, d["data"]), "parameter 'W' has shape"),
    ("lengths", lambda p, d: p.values(d["parameters"], d["data"], lengths=[1]), "lengths must be"),
]


@pytest.mark.parametrize(("call", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_refused_as_by_the_kernel(call, message):
    drawn = draw(Case("elman", lambda: cells.elman(3, 4, 2), T=9, B=2))
    with pytest.raises(db.DbnBpttError, match=message):
        call(db.compile(drawn.template), drawn.arguments())


def test_a_template_without_a_loss_has_values_only():
    t = db.SliceTemplate("no loss")
    h = t.variable("h", 2)
    t.define(h, 0.5 * h.prev)
    program = db.compile(t)
    assert program.values({}, T=3, initial={"h": [8.0, 4.0]})["h"].tolist() == [[4, 2], [2, 1], [1, 0.5]]
    with pytest.raises(db.TemplateError, match="has no loss"):
        program.value_and_grad({}, T=3)


def test_a_recurrence_that_reads_both_ways_is_refused_and_not_guessed():
    t = db.SliceTemplate("both ways")
    x, a, c = t.input("x", ()), t.variable("a", ()), t.variable("c", ())
    t.define(a, db.tanh(x + c.lag(-2)))
    t.define(c, db.tanh(2 * a.prev))
    t.loss("L", a * a)
    data = {"x": np.array([0.1, 0.2, 0.3, 0.4, 0.5])}
    with pytest.raises(db.TemplateError, match="read each other from slices before and after"):
        db.compile(t).value_and_grad({}, data)
    assert db.compare(t, {}, data).ok


def test_a_parameter_of_later_slices_and_of_the_last_loss():
    """In a sequence of one slice only the loss uses it."""
    t = db.SliceTemplate("late")
    q, x, v = t.parameter("q", ()), t.input("x", ()), t.variable("v", ())
    t.define(v, db.tanh(q * x + v.prev), first=db.tanh(x))
    t.loss("L", v * db.exp(q * x), at="last")
    for T in (1, 2, 5):
        data = {"x": np.linspace(0.5, 1, T)}
        expected = db.bptt(t, {"q": 0.3}, data).gradients["q"]
        assert_close(db.compile(t).value_and_grad({"q": 0.3}, data)[1]["q"], expected)
        assert db.compare(t, {"q": 0.3}, data).ok


def test_the_schedule_depends_on_no_hash_seed():
    program = (
        "import dbn_bptt as db\nt = db.SliceTemplate('t')\nx, a, c = t.input('x', ()), t.variable('a', ()), t.variable('c', ())\n"
        "t.define(a, db.tanh(x + c.prev)); t.define(c, db.tanh(2 * a.prev)); t.loss('L', a * a)\nprint(db.compile(t).source)"
    )
    runs = [[sys.executable, "-c", program]] * 3
    found = {
        subprocess.run(run, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": str(k)}).stdout
        for k, run in enumerate(runs)
    }
    assert len(found) == 1


@pytest.mark.parametrize("case", [c for c in CASES if not c.lengths and "countdown" not in c.name], ids=repr)
def test_results_do_not_lie_in_memory_that_later_runs_use(case: Case, monkeypatch):
    monkeypatch.setattr(spare, "SMALL", 0)
    drawn = draw(Case(case.name, case.make, T=shortest_general(db.adjoint(case.make())) + 2, B=case.B))
    program = db.compile(drawn.template)
    _, found = program.value_and_grad(**drawn.arguments(), wrt=EVERYTHING)
    found |= {f"value of {name}": a for name, a in program.values(**drawn.arguments()).items()}
    expected = {name: a.copy() for name, a in found.items()}
    for chunk in spare._kept:
        chunk[:] = 255  # NaN in every place
    assert spare._kept
    for name, a in found.items():
        assert np.array_equal(a, expected[name]), name


def test_runs_side_by_side_have_memory_of_their_own():
    rng = np.random.default_rng(0)
    rnn = cells.lstm(4, 16, 4)
    theta, program = rnn.initial_parameters(0), db.compile(rnn)
    data = [{"x": rng.normal(size=(60, 32, 4)), "y": rng.integers(0, 4, (60, 32))} for _ in range(8)]
    alone = [program.value_and_grad(theta, d) for d in data]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda d: program.value_and_grad(theta, d), data * 3))
    for (loss, g), (loss_, g_) in zip(alone * 3, together, strict=True):
        assert loss == loss_
        assert all(np.array_equal(g[name], g_[name]) for name in g)


def test_memory_is_kept_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(spare, "LIMIT", 3 << 20)
    monkeypatch.setattr(spare, "_kept", [])
    for size in (1 << 20, 2 << 20, 1 << 20, 8 << 20):
        with spare.lent() as empty:
            empty((size // 8,), float)[:] = 1.0
        assert sum(chunk.size for chunk in spare._kept) <= 3 << 20
    with spare.lent() as empty:
        first = empty((1 << 17,), float)
    with spare.lent() as empty:
        assert np.shares_memory(first, empty((1 << 17,), float))


def _equals_bptt(t: db.SliceTemplate, T: int) -> None:
    """Loss, gradients and values, of data, parameters and states drawn for a template."""
    _assert_equals_sweep(draw(Case("a template", lambda: t, T=T, B=2)))


def _broadcast_offset(t, x, h, r):
    W, b, v = t.parameter("W", (3, 3)), t.parameter("b", ()), t.parameter("v", (1, 3))
    t.define(r, db.sigmoid(W @ h.prev + b))
    t.define(h, db.tanh(v @ h.prev + x + b) * r)


def _views_of_data(t, x, h, r):
    t.define(r, 2.0 * x[::-1])
    t.define(h, db.tanh(db.sum(db.einsum("ij->ji", ops.outer(x, r)) * 0.5, -1) + h.prev))


def _every_other_slice(t, x, h, r):
    t.define(h, db.tanh(0.5 * h.lag(2) + x))
    t.define(r, h)


def _two_that_take_turns(t, x, h, r):
    t.define(h, db.tanh(r.prev + x))
    t.define(r, db.sigmoid(h.prev))


def _vanishing_default(t, x, h, r):
    g = t.input("g", (), default=0.0)
    t.define(r, g * x.prev)
    t.define(h, db.tanh(0.9 * h.prev + g * h.lag(2) + x + r))


HARD = [_broadcast_offset, _views_of_data, _every_other_slice, _two_that_take_turns, _vanishing_default]


@pytest.mark.parametrize("at", ["every", "first", "last"])
@pytest.mark.parametrize("define", HARD)
def test_templates_that_were_wrong_once(define, at):
    for T in (10, 11, 21):
        t = db.SliceTemplate("hard")
        x, h, r = t.input("x", 3), t.variable("h", 3), t.variable("r", 3)
        define(t, x, h, r)
        t.loss("L", db.sum(h * h), at=at)
        _equals_bptt(t, T)


@pytest.mark.parametrize(
    "name", ["h\u0303", "memory_3", "memory_3_", "ones_3", "zip", "empty", "part_1", "W_T", "x_t", "logistic"]
)
def test_any_name_will_do(name):
    t = db.SliceTemplate("names")
    W, x, h = t.parameter("W", (3, 3)), t.input("x", 3), t.variable(name, 3)
    t.define(h, db.sigmoid(W @ h.prev + x))
    t.loss("L", db.log(db.sum(db.exp(h))))
    _equals_bptt(t, 20)


def test_operations_that_return_views_harm_nothing():
    flip = db.operation(
        "flipped", lambda a: a[..., ::-1], [lambda g, y, a: flip(g)], shape=lambda a: a, latex="{0}", text="{0}"
    )
    t = db.SliceTemplate("views")
    x, h = t.input("x", 3), t.variable("h", 3)
    t.define(h, db.tanh(flip(x)) + 0.5 * h.prev)
    t.loss("L", db.sum(db.exp(flip(h))))
    data = {"x": np.random.default_rng(0).normal(size=(20, 2, 3))}
    before = data["x"].copy()
    expected = db.bptt(t, {}, data)
    loss, found = db.compile(t).value_and_grad({}, data, wrt=("inputs",))
    assert np.array_equal(data["x"], before)
    assert_close(loss, expected.loss)
    assert_close(found["x"], gradients(expected)["x"])


def test_results_are_arrays_of_their_own():
    t = db.SliceTemplate("sum")
    a, b, h, c = t.input("a", 3), t.input("b", 3), t.variable("h", 3), t.variable("c", 3)
    t.define(h, a + b)
    t.define(c, a)
    t.loss("L", db.sum(h * h))
    data = {"a": np.ones((20, 3)), "b": np.ones((20, 3))}
    program = db.compile(t)
    _, found = program.value_and_grad({}, data, wrt=("inputs",))
    assert not np.shares_memory(found["a"], found["b"])
    assert not np.shares_memory(program.values({}, data)["c"], data["a"])


def test_what_overflows_becomes_infinite_without_a_warning():
    t = db.SliceTemplate("growth")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, db.exp(w + h.prev))
    t.loss("L", h)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert db.compile(t).loss({"w": 1.0}, T=20) == db.bptt(t, {"w": 1.0}, T=20).loss == np.inf


def test_a_template_without_parameters_cannot_be_fitted():
    t = db.SliceTemplate("none")
    h = t.variable("h", ())
    t.define(h, 0.5 * h.prev)
    t.loss("L", h)
    with pytest.raises(db.TemplateError, match="no parameters to fit"):
        db.compile(t).flat(T=3)


def test_an_input_left_at_its_default_is_a_constant():
    """Of its value; its gradient is there. One that is read from other slices has its initial state."""
    t = db.SliceTemplate("defaults")
    w, x = t.parameter("w", ()), t.input("x", ())
    gain, shift = t.input("gain", (), default=1.0), t.input("shift", (), default=0.5)
    h = t.variable("h", ())
    t.define(h, db.tanh(gain * (w * h.prev + x) + shift.prev))
    t.loss("L", h * h)
    program = db.compile(t)
    for T in (2, 30):
        for data in ({"x": np.linspace(0, 1, T)}, {"x": np.linspace(0, 1, T), "gain": np.full(T, 2.0)}):
            expected = db.bptt(t, {"w": 0.3}, data)
            loss, found = program.value_and_grad({"w": 0.3}, data, wrt=EVERYTHING)
            assert_close(loss, expected.loss)
            for name, g in gradients(expected).items():
                assert_close(found[name], g, what=name)


def test_a_map_that_a_scan_computes_serves_equations_outside_of_it():
    t = db.SliceTemplate("predictions")
    A, x, h, p = t.parameter("A", (3, 3)), t.input("x", 3), t.variable("h", 3), t.variable("p", 3)
    t.define(h, db.tanh(A @ h.prev + x))
    t.define(p, db.sigmoid(A @ h.prev))
    t.loss("L", db.sum(p * p))
    program = db.compile(t)
    forwards = program.source.split("slice by slice, forwards")[1].split("slice by slice, backwards")[0]
    assert forwards.count("np.dot(") == 1
    assert "times(h" not in forwards
    rng = np.random.default_rng(0)
    theta, data = {"A": rng.normal(size=(3, 3))}, {"x": rng.normal(size=(20, 2, 3))}
    assert_close(program.value_and_grad(theta, data)[1]["A"], db.bptt(t, theta, data).gradients["A"])


def test_repeated_calls_ask_for_little_memory_and_leave_nothing_behind():
    T, B, H = 100, 64, 64
    rnn = cells.lstm(8, H, 8)
    theta, rng = rnn.initial_parameters(0), np.random.default_rng(0)
    data = {"x": rng.normal(size=(T, B, 8)), "y": rng.integers(0, 8, (T, B))}
    program = db.compile(rnn)
    program.value_and_grad(theta, data)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            program.value_and_grad(theta, data)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    assert peak - before < T * B * H * 8, "less than one array of all slices, of thirty in the program"


@pytest.mark.parametrize("lengths", [None, [6, 2, 4]])
@pytest.mark.parametrize("cell", [cells.elman, cells.lstm])
def test_predictions_need_no_targets(cell, lengths):
    rnn = cell(3, 4, 2)
    theta, data = rnn.initial_parameters(0), {"x": np.random.default_rng(0).normal(size=(6, 3, 3))}
    program = db.compile(rnn)
    found = program.values(theta, data, lengths=lengths)
    whole = program.values(theta, {**data, "y": np.zeros((6, 3), int)}, lengths=lengths)
    assert set(whole) - set(found) == {"L"}
    for name, series in found.items():
        assert_close(series, whole[name], 1e-14, name)
    assert program.values(theta, {"x": data["x"][:, 0]})["yhat"].shape == (6, 2)
    with pytest.raises(db.DataError, match="'x' is missing"):
        program.values(theta, {})


def test_single_precision_in_is_single_precision_out():
    t = db.SliceTemplate("constants")
    w, v = t.parameter("w", ()), t.parameter("v", 2)
    t.loss("L", w * 3.0 + db.einsum("i,i->", v, np.ones(2)))
    _, found = db.compile(t).value_and_grad({"w": np.float32(1), "v": np.ones(2, np.float32)}, T=3)
    assert {g.dtype for g in found.values()} == {np.dtype(np.float32)}


def test_defaults_that_an_equation_selects_away_may_be_anything():
    t = db.SliceTemplate("selected away")
    w, s = t.parameter("w", ()), t.input("s", (), default=1.0)
    t.loss("L", w * db.select(1 - s, db.sqrt(0.5 - s), 2.0) + w * db.exp(db.log(1 - s)))
    assert db.compile(t).value_and_grad({"w": 1.0}, T=3)[1]["w"] == db.bptt(t, {"w": 1.0}, T=3).gradients["w"] == 6


def test_operations_may_have_infinite_attributes():
    clip = db.operation(
        "clip_of_tests", lambda a, low, high: np.clip(a, low, high), [lambda g, y, a, low, high: g * db.step(a - low)],
    )  # fmt: skip
    t = db.SliceTemplate("clipped")
    w, x = t.parameter("w", ()), t.input("x", ())
    t.loss("L", clip(w * x, low=0.0, high=float("inf")))
    data = {"x": np.array([1.0, -2.0, 3.0])}
    assert db.compile(t).value_and_grad({"w": 0.5}, data)[1]["w"] == db.bptt(t, {"w": 0.5}, data).gradients["w"] == 4


def test_singular_matrices_are_refused_by_the_program_too():
    t = db.SliceTemplate("inverse")
    S = t.parameter("S", (2, 2))
    t.loss("L", db.sum(db.inverse(S)))
    with pytest.raises(db.DataError, match="a matrix has no inverse"):
        db.compile(t).value_and_grad({"S": np.zeros((2, 2))}, T=1)

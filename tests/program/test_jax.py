"""The JAX engine, slice by slice and parallel in time, gives what NumPy gives; its function is one of JAX's."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from dbn_bptt.ops import rows
from dbn_bptt.program import jax_source, run
from dbn_bptt.program.linearity import Homogeneous
from tests.cases import CASES, Case, draw
from tests.dbn_models import build, draw_evidence, random_structure
from tests.helpers import assert_close
from tests.random_templates import RandomTemplate

jax = pytest.importorskip("jax", reason="JAX is not installed")
SLICES = 40  # enough for the program of long sequences
WRT = ("params", "inputs", "initial")
LONG = [
    Case(c.name, c.make, SLICES, c.B, c.lengths, c.given_initial)
    for c in CASES
    if c.lengths is None and c.name != "countdown"
]
SHORT = [c for c in CASES if c.lengths is not None or c.given_initial]
RANDOM = [Case(f"random {seed}", RandomTemplate(seed).make, SLICES, [None, 2][seed % 2]) for seed in range(8)]
CELLS = [db.cells.elman(3, 4, 2), db.cells.lstm(3, 4, 2), db.cells.gru(3, 4, 2)]


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def _agree(template, arguments, engine, tolerance=1e-12):
    loss, gradients = db.compile(template, "numpy").value_and_grad(**arguments, wrt=WRT)
    own_loss, own = db.compile(template, engine).value_and_grad(**arguments, wrt=WRT)
    assert_close(own_loss, loss, tolerance)
    assert own.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert_close(own[name], gradient, tolerance, name)


def _drawn(case):
    drawn = draw(case)
    try:
        db.compile(drawn.template)
    except db.NotCompiledError:
        pytest.skip("reads from slices before and after")
    return drawn


@pytest.mark.parametrize("case", [*SHORT, *LONG, *RANDOM], ids=lambda case: f"{case.name}-{case.T}")
def test_jax_gives_what_numpy_gives(case):
    drawn = _drawn(case)
    _agree(drawn.template, drawn.arguments(), "jax")


@pytest.mark.parametrize("case", [*LONG, *RANDOM[:3]], ids=lambda case: case.name)
def test_parallel_in_time_gives_what_numpy_gives(case):
    drawn = _drawn(case)
    _agree(drawn.template, drawn.arguments(), "parallel")


def test_numbers_of_32_bits():
    rnn, rng = db.cells.lstm(2, 3, 2), np.random.default_rng(0)
    theta = {name: a.astype(np.float32) for name, a in rnn.initial_parameters(0).items()}
    data = {"x": rng.normal(size=(SLICES, 2)).astype(np.float32), "y": rng.integers(0, 2, SLICES)}
    expected, found = (db.compile(rnn, engine).value_and_grad(theta, data) for engine in ("numpy", "jax"))
    assert_close(found[0], expected[0], 1e-5)
    for name, gradient in expected[1].items():
        assert found[1][name].dtype == np.float32
        assert_close(found[1][name], gradient, 1e-4, name)


def test_values_checkpoints_and_truncation():
    rnn, rng = CELLS[0], np.random.default_rng(0)
    arguments = rnn.initial_parameters(0), {"x": rng.normal(size=(SLICES, 3)), "y": rng.integers(0, 2, SLICES)}
    for options in ({"checkpoints": 3, "segment": 7}, {"truncate": 7}):
        expected, found = (db.compile(rnn, e).value_and_grad(*arguments, **options) for e in ("numpy", "jax"))
        assert_close(found[0], expected[0])
        assert_close(found[1]["W"], expected[1]["W"])
    expected, found = (db.compile(rnn, engine).values(*arguments) for engine in ("numpy", "jax"))
    for name, a in expected.items():
        assert_close(found[name], a, 1e-12, name)


# ------------------------------------------------------------------------------------------------------------ networks
def _is_as_probable(model, evidence, paths, of):
    """Whether paths have the probability that the most probable one has: ties are broken by rounding."""
    T = len(next(iter(of.indices.values())))
    given = {name: paths[name] for name in paths} | {n: np.asarray(v)[:T] for n, v in evidence.items()}
    return dbn.log_likelihood(model, given) == pytest.approx(of.log_probability, rel=1e-9)


@pytest.mark.parametrize("engine", ["jax", "parallel"])
@pytest.mark.parametrize("seed", range(2))
def test_verbs_of_random_networks(seed, engine):
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, int(rng.integers(1, 4)))
    model = build(structure.sizes, structure.edges, seed)
    evidence = draw_evidence(rng, structure, 30)
    for verb in (dbn.smooth, dbn.filter):
        expected, found = (verb(model, evidence, T=30, engine=e) for e in ("numpy", engine))
        for name in expected:
            assert_close(found[name], expected[name], 1e-12, f"{verb.__name__} {name}")
    expected, found = (dbn.expected_counts(model, evidence, T=30, engine=e) for e in ("numpy", engine))
    for key, table in expected.items():
        assert_close(found[key], table)
    best, found = (dbn.viterbi(model, evidence, T=30, engine=e) for e in ("numpy", engine))
    assert_close(found.log_probability, best.log_probability)
    drawn, found = (dbn.sample(model, 3, evidence, T=30, engine=e) for e in ("numpy", engine))
    assert all((drawn[name] == found[name]).all() for name in drawn)


def test_a_batch_and_missing_values_parallel_in_time():
    model = build({"Z": 4, "Y": 3}, [("Z", "Y", 0), ("Z", "Z", 1)])
    y = np.random.default_rng(0).integers(-1, 3, (5, 60))
    expected, found = (dbn.smooth(model, {"Y": y}, engine=engine) for engine in ("numpy", "parallel"))
    assert_close(found["Z"], expected["Z"])
    assert_close(found.log_likelihood, expected.log_likelihood)
    lengths = [60, 1, 7, 59, 30]
    expected, found = (dbn.smooth(model, {"Y": y}, lengths=lengths, engine=e) for e in ("numpy", "parallel"))
    assert_close(found["Z"], expected["Z"])


@pytest.mark.parametrize("T", [1_000_000])
def test_a_million_slices(T):
    """A chain some of whose transitions are impossible, and 64 symbols."""
    rng = np.random.default_rng(0)
    model = dbn.prepare(build({"Z": 4, "Y": 64}, [("Z", "Y", 0), ("Z", "Z", 1)]))
    table = model.network.later["Z"]
    values = table.values * (np.abs(np.subtract.outer(np.arange(4), np.arange(4))) < 2)
    sparse = {0: model.network.first["Z"], 1: dbn.networks.network.Table("Z", table.parents, values / values.sum(0))}
    network = dbn.networks.network.Network(model.network.states, {**model.network.tables, "Z": sparse})
    evidence = {"Y": rng.integers(0, 64, T)}
    pytest.importorskip("llvmlite", reason="compiled loops need llvmlite")
    expected, found = (dbn.smooth(network, evidence, engine=engine) for engine in ("native", "parallel"))
    assert np.abs(found["Z"] - expected["Z"]).max() < 1e-9
    assert_close(found.log_likelihood, expected.log_likelihood)


def test_a_kalman_smoother_parallel_in_time():
    rng = np.random.default_rng(0)
    A = 0.95 * np.linalg.qr(rng.normal(size=(3, 3)))[0]
    kalman = dbn.linear_gaussian(A, rng.normal(size=(2, 3)), 0.3 * np.eye(3), np.eye(2), np.zeros(3), np.eye(3))
    y = rng.normal(size=(200, 2))
    y[rng.uniform(size=y.shape) < 0.1] = np.nan
    expected, found = (dbn.smooth(kalman, {"y": y}, engine=engine) for engine in ("numpy", "parallel"))
    assert_close(found.mean, expected.mean, 1e-10)
    assert_close(found.covariance, expected.covariance, 1e-10)
    steps = db.compile(kalman, "parallel").newton_steps({}, dbn.kalman_data(kalman, {"y": y}))
    assert min(steps.values()) == 0 < max(steps.values()) < 20  # the means are an affine scan, the covariances are not


# ------------------------------------------------------------------------------------------------------------ Newton
def _elman(size, T, scale):
    rnn, rng = db.cells.elman(3, size, 2), np.random.default_rng(0)
    theta = rnn.initial_parameters(0)
    theta["W"] = scale * theta["W"] / np.linalg.norm(theta["W"], 2)
    return rnn, theta, {"x": rng.normal(size=(T, 3)), "y": rng.integers(0, 2, T)}


@pytest.mark.parametrize("T", [100, 10_000])
@pytest.mark.parametrize(
    "engine",
    [
        db.Parallel(),
        db.Parallel(jacobian="diagonal"),
        db.Parallel(jacobian="diagonal", trust=0.2),
    ],
    ids=["full", "diagonal", "diagonal, held back"],
)
def test_newton_converges_on_a_contracting_network(engine, T):
    rnn, theta, data = _elman(4, T, 0.6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = db.compile(rnn, engine).values(theta, data)
    assert np.abs(values["h"] - db.compile(rnn, "numpy").values(theta, data)["h"]).max() < 1e-10
    (steps,) = db.compile(rnn, engine).newton_steps(theta, data).values()
    assert 1 < steps < (12 if engine == db.Parallel() else 60)


def test_newton_falls_back_on_an_expanding_network_and_says_so():
    rnn, theta, data = _elman(8, 500, 6.0)
    program = db.compile(rnn, db.Parallel(steps=20))
    with pytest.warns(UserWarning, match="Newton's method does not converge for h"):
        loss = program.loss(theta, data)
    assert_close(loss, db.compile(rnn, "numpy").loss(theta, data))
    with pytest.warns(UserWarning, match="slice by slice"):
        assert program.newton_steps(theta, data) == {"h": -1}


# --------------------------------------------------------------------------------------------- what a scan is read as
def _readings(template, monkeypatch):
    found = {}
    real = jax_source.reading

    def noted(loop, carried, base):
        answer = real(loop, carried, base)
        names = ", ".join(sorted({place.array for place in carried}))
        if names:
            found[names] = answer.semiring.name if isinstance(answer, Homogeneous) else answer
        return answer

    monkeypatch.setattr(jax_source, "reading", noted)
    _ = db.compile(template, "parallel").source
    return found


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: db.cells.elman(3, 4, 2), {"h": "newton", "a_bar": "affine"}),
        (lambda: db.cells.elman(3, 4, 2, activation="sigmoid"), {"h": "newton", "a_bar": "affine"}),
        (lambda: dbn.template(dbn.umbrella()), {"alpha": "sums of products", "f_bar": "affine"}),
        (lambda: _leaky(), {"h": "affine", "h_bar": "affine"}),
    ],
    ids=["elman", "sigmoid", "hidden Markov model", "leaky integrator"],
)
def test_what_a_scan_is_read_as(make, expected, monkeypatch):
    assert _readings(make(), monkeypatch) == expected


def _leaky():
    t = db.SliceTemplate("leaky integrator")
    w, x, h = t.parameter("w", ()), t.input("x", ()), t.variable("h", ())
    t.define(h, w * h.prev + db.tanh(x))
    t.loss("L", h * h)
    return t


# ----------------------------------------------------------------------------------------------------- the function
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("B", [None, 3])
def test_the_function_has_our_gradients(cell, B, float64):
    rng, lead = np.random.default_rng(0), (12,) if B is None else (12, B)
    theta, data = cell.initial_parameters(0), {"x": rng.normal(size=(*lead, 3)), "y": rng.integers(0, 2, lead)}
    loss, gradients = db.compile(cell, "numpy").value_and_grad(theta, data, wrt=WRT)
    function = db.compile(cell, "jax").function
    initial = {name: np.zeros(shape) for name, shape in cell.initial_shapes().items()}
    found = jax.jit(jax.value_and_grad(lambda p, x, s: function(p, {**data, "x": x}, s), (0, 1, 2)))(
        theta, data["x"], initial
    )
    assert_close(found[0], loss)
    own = found[1][0] | {"x": found[1][1]} | {f"initial {name}": g for name, g in found[1][2].items()}
    for name, gradient in gradients.items():
        assert_close(own[name], gradient, 1e-12, name)


def test_the_function_under_vmap_lengths_and_twice(float64):
    cell, rng = CELLS[1], np.random.default_rng(0)
    theta, data = cell.initial_parameters(0), {"x": rng.normal(size=(12, 3, 3)), "y": rng.integers(0, 2, (12, 3))}
    program, function = db.compile(cell, "numpy"), db.compile(cell, "jax").function
    each = jax.vmap(lambda x, y: function(theta, {"x": x, "y": y}), in_axes=1)(data["x"], data["y"])
    assert_close(each.sum(), program.loss(theta, data))
    lengths = np.array([12, 5, 1])
    loss, gradients = program.value_and_grad(theta, data, lengths=lengths)
    found = jax.value_and_grad(function)(theta, data, None, lengths)
    assert_close(found[0], loss)
    assert_close(found[1]["W_i"], gradients["W_i"])
    direction = {name: rng.normal(size=a.shape) for name, a in theta.items()}
    product = db.hessian_vector_product(cell, theta, data, direction=direction)
    forwards = jax.jvp(jax.grad(lambda p: function(p, data)), (theta,), (direction,))[1]

    def along(p):
        return sum((g * direction[n]).sum() for n, g in jax.grad(lambda p: function(p, data))(p).items())

    for found in (forwards, jax.grad(along)(theta)):
        for name, a in product.items():
            assert_close(found[name], a, 1e-10, name)


def test_mistakes_of_the_function(float64):
    cell = CELLS[0]
    theta, data = cell.initial_parameters(0), {"x": np.ones((5, 3)), "y": np.eye(2)[[0, 1, 0, 1, 1]]}
    function = db.compile(cell, "jax").function
    cases = [
        (lambda: db.compile(cell, "numpy").function, "needs JAX's engine"),
        (lambda: function({**theta, "W": np.ones((4, 3))}, data), r"'W' has shape \(4, 3\), not \(4, 4\)"),
        (lambda: function({"W": theta["W"]}, data), "parameter 'U' is missing"),
        (lambda: function(theta, {"x": data["x"]}), "'y' is missing"),
        (lambda: function(theta, {**data, "x": np.ones((4, 3))}), r"\(T\[, B\]\) = \(4,\)"),
        (lambda: function(theta, data, {"g": np.zeros(4)}), "unknown initial state 'g'"),
        (lambda: jax.grad(lambda y: function(theta, {**data, "y": y}))(data["y"]), "no gradient of the target 'y'"),
        (lambda: db.compile(cell, "torch"), "give one of 'numpy', 'native', 'jax', 'parallel'"),
        (lambda: db.Parallel(jacobian="block"), "give 'full' or 'diagonal'"),
        (lambda: db.Parallel(trust=-1.0), "trust=-1.0"),
        (lambda: db.Parallel(trust=1.0), "goes with jacobian='diagonal'"),
    ]
    for mistake, message in cases:
        with pytest.raises(db.DbnBpttError, match=message):
            mistake()


def _template_of(operation):
    t = db.SliceTemplate("of a user's operation")
    w, x, h = t.parameter("w", ()), t.input("x", ()), t.variable("h", ())
    t.define(h, operation(w * h.prev + x))
    t.loss("L", h)
    return t


def test_a_users_operation_is_traced_or_refused_by_name(monkeypatch):
    monkeypatch.setattr(rows, "TABLE", dict(rows.TABLE))
    plain = db.operation("damped_of_tests", lambda a: np.arctan(a) / 2, [lambda g, y, a: g * 0.5 / (1 + a * a)])
    both = db.operation(
        "damped_of_tests_too", lambda a: np.arctan(a) / 2, [lambda g, y, a: g * 0.5 / (1 + a * a)],
        traced=lambda xp, a: xp.arctan(a) / 2,
    )  # fmt: skip
    theta, data = {"w": 0.5}, {"x": np.ones(20)}
    expected = db.compile(_template_of(plain), "numpy").value_and_grad(theta, data)
    found = db.compile(_template_of(both), "jax").value_and_grad(theta, data)
    assert_close(found[1]["w"], expected[1]["w"])
    with pytest.raises(db.DataError, match=r"runs on NumPy alone; give db\.operation"):
        db.compile(_template_of(plain), "jax").value_and_grad(theta, data)


def test_a_sequence_batch_over_four_devices():
    """The example that shards a batch, with the devices that it asks for."""
    done = subprocess.run(
        [sys.executable, "examples/13_a_batch_over_devices.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "4 devices" in done.stdout


def test_results_belong_to_the_caller():
    rnn = CELLS[0]
    _, gradients = db.compile(rnn, "jax").value_and_grad(
        rnn.initial_parameters(0), {"x": np.ones((5, 3)), "y": np.zeros(5, int)}
    )
    gradients["W"] += 1
    assert run.compile(rnn, "jax").engine == "jax"


# ------------------------------------------------------------------------------------- what a review saw go wrong once
def _defined(name, define, inputs=(("x", 2),), size=2):
    t = db.SliceTemplate(name)
    given = [t.input(title, shape) for title, shape in inputs]
    h = t.variable("h", size)
    define(t, h, *given)
    return t


def _two_ahead(t, h, x):
    w = t.parameter("w", ())
    t.define(h, w * h.lag(-2) + 0.3 * h.next + x)
    t.loss("L", db.sum(h * h))


def test_slices_after_the_end_are_told_apart():
    t = _defined("two ahead", _two_ahead)
    rng = np.random.default_rng(0)
    arguments = {
        "parameters": {"w": 0.4},
        "data": {"x": rng.normal(size=(10, 2))},
        "initial": {"h": rng.normal(size=(2, 2))},
    }
    for engine in ("jax", "parallel"):
        _agree(t, arguments, engine)


def _of_logarithms(t, h, x):
    t.define(h, h.prev + x)
    t.loss("L", db.sum(db.exp(h)))


def test_minus_infinity_in_an_affine_scan():
    x = np.random.default_rng(0).normal(size=(20, 2))
    x[2, 0] = -np.inf
    t = _defined("logarithms", _of_logarithms)
    losses = [db.compile(t, engine).loss({}, {"x": x}) for engine in ("numpy", "jax", "parallel")]
    assert_close(losses[1], losses[0])
    assert_close(losses[2], losses[0])


@pytest.mark.parametrize("p", [1.59e-5, 1.2e-5, 1e-9])
def test_a_state_that_dies_does_not_take_others_along(p):
    t = db.SliceTemplate("a state dies")
    e, A = t.input("e", 3), t.parameter("A", (3, 3))
    h, f, s = t.variable("h", 3), t.variable("f", 3), t.variable("s", (1,))
    t.define(f, e * (A @ h.prev))
    t.define(s, db.sum(f, keepdims=True))
    t.define(h, f / s)
    t.loss("L", -db.log(h[2]), at="last")
    rows = np.ones((130, 3))
    rows[64:] = [0, p, p]
    rows[64] = [0, p, p * 0.2]
    expected, found = (
        db.compile(t, engine).loss({"A": np.eye(3)}, {"e": rows}, initial={"h": np.full(3, 1 / 3)})
        for engine in ("numpy", "parallel")
    )
    assert_close(found, expected)


def test_newton_stops_by_the_least_of_all_numbers():
    t = db.SliceTemplate("large and small")
    x, h = t.input("x", ()), t.variable("h", ())
    t.define(h, 0.9 * h.prev + 0.3 * db.tanh(h.prev) + x)
    t.loss("L", db.sigmoid(h))
    x = np.random.default_rng(0).normal(size=(200, 2))
    x[:, 1] *= 1e12
    expected, found = (db.compile(t, engine).loss({}, {"x": x}) for engine in ("numpy", "parallel"))
    assert_close(found, expected, 1e-9)


def _straight_through(t, h, x):
    quantised = db.operation("quantised_of_tests", np.round, [lambda g, y, a: g], traced=lambda xp, a: xp.round(a))
    t.define(h, 0.9 * quantised(h.prev) + x)
    t.loss("L", h @ h)


def test_a_straight_through_unit_is_not_affine(monkeypatch):
    monkeypatch.setattr(rows, "TABLE", dict(rows.TABLE))
    t = _defined("straight through", _straight_through)
    x = np.random.default_rng(0).normal(size=(20, 2))
    program = db.compile(t, "parallel")
    assert program.engines()["h"] == "jax: Newton's method"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_close(program.loss({}, {"x": x}), db.compile(t, "numpy").loss({}, {"x": x}))


def _signed_maxima(t, h, A):
    f, s = t.variable("f", 2), t.variable("s", (1,))
    t.define(f, db.max(A * h.prev, axis=-1))
    t.define(s, db.max(f, keepdims=True))
    t.define(h, f / s)
    t.loss("L", db.sum(h))


def test_maxima_of_products_with_signs_are_no_associative_scan():
    assert (
        db.compile(_defined("maxima", _signed_maxima, [("A", (2, 2))]), "parallel").engines()["h"]
        == "jax: Newton's method"
    )


def test_the_function_takes_a_batch_of_states_and_checks_what_it_sees(float64):
    t = db.SliceTemplate("decay")
    w, h = t.parameter("w", ()), t.variable("h", 2)
    t.define(h, w * h.prev)
    t.loss("L", db.sum(h), at="last")
    states = {"h": np.ones((4, 2))}
    loss = db.compile(t, "jax").function({"w": 0.2}, T=3, initial=states)
    assert_close(loss, db.compile(t, "numpy").loss({"w": 0.2}, T=3, initial=states))
    cell = CELLS[0]
    theta, data = cell.initial_parameters(0), {"x": np.ones((5, 4, 3)), "y": np.zeros((5, 4), int)}
    function = db.compile(cell, "jax").function
    cases = [
        (lambda: function(theta, data, None, np.array([1, 5, 3])), r"lengths must be \[4\] integers"),
        (lambda: function(theta, {n: a[:, 0] for n, a in data.items()}, None, np.array([3])), "lengths need a batch"),
        (lambda: function(theta, data, None, np.array([1, 5, 3, 6])), "lengths run from 1 to 6"),
        (lambda: function(theta, {**data, "y": data["y"] + 2}), "classes from 2 to 2; they run from 0 to 1"),
        (lambda: db.Parallel(jacobian="diagonal", trust=np.inf), "trust=inf"),
        (lambda: db.Parallel(jacobian="diagonal", trust="x"), "trust='x'"),
    ]
    for mistake, message in cases:
        with pytest.raises(db.DataError, match=message):
            mistake()


def test_options_may_be_numbers_of_numpys():
    engine = db.Parallel(jacobian="diagonal", trust=np.float64(0.1), tolerance=np.float64(1e-11), steps=np.int64(90))
    rnn, theta, data = _elman(4, 50, 0.5)
    assert_close(db.compile(rnn, engine).loss(theta, data), db.compile(rnn, "numpy").loss(theta, data))

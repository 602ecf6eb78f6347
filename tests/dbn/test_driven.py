"""Tables that depend on inputs, and conditional networks, against enumeration of all paths."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime

import dbn_bptt as db
from dbn_bptt import dbn, render
from dbn_bptt.dbn.learning.random_fields import flat, unflat, uphill
from dbn_bptt.errors import DataError, ModelError, UnknownNameError
from tests.dbn_models import build

K, M, D = 3, 4, 2
HMM = build({"Z": K, "Y": M}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)
RNG = np.random.default_rng(7)
MOVE, MOVE_BIAS = RNG.normal(size=(K, K, D)), RNG.normal(size=(K, K))
SHOW = RNG.normal(size=(M, K, D))
VECTORS = RNG.normal(size=(9, D))
SYMBOLS = RNG.integers(0, M, 9)


def softmax(a):
    e = np.exp(a - a.max(0))
    return e / e.sum(0)


def neural():
    """A table of Z by a network with a hidden layer."""
    t = db.SliceTemplate("neural")
    x, V, W = t.input("x", D), t.parameter("V", (5, D)), t.parameter("W", (K * K, 5))
    t.define(t.variable("logits", (K, K)), db.reshape(W @ db.tanh(V @ x), (K, K)))
    return dbn.softmax_of("Z", t, {"V": np.ones((5, D)) * np.arange(5)[:, None] / 5, "W": RNG.normal(size=(9, 5))})


NEURAL = neural()


def by_hand(which):
    """The model, and its tables in slice t by formulas of our own: of Z at 0, of Z later, of Y."""
    tables = dbn.prepare(HMM).tables
    moves, shows = (lambda x: tables["P_Z"]), (lambda x: tables["P_Y"])
    model = HMM
    if which in ("moves", "both"):
        model, moves = (
            dbn.drive(model, "X", dbn.logistic("Z", MOVE, MOVE_BIAS)),
            lambda x: softmax(MOVE @ x + MOVE_BIAS),
        )
    if which in ("shows", "both"):
        model, shows = dbn.drive(model, "X", dbn.logistic("Y", SHOW)), lambda x: softmax(SHOW @ x)
    if which == "neural":
        p = NEURAL.scores.parameters
        model = dbn.drive(model, "X", NEURAL)

        def moves(x):
            return softmax((p["W"] @ np.tanh(p["V"] @ x)).reshape(K, K))

    return model, tables["P0_Z"], moves, shows


def enumerated(which, x, y):
    _, first, moves, shows = by_hand(which)
    for path in itertools.product(range(K), repeat=len(y)):
        p = 1.0
        for t, z in enumerate(path):
            p *= moves(x[t])[z, path[t - 1]] if t else first[z]
            p *= 1.0 if y[t] < 0 else shows(x[t])[y[t], z]
        yield path, p


WHICH = ["moves", "shows", "both", "neural"]


ON_ENGINES = [(which, engine) for which in WHICH for engine in ("numpy", "native")]


@pytest.mark.parametrize(("which", "engine"), [*ON_ENGINES, ("both", "jax"), ("both", "parallel")])
def test_inputs_drive_tables(which, engine):
    pytest.importorskip({"native": "llvmlite", "numpy": "numpy"}.get(engine, "jax"), reason="an optional engine")
    model, T = by_hand(which)[0], 5
    x, y = VECTORS[:T], np.where(np.arange(T) == 2, -1, SYMBOLS[:T])
    every = list(enumerated(which, x, y))
    total = sum(p for _, p in every)
    posterior = dbn.smooth(model, {"X": x, "Y": y}, engine=engine)
    assert posterior.log_likelihood == pytest.approx(np.log(total), abs=1e-10)
    expected, counts = np.zeros((T, K)), np.zeros((K, K))
    for path, p in every:
        expected[np.arange(T), path] += p / total
        np.add.at(counts, (path[1:], path[:-1]), p / total)
    np.testing.assert_allclose(posterior["Z"], expected, atol=1e-10)
    np.testing.assert_allclose(dbn.expected_counts(model, {"X": x, "Y": y}, engine=engine)["Z", 1], counts, atol=1e-10)
    best, probability = max(every, key=lambda one: one[1])
    hard = dbn.viterbi(model, {"X": x, "Y": SYMBOLS[:T]}, engine=engine)
    best, probability = max(enumerated(which, x, SYMBOLS[:T]), key=lambda one: one[1])
    assert hard["Z"].tolist() == list(best)
    assert hard.log_probability == pytest.approx(np.log(probability), abs=1e-10)


def test_batches_filters_draws_and_steps():
    model = by_hand("both")[0]
    x, y, lengths = np.stack([VECTORS, VECTORS[::-1]]), np.stack([SYMBOLS, SYMBOLS[::-1]]), [9, 4]
    x[1, 4:] = np.nan
    batch = dbn.smooth(model, {"X": x, "Y": y}, lengths=lengths)
    filtered = dbn.filter(model, {"X": x, "Y": y}, lengths=lengths)
    for b, n in enumerate(lengths):
        one = {"X": x[b, :n], "Y": y[b, :n]}
        np.testing.assert_allclose(batch["Z"][b, :n], dbn.smooth(model, one)["Z"], atol=1e-12)
        state = dbn.start(model)
        for t in range(n):
            state, posterior = state.step({"X": x[b, t], "Y": y[b, t]})
            np.testing.assert_allclose(posterior["Z", t], filtered["Z"][b, t], atol=1e-12)
            state = pickle.loads(pickle.dumps(state))
    drawn = dbn.sample(model, 20_000, {"X": VECTORS, "Y": SYMBOLS}, seed=1)["Z"]
    np.testing.assert_allclose([(drawn == k).mean(0) for k in range(K)], batch["Z"][0].T, atol=0.015)
    frame = dbn.smooth(model, {"X": VECTORS, "Y": SYMBOLS}).to_frame()
    assert len(frame) == 9


def test_single_numbers_of_a_batch_and_vectors_that_are_not_there():
    level = dbn.emit(HMM, "L", dbn.gaussian("Z", [0.0, 1.0, 2.0], 1.0))
    state, posterior = dbn.start(level, 2).step({"L": [0.1, 3.0]})
    expected = dbn.smooth(level, {"L": np.array([[[0.1]], [[3.0]]])})
    np.testing.assert_allclose(posterior["Z"], expected["Z"], atol=1e-12)
    frame = pd.DataFrame({("L", 0): [0.1, 3.0]})
    np.testing.assert_allclose(dbn.log_likelihood(level, frame), expected.log_likelihood, atol=1e-12)
    later, _ = state.step({"L": None})
    np.testing.assert_allclose(
        later.before["alpha"], dbn.start(level, 2).step({"L": [0.1, 3.0]})[0].step({})[0].before["alpha"]
    )
    driven = dbn.drive(HMM, "X", dbn.logistic("Z", MOVE))
    first, _ = dbn.start(driven).step({"X": None, "Y": 1})  # slice 0 has a table of its own
    assert first.t == 1


def test_very_improbable_tables_are_taken_in_logarithms():
    weights = np.zeros((K, K, 1))
    weights[0] = 2000.0
    model = dbn.drive(HMM, "X", dbn.logistic("Z", weights))
    y = [0, 1, 2]
    posterior = dbn.smooth(model, {"X": [0.0, 1.0, 1.0], "Y": y, "Z": [0, 1, 0]})
    assert posterior.log_likelihood == pytest.approx(
        -2000.0 + dbn.log_likelihood(HMM, {"Y": y[:1], "Z": [0]}) + sum(
            np.log(dbn.prepare(HMM).tables["P_Y"][s, z]) for s, z in ((1, 1), (2, 0))), rel=1e-9
    )  # fmt: skip


@pytest.mark.parametrize("which", WHICH)
def test_learning_climbs_to_where_it_is_flat(which):
    model = by_hand(which)[0]
    x = np.random.default_rng(0).normal(size=(8, 6, D))
    y = dbn.sample(model, 1, {"X": x}, seed=2)["Y"][:, 0]
    start = dbn.fit(model, {"X": x, "Y": y}, steps=1).model
    found = dbn.fit(start, {"X": x, "Y": y}, steps=40, tolerance=0)
    assert (np.diff(found.log_likelihoods) > -1e-9).all()
    assert found.log_likelihoods[-1] > found.log_likelihoods[0]
    assert isinstance(found.model, dbn.Network)
    assert dbn.free_parameters(model) == {"moves": 18 + 2 + 9, "shows": 27 + 2 + 6, "both": 18 + 27 + 2,
                                          "neural": 10 + 45 + 2 + 9}[which]  # fmt: skip


def test_an_input_that_matters_is_found():
    rng = np.random.default_rng(1)
    weights = np.zeros((2, 2, 1))
    weights[1, :, 0] = 3.0
    show = [[0.9, 0.1], [0.1, 0.9]]
    chain = dbn.model([("Z", "Z", 1), ("Z", "Y", 0)], {"Z": {0: [0.5, 0.5], 1: np.full((2, 2), 0.5)}, "Y": show})
    x = rng.normal(size=(200, 40))
    y = dbn.sample(dbn.drive(chain, "X", dbn.logistic("Z", weights)), 1, {"X": x}, seed=3)["Y"][:, 0]
    begun = dbn.drive(chain, "X", dbn.logistic("Z", np.zeros((2, 2, 1))))
    learnt = dbn.fit(begun, {"X": x, "Y": y}, steps=60).model
    slopes = learnt.drives["Z"].scores.parameters["weights"][..., 0]
    np.testing.assert_allclose(slopes[1] - slopes[0], 3.0, atol=0.6)
    with_input, without = dbn.score(learnt, {"X": x, "Y": y}), dbn.score(dbn.fit(chain, {"Y": y}).model, {"Y": y})
    assert with_input.bic < without.bic - 100


# ------------------------------------------------------------------------------------------------- conditional networks
def field(order=1, driven=True):
    """A chain of labels with scores W x + c, and moves that depend on x too."""
    t = db.SliceTemplate("scores")
    t.define(t.variable("log_likelihood", K), t.parameter("W", (K, D)) @ t.input("x", D) + t.parameter("c", K))
    rng = np.random.default_rng(order)
    edges = [("Z", "Z", lag) for lag in range(1, order + 1)]
    tables = {s: rng.dirichlet(np.ones(K), K**s).T.reshape((K,) * (s + 1)) for s in range(order + 1)}
    model = dbn.emit(dbn.model(edges, {"Z": tables}), "X",
                     dbn.emission("Z", t, {"W": rng.normal(size=(K, D)), "c": rng.normal(size=K)}))  # fmt: skip
    if driven:
        model = dbn.drive(model, "X", dbn.logistic("Z", rng.normal(size=(*(K,) * (order + 1), D))))
    network = dbn.conditional(model)
    return network.retabled(lambda table, _: table.values * rng.uniform(0.5, 2.0, table.values.shape))


def weight(network, x, z):
    """The weight of a path of labels, by formulas of our own."""
    p, order = network.emissions["X"].parameters, network.order
    total = 0.0
    for t in range(len(z)):
        total += p["W"][z[t]] @ x[t] + p["c"][z[t]]
        above = tuple(z[t - lag] for lag in range(1, min(order, t) + 1))
        if t >= order and network.drives:
            drive = network.drives["Z"].scores.parameters
            total += drive["weights"][(z[t], *above)] @ x[t] + drive["bias"][(z[t], *above)]
        else:
            total += np.log(network.at("Z", t).values[(z[t], *above)])
    return total


CASES = [(1, True), (1, False), (2, True), (2, False)]


def log_probability(network, x, z):
    every = [weight(network, x, path) for path in itertools.product(range(K), repeat=len(x))]
    return weight(network, x, z) - np.logaddexp.reduce(every)


@pytest.mark.parametrize(("order", "driven"), CASES)
def test_a_field_equals_enumeration(order, driven):
    network, x = field(order, driven), VECTORS[:5]
    paths = list(itertools.product(range(K), repeat=5))
    logs = np.array([weight(network, x, path) for path in paths])
    p = np.exp(logs - np.logaddexp.reduce(logs))
    posterior = dbn.smooth(network, {"X": x})
    assert posterior.log_likelihood == pytest.approx(0.0, abs=1e-10), "nothing is said of the labels"
    for t in range(5):
        np.testing.assert_allclose(
            posterior["Z", t], [p[[z[t] == k for z in paths]].sum() for k in range(K)], atol=1e-10
        )
    z = [0, 2, 1, 1, 0]
    assert dbn.log_likelihood(network, {"X": x, "Z": z}) == pytest.approx(log_probability(network, x, z), abs=1e-10)
    batch = dbn.log_likelihood(network, {"X": np.stack([x, x]), "Z": np.array([z, z])}, lengths=[5, 3])
    np.testing.assert_allclose(batch, [log_probability(network, x[:n], z[:n]) for n in (5, 3)], atol=1e-10)
    best = dbn.viterbi(network, {"X": x})
    assert best["Z"].tolist() == list(paths[p.argmax()])
    assert best.log_probability == pytest.approx(np.log(p.max()), abs=1e-10)
    ranked = dbn.best_paths(network, 4, {"X": x})
    np.testing.assert_allclose(np.exp(ranked.log_probability), np.sort(p)[::-1][:4], atol=1e-10)


@pytest.mark.parametrize(("order", "driven"), CASES)
def test_gradients_of_a_field(order, driven):
    network = field(order, driven)
    x, z = VECTORS.reshape(3, 3, D)[:2], np.array([[0, 2, 1], [1, 1, -1]])
    seen = dbn.observe(network, {"X": x, "Z": z})

    def by_differences(at):
        now = unflat(network, at)
        hidden = np.logaddexp.reduce([log_probability(now, x[1], [1, 1, k]) for k in range(K)])
        return log_probability(now, x[0], z[0]) + hidden

    value, slope = uphill(dbn.prepare(network), seen)
    assert value == pytest.approx(by_differences(flat(network)), abs=1e-9)
    np.testing.assert_allclose(slope, approx_fprime(flat(network), by_differences, 1e-6), atol=1e-4)


def test_a_field_learns_and_its_prior_holds_it():
    truth = field(1, False)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 10, D))
    z = dbn.sample(truth, 1, {"X": x}, seed=4)["Z"][:, 0]
    begun = unflat(truth, np.zeros_like(flat(truth)))
    free, held = (dbn.fit(begun, {"X": x, "Z": z}, prior=prior) for prior in (0.01, 100.0))
    assert free.log_likelihoods[0] == pytest.approx(-600 * np.log(K))
    assert free.log_likelihoods[-1] > held.log_likelihoods[-1]
    assert free.log_likelihoods[-1] > dbn.score(truth, {"X": x, "Z": z}).log_likelihood
    assert np.abs(flat(held.model)).max() < np.abs(flat(free.model)).max()
    new = rng.normal(size=(200, 10, D))
    z = dbn.sample(truth, 1, {"X": new}, seed=5)["Z"][:, 0]
    hits = {name: (dbn.smooth(of, {"X": new})["Z"].argmax(-1) == z).mean() for name, of in
            {"learnt": free.model, "truth": truth, "begun": begun}.items()}  # fmt: skip
    assert hits["begun"] + 0.2 < hits["learnt"] > hits["truth"] - 0.02


def test_pictures():
    svg = str(render.svg(by_hand("moves")[0]))
    assert ">X<" in svg or "X" in svg
    assert "Conditional network of Z (3 states), X (2 numbers)" in repr(field())


X3 = VECTORS[:3]
DRIVEN = dbn.drive(HMM, "X", dbn.logistic("Z", MOVE))
MISTAKES = {
    "shape": (lambda: dbn.drive(HMM, "X", dbn.logistic("Z", MOVE[:, 0])), ModelError, r"must be \(3, 3\)"),
    "variable": (lambda: dbn.drive(HMM, "X", dbn.logistic("W", MOVE)), UnknownNameError, "'W'"),
    "name": (lambda: dbn.drive(HMM, "Y", dbn.logistic("Z", MOVE)), ModelError, "variable already"),
    "two sizes": (lambda: dbn.drive(DRIVEN, "X", dbn.logistic("Y", SHOW[..., :1])), ModelError, "2 numbers elsewhere"),
    "bias": (lambda: dbn.logistic("Z", MOVE, MOVE), DataError, r"\(K, \.\.\., d\)"),
    "nan": (lambda: dbn.logistic("Z", MOVE * np.nan), DataError, "finite"),
    "no input": (lambda: dbn.smooth(DRIVEN, {"Y": [0, 1, 2]}), DataError, "depends on 'X'; give it"),
    "missing": (lambda: dbn.smooth(DRIVEN, {"X": np.where(X3[2] == X3, np.nan, X3)}), DataError, "missing in slice 2"),
    "part": (lambda: dbn.smooth(DRIVEN, {"X": np.where(X3[2, 0] == X3, np.nan, X3)}), DataError, "lacks others"),
    "predict": (lambda: dbn.predict(DRIVEN, 2, {"X": X3}), DataError, "slices to come"),
    "predict online": (lambda: dbn.start(DRIVEN).step({"X": X3[0]})[0].predict(), DataError, "slices to come"),
    "to pgmpy": (lambda: dbn.to_pgmpy(DRIVEN), ModelError, "depends on inputs"),
    "unrolled": (lambda: dbn.unrolled(field(1, False), 3), ModelError, "conditional"),
    "nothing observed": (lambda: dbn.conditional(HMM), ModelError, "no observed vectors"),
    "no labels": (lambda: dbn.fit(field(), {"X": X3}), DataError, "no states are given"),
    "starts": (lambda: dbn.fit(field(), {"X": X3, "Z": [0, 1, 2]}, starts=3), DataError, "begins with the weights"),
    "a field ahead": (lambda: dbn.predict(field(), 2, {"X": X3}), ModelError, "give these to smooth"),
    "a field online": (lambda: dbn.start(field()), ModelError, "ask filter or smooth"),
    "a field explored": (lambda: render.html(field(), evidence={"X": X3}), DataError, "takes two"),
    "only hidden": (lambda: dbn.fit(field(), {"X": X3, "Z": [-1, -1, -1]}), DataError, "no states are given"),
    "no table": (lambda: dbn.drive(HMM, "X", dbn.gaussian("Z", MOVE[0], 1.0)), ModelError, "give a table"),
    "no emission": (lambda: dbn.emit(HMM, "X", dbn.logistic("Z", MOVE)), ModelError, "give an emission"),
    "another size": (lambda: dbn.emit(DRIVEN, "X", dbn.poisson("Z", [1.0, 2.0, 3.0])), ModelError, "2 numbers elsewhere"),
    "called t": (lambda: dbn.drive(HMM, "t", dbn.logistic("Z", MOVE)), ModelError, "tells the slice"),
    "one slice": (lambda: dbn.smooth(DRIVEN, {("X", 0): X3[0]}), DataError, "'X' is a vector; give all its slices"),
    "shape of a step": (lambda: dbn.start(DRIVEN).step({"X": X3}), DataError, r"give \(2,\) numbers"),
    "durations of it": (lambda: dbn.durations(dbn.drive(dbn.umbrella(), "X", dbn.logistic("Rain", MOVE[:2, :2])), "Rain",
                                              [[1.0], [1.0]]), ModelError, "give durations first"),
    "an M-step": (
        lambda: dbn.fit(dbn.conditional(dbn.emit(HMM, "X", dbn.gaussian("Z", MOVE[0], 1.0))), {"X": X3, "Z": [0, 1, 2]}),
        ModelError, "has an M-step|with an M-step",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    wrong, error, says = MISTAKES[mistake]
    with pytest.raises(error, match=says):
        wrong()

"""Networks of any order and explicit durations, against enumeration of all paths."""

import itertools
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pgmpy.inference import VariableElimination

from dbn_bptt import dbn, render
from dbn_bptt.errors import DataError, ModelError, UnknownNameError
from tests.dbn_models import STRUCTURES

CASES = {
    "order 2": ({"Z": 2, "Y": 3}, [("Z", "Z", 1), ("Z", "Z", 2), ("Z", "Y", 0)]),
    "order 3": ({"Z": 2}, [("Z", "Z", 3), ("Z", "Z", 1)]),
    "lag 2 alone": ({"Z": 3, "Y": 2}, [("Z", "Z", 2), ("Z", "Y", 0)]),
    "across": ({"A": 2, "B": 2}, [("A", "B", 2), ("B", "A", 1), ("A", "B", 0)]),
    "autoregressive": ({"Z": 2, "Y": 2}, [("Z", "Z", 1), ("Z", "Y", 0), ("Y", "Y", 2), ("Y", "Y", 1)]),
    "two parts": ({"A": 2, "B": 3, "I": 2}, [("A", "A", 2), ("B", "B", 1)]),
}


def made(sizes, edges, seed=0, zeros=0.0):
    """A network with random tables, and those by variable and slice as they were drawn."""
    rng, tables = np.random.default_rng(seed), {}
    for name, K in sizes.items():
        tables[name] = {}
        for start in sorted({0, *(lag for _, child, lag in edges if child == name)}):
            shape = [sizes[parent] for parent, child, lag in edges if child == name and lag <= start]
            columns = rng.dirichlet(np.ones(K), prod(shape)).T.reshape(K, *shape)
            columns = np.where(rng.random(columns.shape) < zeros, 0.0, columns)
            columns[0] += columns.sum(0) == 0
            tables[name][start] = columns / columns.sum(0)
    return dbn.model(edges, tables), tables


def paths(sizes, edges, tables, T, seen):
    """Every path and its probability, in which the evidence is what it is, one by one."""
    places = [(name, t) for t in range(T) for name in sizes]
    for states in itertools.product(*(range(sizes[name]) for name, _ in places)):
        path, p = dict(zip(places, states, strict=True)), 1.0
        for name, t in places:
            table = tables[name][max(start for start in tables[name] if start <= t)]
            above = [path[parent, t - lag] for parent, child, lag in edges if child == name and lag <= t]
            p *= table[(path[name, t], *above)]
            p *= name not in seen or seen[name][t] in (-1, path[name, t])
        yield path, p


def check(sizes, edges, T, seed, zeros=0.0, engine=None):
    network, tables = made(sizes, edges, seed, zeros)
    rng = np.random.default_rng(seed + 1)
    seen = {name: np.where(rng.random(T) < 0.4, rng.integers(0, K, T), -1) for name, K in sizes.items()}
    every = list(paths(sizes, edges, tables, T, seen))
    total = sum(p for _, p in every)
    if total == 0:
        return
    posterior = dbn.smooth(network, seen, engine=engine)
    assert posterior.log_likelihood == pytest.approx(np.log(total), abs=1e-10)
    for (name, K), t in itertools.product(sizes.items(), range(T)):
        expected = [sum(p for path, p in every if path[name, t] == k) / total for k in range(K)]
        np.testing.assert_allclose(posterior[name, t], expected, atol=1e-10)
    best = dbn.viterbi(network, seen, engine=engine)
    probability = {tuple(path.values()): p for path, p in every}
    assert best.log_probability == pytest.approx(np.log(max(probability.values())), abs=1e-10)
    found = tuple(int(best[name, t]) for t in range(T) for name in sizes)
    assert probability[found] == pytest.approx(max(probability.values()))
    counts = dbn.expected_counts(network, seen, engine=engine)
    for name, of in tables.items():
        for start, table in of.items():
            expected = np.zeros_like(table)
            ends = min([s for s in of if s > start], default=T)
            for (path, p), t in itertools.product(every, range(start, min(ends, T))):
                above = [path[parent, t - lag] for parent, child, lag in edges if child == name and lag <= t]
                expected[(path[name, t], *above)] += p / total
            np.testing.assert_allclose(counts[name, start], expected, atol=1e-10)


@pytest.mark.parametrize("T", [1, 2, 3, 5])
@pytest.mark.parametrize("case", CASES)
def test_every_verb_equals_enumeration(case, T):
    sizes, edges = CASES[case]
    check(sizes, edges, T if len(sizes) < 3 else min(T, 3), seed=T)


@pytest.mark.parametrize("engine", ["numpy", "native", "jax", "parallel"])
@pytest.mark.parametrize("case", ["order 2", "across"])
def test_engines(case, engine):
    package = {"native": "llvmlite", "numpy": "numpy"}.get(engine, "jax")
    pytest.importorskip(package, reason=f"this engine needs {package}")
    check(*CASES[case], 4, seed=3, engine=engine)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), zeros=st.sampled_from([0.0, 0.4]))
def test_random_networks_equal_enumeration(seed, zeros):
    rng = np.random.default_rng(seed)
    sizes = {name: int(rng.integers(2, 4)) for name in "AB"[: rng.integers(1, 3)]}
    edges = [(u, v, lag) for u in sizes for v in sizes for lag in (1, 2, 3) if rng.random() < 0.4]
    edges += [("A", "B", 0)] if len(sizes) > 1 and rng.random() < 0.5 else []
    check(sizes, edges, 5 if len(sizes) == 1 else 4, seed, zeros)


def test_filter_predict_and_steps():
    network, _ = made(*CASES["autoregressive"], seed=2)
    y = dbn.sample(network, 1, T=9, seed=1)["Y"][0]
    y[4] = -1
    filtered, state, total = dbn.filter(network, {"Y": y}), dbn.start(network), 0.0
    for t in range(9):
        expected = dbn.smooth(network, {"Y": y[: t + 1]})
        np.testing.assert_allclose(filtered["Z", t], expected["Z", t], atol=1e-12)
        state, posterior = state.step({"Y": y[t]})
        total += posterior.log_likelihood
        np.testing.assert_allclose(posterior["Z", t], expected["Z", t], atol=1e-12)
    assert total == pytest.approx(dbn.log_likelihood(network, {"Y": y}), rel=1e-12)
    longer = dbn.smooth(network, {"Y": [*y, -1, -1]})
    np.testing.assert_allclose(dbn.predict(network, 2, {"Y": y})["Y"], longer["Y"][-2:], atol=1e-12)
    np.testing.assert_allclose(state.predict(2)["Y"], longer["Y"][-2:], atol=1e-12)


@pytest.mark.parametrize("lag", [0, 1, 2, 4])
@pytest.mark.parametrize("case", ["order 2", "order 3", "two parts"])
def test_steps_with_a_lag(case, lag):
    sizes, edges = CASES[case]
    network, _ = made(sizes, edges, seed=5)
    name = list(sizes)[-1]
    y = dbn.sample(network, 1, T=8, seed=2)[name][0]
    state = dbn.start(network, lag=lag)
    for t in range(8):
        state, posterior = state.step({name: y[t]})
        expected = dbn.smooth(network, {name: y[: t + 1]})
        assert posterior.start == max(0, t - lag)
        for variable in sizes:
            np.testing.assert_allclose(
                posterior[variable, posterior.start], expected[variable, posterior.start], atol=1e-12
            )


def test_a_ragged_batch_and_draws():
    network, _ = made(*CASES["order 2"], seed=4)
    y, lengths = np.random.default_rng(0).integers(0, 3, (4, 6)), [6, 1, 2, 4]
    batch = dbn.smooth(network, {"Y": y}, lengths=lengths)
    for row, n, found in zip(y, lengths, batch["Z"], strict=True):
        np.testing.assert_allclose(found[:n], dbn.smooth(network, {"Y": row[:n]})["Z"], atol=1e-12)
    drawn = dbn.sample(network, 20_000, {"Y": y[0]}, seed=1)["Z"]
    np.testing.assert_allclose((drawn == 0).mean(0), batch["Z"][0][:, 0], atol=0.015)
    assert dbn.best_paths(network, 3, {"Y": y[0]}).log_probability[0] == pytest.approx(
        dbn.viterbi(network, {"Y": y[0]}).log_probability
    )


def test_learning_never_leads_down_and_knows_its_free_parameters():
    network, _ = made(*CASES["order 2"], seed=6)
    y = dbn.sample(network, 30, T=20, seed=3)["Y"]
    start, _ = made(*CASES["order 2"], seed=7)
    found = dbn.fit(start, {"Y": y}, steps=20, tolerance=0)
    assert (np.diff(found.log_likelihoods) > -1e-9).all()
    assert isinstance(found.model, dbn.Network)
    assert found.model.order == 2
    assert dbn.free_parameters(network) == 1 + 2 + 4 + 2 * 2


def test_pgmpy_finds_the_same_in_the_unrolled_network():
    network, _ = made(*CASES["across"], seed=8)
    whole = dbn.unrolled(network, 4)
    assert whole.check_model()
    found = VariableElimination(whole).query(["A_3"], {"B_0": 1, "B_3": 0}, show_progress=False)
    posterior = dbn.smooth(network, {("B", 0): 1, ("B", 3): 0})
    np.testing.assert_allclose(found.values, posterior["A", 3], atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_two_slices_are_the_case_of_order_1(structure):
    model = structure.make(1)
    network = dbn.prepare(model).network
    tables = {name: {start: table.values for start, table in of.items()} for name, of in network.tables.items()}
    parents = {name: network.later[name].parents for name in network.names}
    described = dbn.model([(u, v, lag) for v, of in parents.items() for u, lag in of], tables)
    seen = {next(iter(structure.sizes)): [0, 1, -1, 0]}
    a, b = dbn.smooth(model, seen), dbn.smooth(described, seen)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-12)
    assert dbn.smooth(dbn.to_pgmpy(described), seen).log_likelihood == pytest.approx(a.log_likelihood, abs=1e-12)


# ---------------------------------------------------------------------------------------------------------- durations
MOVES = np.array([[0.0, 0.3, 0.5], [0.6, 0.0, 0.5], [0.4, 0.7, 0.0]])
LASTS = np.array([[0.1, 0.4, 0.5], [0.0, 0.0, 1.0], [0.7, 0.2, 0.1]])
SHOWS = np.array([[0.8, 0.1, 0.3], [0.2, 0.9, 0.7]])


def semi_markov():
    edges = [("Z", "Z", 1), ("Z", "Y", 0)]
    return dbn.durations(dbn.model(edges, {"Z": {0: [0.5, 0.2, 0.3], 1: MOVES}, "Y": SHOWS}), "Z", LASTS)


def segmentations(T):
    """Every division of T slices into segments with states, and its probability; the last may go on after the end."""

    def grown(t, state, p):
        for k in range(3):
            q = p * (MOVES[k, state] if t else [0.5, 0.2, 0.3][k])
            for d in range(1, 4):
                r = q * LASTS[k, d - 1]
                if t + d >= T:
                    yield [k] * (T - t), r
                else:
                    yield from (([k] * d + rest, s) for rest, s in grown(t + d, k, r))

    return grown(0, None, 1.0)


@pytest.mark.parametrize("T", [1, 2, 4, 6])
def test_durations_equal_all_segmentations(T):
    y = np.random.default_rng(T).integers(0, 2, T)
    expected, total = np.zeros((T, 3)), 0.0
    for z, p in segmentations(T):
        p *= np.prod(SHOWS[y, z])
        expected[np.arange(T), z] += p
        total += p
    posterior = dbn.smooth(semi_markov(), {"Y": y})
    assert posterior.log_likelihood == pytest.approx(np.log(total), abs=1e-12)
    np.testing.assert_allclose(posterior["Z"], expected / total, atol=1e-12)


def test_durations_of_drawn_paths_and_what_learning_finds():
    model = semi_markov()
    drawn = dbn.sample(model, 40, T=200, seed=1)
    lengths = {k: [] for k in range(3)}
    for path in drawn["Z"]:
        inner = [(k, len(list(run))) for k, run in itertools.groupby(path)][1:-1]
        for k, n in inner:
            lengths[k].append(n)
    for k in range(3):
        np.testing.assert_allclose(np.bincount(lengths[k], minlength=4)[1:] / len(lengths[k]), LASTS[k], atol=0.05)
    start = dbn.durations(dbn.model([("Z", "Z", 1), ("Z", "Y", 0)], {"Z": {0: [0.5, 0.2, 0.3], 1: MOVES}, "Y": SHOWS}),
                          "Z", np.full((3, 3), 1 / 3))  # fmt: skip
    found = dbn.fit(start, {"Z": drawn["Z"][:, :], "Y": drawn["Y"]}, steps=30)
    learnt = found.model.get_cpds(("Z left", 1)).values[:, :, 0].T
    np.testing.assert_allclose(learnt, LASTS, atol=0.05)
    again = dbn.fit(start, {"Z": drawn["Z"], "Y": drawn["Y"]}, steps=30, seed=1)  # random, but what is impossible stays
    np.testing.assert_allclose(again.model.get_cpds(("Z left", 1)).values[:, :, 0].T, learnt, atol=1e-3)


def test_numbers_of_numpy_are_lags():
    tables = {"Z": {np.int64(0): FAIR, np.int64(1): MOVE}}
    assert dbn.smooth(dbn.model([("Z", "Z", np.int64(1))], tables), T=2)["Z"][1].round(2).tolist() == [0.55, 0.45]


def test_pictures():
    network, _ = made(*CASES["order 2"])
    svg = str(render.svg(dbn.emit(network, "X", dbn.poisson("Z", [1.0, 2.0])), T=4))
    assert ">X" in svg
    assert render.svg(network, T=4, evidence={"Y": [0, 1, -1, 2]})
    assert "Z 1 slice before" in str(render.html(network, evidence={"Y": [0, 1, -1, 2]}))
    assert dbn.interface(network) == ["Z"]
    assert "Z, Z of the slice before; its message has 4 numbers" in dbn.summary(network)


CHAIN = [("Z", "Z", 1)]
FAIR, MOVE = [0.5, 0.5], [[0.9, 0.2], [0.1, 0.8]]
MISTAKES = {
    "no tables": (lambda: dbn.model([], {}), ModelError, "no variables"),
    "pair": (lambda: dbn.model([("Z", "Z")], {"Z": FAIR}), ModelError, "no triple"),
    "unknown": (lambda: dbn.model([("Z", "X", 0)], {"Z": FAIR}), UnknownNameError, "unknown variable 'X'"),
    "back": (lambda: dbn.model([("Z", "Z", -1)], {"Z": FAIR}), ModelError, "lag -1"),
    "twice": (lambda: dbn.model(CHAIN * 2, {"Z": {0: FAIR, 1: MOVE}}), ModelError, "twice"),
    "cycle": (lambda: dbn.model([("A", "B", 0), ("B", "A", 0)], {"A": MOVE, "B": MOVE}), ModelError, "cycle"),
    "no later table": (lambda: dbn.model(CHAIN, {"Z": FAIR}), ModelError, r"give 'Z': \{0: \.\.\., 1: \.\.\.\}"),
    "no first table": (lambda: dbn.model(CHAIN, {"Z": {1: MOVE}}), ModelError, "one begins with 0"),
    "shape": (lambda: dbn.model(CHAIN, {"Z": {0: FAIR, 1: FAIR}}), ModelError, r"must be \(2, 2\)"),
    "columns": (lambda: dbn.model(CHAIN, {"Z": {0: FAIR, 1: np.transpose(MOVE)}}), ModelError, "transposed"),
    "words": (lambda: dbn.model(CHAIN, {"Z": "a"}), ModelError, "no array"),
    "names": (lambda: dbn.model([], {"Z": FAIR}, {"Z": ["a"]}), ModelError, "2 states"),
    "names of another": (lambda: dbn.model([], {"Z": FAIR}, {"X": ["a"]}), UnknownNameError, "'X'"),
    "to pgmpy": (lambda: dbn.to_pgmpy(made(*CASES["order 2"])[0]), ModelError, "2 slices back"),
    "tables": (lambda: dbn.model(CHAIN, [FAIR]), ModelError, "tables are a dict"),
    "number of names": (lambda: dbn.model([], {"Z": FAIR}, {"Z": 2}), ModelError, "list of names"),
    "lists of names": (lambda: dbn.model([], {"Z": FAIR}, {"Z": [["a"], ["b"]]}), ModelError, "words or numbers"),
    "too many names": (lambda: dbn.model([], {"Z": FAIR}, {"Z": ["a", "b", "b"]}), ModelError, "2 states"),
    "bif": (lambda: dbn.write_bif(made(*CASES["order 2"])[0], "x.bif"), ModelError, "reaches 2 slices back"),
    "durations of clusters": (
        lambda: dbn.durations(dbn.factored(dbn.umbrella(), [["Rain"]]), "Rain", [[1.0], [1.0]]), ModelError, "durations first"
    ),
    "durations of": (lambda: dbn.durations(dbn.umbrella(), "Sun", [[1.0]]), UnknownNameError, "'Sun'"),
    "parents": (lambda: dbn.durations(dbn.umbrella(), "Umbrella", [[1.0]]), ModelError, "other parents"),
    "shape of durations": (lambda: dbn.durations(dbn.umbrella(), "Rain", [[1.0]]), DataError, r"\(K, D\)"),
    "distribution": (lambda: dbn.durations(dbn.umbrella(), "Rain", [[1.0], [0.5]]), DataError, "distribution"),
    "name taken": (lambda: dbn.durations(dbn.umbrella(), "Rain", [[1.0], [1.0]], "Umbrella"), ModelError, "already"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    wrong, error, says = MISTAKES[mistake]
    with pytest.raises(error, match=says):
        wrong()

"""Factored messages against Boyen and Koller's recursion by hand, and against exact ones."""

import numpy as np
import pytest

from dbn_bptt import dbn
from dbn_bptt.errors import DataError, ModelError, UnknownNameError
from tests.dbn_models import STRUCTURES, build

COUPLED = build({"A": 2, "B": 3, "C": 2, "X": 2, "Y": 3, "W": 2},
                [("A", "A", 1), ("B", "B", 1), ("C", "C", 1), ("A", "B", 1), ("B", "A", 1), ("C", "B", 1), ("B", "C", 1),
                 ("A", "X", 0), ("B", "Y", 0), ("C", "W", 0)], seed=3)  # fmt: skip
GROUPS = [[["A"], ["B"], ["C"]], [["A", "B"], ["C"]], [["C"], ["A", "B"]]]
T = 12


def seen(seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: np.where(rng.random(T) < 0.2, -1, rng.integers(0, K, T)) for name, K in {"X": 2, "Y": 3, "W": 2}.items()
    }


def by_hand(groups, evidence):
    """The joint distribution of A, B and C in every slice, made a product of marginals after each; and log p."""
    tables, order = dbn.prepare(COUPLED).tables, "ABC"
    parents = {name: [p for p, _ in dbn.prepare(COUPLED).network.later[name].parents] for name in order}
    move = np.einsum(
        ",".join(name + "".join(p.lower() for p in parents[name]) for name in order) + "->ABCabc",
        *(tables[f"P_{name}"] for name in order),
    )
    alpha, total, found = np.einsum("A,B,C->ABC", *(tables[f"P0_{name}"] for name in order)), 0.0, []
    for t in range(T):
        p = np.einsum("ABCabc,abc->ABC", move, alpha) if t else alpha
        for child, axis in (("X", 0), ("Y", 1), ("W", 2)):
            if evidence[child][t] >= 0:
                shape = [1, 1, 1]
                shape[axis] = -1
                p = p * tables[f"P_{child}"][evidence[child][t]].reshape(shape)
        total += np.log(p.sum())
        p = p / p.sum()
        found.append([p.sum(tuple(k for k in range(3) if k != axis)) for axis in range(3)])
        alpha = np.ones((1, 1, 1))
        for group in groups:
            kept = [order.index(name) for name in group]
            alpha = alpha * p.sum(tuple(k for k in range(3) if k not in kept), keepdims=True)
    return total, {name: np.array([row[k] for row in found]) for k, name in enumerate(order)}


@pytest.mark.parametrize("groups", GROUPS, ids=str)
@pytest.mark.parametrize("logs", [False, True])
def test_the_recursion_by_hand(groups, logs):
    network, evidence = dbn.factored(COUPLED, groups), seen()
    if logs:  # a vector that is too improbable for a number leads to logarithms
        network = dbn.emit(network, "V", dbn.gaussian("A", [0.0, 0.0], 1e-4))
        evidence = {**evidence, "V": np.where(np.arange(T) == 5, 1.0, np.nan)}
    total, expected = by_hand(groups, evidence)
    posterior = dbn.filter(network, evidence)
    more = -0.5 * (1 / 1e-4 + np.log(2 * np.pi * 1e-4)) if logs else 0.0
    assert posterior.log_likelihood == pytest.approx(total + more, rel=1e-12)
    assert dbn.log_likelihood(network, evidence) == pytest.approx(total + more, rel=1e-12)
    for name, rows in expected.items():
        np.testing.assert_allclose(posterior[name], rows, atol=1e-12)
    state = dbn.start(network)
    for t in range(T):
        state, one = state.step({name: a[t] for name, a in evidence.items()})
        np.testing.assert_allclose(one["B", t], expected["B"][t], atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_one_cluster_is_exact(structure):
    model = structure.make(2)
    network = dbn.factored(model, [dbn.interface(model)])
    y = {next(iter(structure.sizes)): [0, 1, -1, 1]}
    exact, found = dbn.filter(model, y), dbn.filter(network, y)
    for name in structure.sizes:
        np.testing.assert_allclose(found[name], exact[name], atol=1e-12)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, abs=1e-12)
    ahead, expected = dbn.predict(network, 2, y), dbn.predict(model, 2, y)
    for name in structure.sizes:
        np.testing.assert_allclose(ahead[name], expected[name], atol=1e-12)


def test_a_batch_and_order_two():
    edges = [("A", "A", 1), ("A", "A", 2), ("B", "A", 1), ("B", "B", 1), ("A", "B", 1), ("A", "X", 0)]
    rng = np.random.default_rng(0)
    tables = {
        "A": {0: [0.5, 0.5], 1: rng.dirichlet([1, 1], 4).T.reshape(2, 2, 2), 2: rng.dirichlet([1, 1], 8).T.reshape(2, 2, 2, 2)},
        "B": {0: [0.5, 0.5], 1: rng.dirichlet([1, 1], 4).T.reshape(2, 2, 2)}, "X": [[0.8, 0.3], [0.2, 0.7]],
    }  # fmt: skip
    model = dbn.model(edges, tables)
    apart, whole = dbn.factored(model, [["A"], ["B"]]), dbn.factored(model, [["A", "B"]])
    x = rng.integers(0, 2, (3, 9))
    exact, same, near = (dbn.filter(of, {"X": x}, lengths=[9, 4, 1]) for of in (model, whole, apart))
    np.testing.assert_allclose(same["B"], exact["B"], atol=1e-12)
    assert 1e-6 < np.abs(near["B"] - exact["B"]).max() < 0.2


def test_the_error_does_not_grow():
    """Chains that are weakly coupled: the error of a million numbers saved, over 3,000 slices."""
    rng = np.random.default_rng(1)
    n = 6
    names = [f"Z{k}" for k in range(n)]
    edges = [(name, name, 1) for name in names] + [(names[k - 1], names[k], 1) for k in range(n)]
    edges += [(name, f"Y{k}", 0) for k, name in enumerate(names)]
    tables = {}
    for k, name in enumerate(names):
        stay = np.array([[[0.9, 0.8], [0.3, 0.2]], [[0.1, 0.2], [0.7, 0.8]]])
        tables[name] = {0: [0.5, 0.5], 1: stay}
        tables[f"Y{k}"] = [[0.8, 0.2], [0.2, 0.8]]
    model = dbn.model(edges, tables)
    y = dbn.sample(model, 1, T=3000, seed=rng)
    y = {f"Y{k}": y[f"Y{k}"][0] for k in range(n)}
    exact, near = dbn.filter(model, y), dbn.filter(dbn.factored(model, [[name] for name in names]), y)
    errors = np.max([np.abs(near[name] - exact[name]).max(-1) for name in names], 0)
    assert errors[-1000:].max() <= 1.5 * errors[:1000].max()
    assert 1e-6 < errors.max() < 0.03
    assert near.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-4)


def test_what_no_table_holds_is_filtered():
    """Thirty coupled chains, whose interface has 2^30 states."""
    n = 30
    names = [f"Z{k}" for k in range(n)]
    move = [[[0.9, 0.8], [0.3, 0.2]], [[0.1, 0.2], [0.7, 0.8]]]
    edges = [(name, name, 1) for name in names] + [(names[k - 1], names[k], 1) for k in range(n)]
    edges += [(name, f"Y{k}", 0) for k, name in enumerate(names)]
    tables = {name: {0: [0.5, 0.5], 1: move} for name in names} | {f"Y{k}": [[0.8, 0.2], [0.2, 0.8]] for k in range(n)}
    model = dbn.model(edges, tables)
    y = {f"Y{k}": np.random.default_rng(k).integers(0, 2, 5) for k in range(n)}
    with pytest.raises(ModelError, match="factored"):
        dbn.filter(model, y)
    found = dbn.filter(dbn.factored(model, [[name] for name in names]), y)
    np.testing.assert_allclose(found["Z7"].sum(-1), 1.0)


NETWORK = dbn.factored(COUPLED, GROUPS[0])
MISTAKES = {
    "unknown": (lambda: dbn.factored(COUPLED, [["A", "D"]]), UnknownNameError, "'D'"),
    "words": (lambda: dbn.factored(COUPLED, ["A", "B", "C"]), ModelError, "lists of variables"),
    "no child": (lambda: dbn.factored(COUPLED, [["A", "X"]]), ModelError, "'X' has no children"),
    "twice": (lambda: dbn.factored(COUPLED, [["A"], ["A"]]), ModelError, "two clusters"),
    "left": (lambda: dbn.factored(COUPLED, [["A"], ["B"]]), ModelError, "'C' is in no cluster"),
    "smooth": (lambda: dbn.smooth(NETWORK, seen()), ModelError, "approximation for filter"),
    "viterbi": (lambda: dbn.viterbi(NETWORK, seen()), ModelError, "approximation for filter"),
    "fit": (lambda: dbn.fit(NETWORK, seen()), ModelError, "approximation for filter"),
    "lag": (lambda: dbn.start(NETWORK, lag=2), DataError, "lag=0"),
    "predict": (lambda: dbn.start(NETWORK).step({})[0].predict(), DataError, "nothing seen"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    wrong, error, says = MISTAKES[mistake]
    with pytest.raises(error, match=says):
        wrong()


def test_it_says_that_it_is_approximate():
    assert repr(NETWORK).endswith("; approximate, messages about A | B | C")
    assert "A, B, C; approximated by messages of 2 and 3 and 2 numbers" in dbn.summary(NETWORK)

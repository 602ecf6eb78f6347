"""The most probable paths against enumeration of all."""

import itertools
import tracemalloc

import numpy as np
import pytest

from dbn_bptt import dbn
from dbn_bptt.errors import DataError
from tests.dbn_models import build

T = 3


def by_hand(model, names, sizes, given):
    """All paths with their log-probabilities, by `log_likelihood` of each as evidence."""
    free = [(name, t) for name in names for t in range(T) if given.get(name, [-1] * T)[t] < 0]
    found = {}
    for states in itertools.product(*(range(sizes[name]) for name, _ in free)):
        path = {name: np.array(given.get(name, [-1] * T)) for name in names}
        for (name, t), state in zip(free, states, strict=True):
            path[name][t] = state
        try:
            found[tuple(np.concatenate([path[name] for name in names]))] = dbn.log_likelihood(model, path)
        except DataError:  # impossible
            continue
    return dict(sorted(found.items(), key=lambda item: -item[1]))


CASES = {
    "HMM": ({"Z": 2, "Y": 3}, [("Z", "Y", 0), ("Z", "Z", 1)], {"Y": [0, 2, 1]}),
    "a hole": ({"Z": 2, "Y": 2}, [("Z", "Y", 0), ("Z", "Z", 1)], {"Y": [0, -1, 1]}),
    "two chains": (
        {"A": 2, "B": 2, "Y": 2},
        [("A", "A", 1), ("B", "B", 1), ("A", "Y", 0), ("B", "Y", 0)],
        {"Y": [0, 1, 1]},
    ),
    "speaking symbols": ({"Z": 2, "Y": 2}, [("Z", "Z", 1), ("Z", "Y", 0), ("Y", "Y", 1)], {"Y": [1, 0, 0]}),
}


@pytest.mark.parametrize("zeros", [0.0, 0.4])
@pytest.mark.parametrize(("sizes", "edges", "given"), CASES.values(), ids=CASES)
def test_they_are_those_of_enumeration(sizes, edges, given, zeros):
    model = build(sizes, edges, seed=3, zeros=zeros)
    right = by_hand(model, list(sizes), sizes, given)
    if not right:
        given = {"Y": [-1] * T}
        right = by_hand(model, list(sizes), sizes, given)
    found = dbn.best_paths(model, 12, given)
    n = min(12, len(right))
    assert len(found.log_probability) == n
    assert found.log_probability == pytest.approx(list(right.values())[:n], abs=1e-10)
    paths = [tuple(np.concatenate([found[name][i] for name in sizes])) for i in range(n)]
    assert len(set(paths)) == n
    for path, log_probability in zip(paths, found.log_probability, strict=True):
        assert right[path] == pytest.approx(log_probability, abs=1e-10)


def test_the_first_is_viterbis():
    given = {"Umbrella": [1, 1, 0, 1, 1, 0, 0]}
    found, first = dbn.best_paths(dbn.umbrella(), 4, given), dbn.viterbi(dbn.umbrella(), given)
    assert np.array_equal(found["Rain"][0], first["Rain"])
    assert found.log_probability[0] == pytest.approx(first.log_probability)
    assert (np.diff(found.log_probability) <= 1e-12).all()


def test_vectors_and_soft_evidence_count():
    model = dbn.emit(dbn.umbrella(), "Level", dbn.gaussian("Rain", [0.0, 3.0], 1.0))
    seen, soft = (
        {"Level": [2.9, 0.2, 1.6], "Umbrella": [1, 0, 1]},
        {"Rain": np.array([[1.0, 3.0], [2.0, 0.5], [1.0, 1.0]])},
    )
    found = dbn.best_paths(model, 8, seen, soft=soft)
    for path, log_probability in zip(found["Rain"], found.log_probability, strict=True):
        assert dbn.log_likelihood(model, seen | {"Rain": path}, soft=soft) == pytest.approx(log_probability)
    assert len(found.log_probability) == 8


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match="one sequence"):
        dbn.best_paths(dbn.umbrella(), 2, {"Umbrella": [[1, 0], [0, 1]]})
    with pytest.raises(DataError, match="k is 0"):
        dbn.best_paths(dbn.umbrella(), 0, {"Umbrella": [1, 0]})


def test_many_states_take_no_table_for_each_slice():
    K, T = 80, 200
    model = dbn.prepare(build({"Z": K, "Y": 3}, [("Z", "Z", 1), ("Z", "Y", 0)], seed=2), "numpy")
    y = np.random.default_rng(0).integers(0, 3, T)
    dbn.viterbi(model, {"Y": y[:9]})
    tracemalloc.start()
    found = dbn.viterbi(model, {"Y": y})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < T * K * K * 8 / 3
    pi, A, B = (np.log(model.network.at(*node).values) for node in (("Z", 0), ("Z", 1), ("Y", 0)))
    best, back = pi + B[y[0]], []
    for seen in y[1:]:
        back.append((A + best).argmax(1))
        best = (A + best).max(1) + B[seen]
    path = [int(best.argmax())]
    for places in reversed(back):
        path.append(int(places[path[-1]]))
    assert found["Z"].tolist() == path[::-1]

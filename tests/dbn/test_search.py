"""Structures that a search finds, against counts by hand, pgmpy's scores, and all structures there are."""

from collections import Counter
from itertools import chain, combinations, product
from math import log

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from pgmpy.causal_discovery import HillClimbSearch
from pgmpy.structure_score import BIC, LogLikelihood

from dbn_bptt import dbn
from dbn_bptt.dbn.learning.complete import complete
from dbn_bptt.dbn.learning.structures import costs
from dbn_bptt.errors import DataError, UnknownNameError
from tests.dbn_models import STRUCTURES, build

RNG = np.random.default_rng(0)


def drawn(sizes, edges, B, T, seed=0):
    paths = dbn.sample(build(sizes, edges, seed=seed), B, T=T, seed=seed)
    return {name: paths[name] for name in sizes}


def cost_by_hand(sequences, sizes, child, parents, penalty):
    """What a family costs, by a count of every slice by itself; parents are (name, lag)."""
    inside = [(name, lag) for name, lag in parents if not lag]
    total = 0.0
    for slices, of in [(0, inside), (1, parents)] if len(inside) < len(parents) else [(None, parents)]:
        joint, given = Counter(), Counter()
        for one in sequences:
            for t in range(len(one[child])):
                if slices is None or (t > 0) == slices:
                    key = tuple(int(one[name][t - lag]) for name, lag in of)
                    joint[key, int(one[child][t])] += 1
                    given[key] += 1
        total -= 2 * sum(n * log(n / given[key]) for (key, _), n in joint.items())
        total += penalty * (sizes[child] - 1) * int(np.prod([sizes[name] for name, _ in of], dtype=int))
    return total


def subsets(items):
    return chain.from_iterable(combinations(items, k) for k in range(len(items) + 1))


def all_costs(sequences, sizes, penalty):
    """By variable, what it costs given any parents."""
    return {
        child: {
            parents: cost_by_hand(sequences, sizes, child, parents, penalty)
            for parents in subsets([(n, lag) for n in sizes for lag in (0, 1) if lag or n != child])
        }
        for child in sizes
    }


def best_of_all(families):
    """The least that any structure costs."""
    best = np.inf
    names = list(families)
    least = {}  # by the parents within a slice, those of the slice before free
    for child, of in families.items():
        for parents, cost in of.items():
            key = child, frozenset(n for n, lag in parents if not lag)
            least[key] = min(cost, least.get(key, np.inf))
    for inside in product(*([own for c, own in least if c == name] for name in names)):
        graph = nx.DiGraph([(p, c) for c, own in zip(names, inside, strict=True) for p in own])
        if nx.is_directed_acyclic_graph(graph):
            best = min(best, sum(least[key] for key in zip(names, inside, strict=True)))
    return best


RAGGED = [
    {n: a[b, : 7 + 5 * b] for n, a in drawn({"A": 2, "B": 3}, [("A", "A", 1), ("A", "B", 0)], 4, 30).items()}
    for b in range(4)
]
PADDED = {
    name: np.array([np.pad(one[name], (0, 22 - len(one[name])), constant_values=-1) for one in RAGGED]) for name in "AB"
}
ROWS = pd.concat([pd.DataFrame(one).assign(sequence=f"no {b}") for b, one in enumerate(RAGGED)])
LETTERS = ["x", "y", "z"]
FORMS = {  # the same data
    "a list of dicts": (RAGGED, {}),
    "a ragged batch": (PADDED, {"lengths": [7, 12, 17, 22]}),
    "a table": (ROWS, {}),
    "a table of floats": (ROWS.astype({"A": float, "B": float}), {}),
    "a table with the sequences in its index": (ROWS.set_index("sequence"), {}),
    "words": (ROWS.assign(B=ROWS["B"].map(dict(enumerate(LETTERS)))), {}),
    "categories": (ROWS.assign(B=pd.Categorical.from_codes(ROWS["B"], LETTERS)), {}),
    "Booleans": (ROWS.assign(A=ROWS["A"] == 1), {}),
    "states by name": (ROWS, {"states": {"B": (0, 1, 2)}}),
    "states by number": (ROWS, {"states": {"A": 2, "B": 3}}),
}  # fmt: skip


@pytest.mark.parametrize(("data", "options"), FORMS.values(), ids=FORMS)
def test_every_form_of_evidence_is_the_same_data(data, options):
    expected = dbn.search(RAGGED)
    found = dbn.search(data, **options)
    assert found.edges == expected.edges
    assert (found.bic, found.moves) == (expected.bic, expected.moves)
    lengths = options.get("lengths")
    assert dbn.score(found.model, data, lengths=lengths).bic == pytest.approx(found.bic, rel=1e-12)


def test_single_sequences_pairs_and_observations():
    one = {name: a[3] for name, a in PADDED.items()}
    expected = dbn.search(one)
    for data in (
        pd.DataFrame(one),
        {(name, t): int(a[t]) for name, a in one.items() for t in range(22)},
        pd.DataFrame({(name, t): [a[t]] for name, a in one.items() for t in range(22)}),
        dbn.observe(expected.model, one),
    ):
        assert dbn.search(data).moves == expected.moves


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_the_score_is_that_of_the_model(structure, criterion):
    data = drawn(structure.sizes, structure.edges, 5, 40)
    found = dbn.search(data, states=structure.sizes, criterion=criterion)
    score = dbn.score(found.model, data)
    assert found.score.log_likelihood == pytest.approx(score.log_likelihood, rel=1e-9)
    assert (found.score.parameters, found.score.slices) == (score.parameters, score.slices)
    sequences = [{name: a[b] for name, a in data.items()} for b in range(5)]
    parents = {child: [(u[0], v[1]) for u, v in found.edges if v[0] == child] for child in data}
    penalty = log(200) if criterion == "bic" else 2
    by_hand = sum(cost_by_hand(sequences, structure.sizes, child, own, penalty) for child, own in parents.items())
    assert getattr(found.score, criterion) == pytest.approx(by_hand, rel=1e-9)
    assert found.model.check_model()
    nothing = sum(cost_by_hand(sequences, structure.sizes, child, [], penalty) for child in data)
    assert nothing - sum(move.gain for move in found.moves) == pytest.approx(by_hand, rel=1e-9)


def test_families_cost_what_pgmpy_says():
    data = drawn({"A": 2, "B": 3, "C": 2}, [("A", "A", 1), ("A", "B", 0), ("B", "C", 1)], 6, 50)
    flat = {name: a.reshape(6, 50) for name, a in data.items()}
    pairs = pd.DataFrame({f"{n}_{k}": a[:, k : 49 + k].ravel() for n, a in flat.items() for k in (0, 1)})
    starts = pd.DataFrame({n: a[:, 0] for n, a in flat.items()})
    whole = pd.DataFrame({n: a.ravel() for n, a in flat.items()})
    ours = costs(complete(data, None, None), log(300))
    for inside in subsets(["A", "C"]):
        parents = frozenset((name, 0) for name in inside)
        assert ours("B", parents) == pytest.approx(-2 * BIC(whole).local_score("B", inside), rel=1e-9)
        for before in [b for b in subsets("ABC") if b]:
            given = (*(f"{name}_1" for name in inside), *(f"{name}_0" for name in before))
            free = 2 * 2 ** len(inside) * (1 + np.prod([{"B": 3}.get(name, 2) for name in before]))
            log_p = LogLikelihood(pairs).local_score("B_1", given) + LogLikelihood(starts).local_score("B", inside)
            found = ours("B", parents | {(name, 1) for name in before})
            assert found == pytest.approx(log(300) * free - 2 * log_p, rel=1e-9)


@pytest.mark.parametrize(("names", "cases", "often"), [("AB", 40, 39), ("ABC", 16, 15)], ids=["two variables", "three"])
def test_a_greedy_search_mostly_finds_the_best_of_all_structures(names, cases, often):
    reached = 0
    for case in range(cases):
        rng = np.random.default_rng(case)
        sizes = {name: int(rng.integers(2, 4)) for name in names}
        edges = [(a, b, 1) for a in names for b in names if rng.random() < 0.4]
        edges += [(a, b, 0) for a, b in combinations(names, 2) if rng.random() < 0.5]
        data = drawn(sizes, edges, 3, 60, seed=case)
        sequences = [{name: a[b] for name, a in data.items()} for b in range(3)]
        best = best_of_all(all_costs(sequences, sizes, log(180)))
        found = dbn.search(data, states=sizes).bic
        assert found > best - 1e-6
        reached += found < best + 1e-6
    assert reached >= often


def test_without_time_it_is_mostly_as_good_as_pgmpy():
    names, as_good = "ABCDE", 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        edges = [(a, b, 0) for a, b in combinations(names, 2) if rng.random() < 0.5]
        data = drawn({name: int(rng.integers(2, 4)) for name in names}, edges, 500, 1, seed)
        frame = pd.DataFrame({name: a[:, 0] for name, a in data.items()})
        theirs = HillClimbSearch("bic-d", return_type="dag", show_progress=False).fit(frame).causal_graph_
        found, judge = dbn.search(data), BIC(frame)
        parents = {name: tuple(u[0] for u, v in found.edges if v == (name, 0)) for name in names}
        assert found.bic == pytest.approx(-2 * sum(judge.local_score(n, own) for n, own in parents.items()), rel=1e-9)
        as_good += found.bic <= -2 * judge.score(theirs) + 1e-6
    assert as_good >= 7


def equivalent(a, b):
    """Whether two networks say the same: the same neighbours, the same colliders (Verma and Pearl 1990), unrolled."""
    ways = [dbn.unrolled(model, 4) for model in (a, b)]
    skeletons = [{frozenset(edge) for edge in way.edges()} for way in ways]
    colliders = [
        {
            (v, frozenset((p, q)))
            for v in way
            for p, q in combinations(way.predecessors(v), 2)
            if frozenset((p, q)) not in s
        }
        for way, s in zip(ways, skeletons, strict=True)
    ]
    return skeletons[0] == skeletons[1] and colliders[0] == colliders[1]


TRUE = {
    "a chain and its sensor": ({"Z": 3, "Y": 4}, [("Z", "Z", 1), ("Z", "Y", 0)]),
    "four": (
        {"A": 2, "B": 3, "C": 2, "D": 2},
        [("A", "A", 1), ("A", "B", 0), ("B", "B", 1), ("B", "C", 1), ("C", "C", 1), ("C", "D", 0)],
    ),
    "five": (
        {"A": 2, "B": 2, "C": 3, "D": 2, "E": 2},
        [("A", "A", 1), ("B", "B", 1), ("A", "B", 1), ("B", "A", 1), ("A", "C", 0), ("B", "D", 0), ("D", "E", 1), ("E", "E", 1)],
    ),
    "no edges": ({"A": 2, "B": 3, "C": 2}, []),
}  # fmt: skip


@pytest.mark.parametrize(("sizes", "edges"), TRUE.values(), ids=TRUE)
@pytest.mark.parametrize("seed", [3, 4])
def test_a_known_network_is_found_again(sizes, edges, seed):
    true = build(sizes, edges, seed=seed)
    data = dict(dbn.sample(true, 100, T=100, seed=1).indices)
    found = dbn.search(data)
    assert {e for e in found.edges if e[1][1]} == {((a, 0), (b, 1)) for a, b, lag in edges if lag}
    assert equivalent(found.model, true)


def test_moves_keep_to_what_is_asked():
    data = drawn(
        {"A": 2, "B": 2, "C": 2}, [("A", "B", 0), ("B", "C", 0), ("A", "C", 0), ("C", "A", 1), ("A", "A", 1)], 20, 50, 3
    )
    free = dbn.search(data)
    assert max(Counter(v[0] for _, v in free.edges).values()) > 1
    assert max(Counter(v[0] for _, v in dbn.search(data, most_parents=1).edges).values()) == 1
    inside = [((a, 0), (b, 0)) for a in "ABC" for b in "ABC"]
    assert all(v[1] == 1 for _, v in dbn.search(data, forbidden=inside).edges)
    without = dbn.search(data, forbidden=[free.edges[0]])
    assert free.edges[0] not in without.edges
    assert without.bic >= free.bic


def test_what_never_occurs_has_uniform_columns():
    data = ROWS.assign(A=pd.Categorical.from_codes(ROWS["A"], ["off", "on", "broken"]))
    found = dbn.search(data, criterion="aic")
    columns = [cpd.get_values() for cpd in found.model.cpds if any(v[0] == "A" for v in cpd.variables[1:])]
    assert columns
    assert all(np.allclose(values[:, -1], 1 / len(values)) for values in columns)
    smoothed = dbn.fit(found.model, data, prior=1.0, steps=1).model
    assert all((cpd.get_values() > 0).all() for cpd in smoothed.cpds)


def test_sequences_of_one_slice_say_nothing_of_time():
    data = {"A": [[0], [1], [1], [0]] * 20, "B": [[0], [1], [1], [1]] * 20}
    assert {v[1] for _, v in dbn.search(data).edges} == {0}


def test_a_table_too_large_to_pay_is_not_made():
    data = {name: RNG.permutation(2000) for name in "ABCD"}
    assert dbn.search(data).edges == ()


def test_what_it_found_is_printed():
    found = dbn.search({"A": [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1] * 3})
    assert str(found).splitlines() == [
        f"Search: BIC {found.bic + found.moves[0].gain:.6g} -> {found.bic:.6g} in 1 moves, 1 edges",
        "  (A, 0) -> (A, 1)",
    ]
    assert str(found.moves[0]) == f"add (A, 0) -> (A, 1): {found.moves[0].gain:.6g}"


REFUSED = {
    "a missing state": ({"A": [0, 1, None]}, {}, "'A' is missing in slice 2; .*viterbi"),
    "a missing state in a sequence": (ROWS.assign(A=[np.nan, *ROWS["A"][1:]]), {}, "slice 0 of sequence 'no 0'"),
    "a variable that is nowhere": ({"A": [0, 1]}, {"states": {"A": 2, "B": 2}}, "'B' is missing in slice 0"),
    "a variable without a state": ({"A": [0, 1], "B": [None, -1]}, {}, "no state of 'B' is known"),
    "measurements": ({"A": [0.5, 0.7]}, {}, "'A' has 0.[57], which is a number and no state; .*pandas.cut"),
    "no rectangle": ({"A": [[0, 1], [1]]}, {}, "'A' are not rectangular"),
    "a state that was not given": ({"A": [0, 1, 2]}, {"states": {"A": 2}}, "evidence of 'A' is 2"),
    "states twice": ({"A": [0, 1]}, {"states": {"A": ["x", "x"]}}, "states of 'A' are"),
    "no variables": ({}, {}, "no variables"),
    "no evidence": (None, {}, "give a DataFrame"),
    "states of what was read": (dbn.observe(dbn.umbrella(), {"Rain": [0], "Umbrella": [1]}), {"states": {"Rain": 2}}, "leave out states"),
    "another criterion": ({"A": [0, 1]}, {"criterion": "k2"}, "give 'bic' or 'aic'"),
    "no parents": ({"A": [0, 1]}, {"most_parents": 0}, "most_parents=0"),
    "no edge": ({"A": [0, 1]}, {"forbidden": [("A", "B")]}, "is no edge; give"),
    "an edge back": ({"A": [0, 1]}, {"forbidden": [(("A", 1), ("A", 0))]}, "is no edge; give"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_searched_is_refused(data, options, message):
    with pytest.raises(DataError, match=message):
        dbn.search(data, **options)


def test_a_forbidden_edge_of_nobody_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'Rain'"):
        dbn.search({"Rain": [0, 1]}, forbidden=[(("Rian", 0), ("Rain", 1))])


def test_a_variable_with_one_state_is_refused():
    with pytest.raises(DataError, match="'Alarm' is 'on' wherever it is known"):
        dbn.search({"Alarm": ["on", None] * 10, "B": [0, 1] * 10})

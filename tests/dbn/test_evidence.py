"""Evidence in all its forms, and the errors of models and evidence."""

import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

import dbn_bptt as db
from dbn_bptt import dbn
from tests.dbn_models import build

HMM = build({"Z": 2, "Y": 3}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=3)


def weather():
    """An HMM with named states."""
    model = DynamicBayesianNetwork([(("Z", 0), ("Y", 0)), (("Z", 0), ("Z", 1))])
    names = {("Z", 0): ["dry", "wet"], ("Z", 1): ["dry", "wet"], ("Y", 0): ["none", "drops", "rain"]}
    model.add_cpds(
        TabularCPD(("Z", 0), 2, [[0.6], [0.4]], state_names={k: names[k] for k in [("Z", 0)]}),
        TabularCPD(("Z", 1), 2, [[0.7, 0.2], [0.3, 0.8]], [("Z", 0)], [2], {k: names[k] for k in [("Z", 0), ("Z", 1)]}),
        TabularCPD(
            ("Y", 0),
            3,
            [[0.7, 0.1], [0.2, 0.3], [0.1, 0.6]],
            [("Z", 0)],
            [2],
            {k: names[k] for k in [("Y", 0), ("Z", 0)]},
        ),
    )
    return model


ONE = np.array([0, -1, 2, 1])
FORMS = {
    "indices": {"Y": ONE},
    "a list": {"Y": [0, -1, 2, 1]},
    "floats with NaN": {"Y": [0.0, np.nan, 2.0, 1.0]},
    "pairs": {("Y", 0): 0, ("Y", 2): 2, ("Y", 3): 1},
    "nodes of the model": {next(n for n in HMM.nodes() if n == ("Y", 0)): 0, ("Y", 2): 2, ("Y", 3): 1},
    "a frame": pd.DataFrame({"Y": [0, None, 2, 1]}),
    "a frame of pairs": pd.DataFrame([[0, 2, 1]], columns=pd.Index([("Y", 0), ("Y", 2), ("Y", 3)], tupleize_cols=False)),
    "a frame with a hierarchy": pd.DataFrame([[0, 2, 1]], columns=[("Y", 0), ("Y", 2), ("Y", 3)]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_evidence_says_the_same(form):
    expected = dbn.smooth(HMM, {"Y": ONE})["Z"]
    found = dbn.smooth(HMM, FORMS[form])["Z"]
    np.testing.assert_allclose(found[0] if found.ndim == 3 else found, expected, atol=1e-14)


@pytest.mark.parametrize(
    "evidence",
    [
        {"Y": ["none", None, "rain"]},
        {"Y": [0, -1, 2]},
        {"Y": np.array(["none", np.nan, "rain"], object)},
        {("Y", 0): "none", ("Y", 2): "rain"},
    ],
)
def test_states_go_by_name_or_by_index(evidence):
    posterior = dbn.smooth(weather(), evidence)
    np.testing.assert_allclose(posterior["Z"], dbn.smooth(weather(), {"Y": [0, -1, 2]})["Z"])
    assert posterior.states["Z"] == ("dry", "wet")
    assert posterior.most_probable("Z").tolist() == ["dry", "wet", "wet"]
    assert dbn.viterbi(weather(), evidence).named("Z").tolist() == ["dry", "dry", "wet"]


def test_numbers_that_are_names_are_names():
    model = DynamicBayesianNetwork([(("Y", 0), ("Y", 1))])
    names = {("Y", 0): [1, 2], ("Y", 1): [1, 2]}
    model.add_cpds(
        TabularCPD(("Y", 0), 2, [[0.9], [0.1]], state_names={("Y", 0): [1, 2]}),
        TabularCPD(("Y", 1), 2, [[0.9, 0.2], [0.1, 0.8]], [("Y", 0)], [2], names),
    )
    assert dbn.log_likelihood(model, {"Y": [1]}) == pytest.approx(np.log(0.9))
    with pytest.raises(db.DataError, match=r"evidence of 'Y' is 0 at index 0; its states are 1, 2"):
        dbn.smooth(model, {"Y": [0]})


def test_states_named_in_another_order_by_another_cpd():
    model, other = weather(), weather()
    cpd = other.get_cpds(("Y", 0))
    turned = TabularCPD(
        ("Y", 0),
        3,
        cpd.values[:, ::-1],
        [("Z", 0)],
        [2],
        {("Y", 0): ["none", "drops", "rain"], ("Z", 0): ["wet", "dry"]},
    )
    other.remove_cpds(cpd)
    other.add_cpds(turned)
    evidence = {"Y": ["rain", "drops"]}
    np.testing.assert_allclose(dbn.smooth(other, evidence)["Z"], dbn.smooth(model, evidence)["Z"])


def test_batches_are_sequences_one_by_one():
    rng = np.random.default_rng(0)
    y = rng.integers(-1, 3, (5, 7))
    soft = rng.random((5, 7, 2))
    whole = dbn.smooth(HMM, {"Y": y}, soft={"Z": soft})
    paths = dbn.viterbi(HMM, {"Y": y}, soft={"Z": soft})
    for k in range(5):
        one = dbn.smooth(HMM, {"Y": y[k]}, soft={"Z": soft[k]})
        np.testing.assert_allclose(whole["Z"][k], one["Z"], atol=1e-13)
        assert whole.log_likelihood[k] == pytest.approx(one.log_likelihood)
        assert paths["Z"][k].tolist() == dbn.viterbi(HMM, {"Y": y[k]}, soft={"Z": soft[k]})["Z"].tolist()


@pytest.mark.parametrize("verb", [dbn.smooth, dbn.filter])
def test_ragged_batches_end_where_they_end(verb):
    rng = np.random.default_rng(0)
    y, lengths = rng.integers(0, 3, (3, 6)), [6, 1, 4]
    whole = verb(HMM, {"Y": y}, lengths=lengths)
    for k, length in enumerate(lengths):
        one = verb(HMM, {"Y": y[k, :length]})
        np.testing.assert_allclose(whole["Z"][k, :length], one["Z"], atol=1e-13)
        assert whole.log_likelihood[k] == pytest.approx(one.log_likelihood)
        assert not whole["Z"][k, length:].any()
    paths = dbn.viterbi(HMM, {"Y": y}, lengths=lengths)
    assert paths["Z"][1, 1:].tolist() == [-1] * 5
    counts = dbn.expected_counts(HMM, {"Y": y}, lengths=lengths)
    assert counts["Z", 1].sum() == pytest.approx(5 + 0 + 3)
    assert dbn.sample(HMM, 2, {"Y": y}, lengths=lengths)["Z"][1, :, 1:].max() == -1


def test_no_evidence_is_the_prior():
    posterior = dbn.smooth(HMM, T=2)
    cpd = {tuple(c.variables[0]): c.values for c in HMM.cpds}
    np.testing.assert_allclose(posterior["Z", 0], cpd["Z", 0])
    np.testing.assert_allclose(posterior["Z", 1], cpd["Z", 1] @ cpd["Z", 0])
    assert posterior.log_likelihood == pytest.approx(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dbn.smooth(HMM, {"y": [0]}), "unknown variable 'y'; did you mean 'Y'?"),
        (lambda: dbn.smooth(HMM, {("Q", 0): 0}), "unknown variable 'Q'"),
        (lambda: dbn.smooth(HMM, {("Y", 7): 0}, T=5), r"\('Y', 7\): T is 5, so t runs from 0 to 4"),
        (lambda: dbn.smooth(HMM, {"Y": [0, 3]}), "evidence of 'Y' is 3 at index 1; its states are 0 to 2"),
        (lambda: dbn.smooth(HMM, {"Y": [0, 1.5]}), "evidence of 'Y' is 1.5"),
        (lambda: dbn.smooth(weather(), {"Y": ["hail"]}), "evidence of 'Y' is 'hail' at index 0; its states are 'none', 'drops', 'rain'"),
        (lambda: dbn.smooth(HMM, {"Y": [0, 1], "Z": [0]}), r"evidence of 'Z' has .* = \(1,\), but evidence of 'Y' .* give all of it the same slices"),
        (lambda: dbn.smooth(HMM, {"Y": [[[0]]]}), "give .T,. for one sequence"),
        (lambda: dbn.smooth(HMM, {"Y": [[0, 1], [0]]}), "not rectangular; pad sequences with None"),
        (lambda: dbn.smooth(HMM), "give T="),
        (lambda: dbn.smooth(HMM, {}, T=0), "T is 0"),
        (lambda: dbn.smooth(HMM, {"Y": [0, 1]}, T=3), "T is 3"),
        (lambda: dbn.smooth(HMM, [0, 1]), "evidence must be a dict"),
        (lambda: dbn.smooth(HMM, soft={"Y": [[1.0, 1.0]]}), r"it must be \(T, 3\)"),
        (lambda: dbn.smooth(HMM, soft={"Y": [[1.0, 1.0, -1.0]]}), "holds negative numbers"),
        (lambda: dbn.smooth(HMM, {"Y": [[0, 1]]}, lengths=[3]), "lengths must be B = 1 integers from 1 to 2"),
        (lambda: dbn.predict(HMM, 0, {"Y": [0]}), "horizon is 0"),
        (lambda: dbn.sample(HMM, 0, {"Y": [0]}), "size is 0"),
        (lambda: dbn.smooth(HMM, {"Y": [0]})["Q"], "unknown variable 'Q'"),
        (lambda: dbn.smooth(HMM, {"Y": [0]})["Z", 1], "t runs from 0 to 0"),
        (lambda: dbn.smooth("HMM", {"Y": [0]}), "give a pgmpy DynamicBayesianNetwork, whose nodes are pairs .name, slice., or a Network, not str"),
        (lambda: dbn.unrolled(HMM, 0), "T is 0"),
    ],
)  # fmt: skip
def test_mistakes_are_named(call, message):
    with pytest.raises(db.DbnBpttError, match=message):
        call()


def _changed(change):
    model = copy.deepcopy(HMM)
    change(model)
    return model


def _replace(model, node, cpd):
    model.remove_cpds(model.get_cpds(node))
    model.cpds.append(cpd)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.remove_cpds(m.get_cpds(("Z", 1))), r"\('Z', 1\) has no CPD"),
        (lambda m: m.remove_cpds(m.get_cpds(("Y", 0))), "'Y' has no CPD"),
        (lambda m: m.cpds.append(m.cpds[0]), "there are two CPDs"),
        (lambda m: _replace(m, ("Z", 0), TabularCPD(("Z", 0), 3, [[0.2], [0.3], [0.5]])), "have 2 and 3 states"),
        (lambda m: _replace(m, ("Z", 0), TabularCPD(("Z", 0), 2, [[0.2], [0.3]])), "sums to 0.5, not 1"),
        (lambda m: m.get_cpds(("Z", 0)).values.__setitem__(slice(None), [-0.5, 1.5]), "negative numbers"),
        (lambda m: _replace(m, ("Y", 0), TabularCPD(("Y", 0), 3, np.full((3, 1), 1 / 3))), r"\('Z', 0\) -> \('Y', 0\) is an edge"),
        (lambda m: m.add_edge(("Y", 0), ("Z", 1)), r"\('Y', 0\) -> \('Z', 1\) is an edge, but not in the CPD"),
    ],
)  # fmt: skip
def test_models_with_holes_are_refused(change, message):
    with pytest.raises(db.ModelError, match=message):
        dbn.smooth(_changed(change), {"Y": [0]})


def test_impossible_evidence_names_slice_and_sequence():
    model = DynamicBayesianNetwork([(("Y", 0), ("Y", 1))])
    model.add_cpds(TabularCPD(("Y", 0), 2, [[1], [0]]), TabularCPD(("Y", 1), 2, [[0, 1], [1, 0]], [("Y", 0)], [2]))
    for verb in (dbn.smooth, dbn.filter, dbn.viterbi, dbn.log_likelihood, dbn.expected_counts):
        with pytest.raises(db.ImpossibleEvidenceError, match="up to slice 2 has probability 0"):
            verb(model, {"Y": [0, 1, 1, 0]})
        with pytest.raises(db.ImpossibleEvidenceError, match="up to slice 3 of sequence 1"):
            verb(model, {"Y": [[0, 1, 0, 1], [0, 1, 0, 0]]})
    with pytest.raises(db.ImpossibleEvidenceError, match="up to slice 2"):
        dbn.sample(model, 3, {"Y": [0, 1, 1, 0]})
    assert dbn.smooth(model, {"Y": [[0, 1, 1], [0, 1, 0]]}, lengths=[2, 3]).log_likelihood.tolist() == [0, 0]


def test_no_call_changes_the_model():
    model = copy.deepcopy(HMM)
    before = [(c.variables, c.values.copy(), dict(c.state_names)) for c in model.cpds], sorted(map(str, model.edges()))
    for verb in (dbn.smooth, dbn.filter, dbn.viterbi, dbn.expected_counts, dbn.fit):
        verb(model, {"Y": ONE})
    dbn.sample(model, 2, {"Y": ONE})
    dbn.predict(model, 2, {"Y": ONE})
    after = [(c.variables, c.values.copy(), dict(c.state_names)) for c in model.cpds], sorted(map(str, model.edges()))
    assert str(after) == str(before)


def test_the_answer_depends_on_no_hash_seed():
    program = (
        "from tests.dbn_models import STRUCTURES\nfrom dbn_bptt import dbn\n"
        "for s in STRUCTURES: print(s.name, [(n, a.tolist()) for n, a in dbn.smooth(s.make(1), T=3).marginals.items()],"
        " dbn.summary(s.make(1)))"
    )
    outs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(outs) == 1


def test_results_show_themselves():
    posterior = dbn.smooth(weather(), {"Y": ["none", "rain"]})
    frame = posterior.to_frame()
    assert list(frame.columns) == [("Z", "dry"), ("Z", "wet"), ("Y", "none"), ("Y", "drops"), ("Y", "rain")]
    assert frame["Z"].to_numpy() == pytest.approx(posterior["Z"])
    assert str(posterior).startswith("Posterior of 2 slices, log-likelihood -2.")
    assert "<table" in posterior._repr_html_()
    ahead = dbn.predict(weather(), 2, {"Y": [["none", "rain"]]})
    assert ahead.to_frame().index.to_list() == [(0, 2), (0, 3)]
    assert ahead["Z", 3].shape == (1, 2)
    paths = dbn.sample(weather(), 2, {"Y": ["none", "rain"]})
    assert paths.to_frame().shape == (4, 2)
    assert "<table" in paths._repr_html_()
    assert str(paths).startswith("2 paths of 2 slices")
    assert str(dbn.sample(weather(), 1, T=1)).startswith("Path of 1 slice")
    assert list(paths) == list(posterior) == ["Z", "Y"]
    assert paths["Y", 1].tolist() == [2, 2]
    node = next(n for n in weather().nodes() if n == ("Z", 1))
    np.testing.assert_array_equal(posterior[node], posterior["Z"][1])
    assert str(dbn.smooth(weather(), T=3)).startswith("Posterior of 3 slices, log-likelihood 0\n")


def test_ragged_results_end_where_the_sequences_end():
    posterior = dbn.smooth(weather(), {"Y": [["none", "rain", "rain"], ["none", None, None]]}, lengths=[3, 1])
    assert posterior.most_probable("Z").tolist() == [["dry", "wet", "wet"], ["dry", None, None]]
    assert posterior.to_frame().index.to_list() == [(0, 0), (0, 1), (0, 2), (1, 0)]
    ahead = dbn.predict(weather(), 2, {"Y": [["none", "rain", "rain"], ["none", None, None]]}, lengths=[3, 1])
    np.testing.assert_allclose(ahead["Z"][1], dbn.predict(weather(), 2, {"Y": ["none"]})["Z"], atol=1e-14)
    assert ahead.to_frame().index.to_list() == [(0, 3), (0, 4), (1, 1), (1, 2)]


def test_frames_tell_sequences_apart():
    paths = dbn.sample(weather(), 3, T=4, seed=2)
    expected = dbn.log_likelihood(weather(), {"Y": paths["Y"]})
    frame = paths.to_frame()[["Y"]]
    for given in (frame, frame.reset_index(), frame.reset_index()[["sequence", "Y"]]):
        np.testing.assert_allclose(dbn.log_likelihood(weather(), given), expected)
    short = frame.reset_index().drop(index=[11])
    assert dbn.smooth(weather(), short)["Z"][2, 3].tolist() == [0, 0]
    with pytest.raises(db.DataError, match="two columns 'Y'"):
        dbn.smooth(weather(), pd.DataFrame([["none", "rain"]], columns=["Y", "Y"]))


@pytest.mark.parametrize("missing", [None, np.nan, -1, pd.NA, float("nan")], ids=str)
def test_what_is_missing_may_stand_among_names(missing):
    expected = dbn.smooth(weather(), {"Y": [0, -1, 2]})["Z"]
    np.testing.assert_allclose(dbn.smooth(weather(), {"Y": ["none", missing, "rain"]})["Z"], expected)
    series = pd.Series(["none", missing, "rain"], dtype="object")
    np.testing.assert_allclose(dbn.smooth(weather(), {"Y": series})["Z"], expected)
    masked = np.ma.array([0, 1, 2], mask=[False, True, False])
    np.testing.assert_allclose(dbn.smooth(weather(), {"Y": masked})["Z"], expected)


def _chain(names):
    model = DynamicBayesianNetwork([(("Y", 0), ("Y", 1))])
    states = {("Y", 0): list(names), ("Y", 1): list(names)}
    model.add_cpds(
        TabularCPD(("Y", 0), 2, [[0.9], [0.1]], state_names={("Y", 0): list(names)}),
        TabularCPD(("Y", 1), 2, [[0.9, 0.2], [0.1, 0.8]], [("Y", 0)], [2], states),
    )
    return model


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ([1, 0], 1), (["1", "0"], 1), (["1", "0"], "1"), (list(np.array([1, 2])), 1), ([True, False], True), (["a", 1], "a"),
        ([("a", 1), ("b", 2)], ("a", 1)), ([-1, 0], -1), ([0.5, 1.5], 0.5), (["yes", "no"], 0), (["x", "1"], "x"),
    ],
)  # fmt: skip
def test_states_of_every_kind(names, first):
    assert dbn.log_likelihood(_chain(names), {"Y": [first]}) == pytest.approx(np.log(0.9))
    assert dbn.log_likelihood(_chain(names), {("Y", 0): first}) == pytest.approx(np.log(0.9))


def test_evidence_given_twice_must_agree():
    assert dbn.log_likelihood(HMM, {"Y": [0, 1], ("Y", 1): 1}) == pytest.approx(dbn.log_likelihood(HMM, {"Y": [0, 1]}))
    with pytest.raises(db.DataError, match="given twice"):
        dbn.smooth(HMM, {"Y": [0, 1], ("Y", 1): 2})


def _two_names(first, later):
    model = DynamicBayesianNetwork([(("Y", 0), ("Y", 1))])
    model.add_cpds(
        TabularCPD(("Y", 0), 2, [[0.9], [0.1]], state_names={("Y", 0): first}),
        TabularCPD(("Y", 1), 2, [[0.9, 0.2], [0.1, 0.8]], [("Y", 0)], [2], {("Y", 0): first, ("Y", 1): later}),
    )
    return model


@pytest.mark.parametrize(
    ("first", "later"), [([True, False], [False, True]), ([1, 0], [0, 1.0]), (["a", "b"], ["b", "a"])]
)
def test_slices_must_name_states_alike(first, later):
    with pytest.raises(db.ModelError, match="name them alike"):
        dbn.smooth(_two_names(first, later), T=1)


@pytest.mark.parametrize("names", [[False, True], [0.0, 1.0], [1, "a"]])
def test_states_keep_their_names(names):
    posterior = dbn.smooth(_two_names(names, names), {"Y": [names[0]]})
    assert posterior.states["Y"] == tuple(names)
    assert [type(s) for s in posterior.states["Y"]] == [type(s) for s in names]
    assert posterior.most_probable("Y").tolist() == [names[0]]


def test_frames_keep_the_names_of_sequences():
    frame = pd.DataFrame({"sequence": ["b", "b", "a"], "Y": [2, 1, 0]})
    assert dbn.smooth(HMM, frame).to_frame().index.tolist() == [("b", 0), ("b", 1), ("a", 0)]
    assert dbn.viterbi(HMM, frame).to_frame().index.tolist() == [("b", 0), ("b", 1), ("a", 0)]
    assert dbn.predict(HMM, 1, frame).to_frame().index.tolist() == [("b", 2), ("a", 1)]
    alone = dbn.smooth(HMM, frame[["sequence"]])  # rows tell lengths even where nothing was observed
    assert alone.to_frame().index.tolist() == [("b", 0), ("b", 1), ("a", 0)]


@pytest.mark.parametrize("t", [[2, 0, 1], [0, 1, 5], [1, 2, 3], [0, 0, 1]])
@pytest.mark.parametrize("as_index", [False, True])
def test_frames_whose_rows_are_not_the_slices_are_refused(t, as_index):
    frame = pd.DataFrame({"t": t, "Y": [2, 1, 0]})
    with pytest.raises(db.DataError, match=f"the column 't' of the DataFrame is {t[0]}, .*sort the rows"):
        dbn.smooth(HMM, frame.set_index("t") if as_index else frame)


def test_variables_may_be_called_like_the_index_of_a_frame():
    model = build({"Z": 2, "t": 4}, [("Z", "t", 0), ("Z", "Z", 1)], seed=1)
    frame = pd.DataFrame({"Z": [0, 1, 1]}, index=pd.RangeIndex(3, name="t"))
    assert dbn.log_likelihood(model, frame) == dbn.log_likelihood(model, {"Z": [0, 1, 1]})
    assert dbn.log_likelihood(model, pd.DataFrame({"t": [3, 2]})) == dbn.log_likelihood(model, {"t": [3, 2]})
    paths = dbn.sample(model, 1, T=3)
    (found,) = dbn.log_likelihood(model, paths.to_frame())
    assert found == pytest.approx(dbn.log_likelihood(model, {name: paths[name][0] for name in paths}))


def test_a_number_is_a_name_if_any_name_reads_as_one():
    model = build({"Z": 2, "Y": 3}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=3)
    for cpd in model.cpds:
        if cpd.variables[0][0] == "Y":
            cpd.state_names[cpd.variables[0]] = ["1", "2", "3+"]
    assert dbn.log_likelihood(model, {"Y": [1]}) == dbn.log_likelihood(model, {"Y": ["1"]})
    with pytest.raises(db.DataError, match="evidence of 'Y' is 0"):
        dbn.log_likelihood(model, {"Y": [0]})


def test_pgmpys_copies_of_cpds_are_understood():
    model = DynamicBayesianNetwork([(("A", 0), ("B", 0)), (("B", 0), ("C", 0)), (("A", 0), ("A", 1))])
    model.add_cpds(
        TabularCPD(("C", 0), 2, [[0.9, 0.3], [0.1, 0.7]], [("B", 0)], [2]),
        TabularCPD(("B", 0), 2, [[0.8, 0.4], [0.2, 0.6]], [("A", 0)], [2]),
        TabularCPD(("A", 0), 2, [[0.5], [0.5]]),
        TabularCPD(("A", 1), 2, [[0.7, 0.2], [0.3, 0.8]], [("A", 0)], [2]),
    )
    before = dbn.log_likelihood(model, {"C": [0, 1, 1]})
    model.initialize_initial_state()
    assert dbn.log_likelihood(model, {"C": [0, 1, 1]}) == before


def test_learning_stops_where_nothing_is_left_to_learn():
    found = dbn.fit(build({"Y": 2}, [("Y", "Y", 1)]), {"Y": [0] * 10})
    assert found.converged
    assert len(found.log_likelihoods) < 5

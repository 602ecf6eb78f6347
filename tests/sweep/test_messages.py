"""The two sweeps against the NumPy reference, finite differences, themselves, and printed numbers."""

import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dbn_bptt as db
from dbn_bptt import cells
from dbn_bptt.reference import elman_bptt
from tests.cases import CASES, Case, draw
from tests.helpers import assert_close, gradients


def _assert_equals_reference(T, B, sizes, activation, lengths, seed):
    n, H, K = sizes
    rng = np.random.default_rng(seed)
    rnn = cells.elman(n, H, K, activation=activation)
    parameters = {name: rng.normal(size=rnn.symbols[name].shape) for name in "WUbVc"}
    lead = (T,) if B is None else (T, B)
    x, y, h0 = rng.normal(size=(*lead, n)), rng.integers(0, K, lead), rng.normal(size=(*lead[1:], H))
    result = db.bptt(rnn, parameters, {"x": x, "y": y}, initial={"h": h0}, lengths=lengths)
    if lengths is None:
        loss, expected = elman_bptt(parameters, x, np.eye(K)[y], h0, activation)
    else:
        loss, expected = 0.0, {"x": np.zeros_like(x), "h0": np.zeros_like(h0)}
        for b, length in enumerate(lengths):
            one_loss, one = elman_bptt(parameters, x[:length, b], np.eye(K)[y[:length, b]], h0[b], activation)
            loss += one_loss
            expected["x"][:length, b], expected["h0"][b] = one.pop("x"), one.pop("h0")
            expected |= {name: expected.get(name, 0) + g for name, g in one.items()}
    assert result.loss == pytest.approx(loss, rel=1e-12)
    for name in "WUbVc":
        assert_close(result.gradients[name], expected[name], 1e-12, name)
    assert_close(result.messages.input_gradients["x"], expected["x"], 1e-12, "x")
    assert_close(result.messages.initial_gradients["h"], expected["h0"], 1e-12, "h0")


@pytest.mark.parametrize(
    ("T", "B", "sizes", "activation", "lengths"),
    [
        (1, None, (3, 4, 2), "tanh", None),
        (1, 1, (1, 1, 2), "tanh", None),
        (2, 3, (3, 4, 2), "sigmoid", None),
        (10, None, (2, 7, 5), "tanh", None),
        (50, 4, (3, 4, 2), "tanh", None),
        (50, None, (3, 4, 2), "sigmoid", None),
        (7, 3, (3, 4, 2), "tanh", [7, 1, 4]),
        (20, 4, (2, 5, 3), "sigmoid", [1, 20, 2, 19]),
    ],
)
def test_elman_equals_the_numpy_reference(T, B, sizes, activation, lengths):
    _assert_equals_reference(T, B, sizes, activation, lengths, seed=0)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_elman_equals_the_numpy_reference(data):
    T, B = data.draw(st.integers(1, 12)), data.draw(st.none() | st.integers(1, 4))
    sizes = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 5)))
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B)) if B else None
    _assert_equals_reference(T, B, sizes, data.draw(st.sampled_from(["tanh", "sigmoid"])), lengths, seed=T)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_gradients_equal_finite_differences(case: Case):
    drawn = draw(case)
    report = db.compare(drawn.template, **drawn.arguments())
    assert report.ok, str(report)
    engines = {"adjoint network", "finite differences"}
    assert {row.engine for row in report.rows} - {"NumPy reference"} == engines | _compiled(case), str(report)


def _compiled(case: Case) -> set[str]:
    return set() if "both ways" in case.name else {"program"}


@pytest.mark.parametrize("case", [case for case in CASES if case.B is not None], ids=repr)
def test_a_batch_is_the_sum_of_its_sequences(case: Case):
    drawn = draw(case)
    whole = drawn.bptt()
    total, loss = {}, 0.0
    for b in range(case.B):
        end = case.T if case.lengths is None else case.lengths[b]
        data = {name: a[:end, b] for name, a in drawn.data.items()}
        rows = {n: len(s) - len(drawn.template.symbols[n].shape) for n, s in drawn.template.initial_shapes().items()}
        initial = {name: np.take(a, b, axis=rows[name]) for name, a in drawn.initial.items()}
        one = drawn.bptt(data=data, initial=initial, lengths=None, T=end)
        loss += one.loss
        for name, g in one.gradients.items():
            total[name] = total.get(name, 0) + g
        for name, g in one.messages.input_gradients.items():
            assert_close(whole.messages.input_gradients[name][:end, b], g, 1e-12, name)
    assert whole.loss == pytest.approx(loss, rel=1e-12)
    for name, g in total.items():
        assert_close(whole.gradients[name], g, 1e-12, name)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_copies_hold_the_per_slice_gradients(case: Case):
    drawn = draw(case)
    plain, copied = drawn.bptt(), drawn.bptt(copies=True)
    for name, g in gradients(plain).items():
        assert_close(gradients(copied)[name], g, 1e-13, name)
    for name, g in plain.gradients.items():
        rows = plain.messages.per_slice(name)
        assert rows.shape == (case.T, *g.shape)
        assert_close(rows.sum(0), g, 1e-12, name)
        assert_close(copied.messages.per_slice(name), rows, 1e-13, name)
        for t in range(case.T):
            if (name, t) in copied.graph and name not in ("h0", "g0"):
                assert_close(copied.messages.adjoint[name, t], rows[t], 1e-13, f"{name} in slice {t}")


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_adjoints_are_the_sums_of_messages(case: Case):
    result = draw(case).bptt()
    losses = set(result.graph.graph["template"].losses)
    for node, adjoint in result.messages.adjoint.items():
        assert adjoint.shape == result.values[node].shape
        sent = [result.messages.edge[e] for e in result.graph.out_edges(node, keys=True) if e in result.messages.edge]
        assert_close(adjoint, sum(sent, np.zeros_like(adjoint)) + (1.0 if node in losses else 0.0), 1e-13, str(node))


def test_compare_hides_no_broken_engine(monkeypatch):
    def broken(template, engine):
        raise db.TemplateError("broken")

    monkeypatch.setattr(sys.modules["dbn_bptt.agreement"], "compile", broken)
    with pytest.raises(db.TemplateError, match="broken"):
        db.compare(CASES[0].make(), **{k: v for k, v in draw(CASES[0]).arguments().items() if k != "template"})


def test_a_forums_puzzle_of_a_scalar_chain():
    t = db.SliceTemplate("x_t = w x_{t-1}")
    w, x = t.parameter("w", ()), t.variable("x", ())
    t.define(x, w * x.prev)
    t.loss("L", x, at="last")
    result = db.bptt(t, {"w": 0.2}, T=3, initial={"x": 0.9})
    assert result.gradients["w"] == pytest.approx(0.108, abs=1e-15)


def test_the_printed_numbers_of_deeplearning_ai_c5w1():
    np.random.seed(1)  # noqa: NPY002 - the exercise's own generator
    x, a0, Wax, Waa, Wya, ba, by, da = (
        np.random.randn(*s)  # noqa: NPY002
        for s in [(3, 10, 4), (5, 10), (5, 3), (5, 5), (2, 5), (5, 1), (2, 1), (5, 10, 4)]
    )
    assert Wya.shape == (2, 5)
    assert by.shape == (2, 1)
    t = db.SliceTemplate("C5W1")
    U, W, b = t.parameter("Wax", (5, 3)), t.parameter("Waa", (5, 5)), t.parameter("ba", 5)
    inputs, upstream = t.input("x", 3), t.input("da", 5)
    a = t.variable("a", 5)
    t.define(a, db.tanh(U @ inputs + W @ a.prev + b))
    t.loss("L", db.sum(upstream * a))
    data = {"x": x.transpose(2, 1, 0), "da": da.transpose(2, 1, 0)}
    result = db.bptt(t, {"Wax": Wax, "Waa": Waa, "ba": ba[:, 0]}, data, initial={"a": a0.T})
    # dx[1][2] is printed too, for the same exercise, and dba[4]
    assert round(float(result.gradients["Wax"][3][1]), 7) == 11.2641045
    assert round(float(result.gradients["Waa"][1][2]), 7) == 2.3033331


def test_a_long_graph_needs_no_recursion():
    rnn = cells.elman(2, 3, 2)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 2)), rng.integers(0, 2, 20_000)
    parameters = rnn.initial_parameters(0)
    result = db.bptt(rnn, parameters, {"x": x, "y": y})
    loss, expected = elman_bptt(parameters, x, np.eye(2)[y])
    assert result.loss == pytest.approx(loss, rel=1e-12)
    assert_close(result.gradients["W"], expected["W"], 1e-12)


def test_float32_stays_float32():
    drawn = draw(Case("lstm", lambda: cells.lstm(3, 4, 2), B=2))
    exact = drawn.bptt()
    single = {n: v.astype(np.float32) for n, v in drawn.parameters.items()}
    data = {"x": drawn.data["x"].astype(np.float32), "y": drawn.data["y"]}
    result = drawn.bptt(
        parameters=single, data=data, initial={n: v.astype(np.float32) for n, v in drawn.initial.items()}
    )
    assert {a.dtype for a in result.values.node.values()} == {np.dtype(np.float32)}
    for name, g in gradients(result).items():
        assert g.dtype == np.float32
        assert_close(g, gradients(exact)[name], 1e-5, name)


def test_probabilities_and_classes_are_the_same_target():
    drawn = draw(Case("elman", lambda: cells.elman(3, 4, 5), B=2))
    one_hot = drawn.data | {"y": np.eye(5)[drawn.data["y"]]}
    assert drawn.bptt(data=one_hot).loss == drawn.bptt().loss


def test_one_initial_state_for_the_whole_batch_gets_the_summed_gradient():
    drawn = draw(Case("elman", lambda: cells.elman(3, 4, 2), B=3))
    shared = np.arange(4.0)
    one = drawn.bptt(initial={"h": shared})
    each = drawn.bptt(initial={"h": np.tile(shared, (3, 1))})
    assert_close(one.messages.initial_gradients["h"], each.messages.initial_gradients["h"].sum(0), 1e-13)


def test_sequences_do_not_see_what_lies_beyond_their_end():
    """A state that would leave the domain of the logarithm after the end of its sequence gives no NaN."""
    t = db.SliceTemplate("logarithm")
    w, x = t.parameter("w", ()), t.input("x", ())
    h, z = t.variable("h", ()), t.variable("z", ())
    t.define(h, h.prev - w * x)
    t.define(z, db.log(h.prev - w * x))
    t.loss("L", z)
    whole = db.bptt(t, {"w": 1.0}, {"x": np.ones((6, 2))}, initial={"h": [10.0, 3.0]}, lengths=[6, 2])
    single = [db.bptt(t, {"w": 1.0}, {"x": np.ones(n)}, initial={"h": h0}) for n, h0 in ((6, 10.0), (2, 3.0))]
    assert whole.loss == pytest.approx(sum(r.loss for r in single), rel=1e-14)
    assert_close(whole.gradients["w"], sum(r.gradients["w"] for r in single), 1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_probabilities_that_sum_to_1_up_to_rounding(dtype):
    drawn = draw(Case("elman", lambda: cells.elman(3, 4, 5), T=4, B=2))
    y = np.random.default_rng(0).dirichlet(np.ones(5), (4, 2)).astype(dtype)
    data = {"x": drawn.data["x"], "y": y}
    report = db.compare(drawn.template, drawn.parameters, data)
    assert report.ok, str(report)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, bool])
def test_inputs_of_other_types_are_numbers_too(dtype):
    rnn = cells.elman(3, 4, 2)
    data = {"x": np.eye(3)[[0, 1, 2, 1]].astype(dtype), "y": [0, 1, 1, 0]}
    report = db.compare(rnn, rnn.initial_parameters(0), data)
    assert report.ok, str(report)


def test_gradients_may_be_changed_in_place():
    t = db.SliceTemplate("two biases")
    x, b, d = t.input("x", 2), t.parameter("b", 2), t.parameter("d", 2)
    t.loss("L", db.sum(db.tanh(x + b + d)))
    result = db.bptt(t, {"b": [0.0, 0.0], "d": [0.0, 0.0]}, {"x": [[0.0, 0.0]]})
    for g in result.gradients.values():
        g *= 0.5
    assert result.gradients["b"].tolist() == [0.5, 0.5]
    assert result.messages.adjoint["b"].tolist() == [1.0, 1.0]


def test_numpy_functions_build_expressions():
    t = db.SliceTemplate("numpy")
    x, h = t.input("x", 2), t.variable("h", 2)
    equation = np.tanh(np.ones((2, 2)) @ h.prev + x) + np.exp(-x)
    assert equation is db.tanh(np.ones((2, 2)) @ h.prev + x) + db.exp(-x)


def test_nothing_given_is_changed_and_calls_repeat():
    drawn = draw(Case("elman, ragged", lambda: cells.elman(3, 4, 2), T=6, B=3, lengths=(6, 1, 4)))
    before = {n: np.copy(v) for n, v in (drawn.parameters | drawn.data | drawn.initial).items()}
    first, second = drawn.bptt(), drawn.bptt()
    for name, v in (drawn.parameters | drawn.data | drawn.initial).items():
        assert np.array_equal(v, before[name])
    for name, g in gradients(first).items():
        assert np.array_equal(g, gradients(second)[name])
    assert not any(key for _, data in first.graph.nodes(data=True) for key in data if key in ("value", "adjoint"))


def test_results_print():
    result = draw(CASES[0]).bptt()
    assert repr(result).startswith("BPTT of 'Elman network', T=5: loss = ")
    assert result.values.stack("h").shape == (5, 4)
    assert result.messages.stack("h").shape == (5, 4)
    assert nx.is_directed_acyclic_graph(result.graph)


def test_compare_takes_no_differences_where_gradients_are_stopped():
    t = db.SliceTemplate("stopped")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, db.tanh(w * db.stop_gradient(h.prev) + 0.5))
    t.loss("L", h * h)
    report = db.compare(t, {"w": 0.3}, T=5)
    assert report.ok, str(report)
    assert {row.engine for row in report.rows} == {"adjoint network", "program"}


@pytest.mark.parametrize("seed", range(8))
def test_gradients_that_are_zero_but_for_rounding_agree(seed):
    t = db.SliceTemplate("a constant shifts all logits alike")
    W, x, h = t.parameter("W", (3, 3)), t.input("x", 3), t.variable("h", 3)
    c, y = t.parameter("c", ()), t.target("y", classes=3)
    t.define(h, db.tanh(W @ h.prev + x))
    t.loss("L", db.cross_entropy(h + c, y))
    rng = np.random.default_rng(seed)
    theta = {"W": rng.normal(size=(3, 3)), "c": 0.5}
    report = db.compare(t, theta, {"x": rng.normal(size=(6, 3)), "y": rng.integers(0, 3, 6)})
    assert report.ok, str(report)

"""The unrolled graph is an ordinary networkx graph."""

import io
import pickle
import subprocess
import sys

import networkx as nx
import pytest

import dbn_bptt as db
from dbn_bptt import cells, render
from dbn_bptt.sweep.unroll import arguments
from tests.cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_networkx_sees_an_acyclic_multigraph(case: Case):
    template = case.make()
    graph = db.unroll(template, case.T)
    assert type(graph) is nx.MultiDiGraph
    assert nx.is_directed_acyclic_graph(graph)
    assert len(list(nx.topological_sort(graph))) == len(graph)
    for name in template.names("variable"):
        assert {t for n, t in (v for v in graph if isinstance(v, tuple)) if n == name} >= set(range(case.T))
    for node in graph:
        assert [k for _, _, k in sorted(graph.in_edges(node, keys=True), key=lambda e: e[2])] == list(
            range(graph.in_degree(node))
        )


def test_nodes_and_edges_of_the_elman_network():
    graph = db.unroll(cells.elman(3, 4, 2), T=3)
    assert set(graph) == (
        {"W", "U", "b", "V", "c", "L", ("h", -1)}
        | {(name, t) for name in ("x", "y", "a", "h", "o", "yhat", "L") for t in range(3)}
    )
    assert arguments(graph, ("a", 1)) == ["b", "W", ("h", 0), "U", ("x", 1)]
    assert arguments(graph, "L") == [("L", 0), ("L", 1), ("L", 2)]
    assert nx.ancestors(graph, ("h", 0)) == {("a", 0), ("h", -1), ("x", 0), "W", "U", "b"}
    assert ("L", 2) in nx.descendants(graph, ("x", 0))
    assert graph.edges[("h", 0), ("a", 1), 2]["lag"] == 1
    kinds = {graph.nodes[v]["kind"] for v in graph}
    assert kinds == {"parameter", "input", "target", "variable", "initial", "term", "total"}
    assert graph.nodes["a", 0]["shape"] == (4,)


def test_a_variable_used_twice_has_two_edges():
    t = db.SliceTemplate("square")
    x, h = t.input("x", 2), t.variable("h", 2)
    t.define(h, x * x + h.prev)
    t.loss("L", db.sum(h))
    graph = db.unroll(t, 2)
    assert graph.number_of_edges(("x", 0), ("h", 0)) == 2
    messages = db.backward(graph, db.forward(graph, {}, {"x": [[3.0, 1.0], [2.0, 0.0]]}))
    assert messages.edge[("x", 0), ("h", 0), 0].tolist() == [6.0, 2.0]
    assert messages.edge[("x", 0), ("h", 0), 1].tolist() == [6.0, 2.0]
    assert messages.adjoint["x", 0].tolist() == [12.0, 4.0]


def test_copies_of_parameters():
    graph = db.unroll(cells.elman(3, 4, 2), T=3, copies=True)
    assert set(graph.successors("W")) == {("W", 0), ("W", 1), ("W", 2)}
    assert arguments(graph, ("a", 1)) == [("b", 1), ("W", 1), ("h", 0), ("U", 1), ("x", 1)]


def test_lags_reach_their_initial_slices():
    graph = db.unroll(next(c for c in CASES if c.name == "lags").make(), T=4)
    assert {v for v in graph if graph.nodes[v]["kind"] == "initial"} == {
        ("h", -3), ("h", -2), ("h", -1), ("x", -2), ("x", -1),
    }  # fmt: skip
    assert set(graph.successors(("h", -3))) == {("h", 0)}


def test_a_first_slice_equation_needs_no_initial_state():
    graph = db.unroll(next(c for c in CASES if c.name == "first slice").make(), T=3)
    assert ("h", -1) not in graph
    assert set(graph.predecessors(("h", 0))) == {"p"}


def test_a_backward_chain_begins_at_T():
    graph = db.unroll(next(c for c in CASES if c.name == "backward chain").make(), T=3)
    assert set(graph.successors(("g", 3))) == {("g", 2)}
    assert ("g", -1) not in graph


def test_graphml_goes_out_and_comes_back():
    graph = db.unroll(cells.bidirectional("lstm", 3, 4, 2), T=3)
    again = nx.parse_graphml(render.graphml(graph), force_multigraph=True)
    assert (len(again), again.number_of_edges()) == (len(graph), graph.number_of_edges())
    assert nx.is_directed_acyclic_graph(again)
    nx.write_graphml(again, io.BytesIO())
    for _, attributes in again.nodes(data=True):
        assert {"variable", "kind", "shape"} <= set(attributes)


def test_graphml_keeps_nodes_apart_whose_names_look_alike():
    t = db.SliceTemplate("alike")
    h_0, h = t.parameter("h_0", ()), t.variable("h", ())
    t.define(h, h.prev * h_0)
    t.loss("L", h)
    graph = db.unroll(t, 2)
    assert len(nx.parse_graphml(render.graphml(graph), force_multigraph=True)) == len(graph)


def test_a_graph_keeps_the_template_as_it_was():
    t = db.SliceTemplate("growing")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, w * h.prev)
    t.loss("L", h)
    graph = db.unroll(t, 2)
    t.loss("later", h * h)
    assert db.backward(graph, db.forward(graph, {"w": 2.0}, initial={"h": 1.0})).gradients["w"] == 5.0


def test_a_result_survives_pickling():
    graph = db.unroll(cells.lstm(3, 4, 2), T=2)
    again = pickle.loads(pickle.dumps(graph))
    assert all(again.nodes[v]["rule"] is graph.nodes[v]["rule"] for v in graph)


def test_the_order_does_not_depend_on_the_hash_seed():
    program = (
        "import dbn_bptt as db; from dbn_bptt import cells, render\n"
        "g = db.unroll(db.adjoint(cells.gru(3, 4, 2)), 3)\n"
        "print(list(g.edges(keys=True)), db.equations(db.adjoint(cells.gru(3, 4, 2))), render.svg(g))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(seen) == 1

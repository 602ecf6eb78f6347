"""The explorer's tour: what its stops say is so, and what a run has no example of has no stop."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, paths, render
from dbn_bptt.render.explorer.wording import array, number
from tests.dbn_models import STRUCTURES, Structure, draw_evidence
from tests.render.checks import check_tour, elman_run, page_content

NETWORK = ["What is given", "A forward message", "The loss", "The first message", "A sum of messages", "A backward message",
           "A posterior", "Posteriors are gradients", "One table, many slices", "The same as back-propagation"]  # fmt: skip
RUN = ["What is given", "A value", "The loss", "The first message", "A sum of messages", "One parameter, many slices",
       "Far back", "The same as inference"]  # fmt: skip


def _stops(obj, **options):
    content = page_content(render.html(obj, **options))
    check_tour(content)
    return {stop["title"]: stop for stop in content["tour"]}, content


def test_the_stops_of_a_recurrent_network_say_its_numbers():
    result = elman_run()
    stops, content = _stops(result)
    values, messages, gradients = result.values, result.messages, result.gradients
    assert list(stops) == RUN
    text = {title: stop["text"] for title, stop in stops.items()}
    assert "the parameters W, U, b, V and c" in text["What is given"]
    assert f"is computed from a\u207d\u2070\u207e: {array(values['h', 0])}." in text["A value"]
    terms = [values["L", t] for t in range(5)]
    assert f"{' + '.join(map(number, terms))} = {number(sum(terms))}" in text["The loss"]
    assert f"the message {array(messages.edge[('o', 4), ('L', 4), 0])}" in text["The first message"]
    from_output, from_next = messages.edge[("h", 2), ("o", 2), 2], messages.edge[("h", 2), ("a", 3), 2]
    assert (
        f"2 messages: {array(from_output)} from o\u207d\u00b2\u207e and {array(from_next)} from"
        in text["A sum of messages"]
    )
    assert f"Their sum, {array(from_output + from_next)}, is its adjoint" in text["A sum of messages"]
    shares = [np.linalg.norm(np.outer(messages.adjoint["a", t], values["h", t - 1])) for t in range(5)]
    assert all(f"{number(share)} in slice {t}" in text["One parameter, many slices"] for t, share in enumerate(shares))
    assert f"its norm is {number(np.linalg.norm(gradients['W']))}." in text["One parameter, many slices"]
    ends = [f"{number(np.linalg.norm(messages.adjoint['h', t]))} in slice {t}" for t in (4, 0)]
    assert f"norm {ends[0]}, {ends[1]}." in text["Far back"]
    assert stops["The loss"]["step"] == len(content["forward"])
    assert content["nodes"][stops["A sum of messages"]["node"]]["variable"] == "h"


def test_the_stops_of_inference_say_its_numbers():
    model, evidence = dbn.umbrella(), {"Umbrella": [1, 1, 0, 1]}
    stops, _ = _stops(model, evidence=evidence)
    posterior, filtered = dbn.smooth(model, evidence)["Rain"], dbn.filter(model, evidence)["Rain"]
    assert list(stops) == NETWORK
    text = {title: stop["text"] for title, stop in stops.items()}
    assert f"\u03b1\u207d\u00b9\u207e = {array(filtered[1])}" in text["A forward message"]
    assert f"= {number(-dbn.log_likelihood(model, evidence))} nats" in text["The loss"]
    later = posterior[1] / filtered[1]  # p(later | state) / p(later | earlier), by Bayes' rule
    assert f"is {array(-later)}, minus the backward message" in text["A backward message"]
    assert f"state by state, is {array(posterior[1])}" in text["A posterior"]
    assert f"is {array(-posterior[2])}" in text["Posteriors are gradients"]
    assert "The table P_Umbrella is used in 4 slices" in text["One table, many slices"]
    assert "which add up to 4." in text["One table, many slices"]


@pytest.mark.parametrize("T", [1, 4, 12])
@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_every_network_has_a_tour(structure: Structure, T):
    rng = np.random.default_rng(3)
    stops, _ = _stops(structure.make(), evidence=draw_evidence(rng, structure, T), T=T, view="folded")
    assert ("A posterior" in stops) == any(lag for *_, lag in structure.edges)
    if "One table, many slices" in stops:  # each slice uses one entry of the table
        text = stops["One table, many slices"]["text"]
        assert f"add up to {text.split(' is used in ')[1].split()[0]}." in text


def _without_parameters(at):
    t = db.SliceTemplate("decays")
    h = t.variable("h", ())
    t.define(h, 0.5 * h.prev)
    t.loss("L", h, at=at)
    return db.bptt(t, {}, T=4, initial={"h": 1.0})


LEFT_OUT = [
    ("one slice", lambda: elman_run(T=1), {"A sum of messages", "One parameter, many slices", "Far back"}),
    ("no sum, no parameter", lambda: _without_parameters("last"), {"A sum of messages", "One parameter, many slices"}),
    ("no parameter", lambda: _without_parameters("every"), {"One parameter, many slices"}),
]


@pytest.mark.parametrize(("name", "run", "missing"), LEFT_OUT, ids=[name for name, *_ in LEFT_OUT])
def test_what_a_run_has_no_example_of_is_left_out(name, run, missing):
    stops, _ = _stops(run())
    assert set(RUN) - set(stops) == missing


def test_a_share_is_all_that_a_slice_sends():
    t = db.SliceTemplate("uses W twice")
    W, x, h, o = t.parameter("W", (2, 2)), t.input("x", 2), t.variable("h", 2), t.variable("o", 2)
    t.define(h, db.tanh(W @ h.prev + x))
    t.define(o, W @ h)
    t.loss("L", db.sum(o * o))
    theta, data = t.initial_parameters(0), {"x": np.ones((4, 2))}
    stops, _ = _stops(db.bptt(t, theta, data))
    shares = paths.credit(t, theta, data).by_copy("W")
    said = stops["One parameter, many slices"]["text"]
    assert all(f"{number(np.linalg.norm(share))} in slice {k}" in said for k, share in enumerate(shares))


def test_all_observed_inference_says_nothing_of_hidden_variables():
    stops, _ = _stops(dbn.umbrella(), evidence={"Umbrella": [1, 0], "Rain": [1, 0]})
    assert set(NETWORK) - set(stops) == {"Posteriors are gradients"}


def test_a_folded_run_names_what_is_not_drawn():
    rng = np.random.default_rng(0)
    lstm = cells.lstm(3, 4, 2)
    data = {"x": rng.normal(size=(100, 3)), "y": rng.integers(0, 2, 100)}
    stops, _ = _stops(db.bptt(lstm, lstm.initial_parameters(0), data))
    assert "from slices that are not drawn" in stops["A sum of messages"]["text"]
    assert "(the largest)" in stops["One parameter, many slices"]["text"]
    assert "14 parameters, from W_i to c" in stops["What is given"]["text"]
    assert list(stops) == RUN

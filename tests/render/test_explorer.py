"""The explorer's page: its numbers are the result's, it needs nothing from outside, and it stays small."""

import re
from html.parser import HTMLParser

import networkx as nx
import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, render
from tests.cases import CASES, Case, draw
from tests.render.checks import check_tour, page_content


def _run(cell=cells.elman, T=4, hidden=4, B=None):
    rng = np.random.default_rng(1)
    template = cell(3, hidden, 2)
    lead = (T,) if B is None else (T, B)
    data = {"x": rng.normal(size=(*lead, 3)), "y": rng.integers(0, 2, lead)}
    return db.bptt(template, template.initial_parameters(1), data)


class _Tags(HTMLParser):
    """The tags that are open, and what pages could fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.void = [], [], {"meta", "input", "link", "br", "img"}

    def handle_starttag(self, tag, attrs):
        if tag not in self.void:
            self.open.append(tag)
        self.fetched += [(name, value) for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _check_page(page):
    tags = _Tags()
    tags.feed(page)
    assert not tags.open
    assert not tags.fetched
    assert not re.search(r"https?://(?!www\.w3\.org/)|@import|url\((?![\"']?#)|fetch\(|XMLHttp|import\(", page)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_every_case_has_a_page(case: Case):
    result = draw(case).bptt()
    page = render.html(result)
    _check_page(page)
    found = page_content(page)
    assert found["agreement"]["ok"]
    check_tour(found)


def test_its_numbers_are_the_results():
    result = _run()
    found = page_content(render.html(result))
    graph, messages = result.graph, result.messages
    by_name = {node["plain"]: node for node in found["nodes"]}
    for (name, t), plain in ((("h", 2), "h\u207d\u00b2\u207e"), (("a", 0), "a\u207d\u2070\u207e")):
        assert np.allclose(by_name[plain]["value"], result.values[name, t], rtol=1e-3)
        assert np.allclose(by_name[plain]["adjoint"], messages.adjoint[name, t], rtol=1e-3)
    sent = [edge for edge in found["edges"] if "message" in edge]
    assert len(sent) == sum(
        1 for u, v, k in messages.edge if not isinstance(u, str) and v != "L" and graph.nodes[u]["kind"] != "parameter"
    )
    for edge in sent:  # the message is the transposed Jacobian times the adjoint of the head
        seed = np.ravel(found["nodes"][edge["head"]]["adjoint"])
        assert np.allclose(np.ravel(edge["message"]), np.transpose(edge["jacobian"]) @ seed, rtol=2e-2, atol=1e-3)
    for parameter in found["parameters"]:
        total = sum(np.array(message) for _, message in parameter["sent"])
        assert np.allclose(total, result.gradients[parameter["name"]], rtol=1e-2, atol=1e-3)
    assert found["loss"] == pytest.approx(result.loss)


def test_steps_follow_the_edges():
    result = _run(cells.lstm)
    found = page_content(render.html(result))
    done = {k for k, node in enumerate(found["nodes"]) if node["given"]}
    for n in found["forward"]:
        assert {e["tail"] for e in found["edges"] if e["head"] == n} <= done
        done.add(n)
    answered = set()
    for n in found["backward"]:
        assert {e["head"] for e in found["edges"] if e["tail"] == n and "message" in e} <= answered
        answered.add(n)
    variables = [v for v, kind in result.graph.nodes(data="kind") if kind in ("variable", "term")]
    assert len(found["forward"]) == len(variables)
    assert nx.is_directed_acyclic_graph(nx.DiGraph((e["tail"], e["head"]) for e in found["edges"]))


def test_two_pages_in_one_need_nothing_from_outside():
    _check_page(render.html(_run(), beside=(dbn.umbrella(), {"Umbrella": [1, 1, 0, 1]})))


def test_of_a_batch_the_first_sequence_is_shown():
    result = _run(B=3)
    template, given = result.graph.graph["template"], result.values.given
    alone = db.bptt(template, given.parameters, {name: a[:, 0] for name, a in given.data.items()})
    found = page_content(render.html(result))
    assert found["loss"] == pytest.approx(alone.loss)
    assert found["sequence"] == "sequence 0 of a batch of 3"


def test_a_network_shows_posteriors_and_messages():
    model, evidence = dbn.umbrella(), {"Umbrella": [1, 1, 0, 1]}
    page = render.html(model, evidence=evidence)
    _check_page(page)
    found = page_content(page)["network"]
    posterior, filtered = dbn.smooth(model, evidence), dbn.filter(model, evidence)
    shown = {p["name"]: np.array(p["rows"]) for p in found["posteriors"]}
    assert np.allclose(shown["Rain"], posterior["Rain"], atol=1e-3)
    (sent,) = found["messages"]
    alpha, beta = np.array(sent["alpha"]), np.array(sent["beta"])
    assert np.allclose(alpha, filtered["Rain"], atol=1e-3)
    product = alpha * beta
    assert np.allclose(product / product.sum(1, keepdims=True), posterior["Rain"], atol=2e-3)
    assert found["log_likelihood"] == pytest.approx(posterior.log_likelihood)


@pytest.mark.parametrize("cell", [cells.elman, cells.lstm, cells.gru])
def test_twenty_slices_of_eight_units_stay_below_a_megabyte(cell):
    assert len(render.html(_run(cell, T=20, hidden=8)).encode()) < 1_000_000


def test_a_long_run_is_folded():
    result = _run(T=300)
    found = page_content(render.html(result))
    assert len(found["nodes"]) < 60
    assert found["T"] == 300
    w = next(p for p in found["parameters"] if p["name"] == "W")
    assert np.allclose(w["gradient"], result.gradients["W"], rtol=1e-3)
    inside = [e for e in found["edges"] if found["nodes"][e["head"]]["kind"] == "elided"]
    assert inside  # what comes from slices that are not drawn is there too
    assert all("message" in e for e in inside)
    by_name = {node["plain"]: k for k, node in enumerate(found["nodes"])}
    h = by_name["h\u207d\u00b2\u207e"]
    arriving = [np.array(e["message"]) for e in found["edges"] if e["tail"] == h and "message" in e]
    assert np.allclose(sum(arriving), found["nodes"][h]["adjoint"], rtol=1e-2, atol=1e-3)
    assert found["credit"] == {}


def test_an_infinite_loss_has_a_page():
    t = db.SliceTemplate("explodes")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, db.exp(w * h.prev))
    t.loss("L", h, at="last")
    page = render.html(db.bptt(t, {"w": 5.0}, T=3, initial={"h": 2.0}))
    assert '"loss":1e999' in page
    assert page_content(page)["loss"] == np.inf


def test_formulas_call_adjoints_as_the_adjoint_template_does():
    t = db.SliceTemplate("has a bar")
    h, bar = t.variable("h", ()), t.variable("h_bar", ())
    t.define(h, 0.5 * h.prev)
    t.define(bar, 2.0 * h)
    t.loss("L", bar, at="last")
    found = page_content(render.html(db.bptt(t, {}, T=2, initial={"h": 1.0})))
    sent = [found["formulas"][edge["formula"]] for edge in found["edges"] if "formula" in edge]
    assert sent
    assert all("&#x0007E;" in formula for formula in sent)  # a tilde, as h_bar has its bar already

"""The adjoint template: equal to the reverse sweep in every slice, printable, and differentiable again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dbn_bptt as db
from dbn_bptt import cells
from tests.cases import CASES, Case, draw
from tests.helpers import assert_close, directional_difference
from tests.random_templates import RandomTemplate


def _assert_equals_sweep(drawn, result):
    """All adjoints of the sweep stand on the unrolled adjoint template."""
    template = result.graph.graph["template"]
    backward = db.adjoint(template)
    bars = backward.frozen.partners
    graph = db.unroll(backward, drawn.T)
    values = db.forward(graph, drawn.parameters, drawn.data, initial=drawn.initial, lengths=drawn.lengths)
    assert values.loss == 0  # its losses are plain totals
    for name in template.names("parameter"):
        assert_close(values[bars[name]], result.gradients[name], 1e-12, name)
    for node, adjoint in result.messages.adjoint.items():
        if isinstance(node, tuple) and template.symbols[node[0]].kind in ("input", "variable"):
            its = (bars.get(node[0]), node[1])
            if its[0] in backward.symbols:
                assert_close(values[its], adjoint, 1e-12, str(its))
            else:
                assert not adjoint.any(), f"{node} has an adjoint that the template lacks"


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_adjoint_template_equals_the_sweep(case: Case):
    drawn = draw(case)
    _assert_equals_sweep(drawn, drawn.bptt())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), T=st.integers(1, 5), batch=st.none() | st.integers(1, 3))
def test_the_adjoint_template_of_random_templates_equals_the_sweep(seed, T, batch):
    drawn = draw(Case("random", RandomTemplate(seed).make, T=T, B=batch), seed)
    _assert_equals_sweep(drawn, drawn.bptt())


SMOOTH = [case for case in CASES if "relu" not in case.name]


@pytest.mark.parametrize("case", SMOOTH, ids=repr)
def test_the_adjoint_of_the_adjoint_gives_second_derivatives(case: Case):
    drawn = draw(case)
    rng = np.random.default_rng(7)
    template = drawn.bptt().graph.graph["template"]
    first = db.adjoint(template)
    second = db.adjoint(first)
    bars, bars2 = first.frozen.partners, second.frozen.partners
    direction = {n: rng.normal(size=v.shape) * 0.1 for n, v in drawn.parameters.items()}
    graph = db.unroll(second, drawn.T)
    seeds = {bars2[bars[name]]: d for name, d in direction.items()}
    run = {"initial": drawn.initial, "lengths": drawn.lengths}
    values = db.forward(graph, drawn.parameters | seeds, drawn.data, **run)
    for name in drawn.parameters:

        def gradient(step, name=name):
            moved = {n: v + step * direction[n] for n, v in drawn.parameters.items()}
            return drawn.bptt(parameters=moved).gradients[name]

        expected = directional_difference(gradient, 0.0, 1.0, step=1e-2)
        assert_close(values[bars2[name]], expected, 1e-6, name)


def test_the_gradients_of_inputs_and_initial_states_are_adjoints_too():
    drawn = draw(CASES[0])
    result = drawn.bptt()
    values = db.forward(db.unroll(db.adjoint(drawn.template), 5), drawn.parameters, drawn.data, initial=drawn.initial)
    assert_close(values["h_bar", -1], result.messages.initial_gradients["h"], 1e-13)
    assert_close(values.stack("x_bar"), result.messages.input_gradients["x"], 1e-13)


def test_the_chain_of_the_adjoint_runs_backwards():
    graph = db.unroll(db.adjoint(cells.elman(3, 4, 2)), 4)
    assert graph.has_edge(("a_bar", 2), ("h_bar", 1))
    assert not graph.has_edge(("a_bar", 1), ("h_bar", 2))
    assert ("h_bar", 4) not in graph


def test_the_beta_recursion_is_the_adjoint_of_the_alpha_recursion():
    """THEORY 5: the adjoint of alpha_t is, up to its sign and scale, beta_t."""
    drawn = draw(Case("alpha", _alpha, T=6, given_initial=False))
    p, like = drawn.parameters, np.exp(drawn.data["like"])
    A = np.exp(p["A"]) / np.exp(p["A"]).sum(1, keepdims=True)
    beta = [np.ones(3)]
    for t in reversed(range(1, 6)):
        beta.insert(0, A @ (like[t] * beta[0]))
    values = db.forward(db.unroll(db.adjoint(drawn.template), 6), p, drawn.data)
    # u_bar_t is -beta_t over the probability of the observations up to t and beyond; both normalised by alpha
    for t in range(6):
        alpha = values["alpha", t]
        share = -values["u_bar", t] * values["z", t]
        assert_close(share / (share @ alpha), beta[t] / (beta[t] @ alpha), 1e-12, f"beta_{t}")


def _alpha():
    return next(c for c in CASES if c.name == "alpha recursion").make()


def test_a_template_without_a_loss_has_no_adjoint():
    t = db.SliceTemplate("no loss")
    h = t.variable("h", 2)
    t.define(h, db.tanh(h.prev))
    with pytest.raises(db.TemplateError, match=r"no loss to differentiate; add \.loss"):
        db.adjoint(t)

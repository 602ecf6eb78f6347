"""The ready templates: their variables and parameters."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells


@pytest.mark.parametrize(
    ("template", "shapes"),
    [
        (cells.elman(3, 4, 2), {"W": (4, 4), "U": (4, 3), "b": (4,), "V": (2, 4), "c": (2,)}),
        (cells.jordan(3, 4, 2), {"W": (4, 2), "U": (4, 3), "b": (4,), "V": (2, 4), "c": (2,)}),
        (cells.bidirectional("elman", 3, 4, 2), {"W_fw": (4, 4), "U_bw": (4, 3), "V": (2, 8)}),
        (
            cells.stacked(["gru", "elman"], 3, 4, 2),
            {"W_r1": (4, 4), "U_z1": (4, 3), "d_n1": (4,), "U2": (4, 4), "V": (2, 4)},
        ),
        (cells.stacked([cells.both_directions("lstm")] * 2, 3, 4, 2), {"U_i1_fw": (4, 3), "U_i2_bw": (4, 8)}),
        (cells.gru(3, 4, 2, reset="before"), {"W_n": (4, 4), "b_n": (4,)}),
    ],
)
def test_parameters(template, shapes):
    found = {name: template.symbols[name].shape for name in template.names("parameter")}
    assert found.items() >= shapes.items()


def test_reset_before_has_no_bias_of_its_own():
    assert "d_n" not in cells.gru(3, 4, 2, reset="before").symbols


def test_the_two_reset_conventions_differ():
    rng = np.random.default_rng(0)
    after, before = cells.gru(3, 4, 2), cells.gru(3, 4, 2, reset="before")
    parameters = {n: rng.normal(size=after.symbols[n].shape) for n in after.names("parameter")}
    shared = {n: v for n, v in parameters.items() if n != "d_n"}
    data = {"x": rng.normal(size=(4, 3)), "y": np.zeros(4, int)}
    assert db.bptt(after, parameters, data).loss != db.bptt(before, shared, data).loss


def test_a_layer_of_ones_own_goes_into_stacks_and_directions():
    def leaky(t, x, n_hidden, tag="", reverse=False):
        U, h = t.parameter("U" + tag, (n_hidden, *x.shape)), t.variable("h" + tag, n_hidden)
        t.define(h, 0.9 * h.lag(-1 if reverse else 1) + db.tanh(U @ x))
        return h

    template = cells.stacked([cells.both_directions(leaky), "lstm"], 3, 4, 2)
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(5, 2, 3)), "y": rng.integers(0, 2, (5, 2))}
    assert db.compare(template, template.initial_parameters(0), data).ok


def test_teacher_forcing_feeds_the_target_of_the_slice_before():
    rng = np.random.default_rng(1)
    template = cells.jordan(3, 4, 2, teacher_forcing=True)
    p = template.initial_parameters(0)
    x, y = rng.normal(size=(3, 3)), np.array([1, 0, 1])
    values = db.forward(db.unroll(template, 3), p, {"x": x, "y": y})
    np.testing.assert_allclose(values["a", 1], p["b"] + p["W"][:, 1] + p["U"] @ x[1], rtol=1e-14)
    np.testing.assert_allclose(values["a", 0], p["b"] + p["U"] @ x[0], rtol=1e-14)

"""Random templates against HIPS autograd and jax, which differentiate a plain loop over slices."""

import numpy as np
import pytest

import dbn_bptt as db
from tests.cases import Case, draw
from tests.helpers import assert_close
from tests.random_templates import CLASSES, RandomTemplate, library


def _check(gradient_of, np_like, seed, T, tolerance):
    random = RandomTemplate(seed)
    drawn = draw(Case("random", random.make, T=T), seed)
    result = drawn.bptt()
    lib, y = library(np_like), np.eye(CLASSES)[drawn.data["y"]]

    def loss(parameters, x, initial):
        return random.program(lib, parameters, x, y, initial)

    at = drawn.parameters, drawn.data["x"], drawn.initial
    assert result.loss == pytest.approx(float(loss(*at)), rel=tolerance)
    for position in range(3):
        if len(at[position]) == 0:
            continue
        expected = gradient_of(loss, position)(*at)
        if position == 1:
            assert_close(result.messages.input_gradients["x"], np.asarray(expected), tolerance, f"x, seed {seed}")
            continue
        mine = result.gradients if position == 0 else result.messages.initial_gradients
        for name, g in expected.items():
            assert_close(mine[name], np.asarray(g), tolerance, f"{name}, seed {seed}")


@pytest.mark.filterwarnings("ignore:Output seems independent")
@pytest.mark.parametrize("seed", range(40))
def test_random_templates_equal_autograd(seed):
    autograd = pytest.importorskip("autograd", reason="HIPS autograd is not installed (extra: peers)")
    anp = pytest.importorskip("autograd.numpy")
    _check(autograd.grad, anp, seed, T=1 + seed % 5, tolerance=1e-10)


@pytest.mark.parametrize("seed", range(100, 104))
def test_random_templates_equal_jax(seed):
    jax = pytest.importorskip("jax", reason="jax is not installed (extra: peers)")
    jax.config.update("jax_enable_x64", True)
    _check(lambda f, position: jax.grad(f, position), jax.numpy, seed, T=4, tolerance=1e-10)


def test_second_derivatives_equal_jax():
    jax = pytest.importorskip("jax", reason="jax is not installed (extra: peers)")
    jax.config.update("jax_enable_x64", True)
    random = RandomTemplate(6)
    drawn = draw(Case("random", random.make, T=4), 6)
    lib, y = library(jax.numpy), np.eye(CLASSES)[drawn.data["y"]]
    rng = np.random.default_rng(0)
    direction = {name: rng.normal(size=p.shape) for name, p in drawn.parameters.items()}

    def loss(parameters):
        return random.program(lib, parameters, drawn.data["x"], y, drawn.initial)

    _, product = jax.jvp(jax.grad(loss), (drawn.parameters,), (direction,))
    graph = db.unroll(db.adjoint(db.adjoint(drawn.template)), 4)
    seeds = {f"{name}_bar_bar2": d for name, d in direction.items()}
    values = db.forward(graph, drawn.parameters | seeds, drawn.data, initial=drawn.initial)
    assert direction
    for name in direction:
        assert_close(values[f"{name}_bar2"], np.asarray(product[name]), 1e-10, name)

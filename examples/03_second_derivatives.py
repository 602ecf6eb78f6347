"""The adjoint of a template is a template: taken twice, it multiplies by the Hessian."""

import numpy as np

import dbn_bptt as db

rng = np.random.default_rng(0)
rnn = db.cells.elman(n_inputs=2, n_hidden=3, n_outputs=2)
parameters = rnn.initial_parameters(seed=0)
data = {"x": rng.normal(size=(4, 2)), "y": np.array([0, 1, 1, 0])}
direction = rng.normal(size=(3, 3))

twice = db.adjoint(db.adjoint(rnn))
values = db.forward(db.unroll(twice, T=4), {**parameters, "W_bar_bar2": direction}, data)
product = values["W_bar2"]
print("Hessian in W times a direction, by the adjoint of the adjoint:")
print(product.round(6))


def gradient(step: float) -> np.ndarray:
    """The gradient of W a step along the direction."""
    moved = {**parameters, "W": parameters["W"] + step * direction}
    return db.bptt(rnn, moved, data).gradients["W"]


differences = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
print(f"largest difference from differences of gradients: {np.abs(product - differences).max():.1e}")
assert np.allclose(product, differences, atol=1e-8)

"""A character model trained with optax: the loss is a function of JAX's, its gradient the adjoint program's.

Mini-batches, a validation loss with an early stop, and text drawn from what was learnt.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import dbn_bptt as db

TEXT = (
    "describe one time slice, and derive everything: the graph, the messages, the program, the equations. a message is "
    "sent backwards along every edge; where edges meet, messages add up. what is the same in all slices is summed over "
    "all slices. so gradients are found, and so are posteriors. "
) * 4
LENGTH, BATCH = 32, 16


def windows(codes: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sequences that begin anywhere, (LENGTH, BATCH), with the next character as the target."""
    starts = rng.integers(0, len(codes) - LENGTH - 1, BATCH)
    places = np.arange(LENGTH)[:, None] + starts
    return {"x": np.eye(codes.max() + 1)[codes[places]], "y": codes[places + 1]}


def main() -> None:
    """Train for some hundred steps, then draw a line."""
    rng = np.random.default_rng(0)
    letters = sorted(set(TEXT))
    codes = np.array([letters.index(c) for c in TEXT])
    learnt, held = codes[: 3 * len(codes) // 4], codes[3 * len(codes) // 4 :]
    n = len(letters)
    cell = db.cells.gru(n_inputs=n, n_hidden=32, n_outputs=n)
    loss = db.compile(cell, engine="jax").function

    theta = {name: jnp.asarray(a, jnp.float32) for name, a in cell.initial_parameters(seed=0).items()}
    adam = optax.adam(0.01)
    state = adam.init(theta)

    @jax.jit
    def step(theta, state, data):
        value, gradients = jax.value_and_grad(loss)(theta, data)
        updates, state = adam.update(gradients, state)
        return optax.apply_updates(theta, updates), state, value / (LENGTH * BATCH)

    validation = windows(held, rng)
    best, best_theta, waited = np.inf, theta, 0
    for k in range(400):
        theta, state, value = step(theta, state, windows(learnt, rng))
        if k % 20 == 0:
            held_out = float(loss(theta, validation)) / (LENGTH * BATCH)
            print(f"step {k:3d}: {float(value):.3f} nats a character, {held_out:.3f} on held-out text")
            best, best_theta, waited = (held_out, theta, 0) if held_out < best else (best, best_theta, waited + 1)
            if waited == 3:
                break
    assert best < 1.0, "an untrained model takes log(number of letters), about 3 nats"

    values = db.compile(cell)
    line, h = "a message ", {name: np.zeros(shape) for name, shape in cell.initial_shapes().items()}
    numbers = {name: np.asarray(a, float) for name, a in best_theta.items()}
    for _ in range(60):
        x = np.eye(n)[[letters.index(c) for c in line]]
        p = values.values(numbers, {"x": x}, initial=h)["yhat"][-1]
        line += letters[rng.choice(n, p=p / p.sum())]
    print(line)


if __name__ == "__main__":
    main()

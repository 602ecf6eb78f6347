"""Training with NumPy and scipy: Adam on mini-batches, a validation loss with an early stop, L-BFGS to finish.

The model that did best is saved with its template, loaded again, and draws a line of text.
"""

import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

import dbn_bptt as db

TEXT = (
    "describe one time slice, and derive everything: the graph, the messages, the program, the equations. a message is "
    "sent backwards along every edge; where edges meet, messages add up. what is the same in all slices is summed over "
    "all slices. so gradients are found, and so are posteriors. "
) * 4
LENGTH, BATCH = 32, 16


def adam(gradient, theta, step, moments, rate=0.01, decay=(0.9, 0.999)):
    """A step of Adam (Kingma and Ba 2015) on a vector, with the running means of the gradient and of its square."""
    first, second = moments
    first = decay[0] * first + (1 - decay[0]) * gradient
    second = decay[1] * second + (1 - decay[1]) * gradient**2
    unbiased = first / (1 - decay[0] ** step), second / (1 - decay[1] ** step)
    return theta - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8), (first, second)


def windows(codes, starts):
    """Sequences that begin at some places, (LENGTH, B), with the next character as the target."""
    places = np.arange(LENGTH)[:, None] + starts
    return {"x": np.eye(codes.max() + 1)[codes[places]], "y": codes[places + 1]}


def main() -> None:
    """Train, save, load, and draw."""
    rng = np.random.default_rng(0)
    letters = sorted(set(TEXT))
    codes = np.array([letters.index(c) for c in TEXT])
    learnt, held = codes[: 3 * len(codes) // 4], codes[3 * len(codes) // 4 :]
    n = len(letters)
    cell = db.cells.gru(n_inputs=n, n_hidden=24, n_outputs=n)
    program = db.compile(cell)
    validation = program.at(windows(held, np.arange(0, len(held) - LENGTH - 1, LENGTH)))

    def held_out(vector):
        loss = validation.loss(program.unflat(vector))
        return loss / validation.given.data["x"][..., 0].size

    # Adam on mini-batches: a batch is a function of the vector of all parameters, and gives loss and gradient
    _, vector = program.flat(windows(learnt, rng.integers(0, len(learnt) - LENGTH - 1, BATCH)))
    moments = np.zeros_like(vector), np.zeros_like(vector)
    best, found, waited = np.inf, vector, 0
    for step in range(1, 401):
        batch, _ = program.flat(windows(learnt, rng.integers(0, len(learnt) - LENGTH - 1, BATCH)))
        loss, gradient = batch(vector)
        vector, moments = adam(gradient / (LENGTH * BATCH), vector, step, moments)
        if step % 25 == 0:
            now = held_out(vector)
            print(f"Adam, step {step:3d}: {loss / (LENGTH * BATCH):.3f} nats a character, {now:.3f} on held-out text")
            best, found, waited = (now, vector, 0) if now < best else (best, found, waited + 1)
            if waited == 2:
                break

    # L-BFGS on all windows at once, from where Adam was best; scipy stops it by the validation loss
    whole, _ = program.flat(windows(learnt, np.arange(0, len(learnt) - LENGTH - 1, 4)))
    seen = [(best, found)]

    def watch(vector):
        seen.append((held_out(vector), vector.copy()))
        if len(seen) > 8 and seen[-1][0] > min(loss for loss, _ in seen[:-8]):
            raise StopIteration

    minimize(whole, found, jac=True, method="L-BFGS-B", callback=watch, options={"maxiter": 60})
    best, found = min(seen, key=lambda pair: pair[0])
    print(f"L-BFGS, {len(seen) - 1} iterations: {best:.3f} on held-out text")
    assert best < 0.5, "an untrained model takes log(number of letters), about 3 nats"

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gru.npz"
        db.save(path, program.unflat(found), cell)
        theta = db.load(path, cell)  # refused for a cell with other equations

    # a character at a time, the state carried on
    line, state = "a message ", {}
    seen_so_far = np.eye(n)[[letters.index(c) for c in line]]
    for _ in range(60):
        values = program.values(theta, {"x": seen_so_far}, initial=state)
        state = {name: values[name][-1] for name in cell.initial_shapes()}
        p = values["yhat"][-1]
        line += letters[rng.choice(n, p=p / p.sum())]
        seen_so_far = np.eye(n)[[letters.index(line[-1])]]
    print(line)


if __name__ == "__main__":
    main()

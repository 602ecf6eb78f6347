"""All slices at once: scans as trees, and Newton's method where a recurrence is not affine.

What a scan is, is read off the slice: the chain of adjoints of any network is affine, the forward algorithm is linear
up to its scale, and the states of a recurrent network are neither.
"""

import numpy as np

import dbn_bptt as db
from dbn_bptt import dbn, link


def main() -> None:
    """A network and a hidden Markov model, slice by slice and all slices at once."""
    rng = np.random.default_rng(0)
    rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
    theta = rnn.initial_parameters(seed=0)
    data = {"x": rng.normal(size=(1000, 3)), "y": rng.integers(0, 2, 1000)}
    parallel = db.compile(rnn, engine="parallel")
    for names, how in parallel.engines().items():
        print(f"{names}: {how}")
    loss, gradients = parallel.value_and_grad(theta, data)
    expected_loss, expected = db.compile(rnn, engine="numpy").value_and_grad(theta, data)
    largest = max(float(np.abs(gradients[name] - expected[name]).max()) for name in expected)
    print(f"loss {loss:.8f} and {expected_loss:.8f}, gradients differ by {largest:.0e} at most")
    print(f"steps of Newton's method: {parallel.newton_steps(theta, data)}")
    assert np.isclose(loss, expected_loss, rtol=1e-12)

    evidence = {"Umbrella": rng.integers(0, 2, 1000)}
    at_once, in_turn = (dbn.smooth(dbn.umbrella(), evidence, engine=e)["Rain"] for e in ("parallel", "numpy"))
    print(f"posteriors of 1,000 slices differ by {np.abs(at_once - in_turn).max():.0e} at most")
    assert np.allclose(at_once, in_turn, atol=1e-12)

    for row in link.correspondences().rows[-3:]:
        print(f"{row.network} = {row.inference}: {row.error:.0e}")


if __name__ == "__main__":
    main()

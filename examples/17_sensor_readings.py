"""Hidden states behind sensor readings: Gaussian emissions with holes, learnt by expectation maximisation.

A machine is idle, at work or worn; a sensor gives its temperature and its vibration, and drops out now and then. The
weight that a reading has for a state in the M-step is what reaches the state's indicator in the reverse sweep.
"""

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

from dbn_bptt import dbn

STATES = {("Mode", t): ["idle", "at work", "worn"] for t in (0, 1)}


def machine(start: list, move: list) -> DynamicBayesianNetwork:
    """A chain of modes; columns of `move` are where each mode leads."""
    model = DynamicBayesianNetwork([(("Mode", 0), ("Mode", 1))])
    model.add_cpds(
        TabularCPD(("Mode", 0), 3, np.reshape(start, (3, 1)), state_names={("Mode", 0): STATES["Mode", 0]}),
        TabularCPD(("Mode", 1), 3, move, [("Mode", 0)], [3], STATES),
    )
    return model


def main() -> None:
    """Draw readings, drop some, learn the model again, and find the modes."""
    means = [[20.0, 0.1], [45.0, 1.0], [60.0, 2.5]]
    covariances = [np.diag([4.0, 0.01]), [[25.0, 0.5], [0.5, 0.09]], [[36.0, 2.0], [2.0, 0.49]]]
    move = [[0.95, 0.06, 0.0], [0.05, 0.92, 0.02], [0.0, 0.02, 0.98]]
    true = dbn.emit(machine([0.8, 0.2, 0.0], move), "Reading", dbn.gaussian("Mode", means, covariances))
    drawn = dbn.sample(true, 40, T=120, seed=1)
    rng = np.random.default_rng(0)
    readings = np.where(rng.random(drawn["Reading"].shape) < 0.15, np.nan, drawn["Reading"])

    guess = dbn.emit(
        machine([0.4, 0.3, 0.3], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]),
        "Reading", dbn.gaussian("Mode", [[10.0, 0.0], [40.0, 1.0], [70.0, 2.0]], 50.0, floor=1e-4),
    )  # fmt: skip
    found = dbn.fit(guess, {"Reading": readings}, steps=100, tolerance=1e-8)
    print(found)
    learnt = found.model.emissions["Reading"]
    for k, mode in enumerate(STATES["Mode", 0]):
        print(
            f"{mode:8s} mean {learnt.means[k].round(2)}, deviations {np.sqrt(np.diag(learnt.covariances[k])).round(2)}"
        )
    assert np.abs(learnt.means - means).max() < 1.0

    path = dbn.viterbi(found.model, {"Reading": readings})
    right = (path["Mode"] == drawn["Mode"]).mean()
    print(f"the most probable path is right in {right:.1%} of the slices, with {np.isnan(readings).mean():.0%} missing")
    assert right > 0.97


if __name__ == "__main__":
    main()

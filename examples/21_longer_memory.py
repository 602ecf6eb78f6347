"""Longer memory: a chain of order 2 found by its score, and states that last for a time of their own."""

import numpy as np

from dbn_bptt import dbn

rng = np.random.default_rng(0)


def of_order(k: int) -> dbn.Network:
    """A hidden chain of order k with random tables, seen through noise."""
    edges = [("Z", "Z", lag) for lag in range(1, k + 1)] + [("Z", "Y", 0)]
    tables = {s: rng.dirichlet(np.ones(2), 2**s).T.reshape((2,) * (s + 1)) for s in range(k + 1)}
    return dbn.model(edges, {"Z": tables, "Y": [[0.9, 0.1], [0.1, 0.9]]})


# A process that repeats itself every other slice, and hardly remembers the slice before.
swing = np.array([[[0.95, 0.1], [0.9, 0.05]], [[0.05, 0.9], [0.1, 0.95]]])  # [z, one before, two before]
edges = [("Z", "Z", 1), ("Z", "Z", 2), ("Z", "Y", 0)]
truth = dbn.model(edges, {"Z": {0: [0.5, 0.5], 1: np.full((2, 2), 0.5), 2: swing}, "Y": [[0.9, 0.1], [0.1, 0.9]]})
data = dbn.sample(truth, 40, T=50, seed=1)["Y"]

print("order  log-likelihood  BIC")
scores = {}
for k in (1, 2, 3):
    learnt = dbn.fit(of_order(k), {"Y": data}, starts=4, seed=2, steps=60)
    scores[k] = dbn.score(learnt.model, {"Y": data})
    print(f"{k:<5}  {scores[k].log_likelihood:<14.1f}  {scores[k].bic:.1f}")
assert min(scores, key=lambda k: scores[k].bic) == 2

# A machine that works for 4 to 6 slices, is cleaned for exactly 2, and sometimes looks the one when it is the other.
turn = dbn.model(
    [("State", "State", 1), ("State", "Light", 0)],
    {"State": {0: [1, 0], 1: [[0, 1], [1, 0]]}, "Light": [[0.75, 0.25], [0.25, 0.75]]},
    {"State": ["works", "cleaned"]},
)
machine = dbn.durations(turn, "State", [[0, 0, 0, 0.3, 0.4, 0.3], [0, 1, 0, 0, 0, 0]])
path = dbn.sample(machine, 1, T=40, seed=3)
light = path["Light"][0]

rates = [[1 - 1 / 5, 1 / 2], [1 / 5, 1 - 1 / 2]]  # the same mean durations, without memory
markov = dbn.model(
    [("State", "State", 1), ("State", "Light", 0)],
    {"State": {0: [1, 0], 1: rates}, "Light": [[0.75, 0.25], [0.25, 0.75]]},
)
print("\nhow often the most probable state is the true one")
for name, model in {"durations": machine, "without": markov}.items():
    found = dbn.smooth(model, {"Light": light})["State"].argmax(-1)
    print(f"{name:<10} {(found == path['State'][0]).mean():.3f}")
print("\nslices until it is cleaned, if it has worked for 3: probability of 'cleaned' in the slices to come")
ahead = dbn.predict(machine, 4, {"State": [0, 0, 0]})
print(ahead["State"][:, 1].round(3))

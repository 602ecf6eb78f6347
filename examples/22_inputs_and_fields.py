"""Tables that depend on inputs, and conditional random fields: one sweep, and what stands in its tables."""

import numpy as np

import dbn_bptt as db
from dbn_bptt import dbn

rng = np.random.default_rng(0)

# A machine wears out the faster, the more it is loaded; a sensor shows its state with noise.
states = {"State": ["good", "worn"], "Sensor": ["quiet", "loud"]}
sensor = [[0.85, 0.2], [0.15, 0.8]]  # [sensor, state]
edges = [("State", "State", 1), ("State", "Sensor", 0)]
constant = dbn.model(edges, {"State": {0: [0.9, 0.1], 1: [[0.9, 0.1], [0.1, 0.9]]}, "Sensor": sensor}, states)
weights, bias = np.zeros((2, 2, 1)), np.log([[0.95, 0.1], [0.05, 0.9]])
weights[1, :, 0] = [2.0, 1.0]  # what a unit of load adds to the logit of "worn", from "good" and from "worn"
truth = dbn.drive(constant, "Load", dbn.logistic("State", weights, bias))

load = rng.normal(size=(100, 50))
seen = {"Sensor": dbn.sample(truth, 1, {"Load": load}, seed=1)["Sensor"][:, 0]}
begun = dbn.drive(constant, "Load", dbn.logistic("State", np.zeros((2, 2, 1)), bias))
print("an input-output hidden Markov model")
for name, model, evidence in (("without load", constant, seen), ("with load", begun, {**seen, "Load": load})):
    learnt = dbn.fit(model, evidence, steps=100).model
    print(f"{name:<13} {dbn.score(learnt, evidence)}")
found = learnt.drives["State"].scores.parameters["weights"][..., 0]
print("slopes of the logit of 'worn':", (found[1] - found[0]).round(2), "by truth", weights[1, :, 0])

# Labels of a signal. A hidden Markov model explains the signal; a conditional field only what it says of the labels.
K, T = 2, 40
chain = dbn.model([("Z", "Z", 1)], {"Z": {0: [0.5, 0.5], 1: [[0.9, 0.1], [0.1, 0.9]]}})


def drawn(sequences: int) -> dict[str, np.ndarray]:
    """Labels, and a signal whose noise lasts for several slices, which no hidden Markov model expects."""
    z = dbn.sample(chain, sequences, T=T, seed=rng)["Z"]
    noise = np.zeros((sequences, T + 1))
    for t in range(T):
        noise[:, t + 1] = 0.95 * noise[:, t] + 0.5 * rng.normal(size=sequences)
    x = z + noise[:, 1:]
    before = np.concatenate([x[:, :1], x[:, :-1]], 1)
    return {"Z": z, "X": np.stack([x, x - before], -1)}


train, test = drawn(100), drawn(100)
gaussian = dbn.emit(chain, "X", dbn.gaussian("Z", [[0.0, 0.0], [1.0, 0.0]], 1.0))
t = db.SliceTemplate("scores")
t.define(t.variable("log_likelihood", K), t.parameter("W", (K, 2)) @ t.input("x", 2))
scored = dbn.emit(chain, "X", dbn.emission("Z", t, {"W": np.zeros((K, 2))}))
field = dbn.conditional(dbn.drive(scored, "X", dbn.logistic("Z", np.zeros((K, K, 2)), np.zeros((K, K)))))
print("\nlabels of a signal: log p(labels | signal) a slice, and how many are right, on new sequences")
hits = {}
for name, model in {"hidden Markov model": gaussian, "conditional field": field}.items():
    learnt = dbn.fit(model, train, prior=1e-3).model
    joint = dbn.log_likelihood(learnt, test).sum()
    alone = 0.0 if learnt.conditional else dbn.log_likelihood(learnt, {"X": test["X"]}).sum()
    hits[name] = (dbn.smooth(learnt, {"X": test["X"]})["Z"].argmax(-1) == test["Z"]).mean()
    print(f"{name:<20} {(joint - alone) / test['Z'].size:8.3f}   {hits[name]:.3f}")
assert hits["conditional field"] > hits["hidden Markov model"]

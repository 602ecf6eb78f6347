"""Exact inference in a pgmpy network: smooth, filter, predict, decode, sample."""

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

from dbn_bptt import dbn

# A machine wears out and is repaired; its noise and its product tell about it. Products are checked now and then.
edges = [(("Wear", 0), ("Wear", 1)), (("Wear", 0), ("Noise", 0)), (("Wear", 0), ("Product", 0))]
model = DynamicBayesianNetwork(edges)
wear, noise, product = ["new", "worn", "broken"], ["quiet", "loud"], ["good", "bad"]
names = {("Wear", 0): wear, ("Wear", 1): wear, ("Noise", 0): noise, ("Product", 0): product}
model.add_cpds(
    TabularCPD(("Wear", 0), 3, [[1.0], [0.0], [0.0]], state_names={("Wear", 0): wear}),
    TabularCPD(("Wear", 1), 3, [[0.9, 0.0, 0.3], [0.1, 0.9, 0.0], [0.0, 0.1, 0.7]], [("Wear", 0)], [3],
               {key: names[key] for key in (("Wear", 1), ("Wear", 0))}),
    TabularCPD(("Noise", 0), 2, [[0.9, 0.6, 0.2], [0.1, 0.4, 0.8]], [("Wear", 0)], [3],
               {key: names[key] for key in (("Noise", 0), ("Wear", 0))}),
    TabularCPD(("Product", 0), 2, [[0.99, 0.9, 0.4], [0.01, 0.1, 0.6]], [("Wear", 0)], [3],
               {key: names[key] for key in (("Product", 0), ("Wear", 0))}),
)  # fmt: skip
print(dbn.summary(model))

evidence = {
    "Noise": ["quiet", "quiet", "loud", "quiet", "loud", "loud", "loud", "loud"],
    "Product": ["good", None, None, "good", None, None, None, "bad"],
}
posterior = dbn.smooth(model, evidence)
print(f"\nlog p(evidence) = {posterior.log_likelihood:.4f}")
print("\nGiven all evidence:\n", posterior.to_frame()["Wear"].round(3))
print("\nGiven the evidence so far:\n", dbn.filter(model, evidence).to_frame()["Wear"].round(3))
print("\nThe next three slices:\n", dbn.predict(model, 3, evidence).to_frame()["Wear"].round(3))
print("\nThe most probable path:", *dbn.viterbi(model, evidence).named("Wear"))
for path in dbn.sample(model, 3, evidence, seed=0).named("Wear"):
    print("A path drawn from the posterior:", *path)
frequency = (dbn.sample(model, 20_000, evidence, seed=1)["Wear"][..., None] == np.arange(3)).mean(0)
print(f"20,000 paths agree with the posterior to {np.abs(frequency - posterior['Wear']).max():.3f}")

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
filtered = dbn.filter(model, evidence)
path = dbn.viterbi(model, evidence).named("Wear")
print(f"\nlog p(evidence) = {posterior.log_likelihood:.4f}\n")

print("                    p(new, worn, broken), given")
print(" t  noise product   the evidence so far   all evidence          the most probable path")
for t, (heard, seen) in enumerate(zip(evidence["Noise"], evidence["Product"], strict=True)):
    rows = ["  ".join(f"{p:.3f}" for p in result["Wear", t]) for result in (filtered, posterior)]
    print(f" {t}  {heard:5} {seen or '':7}   {rows[0]}   {rows[1]}   {path[t]}")
print("""
Later evidence changes what is believed of earlier slices: by slice 4 one loud noise proves little, but three more and
a bad product make a broken machine likely even then. The most probable path calls it broken from slice 4 on, where
"worn" is the more probable state of slice 4 alone: the best path is not made of the best states.
""")
print("The next three slices:", dbn.predict(model, 3, evidence).to_frame()["Wear"].round(3), sep="\n")
for drawn in dbn.sample(model, 3, evidence, seed=0).named("Wear"):
    print("A path drawn from the posterior:", *drawn)
frequency = (dbn.sample(model, 20_000, evidence, seed=1)["Wear"][..., None] == np.arange(3)).mean(0)
print(f"20,000 drawn paths agree with the posterior to {np.abs(frequency - posterior['Wear']).max():.3f}")

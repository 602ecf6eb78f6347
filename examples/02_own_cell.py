"""A cell of one's own: describe one time slice, and check its gradients."""

import numpy as np

import dbn_bptt as db

t = db.SliceTemplate("leaky network with skip connection")
W, U, b = t.parameter("W", (4, 4)), t.parameter("U", (4, 3)), t.parameter("b", 4)
leak = t.parameter("leak", 4)
x, y = t.input("x", 3), t.target("y", classes=4)
h = t.variable("h", 4)
t.define(h, db.sigmoid(leak) * h.prev + db.tanh(b + W @ h.lag(2) + U @ x))
t.loss("L", db.cross_entropy(h, y))

print(db.equations(t, format="text"))
print()
print(db.equations(db.adjoint(t), format="text"))
print()

rng = np.random.default_rng(0)
data = {"x": rng.normal(size=(6, 3, 3)), "y": rng.integers(0, 4, (6, 3))}  # T = 6 slices, a batch of 3 sequences
report = db.compare(t, t.initial_parameters(seed=1), data, initial={"h": rng.normal(size=(2, 4))}, lengths=[6, 2, 4])
print(report)
assert report.ok

"""Inference in a dynamic Bayesian network is back-propagation through time, number by number.

The forward algorithm of a hidden Markov model is a slice template like any recurrent network's. Its reverse sweep is
the backward algorithm: the message into alpha is minus beta, and what reaches an indicator is a posterior.
"""

import numpy as np

import dbn_bptt as db
from dbn_bptt import dbn

model, umbrella = dbn.umbrella(), np.array([1, 1, 0, 1, 0])
model.get_cpds(("Rain", 1)).values[:] = [[0.8, 0.4], [0.2, 0.6]]  # columns: the day before; rows: dry and rain
T = len(umbrella)
template = dbn.template(model)
print(db.equations(template, format="text"))
print("\nits adjoint:")
print(db.equations(db.adjoint(template), format="text"))

graph = db.unroll(template, T)  # a plain networkx graph
values = db.forward(graph, {}, {"e_Umbrella": np.eye(2)[umbrella]})  # the forward algorithm
messages = db.backward(graph, values)  # the backward algorithm

cpds = {tuple(cpd.variables[0]): cpd.values for cpd in model.cpds}
A, B = cpds["Rain", 1], cpds["Umbrella", 0]
beta = np.ones((T, 2))  # as the textbooks write it, scaled as alpha is
for t in range(T - 2, -1, -1):
    beta[t] = A.T @ (B[umbrella[t + 1]] * beta[t + 1]) / values["scale", t + 1]

posterior = dbn.smooth(model, {"Umbrella": umbrella})
print("\n t  alpha            -dL/dalpha       beta             alpha * beta     smooth")
for t in range(T):
    message = -messages.adjoint["alpha", t]
    columns = [values["alpha", t], message, beta[t], values["alpha", t] * beta[t], posterior["Rain", t]]
    print(f" {t}  " + "  ".join(f"{a:.5f} {b:.5f}" for a, b in columns))
    assert np.allclose(message, beta[t], atol=1e-14)
    assert np.allclose(-messages.adjoint["e_Rain", t], posterior["Rain", t], atol=1e-14)
print(f"\nThe loss of BPTT is {values.loss:.6f}; -log p(evidence) is {-posterior.log_likelihood:.6f}.")
counts = dbn.expected_counts(model, {"Umbrella": umbrella})["Rain", 1]
by_gradient = -A * messages.gradients["P_Rain"]
print("\nExpected transitions, and the table times the gradient of log p (rows: to dry, to rain; columns: from):")
for row, other in zip(counts, by_gradient, strict=True):
    print("  ", *(f"{c:.4f}" for c in row), "    ", *(f"{c:.4f}" for c in other))
assert np.allclose(counts, by_gradient)

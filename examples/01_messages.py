"""Back-propagation through time as messages on the unrolled graph, beside a direct NumPy implementation."""

import networkx as nx
import numpy as np

import dbn_bptt as db
from dbn_bptt.reference import elman_bptt

rng = np.random.default_rng(0)
rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
parameters = rnn.initial_parameters(seed=0)
x, y = rng.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])

graph = db.unroll(rnn, T=5)
print(f"the unrolled graph: {len(graph)} nodes, {graph.number_of_edges()} edges,", end=" ")
print(f"acyclic: {nx.is_directed_acyclic_graph(graph)}")

values = db.forward(graph, parameters, {"x": x, "y": y})
messages = db.backward(graph, values)
print(f"loss = {values.loss:.6f} nats")

print("\nwho tells h_2 its part of the loss, and how much:")
for _, child, key in graph.out_edges(("h", 2), keys=True):
    print(f"  {child}: {messages.edge[('h', 2), child, key].round(4)}")
print(f"  their sum, dL/dh_2: {messages.adjoint['h', 2].round(4)}")

print("\nthe gradient of W is the sum of what each slice sends it:")
for t, gradient in enumerate(messages.per_slice("W")):
    print(f"  slice {t}: norm {np.linalg.norm(gradient):.4f}")

_, expected = elman_bptt(parameters, x, np.eye(2)[y])
worst = max(np.abs(messages.gradients[name] - expected[name]).max() for name in parameters)
print(f"\nlargest difference from the NumPy implementation: {worst:.1e}")
assert worst < 1e-12

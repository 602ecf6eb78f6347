"""The gradient as a sum over paths: counted, weighed, split by lag, itemised by slice, eliminated in any order."""

import networkx as nx
import numpy as np

import dbn_bptt as db
from dbn_bptt import link, paths

rng = np.random.default_rng(0)
rnn = db.cells.elman(n_inputs=2, n_hidden=3, n_outputs=2)
theta = {name: rng.normal(size=rnn.symbols[name].shape) for name in rnn.names("parameter")}
data = {"x": rng.normal(size=(6, 2)), "y": rng.integers(0, 2, 6)}

print(paths.derivative_table(rnn, theta, data))

graph = db.unroll(rnn, T=6)
values = db.forward(graph, theta, data)
scalars = paths.linearize(graph, values)  # a networkx.DiGraph: one node a number, one edge a partial derivative
source, loss = ("h", -1, (0,)), ("L", None, ())
print(f"\nThe scalar graph has {scalars.number_of_nodes()} nodes and {scalars.number_of_edges()} edges.")
print(f"Paths from h_0 of the initial state to the loss: {paths.sweep(scalars, loss, paths.COUNT)[source]}")
print(f"their sum, by one sweep:        {paths.sweep(scalars, loss)[source]: .6f}")
print(f"by a triangular solve:          {paths.adjoint_solve(scalars, loss)[source]: .6f}")
print(f"by enumeration:                 {paths.path_sum(scalars, source, loss): .6f}")
print(f"by BPTT:                        {db.backward(graph, values).adjoint['h', -1][0]: .6f}")
print(
    f"entropy of the paths' shares:    {paths.path_entropy(paths.sweep(scalars, loss, paths.ENTROPY)[source]):.4f} nats"
)
print("the three that carry most:")
for weight, path in paths.heaviest_paths(scalars, source, loss, k=3):
    nodes = [f"{name}{list(index)}" + ("" if t is None else f"@{t}") for name, t, index in path]
    print(f"  {weight: .4f}  {' -> '.join(nodes)}")

items = paths.credit(rnn, theta, data)
print("\nWho is to blame: |dL_s/dW^(t)|, s down, t across")
print(np.array2string(items.norms("W"), precision=3, suppress_small=True))
parts = items.by_lag("W")
for k in range(3):
    error = np.linalg.norm(parts[k + 1 :].sum(0)) / np.linalg.norm(parts.sum(0))
    print(f"truncation after lag {k} is off by {100 * error:.1f} %")

useful = scalars.subgraph(nx.ancestors(scalars, loss) | {loss})
costs = {order: paths.elimination_cost(useful, order) for order in ("reverse", "forward", "markowitz")}
print(f"\nMultiplications by order of elimination: {costs}")

link.figures.credit_matrix(items).savefig("credit.png")
link.figures.gradient_by_lag(items).savefig("gradient_by_lag.png")
link.figures.adjoint_norms().savefig("vanishing_and_exploding.png")
print("wrote credit.png, gradient_by_lag.png, vanishing_and_exploding.png")

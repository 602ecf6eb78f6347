"""The recurrent network as a Bayesian network of stochastic units, and the limits in which that is BPTT, or is not."""

import numpy as np

import dbn_bptt as db
from dbn_bptt import dbn, link

rng = np.random.default_rng(0)
rnn = db.cells.elman(n_inputs=2, n_hidden=2, n_outputs=2)
theta = {name: rng.normal(size=rnn.symbols[name].shape) for name in rnn.names("parameter")}
data = {"x": rng.normal(size=(4, 2)), "y": rng.integers(0, 2, 4)}
limit = db.bptt(rnn, theta, data)

print("Each unit is replaced by n copies that are +1 or -1, and the posterior of all of them given y is exact.")
print(
    "Prior minus posterior mean is what BPTT computes as its delta, exactly for every n; as n grows, it becomes BPTT's."
)
print(f"\n{'n':>6} {'-log p_n':>10} {'|dW_n - dW|':>12} {'times n':>8}")
for n in (1, 2, 5, 10, 20, 40):
    found = dbn.unit_posterior(dbn.sigmoid_belief(2, 2, 2, copies=n), theta, data)
    error = np.abs(found.gradients["W"] - limit.gradients["W"]).max()
    print(f"{n:6d} {-found.log_likelihood:10.5f} {error:12.6f} {n * error:8.4f}")
print(f"{'RNN':>6} {limit.loss:10.5f}")

J = dbn.value_function(rnn, theta, data, t=1)
h = limit.values["h", 1]
print(f"\nThe message into h_1 is {limit.messages.adjoint['h', 1].round(5)},")
print(f"the slope of -log beta_1 there {J.gradient(h).round(5)}; its curvature is\n{J.hessian(h).round(5)}")

for name, figure in {
    "many_copies": link.figures.many_copies(),
    "wrong_limit": link.figures.wrong_limit(),
    "value_and_tangent": link.figures.value_and_tangent(),
}.items():
    figure.savefig(f"{name}.png")
print("\nwrote many_copies.png, wrong_limit.png, value_and_tangent.png")

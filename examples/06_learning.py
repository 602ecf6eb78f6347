"""Two ways to learn a network's tables from the same gradient: expectation maximisation, and scipy's optimiser.

An expected count is a table's entry times the gradient of log p. EM makes each column of counts a distribution. A
gradient method goes through logits: their gradient is the counts minus the column's total times the table, which is 0
where the table already is the distribution of its counts.
"""

import numpy as np
import scipy.optimize
import scipy.special

import dbn_bptt as db
from dbn_bptt import dbn

truth = dbn.umbrella()
data = {"Umbrella": dbn.sample(truth, 100, T=30, seed=0)["Umbrella"]}  # 100 sequences of 30 slices
print(f"log p(data) of the true tables: {dbn.log_likelihood(truth, data).sum():.3f}")

learnt = dbn.fit(truth, data, steps=2000, tolerance=1e-9, seed=1)  # seed: begin with random tables, not the true ones
print(learnt)
print("It beats the true tables, on the data that it was fitted to. The states may have changed places:")
for node in (("Rain", 0), ("Rain", 1), ("Umbrella", 0)):
    found, true = (m.get_cpds(node).values.round(2).tolist() for m in (learnt.model, truth))
    print(f"  {node}: learnt {found}, true {true}")

template = dbn.template(learnt.model)
program = db.compile(template)
indicators = {"e_Umbrella": np.eye(2)[data["Umbrella"].T]}  # time first
shapes = {name: template.symbols[name].shape for name in template.names("parameter")}


def tables(logits):
    """The tables of a vector of logits."""
    parts = np.split(logits, np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1])
    return {n: scipy.special.softmax(part.reshape(s), 0) for part, (n, s) in zip(parts, shapes.items(), strict=True)}


def loss_and_gradient(logits):
    """-log p(data), and its gradient with respect to the logits."""
    now = tables(logits)
    loss, gradients = program.value_and_grad(now, indicators)
    counts = {name: now[name] * gradients[name] for name in now}
    return loss, np.concatenate([(counts[n] - now[n] * counts[n].sum(0)).ravel() for n in now])


start = np.random.default_rng(1).normal(size=sum(np.prod(shape) for shape in shapes.values()))
numeric = scipy.optimize.approx_fprime(start, lambda v: loss_and_gradient(v)[0], 1e-6)
assert np.allclose(loss_and_gradient(start)[1], numeric, rtol=1e-3, atol=1e-2)
found = scipy.optimize.minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
print(
    f"L-BFGS through the gradient: {-found.fun:.6g} in {found.nit} steps, each with about one gradient, as a step of EM"
)
assert abs(-found.fun - learnt.log_likelihoods[-1]) < 1e-3 * abs(found.fun)

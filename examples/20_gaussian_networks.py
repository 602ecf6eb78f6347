"""Diffuse priors, a network of Gaussian variables from pgmpy's CPDs, and switching between linear-Gaussian models."""

import numpy as np
import scipy.optimize
from pgmpy.factors.continuous import LinearGaussianCPD

import dbn_bptt as db
from dbn_bptt import dbn

rng = np.random.default_rng(0)

# A trend of which nothing is known beforehand, with a gap; the first three slices were not seen.
slope = np.cumsum(0.1 * rng.normal(size=60))
y = 200 + np.cumsum(slope) + rng.normal(size=60)
y[:3], y[30:36] = np.nan, np.nan
trend, q = [[1.0, 1.0], [0.0, 1.0]], np.diag([0.0, 0.01])
print("variances of the initial state, and what they come to:")
for V in (1e2, 1e6, 1e10):
    kalman = dbn.linear_gaussian(trend, [[1.0, 0.0]], q, [[1.0]], np.zeros(2), V * np.eye(2))
    found = dbn.smooth(kalman, {"y": y})
    (level, _), deviation = found.mean[0], np.sqrt(found.covariance[0, 0, 0])
    print(f"  {V:.0e}: level in slice 0 {level:.4f} +- {deviation:.4f}, log-likelihood {found.log_likelihood:.4f}")
learnt = dbn.fit(kalman, {"y": y}, learn=("Q", "R"), steps=100)
print(learnt, "\nforecasts:", dbn.predict(learnt.model, 3, {"y": y}).mean[:, 0].round(2))

# Soil gets wet by rain, which is seen now and then, and a sensor reads it.
cpds = [
    LinearGaussianCPD(("Rain", 0), [1.0], 1.0),
    LinearGaussianCPD(("Soil", 0), [20.0], 5.0),
    LinearGaussianCPD(("Soil", 1), [-1.0, 0.9, 2.0], 0.5, [("Soil", 0), ("Rain", 1)]),
    LinearGaussianCPD(("Sensor", 0), [0.0, 1.0], 0.3, [("Soil", 0)]),
]
garden = dbn.gaussian_network(cpds)
paths = dbn.sample(garden, T=12, seed=1)
evidence = {"Sensor": paths["Sensor"][0], "Rain": np.where(np.arange(12) % 4, np.nan, paths["Rain"][0])}
posterior = dbn.smooth(garden, evidence)
apart = (posterior["Rain"].mean - paths["Rain"][0])[1::4]
print(f"\n{garden}: rain that nobody saw is known to within {np.sqrt(posterior['Rain'].variance[1]):.2f}")
print("  off by", apart.round(2))

# A walk that is calm or wild; how often it changes is learnt by L-BFGS, through the gradient of GPB2's log-likelihood.
stay, regimes = 0.95, [0]
for _ in range(199):
    regimes.append(regimes[-1] if rng.random() < stay else 1 - regimes[-1])
walk = np.cumsum(rng.normal(size=200) * np.where(regimes, 2.0, 0.1)) + 0.3 * rng.normal(size=200)


def models(small, large):
    """Two walks by the variances of their steps."""
    return [dbn.linear_gaussian([[1.0]], [[1.0]], [[v]], [[0.09]], [0.0], [[1.0]]) for v in (small, large)]


start = dbn.switching([[0.7, 0.3], [0.3, 0.7]], [0.5, 0.5], models(0.1, 1.0))
program, data, theta = db.compile(start), dbn.kalman_data(start, {"y": walk}), start.parameters


def loss_and_gradient(v):
    """-log p, approximately, and its gradient in the logit of staying and the logarithms of two variances."""
    s, variances = 1 / (1 + np.exp(-v[0])), np.exp(v[1:])
    table = np.array([[s, 1 - s], [1 - s, s]])
    loss, g = program.value_and_grad({**theta, "transition": table, "Q": variances[:, None, None]}, data)
    staying = s * (1 - s) * (g["transition"] * np.array([[1, -1], [-1, 1]])).sum()
    return loss, np.r_[staying, g["Q"].ravel() * variances]


best = scipy.optimize.minimize(loss_and_gradient, np.r_[0.8, np.log([0.1, 1.0])], jac=True, method="L-BFGS-B")
s, (small, large) = 1 / (1 + np.exp(-best.x[0])), np.exp(best.x[1:])
print(f"\nstays with {s:.3f} (true: {stay}), variances {small:.3f} and {large:.2f} (true: 0.01 and 4)")
found = dbn.smooth(dbn.switching([[s, 1 - s], [1 - s, s]], [0.5, 0.5], models(small, large)), {"y": walk})
right = (found.probabilities.argmax(1) == regimes).mean()
print(f"{found}\n{right:.0%} of the regimes are told")
assert right > 0.8

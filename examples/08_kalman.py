"""The Kalman smoother is BPTT through the Kalman filter, and its parameters are learnt through the same gradient."""

import numpy as np
import scipy.optimize

import dbn_bptt as db
from dbn_bptt import dbn, link

# A noisy rotation, of which one coordinate is seen, now and then.
angle, rng = 0.3, np.random.default_rng(0)
A = 0.98 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
C, Q, R = np.array([[1.0, 0.0]]), 0.05 * np.eye(2), 0.2 * np.eye(1)
z, y = np.array([2.0, 0.0]), []
for _ in range(300):
    y.append(C @ z + rng.normal(size=1) * np.sqrt(R[0, 0]))
    z = A @ z + rng.normal(size=2) * np.sqrt(Q[0, 0])
y = np.array(y)
y[rng.random(300) < 0.2] = np.nan

kalman = dbn.linear_gaussian(A, C, Q, R, mean=[2.0, 0.0], covariance=np.eye(2))
print(db.equations(kalman, format="text"))

posterior = dbn.smooth(kalman, {"y": y})
print(f"\n{posterior}")
result = db.bptt(kalman, {}, dbn.kalman_data(kalman, {"y": y}))
lam = result.messages.stack("m_pred")  # what BPTT says to the predicted means: the smoother's adjoint
by_hand = result.values.stack("m_pred") - np.einsum("tij,tj->ti", result.values.stack("P_pred"), lam)
print(f"m- - P- dL/dm- is the smoothed mean, up to {np.abs(by_hand - posterior.mean).max():.0e}")
print(posterior.to_frame().iloc[::75].round(3))

program, data = db.compile(kalman), dbn.kalman_data(kalman, {"y": y})
known = {"C": C, "mean": [2.0, 0.0], "covariance": np.eye(2)}


def loss_and_gradient(v):
    """-log p(y), and its gradient, in A and in the logarithms of the two variances."""
    q, r = np.exp(v[4:])
    theta = {"A": v[:4].reshape(2, 2), "Q": q * np.eye(2), "R": r * np.eye(1), **known}
    loss, g = program.value_and_grad(theta, data)
    return loss, np.r_[g["A"].ravel(), q * np.trace(g["Q"]), r * np.trace(g["R"])]


start = np.r_[0.9, -0.1, 0.1, 0.9, 0.0, 0.0]
found = scipy.optimize.minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B")
print(f"\nlearnt by L-BFGS: -log p {loss_and_gradient(start)[0]:.3f} -> {found.fun:.3f}")
print(f"with the true parameters: {result.loss:.3f}")
learnt = np.linalg.eigvals(found.x[:4].reshape(2, 2))[0]
print(f"the rotation a slice: {abs(np.angle(learnt)):.3f} (true: {angle}), its modulus {abs(learnt):.3f} (true: 0.98)")
assert found.fun <= result.loss

link.figures.vanishing_noise().savefig("vanishing_noise.png")
print("wrote vanishing_noise.png")

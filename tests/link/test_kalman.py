"""THEORY.md, section 6: the smoother is BPTT through the Kalman filter."""

from typing import Any

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from tests.helpers import assert_close


def gaussian(seed: int = 0, d: int = 3, k: int = 2):
    rng = np.random.default_rng(seed)

    def spd(n: int) -> Any:
        a = rng.normal(size=(n, n))
        return a @ a.T + 0.3 * np.eye(n)

    return {
        "A": 0.5 * rng.normal(size=(d, d)), "C": rng.normal(size=(k, d)), "Q": spd(d), "R": spd(k),
        "mean": rng.normal(size=d), "covariance": spd(d),
    }  # fmt: skip


def joint_gaussian(model: dict[str, Any], y: Any, shift: Any) -> tuple[Any, Any, float]:
    """Posterior and log-likelihood from the joint normal distribution of all states and observations."""
    A, C, Q, R = (model[name] for name in "ACQR")
    T, d = len(y), len(A)
    mean, cov = np.zeros((T, d)), np.zeros((T * d, T * d))
    mean[0], block = model["mean"], model["covariance"]
    cov[:d, :d] = block
    for t in range(1, T):
        mean[t] = A @ mean[t - 1] + shift[t]
        rows, last = slice(t * d, (t + 1) * d), slice((t - 1) * d, t * d)
        cov[rows, : t * d] = A @ cov[last, : t * d]
        cov[: t * d, rows] = cov[rows, : t * d].T
        cov[rows, rows] = A @ cov[last, last] @ A.T + Q
    big = np.kron(np.eye(T), C)
    seen = ~np.isnan(y).ravel()
    G = (big @ cov @ big.T + np.kron(np.eye(T), R))[np.ix_(seen, seen)]
    cross = (cov @ big.T)[:, seen]
    innovation = (y.ravel() - big @ mean.ravel())[seen]
    gain = cross @ np.linalg.inv(G)
    smoothed = mean.ravel() + gain @ innovation
    covariance = cov - gain @ cross.T
    log_p = -0.5 * (innovation @ np.linalg.solve(G, innovation) + np.linalg.slogdet(2 * np.pi * G)[1])
    blocks = np.stack([covariance[t * d : (t + 1) * d, t * d : (t + 1) * d] for t in range(T)])
    return smoothed.reshape(T, d), blocks, float(log_p)


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("inputs", [False, True])
def test_smoothing_is_bptt_through_the_kalman_filter(missing: float, inputs: bool):
    model, rng = gaussian(), np.random.default_rng(1)
    y = rng.normal(size=(6, 2))
    y[rng.random(y.shape) < missing] = np.nan
    B, u = rng.normal(size=(3, 2)), rng.normal(size=(6, 2))
    kalman = dbn.linear_gaussian(**model, B=B if inputs else None)
    found = dbn.smooth(kalman, {"y": y, "u": u} if inputs else {"y": y})
    mean, covariance, log_p = joint_gaussian(model, y, u @ B.T if inputs else np.zeros((6, 3)))
    assert_close(found.mean, mean, 1e-11)
    assert_close(found.covariance, covariance, 1e-11)
    assert found.log_likelihood == pytest.approx(log_p)
    assert found.to_frame().shape == (6, 6)


def test_the_messages_obey_the_noiseless_recursion_at_the_smoothed_means():
    model, y = gaussian(), np.random.default_rng(1).normal(size=(6, 2))
    A, C, R = model["A"], model["C"], model["R"]
    kalman = dbn.linear_gaussian(**model)
    result = db.bptt(kalman, {}, dbn.kalman_data(kalman, {"y": y}))
    smoothed = dbn.smooth(kalman, {"y": y}).mean
    lam = np.zeros(3)
    for t in range(5, -1, -1):
        lam = C.T @ np.linalg.solve(R, C @ smoothed[t] - y[t]) + A.T @ lam
        assert_close(result.messages.adjoint["m_pred", t], lam, 1e-11)


def test_batches_and_gradients_of_the_kalman_filter():
    model, y = gaussian(), np.random.default_rng(1).normal(size=(4, 6, 2))
    kalman = dbn.linear_gaussian(**model)
    whole = dbn.smooth(kalman, {"y": y})
    for k in range(4):
        assert_close(whole.mean[k], dbn.smooth(kalman, {"y": y[k]}).mean, 1e-12)
    assert db.compare(kalman, model, dbn.kalman_data(kalman, {"y": y})).ok


def test_as_noise_vanishes_smoothing_becomes_bptt():
    """Process noise q leaves a gap O(q) between the smoother's adjoint and BPTT of the noiseless network."""
    model, y = gaussian(), np.random.default_rng(1).normal(size=(6, 2))
    A, C, R, m0 = model["A"], model["C"], model["R"], model["mean"]
    z = [m0]
    for _ in range(5):
        z.append(A @ z[-1])
    lam = np.zeros(3)
    messages = []
    for t in range(5, -1, -1):  # BPTT of the loss 1/2 (y - C z)' R^-1 (y - C z) of the deterministic network
        lam = C.T @ np.linalg.solve(R, C @ z[t] - y[t]) + A.T @ lam
        messages.append(lam)
    gaps = []
    for q in (1e-2, 1e-3, 1e-4):
        kalman = dbn.linear_gaussian(**{**model, "Q": q * np.eye(3), "covariance": q * np.eye(3)})
        result = db.bptt(kalman, {}, dbn.kalman_data(kalman, {"y": y}))
        gaps.append(np.abs(result.messages.adjoint["m_pred", 0] - messages[-1]).max())
    assert 8 < gaps[0] / gaps[1] < 12
    assert 9 < gaps[1] / gaps[2] < 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Q": np.eye(2)}, r"Q has shape \(2, 2\); it must be \(3, 3\)"),
        ({"R": -np.eye(2)}, "R is no covariance"),
        ({"B": np.ones(3)}, "B has shape"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(change, message):
    with pytest.raises(db.DataError, match=message):
        dbn.linear_gaussian(**{**gaussian(), **change})


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"z": [1.0]}, "unknown input 'z'"),
        ({}, "no observations 'y'"),
        ([1.0], "must be a dict"),
        ({"y": np.ones((3, 5))}, "y has shape"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(evidence, message):
    with pytest.raises(db.DbnBpttError, match=message):
        dbn.smooth(dbn.linear_gaussian(**gaussian()), evidence)


def test_the_kalman_filter_of_an_unstable_system_stays_symmetric():
    A, C = np.array([[1.3, 0.1], [0, 1.2]]), np.array([[1.0, 0]])
    y = np.random.default_rng(0).normal(size=(300, 1))
    kalman = dbn.linear_gaussian(A, C, np.eye(2), np.eye(1), np.zeros(2), np.eye(2))
    found = dbn.smooth(kalman, {"y": y})
    assert found.log_likelihood == pytest.approx(-596.92, abs=0.01)
    assert np.diagonal(found.covariance, axis1=1, axis2=2).min() > 0
    assert np.abs(found.mean).max() < 100


def test_a_singular_covariance_is_refused():
    flat = dbn.linear_gaussian([[1.0]], [[1.0]], [[0.0]], [[0.0]], [0.0], [[1.0]])
    with pytest.raises(db.DataError, match="singular"):
        dbn.smooth(flat, {"y": [1.0, 2.0]})

"""Draws, predictions and likelihoods of linear-Gaussian models."""

import numpy as np
import pytest

from dbn_bptt import dbn
from dbn_bptt.errors import DataError
from tests.dbn import exact

THETA = {
    "A": np.array([[0.8, 0.3], [-0.2, 0.7]]), "C": np.array([[1.0, 0.0], [0.5, 1.0]]), "Q": np.array([[0.5, 0.1], [0.1, 0.3]]),
    "R": np.array([[0.4, 0.2], [0.2, 0.6]]), "mean": np.array([1.0, -1.0]), "covariance": np.eye(2), "B": np.array([[1.0], [0.0]]),
}  # fmt: skip
KALMAN = dbn.linear_gaussian(**THETA)
U = np.sin(np.arange(5.0))[:, None]
Y = np.array([[1.0, 0.2], [np.nan, 0.4], [np.nan, np.nan], [2.0, np.nan], [0.5, -0.3]])


def test_draws_have_the_posterior_as_their_moments():
    paths = dbn.sample(KALMAN, 20_000, {"y": Y, "u": U}, seed=1)
    mean, covariance, _ = exact.conditioned(THETA, Y, U)
    mean, covariance = mean.astype(float), covariance.astype(float)
    flat = paths.states.reshape(20_000, -1)
    assert np.abs(flat.mean(0) - mean.ravel()).max() < 0.03
    assert np.abs(np.cov(flat.T) - covariance).max() < 0.03
    there = ~np.isnan(Y)
    assert (paths.y[:, there] == Y[there]).all()
    assert repr(paths) == "Gaussian paths, states (20000, 5, 2), y (20000, 5, 2)"


def test_what_was_not_observed_is_drawn_given_what_was():
    """Where the noise of two numbers goes together, one that was seen tells of the other, beyond the state."""
    theta = {**THETA, "R": np.array([[0.4, 0.39], [0.39, 0.4]])}
    paths = dbn.sample(dbn.linear_gaussian(**theta), 20_000, {"y": Y, "u": U}, seed=1)
    apart = (paths.y - paths.states @ theta["C"].T)[:, 1]  # number 0 of slice 1 was not seen, number 1 was
    assert np.corrcoef(apart.T)[0, 1] > 0.9
    assert apart.var(0) == pytest.approx(apart.var(0)[1], rel=0.1)


def test_draws_without_evidence():
    paths = dbn.sample(KALMAN, 20_000, {"u": U}, T=5, seed=0)
    mean, covariance = exact.joint(THETA, 5, U)
    flat = paths.states.reshape(20_000, -1)
    assert np.abs(flat.mean(0) - mean.astype(float)).max() < 0.06
    assert np.abs(np.cov(flat.T) - covariance.astype(float)).max() < 0.06
    assert not np.isnan(paths.y).any()


def test_draws_of_a_batch_from_a_wide_prior():
    trend = dbn.linear_gaussian([[1.0, 1], [0, 1]], [[1.0, 0]], np.eye(2), [[1.0]], [0.0, 0], 1e10 * np.eye(2))
    y = np.array([[1.0, 2.0, np.nan, 5.0], [-4.0, np.nan, 2.0, 2.0]])
    paths, found = dbn.sample(trend, 5000, {"y": y}), dbn.smooth(trend, {"y": y})
    assert paths.states.shape == (2, 5000, 4, 2)
    deviation = np.sqrt(np.diagonal(found.covariance, axis1=2, axis2=3))
    assert (np.abs(paths.states.mean(1) - found.mean) < 0.07 * deviation).all()
    assert np.abs(paths.states.std(1) / deviation - 1).max() < 0.05
    again = dbn.sample(trend, 5000, {"y": y})
    assert np.array_equal(paths.states, again.states)


def test_predictions_come_after_the_evidence():
    ahead = dbn.predict(KALMAN, 2, {"y": Y[:3], "u": U})
    whole = dbn.smooth(KALMAN, {"y": np.r_[Y[:3], np.full((2, 2), np.nan)], "u": U})
    np.testing.assert_allclose(ahead.mean, whole.mean[3:], rtol=1e-12)
    np.testing.assert_allclose(ahead.covariance, whole.covariance[3:], rtol=1e-12)
    assert list(ahead.to_frame().index) == [3, 4]
    assert ahead.plot().axes[-1].lines[0].get_xdata().tolist() == [3, 4]


def test_likelihoods_of_a_batch_come_one_by_one():
    found = dbn.log_likelihood(KALMAN, {"y": np.stack([Y, Y + 1]), "u": np.stack([U, U])})
    assert found == pytest.approx([exact.smoothed(THETA, y, U)[2] for y in (Y, Y + 1)])


REFUSED = {
    "T": (lambda: dbn.filter(KALMAN, {"y": Y, "u": U}, T=3), "filter of a linear-Gaussian network takes no T"),
    "lengths": (lambda: dbn.sample(KALMAN, 1, {"y": Y}, lengths=[3]), "sample of a linear-Gaussian network takes no lengths"),
    "a horizon": (lambda: dbn.predict(KALMAN, 0, {"y": Y, "u": U}), "horizon is 0"),
    "T beside evidence": (lambda: dbn.sample(KALMAN, 1, {"y": Y, "u": U}, T=5), "evidence of y tells the number of slices"),
    "no T": (lambda: dbn.sample(KALMAN, 1, {"u": U}), "no observations 'y'"),
    "u unknown": (lambda: dbn.smooth(KALMAN, {"y": Y, "u": U * np.nan}), "u holds NaN"),
    "u too short": (lambda: dbn.predict(KALMAN, 2, {"y": Y, "u": U}), "'y' has|'u' has"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_means_nothing_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()

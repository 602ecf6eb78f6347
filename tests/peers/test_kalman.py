"""The Kalman smoother against statsmodels."""

import warnings

import numpy as np
import pytest

from dbn_bptt import dbn
from tests.dbn import exact


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_smoother_equals_statsmodels(missing: float):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        space = pytest.importorskip(
            "statsmodels.tsa.statespace.kalman_smoother", reason="statsmodels is not installed (extra: peers)"
        )
    rng = np.random.default_rng(0)
    d, k, T = 3, 2, 40
    A, C = 0.5 * rng.normal(size=(d, d)), rng.normal(size=(k, d))
    Q, R, P = (np.eye(n) + 0.2 for n in (d, k, d))
    y = rng.normal(size=(T, k))
    y[rng.random(y.shape) < missing] = np.nan
    other = space.KalmanSmoother(k_endog=k, k_states=d)
    other.bind(y)
    other["transition"], other["design"], other["selection"] = A, C, np.eye(d)
    other["state_cov"], other["obs_cov"] = Q, R
    other.initialize_known(np.ones(d), P)
    expected = other.smooth()
    found = dbn.smooth(dbn.linear_gaussian(A, C, Q, R, np.ones(d), P), {"y": y})
    np.testing.assert_allclose(found.mean, expected.smoothed_state.T, atol=1e-9)
    np.testing.assert_allclose(found.covariance, np.moveaxis(expected.smoothed_state_cov, -1, 0), atol=1e-9)
    assert found.log_likelihood == pytest.approx(expected.llf)


def test_learning_reaches_the_likelihood_that_statsmodels_finds():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlemodel = pytest.importorskip(
            "statsmodels.tsa.statespace.mlemodel", reason="statsmodels is not installed (extra: peers)"
        )

        class Level(mlemodel.MLEModel):
            """A level that walks, seen with noise; both variances are learnt."""

            start_params = np.array([0.0, 0.0])
            param_names = ("log q", "log r")

            def __init__(self, y):
                super().__init__(y, k_states=1, initialization="known", constant=[0.0], stationary_cov=[[1.0]])
                self["design", 0, 0] = self["transition", 0, 0] = self["selection", 0, 0] = 1.0

            def update(self, params, **kwargs):
                super().update(params, **kwargs)
                self["state_cov", 0, 0], self["obs_cov", 0, 0] = np.exp(params)

        rng = np.random.default_rng(1)
        y = np.cumsum(rng.normal(size=150)) + rng.normal(size=150)
        y[rng.random(150) < 0.1] = np.nan
        expected = Level(y).fit(disp=False, maxiter=500)
    walk = dbn.linear_gaussian([[1.0]], [[1.0]], [[0.3]], [[0.3]], [0.0], [[1.0]])
    found = dbn.fit(walk, {"y": y}, learn=("Q", "R"), steps=3000, tolerance=1e-12)
    assert (np.diff(found.log_likelihoods) >= -1e-9).all()
    assert found.log_likelihoods[-1] == pytest.approx(expected.llf, abs=1e-5)
    assert dbn.smooth(found.model, {"y": y}).log_likelihood == pytest.approx(
        Level(y).loglike(np.log([found.model.parameters["Q"][0, 0], found.model.parameters["R"][0, 0]]))
    )


def statsmodels(y, A, C, Q, R, variance=None):
    """A smoother of theirs, approximately diffuse where there is a variance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        space = pytest.importorskip(
            "statsmodels.tsa.statespace.kalman_smoother", reason="statsmodels is not installed (extra: peers)"
        )
    other = space.KalmanSmoother(k_endog=y.shape[1], k_states=len(A))
    other.bind(y)
    other["transition"], other["design"], other["selection"] = A, C, np.eye(len(A))
    other["state_cov"], other["obs_cov"] = Q, R
    if variance is None:
        other.initialize_known(np.zeros(len(A)), np.eye(len(A)))
    else:
        other.initialize_approximate_diffuse(variance)
        other.loglikelihood_burn = 0
    return other


TREND = np.array([[1.0, 1.0], [0.0, 1.0]])
SEASONAL = np.array([[1.0, 0, 0, 0], [0, -1, -1, -1], [0, 1, 0, 0], [0, 0, 1, 0]])
ARMA = np.array([[1.0, 0, 0], [0, 0.6, 1], [0, 0.2, 0]])
DIFFUSE = {  # A, C, Q, R
    "local level": (np.eye(1), np.eye(1), 0.3 * np.eye(1), np.eye(1)),
    "local linear trend": (TREND, np.eye(1, 2), np.diag([0.5, 0.1]), np.eye(1)),
    "seasonal": (SEASONAL, np.array([[1.0, 1, 0, 0]]), np.diag([0.5, 0.2, 0, 0]), np.eye(1)),
    "level and ARMA(2, 1)": (
        ARMA, np.array([[1.0, 1, 0]]),
        np.array([[0.3, 0, 0], [0, 1, 0.4], [0, 0.4, 0.16]]), np.zeros((1, 1)),
    ),
    "VAR": (np.array([[0.5, 0.1], [0.2, 0.6]]), np.eye(2), np.array([[1, 0.3], [0.3, 1]]), 0.1 * np.eye(2)),
}  # fmt: skip


LOSES = {"local linear trend", "seasonal", "level and ARMA(2, 1)"}  # statsmodels loses digits of these itself


@pytest.mark.parametrize("start", [0, 3], ids=["seen from the start", "seen later"])
@pytest.mark.parametrize("name", DIFFUSE)
def test_a_diffuse_prior_equals_statsmodels(name, start):
    A, C, Q, R = DIFFUSE[name]
    theta = {"A": A, "C": C, "Q": Q, "R": R, "mean": np.zeros(len(A)), "covariance": 1e6 * np.eye(len(A))}
    rng = np.random.default_rng(0)
    y = 10 + np.cumsum(rng.normal(size=(25, len(C))), 0)
    y[rng.random(y.shape) < 0.1] = np.nan
    y[:start] = np.nan
    other = statsmodels(y, A, C, Q, R, 1e6)
    expected = other.smooth()
    kalman = dbn.linear_gaussian(**theta)
    found, forward = dbn.smooth(kalman, {"y": y}), dbn.filter(kalman, {"y": y})
    mean, covariance, log_p = exact.smoothed(theta, y)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9, atol=1e-9)
    assert found.log_likelihood == pytest.approx(log_p, rel=1e-12)
    near = {"rtol": 1e-6, "atol": 2e-4 if name in LOSES else 1e-6}
    np.testing.assert_allclose(found.mean, expected.smoothed_state.T, **near)
    np.testing.assert_allclose(found.covariance, np.moveaxis(expected.smoothed_state_cov, -1, 0), **near)
    np.testing.assert_allclose(forward.mean, expected.filtered_state.T, **near)
    np.testing.assert_allclose(forward.covariance, np.moveaxis(expected.filtered_state_cov, -1, 0), **near)
    assert found.log_likelihood == pytest.approx(expected.llf, rel=1e-6)
    assert dbn.log_likelihood(kalman, {"y": y}) == pytest.approx(expected.llf, rel=1e-6)


def test_filter_and_predict_equal_statsmodels():
    A, C, Q, R = DIFFUSE["VAR"]
    y = np.random.default_rng(1).normal(size=(40, 2))
    y[5:8, 0] = np.nan
    expected = statsmodels(y, A, C, Q, R).filter()
    kalman = dbn.linear_gaussian(A, C, Q, R, np.zeros(2), np.eye(2))
    found, ahead = dbn.filter(kalman, {"y": y}), dbn.predict(kalman, 5, {"y": y})
    np.testing.assert_allclose(found.mean, expected.filtered_state.T, atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.moveaxis(expected.filtered_state_cov, -1, 0), atol=1e-12)
    assert found.log_likelihood == pytest.approx(expected.llf)
    theirs = expected.predict(start=40, end=45)
    np.testing.assert_allclose(ahead.mean @ C.T, theirs.forecasts.T, atol=1e-12)
    np.testing.assert_allclose(
        C @ ahead.covariance @ C.T + R, np.moveaxis(theirs.forecasts_error_cov, -1, 0), atol=1e-12
    )

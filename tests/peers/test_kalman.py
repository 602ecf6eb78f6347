"""The Kalman smoother against statsmodels."""

import warnings

import numpy as np
import pytest

from dbn_bptt import dbn


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

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

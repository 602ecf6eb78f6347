"""Switching models against statsmodels, where its are the same: regressions with regimes, no continuous state."""

import warnings

import numpy as np
import pytest

from dbn_bptt import dbn


def test_regimes_of_mean_and_variance_equal_statsmodels():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regression = pytest.importorskip(
            "statsmodels.tsa.regime_switching.markov_regression", reason="statsmodels is not installed (extra: peers)"
        )
    rng = np.random.default_rng(0)
    regimes = np.repeat([0, 1, 0, 1], 25)
    y = np.where(regimes, 2.0, -1.0) + rng.normal(size=100) * np.where(regimes, 1.5, 0.5)
    theirs = regression.MarkovRegression(y, k_regimes=2, switching_variance=True)
    stay, come = 0.9, 0.15  # p(0 -> 0), p(1 -> 0)
    expected = theirs.smooth([stay, come, -0.8, 1.7, 0.4, 2.0])
    transition = np.array([[stay, come], [1 - stay, 1 - come]])
    initial = np.array([come, 1 - stay]) / (come + 1 - stay)  # the stationary one, as theirs
    models = [
        dbn.linear_gaussian([[1.0]], [[mean]], [[0.0]], [[variance]], [1.0], [[0.0]])  # a state that is 1
        for mean, variance in ((-0.8, 0.4), (1.7, 2.0))
    ]
    for method in ("gpb2", "imm"):
        found = dbn.filter(dbn.switching(transition, initial, models, method), {"y": y})
        np.testing.assert_allclose(found.probabilities, expected.filtered_marginal_probabilities, atol=1e-12)
        assert found.log_likelihood == pytest.approx(expected.llf, rel=1e-12)
    smoothed = dbn.smooth(dbn.switching(transition, initial, models), {"y": y})
    np.testing.assert_allclose(smoothed.probabilities, expected.smoothed_marginal_probabilities, atol=1e-12)

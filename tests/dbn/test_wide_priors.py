"""Initial covariances far wider than the noise: against conditioning one joint normal in sixty digits."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from tests.dbn import exact

T = 14


def seasonal(s):
    A, Q = np.zeros((s, s)), np.zeros((s, s))
    A[0, 0], A[1, 1:], A[2:, 1:-1] = 1.0, -1.0, np.eye(s - 2)
    Q[0, 0], Q[1, 1] = 0.5, 0.2
    return A, np.eye(1, s) + np.eye(1, s, 1), Q, np.eye(1)


TREND = np.array([[1.0, 1.0], [0.0, 1.0]])
MODELS = {  # A, C, Q, R
    "local level": (np.eye(1), np.eye(1), 0.3 * np.eye(1), np.eye(1)),
    "hardly any noise": (np.eye(1), np.eye(1), 1e-6 * np.eye(1), 1e-4 * np.eye(1)),
    "local linear trend": (TREND, np.eye(1, 2), np.diag([0.5, 0.1]), np.eye(1)),
    "smooth trend": (TREND, np.eye(1, 2), np.diag([0.0, 0.01]), np.eye(1)),
    "smooth trend seen without noise": (TREND, np.eye(1, 2), np.diag([0.0, 0.01]), np.zeros((1, 1))),
    "seasonal": seasonal(4),
    "level and AR(2)": (
        np.array([[1, 0, 0], [0, 0.6, 0.2], [0, 1, 0]]), np.array([[1.0, 1, 0]]), np.diag([0.3, 1, 0]), np.zeros((1, 1)),
    ),
    "VAR": (np.array([[0.5, 0.1], [0.2, 0.6]]), np.eye(2), np.array([[1, 0.3], [0.3, 1]]), 0.1 * np.eye(2)),
    "regression that leaves a direction open": (np.eye(2), np.ones((1, 2)), np.zeros((2, 2)), np.eye(1)),
    "unstable": (np.array([[1.3, 0.1], [0.0, 1.2]]), np.eye(1, 2), np.eye(2), np.eye(1)),
}  # fmt: skip


def made(name, V):
    A, C, Q, R = MODELS[name]
    return {"A": A, "C": C, "Q": Q, "R": R, "mean": np.zeros(len(A)), "covariance": V * np.eye(len(A))}


def seen(k, missing, seed=0, T=T):
    """Numbers far from the initial mean; some missing, and some of the first slices."""
    rng = np.random.default_rng(seed)
    y = 50 + np.cumsum(rng.normal(size=(T, k)), 0)
    if missing:
        y[rng.random(y.shape) < 0.2] = np.nan
        y[:2, 0] = np.nan
    return y


def deviations(covariance, theta):
    """Deviations that errors are held against: not below a tenth of the noise's, where a number is known exactly."""
    return np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 1e-2 * theta["Q"].max()))


def assert_equal(found, theta, y, u=None, tolerance=1e-8):
    mean, covariance, log_p = exact.smoothed(theta, y, u)
    sizes = deviations(covariance, theta)
    assert (np.abs(found.mean - mean) / np.maximum(np.abs(mean), sizes)).max() < tolerance
    assert (np.abs(found.covariance - covariance) / (sizes[:, :, None] * sizes[:, None])).max() < tolerance
    assert found.log_likelihood == pytest.approx(log_p, rel=tolerance)


@pytest.mark.parametrize("missing", [False, True], ids=["all seen", "some missing"])
@pytest.mark.parametrize("V", [1e6, 1e10])
@pytest.mark.parametrize("name", MODELS)
def test_smoothing_holds(name, V, missing):
    theta = made(name, V)
    y = seen(len(theta["C"]), missing)
    assert_equal(dbn.smooth(dbn.linear_gaussian(**theta), {"y": y}), theta, y, tolerance=1e-7)


@pytest.mark.parametrize("name", ["local level", "local linear trend", "seasonal"])
def test_from_one_form_to_the_other_no_digit_is_lost(name):
    """At every width, on either side of the border, to eight digits."""
    for V in 10.0 ** np.arange(0, 11):
        theta = made(name, V)
        y = seen(1, True)
        assert_equal(dbn.smooth(dbn.linear_gaussian(**theta), {"y": y}), theta, y)


@pytest.mark.parametrize("name", MODELS)
def test_a_filter_holds_in_every_slice(name):
    theta, y = made(name, 1e8), seen(len(MODELS[name][1]), True)
    kalman = dbn.linear_gaussian(**theta)
    found = dbn.filter(kalman, {"y": y})
    for t in (0, 2, 5, T - 1):
        mean, covariance, log_p = exact.smoothed(theta, y[: t + 1])
        sizes = deviations(covariance[t], theta)
        assert (np.abs(found.mean[t] - mean[t]) / np.maximum(np.abs(mean[t]), sizes)).max() < 1e-8
        assert (np.abs(found.covariance[t] - covariance[t]) / np.outer(sizes, sizes)).max() < 1e-8
        assert dbn.log_likelihood(kalman, {"y": y[: t + 1]}) == pytest.approx(log_p, rel=1e-9, abs=1e-9)
    assert found.log_likelihood == pytest.approx(log_p, rel=1e-9)


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_batches_and_inputs(engine):
    pytest.importorskip("llvmlite") if engine == "native" else None
    theta = made("local linear trend", 1e10) | {"B": np.array([[1.0], [0.5]])}
    ys, u = (
        np.stack([seen(1, True, 1), seen(1, False, 2), seen(1, True, 3)]),
        np.sin(np.arange(3.0 * T)).reshape(3, T, 1),
    )
    kalman = dbn.linear_gaussian(**theta)
    for verb in (dbn.smooth, dbn.filter):
        whole = verb(kalman, {"y": ys, "u": u}, engine=engine)
        alone = [verb(kalman, {"y": y, "u": own}) for y, own in zip(ys, u, strict=True)]
        np.testing.assert_allclose(whole.mean, [a.mean for a in alone], rtol=1e-9)
        np.testing.assert_allclose(whole.covariance, [a.covariance for a in alone], rtol=1e-9, atol=1e-9)
        assert whole.log_likelihood == pytest.approx(sum(a.log_likelihood for a in alone))
    for y, own in zip(ys, u, strict=True):
        assert_equal(dbn.smooth(kalman, {"y": y, "u": own}), theta, y, own)


def test_a_prior_that_is_wide_in_one_direction_and_singular_in_another():
    theta = made("local linear trend", 1.0) | {"covariance": np.array([[1e10, 0.0], [0.0, 0.0]])}
    y = seen(1, True)
    assert_equal(dbn.smooth(dbn.linear_gaussian(**theta), {"y": y}), theta, y)
    theta["covariance"] = np.array([[1e10, 1e-2], [1e-2, 1e-6]])
    assert_equal(dbn.smooth(dbn.linear_gaussian(**theta), {"y": y}), theta, y)


def test_nothing_observed_leaves_the_prior():
    theta = made("local level", 1e10)
    found = dbn.smooth(dbn.linear_gaussian(**theta), {"y": [np.nan, np.nan]})
    np.testing.assert_allclose(found.covariance[:, 0, 0], [1e10, 1e10 + 0.3], rtol=1e-12)
    assert found.log_likelihood == 0


def test_what_rounding_takes_elsewhere_is_refused():
    """A thousand slices without observations leave variances that no prior has to do with."""
    kalman = dbn.linear_gaussian(*MODELS["local linear trend"], np.zeros(2), np.eye(2))
    y = np.r_[seen(1, False)[:, 0], np.full(1500, np.nan), seen(1, False)[:, 0]]
    with pytest.raises(db.DataError, match=r"of slice \d+ are lost in rounding; .* shorten the stretch"):
        dbn.smooth(kalman, {"y": y})


def step(theta, y):
    """One step of expectation maximisation in sixty digits, A, C, Q, R, mean and covariance."""
    mean, cov, _ = exact.conditioned(theta, y)
    steps, d = mean.shape
    both = cov + np.outer(mean.ravel(), mean.ravel())
    at = [slice(t * d, (t + 1) * d) for t in range(steps)]
    xx = sum(both[at[t - 1], at[t - 1]] for t in range(1, steps))
    zx = sum(both[at[t], at[t - 1]] for t in range(1, steps))
    zz = sum(both[at[t], at[t]] for t in range(1, steps))
    aa = xx + both[at[-1], at[-1]]
    ya = sum(np.outer(exact.exact(y[t]), mean[t]) for t in range(steps))
    yy = sum(np.outer(exact.exact(y[t]), exact.exact(y[t])) for t in range(steps))
    A, C = exact.solved(xx, zx.T)[0].T, exact.solved(aa, ya.T)[0].T
    new = {"A": A, "C": C, "Q": (zz - A @ zx.T) / (steps - 1), "R": (yy - C @ ya.T) / steps}
    return {n: a.astype(float) for n, a in {**new, "mean": mean[0], "covariance": cov[at[0], at[0]]}.items()}


@pytest.mark.parametrize("V", [1e6, 1e10])
@pytest.mark.parametrize("name", ["local level", "local linear trend", "VAR"])
def test_a_step_of_learning_holds(name, V):
    theta, y = made(name, V), seen(len(MODELS[name][1]), False)
    found = dbn.fit(dbn.linear_gaussian(**theta), {"y": y}, steps=1, tolerance=0.0).model.parameters
    for title, right in step(theta, y).items():
        assert np.abs(found[title] - right).max() < 1e-6 * np.abs(right).max(), title


def test_learning_from_a_wide_prior_climbs():
    theta, y = made("local linear trend", 1e8), seen(1, True, T=80)
    found = dbn.fit(dbn.linear_gaussian(**theta), {"y": y}, learn=("Q", "R"), steps=60)
    assert (np.diff(found.log_likelihoods) > -1e-9).all()


def test_the_gradient_is_that_of_the_likelihood():
    """What learning reads off: the gradient of -log p(y) in A, C, Q and R, against differences in sixty digits."""
    from dbn_bptt.dbn.state_space.smoothing import smoothed

    theta, y = made("local linear trend", 1e8), seen(1, True)
    kalman = dbn.linear_gaussian(**theta)
    found = smoothed(kalman, dbn.kalman_data(kalman, {"y": y})).gradients
    for name, place in {"A": (0, 1), "C": (0, 0), "Q": (1, 1), "R": (0, 0)}.items():
        ends = []
        for sign in (1, -1):
            moved = theta[name].copy()
            moved[place] += sign * 1e-5
            ends.append(exact.smoothed(theta | {name: moved}, y)[2])
        assert -(ends[0] - ends[1]) / 2e-5 == pytest.approx(found[name][place], rel=1e-5)


def test_a_prior_that_is_wide_beside_no_noise_but_narrow_to_what_is_seen():
    """Coefficients that never change: no columns are needed where the prior is no wider than the noise of what is seen."""
    theta, y = made("regression that leaves a direction open", 1.0), seen(1, True)
    kalman = dbn.linear_gaussian(**theta)
    mean, covariance, log_p = exact.smoothed(theta, y)
    found = dbn.filter(kalman, {"y": y})
    np.testing.assert_allclose(found.mean[-1], mean[-1], rtol=1e-11)
    np.testing.assert_allclose(found.covariance[-1], covariance[-1], atol=1e-12)
    assert dbn.log_likelihood(kalman, {"y": y}) == pytest.approx(log_p, rel=1e-12)
    assert_equal(dbn.smooth(kalman, {"y": y}), theta, y)

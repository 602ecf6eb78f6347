"""Figures of posteriors show the numbers that they are of."""

import numpy as np
import pytest

from dbn_bptt import dbn
from dbn_bptt.errors import DataError

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
LEVELS = dbn.emit(dbn.umbrella(), "Level", dbn.gaussian("Rain", [0.0, 3.0], 1.0))
X = np.array([[0.1, 2.7, np.nan, 3.1], [2.0, 0.3, 0.2, 0.1]])
U = np.array([[1, -1, 0, 1], [0, 0, 1, 1]])


def shown(axis):
    return axis.images[0].get_array() if axis.images else axis.lines[0].get_ydata()


@pytest.mark.parametrize("sequence", [0, 1])
def test_a_batch_shows_one_of_its_sequences(sequence):
    given = {"Level": X, "Umbrella": U}
    posterior = dbn.smooth(LEVELS, given)
    axes = posterior.plot(given, sequence=sequence).axes
    assert [axis.get_ylabel() for axis in axes] == ["Rain", "Umbrella", "Level", "Umbrella"]
    assert np.allclose(shown(axes[0]), posterior["Rain"][sequence].T)
    assert np.array_equal(shown(axes[2]), X[sequence], equal_nan=True)
    assert np.array_equal(shown(axes[3]), np.where(U[sequence] < 0, np.nan, U[sequence]), equal_nan=True)


def test_a_ragged_sequence_ends_where_it_ends():
    posterior = dbn.smooth(LEVELS, {"Umbrella": U}, lengths=[2, 4])
    assert shown(posterior.plot().axes[0]).shape == (2, 2)


def test_predictions_begin_after_the_evidence():
    axis = dbn.predict(dbn.umbrella(), 3, {"Umbrella": U[1]}).plot().axes[0]
    assert axis.images[0].get_extent()[:2] == [3.5, 6.5]


def test_states_are_named():
    axes = dbn.smooth(dbn.umbrella(), {"Umbrella": [1, 0]}).plot({"word": ["yes", None]}).axes
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == ["0", "1"]
    assert len(axes[2].lines[0].get_xdata()) == 1


def test_a_kalman_smoother_has_bands():
    walk = dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]])
    y = [1.0, np.nan, 3.0]
    posterior = dbn.smooth(walk, {"y": y})
    top, bottom = posterior.plot({"y": y}).axes
    assert np.array_equal(shown(top), posterior.mean[:, 0])
    band = top.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx((posterior.mean[:, 0] + 2 * np.sqrt(posterior.covariance[:, 0, 0])).max())
    assert np.array_equal(shown(bottom), y, equal_nan=True)


def test_evidence_of_another_shape_is_refused():
    with pytest.raises(DataError, match="give what the posterior was given"):
        dbn.smooth(dbn.umbrella(), {"Umbrella": [1, 0]}).plot({"Umbrella": 1})

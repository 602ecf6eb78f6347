"""The gradient itemised by slices, and the table of immediate and total derivatives."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import paths
from tests.helpers import assert_close
from tests.paths.networks import elman

T, n, H, K = 3, 2, 3, 2


def test_the_table_of_immediate_and_total_derivatives():
    rnn, theta, data = elman(1, T=5)
    table = paths.derivative_table(rnn, theta, data)
    gradients = db.bptt(rnn, theta, data).gradients
    for name in "WUb":
        assert_close(table.bptt[name], gradients[name], 1e-12, name)
        assert_close(table.rtrl[name], gradients[name], 1e-12, name)
        for wrong in (table.twice, table.one_step):
            assert np.abs(wrong[name] - gradients[name]).max() > 1e-3 * np.abs(gradients[name]).max()
    truncated = db.compile(rnn).value_and_grad(theta, data, truncate=1)[1]
    for name in "WUb":
        assert_close(table.one_step[name], truncated[name], 1e-12, name)
    assert str(table).splitlines()[1].startswith("parameter")


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_the_itemised_gradient_adds_up(cell):
    rng = np.random.default_rng(0)
    rnn = getattr(db.cells, cell)(n, H, K)
    theta, data = rnn.initial_parameters(1), {"x": rng.normal(size=(4, 2, n)), "y": rng.integers(0, K, (4, 2))}
    items = paths.credit(rnn, theta, data)
    result = db.bptt(rnn, theta, data)
    for name, gradient in result.gradients.items():
        assert_close(items[name].sum((0, 1)), gradient, 1e-12, name)
        assert_close(items.by_copy(name), result.messages.per_slice(name), 1e-12, name)
        assert_close(items.by_loss(name).sum(0), gradient, 1e-12, name)
        assert_close(items.by_lag(name).sum(0), gradient, 1e-12, name)
        above = np.triu(np.ones((4, 4), bool), 1)
        assert not items[name][above].any()
    for k in (1, 2):
        cut = db.compile(rnn).value_and_grad(theta, data, truncate=k)[1]
        name = next(name for name in theta if name.startswith("W"))
        inside = sum(items[name][s, t] for s in range(4) for t in range(4) if s // k == t // k)
        assert_close(cut[name], inside, 1e-12)


def _learnt() -> db.SliceTemplate:
    t = db.SliceTemplate("learnt start")
    w, h0 = t.parameter("w", ()), t.parameter("h0", ())
    h = t.variable("h", (), initial=h0)
    t.define(h, w * h.prev)
    t.loss("L", h)
    return t


def test_learned_initial_states_get_their_credit():
    items = paths.credit(_learnt(), {"w": 0.5, "h0": 1.0}, T=3)
    assert items["h0"].sum() == pytest.approx(0.875)
    with pytest.raises(db.DataError, match="an initial state is learnt"):
        paths.derivative_table(_learnt(), {"w": 0.5, "h0": 1.0}, T=3)


def test_the_table_refuses_states_and_losses_that_it_would_count_twice():
    data = {"x": np.ones((3, 2)), "y": [0, 1, 0]}
    lstm = db.cells.lstm(2, 3, 2)
    with pytest.raises(db.DataError, match="h depends on s in one slice"):
        paths.derivative_table(lstm, lstm.initial_parameters(0), data)
    t = db.SliceTemplate("lagged loss")
    x, h = t.input("x", 2), t.variable("h", 2)
    t.define(h, db.tanh(x + h.prev))
    t.loss("L", db.sum(h * h.prev))
    with pytest.raises(db.DataError, match="L reads the slice before"):
        paths.derivative_table(t, {}, {"x": np.ones((3, 2))})


def test_lags_of_chains_that_run_backwards_are_refused():
    rng = np.random.default_rng(0)
    rnn = db.cells.bidirectional("elman", 2, 3, 2)
    data = {"x": rng.normal(size=(4, 2)), "y": rng.integers(0, 2, 4)}
    items = paths.credit(rnn, rnn.initial_parameters(0), data)
    backwards = next(name for name in items.items if items[name][np.triu_indices(4, 1)].any())
    with pytest.raises(db.DataError, match="whose lags are negative"):
        items.by_lag(backwards)

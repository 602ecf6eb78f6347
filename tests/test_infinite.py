"""Logits that are masked out by -inf count nothing, in every engine; NaN stays refused."""

import numpy as np
import pytest
import scipy.special

import dbn_bptt as db
from tests.helpers import assert_close

T, B, K = 12, 3, 4


def _masked_by_an_input():
    t = db.SliceTemplate("masked classifier")
    W, b, x, mask = t.parameter("W", (K, 2)), t.parameter("b", K), t.input("x", 2), t.input("mask", K, default=0.0)
    y, h = t.target("y", classes=K), t.variable("h", K)
    t.define(h, db.tanh(W @ x + 0.5 * h.prev))
    o = t.variable("o", K)
    t.define(o, b + h + mask)
    t.define(t.variable("yhat", K), db.softmax(o))
    t.loss("L", db.cross_entropy(o, y))
    return t


def _masked_by_a_constant():
    t = db.SliceTemplate("a class that is never there")
    W, x, y = t.parameter("W", (K, 2)), t.input("x", 2), t.target("y", classes=K)
    t.loss("L", db.cross_entropy(W @ x + np.array([0.0, 0.0, 0.0, -np.inf]), y))
    return t


def _data(batch=(B,)):
    rng = np.random.default_rng(0)
    mask = np.where(rng.random((T, *batch, K)) < 0.3, -np.inf, 0.0)
    mask[..., 0] = 0.0
    open_classes = np.argmax(np.where(mask == 0, rng.random(mask.shape), -1.0), -1)
    return {"x": rng.normal(size=(T, *batch, 2)), "mask": mask, "y": open_classes}


def _expected(theta, data):
    """The loss, straight from SciPy."""
    h, loss = np.zeros(K), 0.0
    for x, mask, y in zip(data["x"], data["mask"], data["y"], strict=True):
        h = np.tanh(theta["W"] @ x + 0.5 * h)
        loss -= scipy.special.log_softmax(theta["b"] + h + mask)[y]
    return loss


@pytest.mark.parametrize("T_", [2, T])
def test_masked_classes_in_every_engine(T_):
    t, data = _masked_by_an_input(), {name: a[:T_] for name, a in _data(()).items()}
    theta = {"W": np.random.default_rng(1).normal(size=(K, 2)), "b": np.arange(4.0)}
    result = db.bptt(t, theta, data)
    assert_close(result.loss, _expected(theta, data))
    report = db.compare(t, theta, data, forward_mode=True)
    assert report.ok, report
    assert {row.engine for row in report.rows} == {"adjoint network", "program", "forward mode", "finite differences"}
    program = db.compile(t)
    loss, found = program.value_and_grad(theta, data, wrt=("params", "inputs"))
    assert_close(loss, result.loss)
    assert np.isfinite(found["mask"]).all()
    assert (found["mask"][data["mask"] < 0] == 0).all()
    assert (result.messages.input_gradients["mask"][data["mask"] < 0] == 0).all()
    assert (program.values(theta, data)["yhat"][data["mask"] < 0] == 0).all()
    product = db.hessian_vector_product(t, theta, data, {"b": np.ones(K)})
    assert_close(product["b"], np.zeros(K), 1e-10)  # a shift of all logits changes nothing
    checkpointed = program.value_and_grad(theta, data, checkpoints=2, segment=3)[1]
    assert_close(checkpointed["W"], result.gradients["W"])


def test_batches_and_single_precision():
    t, data = _masked_by_an_input(), _data()
    theta = {"W": np.ones((K, 2), np.float32), "b": np.zeros(K, np.float32)}
    single = {name: a.astype(np.float32) if a.dtype == float else a for name, a in data.items()}
    whole = db.bptt(t, theta, data)
    loss, found = db.compile(t).value_and_grad(theta, single)
    assert_close(loss, whole.loss, 1e-5)
    assert_close(found["W"], whole.gradients["W"], 1e-4)


def test_ragged_batches_with_masks():
    t, data = _masked_by_an_input(), _data()
    theta = {"W": np.ones((K, 2)), "b": np.zeros(K)}
    assert db.compare(t, theta, data, lengths=[T, 3, 7]).ok


def test_a_class_that_no_slice_allows():
    t, rng = _masked_by_a_constant(), np.random.default_rng(0)
    data = {"x": rng.normal(size=(T, 2)), "y": rng.integers(0, K - 1, T)}
    theta = {"W": rng.normal(size=(K, 2))}
    report = db.compare(t, theta, data)
    assert report.ok, report
    assert (report.result.gradients["W"][-1] == 0).all()


def test_a_target_that_is_masked_has_an_infinite_loss():
    t = _masked_by_an_input()
    data = {"x": np.zeros((T, 2)), "mask": np.array([0.0, 0.0, 0.0, -np.inf]) + np.zeros((T, K)), "y": np.full(T, 3)}
    theta = {"W": np.zeros((K, 2)), "b": np.zeros(K)}
    assert db.compile(t).loss(theta, data) == db.bptt(t, theta, data).loss == np.inf


@pytest.mark.parametrize(("name", "value"), [("mask", np.nan), ("mask", np.inf), ("x", np.nan)])
def test_other_numbers_that_are_none_stay_refused(name, value):
    t, data = _masked_by_an_input(), _data(())
    data[name][3, 1] = value
    for call in (db.bptt, lambda *given: db.compile(given[0]).loss(*given[1:])):
        with pytest.raises(db.DataError, match=rf"{name} holds {value} at index \(3, 1\)"):
            call(t, {"W": np.ones((K, 2)), "b": np.zeros(K)}, data)


def test_parameters_stay_finite():
    with pytest.raises(db.DataError, match="b holds -inf"):
        db.bptt(_masked_by_an_input(), {"W": np.ones((K, 2)), "b": [0, 0, 0, -np.inf]}, _data(()))

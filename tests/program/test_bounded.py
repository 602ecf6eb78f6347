"""Segments, checkpoints and truncation: the same gradients in bounded memory, and as few repetitions as can be."""

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dbn_bptt as db
from dbn_bptt import cells
from dbn_bptt.program import runs
from dbn_bptt.program.bounded import Run, advances, best_split
from dbn_bptt.sweep.given import checked
from tests.cases import CASES, Case, draw
from tests.helpers import assert_close
from tests.random_templates import RandomTemplate

EVERYTHING = ("params", "inputs", "initial")
CUT = [
    "elman", "elman without given initial state", "elman in a batch", "elman, ragged", "elman, loss at the last slice",
    "elman, loss at the last slice, ragged", "jordan", "jordan with teacher forcing", "lstm", "lstm, ragged", "gru",
    "stack", "first slice", "alpha recursion", "several losses", "several losses, ragged", "defaults", "matrices",
    "pre-activations", "looking back", "looking back, ragged", "lags", "lags, ragged", "lags over fewer slices",
]  # fmt: skip


@pytest.mark.parametrize("options", [{"checkpoints": 2, "segment": 2}, {"truncate": 11}])
def test_initial_slices_of_inputs_have_gradients_of_their_own(options):
    case = next(case for case in CASES if case.name == "looking back")
    drawn = draw(Case(case.name, case.make, T=11, B=2))
    program = db.compile(drawn.template)
    _, expected = program.value_and_grad(**drawn.arguments(), wrt=("initial",))
    _, found = program.value_and_grad(**drawn.arguments(), wrt=("initial",), **options)
    assert set(found) == set(expected) == {"initial x", "initial h"}
    for name, g in expected.items():
        assert g.any()
        assert_close(found[name], g, 1e-12, name)


def _longer(case: Case, T: int) -> Case:
    lengths = None if case.lengths is None else (T, *(min(T, n) for n in case.lengths[1:]))
    return Case(case.name, case.make, T=T, B=case.B, lengths=lengths, given_initial=case.given_initial)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in CUT], ids=repr)
@pytest.mark.parametrize(("T", "segment", "checkpoints"), [(11, 3, 2), (11, 1, 3), (5, 2, 1), (1, 4, 1)])
def test_checkpoints_change_no_gradient(case, T, segment, checkpoints):
    drawn = draw(_longer(case, T))
    program = db.compile(drawn.template)
    loss, expected = program.value_and_grad(**drawn.arguments(), wrt=EVERYTHING)
    cut_loss, found = program.value_and_grad(
        **drawn.arguments(), wrt=EVERYTHING, checkpoints=checkpoints, segment=segment
    )
    assert_close(cut_loss, loss, 1e-12, "loss")
    assert set(found) == set(expected)
    for name, g in expected.items():
        assert_close(found[name], g, 1e-11, name)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in CUT], ids=repr)
def test_blocks_change_no_gradient(case, monkeypatch):
    """What is done where the arrays of all slices would outgrow the cache."""
    drawn = draw(_longer(case, 11))
    expected_loss, expected = db.compile(drawn.template).value_and_grad(**drawn.arguments(), wrt=EVERYTHING)
    monkeypatch.setattr(runs, "BLOCKED_FROM", 0)
    monkeypatch.setattr(runs, "BLOCK", 2048)
    loss, found = db.compile(drawn.template).value_and_grad(**drawn.arguments(), wrt=EVERYTHING)
    assert_close(loss, expected_loss, 1e-12, "loss")
    for name, g in expected.items():
        assert_close(found[name], g, 1e-11, name)


@cache
def _least(steps: int, stored: int) -> int:
    """The recursion of Griewank and Walther, as it stands."""
    if stored == 1 or steps < 2:
        return steps * (steps - 1) // 2
    return min(j + _least(steps - j, stored - 1) + _least(j, stored) for j in range(1, steps))


@pytest.mark.parametrize("stored", range(1, 8))
def test_the_closed_form_and_the_split_are_optimal(stored):
    for steps in range(1, 60):
        assert advances(steps, stored) == _least(steps, stored)
    for steps in range(2, 200) if stored > 1 else ():
        j = best_split(steps, stored)
        assert j + advances(steps - j, stored - 1) + advances(j, stored) == advances(steps, stored)


def test_the_printed_numbers():
    assert [advances(10, c) for c in range(1, 7)] == [45, 20, 15, 14, 13, 12]
    assert (advances(100, 3), advances(100, 10)) == (490, 222)


@pytest.mark.parametrize(("steps", "stored"), [(10, c) for c in range(1, 7)] + [(100, 3), (100, 10), (37, 5)])
def test_as_many_advances_are_run_as_the_optimum_says(steps, stored):
    rnn = cells.elman(1, 1, 2).frozen
    given = checked(
        rnn, rnn.initial_parameters(0), {"x": np.ones((steps, 1)), "y": np.zeros(steps, int)}, None, None, None
    )
    one = Run(rnn, db.compile, given, ("params",), length=1)
    one.checkpointed(stored)
    assert one.advanced == advances(steps, stored)


@pytest.mark.parametrize("k", [1, 3, 4, 12, 50])
def test_truncation_carries_the_state_and_cuts_the_messages(k):
    """Against pieces run one by one by the message sweep, each from the last state of the one before."""
    drawn = draw(Case("lstm", lambda: cells.lstm(3, 4, 2), T=12, B=2))
    _, found = db.compile(drawn.template).value_and_grad(**drawn.arguments(), wrt=EVERYTHING, truncate=k)
    initial, total, loss = drawn.initial, {}, 0.0
    for a in range(0, 12, k):
        data = {name: series[a : a + k] for name, series in drawn.data.items()}
        piece = drawn.bptt(data=data, initial=initial, T=None)
        loss += piece.loss
        total = {name: total.get(name, 0) + g for name, g in piece.gradients.items()}
        assert_close(found["x"][a : a + k], piece.messages.input_gradients["x"], 1e-11, "x")
        if a == 0:
            assert_close(found["initial h"], piece.messages.initial_gradients["h"], 1e-11, "initial h")
        last = len(data["x"]) - 1
        initial = {name: piece.values[name, last] for name in ("h", "s")}
    for name, g in total.items():
        assert_close(found[name], g, 1e-11, name)
    assert_close(loss, drawn.bptt().loss, 1e-12)


def test_truncation_to_the_whole_sequence_is_exact():
    drawn = draw(Case("gru", lambda: cells.gru(3, 4, 2), T=9))
    program = db.compile(drawn.template)
    _, whole = program.value_and_grad(**drawn.arguments())
    _, found = program.value_and_grad(**drawn.arguments(), truncate=9)
    for name, g in whole.items():
        assert_close(found[name], g, 1e-13, name)


def _case(name):
    return draw(next(c for c in CASES if c.name == name))


BAD = [
    ("both", "elman", {"checkpoints": 2, "truncate": 3}, r"give checkpoints \(exact gradients\) or truncate"),
    ("none stored", "elman", {"checkpoints": 0}, "checkpoints=0; give a positive number"),
    ("half a slice", "elman", {"truncate": 0.5}, "truncate=0.5; give a positive number"),
    ("empty segments", "elman", {"checkpoints": 2, "segment": 0}, "segment=0; give a positive number"),
    ("backwards", "bidirectional", {"checkpoints": 2}, "only forward chains can be cut into segments"),
    ("windows", "windows", {"truncate": 2}, "for segments name it as a variable"),
]


def test_what_reaches_further_back_at_the_start_is_refused():
    t = db.SliceTemplate("far start")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, db.tanh(w * h.prev), first=db.tanh(w * h.lag(2)))
    t.loss("L", h * h)
    with pytest.raises(db.TemplateError, match="h is read 2 slices back at the start and 1 elsewhere"):
        db.compile(t).value_and_grad({"w": 0.3}, T=6, checkpoints=2)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), segment=st.integers(1, 6), checkpoints=st.integers(1, 3))
def test_checkpoints_of_random_templates_change_no_gradient(seed, segment, checkpoints):
    drawn = draw(Case("random", RandomTemplate(seed).make, T=7, B=2), seed)
    program = db.compile(drawn.template)
    assume(program.cuttable)
    _, expected = program.value_and_grad(**drawn.arguments(), wrt=EVERYTHING)
    _, found = program.value_and_grad(**drawn.arguments(), wrt=EVERYTHING, checkpoints=checkpoints, segment=segment)
    for name, gradient in expected.items():
        assert_close(found[name], gradient, 1e-10, name)


@pytest.mark.parametrize(("name", "options", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_cannot_be_cut_is_refused(name, options, message):
    drawn = _case(name)
    with pytest.raises(db.DbnBpttError, match=message):
        db.compile(drawn.template).value_and_grad(**drawn.arguments(), **options)


@pytest.mark.parametrize("at", ["first", "last"])
def test_losses_that_reach_further_than_equations_are_refused(at):
    t = db.SliceTemplate("far")
    x, h, g = t.input("x", ()), t.variable("h", ()), t.variable("g", ())
    t.define(h, db.tanh(0.5 * h.prev + x))
    t.define(g, h * x)
    t.loss("L", h)
    t.loss("K", (g.lag(2) if at == "last" else g.next) * h, at=at)
    with pytest.raises(db.TemplateError, match=r"segments|slices to come"):
        db.compile(t).value_and_grad({}, {"x": np.ones(20)}, checkpoints=2, segment=5)
    assert db.compare(t, {}, {"x": np.ones(20)}).ok


def test_more_checkpoints_than_python_has_frames():
    rnn = cells.elman(1, 2, 2)
    rng = np.random.default_rng(0)
    data, theta = {"x": rng.normal(size=(1500, 1)), "y": rng.integers(0, 2, 1500)}, rnn.initial_parameters(0)
    program = db.compile(rnn)
    _, found = program.value_and_grad(theta, data, checkpoints=1500, segment=1)
    for name, g in program.value_and_grad(theta, data)[1].items():
        assert_close(found[name], g, 1e-12, name)


@pytest.mark.parametrize("bound", [{"truncate": 2}, {"checkpoints": 2, "segment": 2}])
@pytest.mark.parametrize("named", [False, True])
def test_segments_without_a_loss_and_without_a_state(bound, named):
    t = db.SliceTemplate("the last slice alone")
    w, x, h = t.parameter("w", ()), t.input("x", ()), t.variable("h", ())
    t.define(h, w * x)
    if not named:
        t = db.SliceTemplate("the last input alone")
        w, x = t.parameter("w", ()), t.input("x", ())
    t.loss("L", h if named else w * x, at="last")
    data = {"x": np.arange(1.0, 8.0)}
    loss, found = db.compile(t).value_and_grad({"w": 0.5}, data, wrt=("params", "inputs", "initial"), **bound)
    assert (loss, found["w"]) == (3.5, 7)
    assert found["x"].tolist() == [0, 0, 0, 0, 0, 0, 0.5]

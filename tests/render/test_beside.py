"""Two explorers side by side: their steps go together slice by slice, and nothing is left out."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, render
from dbn_bptt.render.explorer.beside import lockstep
from tests.render.checks import elman_run, page_content


def _umbrella(T):
    return dbn.umbrella(), {"Umbrella": np.arange(T) % 2}


def _contents(first, second):
    """The contents of two pages, and of the page of both."""
    (model, evidence) = second if isinstance(second, tuple) else (second, None)
    pages = render.html(first), render.html(model, **({} if evidence is None else {"evidence": evidence}))
    return [page_content(page) for page in pages], page_content(render.html(first, beside=second))


def _lstm(T):
    rng = np.random.default_rng(0)
    lstm = cells.lstm(3, 4, 2)
    return db.bptt(lstm, lstm.initial_parameters(0), {"x": rng.normal(size=(T, 3)), "y": rng.integers(0, 2, T)})


def _both_directions(T):
    rng = np.random.default_rng(0)
    gru = cells.bidirectional("gru", 3, 2, 2)
    return db.bptt(gru, gru.initial_parameters(0), {"x": rng.normal(size=(T, 3)), "y": rng.integers(0, 2, T)})


PAIRS = [
    ("recurrent network and network", lambda: (elman_run(T=4), _umbrella(4))),
    ("two cells", lambda: (elman_run(T=4), _lstm(4))),
    ("fewer slices", lambda: (elman_run(T=5), _umbrella(3))),
    ("both directions", lambda: (_both_directions(4), elman_run(T=4))),
    ("folded", lambda: (elman_run(T=70), _umbrella(70))),
]


@pytest.mark.parametrize(("name", "pair"), PAIRS, ids=[name for name, _ in PAIRS])
def test_all_steps_of_both_are_shown_in_order(name, pair):
    contents, page = _contents(*pair())
    pairs, turn = page["pairs"], page["turn"]
    assert pairs[0] == [0, 0]
    assert pairs[turn] == [len(content["forward"]) for content in contents]
    assert pairs[-1] == [len(content["forward"]) + len(content["backward"]) for content in contents]
    moves = np.diff(pairs, axis=0)
    assert set(moves.ravel()) <= {0, 1}
    assert moves.max(1).min() == 1  # something happens in every step
    assert page["titles"] == [content["title"] for content in contents]


def _came_to(content, name, t, reverse):
    """The step at which a sweep comes to a node."""
    order = [
        (content["nodes"][n]["variable"], content["nodes"][n]["t"])
        for n in content["backward" if reverse else "forward"]
    ]
    return order.index((name, t)) + 1 + (len(content["forward"]) if reverse else 0)


BESIDE = [  # what is beside an Elman network, and its last state in the forward and in the reverse sweep
    ("network", _umbrella, "alpha", "alpha"),
    ("LSTM", _lstm, "h", "s"),
]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("T", [1, 4])
@pytest.mark.parametrize(("name", "other", "onwards", "back"), BESIDE, ids=[name for name, *_ in BESIDE])
def test_state_is_beside_state(name, other, onwards, back, T, reverse):
    (first, second), page = _contents(elman_run(T=T), other(T))
    state = back if reverse else onwards
    for t in range(T):
        assert [_came_to(first, "h", t, reverse), _came_to(second, state, t, reverse)] in page["pairs"]


def test_no_slice_is_ahead_of_the_other():
    contents, page = _contents(elman_run(T=4), _lstm(4))
    turn = page["turn"]
    for steps in page["pairs"][1 : turn + 1]:
        slices = [c["nodes"][c["forward"][step - 1]]["t"] for c, step in zip(contents, steps, strict=True)]
        assert slices[0] == slices[1]


def test_each_of_the_two_pages_is_the_explorer_without_buttons():
    page = page_content(render.html(elman_run(), beside=_umbrella(5)))
    for title, inside in zip(page["titles"], page["pages"], strict=True):
        assert page_content(inside)["title"] == title
        assert 'class="driven"' in inside


def test_pairs_do_not_change_the_contents():
    contents, page = _contents(elman_run(T=3), _umbrella(3))
    assert [list(pair) for pair in lockstep(*contents)] == page["pairs"]

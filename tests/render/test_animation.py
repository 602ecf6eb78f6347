"""Animations: the sweeps step by step, and the three formats that play them."""

import re
import subprocess
from dataclasses import replace
from functools import partial
from io import BytesIO

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, render
from dbn_bptt.render.subjects.steps import frames, runs, steps
from tests.render.checks import check_svg, elman_run, tool

CELLS = {
    "elman": cells.elman,
    "lstm": cells.lstm,
    "gru": cells.gru,
    "jordan": cells.jordan,
    "bidirectional": partial(cells.bidirectional, "gru"),
    "at last": partial(cells.elman, loss_at="last"),
}
every_cell = pytest.mark.parametrize("name", CELLS)


def _run(name="elman", T=3):
    rng = np.random.default_rng(0)
    template = CELLS[name](3, 4, 2)
    return db.bptt(template, template.initial_parameters(0), {"x": rng.normal(size=(T, 3)), "y": rng.integers(0, 2, T)})


@every_cell
@pytest.mark.parametrize("compact", [False, True])
def test_every_step_has_what_it_needs(name, compact):
    result = _run(name)
    picture = render.scene(result, compact=compact)
    ids = {spot.id for spot in picture.spots if spot.kind in ("variable", "term")}
    done = {spot.id for spot in picture.spots} - ids
    answered, forward, reverse = set(), [], []
    for step in steps(result, picture):
        if not step.carried and step.caption.text.startswith("forward"):
            assert all(line.tail in done for line in picture.lines if line.head in step.active)
            done |= step.active
            forward += step.active
            assert step.computed == done
        elif step.active:
            needed = [e for e in picture.lines if e.tail in step.active and e.origin in result.messages.edge]
            assert all(line.head in answered for line in needed)
            assert {picture.lines[k].head for k in step.sending} <= step.active
            answered |= step.active
            reverse += step.active
    assert sorted(forward) == sorted(ids)
    assert len(reverse) == len(set(reverse))
    messages = {line.id for line in picture.lines if line.origin in result.messages.edge}
    assert step.carried == messages  # the end: every message has gone its way


@every_cell
def test_the_last_frame_is_the_picture_of_the_result(name):
    result = _run(name)
    picture, last = render.scene(result), frames(result, {})[-1]
    assert last.lines == picture.lines
    assert tuple(replace(spot, answered=False) for spot in last.spots) == picture.spots


def test_captions_say_what_goes_on():
    said = [frame.caption for frame in frames(elman_run(T=3), {})]
    texts = [caption.text for caption in said]
    assert "forward: h_2 = tanh(a_2)" in texts
    assert "reverse: h_1 sums 2 messages" in texts
    assert "reverse: h_2 sums 1 message" in texts
    assert said[texts.index("forward: h_2 = tanh(a_2)")].latex == r"forward: $h_{2} = \tanh(a_{2})$"
    own = [frame.caption.text for frame in frames(elman_run(T=3), {"names": {"h": "s"}, "slices": "relative"})]
    assert "forward: s_{t+1} = tanh(a_{t+1})" in own
    together = [frame.caption.text for frame in frames(_run("lstm"), {})]
    assert "forward: i_1, f_1, g_1, q_1" in together
    assert "reverse: g_1, f_1, i_1 sum 1 message each" in together


def test_a_caption_counts_the_messages_that_are_summed():
    result = _run("gru")
    counts = {int(k) for f in frames(result, {}) for k in re.findall(r"h_1 sums (\d+) messages", f.caption.text)}
    assert counts == {sum(u == ("h", 1) for u, *_ in result.messages.edge)}


def test_numbers_come_when_they_are_known():
    result = elman_run(T=2)
    for show in ("values", "adjoints"):
        for frame in frames(result, {"show": show}):
            known = [s for s in frame.spots if s.heat]
            assert not any(s.faint for s in known)
            assert show == "values" or all(s.answered for s in known)
        assert known


def test_runs_put_together_give_the_frames_again():
    pictures = [["a", "b", ""], ["a", "c", ""], ["a", "c", "d"]]
    found = list(runs(pictures))
    assert found == [("a", 0, 2), ("b", 0, 0), ("c", 1, 2), ("d", 2, 2)]
    for k, picture in enumerate(pictures):
        assert [text for text, first, last in found if first <= k <= last] == [text for text in picture if text]


@every_cell
def test_an_animated_svg_stands_alone(name):
    picture = render.animated_svg(_run(name), theme="dark", size_cm=12, seconds=0.5)
    check_svg(picture)
    assert "<script" not in picture
    assert 'width="12cm"' in picture
    total = (len(frames(_run(name), {})) + 3) * 0.5
    assert f"animation: {total:g}s step-end infinite" in picture
    classes = set(re.findall(r'class="step (s\d+-\d+)', picture))
    assert classes == set(re.findall(r"@keyframes (s\d+-\d+)", picture))
    assert len(picture) < 400_000


def test_a_gif_has_a_picture_for_each_step():
    Image = pytest.importorskip("PIL.Image")
    result = elman_run(T=1)
    count = len(frames(result, {"compact": True}))
    image = Image.open(BytesIO(render.gif(result, compact=True, size_cm=6, seconds=0.2)))
    assert image.n_frames == count
    assert image.info["loop"] == 0
    times = []
    for k in range(count):
        image.seek(k)
        times.append(image.info["duration"])
    assert times == [200] * (count - 1) + [800]
    assert image.size[0] == pytest.approx(6 / 2.54 * 110, abs=1)


BEAMER = {
    "elman": lambda: render.beamer(elman_run(T=2), compact=True),
    "lstm": lambda: render.beamer(_run("lstm", T=1), notation="subscript", colors="role", show="values"),
    "own names": lambda: render.beamer(elman_run(T=2), names={"h": r"\ell", "a": "net & sum"}, size_cm=7),
}


@pytest.mark.parametrize("name", BEAMER)
def test_pdflatex_makes_a_slide_for_each_step(name, tmp_path):
    latex, information = tool("pdflatex"), tool("pdfinfo")
    text = BEAMER[name]()
    (tmp_path / "slides.tex").write_text(text)
    command = [latex, "-interaction=nonstopmode", "-halt-on-error", "slides.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-1500:]
    assert b"Overfull" not in run.stdout
    told = subprocess.run([information, "slides.pdf"], cwd=tmp_path, capture_output=True, timeout=60).stdout.decode()
    last = max(int(k) for k in re.findall(r"\\only<(\d+)-", text))
    assert int(re.search(r"Pages: +(\d+)", told)[1]) == last


REFUSED = [
    ("no result", lambda: render.animated_svg(cells.elman(3, 4, 2)), "numbers of a run, which SliceTemplate does not have"),
    ("a path", lambda: render.gif(elman_run(), path=[("h", 0)]), "marks what is computed; leave path out"),
    ("a rolled view", lambda: render.beamer(elman_run(), view="rolled"), "view must be 'unrolled' or 'folded'"),
    ("no time", lambda: render.animated_svg(elman_run(), seconds=0), "seconds is 0; it must be a positive number"),
]  # fmt: skip


@pytest.mark.parametrize(("animate", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_animated_is_refused(animate, message):
    with pytest.raises(db.DataError, match=re.escape(message)):
        animate()


def test_a_long_run_is_folded():
    result = elman_run(T=40)
    assert len(frames(result, {})) < 60

"""The explorer in a real browser: shown numbers are the result's, keys work, nothing is reported on the console."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, dbn, render


def _shown(page, title):
    """The numbers of a heat map."""
    cells_ = page.locator(f'#details table[aria-label="{title}"] td').all()
    return np.array([float(cell.get_attribute("title").replace("\u2212", "-")) for cell in cells_])


def _steps(page):
    return int(page.get_attribute("#slider", "max"))


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_an_animation_moves_unless_the_reader_wants_it_still(opened, result, motion):
    page = opened(render.animated_svg(result, compact=True, seconds=0.2), reduced_motion=motion)
    captions = "[...document.querySelectorAll('.step .head')].filter(e => getComputedStyle(e).visibility == 'visible')"
    seen = set()
    for _ in range(6):
        (text,) = page.evaluate(captions + ".map(e => e.textContent)")
        seen.add(text)
        page.wait_for_timeout(250)
    assert len(seen) > 2 if motion == "no-preference" else seen == {f"the loss is {result.loss:.4g}"}


def test_it_steps_to_the_end_and_shows_the_gradients(opened, result):
    page = opened(render.html(result))
    for _ in range(_steps(page)):
        page.click("#next")
    assert "All gradients are there" in page.inner_text("#status")
    for name, gradient in result.gradients.items():
        shown = page.inner_text(f'[data-parameter="{name}"] output')
        assert float(shown) == pytest.approx(np.linalg.norm(gradient), rel=2e-3)
    assert f"loss {result.loss:.8g}" in page.inner_text("#summary")
    assert "All engines agree" in page.inner_text("#agreement")


def test_every_step_shows_the_node_that_it_computes(opened, result):
    page = opened(render.html(result))
    order = page.evaluate("forward.map((n) => [nodes[n].plain])")
    for k, (plain,) in enumerate(order):
        page.keyboard.press("ArrowRight")
        assert page.get_attribute("#details h2", "data-plain") == plain
        assert page.locator("[data-node].pending").count() == len(order) - k - 1


def test_values_adjoints_and_messages_are_the_results(opened, result):
    page = opened(render.html(result))
    page.keyboard.press("End")
    node = page.evaluate("nodes.findIndex((n) => n.plain === 'h\u207d\u00b2\u207e')")
    page.click(f'[data-node="{node}"]')
    assert np.allclose(_shown(page, "value"), result.values["h", 2], rtol=2e-3)
    assert np.allclose(_shown(page, "adjoint"), result.messages.adjoint["h", 2], rtol=2e-3)
    assert "the sum of 2 messages" in page.inner_text("#details")
    page.click('#details button:has-text("from a\u207d\u00b3\u207e through W")')
    assert np.allclose(_shown(page, "message"), result.messages.edge[("h", 2), ("a", 3), 2], rtol=2e-3)
    weights = result.values.given.parameters["W"]
    assert np.allclose(_shown(page, "local Jacobian"), weights.ravel(), rtol=2e-3)
    assert page.locator("#details math").count() == 1


def test_keys_alone_are_enough(opened, result):
    page = opened(render.html(result))
    total = _steps(page)
    for key, step in (("End", total), ("ArrowLeft", total - 1), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        assert page.input_value("#slider") == str(step)
    page.keyboard.press("t")
    assert f"The loss is {result.loss:.8g}" in page.inner_text("#status")
    page.keyboard.press("End")
    for _ in range(30):  # tab until a node has the focus
        page.keyboard.press("Tab")
        if page.evaluate("groups.indexOf(document.activeElement) >= 0"):
            break
    before = page.evaluate("groups.indexOf(document.activeElement)")
    page.keyboard.press("ArrowRight")
    after = page.evaluate("groups.indexOf(document.activeElement)")
    assert -1 < before != after > -1
    page.keyboard.press("Enter")
    assert page.locator("[data-node].chosen").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("[data-node].chosen").count() == 0


def test_play_runs_to_the_end_and_pauses(opened, result):
    page = opened(render.html(result))
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.click("#play")
    page.wait_for_function(
        "document.getElementById('slider').value === document.getElementById('slider').max", timeout=5000
    )
    assert "Play" in page.inner_text("#play")


def test_a_cell_of_the_credit_matrix_lights_up_its_paths(opened, result):
    page = opened(render.html(result))
    page.click('#credit [aria-label^="loss of slice 3, copy in slice 1"]')
    blamed = page.evaluate("edges.filter((_, k) => curves[k].classList.contains('blame')).map((e) => e.about)")
    assert any("h, slice 1 to a, slice 2" in about for about in blamed)
    assert not any("slice 4" in about or "slice 0" in about for about in blamed)
    assert "edges, marked in the picture, lie on its paths" in page.inner_text("#blamed")
    page.click('#credit [aria-label^="loss of slice 1, copy in slice 3"]')
    assert page.evaluate("curves.every((c) => !c.classList.contains('blame'))")


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1920, 1080)], ids=["phone", "projector"])
def test_it_fits_the_screen(opened, result, width, height):
    page = opened(render.html(result), viewport={"width": width, "height": height})
    page.keyboard.press("End")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.is_visible("#details")
    for name in ("first", "back", "play", "next", "last"):
        assert page.is_visible(f"#{name}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_readers_theme(opened, result, scheme):
    page = opened(render.html(result), color_scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(22, 24, 29)" if scheme == "dark" else "rgb(255, 255, 255)")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible("#play")


def test_inference_is_stepped_through_too(opened):
    model, evidence = dbn.umbrella(), {"Umbrella": [1, 1, 0]}
    page = opened(render.html(model, evidence=evidence))
    page.keyboard.press("End")
    rows = page.locator('#network .side > div:has(h3:text-is("Posterior of Rain")) tr').all()[1:]
    shown = np.array([[float(cell.inner_text()) for cell in row.locator("td").all()[2:]] for row in rows])
    assert np.allclose(shown, dbn.smooth(model, evidence)["Rain"], atol=1e-3)
    assert "All engines agree" in page.inner_text("#agreement")


def test_a_svg_picture_opens_in_a_browser(opened, result):
    page = opened(f"<!doctype html><title>svg</title>{render.svg(result)}")
    assert page.locator("svg [data-node]").count() == len(render.scene(result).spots)


def test_a_folded_page_says_what_is_left_out(opened):
    rng = np.random.default_rng(0)
    rnn = cells.elman(3, 4, 2)
    long = db.bptt(rnn, rnn.initial_parameters(0), {"x": rng.normal(size=(100, 3)), "y": rng.integers(0, 2, 100)})
    page = opened(render.html(long))
    assert page.inner_text("#summary").startswith("100 slices, 5 of them drawn; loss")
    assert page.locator('[data-parameter="W"] .slices i').count() == 5
    assert "1 node is ready" in page.inner_text("#status")
    page.evaluate("openAt('#node=a,3')")
    assert page.inner_text("#status") == "No node a,3 is drawn here."
    page.keyboard.press("End")
    shown = page.inner_text('[data-parameter="W"] output')
    assert float(shown) == pytest.approx(np.linalg.norm(long.gradients["W"]), rel=2e-3)
    assert "with the slices that are not drawn" in page.inner_text("#gradients")
    node = page.evaluate("nodes.findIndex((n) => n.plain === 'h\u207d\u00b2\u207e')")
    page.click(f'[data-node="{node}"]')
    assert "the sum of 2 messages" in page.inner_text("#details")


def test_the_focus_stays_where_it_was_used(opened, result):
    page = opened(render.html(result))
    page.keyboard.press("End")
    page.locator("#details .list button").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "details"
    page.locator('#credit [tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.cell") == "1,0"
    page.keyboard.press("Enter")
    assert "Slice 1's loss" in page.inner_text("#blamed")
    page.keyboard.press("ArrowDown")
    page.locator("#credit select").select_option("U")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_print_keeps_the_colours_of_numbers(opened, result):
    page = opened(render.html(result))
    page.keyboard.press("End")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('.heat td')).printColorAdjust") == "exact"
    assert page.evaluate("getComputedStyle(document.querySelector('.matrix button')).printColorAdjust") == "exact"


def test_choosing_a_node_pauses(opened, result):
    page = opened(render.html(result))
    page.click("#play")
    page.locator("[data-node]").first.click()
    step = page.input_value("#slider")
    page.wait_for_timeout(1000)
    assert page.input_value("#slider") == step
    assert page.locator("[data-node].chosen").count() == 1

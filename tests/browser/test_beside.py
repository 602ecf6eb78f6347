"""Two explorers in one page: one set of buttons and keys leads both."""

import pytest

from dbn_bptt import dbn, render


@pytest.fixture(scope="module")
def pair(result):
    return render.html(result, beside=(dbn.umbrella(), {"Umbrella": [1, 1, 0, 1, 0]}))


def _step(page, pair_, step):
    """Wait until both pages are at their steps."""
    for frame, own in zip(pair_, page.evaluate(f"pairs[{step}]"), strict=True):
        frame.wait_for_function(f"step === {own}")


@pytest.fixture
def both(opened, pair):
    def open_both(address="", **options):
        page = opened(pair, address, **options)
        frames = page.frames[1:]
        for frame in frames:
            frame.wait_for_selector("#details h2")
        return page, frames

    return open_both


def test_the_same_buttons_drive_both(both):
    page, frames = both()
    for button, step in (("next", 1), ("next", 2), ("turn", page.evaluate("turn")), ("last", page.evaluate("last"))):
        page.click(f"#{button}")
        assert page.input_value("#slider") == str(step)
        _step(page, frames, step)
    assert page.inner_text("#status").endswith("all gradients are there.")
    for frame in frames:
        assert not frame.is_visible("#play")
        assert not frame.is_visible("#slider")
        assert not frame.is_visible("#start-tour")
        assert frame.get_attribute("#status", "aria-live") == "off"  # one page reads out
        assert frame.locator('#details button:has-text("Take the tour")').count() == 0


def test_state_is_beside_message(both):
    page, frames = both()
    steps = page.evaluate("last")
    seen = []
    for _ in range(steps):
        page.click("#next")
        _step(page, frames, int(page.input_value("#slider")))
        seen.append(tuple(frame.get_attribute("#details h2", "data-plain") for frame in frames))
    for t in "\u2070\u00b9\u00b2\u00b3\u2074":
        assert seen.count((f"h\u207d{t}\u207e", f"\u03b1\u207d{t}\u207e")) >= 2  # forward and reverse


def test_keys_pressed_in_either_lead_both(both):
    page, frames = both()
    page.keyboard.press("ArrowRight")
    _step(page, frames, 1)
    frames[1].locator("#details").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("step === 2")
    _step(page, frames, 2)
    page.click("#next")
    frames[0].locator("[data-node]").first.click()  # to choose is for one of them
    assert frames[0].locator("[data-node].chosen").count() == 1
    assert frames[1].locator("[data-node].chosen").count() == 0
    page.uncheck("#keys")
    frames[1].wait_for_function("!document.getElementById('keys').checked")
    frames[1].locator("#details").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(100)
    assert page.input_value("#slider") == "3"


def test_choosing_a_node_pauses_both(both):
    page, frames = both()
    page.click("#play")
    frames[0].locator("[data-node]").first.click()
    page.wait_for_function("timer === null")
    step = page.input_value("#slider")
    page.evaluate("window.postMessage({command: 'last'}, '*')")  # comes from neither
    for nonsense in ("null", "{}", "{command: 'toString'}", "{command: 3}"):
        frames[0].evaluate(f"window.parent.postMessage({nonsense}, '*')")
    page.wait_for_timeout(100)
    assert page.input_value("#slider") == step


def test_an_address_names_a_step_of_both(both):
    page, frames = both("#loss")
    _step(page, frames, page.evaluate("turn"))
    assert "both losses are there" in page.inner_text("#status")
    page.evaluate("location.hash = '#step=7'")
    page.wait_for_function("step === 7")
    _step(page, frames, 7)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_have_the_theme_of_the_page(both, theme):
    page, frames = both(f"?theme={theme}", color_scheme="dark" if theme == "light" else "light")
    for frame in frames:
        frame.wait_for_function(f"root.dataset.theme === '{theme}'")
    page.click("#theme")
    for frame in frames:
        frame.wait_for_function(f"root.dataset.theme !== '{theme}'")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 667)], ids=["beside", "stacked"])
def test_it_fits_the_screen(both, width, height):
    page, frames = both("#loss", viewport={"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = [box.bounding_box() for box in page.locator("iframe").all()]
    if width > 600:
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["y"] + boxes[0]["height"] <= height
    else:
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    for frame in frames:
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert frame.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert all(frame.locator(f"#{name}").bounding_box()["height"] > 100 for name in ("picture", "details"))


def test_all_of_one_is_shown_in_place(both):
    _, frames = both()
    frames[0].click("#whole")
    assert frames[0].is_visible("#gradients")
    assert not frames[0].is_visible("#play")


def test_both_fit_into_a_frame_of_another_page(framed, pair):
    _, frame = framed(pair, "#loss")
    inside = frame.child_frames
    assert frame.evaluate("document.documentElement.scrollHeight") <= 520
    for page in inside:
        page.wait_for_selector("#details h2")
        assert page.is_visible("#picture")
        assert page.is_visible("#details")

"""The explorer as others link to it and show it: at a step, at a node, in a frame of their page."""

import pytest

from dbn_bptt import render

ADDRESSES = [  # address, step, node that is chosen
    ("", 0, None),
    ("#step=12", 12, None),
    ("#step=-3", 0, None),
    ("#step=9999", 51, None),
    ("#step=x", 0, None),
    ("#loss", 25, None),
    ("#node=h,2", 12, "h\u207d\u00b2\u207e"),
    ("#node=h,-1", 0, "h\u207d\u207b\u00b9\u207e"),
    ("#loss&node=h,2", 25, "h\u207d\u00b2\u207e"),
    ("#step=40&node=h%2C2", 40, "h\u207d\u00b2\u207e"),
    ("?theme=dark#node=L,4", 25, "L\u207d\u2074\u207e"),
    ("#other", 0, None),
]
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 29)"}


def _state(page):
    chosen = page.locator("[data-node].chosen")
    return int(page.input_value("#slider")), page.inner_text("#status") if chosen.count() else None


def _paper(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize(("address", "step", "node"), ADDRESSES, ids=[address or "none" for address, *_ in ADDRESSES])
def test_an_address_opens_at_its_step(opened, result, address, step, node):
    page = opened(render.html(result), address)
    assert _state(page) == (step, node and f"Chosen: {node}.")
    assert _paper(page) == PAPER["dark" if "dark" in address else "light"]


@pytest.mark.parametrize(("address", "step", "node"), [a for a in ADDRESSES if a[0][:1] == "#"], ids=lambda of: str(of))
def test_a_page_can_be_made_to_open_there(opened, result, address, step, node):
    page = opened(render.html(result, at=address[1:]))
    assert _state(page) == (step, node and f"Chosen: {node}.")


def test_an_address_comes_before_what_the_page_was_made_to_open_at(opened, result):
    assert _state(opened(render.html(result, at="loss"), "#step=3")) == (3, None)


def test_the_address_of_an_open_page_may_change(opened, result):
    page = opened(render.html(result), "#step=3")
    page.evaluate("location.hash = '#loss'")
    page.wait_for_function("document.getElementById('slider').value === '25'")


@pytest.mark.parametrize("node", ["h,9", "h", "z,0"])
def test_an_address_of_no_node_says_so(opened, result, node):
    page = opened(render.html(result), f"#step=4&node={node}")
    assert page.inner_text("#status") == f"No node {node} is drawn here."
    assert page.input_value("#slider") == "4"


@pytest.mark.parametrize(("width", "height"), [(700, 520), (340, 600)], ids=["column", "phone"])
def test_in_a_frame_are_controls_picture_and_details_alone(framed, result, width, height):
    _, frame = framed(render.html(result), "#node=h,2", width, height)
    for name in ("picture", "details", "play", "status", "slider", "theme", "whole"):
        assert frame.is_visible(f"#{name}"), name
    for name in ("gradients", "credit", "norms", "agreement", "equations"):
        assert not frame.is_visible(f"#{name}"), name
    assert frame.evaluate("document.documentElement.scrollWidth") <= width
    boxes = [frame.locator(f"#{name}").bounding_box() for name in ("picture", "details")]
    if width == 700:  # all of it can be seen without scrolling
        assert frame.evaluate("document.documentElement.scrollHeight") <= height
        assert all(box["height"] > 300 for box in boxes)
    assert all(box["width"] > 200 for box in boxes)
    node = frame.locator("[data-node].chosen").bounding_box()
    assert boxes[0]["y"] <= node["y"] <= boxes[0]["y"] + boxes[0]["height"] - node["height"]


def test_all_of_it_opens_by_itself_at_the_same_step(framed, result):
    page, frame = framed(render.html(result))
    frame.click("#turn")
    with page.context.expect_page() as opening:
        frame.click("#whole")
    whole = opening.value
    assert whole.is_visible("#gradients")
    assert not whole.is_visible("#whole")
    assert whole.input_value("#slider") == "25"


def test_a_frame_without_an_address_shows_all_of_it_in_place(opened, result):
    frame = opened(render.html(result)._repr_html_()).frames[1]
    assert not frame.is_visible("#gradients")
    frame.click("#whole")
    assert frame.is_visible("#gradients")
    assert not frame.is_visible("#whole")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_frame_has_the_theme_of_the_page_around_it(framed, result, scheme):
    other = {"light": "dark", "dark": "light"}[scheme]
    page, frame = framed(render.html(result), color_scheme=scheme)
    assert _paper(frame) == PAPER[scheme]
    page.emulate_media(color_scheme=other)
    frame.wait_for_function(f"document.documentElement.dataset.theme === '{other}'")
    page.evaluate(f"frames[0].postMessage({{theme: '{scheme}'}}, '*')")
    frame.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    page.evaluate("frames[0].postMessage({step: 25}, '*')")
    frame.wait_for_function("document.getElementById('slider').value === '25'")
    page.emulate_media(color_scheme=scheme)
    page.emulate_media(color_scheme=other)  # the reader's system is followed no longer
    frame.evaluate("window.postMessage({step: 3}, '*')")  # not from the page around it
    for nonsense in ("null", "'dark'", "{theme: 'pink'}", "{step: 'x'}", "{}"):
        page.evaluate(f"frames[0].postMessage({nonsense}, '*')")
    page.wait_for_timeout(100)
    assert _state(frame) == (25, None)
    assert _paper(frame) == PAPER[scheme]

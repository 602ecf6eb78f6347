"""The explorer's tour in a browser: offered, reachable by keys, at the right step, and out of the way when it is left."""

import pytest

from dbn_bptt import dbn, render


def _tour(page):
    return page.evaluate("content.tour")


def test_it_is_offered_before_the_first_step_and_not_after_it(opened, result):
    page = opened(render.html(result))
    assert page.is_visible('#details button:has-text("Take the tour")')
    assert not page.is_visible("#guide")
    page.click("#next")
    assert page.locator('#details button:has-text("Take the tour")').count() == 0
    page.click("#first")
    page.click('#details button:has-text("Take the tour")')
    assert page.inner_text("#stop").startswith("1 of 8: What is given.")
    assert page.locator('#details button:has-text("Take the tour")').count() == 0


def test_keys_alone_go_through_it(opened, result):
    page = opened(render.html(result))
    page.focus("#start-tour")
    page.keyboard.press("Enter")
    tour = _tour(page)
    assert page.get_attribute("#stop", "aria-live") == "polite"
    assert page.get_attribute("#status", "aria-live") == "off"  # only one of them is read out
    for k, stop in enumerate(tour):
        assert page.inner_text("#stop").startswith(f"{k + 1} of {len(tour)}: {stop['title']}. {stop['text']}")
        assert page.input_value("#slider") == str(stop["step"])
        assert page.locator("[data-node].chosen").evaluate_all("all => all.map((g) => Number(g.dataset.node))") == (
            [stop["node"]] if "node" in stop else []
        )
        assert page.evaluate("curves.findIndex((c) => c.classList.contains('chosen'))") == stop.get("edge", -1)
        assert page.locator("section.at-stop").evaluate_all("all => all.map((s) => s.id)") == (
            [stop["section"]] if "section" in stop else []
        )
        page.keyboard.press("Enter")
    assert not page.is_visible("#guide")
    assert page.evaluate("document.activeElement.id") == "start-tour"
    assert page.locator(".at-stop").count() == 0
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#status", "aria-live") == "polite"


def test_it_goes_back_and_is_left_by_escape(opened, result):
    page = opened(render.html(result), "#tour=2")
    assert page.inner_text("#stop").startswith("2 of 8")
    page.focus("#stop-before")
    page.keyboard.press("Enter")
    assert page.inner_text("#stop").startswith("1 of 8")
    assert page.evaluate("document.activeElement.id") == "stop-after"  # there is none before the first
    assert page.is_disabled("#stop-before")
    page.keyboard.press("ArrowRight")  # to look around is no step of the tour
    assert page.input_value("#slider") == "1"
    page.keyboard.press("Escape")
    assert not page.is_visible("#guide")


@pytest.mark.parametrize(
    ("address", "place"), [("#tour", 1), ("#tour=6", 6), ("#tour=0", 1), ("#tour=99", 8), ("#tour=x", 1)]
)
def test_an_address_opens_it_at_a_stop(opened, result, address, place):
    page = opened(render.html(result), address)
    assert page.inner_text("#stop").startswith(f"{place} of 8: ")
    assert page.evaluate("document.activeElement === document.body")


@pytest.mark.parametrize("book", ["../book", "https://book.example/chapters/"])
def test_its_stops_link_to_the_chapters_of_a_book(opened, result, book):
    page = opened(render.html(result, book=book), "#tour")
    for stop in _tour(page):
        link = page.locator("#stop a")
        assert link.get_attribute("href") == f"{book.rstrip('/')}/{stop['chapter']}.html"
        assert link.inner_text() == f"Read on: chapter {int(stop['chapter'][:2])}"
        page.click("#stop-after")


def test_without_a_book_it_links_nowhere(opened, result):
    assert opened(render.html(result), "#tour").locator("#stop a").count() == 0


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (375, 667)], ids=["desktop", "phone"])
@pytest.mark.parametrize("of", ["run", "inference"])
def test_what_a_stop_is_about_is_to_be_seen(opened, result, of, width, height):
    evidence = {"Umbrella": [1, 1, 0, 1]}
    made = render.html(result) if of == "run" else render.html(dbn.umbrella(), evidence=evidence)
    page = opened(made, "#tour", viewport={"width": width, "height": height})
    for stop in _tour(page):
        page.wait_for_timeout(50)
        target = ".chosen" if {"node", "edge"} & set(stop) else f"#{stop.get('section', 'picture')}"
        seen = page.locator(target).first.bounding_box()
        top = page.locator("#controls .buttons").first.bounding_box()
        guide = page.locator("#guide").bounding_box()
        covered = top["y"] + top["height"] if width < 400 else guide["y"] + guide["height"]
        below = guide["y"] if width < 400 else height
        assert covered <= seen["y"] < below - 40, stop["title"]
        assert guide["y"] >= 0
        assert guide["y"] + guide["height"] <= height
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("#stop-after")


@pytest.mark.parametrize(("width", "height"), [(700, 520), (340, 600)], ids=["column", "phone"])
def test_in_a_frame_it_shows_sections_in_place_of_the_details(framed, result, width, height):
    page, frame = framed(render.html(result, book="../book"), "#tour", width, height)
    page.evaluate("document.body.style.paddingTop = '3000px'")
    frame.evaluate("goToStop(5)")
    assert frame.is_visible("#gradients")
    assert not frame.is_visible("#details")
    assert not frame.is_visible("#norms")
    assert frame.get_attribute("#stop a", "target") == "_top"
    assert page.evaluate("scrollY") == 0  # the page around it stays where it is
    frame.evaluate("leaveTour()")
    assert frame.is_visible("#details")
    assert not frame.is_visible("#gradients")

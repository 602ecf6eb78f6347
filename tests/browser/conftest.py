"""A real browser, and pages opened in it that may neither complain nor ask for anything outside."""

import os
import shutil

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _missing(what):
    if os.environ.get("DBN_BPTT_REQUIRE_TOOLS"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright")
    if CHROMIUM is None:
        _missing("chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    rnn = cells.elman(3, 4, 2)
    data = {"x": rng.normal(size=(5, 3)), "y": rng.integers(0, 2, 5)}
    return db.bptt(rnn, rnn.initial_parameters(0), data)


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page; afterwards nothing may stand on its console, and nothing may have been asked of a network."""
    said, pages = [], []

    def open_page(content, address="", **options):
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(content)
        page = browser.new_page(**options)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
        page.goto(path.as_uri() + address)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert said == []


@pytest.fixture
def framed(opened, tmp_path):
    """Opens a page in a frame of another one, and returns the other page and the frame."""

    def open_frame(content, address="", width=700, height=520, **options):
        (tmp_path / "inner.html").write_text(content)
        size = f"width:{width}px;height:{height}px;border:0"
        outer = f'<!doctype html><title>book</title><body style="margin:0"><iframe src="inner.html{address}" style="{size}">'
        page = opened(outer, viewport={"width": width, "height": height}, **options)
        return page, page.frames[1]

    return open_frame

"""The built site, as readers meet it: every page at two widths in two themes, links, search, and the explorers in it."""

import os
import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
CHAPTERS = [path.stem for path in sorted((ROOT / "docs" / "book").glob("[0-9]*.md"))]
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.glob("**/*.html") if "_static" not in path.parts)
SIZES = {"phone": {"width": 375, "height": 740}, "desktop": {"width": 1280, "height": 900}}

pytestmark = pytest.mark.skipif(
    not PAGES and not os.environ.get("DBN_BPTT_REQUIRE_TOOLS"),
    reason="no site in build/site; the README says how to make it",
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_quiet_and_fits(browser, address, size, scheme):
    page = browser.new_context(viewport=SIZES[size], color_scheme=scheme).new_page()
    faults = []
    page.on("console", lambda message: faults.append((page.url, message.text)) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append((page.url, str(error))))
    page.on("request", lambda request: faults.append((page.url, request.url)) if outside(request.url) else None)
    for name in PAGES:
        page.goto(address + name)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > SIZES[size]["width"]:
            faults.append((name, f"is {width} px wide"))
    page.context.close()
    assert faults == []


def outside(url):
    return not url.startswith(("http://127.0.0.1", "data:", "about:", "blob:"))


def links(name):
    """Where a page leads to within the site, explorers in frames aside."""
    text = re.sub(r'srcdoc="[^"]*"', "", (SITE / name).read_text(encoding="utf-8"))
    found = re.findall(r'(?:href|src)="([^"#?]+)(?:[?#][^"]*)?"', text)
    return [link for link in found if "://" not in link and not link.startswith(("data:", "mailto:"))]


def test_no_link_inside_is_dead():
    assert [(name, link) for name in PAGES for link in links(name) if not ((SITE / name).parent / link).exists()] == []


def test_search_finds_costate(browser, address):
    page = browser.new_page()
    page.goto(address + "search.html?q=costate")
    page.wait_for_selector("#search-results li")
    found = [item.inner_text() for item in page.query_selector_all("#search-results li a")]
    assert any("Dynamic programming" in text for text in found), found


@pytest.mark.parametrize("chapter", [name for name in CHAPTERS if name[:2] in ("01", "02", "04", "07", "08")])
def test_the_explorers_step(browser, address, chapter):
    page = browser.new_page(viewport=SIZES["desktop"])
    page.goto(address + f"book/{chapter}.html")
    frames = [frame for frame in page.frames if frame.parent_frame == page.main_frame]
    assert frames
    for frame in frames:
        frame.wait_for_selector("#next")
        frame.evaluate("document.getElementById('first').click()")
        before = frame.inner_text("#status")
        frame.evaluate("document.getElementById('next').click()")
        assert frame.inner_text("#status") != before


def test_explorers_follow_the_theme(browser, address):
    page = browser.new_page(viewport=SIZES["desktop"], color_scheme="dark")
    page.goto(address + "book/01_one_slice.html")
    frame = next(frame for frame in page.frames if frame != page.main_frame)
    frame.wait_for_selector("html[data-theme=dark]")


def test_a_notebook_holds_the_code_of_its_chapter():
    nbformat = pytest.importorskip("nbformat")
    for name in CHAPTERS:
        (path,) = SITE.glob(f"_downloads/*/{name}.ipynb")
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        source = (ROOT / "docs" / "book" / f"{name}.md").read_text(encoding="utf-8")
        cells = [cell.strip() for cell in re.findall(r"```\{code-cell\} python\n(.*?)```", source, re.DOTALL)]
        assert [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"] == cells
        prose = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        assert "**The question**" in prose
        assert ":::" not in prose
        assert "{download}" not in prose

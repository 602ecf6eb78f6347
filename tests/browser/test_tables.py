"""Numbers that are too many for their table, and keys that a reader wants to be left alone by."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells, render


@pytest.fixture(scope="module")
def wide():
    rng = np.random.default_rng(0)
    rnn = cells.elman(30, 16, 2)
    data = {"x": rng.normal(size=(3, 30)), "y": rng.integers(0, 2, 3)}
    return db.bptt(rnn, rnn.initial_parameters(0), data)


def _spelled(page, title):
    table = page.locator(f'table[aria-label="{title}, in numbers"]')
    rows = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in table.locator("tr").all()]
    numbers = [[float(text.replace("\u2212", "-")) for text in row[1:]] for row in rows[1:]]
    return np.array(numbers), rows[0][1:], [row[0] for row in rows[1:]]


def test_a_wide_table_shows_its_numbers_when_it_is_opened(opened, wide):
    page = opened(render.html(wide), "#step=9999&node=h,1")
    assert page.locator(".spelled").count() == 0
    page.click('#details dd:has(table[aria-label="value"]) summary')
    numbers, columns, rows = _spelled(page, "value")
    assert np.allclose(numbers[0], wide.values["h", 1], rtol=1e-3)
    assert columns == [str(k) for k in range(16)]
    assert rows == [""]
    page.evaluate("choose({ node: nodes.findIndex((n) => n.variable === 'h' && n.t === 2) })")  # it stays open
    assert np.allclose(_spelled(page, "value")[0][0], wide.values["h", 2], rtol=1e-3)
    page.evaluate("choose({ edge: edges.findIndex((e) => e.parameter === 'W' && nodes[e.head].t === 1) })")
    page.click('#details dd:has(table[aria-label="local Jacobian"]) summary')
    numbers, columns, rows = _spelled(page, "local Jacobian")
    assert np.allclose(numbers, wide.values.given.parameters["W"], rtol=1e-3)
    assert rows == columns == [str(k) for k in range(16)]


def test_a_table_too_large_for_colours_has_numbers(opened, wide):
    page = opened(render.html(wide), "#step=9999")
    assert page.locator('table[aria-label="gradient of U so far"]').count() == 0
    page.click('[data-parameter="U"] summary')
    numbers, _, _ = _spelled(page, "gradient of U so far")
    assert np.allclose(numbers, wide.gradients["U"], rtol=3e-3, atol=1e-12)


def test_indices_stay_in_sight_and_arrows_scroll(opened, wide):
    page = opened(render.html(wide), "#step=9999")
    page.click('[data-parameter="U"] summary')
    box = page.locator('[data-parameter="U"] .spelled')
    step = page.input_value("#slider")
    box.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_function("document.querySelector('.spelled').scrollLeft > 20")
    assert page.input_value("#slider") == step
    frame, head, left = (part.bounding_box() for part in (box, box.locator("th").nth(0), box.locator("th").nth(35)))
    assert abs(head["y"] - frame["y"]) < 3
    assert abs(left["x"] - frame["x"]) < 3


def test_single_keys_can_be_turned_off(opened, wide):
    page = opened(render.html(wide))
    page.keyboard.press("ArrowRight")
    page.uncheck("#keys")
    page.locator("#details").focus()
    for key in ("ArrowRight", "t", "p", "End", "Home"):
        page.keyboard.press(key)
    assert page.input_value("#slider") == "1"
    assert "Play" in page.inner_text("#play")
    page.click("#next")
    assert page.input_value("#slider") == "2"
    page.check("#keys")
    page.locator("#details").focus()
    page.keyboard.press("t")
    assert page.input_value("#slider") == str(page.evaluate("turn"))


@pytest.mark.parametrize("field", ["#keys", "#slider", "#credit select"])
def test_no_key_is_a_command_in_a_field(opened, wide, field):
    page = opened(render.html(wide), "#step=3")
    page.focus(field)
    page.keyboard.press("p")
    page.keyboard.press("t")
    assert page.input_value("#slider") == "3"
    assert "Play" in page.inner_text("#play")
    page.focus("#slider")
    page.keyboard.press("ArrowRight")  # is the slider's own
    assert page.input_value("#slider") == "4"
    assert page.inner_text("#status").startswith("Step 4 of")

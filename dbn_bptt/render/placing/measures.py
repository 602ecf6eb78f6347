"""How large nodes are, and where the boxes of one slice stand."""

from collections.abc import Mapping
from typing import Any

from dbn_bptt.render.colors import PARAMETER_KINDS
from dbn_bptt.render.placing.curves import Box, Outline
from dbn_bptt.render.placing.grid import Grid, Key, Member, grid
from dbn_bptt.render.placing.labels import CAPTION, SMALLER, Label, text_width
from dbn_bptt.render.placing.routes import Yard
from dbn_bptt.render.subjects.overlays import CARD_FOOT, CELL, Overlay
from dbn_bptt.render.subjects.sources import Source
from dbn_bptt.render.subjects.views import Page

SIZE, SMALL_SIZE, CARD = 42.0, 30.0, 60.0  # px: nodes, copies of parameters, nodes with numbers in them
ROW_GAP, PLACE_GAP, SLICE_GAP = 54.0, 26.0, 86.0  # px between them
FAN = 34.0  # px more between rows where an edge fans out
FRAMED = 34.0  # px more between slices with frames round them
CAPTIONED = 44.0  # px that a frame is wider than its caption
BELOW, ASIDE, BENEATH = 44.0, 30.0, 12.0  # px from the last row down to parameters, left of the slices, one to the next
ROUND, PILL = 9.0, 15.0  # px that a circle and a pill, with its round ends, are wider than their text at least
CARD_SIDES, CARD_HEAD = 16.0, 30.0  # px beside and above the numbers in a node

Size = tuple[float, float]


def key_of(attributes: Mapping[str, Any]) -> Key:
    """The variable that a node belongs to; a parameter has its own, apart from variables."""
    if attributes["kind"] in PARAMETER_KINDS:
        return (attributes["kind"], attributes["name"]), attributes["index"]
    return attributes["name"], attributes["index"]


def ground(source: Source, page: Page, labels: Mapping[Any, Label], over: Overlay) -> Yard:
    """Measure the nodes of a page and put them into the slice."""
    sizes = _sizes(page, labels, over)
    arranged = _grid(source, page)
    blocks = {key_of(at): at["block"] for _, at in page.graph.nodes(data=True)}
    entry = {key: -1 if (blocks[key] % 2 == 1) != source.downward else 1 for key in blocks}
    inside = {key: sizes[key] for key in arranged.rows}
    widest, tallest = (max((size[k] for size in inside.values()), default=SIZE) for k in (0, 1))
    rows = _rows(arranged, page, entry, tallest)
    place = widest + PLACE_GAP
    square = _square(page, over)
    boxes = {
        key: Box(
            arranged.places[key] * place + widest / 2, rows[int(arranged.rows[key])], w, h,
            _outline(w, h, key in square),
        )
        for key, (w, h) in inside.items()
    }  # fmt: skip
    slice_width = (arranged.width - 1) * place + widest
    widest_caption = max((text_width(text, CAPTION) + CAPTIONED for text, *_ in page.blocks), default=0.0)
    gap = max(SLICE_GAP + FRAMED, widest_caption - slice_width) if page.blocks else SLICE_GAP
    outside = [key_of(at) for _, at in page.graph.nodes(data=True) if at["column"] is None]
    low = rows[-1] + tallest / 2 + BELOW
    left = max((sizes[key][0] for key in outside), default=0.0)
    boxes |= {
        key: Box(
            -gap / 2 - left / 2 - ASIDE, low + k * (SMALL_SIZE + BENEATH), *sizes[key], _outline(*sizes[key], False)
        )
        for k, key in enumerate(outside)
    }
    row_of = {key: int(row) for key, row in arranged.rows.items()}
    return Yard(
        pitch=slice_width + gap, gap=gap, rows=rows, row_of=row_of, boxes=boxes, entry=entry,
        outside=frozenset(outside),
    )  # fmt: skip


def _rows(arranged: Grid, page: Page, entry: Mapping[Key, int], tallest: float) -> tuple[float, ...]:
    """The y of each row; where an edge fans out into a row, there is room for names on its branches."""
    fans: dict[Any, dict[Key, None]] = {}
    graph = page.graph
    for u, v, delay in graph.edges(data="delay"):
        tail, head = graph.nodes[u], graph.nodes[v]
        if tail["column"] is not None and (delay or tail["column"] != head["column"]):
            where = key_of(tail), arranged.rows[key_of(head)], delay or head["column"] - tail["column"]
            fans.setdefault(where, {})[key_of(head)] = None
    branching = [(int(row), heads) for (_, row, _), heads in fans.items() if len(heads) > 1]
    wide = {row + (1 if entry[head] > 0 else 0) for row, heads in branching for head in heads}
    rows = [0.0]
    for k in range(1, arranged.height):
        rows.append(rows[-1] + tallest + ROW_GAP + (FAN if k in wide else 0.0))
    return tuple(rows)


def _square(page: Page, over: Overlay) -> set[Key]:
    """The variables whose nodes have corners: terms of totals, and nodes with numbers in them."""
    return {
        key_of(at)
        for node, at in page.graph.nodes(data=True)
        if at["kind"] in ("term", "sum") or at.get("stands_for", node) in over.nodes
    }


def _outline(width: float, height: float, square: bool) -> Outline:
    return "box" if square else "circle" if width == height else "pill"


def _sizes(page: Page, labels: Mapping[Any, Label], over: Overlay) -> dict[Key, Size]:
    """A size for each variable: the largest that one of its nodes needs."""
    found: dict[Key, Size] = {}
    for node, attributes in page.graph.nodes(data=True):
        small = attributes["kind"] in PARAMETER_KINDS
        least = SMALL_SIZE if small else SIZE
        text, height = labels[node].width * (SMALLER if small else 1.0), least
        width = least if text + ROUND <= least else text + PILL
        numbers = over.nodes.get(attributes.get("stands_for", node))
        if numbers is not None:
            columns, rows = numbers.size
            width = max(width, columns * numbers.pitch + CARD_SIDES)
            height = max(CARD, CARD_HEAD + rows * CELL + CARD_FOOT)
        key = key_of(attributes)
        before = found.get(key, (0.0, 0.0))
        found[key] = max(width, before[0]), max(height, before[1])
    return found


def _grid(source: Source, page: Page) -> Grid:
    """The rows and places of the variables of a page."""
    graph = page.graph
    timed = [(node, at) for node, at in graph.nodes(data=True) if at["column"] is not None]
    lagged = {(key_of(graph.nodes[u]), key_of(graph.nodes[v])) for u, v, lag in graph.edges(data="lag") if lag}
    read = {u for u, _ in lagged}
    order = {"input": 0, "copy": 1, "target": 3}
    timed.sort(key=lambda item: (item[1]["block"], order.get(item[1]["kind"], 2)))
    members: dict[Key, Member] = {}
    for _, at in timed:
        key = key_of(at)
        if key not in members or members[key].kind in ("initial", "elided"):
            members[key] = Member(
                kind=at["kind"], block=at["block"], interface=key in read, recurrent=(key, key) in lagged
            )
    edges = [
        (key_of(graph.nodes[u]), key_of(graph.nodes[v])) for u, v, lag in graph.edges(data="lag")
        if not lag and graph.nodes[u]["column"] is not None and graph.nodes[u]["column"] == graph.nodes[v]["column"]
    ]  # fmt: skip
    return grid(members, dict.fromkeys(edges), source.downward, source.staggered)

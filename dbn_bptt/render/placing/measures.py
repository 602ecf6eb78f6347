"""How large nodes are, and where the boxes of one slice stand."""

from collections.abc import Mapping
from itertools import accumulate, chain
from typing import Any

from dbn_bptt.render.colors import PARAMETER_KINDS
from dbn_bptt.render.placing.curves import Box, Outline
from dbn_bptt.render.placing.grid import MOST_IN_ROW, Grid, Key, Member, grid
from dbn_bptt.render.placing.labels import CAPTION, SMALLER, Label, text_width
from dbn_bptt.render.placing.routes import Yard
from dbn_bptt.render.subjects.overlays import CARD_FOOT, Overlay
from dbn_bptt.render.subjects.sources import Source
from dbn_bptt.render.subjects.views import Page

SIZE, SMALL_SIZE, CARD = 42.0, 30.0, 60.0  # px: nodes, copies of parameters, nodes with numbers in them
ROW_GAP, PLACE_GAP, SLICE_GAP = 54.0, 26.0, 86.0  # px between them
FAN = 34.0  # px more between rows where an edge fans out
FRAMED = 34.0  # px more between slices with frames round them
CAPTIONED = 44.0  # px that a frame is wider than its caption
BELOW, ASIDE = 44.0, 30.0  # px from the last row down to parameters, and left of the slices
BESIDE, BENEATH, TRUNK = 12.0, 22.0, 11.0  # px from a parameter to the next, to the next row, and to the trunk between
ROUND, PILL = 9.0, 15.0  # px that a circle and a pill, with its round ends, are wider than their text at least
CARD_SIDES, CARD_HEAD = 16.0, 30.0  # px beside and above the numbers in a node


def key_of(attributes: Mapping[str, Any]) -> Key:
    """The variable that a node belongs to; a parameter has its own, apart from variables."""
    kind, name = attributes["kind"], attributes["name"]
    return (kind, name) if kind in PARAMETER_KINDS else name, attributes["index"]


def ground(source: Source, page: Page, labels: Mapping[Any, Label], over: Overlay) -> Yard:
    """Measure the nodes of a page and put them into the slice."""
    nodes = [(key_of(at), at) for _, at in page.graph.nodes(data=True)]
    sizes, square = _sizes(page, labels, over)
    row_of, places = _grid(source, page)
    entry = {key: 1 if (at["block"] % 2 == 1) == source.downward else -1 for key, at in nodes}
    widest, tallest = (max(sizes[key][k] for key in row_of) for k in (0, 1))
    rows = _rows(row_of, page, entry, tallest)
    place = widest + PLACE_GAP
    boxes = {}
    for key, row in row_of.items():
        outline: Outline = "box" if key in square else _round(*sizes[key])
        boxes[key] = Box(places[key] * place + widest / 2, rows[row], *sizes[key], outline)
    slice_width = int(max(places.values())) * place + widest
    widest_caption = max((text_width(text, CAPTION) + CAPTIONED for text, *_ in page.blocks), default=0.0)
    gap = max(SLICE_GAP + FRAMED, widest_caption - slice_width) if page.blocks else SLICE_GAP
    together = _rows_of_parameters(page, alone=bool(over.norms))
    step = max((sizes[key][0] for key in chain(*together)), default=0.0) + BESIDE
    outside = dict[Key, float]()
    for k, keys in enumerate(together):
        y = rows[-1] + tallest / 2 + BELOW + k * (SMALL_SIZE + (BENEATH if len(together[0]) > 1 else BESIDE))
        for n, key in enumerate(keys):
            x = -gap / 2 - ASIDE - step * (max(map(len, together)) - n - 0.5)
            boxes[key] = Box(x, y, *sizes[key], _round(*sizes[key]))
            outside[key] = y if len(keys) == 1 else y + SMALL_SIZE / 2 + TRUNK
    return Yard(slice_width + gap, gap, rows, row_of, boxes, entry, outside)


def _rows_of_parameters(page: Page, alone: bool) -> list[tuple[Key, ...]]:
    """Parameters that are read by the same variables, side by side; alone where their messages are to be seen."""
    graph = page.graph
    readers: dict[Key, set[Key]] = {key_of(at): set() for _, at in graph.nodes(data=True) if at["column"] is None}
    for u, v in graph.edges():
        if graph.nodes[u]["column"] is None:
            readers[key_of(graph.nodes[u])].add(key_of(graph.nodes[v]))
    groups: dict[Any, list[Key]] = {}
    for key, read_by in readers.items():
        groups.setdefault(key if alone else frozenset(read_by), []).append(key)
    return [row for keys in groups.values() for row in _cut(keys)]


def _cut(keys: list[Key]) -> list[tuple[Key, ...]]:
    return [tuple(keys[k : k + MOST_IN_ROW]) for k in range(0, len(keys), MOST_IN_ROW)]


def _rows(row_of: Mapping[Key, int], page: Page, entry: Mapping[Key, int], tallest: float) -> tuple[float, ...]:
    """The y of each row; where an edge fans out into a row, there is room for names on its branches."""
    fans: dict[Any, set[Key]] = {}
    graph = page.graph
    for u, v, delay in graph.edges(data="delay"):
        tail, head = graph.nodes[u], graph.nodes[v]
        if tail["column"] is not None and (delay or tail["column"] != head["column"]):
            row = row_of[key_of(head)]
            fans.setdefault((row, key_of(tail), delay or head["column"] - tail["column"]), set()).add(key_of(head))
    wide = {
        row + (1 if entry[head] > 0 else 0) for (row, *_), heads in fans.items() if len(heads) > 1 for head in heads
    }
    gaps = (tallest + ROW_GAP + (FAN if row in wide else 0.0) for row in range(1, 1 + max(row_of.values())))
    return tuple(accumulate(gaps, initial=0.0))


def _round(width: float, height: float) -> Outline:
    return "circle" if width == height else "pill"


def _sizes(page: Page, labels: Mapping[Any, Label], over: Overlay) -> tuple[dict[Key, tuple[float, float]], set[Key]]:
    """A size for each variable, the largest that one of its nodes needs; and the variables whose nodes have corners:
    terms of totals, and nodes with numbers in them."""
    sizes: dict[Key, tuple[float, float]] = {}
    square = set()
    for node, at in page.graph.nodes(data=True):
        key, small = key_of(at), at["kind"] in PARAMETER_KINDS
        height = SMALL_SIZE if small else SIZE
        text = labels[node].width() * (SMALLER if small else 1.0)
        width = height if text + ROUND <= height else text + PILL
        numbers = over.nodes.get(at.get("stands_for", node))
        if numbers is not None:
            width = max(width, numbers.width + CARD_SIDES)
            height = max(CARD, CARD_HEAD + numbers.height + CARD_FOOT)
        if numbers is not None or at["kind"] in ("term", "sum"):
            square.add(key)
        widest, tallest = sizes.get(key, (0.0, 0.0))
        sizes[key] = max(width, widest), max(height, tallest)
    return sizes, square


def _grid(source: Source, page: Page) -> Grid:
    """The rows and places of the variables of a page."""
    graph = page.graph
    key = {node: key_of(at) for node, at in graph.nodes(data=True)}
    column = dict(graph.nodes(data="column"))
    lagged = {(key[u], key[v]) for u, v, lag in graph.edges(data="lag") if lag}
    read = {u for u, _ in lagged}
    order = {"input": 0, "copy": 1, "target": 3}
    timed = [(key[node], at) for node, at in graph.nodes(data=True) if at["column"] is not None]
    timed.sort(key=lambda item: (item[1]["block"], order.get(item[1]["kind"], 2)))
    members: dict[Key, Member] = {}
    for own, at in timed:
        if own not in members or members[own].kind in ("initial", "elided"):
            partner = (source.partners[at["name"]], at["index"]) if at["name"] in source.partners else None
            members[own] = Member(at["kind"], at["block"], own in read, (own, own) in lagged, partner)
    edges = [
        (key[u], key[v]) for u, v, lag in graph.edges(data="lag")
        if not lag and column[u] is not None and column[u] == column[v]
    ]  # fmt: skip
    return grid(members, edges, source.downward, source.staggered)

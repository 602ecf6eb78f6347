"""Two explorers side by side in lockstep: which steps of the one go with which steps of the other."""

import sys
from itertools import pairwise
from typing import Any

Mark = tuple[int, int, int]  # a place that both runs come to: sweep, slice in the order of the sweep, part of the slice
TURN: Mark = (0, sys.maxsize, 0)  # after all slices of the forward sweep


def lockstep(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[int, int]]:
    """Pairs of steps of two pages, by their contents: slice by slice, and state beside state.

    Both are there when the states of a slice are known, when all of a slice is, and when the loss is; whoever has fewer
    nodes waits.

    Examples
    --------
    >>> def chain(*names):
    ...     nodes = [{"t": t, "variable": name, "given": False} for t in (0, 1) for name in names]
    ...     return {"forward": list(range(len(nodes))), "backward": [], "nodes": nodes, "norms": {"h": []}}
    >>> lockstep(chain("a", "h"), chain("h"))
    [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2)]
    """
    marks = marked(first), marked(second)
    places = [(0, 0)]
    for mark in sorted({*marks[0], *marks[1]}):
        i, j = (max(place, of.get(mark, 0)) for place, of in zip(places[-1], marks, strict=True))
        places.append((i, j))
    pairs = [places[0]]
    for (i, j), (i_end, j_end) in pairwise(places):
        ticks = range(1, max(i_end - i, j_end - j) + 1)
        pairs += [(min(i + tick, i_end), min(j + tick, j_end)) for tick in ticks]
    return pairs


def marked(content: dict[str, Any]) -> dict[Mark, int]:
    """The steps after which the marks of a page are reached."""
    nodes, states, turn = content["nodes"], set(content["norms"]), len(content["forward"])
    steps: dict[Mark, int] = {}
    for step, n in enumerate([*content["forward"], *content["backward"]], start=1):
        node, reverse = nodes[n], step > turn
        sweep, t = (2 if node["given"] else 1, -node["t"]) if reverse else (0, node["t"])
        for part in (0, 1) if node["variable"] in states and not node["given"] else (1,):
            steps[sweep, t, part] = step
    return steps | {TURN: turn}

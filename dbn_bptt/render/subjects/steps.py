"""The two sweeps as a sequence of scenes: what is computed, what has answered, and what goes on in each step.

Variables of one slice that are ready together share a step. In the forward sweep a step computes values; in the reverse
sweep it sums the messages that have arrived and sends messages to all parents.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import networkx as nx

from dbn_bptt.errors import DataError
from dbn_bptt.render.colors import PARAMETER_KINDS
from dbn_bptt.render.layout import scene
from dbn_bptt.render.placing.labels import HEADING, counted, latex_text, text_width
from dbn_bptt.render.subjects.scene import Caption, Line, Options, Scene, Spot
from dbn_bptt.sweep.results import Result
from dbn_bptt.template.equations import Format, Writer

LAST = 4  # steps for which the finished picture stands
CAPTION_ROOM = 28.0  # px below a picture, for a caption
_SIDES = 30.0  # px that a caption is narrower than its picture
_SPELLED = 2  # equations that a caption holds at most


@dataclass(frozen=True)
class Step:
    """A step of the sweeps, and what is done with it. Spots and lines are meant by their ids."""

    active: frozenset[int]
    computed: frozenset[int]  # have a value
    answered: frozenset[int]  # have an adjoint, and have sent their messages
    sending: frozenset[int]  # lines that carry a message in this step
    carried: frozenset[int]  # lines that have carried one
    caption: Caption


def frames(result: Any, options: Options) -> tuple[Scene, ...]:
    """The scenes of an animation: one for each step, and the finished picture; all of one size."""
    if not isinstance(result, Result):
        raise DataError(
            f"an animation steps through the numbers of a run, which {type(result).__name__} does not have; give a "
            "result of bptt(template, parameters, data)"
        )
    if options.get("path") is not None:
        raise DataError("an animation marks what is computed; leave path out")
    view = options.get("view")
    if view not in (None, "unrolled", "folded"):
        raise DataError(f"an animation steps through slices; view must be 'unrolled' or 'folded', not {view!r}")
    picture = scene(result, **options)
    show = options.get("show")
    return tuple(_shown(picture, step, adjoints=show == "adjoints") for step in steps(result, picture))


def runs(pictures: Sequence[Sequence[str]]) -> Iterator[tuple[str, int, int]]:
    """What stands in each place of pictures with the same places, and during which of them: the first and the last."""
    for place in zip(*pictures, strict=True):
        for text, together in groupby(enumerate(place), lambda item: item[1]):
            numbers = [k for k, _ in together]
            if text:
                yield text, numbers[0], numbers[-1]


def steps(result: Result, picture: Scene) -> Iterator[Step]:
    """The steps of both sweeps, then the end."""
    forward, backward = _orders(result, picture)
    writer = _Captions(result, picture)
    into: dict[int, set[int]] = {}
    for line in picture.lines:
        if line.origin in result.messages.edge:
            into.setdefault(line.head, set()).add(line.id)
    computed = {spot.id for spot in picture.spots} - {spot.id for group in forward for spot in group}
    none = frozenset[int]()
    for group in forward:
        active = frozenset(spot.id for spot in group)
        computed |= active
        yield Step(active, frozenset(computed), none, none, none, writer.forward(group))
    carried, answered, everything = set[int](), set[int](), frozenset(computed)
    for group in backward:
        active = frozenset(spot.id for spot in group)
        sending = frozenset(line for spot in active for line in into.get(spot, ()))
        carried |= sending
        answered |= active
        done = frozenset(answered | _complete(picture, result, carried))
        yield Step(active, everything, done, sending, frozenset(carried), writer.reverse(group))
    yield Step(none, everything, frozenset(answered | _complete(picture, result, carried)), none, frozenset(carried),
               writer.end())  # fmt: skip


def _orders(result: Result, picture: Scene) -> tuple[list[list[Spot]], list[list[Spot]]]:
    """The nodes that the sweeps come to, those that are ready together in one group."""
    graph, messages = result.graph, result.messages
    order = {node: k for k, node in enumerate(nx.topological_sort(graph))}
    drawn = [spot for spot in picture.spots if spot.kind in ("variable", "term", "sum") and spot.node in order]
    by_slice = not any(lag < 0 for _, _, lag in graph.edges(data="lag"))  # what looks ahead has an order of its own

    def place(spot: Spot) -> tuple[int, int]:
        return (spot.t or 0) if by_slice else 0, order[spot.node]

    sending = {u for u, *_ in messages.edge}
    answering = [spot for spot in drawn if spot.node in messages.adjoint and spot.node in sending]
    edges = {(line.tail, line.head) for line in picture.lines}
    return (
        _together(sorted(drawn, key=place), edges),
        _together(sorted(answering, key=place, reverse=True), edges),
    )


def _together(spots: Iterable[Spot], edges: set[tuple[int, int]]) -> list[list[Spot]]:
    """Spots in their order, in groups of one slice without an edge inside."""
    groups: list[list[Spot]] = []
    for spot in spots:
        last = groups[-1] if groups else []
        apart = any((one.id, spot.id) in edges or (spot.id, one.id) in edges for one in last)
        if last and last[0].t == spot.t and not apart:
            last.append(spot)
        else:
            groups.append([spot])
    return groups


def _complete(picture: Scene, result: Result, carried: set[int]) -> set[int]:
    """What is given and has got all its messages: inputs, initial states, parameters."""
    expected: dict[int, set[int]] = {}
    for line in picture.lines:
        if line.origin in result.messages.edge:
            expected.setdefault(line.tail, set()).add(line.id)
    given = {spot.id for spot in picture.spots if spot.kind in ("input", "initial", *PARAMETER_KINDS)}
    return {spot for spot in given if expected.get(spot) and expected[spot] <= carried}


def _shown(picture: Scene, step: Step, adjoints: bool) -> Scene:
    """The picture at a step."""

    def spot(s: Spot) -> Spot:
        told = s.id in (step.answered if adjoints else step.computed)
        return replace(
            s, marked=s.id in step.active, faint=s.id not in step.computed, heat=s.heat if told else None,
            answered=s.id in step.answered,
        )  # fmt: skip

    def line(e: Line) -> Line:
        there = e.id in step.carried
        return replace(
            e, marked=e.id in step.sending, faint=e.tail not in step.computed or e.head not in step.computed,
            weight=e.weight if there else None, heat=e.heat if there else None,
        )  # fmt: skip

    return replace(
        picture, spots=tuple(map(spot, picture.spots)), lines=tuple(map(line, picture.lines)), caption=step.caption,
        height=picture.height + CAPTION_ROOM,
    )  # fmt: skip


class _Captions:
    """What is said of each step."""

    def __init__(self, result: Result, picture: Scene) -> None:
        self._room = picture.width - _SIDES
        self._attributes = picture.source.graph.nodes
        self._loss = result.loss
        names = (str(name) for _, name in self._attributes(data="called"))
        self._mathematics = all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in names)
        self._arriving: dict[Any, int] = {}
        for u, *_ in result.messages.edge:
            self._arriving[u] = self._arriving.get(u, 0) + 1

    def forward(self, group: list[Spot]) -> Caption:
        """Their equations; where these have no room, their names."""
        equations = self._both("forward: ", group, self._equation)
        fits = len(group) <= _SPELLED and text_width(equations.text, HEADING) < self._room
        return equations if fits else self._about("forward: ", group, "")

    def reverse(self, group: list[Spot]) -> Caption:
        """How many messages each of them sums; those of a loss's terms are its derivatives by them, which are 1."""
        if all(spot.kind == "term" for spot in group):
            return self._about("reverse: ", group, ": the derivative of the loss by it is 1")
        counts = {self._arriving[spot.node] for spot in group}
        one = len(group) == 1
        sums = counted(counts.pop(), "message") + ("" if one else " each") if len(counts) == 1 else "their messages"
        return self._about("reverse: ", group, f" {'sums' if one else 'sum'} {sums}")

    def end(self) -> Caption:
        """The loss."""
        text = f"the loss is {self._loss:.4g}"
        return Caption(text, latex_text(text))

    def _about(self, before: str, group: list[Spot], after: str) -> Caption:
        said = self._both(before, group, self._name)
        return Caption(said.text + after, said.latex + latex_text(after))

    def _both(self, before: str, group: list[Spot], said: Callable[[Spot, Format], str]) -> Caption:
        """In both formats; names that are no letters and digits stay text in LaTeX too."""
        text = [said(spot, "text") for spot in group]
        latex = [f"${said(spot, 'latex')}$" for spot in group] if self._mathematics else map(latex_text, text)
        return Caption(before + ", ".join(text), before + ", ".join(latex))

    def _name(self, spot: Spot, format: Format) -> str:
        return Writer(format).timed(str(self._attributes[spot.node]["called"]), spot.time, 0)

    def _equation(self, spot: Spot, format: Format) -> str:
        rule = self._attributes[spot.node]["equation"]
        return f"{self._name(spot, format)} = {Writer(format).expression(rule, spot.time)[0]}"

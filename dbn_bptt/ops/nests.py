"""Operations in index notation: loops over the entries of one slice of one sequence, for engines that compile loops.

A *nest* takes the entries of the result and of each argument and returns lines of a small part of Python, which run as
they stand and which `program.llvm_source` reads: loops over ``range``, ``if``, assignments to entries and numbers,
small arrays by ``np.empty``, arithmetic, comparisons, `abs`, `max`, `min` and functions of ``np``. Names of their own
must not be `t` or `b`, nor end with an underscore.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dbn_bptt.ops.shapes import Shape, spans

INDENT = "    "


@dataclass(frozen=True)
class Entries:
    """The entries of an array in one slice of one sequence, or a number.

    Attributes
    ----------
    array : its name, or the number
    lead : the indices of slice and sequence that it has, as text
    shape : its core shape
    moves : where an entry is in the array: functions of indices, the first to be asked first
    turned : whether the array holds it with its last two axes exchanged
    is_number : whether it is a number
    """

    array: str
    lead: tuple[str, ...]
    shape: Shape
    moves: tuple[Callable[[list[str]], list[str]], ...] = ()
    turned: bool = False
    is_number: bool = False

    def at(self, *indices: str) -> str:
        """One entry. Indices are those of a result to which this is broadcast."""
        if self.is_number:
            return self.array
        own = indices[len(indices) - len(self.shape) :]
        core = ["0" if n == 1 else i for i, n in zip(own, self.shape, strict=True)]
        for move in self.moves:
            core = move(core)
        return f"{self.array}[{', '.join([*self.lead, *core]) or '()'}]"


Nest = Callable[..., list[str]]  # nest(result, *arguments, **attributes), each of them Entries


def loops(shape: Shape, body: Callable[[list[str]], list[str]], name: str = "i") -> list[str]:
    """Loops over all indices of a shape around what a function of these indices writes."""
    indices = [f"{name}{k}" for k in range(len(shape))]
    heads = [(k, n) for k, n in enumerate(shape) if n != 1]
    lines = body(["0" if n == 1 else i for i, n in zip(indices, shape, strict=True)])
    for k, n in reversed(heads):
        lines = [f"for {indices[k]} in range({n}):", *(INDENT + line for line in lines)]
    return lines


def formula(text: str) -> Nest:
    """Entry by entry, by a formula of the arguments' entries {0}, {1}, ..."""

    def nest(out: Entries, *arguments: Entries, **attributes: Any) -> list[str]:
        def entry(i: list[str]) -> list[str]:
            return [f"{out.at(*i)} = {text.format(*(a.at(*i) for a in arguments), **attributes)}"]

        return loops(out.shape, entry)

    return nest


def contraction(out: Entries, *arguments: Entries, inputs: Sequence[str], output: str) -> list[str]:
    """Sums of products: an einsum. An axis of size 1 is broadcast.

    The innermost loop goes along memory: over the result's last axis where that is the last of an argument too.
    """
    sizes: dict[str, int] = {}
    for a, labels in zip(arguments, inputs, strict=True):
        for label, n in zip(labels, a.shape, strict=True):
            sizes[label] = max(n, sizes.get(label, 1))
    summed = "".join(label for label in sizes if label not in output)

    def product(names: dict[str, str]) -> str:
        return " * ".join(a.at(*(names[c] for c in labels)) for a, labels in zip(arguments, inputs, strict=True))

    def over(labels: str, body: Callable[[dict[str, str]], list[str]], name: str) -> list[str]:
        return loops(tuple(sizes[c] for c in labels), lambda i: body(dict(zip(labels, i, strict=True))), name)

    if not summed:
        return over(output, lambda i: [f"{out.at(*i.values())} = {product(i)}"], "i")
    rows = [labels[-2 if a.turned else -1] for a, labels in zip(arguments, inputs, strict=True) if len(labels) > 1]
    if output and output[-1] in rows:

        def added(i: dict[str, str]) -> list[str]:
            return over(output[-1], lambda k: [f"{out.at(*((k | i)[c] for c in output))} += {product(i | k)}"], "k")

        start = over(output, lambda i: [f"{out.at(*i.values())} = 0.0"], "i")
        return [*start, *over(output[:-1] + summed, added, "i")]

    def entry(i: dict[str, str]) -> list[str]:
        terms = over(summed, lambda k: [f"total += {product(i | k)}"], "k")
        return ["total = 0.0", *terms, f"{out.at(*i.values())} = total"]

    return over(output, entry, "i")


def product_of_matrices(out: Entries, a: Entries, b: Entries, ranks: tuple[int, int]) -> list[str]:
    """A matrix times a vector, or stacks of matrices times each other."""
    stack = "stuvwxyz"[: ranks[0] - 2]
    if ranks == (2, 1):
        return contraction(out, a, b, inputs=("ij", "j"), output="i")
    return contraction(out, a, b, inputs=(f"{stack}ij", f"{stack}jk"), output=f"{stack}ik")


Over = Callable[..., list[str]]


def reduced(out: Entries, a: Entries, axis: tuple[int, ...], entry: Callable[[str, Over], list[str]]) -> list[str]:
    """For each entry of a reduction of `a` what `entry` writes.

    That gets the entry and a function ``over(*lines)``: loops over all entries of `a` that belong to it. In these lines
    {0} stands for one of them, and {1} for the entry of the result in its place, where the result has the shape of `a`.
    """
    rank = len(a.shape)
    axes = [k + rank for k in axis]
    kept = tuple(n for k, n in enumerate(a.shape) if k not in axes)

    def body(i: list[str]) -> list[str]:
        left = iter(i)
        outer = ["" if k in axes else next(left) for k in range(rank)]
        own = i if len(out.shape) == len(kept) else [index or "0" for index in outer]

        def over(*lines: str) -> list[str]:
            def inside(k: list[str]) -> list[str]:
                inner = iter(k)
                whole = [index or next(inner) for index in outer]
                beside = out.at(*whole) if out.shape == a.shape else ""
                return [line.format(a.at(*whole), beside) for line in lines]

            return loops(tuple(a.shape[k] for k in axes), inside, "k")

        return entry(out.at(*own), over)

    return loops(kept, body)


def folded(start: str, step: str) -> Nest:
    """A reduction step by step from a first value on; in a step {0} is an entry, `total` what there is so far."""

    def nest(out: Entries, a: Entries, axis: tuple[int, ...], **_: Any) -> list[str]:
        return reduced(
            out, a, axis, lambda entry, over: [f"total = {start}", *over(f"total = {step}"), f"{entry} = total"]
        )

    return nest


def log_sum_exp(out: Entries, a: Entries, axis: tuple[int, ...], **_: Any) -> list[str]:
    """log sum exp, safe from overflow."""
    return reduced(
        out, a, axis,
        lambda entry, over: [
            "top = -np.inf", *over("top = max(top, {0})"), "top = top if -np.inf < top < np.inf else 0.0",
            "total = 0.0", *over("total += np.exp({0} - top)"), f"{entry} = np.log(total) + top",
        ],
    )  # fmt: skip


def peak(out: Entries, a: Entries, axis: tuple[int, ...]) -> list[str]:
    """The maximum; 0 where all is -inf, NaN left out."""
    return reduced(
        out, a, axis,
        lambda entry, over: [
            "top = -np.inf", *over("top = max(top, {0})"), f"{entry} = top if top > -np.inf else 0.0"
        ],
    )  # fmt: skip


@dataclass(frozen=True)
class Moved:
    """Entries moved: `index` tells from those of the result and the attributes where an entry comes from."""

    index: Callable[..., list[str]]

    def __call__(self, out: Entries, a: Entries, **attributes: Any) -> list[str]:
        """The nest."""
        return loops(out.shape, lambda i: [f"{out.at(*i)} = {a.at(*self.index(i, **attributes))}"])


def _picked(i: list[str], key: tuple[Any, ...], **_: Any) -> list[str]:
    left = iter(i)
    return [_spaced(next(left), k[1], k[3]) if spans(k) else str(k) for k in key]


def _spaced(index: str, start: int, step: int) -> str:
    scaled = index if step == 1 else f"{index} * {step}"
    return f"{start} + {scaled}" if start else scaled


picked = Moved(_picked)
transposed = Moved(lambda i, axes: [i[axes.index(k)] for k in range(len(axes))])


def reshaped(out: Entries, a: Entries, **_: Any) -> list[str]:
    """The same entries in another shape."""

    def strides(shape: Shape) -> list[int]:
        return [math.prod(shape[k + 1 :]) for k in range(len(shape))]

    def entry(i: list[str]) -> list[str]:
        flat = " + ".join(f"{index} * {by}" for index, by in zip(i, strides(a.shape), strict=True)) or "0"
        places = [f"({flat}) // {by} % {n}" for by, n in zip(strides(out.shape), out.shape, strict=True)]
        return [f"{out.at(*places)} = {a.at(*i)}"]

    return loops(a.shape, entry)


def scattered(out: Entries, a: Entries, key: tuple[Any, ...], **_: Any) -> list[str]:
    """Zeros, with entries at an index."""
    empty = loops(out.shape, lambda i: [f"{out.at(*i)} = 0.0"])
    return [*empty, *loops(a.shape, lambda i: [f"{out.at(*_picked(i, key))} = {a.at(*i)}"])]


def joined(out: Entries, *parts: Entries, axis: int, sizes: tuple[int, ...]) -> list[str]:
    """Parts one after the other along an axis."""
    lines, start = [], 0
    for part, size in zip(parts, sizes, strict=True):
        shape = list(out.shape)
        shape[axis] = size

        def entry(i: list[str], part: Entries = part, start: int = start) -> list[str]:
            to = list(i)
            to[axis] = f"{start} + {i[axis]}"
            return [f"{out.at(*to)} = {part.at(*i)}"]

        lines += loops(tuple(shape), entry)
        start += size
    return lines


def _eliminated(a: Entries, lead: list[str], step: Sequence[str], *singular: str) -> list[str]:
    """Gaussian elimination with row exchanges: the lines of one step know p, its row q, the pivot, and `work`."""
    n = a.shape[-1]
    return [
        f"work = np.empty(({n}, {n}), dtype)",
        *loops(a.shape[-2:], lambda i: [f"work[{i[0]}, {i[1]}] = {a.at(*lead, *i)}"]),
        f"for p in range({n}):",
        "    q = p",
        f"    for i in range(p + 1, {n}):",
        "        if abs(work[i, p]) > abs(work[q, p]):",
        "            q = i",
        "    pivot = work[q, p]",
        "    if pivot == 0:",
        *(INDENT * 2 + line for line in singular),
        *(INDENT + line for line in step),
    ]


def inverse(out: Entries, a: Entries) -> list[str]:
    """The inverse of a matrix, or of each in a stack, by Gauss and Jordan."""
    n = a.shape[-1]

    def one(lead: list[str]) -> list[str]:
        def at(i: str, j: str) -> str:
            return out.at(*lead, i, j)

        step = [
            f"for j in range({n}):",
            "    work[q, j], work[p, j] = work[p, j], work[q, j] / pivot",
            f"    {at('q', 'j')}, {at('p', 'j')} = {at('p', 'j')}, {at('q', 'j')} / pivot",
            f"for i in range({n}):",
            "    factor = work[i, p]",
            "    if i != p and factor != 0:",
            f"        for j in range({n}):",
            "            work[i, j] -= factor * work[p, j]",
            f"            {at('i', 'j')} -= factor * {at('p', 'j')}",
        ]
        start = loops(a.shape[-2:], lambda i: [f"{at(*i)} = 1.0 if {i[0]} == {i[1]} else 0.0"])
        return [*start, *_eliminated(a, lead, step, 'raise np.linalg.LinAlgError("Singular matrix")')]

    return loops(a.shape[:-2], one, "s")


def log_determinant(out: Entries, a: Entries) -> list[str]:
    """log |det a|, -inf for a singular matrix; of each in a stack."""
    n = a.shape[-1]
    step = [
        "total += np.log(abs(pivot))",
        f"for j in range(p, {n}):",
        "    work[p, j], work[q, j] = work[q, j], work[p, j]",
        f"for i in range(p + 1, {n}):",
        "    factor = work[i, p] / pivot",
        f"    for j in range(p, {n}):",
        "        work[i, j] -= factor * work[p, j]",
    ]

    def one(lead: list[str]) -> list[str]:
        lines = _eliminated(a, lead, step, "total = -np.inf", "break")
        return ["total = 0.0", *lines, f"{out.at(*lead)} = total"]

    return loops(a.shape[:-2], one, "s")


def is_max(out: Entries, a: Entries, axis: tuple[int, ...]) -> list[str]:
    """Equal shares for the entries that attain the maximum."""
    return reduced(
        out, a, axis,
        lambda _, over: [
            "top, total = -np.inf, 0.0", *over("top = max(top, {0})"),
            *over("total += 1.0 if {0} == top else 0.0"), *over("{1} = 1.0 / total if {0} == top else 0.0"),
        ],
    )  # fmt: skip


def half_square(out: Entries, a: Entries, **_: Any) -> list[str]:
    """Half the sum of squares."""
    return ["total = 0.0", *loops(a.shape, lambda i: [f"total += {a.at(*i)} ** 2"]), f"{out.at()} = total / 2"]


def expectation(out: Entries, p: Entries, a: Entries) -> list[str]:
    """The sum of p a over the last axis; what p gives nothing counts 0, though it be infinite."""

    def entry(i: list[str]) -> list[str]:
        lines = loops(
            a.shape[-1:],
            lambda k: [f"total += {p.at(*i, *k)} * {a.at(*i, *k)} if {p.at(*i, *k)} != 0 else 0.0"], "k",
        )  # fmt: skip
        return ["total = 0.0", *lines, f"{out.at(*i)} = total"]

    return loops(out.shape, entry)

"""Numbers and lists as they stand in sentences, and norms of arrays."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

MOST_NUMBERS = 4  # of an array that are written out
FEW = 6  # names and slices that are all named


def norm(a: Any) -> float:
    """The Euclidean norm, also of numbers whose squares are no numbers."""
    largest = float(np.max(np.abs(a), initial=0.0))
    regular = largest and np.isfinite(largest)
    return float(largest * np.linalg.norm(np.asarray(a) / largest)) if regular else largest


def number(x: Any) -> str:
    """A number in three or four digits.

    >>> number(-0.12345), number(3.0), number(-2e-7), number(float("inf"))
    ('−0.1235', '3', '−2e−7', '∞')
    """
    x = float(x)
    if not np.isfinite(x):
        return "\u221e" if x > 0 else "\u2212\u221e" if x < 0 else "not a number"
    text = f"{x:.4g}" if x == 0 or 1e-3 <= abs(x) < 1e4 else f"{x:.2e}"
    mantissa, _, power = text.partition("e")
    ending = f"e{int(power)}" if power else ""
    return (mantissa.rstrip("0").rstrip(".") if power else mantissa).replace("-", "\u2212") + ending.replace(
        "-", "\u2212"
    )


def array(a: Any) -> str:
    """An array: its first numbers, or where it is a matrix its norm.

    >>> array([1, -0.5]), array(range(6)), array(np.ones((2, 3)))
    ('(1, −0.5)', '(0, 1, 2, 3, …)', '2 × 3 numbers of norm 2.449')
    """
    a = np.asarray(a, float)
    if a.ndim == 0 or a.size == 1:
        return number(a.ravel()[0])
    if a.ndim > 1:
        shape = " \u00d7 ".join(map(str, a.shape))
        return f"{shape} numbers of norm {number(norm(a))}"
    more = ["\u2026"] if len(a) > MOST_NUMBERS else []
    return f"({', '.join([*map(number, a[:MOST_NUMBERS]), *more])})"


def listed(parts: Iterable[str]) -> str:
    """A list.

    >>> listed("a"), listed("ab"), listed("abc")
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def summed(numbers: Sequence[Any]) -> str:
    """A sum.

    >>> summed([1, 2.5, -3])
    '1 + 2.5 − 3'
    """
    return " + ".join(map(number, numbers)).replace("+ \u2212", "\u2212 ")


def named(kind: str, names: Sequence[str]) -> str:
    """Things of a kind by their names; of many the first and the last.

    >>> named("input", ["x"]), named("input", ["x", "y"]), named("parameter", list("abcdefghi"))
    ('the input x', 'the inputs x and y', '9 parameters, from a to i')
    """
    if len(names) > FEW:
        return f"{len(names)} {kind}s, from {names[0]} to {names[-1]}"
    return f"the {kind}{'s' if len(names) > 1 else ''} {listed(names)}"


def by_slice(numbers: Mapping[int, float]) -> str:
    """Numbers by their slices; of many the first, the largest and the last.

    >>> by_slice({-1: 0.5, 0: 0.25}), by_slice({t: t * (9 - t) for t in range(9)})
    ('0.5 in slice −1 and 0.25 in slice 0', '0 in slice 0, 20 in slice 4 (the largest) and 8 in slice 8')
    """
    said = {t: f"{number(x)} in slice {t}".replace("-", "\u2212") for t, x in numbers.items()}
    if len(numbers) <= FEW:
        return listed(said.values())
    top = max(numbers, key=lambda t: numbers[t])
    said[top] += " (the largest)"
    return listed(said[t] for t in sorted({min(numbers), top, max(numbers)}))

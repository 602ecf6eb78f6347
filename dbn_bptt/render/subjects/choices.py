"""Options that are one of a few words, or a positive number."""

import math
from collections.abc import Iterable
from numbers import Real

from dbn_bptt.errors import DataError


def one_of(option: str, value: object, known: Iterable[str]) -> None:
    """Refuse what is none of the words that an option knows."""
    if value not in tuple(known):
        raise DataError(f"{option} is {value!r}; it must be one of {', '.join(map(repr, known))}")


def positive_number(option: str, value: object, what: str) -> float:
    """A number above 0; for anything else an error that says what it stands for."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise DataError(f"{option} is {value!r}; it must be a positive number, {what}")
    return float(value)

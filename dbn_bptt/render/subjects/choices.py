"""Options that are one of a few words."""

from collections.abc import Iterable

from dbn_bptt.errors import DataError


def one_of(option: str, value: object, known: Iterable[str]) -> None:
    """Refuse what is none of the words that an option knows."""
    if value not in tuple(known):
        raise DataError(f"{option} is {value!r}; it must be one of {', '.join(map(repr, known))}")

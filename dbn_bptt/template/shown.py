"""What notebooks show: classes say that they are shown, `render` says how.

Results know nothing of pictures, which are drawn from them; so a drawing registers here for the class that it draws.
"""

from collections.abc import Callable
from typing import Any

_DRAWINGS: dict[type, Callable[[Any], str]] = {}


class Shown:
    """Base of what a notebook shows as HTML."""

    def _repr_html_(self) -> str | None:
        draw = _DRAWINGS.get(type(self))
        return None if draw is None else draw(self)


def shown_as(kind: type[Shown], draw: Callable[[Any], str]) -> None:
    """Let notebooks show objects of a class by what a function returns, as HTML."""
    _DRAWINGS[kind] = draw

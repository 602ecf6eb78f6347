"""The parts of a program: zones of slices with their equations, and steps made of zones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dbn_bptt.template.expressions import Expression

Kind = Literal["all slices", "scan", "total"]


@dataclass(frozen=True)
class Zone:
    """Consecutive slices in which the same equations hold: first and last one, and the right-hand sides."""

    first: int
    last: int
    rules: Mapping[str, Expression]


@dataclass(frozen=True)
class Step:
    """A part of the program.

    Attributes
    ----------
    kind : computed for all slices at once, slice by slice, or summed over all slices
    names : what it defines; in a scan all variables of the recurrence
    zones : its slices, in the order in which they are computed
    direction : 1 or -1 for a scan forwards or backwards in time
    local : variables of a scan that nothing uses but their own slice, so that one array serves all slices
    """

    kind: Kind
    names: tuple[str, ...]
    zones: tuple[Zone, ...]
    direction: int = 1
    local: frozenset[str] = frozenset()

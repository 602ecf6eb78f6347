"""Sums over parts, in a fixed tree: by Dask where it is installed, and in turn where not."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, NoReturn

from dbn_bptt.dbn.evidence.forms import SEQUENCE
from dbn_bptt.errors import DataError, DbnBpttError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.scale.parts import Part

BRANCHES = 8  # sums that one node of the tree adds
SHOWN = 5  # faults that a message names


@dataclass(frozen=True)
class Total:
    """A sum over parts.

    Attributes
    ----------
    number, arrays : a log-likelihood or a loss, and what comes with it
    faults : the parts whose data are bad, and how; with any, number and arrays count nothing
    """

    number: float = 0.0
    arrays: Mapping[Any, Array] = field(default_factory=dict)
    faults: tuple[tuple[str, DbnBpttError], ...] = ()


def total(work: Callable[..., Total], parts: Sequence[Part], *common: Any, own: Sequence[Any] | None = None) -> Total:
    """The sum of ``work(data, *common)`` over the data of parts.

    Parameters
    ----------
    own : for each part something that work takes before what is common

    Raises
    ------
    DbnBpttError
        Where data are bad, after all parts are done; it names them.
    """
    call, sent, computed = _dask() if importlib.util.find_spec("dask") else (_itself, _itself, _itself)
    shared = [sent(a) for a in common]
    arguments = [[*([] if own is None else [own[k]]), *shared] for k in range(len(parts))]
    level = [
        call(_attempted)(work, part.title, sent(part.held), _last(call, part), *more)
        for part, more in zip(parts, arguments, strict=True)
    ]
    while len(level) > 1:
        level = [call(added)(level[k : k + BRANCHES]) for k in range(0, len(level), BRANCHES)]
    found: Total = computed(level[0])
    if found.faults:
        _refuse(found.faults, len(parts))
    return found


def _itself(a: Any) -> Any:
    return a


def _dask() -> tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]:
    """How Dask calls a function later, is handed something, and computes."""
    from dask.base import is_dask_collection
    from dask.delayed import delayed

    def sent(held: Any) -> Any:
        is_there = is_dask_collection(held) or type(held).__module__.startswith("distributed")
        return held if is_there else delayed(held, traverse=False, pure=False)

    return delayed(pure=False), sent, lambda last: last.compute()


def added(totals: Sequence[Total]) -> Total:
    """The sum of totals, from the first one on."""
    faults = reduce(add, (t.faults for t in totals))
    if faults:
        return Total(faults=faults)
    arrays = {name: reduce(add, (t.arrays[name] for t in totals)) for name in totals[0].arrays}
    return Total(reduce(add, (t.number for t in totals)), arrays)


def _attempted(work: Callable[..., Total], title: str, held: Any, before: Any, *common: Any) -> Total:
    """The work on a part, or the fault in its data."""
    try:
        _check_whole(held, before)
        return work(held, *common)
    except DbnBpttError as error:
        return Total(faults=((title, error),))


def _last(call: Callable[[Any], Any], part: Part) -> Any:
    return None if part.before is None else call(_last_sequence)(part.before)


def _last_sequence(frame: Any) -> Any:
    """The sequence in the last row of a table; None where it tells none apart."""
    rows = frame.reset_index() if SEQUENCE in frame.index.names else frame
    return rows[SEQUENCE].tolist()[-1] if SEQUENCE in rows.columns and len(rows) else None


def _check_whole(held: Any, before: Any) -> None:
    """Refuse a part of a table that begins within a sequence."""
    if before is not None and len(held) and _last_sequence(held.iloc[:1]) == before:
        mend = "keep the rows of a sequence in one partition, as set_index('sequence') does"
        raise DataError(f"sequence {before!r} begins in the partition before; {mend}")


def _refuse(faults: Sequence[tuple[str, DbnBpttError]], of: int) -> NoReturn:
    """Raise what is wrong with which parts, as the kind of error that it is if it is one kind."""
    kinds = {type(error) for _, error in faults}
    kind = kinds.pop() if len(kinds) == 1 else DataError
    lines = [f"{title}: {error}" for title, error in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"... and {len(faults) - SHOWN} more parts")
    raise kind("\n".join([f"{len(faults)} of {of} parts cannot be used:", *lines]) if of > 1 else lines[0])

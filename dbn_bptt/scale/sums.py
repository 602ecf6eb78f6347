"""Sums over parts, in a fixed tree: by Dask where it is installed, and in turn where not."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from typing import Any, NoReturn

from dbn_bptt.errors import DataError, DbnBpttError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.scale.parts import Part, is_future

BRANCHES = 8  # sums that one node of the tree adds
SHOWN = 5  # faults that a message names


@dataclass(frozen=True)
class Total:
    """A sum over parts.

    Attributes
    ----------
    number, arrays : a log-likelihood or a loss, and what comes with it; a part without sequences adds none
    labels : of parts that are tables, by title, whether it is of one table, and what it calls its sequences
    faults : the parts whose data are bad, and how; with any, number and arrays count nothing
    """

    number: float = 0.0
    arrays: Mapping[Any, Array] = field(default_factory=dict)
    labels: tuple[tuple[str, bool, Array], ...] = ()
    faults: tuple[tuple[str, DbnBpttError], ...] = ()


def total(work: Callable[..., Total], parts: Sequence[Part], *common: Any, own: Sequence[Any] | None = None) -> Total:
    """The sum of ``work(part, *common)`` over parts, whose data are there when it is called.

    Parameters
    ----------
    own : for each part something that work takes before what is common

    Raises
    ------
    DbnBpttError
        Where data are bad, after all parts are done; it names them.
    """
    call, sent, packed, computed = _dask() if importlib.util.find_spec("dask") else _in_turn()
    shared = packed((work, common))
    level = [
        call(_attempted)(shared, part.title, part.of_table, sent(part.held), *([] if own is None else [own[k]]))
        for k, part in enumerate(parts)
    ]
    while len(level) > 1:
        level = [call(added)(level[k : k + BRANCHES]) for k in range(0, len(level), BRANCHES)]
    found: Total = computed(level[0])
    faults = found.faults or _split(found.labels)
    if faults:
        _refuse(faults, len(parts))
    return found


Executor = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]


def _in_turn() -> Executor:
    """How a function is called, is handed data, is handed what all parts share, and computes: at once."""
    return (lambda f: f), (lambda held: held), (lambda shared: lambda: shared), (lambda last: last)


def _dask() -> Executor:
    """The same, later and elsewhere; what all share travels as bytes, so that a worker can say what it lacks."""
    import cloudpickle
    from dask.base import is_dask_collection
    from dask.delayed import delayed

    def sent(held: Any) -> Any:
        is_there = is_dask_collection(held) or is_future(held)
        return held if is_there else delayed(held, traverse=False, pure=False)

    def packed(shared: Any) -> Any:
        return delayed(partial(cloudpickle.loads, cloudpickle.dumps(shared)), traverse=False, pure=False)

    return delayed(pure=False), sent, packed, lambda last: last.compute()


def added(totals: Sequence[Total]) -> Total:
    """The sum of totals, from the first one on."""
    labels, faults = (reduce(add, of) for of in zip(*((t.labels, t.faults) for t in totals), strict=True))
    if faults:
        return Total(faults=faults)
    some = [t.arrays for t in totals if t.arrays]
    arrays = {name: reduce(add, (of[name] for of in some)) for name in (some[0] if some else ())}
    return Total(reduce(add, (t.number for t in totals)), arrays, labels)


def _attempted(shared: Callable[[], Any], title: str, of_table: bool, held: Any, *own: Any) -> Total:
    """The work on a part, or the fault in its data."""
    try:
        work, common = shared()
        found: Total = work(Part(title, held, of_table), *own, *common)
        return found
    except DbnBpttError as error:
        return Total(faults=((title, error),))
    except Exception as error:
        error.add_note(f"in {title}")
        raise


def _split(labels: Sequence[tuple[str, bool, Array]]) -> tuple[tuple[str, DbnBpttError], ...]:
    """The parts that go on with a sequence of another one: of one table any, of files the one before."""
    faults: list[tuple[str, DbnBpttError]] = []
    seen: dict[Any, str] = {}
    for title, of_table, own in labels:
        names = own.tolist()
        again = next((name for name in (names if of_table else names[:1]) if name in seen), None)
        if again is not None:
            mend = "keep its rows in one part, as set_index('sequence') does, or let a column t count its slices"
            faults.append((title, DataError(f"sequence {again!r} is in {seen[again]} too; {mend}")))
        if not of_table:
            seen.clear()
        seen.update(dict.fromkeys(names if of_table else names[-1:], title))
    return tuple(faults)


def _refuse(faults: Sequence[tuple[str, DbnBpttError]], of: int) -> NoReturn:
    """Raise what is wrong with which parts, as the kind of error that it is if it is one kind."""
    kinds = {type(error) for _, error in faults}
    kind = kinds.pop() if len(kinds) == 1 else DataError
    lines = [f"{title}: {error}" for title, error in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"... and {len(faults) - SHOWN} more parts")
    raise kind("\n".join([f"{len(faults)} of {of} parts cannot be used:", *lines]) if of > 1 else lines[0])

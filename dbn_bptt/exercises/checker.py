"""An exercise and its checker: an answer is compared with the truth, and then with what typical mistakes would give.

A mistake is a function, as the answer is: whoever makes it gets its numbers, so that a wrong answer with the
same numbers can be told what it did.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CASES = 3  # that an answer is tried on
NEAR = 1e-6  # relative to the largest entry
_STOP = "."

Answer = Callable[..., Any]


@dataclass(frozen=True)
class Exercise:
    """A function to be written.

    Attributes
    ----------
    solution : the function as one may write it; its docstring is the task
    truth : the same from somewhere else: the package, or enumeration
    draw : the arguments of one case, from a generator
    mistakes : by hint, the function that makes this mistake
    """

    solution: Answer
    truth: Answer = field(repr=False)
    draw: Callable[[np.random.Generator], tuple[Any, ...]] = field(repr=False)
    mistakes: Mapping[str, Answer] = field(repr=False)

    @property
    def name(self) -> str:
        """What the function is called."""
        return self.solution.__name__

    @property
    def task(self) -> str:
        """What it is to do."""
        return inspect.getdoc(self.solution) or ""

    def cases(self) -> list[tuple[Any, ...]]:
        """The arguments that answers are tried on, the same each time."""
        return [self.draw(np.random.default_rng(seed)) for seed in range(CASES)]


@dataclass(frozen=True)
class Verdict:
    """What the checker says; true if the answer is right."""

    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.message

    __repr__ = __str__


def judged(exercise: Exercise, answer: Answer) -> Verdict:
    """Try an answer on all cases."""
    cases = exercise.cases()
    truths = [exercise.truth(*deepcopy(case)) for case in cases]
    given = []
    for case in cases:
        untouched = deepcopy(case)
        try:
            given.append(answer(*case))
        except Exception as error:
            return _wrong(
                exercise, f"raised {type(error).__name__}: {error}. It was given {_told(exercise, untouched)}"
            )
        if not _same(case, untouched):
            return _wrong(exercise, "changes its arguments; compute on copies")
        if given[-1] is None or given[-1] is Ellipsis:
            return _wrong(exercise, "returns nothing yet")
    if all(map(_same, given, truths)):
        return Verdict(True, f"Right: {exercise.name} is what it should be in {len(cases)} cases.")
    for hint, mistake in exercise.mistakes.items():
        if all(map(_same, given, (mistake(*deepcopy(case)) for case in cases))):
            return _wrong(exercise, f"is not right yet: {hint}")
    k = [_same(mine, true) for mine, true in zip(given, truths, strict=True)].index(False)
    return _wrong(exercise, f"is not right yet. {_difference(given[k], truths[k])} Given {_told(exercise, cases[k])}")


def _wrong(exercise: Exercise, what: str) -> Verdict:
    return Verdict(False, f"{exercise.name} {what.rstrip(_STOP)}.")


def _told(exercise: Exercise, case: Sequence[Any]) -> str:
    """The arguments of a case: arrays by their shapes."""
    names = inspect.signature(exercise.solution).parameters
    return ", ".join(f"{name} {_size(a)}" for name, a in zip(names, case, strict=True))


def _size(a: Any) -> str:
    return f"of shape {a.shape}" if isinstance(a, np.ndarray) and a.ndim else f"= {a}"


def _same(mine: Any, true: Any) -> bool:
    """Equality of numbers up to rounding, of collections entry by entry."""
    if isinstance(true, Mapping):
        return isinstance(mine, Mapping) and mine.keys() == true.keys() and all(_same(mine[k], true[k]) for k in true)
    if isinstance(true, Set):
        return isinstance(mine, Set) and set(mine) == set(true)
    if isinstance(true, (tuple, list)):
        return isinstance(mine, (tuple, list)) and len(mine) == len(true) and all(map(_same, mine, true))
    if isinstance(true, str):
        return bool(mine == true)
    a, b = _array(mine), np.asarray(true, float)
    return (
        a is not None
        and a.shape == b.shape
        and bool(np.abs(a - b).max(initial=0) <= NEAR * max(np.abs(b).max(initial=0), 1))
    )


def _array(mine: Any) -> np.ndarray[Any, Any] | None:
    try:
        return np.asarray(mine, float)
    except (TypeError, ValueError):
        return None


def _difference(mine: Any, true: Any) -> str:
    """Where an answer is off, in a sentence."""
    if isinstance(true, Set):
        if not isinstance(mine, Set):
            return f"It gave {type(mine).__name__}; the answer is a set."
        wrong, left = sorted(set(mine) - true, key=str), sorted(true - set(mine), key=str)
        return " ".join(
            ([f"It has {wrong[0]!r}, which does not belong there."] if wrong else [])
            + ([f"It lacks {left[0]!r}."] if left else [])
        )
    if isinstance(true, Mapping):
        key = next(
            (k for k in true if not isinstance(mine, Mapping) or k not in mine or not _same(mine[k], true[k])), None
        )
        return f"Of {key!r} the answer is {true[key]}." if key is not None else "It has keys that do not belong there."
    if isinstance(true, (tuple, list)):
        if not isinstance(mine, (tuple, list)) or len(mine) != len(true):
            return f"It gave {type(mine).__name__}; the answer has {len(true)} parts."
        k = list(map(_same, mine, true)).index(False)
        return f"Part {k}: {_difference(mine[k], true[k])}"
    a, b = _array(mine), np.asarray(true, float)
    if a is None:
        return f"It gave {type(mine).__name__}; the answer is an array of numbers."
    if a.shape != b.shape:
        return f"It has shape {a.shape}; the answer has shape {b.shape}."
    at = np.unravel_index(np.abs(a - b).argmax(), b.shape)
    where = f"In entry {tuple(map(int, at))} it" if b.ndim else "It"
    return f"{where} is {a[at]:.6g}; right is {b[at]:.6g}."

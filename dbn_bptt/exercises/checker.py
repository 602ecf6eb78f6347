"""An exercise and its checker: an answer is compared with the truth, and then with what typical mistakes would give.

A mistake is a function, as the answer is: whoever makes it gets its numbers, so that a wrong answer with the same
numbers can be told what it did.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SEEDS = range(3)  # of the cases that are drawn
NEAR = 1e-6  # relative to the largest entry

Answer = Callable[..., Any]
Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Exercise:
    """A function to be written.

    Attributes
    ----------
    solution : the function as one may write it; its docstring is the task
    truth : the same from somewhere else: the package, or enumeration
    draw : the arguments of one case, from a generator; or all cases
    mistakes : by hint, the function that makes this mistake
    """

    solution: Answer
    truth: Answer = field(repr=False)
    draw: Callable[[np.random.Generator], Arguments] | Sequence[Arguments] = field(repr=False)
    mistakes: Mapping[str, Answer] = field(repr=False)

    @property
    def name(self) -> str:
        """What the function is called."""
        return self.solution.__name__

    @property
    def task(self) -> str:
        """What it is to do."""
        return inspect.getdoc(self.solution) or ""

    def cases(self) -> list[Arguments]:
        """The arguments that answers are tried on, the same each time."""
        if callable(self.draw):
            return [self.draw(np.random.default_rng(seed)) for seed in SEEDS]
        return list(self.draw)


@dataclass(frozen=True)
class Verdict:
    """What the checker says; true if the answer is right.

    Attributes
    ----------
    ok, message
    arguments, given, right : of a case in which the answer is wrong: what it was given, what it returned, what is right
    """

    ok: bool
    message: str
    arguments: Arguments | None = field(default=None, repr=False)
    given: Any = field(default=None, repr=False)
    right: Any = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.message

    __repr__ = __str__


def judged(exercise: Exercise, answer: Answer) -> Verdict:
    """Try an answer on all cases."""
    cases = exercise.cases()
    truths = [exercise.truth(*deepcopy(case)) for case in cases]
    given: list[Any] = []
    for case, true in zip(cases, truths, strict=True):
        untouched = deepcopy(case)
        try:
            given.append(answer(*case))
        except Exception as error:
            return Verdict(
                False, f"{exercise.name} {_raised(error)}. {_told(exercise, untouched)}", untouched, None, true
            )
        if not all(map(_same, case, untouched)):
            return Verdict(False, f"{exercise.name} changes its arguments; compute on copies.", untouched, None, true)
        if given[-1] is None or given[-1] is Ellipsis:
            return Verdict(False, f"{exercise.name} returns nothing yet.", untouched, None, true)
    if all(map(_same, given, truths)):
        return Verdict(True, f"Right: {exercise.name} is what it should be in {len(cases)} cases.")
    k = [_same(mine, true) for mine, true in zip(given, truths, strict=True)].index(False)
    what = f". {_difference(given[k], truths[k])} {_told(exercise, cases[k])}"
    for hint, mistake in exercise.mistakes.items():
        if all(map(_same, given, (mistake(*deepcopy(case)) for case in cases))):
            what = f": {hint}."
            break
    return Verdict(False, f"{exercise.name} is not right yet{what}", cases[k], given[k], truths[k])


def _raised(error: Exception) -> str:
    """An error in words; where shapes do not fit, what is often the reason."""
    text = f"raised {type(error).__name__}" + (f": {error}" if str(error) else "")
    shapes = any(word in text for word in ("matmul", "not aligned", "broadcast"))
    return text.rstrip(".") + (" (is a transpose or keepdims=True missing?)" if shapes else "")


def _told(exercise: Exercise, case: Arguments) -> str:
    """The arguments of a case: arrays by their shapes."""
    names = inspect.signature(exercise.solution).parameters
    listed = ", ".join(f"{name} {_size(a)}" for name, a in zip(names, case, strict=True))
    return f"It was given {listed}; the verdict's .arguments are these, its .right is what is right."


def _size(a: Any) -> str:
    return f"of shape {a.shape}" if isinstance(a, np.ndarray) and a.ndim else f"= {a!r}"


def _same(mine: Any, true: Any) -> bool:
    """Equality of numbers up to rounding, of collections entry by entry."""
    if isinstance(true, Mapping):
        return isinstance(mine, Mapping) and mine.keys() == true.keys() and all(_same(mine[k], true[k]) for k in true)
    if isinstance(true, Set):
        return isinstance(mine, Set) and set(mine) == set(true)
    if isinstance(true, (tuple, list)):
        return isinstance(mine, (tuple, list, np.ndarray)) and len(mine) == len(true) and all(map(_same, mine, true))
    if isinstance(true, str):
        return bool(mine == true)
    a, b = _array(mine), np.asarray(true, float)
    return a is not None and a.shape == b.shape and bool(_near(a, b).all())


def _near(a: Any, b: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.abs(a - b) <= NEAR * max(np.abs(b).max(initial=0), 1)


def _array(mine: Any) -> np.ndarray[Any, Any] | None:
    """An array of real numbers; None if it is none."""
    try:
        found = np.asarray(mine)
    except ValueError:
        return None
    return found.astype(float) if found.dtype.kind in "biuf" else None


def _difference(mine: Any, true: Any) -> str:
    """Where an answer is off, in a sentence."""
    if isinstance(true, Set):
        return _of_sets(mine, true)
    if isinstance(true, Mapping):
        return _of_mappings(mine, true)
    if isinstance(true, (tuple, list)):
        if not isinstance(mine, (tuple, list, np.ndarray)) or len(mine) != len(true):
            return f"{_kind(mine)}; the answer is a tuple of {len(true)}."
        k = list(map(_same, mine, true)).index(False)
        return f"In part {k}: {_difference(mine[k], true[k])}"
    a, b = _array(mine), np.asarray(true, float)
    wanted = f"an array of shape {b.shape}" if b.ndim else "one number"
    if a is None:
        return f"{_kind(mine)}; the answer is {wanted}."
    if a.shape != b.shape:
        return f"It has shape {a.shape}; the answer is {wanted}."
    wrong = np.argwhere(~_near(a, b))
    at = tuple(map(int, wrong[0]))
    if not b.ndim:
        return f"It is {a:.6g}; right is {b:.6g}."
    rows = sorted({int(row[0]) for row in wrong})
    where = f" (rows {', '.join(map(str, rows))} differ)" if b.ndim > 1 and len(b) > 1 else ""
    return f"Entry {list(at)} is {a[at]:.6g}; right is {b[at]:.6g}{where}."


def _kind(mine: Any) -> str:
    return f"It gave a value of type {type(mine).__name__}"


def _of_sets(mine: Any, true: Set[Any]) -> str:
    if not isinstance(mine, Set):
        return f"{_kind(mine)}; the answer is a set."
    wrong, left = sorted(set(mine) - true, key=str), sorted(true - set(mine), key=str)
    found = [f"It has {wrong[0]!r}, which does not belong there."] if wrong else []
    return " ".join([*found, *([f"It lacks {left[0]!r}."] if left else [])])


def _of_mappings(mine: Any, true: Mapping[Any, Any]) -> str:
    if not isinstance(mine, Mapping):
        return f"{_kind(mine)}; the answer is a dict."
    if others := [key for key in mine if key not in true]:
        return f"It has {others[0]!r}, which does not belong there."
    key = next(k for k in true if k not in mine or not _same(mine[k], true[k]))
    return f"At {key!r}: {_difference(mine[key], true[key])}" if key in mine else f"It lacks {key!r}."

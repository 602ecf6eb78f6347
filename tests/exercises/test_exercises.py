"""Every exercise accepts its solution and refuses each typical mistake with the hint for it."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from dbn_bptt import exercises
from dbn_bptt.errors import UnknownNameError

BOOK = Path(__file__).parents[2] / "docs" / "book"
ALL = [(chapter, exercise) for chapter, of in exercises.chapters().items() for exercise in of]
MISTAKES = [
    pytest.param(exercise, hint, mistake, id=f"{exercise.name}-{k}")
    for _, exercise in ALL
    for k, (hint, mistake) in enumerate(exercise.mistakes.items())
]
EACH = pytest.mark.parametrize("exercise", [exercise for _, exercise in ALL], ids=lambda exercise: exercise.name)


def named(exercise, function):
    """A function with the name of an exercise."""

    def answer(*arguments):
        return function(*arguments)

    answer.__name__ = exercise.name
    return answer


def test_twelve_chapters_have_two_exercises_at_least_and_each_three_mistakes():
    assert list(exercises.chapters()) == list(range(1, 13))
    assert all(len(of) >= 2 for of in exercises.chapters().values())
    assert {exercise.name for _, exercise in ALL if len(exercise.mistakes) < 3} == set()
    assert len({exercise.name for _, exercise in ALL}) == len(ALL)


def test_each_chapter_of_the_book_asks_for_its_exercises():
    for page in sorted(BOOK.glob("[0-9]*.md")):
        source = page.read_text(encoding="utf-8")
        asked = re.findall(r"exercises\.check\((\w+)\)", source)
        assert asked == [exercise.name for exercise in exercises.chapters()[int(page.stem[:2])]]
        assert all(f"def {name}(" in source for name in asked)


def test_a_stub_of_the_book_has_the_arguments_of_its_solution():
    stubs = dict(
        re.findall(
            r"def (\w+)\((.*?)\):\n    \"\"\"", "".join(p.read_text(encoding="utf-8") for p in BOOK.glob("[0-9]*.md"))
        )
    )
    for _, exercise in ALL:
        assert stubs[exercise.name] == ", ".join(inspect.signature(exercise.solution).parameters)


@EACH
def test_the_solution_is_accepted(exercise):
    verdict = exercises.check(exercise.solution)
    assert verdict, verdict
    assert str(verdict).startswith("Right")


@pytest.mark.parametrize(("exercise", "hint", "mistake"), MISTAKES)
def test_a_typical_mistake_is_told_what_it_is(exercise, hint, mistake):
    verdict = exercises.check(named(exercise, mistake))
    assert not verdict
    assert hint in str(verdict)


@EACH
def test_an_empty_answer_is_not_yet_one(exercise):
    verdict = exercises.check(named(exercise, lambda *arguments: None))
    assert not verdict
    assert "returns nothing yet" in str(verdict)


@EACH
def test_an_error_is_reported_with_what_was_given(exercise):
    def broken(*arguments):
        raise IndexError("out of bounds")

    text = str(exercises.check(named(exercise, broken)))
    assert "raised IndexError: out of bounds" in text
    assert next(iter(inspect.signature(exercise.solution).parameters)) in text


@EACH
def test_another_wrong_answer_is_told_where_it_is_off(exercise):
    truth = exercise.truth(*exercise.cases()[0])
    other = {"of the wrong kind": object(), "a word": "nothing"}
    if isinstance(truth, np.ndarray):
        other |= {"of another shape": np.zeros((*truth.shape, 7)), "a number off": truth + 0.123}
    for what, wrong in other.items():
        verdict = exercises.check(named(exercise, lambda *arguments, wrong=wrong: wrong))
        assert not verdict, what
        assert "is not right yet" in str(verdict), what


@EACH
def test_the_task_is_told(exercise):
    assert exercise.task.strip()
    assert exercise.task.splitlines()[0].strip() in exercises.solution(exercise.name)


def test_arguments_are_left_alone():
    def grad_c(yhat, y):
        yhat -= y
        return yhat.sum(axis=0)

    assert "changes its arguments" in str(exercises.check(grad_c))


def test_an_unknown_exercise_is_named_with_the_nearest():
    def gradc(yhat, y): ...

    with pytest.raises(UnknownNameError, match="did you mean 'grad_c'"):
        exercises.check(gradc)

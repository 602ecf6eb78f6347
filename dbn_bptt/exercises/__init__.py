"""The exercises of the book: functions to be written, and a checker that says what is wrong.

>>> from dbn_bptt import exercises
>>> def grad_c(yhat, y):
...     return (yhat - y)[-1]
>>> exercises.check(grad_c)
grad_c is not right yet: this is the last slice alone; c is used in every slice, and its gradient is a sum over them.
>>> def grad_c(yhat, y):
...     return (yhat - y).sum(axis=0)
>>> exercises.check(grad_c)
Right: grad_c is what it should be in 3 cases.
"""

import inspect

from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.exercises import (
    algebras,
    any_network,
    automatic,
    far_back,
    gradients,
    hidden_markov,
    kalman,
    messages,
    one_slice,
    orders,
    own_network,
    programming,
)
from dbn_bptt.exercises.checker import Answer, Exercise, Verdict, judged

__all__ = ["check", "solution", "chapters", "Exercise", "Verdict"]

_CHAPTERS = (
    one_slice, messages, gradients, automatic, programming, far_back, hidden_markov, any_network, kalman, own_network,
    algebras, orders,
)  # fmt: skip


def chapters() -> dict[int, tuple[Exercise, ...]]:
    """The exercises by chapter.

    Examples
    --------
    >>> [exercise.name for exercise in chapters()[3]]
    ['grad_o', 'grad_c', 'grad_V', 'grad_h', 'grad_W']
    >>> print(chapters()[3][1].task)
    dL/dc of shape (K,), from yhat (T, K) and targets y (T, K), each of which sums to 1.
    """
    return {k: module.EXERCISES for k, module in enumerate(_CHAPTERS, 1)}


def check(answer: Answer) -> Verdict:
    """Try a function that was written for an exercise, which its name tells.

    Parameters
    ----------
    answer : function

    Returns
    -------
    Verdict
        True if it is right; prints as what is wrong, and as what a typical mistake that gives the same numbers is.

    Raises
    ------
    UnknownNameError
        No exercise is called like the function.
    DataError
        What is given is no function, or has no name.

    Examples
    --------
    >>> def unit_probability(a):
    ...     return 1 / (1 + np.exp(-a))
    >>> import numpy as np
    >>> verdict = check(unit_probability)
    >>> verdict.ok
    False
    >>> print(verdict)
    unit_probability is not right yet: the mean of a unit that is +1 or -1 is then tanh(a / 2); the gain 2 is missing.
    """
    name = getattr(answer, "__name__", None)
    if not callable(answer) or name is None or name == "<lambda>":
        given = "a lambda, which has no name" if name == "<lambda>" else repr(answer)
        raise DataError(f"check takes the function itself, defined with the name of its exercise, not {given}")
    return judged(_called(name), answer)


def solution(name: str) -> str:
    """The source of a solution.

    Examples
    --------
    >>> print(solution("grad_c"))
    def grad_c(yhat, y):
        \"\"\"dL/dc of shape (K,), from yhat (T, K) and targets y (T, K), each of which sums to 1.\"\"\"
        return (yhat - y).sum(axis=0)
    <BLANKLINE>
    """
    return inspect.getsource(_called(name).solution)


def _called(name: str) -> Exercise:
    known = {exercise.name: exercise for of in chapters().values() for exercise in of}
    if name not in known:
        raise unknown_name(name, known, "exercise")
    return known[name]

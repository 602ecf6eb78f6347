"""The errors of the package: each message names the culprit and the mend."""

import difflib
from collections.abc import Iterable
from numbers import Integral


class DbnBpttError(Exception):
    """The base of all errors that this package raises on purpose."""


class TemplateError(DbnBpttError, ValueError):
    """A slice template is not well formed: a wrong shape, a hole, a cycle, a name used twice."""


class DataError(DbnBpttError, ValueError):
    """Parameters, data, initial states or lengths do not fit the template."""


class ModelError(DbnBpttError, ValueError):
    """A dynamic Bayesian network is not complete or not consistent: a missing or a wrong CPD, a cycle of lags."""


class NotCompiledError(TemplateError):
    """A template that the messages serve, but no compiled program."""


class ImpossibleEvidenceError(DataError):
    """Evidence has probability 0 under a model."""


class NotANumberError(DataError):
    """Values came out as NaN, which valid input should not lead to."""


class UnknownNameError(DbnBpttError, LookupError):
    """A name was used that nothing is called."""


def unknown_name(name: object, known: Iterable[object], what: str) -> UnknownNameError:
    """The error for a name that is not among the known ones, with the nearest of them.

    Examples
    --------
    >>> print(unknown_name("hh", ["h", "x"], "variable"))
    unknown variable 'hh'; did you mean 'h'?
    """
    names = [str(k) for k in known]
    lower = {n.lower(): n for n in reversed(names)}
    near = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.4)
    if near:
        hint = f"did you mean {lower[near[0]]!r}?"
    else:
        hint = f"there is {', '.join(map(repr, names))}" if names else f"there is no {what} at all"
    return UnknownNameError(f"unknown {what} {name!r}; {hint}")


def positive(name: str, value: object, mend: str = "it must be a positive integer") -> int:
    """A positive integer as an int, or the error that names it and the mend.

    Examples
    --------
    >>> positive("T", 3)
    3
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise DataError(f"{name} is {value!r}; {mend}")
    return int(value)

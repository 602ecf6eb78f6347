"""Pieces of NumPy's source: functions that programs show, and shapes, views and numbers as text."""

import re
from typing import Any

import numpy as np

from dbn_bptt.ops.shapes import Shape

HELPERS = '''

def times(a, matrix, out=None):
    """The vectors a (T, B, n) of all slices times a matrix, as one product."""
    rows = None if out is None else out.reshape(-1, out.shape[-1])
    rows = np.matmul(a.reshape(-1, a.shape[-1]), matrix, out=rows)
    return rows.reshape(*a.shape[:-1], matrix.shape[-1])


def flat(a):
    """The vectors (T, B, n) of all slices and sequences as the rows of one matrix."""
    return a.reshape(-1, a.shape[-1])


@cache
def ones(n, dtype):
    """A column of ones, whose product with a row is the row's sum; the same one each time."""
    column = np.ones((n, 1), dtype)
    column.flags.writeable = False
    return column
'''
IN_PARTS = '''def in_parts(sweeps, T, B, dtype, *arrays):
    """Loops over T slices of B sequences."""
    sweeps(0, B, T, B, dtype, *arrays)
'''


def unit_axes(old: Shape, new: Shape) -> str:
    """What is written behind an array's name for another shape, if just axes of size 1 differ; else nothing.

    Examples
    --------
    >>> unit_axes((1, 2), (2, 1, 1)), unit_axes((), (1,)), unit_axes((2, 3), (6,))
    ('[..., 0, :, None, None]', '[..., None]', '')
    """
    if [n for n in old if n != 1] != [n for n in new if n != 1]:
        return ""
    picks, left = list[str](), list(old)
    for n in new:
        while n != 1 and left[0] == 1:
            picks.append("0")
            left.pop(0)
        picks.append("None" if n == 1 else ":")
        left = left[1:] if n != 1 else left
    return f"[{', '.join(['...', *picks, *['0'] * len(left)])}]"


def empty(slices: str, shape: Shape) -> str:
    """An array without numbers yet, as text."""
    sizes = ", ".join([*([slices] if slices else []), "B", *map(str, shape)])
    return f"np.empty(({sizes}{'' if slices or shape else ','}), dtype)"


def slices_text(more: int) -> str:
    return f"T{more:+d}" if more else "T"


def written_array(array: Any) -> str:
    values = np.unique(array)
    if len(values) == 1:
        return f"np.full({array.shape}, {written(float(values[0]))}, dtype)"
    return f"np.array({written(array.tolist())}, dtype)"


def written(value: object) -> str:
    """A number, or whatever an attribute is, as Python writes it."""
    return re.sub(r"\binf\b", "np.inf", repr(value)) if isinstance(value, float | list) else repr(value)

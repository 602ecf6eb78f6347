"""Parameters in a file: written whole or not at all, and checked against the template that they are for."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.files import read_arrays, write_arrays
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.equations import equations
from dbn_bptt.template.template import Described, Template, checked_template

EQUATIONS = "equations of the template"  # the entry that says what the parameters are for


def save(path: str | os.PathLike[str], parameters: Mapping[str, Any], template: Described | None = None) -> None:
    """Write parameters to a file of NumPy's format npz, whole or not at all.

    Parameters
    ----------
    path : the file
    parameters : arrays by name
    template : SliceTemplate, optional
        What they are for: names, shapes and numbers are checked, and `load` refuses them for a template with other
        equations.

    Raises
    ------
    DataError, UnknownNameError, OSError

    Examples
    --------
    >>> import tempfile, pathlib, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "theta.npz"
    >>> db.save(path, rnn.initial_parameters(seed=0), rnn)
    >>> sorted(db.load(path, rnn))
    ['U', 'V', 'W', 'b', 'c']
    """
    arrays = {name: np.asarray(value) for name, value in parameters.items()}
    of = None if template is None else checked_template(template, "save")
    check_parameters("the parameters", arrays, of)
    said = {} if of is None else {EQUATIONS: np.array(equations(of, format="text"))}
    write_arrays(path, arrays | said)


def load(path: str | os.PathLike[str], template: Described | None = None) -> dict[str, Array]:
    """The parameters in a file that `save` wrote.

    Raises
    ------
    DataError, UnknownNameError
        Where the file is cut off or of another kind, or does not fit the template.
    OSError
        Where there is no such file.

    Examples
    --------
    >>> import tempfile, pathlib, dbn_bptt as db
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "theta.npz"
    >>> db.save(path, {"w": 0.5})
    >>> float(db.load(path)["w"])
    0.5
    """
    title = f"file {str(path)!r}"
    arrays = read_arrays(path)
    said = arrays.pop(EQUATIONS, None)
    of = None if template is None else checked_template(template, "load")
    check_parameters(title, arrays, of)
    if of is not None and said is not None and str(said) != equations(of, format="text"):
        raise DataError(
            f"{title} is for a template with other equations than {of.name!r}: {_first_other(str(said), of)}"
        )
    return arrays


def _first_other(said: str, of: Template) -> str:
    """The first equation that differs."""
    mine = equations(of, format="text").splitlines()
    return next((line for line in said.splitlines() if line not in mine), "in another order")


def check_parameters(title: str, arrays: Mapping[str, Array], of: Template | None) -> None:
    """Refuse what is no array of finite numbers, or does not fit a template."""
    for name, a in arrays.items():
        if a.dtype.kind not in "iuf" or not np.isfinite(a).all():
            raise DataError(f"{title}: {name!r} holds NaN, infinity, or no numbers; parameters are finite")
    if of is None:
        return
    names = of.names("parameter")
    for name, a in arrays.items():
        if name not in names:
            raise unknown_name(name, names, "parameter")
        if a.shape != of.symbols[name].shape:
            raise DataError(f"{title}: parameter {name!r} has shape {a.shape}, not {of.symbols[name].shape}")
    for name in names:
        if name not in arrays and name not in of.arrays:
            raise DataError(f"{title}: parameter {name!r} is missing")

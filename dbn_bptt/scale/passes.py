"""One pass over all parts: gradients, log-likelihoods, posteriors."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.dbn.inference import verbs
from dbn_bptt.dbn.inference.query import swept
from dbn_bptt.dbn.inference.tables import check_parquet, write_table
from dbn_bptt.dbn.inference.task import Prepared, given_task, prepare
from dbn_bptt.dbn.polynomial.reductions import SUM
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program import Program
from dbn_bptt.program.engines import Engine
from dbn_bptt.scale.data import data_in, evidence_in
from dbn_bptt.scale.parts import Part, listed
from dbn_bptt.scale.sums import Total, total
from dbn_bptt.template.stored import check_parameters


def value_and_grad(program: Program, theta: Mapping[str, Any], parts: Any) -> tuple[float, dict[str, Array]]:
    """The loss of all sequences together and its gradients in the parameters, as `Program.value_and_grad` gives them.

    Parameters
    ----------
    program : what `compile` made
    theta : parameters by name
    parts : what the sequences are in
        A path, a pattern or a folder of .parquet, .csv and .npz files; a Dask bag of dicts with a sequence each, or a
        Dask dataframe; or an iterable of parts, each a dict, a DataFrame, a list of dicts with a sequence each, a path,
        or a Delayed or Future of Dask's. A dict has arrays (T, ...) or (T, B, ...) by name, and where these are there
        ``"lengths"`` (B,) and ``"initial h"``; so has an npz file. A table has a row for each slice, a column
        ``sequence`` and one for each number of an input or target: ``y``, ``x[0]``, ``x[1]``, or ``x`` with vectors.

    Raises
    ------
    DbnBpttError
        Where data are bad; it names the part and the place. Other parts are computed first.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> rnn = db.cells.elman(n_inputs=1, n_hidden=2, n_outputs=2)
    >>> parts = [{"x": np.ones((4, 5, 1)), "y": np.full((4, 5), k)} for k in (0, 1)]
    >>> loss, gradients = db.scale.value_and_grad(db.compile(rnn), rnn.initial_parameters(seed=0), parts)
    >>> sorted(gradients)
    ['U', 'V', 'W', 'b', 'c']
    """
    if not isinstance(program, Program):
        raise DataError(f"value_and_grad takes a program, db.compile(template), not {type(program).__name__}")
    arrays = {name: np.asarray(value) for name, value in theta.items()}
    check_parameters("theta", arrays, program.template)
    found = total(_gradients, listed(parts), program, arrays)
    return found.number, {str(name): a for name, a in found.arrays.items()}


def _gradients(part: Part, program: Program, theta: Mapping[str, Array]) -> Total:
    opened = data_in(part, program.template)
    if opened is None:
        return Total()
    loss, gradients = program.value_and_grad(theta, opened.data, initial=opened.initial, lengths=opened.lengths)
    return Total(loss, gradients, opened.labels)


def log_likelihood(model: Any, parts: Any, *, engine: Engine = None) -> float:
    """log p(evidence) of all sequences together, in nats.

    Parameters
    ----------
    model, engine : as in `dbn.smooth`
    parts : what the sequences are in, as in `value_and_grad`
        A dict is evidence as `dbn.smooth` takes it, by variable (B, T) with the batch first, and so is a DataFrame;
        dicts of a list or a bag have a sequence each, (T,).

    Examples
    --------
    >>> from dbn_bptt import dbn, scale
    >>> round(scale.log_likelihood(dbn.umbrella(), [{"Umbrella": [1, 1]}, {"Umbrella": [0]}]), 4)
    -1.8441
    """
    return total(_log_likelihood, listed(parts), prepare(model, engine)).number


def _log_likelihood(part: Part, model: Prepared) -> Total:
    opened = evidence_in(part, model.network)
    if opened is None:
        return Total()
    found = swept(given_task(model, opened.data, lengths=opened.lengths), SUM, ()).log_likelihood
    return Total(float(np.sum(found)), labels=opened.labels)


@dataclass(frozen=True)
class Smoothed:
    """Where posteriors were written.

    Attributes
    ----------
    paths : the files, in the order of the parts; none for a part without sequences
    log_likelihood : log p(evidence) of all sequences together
    """

    paths: tuple[Path, ...] = field(repr=False)
    log_likelihood: float

    def __str__(self) -> str:
        files = "1 file" if len(self.paths) == 1 else f"{len(self.paths)} files"
        where = f" in {self.paths[0].parent}" if self.paths else ""
        return f"Smoothed: {files}{where}, log-likelihood {self.log_likelihood:.6g}"

    __repr__ = __str__


def smooth(model: Any, parts: Any, to: str | os.PathLike[str], *, engine: Engine = None) -> Smoothed:
    """The posterior of every variable in every slice of every sequence, written as a Parquet file for each part.

    A file has a row for each slice, with columns ``sequence``, ``t`` and ``Z=state`` for each variable and state; it is
    written whole or not at all.

    Parameters
    ----------
    model, parts, engine : as in `log_likelihood`
    to : a folder that all workers see

    Examples
    --------
    >>> import tempfile, pandas
    >>> from dbn_bptt import dbn, scale
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = scale.smooth(dbn.umbrella(), [{"Umbrella": [1, 1]}, {"Umbrella": [0]}], to=folder)
    ...     print([path.name for path in found.paths], pandas.read_parquet(found.paths[0])["Rain=1"].round(3).tolist())
    ['part-0.parquet', 'part-1.parquet'] [0.883, 0.883]
    """
    folder, inside = Path(to).absolute(), listed(parts)
    check_parquet(folder)
    digits = len(str(len(inside) - 1))
    paths = [folder / f"part-{k:0{digits}d}.parquet" for k in range(len(inside))]
    _check_folder(folder, paths)
    prepared = prepare(model, engine)
    found = total(_posteriors, inside, prepared, own=paths)
    return Smoothed(tuple(path for path in paths if path.exists()), found.number)


def _posteriors(part: Part, path: Path, model: Prepared) -> Total:
    opened = evidence_in(part, model.network)
    if opened is None:
        path.unlink(missing_ok=True)  # of a run before
        return Total()
    posterior = verbs.smooth(model, opened.data, lengths=opened.lengths)
    write_table(posterior.to_frame(), path)
    return Total(float(np.sum(posterior.log_likelihood)), labels=opened.labels)


def _check_folder(folder: Path, paths: list[Path]) -> None:
    """Make a folder, and refuse one with parts of another run, which nobody could tell from those of this one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {folder}: {error.strerror}; choose another one") from None
    others = sorted(p.name for p in folder.iterdir() if re.fullmatch(r"part-\d+\.parquet", p.name) and p not in paths)
    if others:
        raise DataError(f"{folder} holds {others[0]} of another run; empty it, or choose another folder")

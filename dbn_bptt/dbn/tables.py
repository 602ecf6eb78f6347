"""Inference from files to text: a model in BIF and evidence in CSV, posteriors in CSV."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.dbn.bif import read_bif
from dbn_bptt.dbn.infer import smooth
from dbn_bptt.errors import DataError

SEQUENCE = "sequence"


def smoothed(model: Path, evidence: Path) -> str:
    """The posteriors of a model in a BIF file given evidence in a CSV file, as CSV.

    A row for each slice, a column ``Z=state`` for each variable and state. log p(evidence) goes to standard error.
    """
    import pandas as pd

    network = read_bif(model)
    try:
        frame = pd.read_csv(evidence, dtype=str, skip_blank_lines=False)
    except (OSError, UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise DataError(f"cannot read {evidence}: {getattr(error, 'strerror', None) or error}") from None
    frame = frame.astype(object).where(frame.notna(), None)
    groups = _sequences(frame)
    T = max(len(group) for _, group in groups)
    columns = [name for name in frame.columns if name != SEQUENCE]
    series = {name: _padded([group[name].tolist() for _, group in groups], T) for name in columns}
    lengths = [len(group) for _, group in groups]
    posterior = smooth(network, series or None, lengths=lengths if series else None, T=None if series else T)
    print(f"log-likelihood {float(np.sum(posterior.log_likelihood)):.10g}", file=sys.stderr)
    table = posterior.to_frame()
    table.columns = [f"{name}={state}" for name, state in table.columns]
    if not series:
        return str(table.to_csv())
    parts = [table.loc[k].iloc[:length] for k, length in enumerate(lengths)]
    if SEQUENCE not in frame.columns:
        return str(parts[0].to_csv())
    return str(pd.concat(parts, keys=[name for name, _ in groups], names=[SEQUENCE]).to_csv())


def _sequences(frame: Any) -> list[tuple[Any, Any]]:
    """The rows of each sequence, in the order of the file."""
    if not len(frame):
        raise DataError("the evidence has no rows; give one for each slice, empty where nothing was observed")
    if SEQUENCE not in frame.columns:
        return [(None, frame)]
    if frame[SEQUENCE].isna().any():
        raise DataError(f"the column {SEQUENCE!r} has empty cells; name the sequence of each row")
    return list(frame.groupby(SEQUENCE, sort=False))


def _padded(rows: list[list[Any]], T: int) -> Any:
    """Sequences of states as an array (B, T), with None after each one's end."""
    padded = np.full((len(rows), T), None, object)
    for k, row in enumerate(rows):
        padded[k, : len(row)] = row
    return padded

"""Inference from files to text: a model in BIF and evidence in CSV, posteriors in CSV."""

import csv
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.dbn.bif import read_bif
from dbn_bptt.dbn.evidence.forms import SEQUENCE, SLICE
from dbn_bptt.dbn.network import Network, read
from dbn_bptt.dbn.verbs import smooth
from dbn_bptt.errors import DataError, unknown_name

MISSING = ("-1", "-1.0", "nan", "na", "none", "null")  # what programs write into cells where nothing was observed


def smoothed(model: Path, evidence: Path, engine: str | None = None) -> str:
    """The posteriors of a model in a BIF file given evidence in a CSV file, as CSV.

    A row for each slice, a column ``Z=state`` for each variable and state. log p(evidence) goes to standard error.
    """
    network = read(read_bif(model))
    frame, _ = evidence_table(network, evidence)
    posterior = smooth(network, frame, engine=engine)
    print(f"log-likelihood {float(np.sum(posterior.log_likelihood)):.10g}", file=sys.stderr)
    table = posterior.to_frame()
    table.columns = [f"{name}={state}" for name, state in table.columns]
    return str(table.to_csv())


def evidence_table(network: Network, evidence: Path) -> tuple[Any, list[Any]]:
    """The evidence of a CSV file as a DataFrame, and the variables that have a column in it."""
    frame = _frame(evidence)
    observed = [name for name in frame.columns if name in network.states]
    unknown = [name for name in frame.columns if name not in (*observed, SEQUENCE, SLICE)]
    if unknown:
        mend = "a column has no name; write the file without an index, or name it t"
        raise DataError(f"{evidence}: {unknown_name(unknown[0], network.names, 'variable') if unknown[0] else mend}")
    for name in observed:
        frame[name] = [None if _is_missing(v, network.states[name]) else v for v in frame[name]]
    return frame, observed


def _is_missing(cell: str | None, states: tuple[Hashable, ...]) -> bool:
    return cell is None or (cell.lower() in MISSING and cell not in states)


def _frame(evidence: Path) -> Any:
    """A CSV file as a DataFrame of strings, None where a cell is empty."""
    import pandas as pd

    try:
        with evidence.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {evidence}: {getattr(error, 'strerror', None) or error}") from None
    if not rows:
        raise DataError(f"{evidence} is empty; give a line of column names, and a row for each slice")
    head, *body = rows
    body = [row or [""] for row in body]  # a blank line of a file with one column is a slice without evidence
    for k, row in enumerate(body):
        if len(row) != len(head):
            raise DataError(f"{evidence}: row {k + 1} has {len(row)} cells, but there are {len(head)} columns")
    return pd.DataFrame([[cell or None for cell in row] for row in body], columns=head, dtype=object)

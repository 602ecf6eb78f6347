"""Evidence out of files, and what inference found into them: CSV and Parquet."""

import csv
import importlib.util
import io
import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from dbn_bptt.dbn.networks.network import SEQUENCE, SLICE, Network
from dbn_bptt.errors import DataError
from dbn_bptt.files import write_whole

NOTHING = ("nan", "na", "none", "null")  # what programs write into cells where nothing was observed
MISSING = ("-1", "-1.0", *NOTHING)  # or into those of states, where no state is called so
ENDINGS = (".csv", ".parquet")


def read_evidence(network: Network, path: str | os.PathLike[str]) -> Any:
    """The evidence in a CSV or Parquet file as a DataFrame: a column for each variable that has one in it."""
    path = Path(path)
    frame = read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise DataError(f"{path} has two columns {doubled[0]!r}; keep one")
    called = {str(name): name for name in network.names}
    for title in frame.columns:
        if not title:
            raise DataError(f"{path}: a column has no name; write the file without an index, or name it t")
        if frame[title].dtype.kind == "O" and (title in called or title not in (SEQUENCE, SLICE)):
            states = network.states[called[title]] if title in called else ()
            words = MISSING if title in called else NOTHING
            frame[title] = [None if _is_missing(v, words, states) else v for v in frame[title]]
    return frame.rename(columns=called)


def _is_missing(cell: Any, words: tuple[str, ...], states: tuple[Hashable, ...]) -> bool:
    if cell is None or not isinstance(cell, str):
        return cell is None
    return cell.lower() in words and cell.lower() not in {str(state).lower() for state in states}


def read_parquet(path: Path) -> Any:
    """A Parquet file as a DataFrame."""
    import pandas as pd

    check_parquet(path)
    try:
        return pd.read_parquet(path)
    except OSError as error:  # pyarrow's, of a damaged file too
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(f"{path} is cut off, or no Parquet file: {error}") from None


def check_parquet(path: Path) -> None:
    """Refuse Parquet where nothing reads and writes it."""
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError(f"{path}: Parquet needs pyarrow; pip install 'dbn_bptt[scale]'")


def _read_csv(path: Path) -> Any:
    """A CSV file as a DataFrame of strings, None where a cell is empty."""
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); convert it or give another file") from None
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if not rows:
        raise DataError(f"{path} is empty; give a line of column names, and a row for each slice")
    while len(rows) > 1 and len(rows[0]) > 1 and not rows[-1]:
        rows.pop()  # lines without anything at the end
    head, *body = rows
    body = [row or [""] for row in body]  # a blank line of a file with one column is a slice without evidence
    for k, row in enumerate(body):
        if len(row) != len(head):
            raise DataError(f"{path}: row {k + 1} has {len(row)} cells, but there are {len(head)} columns")
    return pd.DataFrame([[cell or None for cell in row] for row in body], columns=head, dtype=object)


def plain(table: Any) -> Any:
    """A DataFrame for files: its index among its columns, and columns ``Z=state`` for pairs (variable, state)."""
    titles = [_title(title) for title in table.columns]
    levels = [name for name in table.index.names if name is not None]
    table = table.set_axis(titles, axis=1)
    free = {name: f"{name} (index)" if name in titles else name for name in levels}
    return table.rename_axis(index=free).reset_index() if levels else table


def _title(title: Any) -> str:
    return "=".join(map(str, title)) if isinstance(title, tuple) else str(title)


def csv_text(table: Any) -> str:
    """A DataFrame as CSV."""
    return str(plain(table).to_csv(index=False))


def write_table(table: Any, path: str | os.PathLike[str]) -> None:
    """Write a DataFrame to a CSV or Parquet file, by its ending; whole or not at all."""
    path = Path(path)
    check_place(path)
    if path.suffix.lower() == ".csv":
        content = csv_text(table).encode()
    else:
        check_parquet(path)
        file = io.BytesIO()
        _of_one_type(plain(table)).to_parquet(file, index=False)
        content = file.getvalue()
    try:
        write_whole(path, content)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}; choose another place") from None


def check_place(path: Path, endings: Sequence[str] = ENDINGS) -> None:
    """Refuse, before any work, a file that cannot be written, or whose ending tells no format that is."""
    if path.suffix.lower() not in endings:
        raise DataError(f"the ending of {path} tells no format; use {' or '.join(endings)}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK) or path.is_dir():
        raise DataError(
            f"cannot write {path}: {path.parent} is no folder that you may write into; choose another place"
        )


def _of_one_type(table: Any) -> Any:
    """The table with columns of several types, which Parquet knows none of, as text."""
    import pandas as pd

    mixed = [t for t in table.columns if table[t].dtype == object and pd.api.types.infer_dtype(table[t]) == "mixed"]
    return table.astype(dict.fromkeys(mixed, str))

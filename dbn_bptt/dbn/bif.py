"""Two-slice networks in BIF files.

BIF knows no time, so the slices are in the names: ``Z_0`` and ``Z_1`` for variable Z in the first slice and in those
after it; or ``Z0`` and ``Zt``, as pyAgrum writes them.
"""

import os
import re
from pathlib import Path
from typing import Any

from dbn_bptt.dbn.convert import unrolled
from dbn_bptt.dbn.network import read
from dbn_bptt.errors import DataError, ModelError

CONVENTIONS = (("_0", "_1"), ("0", "t"))


def write_bif(model: Any, path: str | os.PathLike[str]) -> None:
    """Write the two slices of a model into a BIF file, with ``Z_0`` and ``Z_1`` for variable Z.

    States become strings there, and variables stand in the order of the alphabet.

    Examples
    --------
    >>> import tempfile
    >>> from dbn_bptt.dbn import read_bif, umbrella, write_bif
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bif(umbrella(), f"{folder}/umbrella.bif")
    ...     model = read_bif(f"{folder}/umbrella.bif")
    >>> sorted(str(node) for node in model.nodes())
    ['(Rain, 0)', '(Rain, 1)', '(Umbrella, 0)', '(Umbrella, 1)']
    """
    from pgmpy.readwrite import BIFWriter

    for name, states in read(model).states.items():
        for word in (name, *states):
            if not re.fullmatch(r"[\w.+-]+" if word is not name else r"\w+", str(word), re.ASCII):
                raise DataError(f"{word!r} of {name!r} cannot be written in BIF; use letters, digits and _")
    text = str(BIFWriter(unrolled(model, 2), round_values=17))
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def read_bif(path: str | os.PathLike[str]) -> Any:
    """Read a two-slice network from a BIF file, as a pgmpy `DynamicBayesianNetwork`.

    The names of its variables end in ``_0`` and ``_1``, or in ``0`` and ``t``, for the first slice and later ones.
    """
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DynamicBayesianNetwork
    from pgmpy.readwrite import BIFReader

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}") from None
    try:
        network = BIFReader(string=text).get_model()
    except Exception as error:  # pgmpy's parser lets many kinds through
        raise DataError(f"{path} is not a BIF file that pgmpy reads: {error}") from None
    if not network.nodes():
        raise DataError(f"{path} is not a BIF file; no variables were found in it")
    node = _nodes([str(name) for name in network.nodes()], path)
    model = DynamicBayesianNetwork()
    model.add_nodes_from(dict.fromkeys(name for name, _ in node.values()))
    for u, v in network.edges():
        if node[u][1] > node[v][1]:
            raise ModelError(f"{path}: {u} -> {v} points back in time")
        model.add_edge(node[u], node[v])
    for cpd in network.cpds:
        nodes = [node[name] for name in cpd.variables]
        if nodes[0] not in model.nodes():  # no edge touches it, so that slice 0 says all
            continue
        states = {node[name]: list(cpd.state_names[name]) for name in cpd.variables}
        sizes = [int(n) for n in cpd.cardinality]
        values = cpd.values.reshape(sizes[0], -1)
        model.add_cpds(TabularCPD(nodes[0], sizes[0], values, nodes[1:] or None, sizes[1:] or None, state_names=states))
    return model


def _nodes(names: list[str], path: Any) -> dict[str, tuple[str, int]]:
    """The variable and the slice of each name in a file."""
    for suffixes in CONVENTIONS:
        if all(name.endswith(suffixes) and name not in suffixes for name in names):
            found = {}
            for name in names:
                slice_ = int(name.endswith(suffixes[1]))
                found[name] = name.removesuffix(suffixes[slice_]), slice_
            return found
    wrong = next((name for name in names if not name.endswith(("_0", "_1"))), names)
    mend = "name variables Z_0 and Z_1 (or Z0 and Zt) for the first slice and later ones"
    raise ModelError(f"{path}: the name {wrong!r} tells no slice; {mend}")

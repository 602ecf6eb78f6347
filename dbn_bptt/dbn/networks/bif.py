"""Two-slice networks in BIF files.

BIF knows no time, so the slices are in the names: ``Z_0`` and ``Z_1`` for variable Z in the first slice and in those
after it; or ``Z0`` and ``Zt``, as pyAgrum writes them.
"""

import os
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.dbn.networks.convert import unrolled
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.errors import DataError, ModelError
from dbn_bptt.files import write_whole

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
    text = bif_text(model)
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from None


def bif_text(model: Any) -> str:
    """The two slices of a model as BIF."""
    network = read(model)
    if network.order > 1 or network.channels:
        what = f"reaches {network.order} slices back" if network.order > 1 else "has vectors"
        raise ModelError(f"the network {what}, for which BIF has no place")
    for name, states in network.states.items():
        for word in (name, *states):
            if not re.fullmatch(r"[\w.+-]+" if word is not name else r"\w+", str(word), re.ASCII):
                raise DataError(f"{word!r} of {name!r} cannot be written in BIF; use letters, digits and _")
    return _written(unrolled(network, 2))


def _written(network: Any) -> str:
    """A network as BIF, its probabilities to the last digit."""
    lines = ["network unknown {", "}"]
    for cpd in network.cpds:
        states = cpd.state_names[cpd.variable]
        kinds = ", ".join(map(str, states))
        lines += [f"variable {cpd.variable} {{", f"    type discrete [ {len(states)} ] {{ {kinds} }};", "}"]
    for cpd in network.cpds:
        node, *above = cpd.variables
        columns = cpd.values.reshape(len(cpd.values), -1).T
        if not above:
            lines += [f"probability ( {node} ) {{", f"    table {_numbers(columns[0])};", "}"]
            continue
        lines.append(f"probability ( {node} | {', '.join(above)} ) {{")
        of_parents = product(*(cpd.state_names[parent] for parent in above))
        for states, column in zip(of_parents, columns, strict=True):
            lines.append(f"    ( {', '.join(map(str, states))} ) {_numbers(column)};")
        lines.append("}")
    return "\n".join([*lines, ""])


def _numbers(column: Any) -> str:
    return ", ".join(repr(float(p)) for p in column)


def read_bif(path: str | os.PathLike[str]) -> Any:
    """Read a two-slice network from a BIF file, as a pgmpy `DynamicBayesianNetwork`.

    The names of its variables end in ``_0`` and ``_1``, or in ``0`` and ``t``, for the first slice and later ones.

    Examples
    --------
    >>> import tempfile
    >>> from dbn_bptt.dbn import smooth, umbrella, write_bif
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bif(umbrella(), f"{folder}/umbrella.bif")
    ...     model = read_bif(f"{folder}/umbrella.bif")
    >>> smooth(model, {"Umbrella": ["1", "1"]})["Rain"].round(3)
    array([[0.117, 0.883],
           [0.117, 0.883]])
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
    bare = [name for name in network.nodes() if network.get_cpds(name) is None]
    if bare:
        raise ModelError(f"{path}: {bare[0]} has no probability table; is the file whole?")
    node = _nodes([str(name) for name in network.nodes()], path)
    model = DynamicBayesianNetwork()
    model.add_nodes_from(dict.fromkeys(name for name, _ in node.values()))
    for u, v in network.edges():
        if node[u][1] > node[v][1]:
            raise ModelError(f"{path}: {u} -> {v} points back in time")
        model.add_edge(node[u], node[v])
    for cpd in network.cpds:
        nodes = [node[name] for name in cpd.variables]
        if nodes[0] not in model.nodes():  # no edge touches it, and pgmpy gives it a node in slice 0 alone
            _check_said_by_slice_0(network, cpd, path)
            continue
        states = {node[name]: list(cpd.state_names[name]) for name in cpd.variables}
        sizes = [int(n) for n in cpd.cardinality]
        values = cpd.values.reshape(sizes[0], -1)
        model.add_cpds(TabularCPD(nodes[0], sizes[0], values, nodes[1:] or None, sizes[1:] or None, state_names=states))
    return model


def _check_said_by_slice_0(network: Any, cpd: Any, path: Any) -> None:
    """Refuse a second table of a variable without edges, for which pgmpy's class has no place."""
    for suffixes in CONVENTIONS:
        if str(cpd.variable).endswith(suffixes[1]):
            first = network.get_cpds(str(cpd.variable).removesuffix(suffixes[1]) + suffixes[0])
            if first is not None and np.array_equal(first.values, cpd.values):
                return
    raise ModelError(f"{path}: {cpd.variable} has no edges, but a table of its own in later slices; give it an edge")


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

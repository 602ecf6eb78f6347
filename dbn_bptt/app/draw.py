"""Drawings for the command line: a cell by its name or a network by its file, in a format by its name."""

from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np

from dbn_bptt import render
from dbn_bptt.cells import CELLS
from dbn_bptt.dbn.inference.tables import read_evidence
from dbn_bptt.dbn.networks.bif import read_bif
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.errors import DataError, unknown_name
from dbn_bptt.render import Options
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.sweep.results import Result
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.transforms.adjoint import adjoint

ANIMATED = ("gif", "animated_svg", "beamer")  # what steps through the sweeps
FORMATS = ("svg", "html", "dot", "mermaid", "tikz", "graphml", "png", "pdf", *ANIMATED)
BINARY = ("png", "pdf", "gif")  # what is no text
SIZED = ("svg", "tikz", "png", "pdf", *ANIMATED)  # what has a width in centimetres
ENDINGS = {"tex": "tikz", "mmd": "mermaid", "gv": "dot", "htm": "html"}  # of files, where they are not the format
_SIZES = {"n_inputs": 3, "n_hidden": 4, "n_outputs": 2}


def drawing(
    what: str, format: str, *, theme: Any = None, size_cm: float | None = None, evidence: Path | None = None,
    adjoint_of: bool = False, seed: int = 0, T: int | None = None, **options: Any,
) -> bytes:  # fmt: skip
    """The content of a file that shows a cell or a network.

    Parameters
    ----------
    what : the name of a cell, or the path of a BIF file
    format : one of `FORMATS`
    theme : of SVG; light, unless given
    size_cm : the width of what has one
    evidence : a CSV file for a network
    adjoint_of : draw the adjoint of a cell
    seed : of the random numbers that a cell runs on, where numbers are asked for
    T, **options : as in `render.svg`

    Examples
    --------
    >>> drawing("elman", "svg", T=3)[:4]
    b'<svg'
    """
    if seed < 0:
        raise DataError(f"seed is {seed}; give a number from 0 on")
    if theme is not None and format not in ("svg", "animated_svg"):
        raise DataError(f"{format} has no themes; leave --theme out, or draw svg")
    if size_cm is not None and format not in SIZED:
        raise DataError(f"{format} has no width of its own; leave --size-cm out, or draw {', '.join(SIZED)}")
    if format == "html" and options.get("show") is not None:
        raise DataError("the explorer shows all numbers; leave --show out")
    chosen = cast(Options, {"T": T, **options})
    numbers = format in ("html", *ANIMATED) or options.get("show") is not None
    if what not in CELLS:
        if adjoint_of or options.get("show") is not None:
            raise DataError("--adjoint and --show go with a cell")
        obj = _network(what, evidence, chosen)
        if format == "html" and evidence is None:
            raise DataError("the explorer of a model steps through inference; add --evidence EVIDENCE.csv")
    elif evidence is not None:
        raise DataError("--evidence goes with a model; a cell runs on random numbers")
    else:
        template = CELLS[what](**_SIZES)
        obj = adjoint(template) if adjoint_of else template
        if numbers:
            if adjoint_of:
                raise DataError("numbers are those of a cell; draw it without --adjoint")
            obj, chosen["T"] = _run(template, T, seed), None
    return _written(obj, format, theme, size_cm, chosen)


def _network(what: str, evidence: Path | None, chosen: Options) -> Any:
    """The network of a file; its evidence becomes an option."""
    path = Path(what)
    if path.suffix != ".bif" and not path.exists():
        raise DataError(f"{unknown_name(what, CELLS, 'cell')}; or give a MODEL.bif")
    model = read_bif(path)
    network = read(model)
    if evidence is not None:
        chosen["evidence"] = read_evidence(network, evidence)
    return model


def _run(template: SliceTemplate, T: int | None, seed: int) -> Result:
    """A run of BPTT on random numbers."""
    slices, rng = 5 if T is None else T, np.random.default_rng(seed)
    if slices < 1:
        raise DataError(f"T is {T}; the number of slices must be a positive integer")
    data = {"x": rng.normal(size=(slices, _SIZES["n_inputs"])), "y": rng.integers(0, _SIZES["n_outputs"], slices)}
    return bptt(template, template.initial_parameters(seed), data)


def _written(obj: Any, format: str, theme: Any, size_cm: float | None, options: Options) -> bytes:
    if format in ("png", "pdf"):
        file = BytesIO()
        render.figure(obj, size_cm=size_cm, **options).savefig(file, format=format, dpi=150)
        return file.getvalue()
    sized: dict[str, Any] = {"size_cm": size_cm} if format in SIZED else {}
    sized |= {} if theme is None else {"theme": theme}
    content = getattr(render, format)(obj, **sized, **options)
    return content if isinstance(content, bytes) else str(content).encode()

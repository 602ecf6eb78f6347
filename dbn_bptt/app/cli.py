"""The command `dbn-bptt`."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dbn_bptt.app.draw import BINARY, ENDINGS, FORMATS, drawing
from dbn_bptt.app.explain import Explanation, explain
from dbn_bptt.app.networks import add_networks
from dbn_bptt.cells import ACTIVATIONS, CELLS
from dbn_bptt.errors import DataError, DbnBpttError
from dbn_bptt.files import write_whole
from dbn_bptt.render.placing.labels import NOTATIONS
from dbn_bptt.render.subjects.parameters import PARAMETERS
from dbn_bptt.render.subjects.roles import COLORS
from dbn_bptt.render.subjects.views import SLICES, VIEWS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 if the engines disagree, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        text, status = options.command(options)
    except (DbnBpttError, MemoryError) as error:
        mend = "not enough memory; take a shorter text or fewer --hidden units, or a shorter sequence"
        print(f"dbn-bptt: {mend if isinstance(error, MemoryError) else error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dbn-bptt: interrupted", file=sys.stderr)
        return 130
    with suppress(BrokenPipeError):  # the reader has seen enough
        print(text, flush=True)
    return status


def _explain(options: argparse.Namespace) -> tuple[str, int]:
    text = _text(options.text, options.file)
    _check_folder(options.out)
    explanation = explain(text, options.cell, options.hidden, options.activation, options.seed, progress=True)
    written = _written(explanation, options.out)
    lines = [str(explanation), *(f"wrote {path}" for path in written)]
    if explanation.folded:
        lines.append(
            "the first and the last slices are drawn; a short text is easiest to follow: explain hello --hidden 4"
        )
    holds = explanation.report.ok and explanation.correspondences.ok
    return "\n".join(lines), 0 if holds else 1


def _draw(options: argparse.Namespace) -> tuple[str, int]:
    format = options.format or ("svg" if options.out is None else _format(options.out))
    content = drawing(
        options.what, format, view=options.view, T=options.T, parameters=options.parameters, show=options.show,
        theme=options.theme, evidence=options.evidence, adjoint_of=options.adjoint, seed=options.seed,
        compact=options.compact, names=_names(options.name), notation=options.notation, slices=options.slices,
        colors=options.colors, size_cm=options.size_cm,
    )  # fmt: skip
    if options.out is None:
        if format in BINARY:
            raise DataError(f"{format} is no text; say where it goes: --out FILE")
        return content.decode().rstrip("\n"), 0
    try:
        write_whole(options.out, content)
    except OSError as error:
        raise DataError(f"cannot write {options.out}: {error.strerror}; choose another --out") from None
    return f"wrote {options.out}", 0


def _names(pairs: list[str]) -> dict[str, str]:
    """The names that were given as OLD=NEW."""
    for pair in pairs:
        if "=" not in pair:
            raise DataError(f"--name {pair} has no =; write --name OLD=NEW, for example --name h=s")
    return dict(pair.split("=", 1) for pair in pairs)


def _format(out: Path) -> str:
    """The format that a file's ending tells; svg without one."""
    ending = out.suffix.lstrip(".").lower()
    format = ENDINGS.get(ending, ending or "svg")
    if format not in FORMATS:
        endings = ", ".join(sorted({*ENDINGS, *FORMATS}))
        raise DataError(f"the ending of {out} tells no format; use one of {endings}, or add --format")
    return format


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dbn-bptt", description="Back-propagation through time as message passing on the unrolled network."
    )
    parser.add_argument("--version", action="version", version=f"dbn-bptt {version('dbn_bptt')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_explain(commands)
    _add_draw(commands)
    add_networks(commands)
    return parser


def _add_explain(commands: Any) -> None:
    p = commands.add_parser(
        "explain",
        help="show back-propagation through time on a text",
        description="Predict each next character of a text with a recurrent network; compute the gradients by messages "
        "on the unrolled graph, and confirm them by a direct NumPy implementation and by finite differences. Writes an "
        "explorer for the browser, a picture of the graph and all numbers into a folder. The exit status is 1 if the "
        "engines disagree.",
    )
    p.add_argument("text", nargs="?", metavar="TEXT", help="the text (default: a short one)")
    p.add_argument("--file", type=Path, metavar="PATH", help="read the text from a file (UTF-8)")
    p.add_argument("--cell", choices=sorted(CELLS), default="elman", help="the recurrent network (default: elman)")
    p.add_argument("--hidden", type=int, default=16, metavar="N", help="hidden units (default: 16)")
    p.add_argument(
        "--activation", choices=sorted(ACTIVATIONS), help="of elman and jordan (default: tanh)", default=None
    )
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of the random parameters (default: 0)")
    p.add_argument("--out", type=Path, default=Path("dbn-bptt-out"), metavar="DIR", help="default: dbn-bptt-out")
    p.set_defaults(command=_explain)


def _add_draw(commands: Any) -> None:
    p = commands.add_parser(
        "draw",
        help="draw a recurrent network or a dynamic Bayesian network",
        description="Draw a cell, or the dynamic network of a BIF file. Text goes to standard output, or into --out. "
        "The explorer (html) and --show run a cell on random numbers, and a network on --evidence; gif, animated_svg "
        "and beamer step through the two sweeps of a cell.",
    )
    p.add_argument("what", metavar="CELL|MODEL.bif", help=f"{', '.join(sorted(CELLS))}, or a file")
    p.add_argument("--view", choices=VIEWS, help="default: what suits; rolled for a cell without -T")
    p.add_argument("--format", choices=FORMATS, help="default: that of --out's ending, or svg")
    p.add_argument("-T", type=int, metavar="N", help="unroll over N slices")
    p.add_argument("--parameters", choices=PARAMETERS, help="how parameters are drawn (default: labels on edges)")
    p.add_argument("--show", choices=("values", "adjoints", "messages"), help="numbers as heat maps")
    p.add_argument("--compact", action="store_true", help="fold variables that one equation reads into that equation")
    p.add_argument(
        "--name", action="append", default=[], metavar="OLD=NEW", help="another name, for example h=s or L=\\ell"
    )
    p.add_argument("--notation", choices=NOTATIONS, help="where the slice stands (default: superscript)")
    p.add_argument("--slices", choices=SLICES, help="0, 1, 2 (default), or t-1, t, t+1")
    p.add_argument("--colors", choices=COLORS, help="role: a colour for inputs, hidden variables, outputs, and so on")
    p.add_argument("--size-cm", type=float, metavar="CM", help="the width of a picture in centimetres")
    p.add_argument("--adjoint", action="store_true", help="draw the adjoint of a cell")
    p.add_argument("--theme", choices=("light", "dark", "auto"), help="of svg (default: light)")
    p.add_argument("--evidence", type=Path, metavar="EVIDENCE.csv", help="of a model: its posteriors are drawn")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (default: 0)")
    p.add_argument("--out", type=Path, metavar="FILE", help="where the drawing goes; png, pdf and gif need one")
    p.set_defaults(command=_draw)


def _text(text: str | None, file: Path | None) -> str | None:
    """The text to explain; None for the embedded one."""
    if file is None:
        return text
    if text is not None:
        raise DataError("give a TEXT or a --file, not both")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from None
    if not content:
        raise DataError(f"{file} is empty; give a file with at least two characters")
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text (byte {error.start}); convert it or give another file") from None
    if "\0" in decoded:
        raise DataError(f"{file} is not text (it holds zero bytes); give another file")
    return decoded


def _check_folder(folder: Path) -> None:
    """Refuse, before any work, a folder that cannot be written into."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise DataError(
            f"cannot write into {folder}: {there} is no folder that you may write into; choose another --out"
        )


def _written(explanation: Explanation, folder: Path) -> list[Path]:
    """The files of an explanation, written; or an error that says which folder does not take them."""
    try:
        return write(explanation, folder)
    except OSError as error:
        raise DataError(f"cannot write into {folder}: {error.strerror}; choose another --out") from None


def write(explanation: Explanation, folder: Path) -> list[Path]:
    """Write the explorer, the picture and the numbers; each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "explorer.html": explanation.page, "unrolled.svg": explanation.picture, "explain.json": explanation.to_json(),
    }  # fmt: skip
    for name, content in files.items():
        write_whole(folder / name, content.encode())
    return [folder / name for name in files]

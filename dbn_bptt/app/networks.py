"""The arguments of the command's verbs for networks."""

from pathlib import Path
from typing import Any

from dbn_bptt.app import inference
from dbn_bptt.program.engines import ENGINES

MODEL = "a two-slice network, its variables named Z_0 and Z_1 (or Z0 and Zt) in the first slice and in later ones"
EVIDENCE = (
    "CSV or Parquet: a column for each observed variable and a row for each slice; empty where nothing was observed. A "
    "column named 'sequence' tells several sequences apart"
)
PRINTS = "Prints CSV, or writes CSV or Parquet into --out."
VERBS = {
    "smooth": (
        inference.smooth, "posteriors of a dynamic Bayesian network",
        "The posterior probability of every state of every variable in every slice, given all evidence. The last line "
        "of standard error is log p(evidence).",
    ),
    "filter": (
        inference.filter, "posteriors given the evidence so far",
        "The probability of every state of every variable in every slice, given the evidence up to that slice.",
    ),
    "predict": (
        inference.predict, "what comes after the evidence",
        "The probability of every state of every variable in the slices after the evidence.",
    ),
    "viterbi": (
        inference.viterbi, "the most probable path",
        "The most probable states of all variables in all slices together, given the evidence.",
    ),
    "sample": (
        inference.sample, "paths drawn from the posterior",
        "States of all variables in all slices together, drawn given the evidence, or from the model without any.",
    ),
    "log-likelihood": (
        inference.log_likelihood, "log p(evidence)", "log p(evidence) of each sequence, in nats."
    ),
}  # fmt: skip


def add_networks(commands: Any) -> None:
    """Add the verbs."""
    for name, (verb, brief, description) in VERBS.items():
        p = commands.add_parser(name, help=brief, description=f"{description} {PRINTS}")
        _add_model(p)
        optional = {"nargs": "?"} if name == "sample" else {}
        p.add_argument("evidence", type=Path, metavar="EVIDENCE", help=EVIDENCE, **optional)
        p.add_argument("--out", type=Path, metavar="FILE", help="a .csv or .parquet file")
        p.set_defaults(command=inference.inferred(verb))
        if name == "predict":
            p.add_argument("--horizon", type=int, default=1, metavar="N", help="so many slices ahead (default: 1)")
        if name == "sample":
            p.add_argument("--size", type=int, default=1, metavar="N", help="paths for each sequence (default: 1)")
            p.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (default: 0)")
            p.add_argument("-T", type=int, metavar="N", help="so many slices, without evidence")
    _add_fit(commands)
    p = commands.add_parser(
        "summary", help="the interface of a network, and what inference costs",
        description="What one slice tells the next, and the work and the largest table of a slice of inference.",
    )  # fmt: skip
    p.add_argument("model", type=Path, metavar="MODEL.bif", help=MODEL)
    p.set_defaults(command=inference.summarised)


def _add_model(p: Any) -> None:
    p.add_argument("model", type=Path, metavar="MODEL.bif", help=MODEL)
    p.add_argument("--engine", choices=ENGINES, help="what runs the scans (default: the quicker one, by size)")


def _add_fit(commands: Any) -> None:
    p = commands.add_parser(
        "fit",
        help="learn the tables of a network",
        description="Learn all tables by expectation maximisation from files of sequences, a file at a time, and print "
        "the model as BIF. With Dask (pip install 'dbn_bptt[scale]') several files are worked on at once.",
    )
    _add_model(p)
    p.add_argument("patterns", nargs="+", metavar="PATTERN", help="files, patterns such as 'data/*.csv', or folders")
    p.add_argument("--steps", type=int, default=200, metavar="N", help="at most so many (default: 200)")
    p.add_argument(
        "--tolerance", type=float, default=1e-6, metavar="X",
        help="stop when a step raises log p(evidence) by less than this share of it (default: 1e-6)",
    )  # fmt: skip
    p.add_argument("--prior", type=float, default=0.0, metavar="X", help="added to every expected count (default: 0)")
    p.add_argument("--seed", type=int, metavar="N", help="begin with random tables instead of the model's")
    p.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="written after each step; an interrupted fit goes on"
    )
    p.add_argument("--out", type=Path, metavar="FILE", help="a .bif file")
    p.set_defaults(command=inference.fit)

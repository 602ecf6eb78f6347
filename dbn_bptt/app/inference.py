"""Inference and learning from files: what the command's verbs for networks compute."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dbn_bptt import scale
from dbn_bptt.dbn.evidence.forms import labels_of
from dbn_bptt.dbn.inference import verbs
from dbn_bptt.dbn.inference.tables import check_place, csv_text, read_evidence, write_table
from dbn_bptt.dbn.inference.task import Prepared, prepare
from dbn_bptt.dbn.networks.bif import bif_text, read_bif, write_bif
from dbn_bptt.dbn.networks.description import summary
from dbn_bptt.dbn.networks.network import SEQUENCE
from dbn_bptt.errors import DataError

Options = argparse.Namespace


def inferred(verb: Callable[..., Any]) -> Callable[[Options], tuple[str, int]]:
    """The command of a verb: a table of what it finds, as CSV or in a file.

    Parameters
    ----------
    verb : a function of a prepared model, evidence and the options, to a table and log p(evidence), or None
    """

    def command(options: Options) -> tuple[str, int]:
        if options.out is not None:
            check_place(options.out)
        model = prepare(read_bif(options.model), options.engine)
        evidence = None if options.evidence is None else read_evidence(model.network, options.evidence)
        table, log_likelihood = verb(model, evidence, options)
        if log_likelihood is not None:
            print(f"log-likelihood {float(np.sum(log_likelihood)):.10g}", file=sys.stderr)
        if options.out is None:
            return csv_text(table).rstrip("\n"), 0
        write_table(table, options.out)
        return f"wrote {options.out}", 0

    return command


def smooth(model: Prepared, evidence: Any, options: Options) -> tuple[Any, Any]:
    """Posteriors given all evidence."""
    found = verbs.smooth(model, evidence)
    return found.to_frame(), found.log_likelihood


def filter(model: Prepared, evidence: Any, options: Options) -> tuple[Any, Any]:
    """Posteriors given the evidence so far."""
    found = verbs.filter(model, evidence)
    return found.to_frame(), found.log_likelihood


def predict(model: Prepared, evidence: Any, options: Options) -> tuple[Any, Any]:
    """Distributions after the evidence."""
    found = verbs.predict(model, options.horizon, evidence)
    return found.to_frame(), found.log_likelihood


def viterbi(model: Prepared, evidence: Any, options: Options) -> tuple[Any, Any]:
    """The most probable path of each sequence; the logarithm of its probability goes to standard error."""
    found = verbs.viterbi(model, evidence)
    print(f"log-probability {float(np.sum(found.log_probability)):.10g}", file=sys.stderr)
    return found.to_frame(), None


def sample(model: Prepared, evidence: Any, options: Options) -> tuple[Any, Any]:
    """Paths drawn from the posterior."""
    if evidence is None and options.T is None:
        raise DataError("how long are the paths? give EVIDENCE, or -T N for N slices without any")
    _check_seed(options.seed)
    return verbs.sample(model, options.size, evidence, seed=options.seed, T=options.T).to_frame(), None


def log_likelihood(model: Prepared, evidence: Any, options: Options) -> tuple[Any, Any]:
    """log p(evidence) of each sequence."""
    import pandas as pd

    found, names = verbs.log_likelihood(model, evidence), labels_of(evidence, model.network.names)
    index = None if names is None else pd.Index(names, name=SEQUENCE)
    return pd.DataFrame({"log_likelihood": np.atleast_1d(found)}, index), found


def fit(options: Options) -> tuple[str, int]:
    """The model learnt from files, as BIF."""
    if options.out is not None:
        check_place(options.out, (".bif",))
    _check_seed(options.seed)
    model = read_bif(options.model)
    found = scale.fit(
        model, options.patterns, steps=options.steps, tolerance=options.tolerance, prior=options.prior,
        seed=options.seed, engine=options.engine, checkpoint=options.checkpoint, progress=True,
    )  # fmt: skip
    print(found, file=sys.stderr)
    if options.out is None:
        return bif_text(found.model).rstrip("\n"), 0
    write_bif(found.model, options.out)
    return f"wrote {options.out}", 0


def _check_seed(seed: int | None) -> None:
    if seed is not None and seed < 0:
        raise DataError(f"seed is {seed}; give a number from 0 on")


def summarised(options: Options) -> tuple[str, int]:
    """The interface of a model, and what inference costs."""
    return summary(read_bif(options.model)), 0

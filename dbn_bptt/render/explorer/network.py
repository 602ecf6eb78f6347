"""What the explorer shows of inference in a dynamic Bayesian network beside BPTT on its polynomial."""

from itertools import product
from typing import Any

import numpy as np

from dbn_bptt.render.explorer.content import numbers
from dbn_bptt.render.layout import scene
from dbn_bptt.render.subjects.inference import Inference
from dbn_bptt.render.writers.svg import TIPS, document
from dbn_bptt.sweep.results import Result


def network(model: Any, inference: Inference, result: Result) -> dict[str, Any]:
    """The picture with its posteriors, the posteriors as numbers, and the messages alpha and beta.

    beta is minus the adjoint of alpha, Rabiner's scaled backward variable.
    """
    slices, sent = range(inference.T), []
    for title, names in inference.messages.items():
        states = [
            ", ".join(f"{n}={s}" if len(names) > 1 else str(s) for n, s in zip(names, row, strict=True))
            for row in product(*(inference.states[name] for name in names))
        ]
        alpha = np.stack([np.ravel(result.values[title, t]) for t in slices])
        beta = -np.stack([np.ravel(result.messages.adjoint[title, t]) for t in slices])
        sent.append({"name": title, "states": states, "alpha": numbers(alpha), "beta": numbers(beta)})
    return {
        "picture": document(scene(model, evidence=inference), head=False).replace(TIPS, ""),
        "posteriors": [
            {"name": str(name), "states": [str(s) for s in inference.states[name]], "rows": numbers(a)}
            for name, a in inference.posterior.items()
        ],
        "messages": sent,
        "log_likelihood": float(f"{inference.log_likelihood:.8g}"),
    }

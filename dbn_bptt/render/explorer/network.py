"""What the explorer shows of inference in a dynamic Bayesian network beside BPTT on its polynomial."""

from itertools import product
from typing import Any

import numpy as np

from dbn_bptt.dbn.forward import interface, messages, parts
from dbn_bptt.dbn.query import Task
from dbn_bptt.dbn.verbs import smooth
from dbn_bptt.render.explorer.content import numbers
from dbn_bptt.render.layout import scene
from dbn_bptt.render.writers.svg import TIPS, document
from dbn_bptt.sweep.results import Result


def network(model: Any, evidence: Any, T: int | None, task: Task, result: Result) -> dict[str, Any]:
    """The picture with its posteriors, the posteriors as numbers, and the messages alpha and beta.

    beta is minus the adjoint of alpha, Rabiner's scaled backward variable.
    """
    slices = result.values.given.T
    posterior = smooth(model, evidence, T=T)
    rows = {name: (posterior[name][0] if task.evidence.batch else posterior[name])[:slices] for name in posterior}
    sent = []
    parts_of = [part for part in parts(task.structure) if interface(task.structure, part)]
    for title, part in zip(messages(task.structure), parts_of, strict=True):
        names = interface(task.structure, part)
        joint = product(*(posterior.states[name] for name in names))
        states = [
            ", ".join(f"{n}={s}" if len(names) > 1 else str(s) for n, s in zip(names, row, strict=True))
            for row in joint
        ]
        alpha = np.stack([np.ravel(result.values[title, t]) for t in range(slices)])
        beta = -np.stack([np.ravel(result.messages.adjoint[title, t]) for t in range(slices)])
        sent.append({"name": title, "states": states, "alpha": numbers(alpha), "beta": numbers(beta)})
    return {
        "picture": document(scene(model, evidence=evidence, T=T), head=False).replace(TIPS, ""),
        "posteriors": [
            {"name": str(name), "states": [str(s) for s in posterior.states[name]], "rows": numbers(a)}
            for name, a in rows.items()
        ],
        "messages": sent,
        "log_likelihood": float(f"{np.ravel(posterior.log_likelihood)[0]:.8g}"),
    }

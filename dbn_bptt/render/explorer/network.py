"""What the explorer shows of inference in a dynamic Bayesian network beside BPTT on its polynomial."""

from typing import Any

import numpy as np

from dbn_bptt.dbn.infer import smooth
from dbn_bptt.dbn.polynomial import messages
from dbn_bptt.dbn.tasks import Task
from dbn_bptt.render.explorer.content import numbers
from dbn_bptt.render.layout import scene
from dbn_bptt.render.svg import document
from dbn_bptt.results import Result


def network(model: Any, evidence: Any, task: Task, result: Result) -> dict[str, Any]:
    """The picture with its posteriors, the posteriors as numbers, and the messages alpha and beta.

    beta is minus the adjoint of alpha, Rabiner's scaled backward variable.
    """
    T = task.evidence.T
    posterior = smooth(model, evidence, T=T)
    rows = {name: posterior[name][0] if task.evidence.batch else posterior[name] for name in posterior}
    sent = []
    for title in messages(task.structure):
        alpha = np.stack([np.ravel(result.values[title, t]) for t in range(T)])
        beta = -np.stack([np.ravel(result.messages.adjoint[title, t]) for t in range(T)])
        sent.append({"name": title, "alpha": numbers(alpha), "beta": numbers(beta)})
    return {
        "picture": document(scene(model, evidence=evidence, T=T), head=False),
        "posteriors": [
            {"name": str(name), "states": [str(s) for s in posterior.states[name]], "rows": numbers(a)}
            for name, a in rows.items()
        ],
        "messages": sent,
        "log_likelihood": float(f"{np.ravel(posterior.log_likelihood)[0]:.8g}"),
    }

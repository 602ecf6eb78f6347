"""What a sweep expects, given evidence: how often entries of tables are used, and what emissions learn from."""

import numpy as np

from dbn_bptt.dbn.inference.query import swept
from dbn_bptt.dbn.inference.task import Task
from dbn_bptt.dbn.networks.network import Name
from dbn_bptt.dbn.polynomial.reductions import SUM
from dbn_bptt.ops.kernels import Array

Counts = dict[tuple[Name, int | str], Array]  # by variable and slice, and by emission and the name of a statistic
DRIVEN_X, DRIVEN_WEIGHTS = "driven x", "driven weights"  # of a table, the vectors and what its entries count for


def counted(task: Task) -> tuple[float, Counts]:
    """An E-step: log p(evidence), the expected counts of all tables, and the statistics of emissions."""
    given, emissions = task.evidence, dict(task.network.emissions)
    emissions = {name: emissions[name] for name in given.observed if name in emissions}
    unknown = [task.structure.evidence(e.parent) for e in emissions.values() if e.parent not in given.seen]
    answer = swept(task, SUM, ("params", *dict.fromkeys(unknown), *task.driven))
    counts: Counts = {(name, slice_): a for (name, slice_), a in answer.counts().items()}
    for name, emission in emissions.items():
        x, weights = given.observed[name], answer.marginal(emission.parent)
        found = emission.statistics(x.reshape(-1, emission.size), weights.reshape(-1, emission.states))
        counts |= {(name, title): a for title, a in found.items()}
    for name, drive in task.network.drives.items():
        x, used = given.observed[drive.by].reshape(-1, drive.size), answer.used(name)
        found = drive.scores.seen(x, used.reshape(-1, *drive.scores.shape))
        counts |= {(name, DRIVEN_X): found["x"], (name, DRIVEN_WEIGHTS): found["weights"]}
    return float(np.sum(answer.log_likelihood)), counts

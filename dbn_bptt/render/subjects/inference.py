"""A dynamic network and its evidence, read once and asked once; the one place where pictures ask `dbn`.

Of a batch of sequences the first is drawn, to its own end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.render.placing.labels import counted
from dbn_bptt.render.subjects.sources import is_network
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.sweep.results import Result

if TYPE_CHECKING:
    from dbn_bptt.dbn.inference.task import Task


@dataclass(frozen=True)
class Inference:
    """A network given evidence, and what follows."""

    task: "Task" = field(repr=False)  # the network and all evidence
    T: int  # the number of slices that are drawn
    sequences: int  # how many there are in a batch; 0 where there is none
    likelihoods: Mapping[Any, Array] = field(repr=False)  # by variable, (T, K)
    observed: frozenset[tuple[Any, int]] = field(repr=False)  # what evidence is about
    data: Mapping[str, Array] = field(repr=False)  # the inputs of the network polynomial
    posterior: Mapping[Any, Array] = field(repr=False)
    log_likelihood: float  # log p(evidence) in nats

    @property
    def messages(self) -> dict[str, list[tuple[Any, str]]]:
        """By variable of the network polynomial that is a message, the variables whose joint states it is about.

        Each with what it is called: edges that reach further back need it of several slices.
        """
        from dbn_bptt.dbn.polynomial.forward import about

        return {
            alpha: [(name, f"{name} {counted(lag, 'slice')} before" if lag else str(name)) for name, lag in state]
            for alpha, state in about(self.task.structure).items()
        }

    def swept(self) -> Result:
        """BPTT on the network polynomial, with all its messages."""
        from dbn_bptt.dbn.polynomial.forward import polynomial

        return bptt(polynomial(self.task.structure), self.task.model.tables, self.data, T=self.T)


def inference(model: Any, evidence: Any, T: int | None = None) -> Inference:
    """Read and ask; what was asked before is handed back as it is."""
    from dbn_bptt.dbn.inference.task import given_task
    from dbn_bptt.dbn.inference.verbs import smoothed

    if isinstance(evidence, Inference):
        return evidence
    if not is_network(model):
        raise DataError(
            f"evidence goes with a pgmpy DynamicBayesianNetwork or a Network, not with {type(model).__name__}"
        )
    task = given_task(model, evidence, T=T)
    lengths, batch = task.evidence.lengths, task.evidence.batch
    end = task.evidence.T if lengths is None else int(lengths[0])
    first = (slice(end), 0) if batch else slice(end)
    answer = smoothed(task)
    posterior = answer.marginals()
    return Inference(
        task=task,
        T=end,
        sequences=batch[0] if batch else 0,
        likelihoods={name: task.likelihood(name)[first] for name in posterior},
        observed=frozenset(_observed(task, end, 0 if batch else None)),
        data={name: a[first] for name, a in task.data(logs=False).items()},
        posterior={name: np.moveaxis(a, -2, 0)[first] for name, a in posterior.items()},
        log_likelihood=float(np.ravel(answer.log_likelihood)[0]),
    )


def _observed(task: "Task", T: int, sequence: int | None) -> Iterator[tuple[Any, int]]:
    """The variables and vectors of one sequence that evidence is about, with their slices.

    What a vector says of its parent is no evidence of the parent's state, which leaves some states out.
    """
    given = task.evidence
    said = {name: a != 1 for name, a in given.likelihoods.items() if name in task.network.states}
    said |= {name: np.isneginf(a) for name, a in given.logs.items() if name in task.network.states}
    said |= {name: ~np.isnan(np.moveaxis(x, -2, 0)) for name, x in given.observed.items()}
    for name, a in said.items():
        of = (a if sequence is None else a[:, sequence])[:T].any(-1)
        yield from ((name, t) for t in np.flatnonzero(of).tolist())

"""Exact inference: each verb is one pass of back-propagation through time over the network polynomial.

Nothing is approximated and no model is changed. A program is compiled once for each structure and kept.
"""

from typing import Any, cast

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Evidence, Soft
from dbn_bptt.dbn.forward import polynomial, program, structure
from dbn_bptt.dbn.kalman import KalmanFilter, smooth_gaussian
from dbn_bptt.dbn.network import Name, read
from dbn_bptt.dbn.posterior import Paths, Posterior
from dbn_bptt.dbn.query import (
    Task,
    alone,
    counted,
    extended,
    given_task,
    marginals,
    on_network,
    parameters,
    paths,
    repeated,
    swept,
    unknown,
)
from dbn_bptt.dbn.reductions import DRAW, MAX, SUM
from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.builder import SliceTemplate


def template(model: Any) -> SliceTemplate:
    """The slice template whose BPTT is exact inference in a model: its scaled network polynomial.

    Its parameters are the model's tables, which are their defaults; its inputs are the indicators of evidence, all 1
    unless given. Its loss is -log p(evidence), and minus an indicator times its gradient is a posterior probability.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> from dbn_bptt.dbn import umbrella
    >>> t = template(umbrella())
    >>> print(db.equations(t, format="text"))
    f_0 = P0_Rain * e_Rain_0 * P_Umbrella' e_Umbrella_0
    f_t = P_Rain alpha_{t-1} * e_Rain_t * P_Umbrella' e_Umbrella_t  for 1 <= t <= T-1
    scale_t = sum(f_t)
    alpha_t = f_t / scale_t
    L = -sum_t log(scale_t)
    end = -log(sum(alpha_{T-1}))
    >>> result = db.bptt(t, {}, {"e_Umbrella": np.array([[0.0, 1.0], [0.0, 1.0]])})
    >>> -result.messages.adjoint["e_Rain", 1].round(3)
    array([0.117, 0.883])
    """
    network = read(model)
    of = structure(network)
    return polynomial(of, tables=parameters(network, of))


def smooth(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Posterior:
    """The posterior of every variable in every slice, given all evidence.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs
        Or a template from `linear_gaussian`; its evidence is y and u, and it gets a `GaussianPosterior`.
    evidence : dict or DataFrame, optional
        ``{"Y": states}`` with (T,) states for one sequence or (B, T) for a batch, by name or index, -1 or NaN where
        one is missing; ``{("Y", 2): state}``; or a DataFrame with a column for each variable.
    soft : dict, optional
        Likelihoods of states, (T, K) or (B, T, K), by variable.
    T : int, optional
        The number of slices, where evidence does not tell it.
    lengths : array (B,), optional
        The lengths of the sequences of a ragged batch.

    Raises
    ------
    ModelError, DataError, UnknownNameError
        Where model or evidence is not well formed.
    ImpossibleEvidenceError
        Where evidence has probability 0; it names the slice.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> posterior = smooth(umbrella(), {"Umbrella": [1, 1]})
    >>> posterior["Rain"].round(3)
    array([[0.117, 0.883],
           [0.117, 0.883]])
    """
    if isinstance(model, KalmanFilter):
        refused = {"soft": soft, "T": T, "lengths": lengths}
        for name in [name for name, value in refused.items() if value is not None]:
            raise DataError(f"smooth of a linear-Gaussian network takes no {name}; give NaN for what is missing")
        return cast(Any, smooth_gaussian(model, evidence))
    task = given_task(model, evidence, soft, T, lengths)
    out = swept(task, SUM, unknown(task))
    return _posterior(task, marginals(task, out.gradients, out.reduction), out.log_likelihood)


def _posterior(task: Task, found: dict[Name, Array], log_likelihood: Any, start: Any = 0) -> Posterior:
    return Posterior(found, log_likelihood, task.network.states, start, task.evidence.sequences)


def filter(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Posterior:
    """The distribution of every variable in every slice, given the evidence up to that slice.

    That is BPTT cut off after one slice: no message comes back from later ones. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> filter(umbrella(), {"Umbrella": [1, 1]})["Rain"].round(3)
    array([[0.182, 0.818],
           [0.117, 0.883]])
    """
    task = given_task(model, evidence, soft, T, lengths)
    forward = swept(task, SUM, ())
    gradients = alone(task, forward)
    return _posterior(task, marginals(task, gradients, forward.reduction), forward.log_likelihood)


def predict(
    model: Any,
    horizon: int,
    evidence: Any = None,
    *,
    soft: Soft | None = None,
    T: int | None = None,
    lengths: Any = None,
) -> Posterior:
    """The distribution of every variable in the slices after the evidence.

    Parameters
    ----------
    horizon : int
        How many slices to look ahead. The other arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> predict(umbrella(), 2, {"Umbrella": [1, 1]})["Rain"].round(3)
    array([[0.347, 0.653],
           [0.439, 0.561]])
    """
    ahead = positive(horizon, f"horizon is {horizon!r}; it must be a positive number of slices")
    task = given_task(model, evidence, soft, T, lengths)
    end = task.evidence.T
    longer = {name: extended(a, ahead) for name, a in task.evidence.likelihoods.items()}
    out_task = on_network(
        task.network, Evidence(end + ahead, task.evidence.batch, longer, None, offset=task.evidence.offset)
    )
    out = swept(out_task, SUM, ("inputs",))
    found = marginals(out_task, out.gradients, out.reduction)
    ends = task.evidence.lengths
    if ends is None:
        after = {name: a[..., end:, :] for name, a in found.items()}
        return _posterior(task, after, out.log_likelihood, end)
    rows = ends[:, None] + np.arange(ahead)  # after each sequence's own end
    after = {name: np.take_along_axis(a, rows[..., None], 1) for name, a in found.items()}
    return _posterior(task, after, out.log_likelihood, ends)


def viterbi(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Paths:
    """The most probable states of all variables in all slices together, given the evidence.

    The same template with a maximum in place of every sum: its gradient is 1 along the path. Of several paths that are
    equally probable, one is returned. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> path = viterbi(umbrella(), {"Umbrella": [1, 1, 0, 1, 1]})
    >>> path["Rain"].tolist(), round(path.log_probability, 4)
    ([1, 1, 0, 1, 1], -4.459)
    """
    task = given_task(model, evidence, soft, T, lengths)
    out = swept(task, MAX, unknown(task))
    found = paths(task, out.gradients, MAX)
    return Paths(found, out.log_likelihood, task.network.states, task.evidence.sequences)


def sample(
    model: Any, size: int = 1, evidence: Any = None, *, seed: int | np.random.Generator = 0,
    soft: Soft | None = None, T: int | None = None, lengths: Any = None,
) -> Paths:  # fmt: skip
    """Paths drawn from the posterior: states of all variables in all slices together, given the evidence.

    The same template, whose sums send their adjoint down to one random term each.

    Parameters
    ----------
    size : int
        How many paths to draw for each sequence.
    seed : int or numpy.random.Generator
        The other arguments are those of `smooth`.

    Returns
    -------
    Paths
        With arrays (size, T), or (B, size, T) for a batch.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> paths = sample(umbrella(), 1000, {"Umbrella": [1, 1]}, seed=1)
    >>> paths["Rain"].shape, bool(abs(paths["Rain"].mean() - 0.883) < 0.02)
    ((1000, 2), True)
    """
    size = positive(size, f"size is {size!r}; it must be a positive number of paths")
    task = given_task(model, evidence, soft, T, lengths)
    swept(task, SUM, ())  # impossible evidence is named by its own sequence
    given, B = task.evidence, task.evidence.batch[0] if task.evidence.batch else 1
    copies = {name: repeated(a, given.batch, size) for name, a in given.likelihoods.items()}
    each = None if given.lengths is None else np.repeat(given.lengths, size)
    task = on_network(task.network, Evidence(given.T, (B * size,), copies, each))
    rng = np.random.default_rng(seed)
    drawing = program(task.structure, DRAW)
    numbers = {name: rng.random((given.T, B * size)) for name in drawing.template.names("input") if name[0] == "u"}
    out = swept(task, DRAW, ("inputs",), numbers)
    shape = (*given.batch, size, given.T)
    drawn = {n: a.reshape(shape) for n, a in paths(task, out.gradients, DRAW).items()}
    return Paths(drawn, None, task.network.states, given.sequences)


def log_likelihood(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> Any:
    """log p(evidence) in nats: a number, or (B,) for a batch. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> round(log_likelihood(umbrella(), {"Umbrella": [1, 1]}), 6)
    -1.045546
    """
    task = given_task(model, evidence, soft, T, lengths)
    return swept(task, SUM, ()).log_likelihood


def expected_counts(
    model: Any, evidence: Any = None, *, soft: Soft | None = None, T: int | None = None, lengths: Any = None
) -> dict[tuple[Name, int], Array]:
    """How often each entry of each CPD is expected to be used, summed over slices and sequences.

    That is an entry times the gradient of log p(evidence). Arguments are those of `smooth`.

    Returns
    -------
    dict
        By (variable, slice), arrays with the axes of ``cpd.values``; slice 1 stands for all later ones. A variable with
        one CPD for all slices has the counts of all of them under either.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> expected_counts(umbrella(), {"Umbrella": [1, 1]})["Rain", 1].round(3)
    array([[0.04 , 0.077],
           [0.077, 0.807]])
    """
    return counted(given_task(model, evidence, soft, T, lengths))[0]

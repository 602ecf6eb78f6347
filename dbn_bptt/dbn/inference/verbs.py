"""Exact inference: each verb is one pass of back-propagation through time over the network polynomial.

Nothing is approximated and no model is changed. A program is compiled once for each structure and kept.
"""

from typing import Any, cast

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Soft
from dbn_bptt.dbn.inference.posterior import Paths, Posterior
from dbn_bptt.dbn.inference.query import Answer, alone, swept
from dbn_bptt.dbn.inference.task import Task, given_task, prepare
from dbn_bptt.dbn.networks.network import Emission, Name, refuse_field
from dbn_bptt.dbn.polynomial.forward import polynomial, program
from dbn_bptt.dbn.polynomial.reductions import DRAW, MAX, SUM
from dbn_bptt.dbn.state_space.answers import (
    GaussianModel,
    filter_gaussian,
    log_likelihood_gaussian,
    predict_gaussian,
    sample_gaussian,
    smooth_gaussian,
)
from dbn_bptt.dbn.state_space.kalman import refuse
from dbn_bptt.errors import positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine
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
    prepared = prepare(model)
    return polynomial(prepared.structure, tables=prepared.tables)


def smooth(
    model: Any,
    evidence: Any = None,
    *,
    soft: Soft | None = None,
    T: int | None = None,
    lengths: Any = None,
    engine: Engine = None,
) -> Posterior:
    """The posterior of every variable in every slice, given all evidence.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs
        Or what `prepare` made of it; or a template from `linear_gaussian`, whose evidence is y and u, or a network from
        `gaussian_network`, whose evidence is numbers by variable: these get a `GaussianPosterior`; or a
        template from `switching`.
    evidence : dict or DataFrame, optional
        ``{"Y": states}`` with (T,) states for one sequence or (B, T) for a batch, by name or index, -1 or NaN where
        one is missing; ``{("Y", 2): state}``; a list of dicts with a sequence (T,) each, of any lengths; or a DataFrame
        with a column for each variable. A vector of `emit` has an axis of d numbers more.
    soft : dict, optional
        Likelihoods of states, (T, K) or (B, T, K), by variable.
    T : int, optional
        The number of slices, where evidence does not tell it.
    lengths : array (B,), optional
        The lengths of the sequences of a ragged batch.
    engine : "numpy", "native", "jax", "parallel", a `Parallel` or None
        What runs the scans, as in `compile`.

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
    if isinstance(model, GaussianModel):
        refuse("smooth", soft=soft, T=T, lengths=lengths)
        return cast(Any, smooth_gaussian(model, evidence, engine))
    answer = smoothed(given_task(model, evidence, soft, T, lengths, engine))
    return _posterior(answer, answer.marginals())


def smoothed(task: Task) -> Answer:
    """The sweep of `smooth`."""
    return swept(task, SUM, task.unknown)


def _posterior(answer: Answer, marginals: dict[Name, Array], start: Any = 0) -> Posterior:
    task = answer.task
    return Posterior(marginals, answer.log_likelihood, task.network.states, start, task.evidence.sequences)


def filter(
    model: Any,
    evidence: Any = None,
    *,
    soft: Soft | None = None,
    T: int | None = None,
    lengths: Any = None,
    engine: Engine = None,
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
    if isinstance(model, GaussianModel):
        refuse("filter", soft=soft, T=T, lengths=lengths)
        return cast(Any, filter_gaussian(model, evidence, engine))
    task = given_task(model, evidence, soft, T, lengths, engine)
    forward = swept(task, SUM, ())
    return _posterior(forward, alone(forward).marginals())


def predict(
    model: Any,
    horizon: int,
    evidence: Any = None,
    *,
    soft: Soft | None = None,
    T: int | None = None,
    lengths: Any = None,
    engine: Engine = None,
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
    if isinstance(model, GaussianModel):
        refuse("predict", soft=soft, T=T, lengths=lengths)
        return cast(Any, predict_gaussian(model, horizon, evidence, engine))
    ahead = positive(horizon, f"horizon is {horizon!r}; it must be a positive number of slices")
    task = given_task(model, evidence, soft, T, lengths, engine)
    refuse_field(task.network, "slices to come have no vectors; give these to smooth, with -1 for unknown states")
    end, ends = task.evidence.T, task.evidence.lengths
    longer = Task(task.model, task.evidence.extended(ahead))
    forward = swept(longer, SUM, ())
    found = alone(forward).marginals()
    if ends is None:
        return _posterior(forward, {name: a[..., end:, :] for name, a in found.items()}, end)
    rows = (ends[:, None] + np.arange(ahead))[..., None]  # after each sequence's own end
    return _posterior(forward, {name: np.take_along_axis(a, rows, 1) for name, a in found.items()}, ends)


def viterbi(
    model: Any,
    evidence: Any = None,
    *,
    soft: Soft | None = None,
    T: int | None = None,
    lengths: Any = None,
    engine: Engine = None,
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
    task = given_task(model, evidence, soft, T, lengths, engine)
    answer = swept(task, MAX, task.unknown)
    return Paths(answer.paths(), answer.log_likelihood, task.network.states, task.evidence.sequences)


def sample(
    model: Any, size: int = 1, evidence: Any = None, *, seed: int | np.random.Generator = 0,
    soft: Soft | None = None, T: int | None = None, lengths: Any = None, engine: Engine = None,
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
    if isinstance(model, GaussianModel):
        refuse("sample", soft=soft, lengths=lengths)
        return cast(Any, sample_gaussian(model, size, evidence, T, np.random.default_rng(seed), engine))
    task = given_task(model, evidence, soft, T, lengths, engine)
    swept(task, SUM, ())  # impossible evidence is named by its own sequence
    given = task.evidence
    copies = Task(task.model, given.repeated(size))
    rng = np.random.default_rng(seed)
    drawing = program(task.structure, DRAW).template.names("input")
    numbers = {name: rng.random((given.T, *copies.evidence.batch)) for name in drawing if name[0] == "u"}
    drawn = swept(copies, DRAW, ("inputs",), numbers).paths()
    shape = (*given.batch, size, given.T)
    paths = {n: a.reshape(shape) for n, a in drawn.items()}
    vectors = {
        name: _emitted(emission, _joint(task, emission, paths), given.observed.get(name), rng)
        for name, emission in task.network.emissions.items()
    }
    return Paths(paths, None, task.network.states, given.sequences, vectors)


def _joint(task: Task, emission: Emission, paths: dict[Name, Array]) -> Array:
    """The joint states of an emission's parents along paths; -1 after a sequence's end."""
    if emission.parent in paths:
        return paths[emission.parent]
    states = [paths[name] for name in task.network.members(emission.parent)]
    inside = states[0] >= 0
    flat = np.ravel_multi_index([np.where(inside, a, 0) for a in states], task.network.sizes(emission.parent))
    return np.where(inside, flat, -1)


def _emitted(emission: Emission, states: Array, observed: Array | None, rng: np.random.Generator) -> Array:
    """Vectors along paths of states ([B,] size, T), with the numbers that were observed; NaN after a sequence's end."""
    x = np.full((*states.shape, emission.size), np.nan)
    if observed is not None:
        x[...] = observed[..., None, :, :]
    flat, inside = x.reshape(-1, emission.size), np.ravel(states) >= 0
    flat[inside] = emission.drawn(np.ravel(states)[inside], flat[inside], rng)
    return flat.reshape(x.shape)


def log_likelihood(
    model: Any,
    evidence: Any = None,
    *,
    soft: Soft | None = None,
    T: int | None = None,
    lengths: Any = None,
    engine: Engine = None,
) -> Any:
    """log p(evidence) in nats: a number, or (B,) for a batch. Arguments are those of `smooth`.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> round(log_likelihood(umbrella(), {"Umbrella": [1, 1]}), 6)
    -1.045546
    """
    if isinstance(model, GaussianModel):
        refuse("log_likelihood", soft=soft, T=T, lengths=lengths)
        return log_likelihood_gaussian(model, evidence, engine)
    task = given_task(model, evidence, soft, T, lengths, engine)
    return swept(task, SUM, ()).log_likelihood


def expected_counts(
    model: Any,
    evidence: Any = None,
    *,
    soft: Soft | None = None,
    T: int | None = None,
    lengths: Any = None,
    engine: Engine = None,
) -> dict[tuple[Name, int], Array]:
    """How often each entry of each CPD is expected to be used, summed over slices and sequences.

    That is an entry times the gradient of log p(evidence). Arguments are those of `smooth`.

    Returns
    -------
    dict
        By (variable, slice), arrays with the axes of ``cpd.values``; slice 1 stands for all later ones, or the k-th
        where edges reach k slices back. A variable with
        one CPD for all slices has the counts of all of them under either.

    Examples
    --------
    >>> from dbn_bptt.dbn import umbrella
    >>> expected_counts(umbrella(), {"Umbrella": [1, 1]})["Rain", 1].round(3)
    array([[0.04 , 0.077],
           [0.077, 0.807]])
    """
    task = given_task(model, evidence, soft, T, lengths, engine)
    return swept(task, SUM, ("params", *task.driven)).counts()

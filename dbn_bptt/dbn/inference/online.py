"""Evidence that comes a slice at a time: the message of the slice before is all that has to be kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from dbn_bptt.dbn.evidence.evidence import Evidence, Observations, Soft, observations
from dbn_bptt.dbn.inference.one_slice import one_slice
from dbn_bptt.dbn.inference.posterior import Posterior
from dbn_bptt.dbn.inference.task import IMPOSSIBLE, PLAIN, Prepared, Task, engine_of, logarithms, prepare
from dbn_bptt.dbn.networks.network import Name, Network, refuse_field
from dbn_bptt.dbn.polynomial.forward import Structure, messages, polynomial, program, scales
from dbn_bptt.dbn.polynomial.reductions import LOG_SUM
from dbn_bptt.errors import DataError, ImpossibleEvidenceError, positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program import Program, compile
from dbn_bptt.program.engines import Engine
from dbn_bptt.sweep.given import trusted


@dataclass(frozen=True)
class Online:
    """What is known after some slices; made by `start`. It can be pickled, sent, and gone on from more than once.

    Attributes
    ----------
    model : the model
    batch : () for one sequence, (B,) for many at once
    lag : how many slices posteriors wait for evidence after them
    t : the number of slices seen
    before : the message that came before the window, by variable of the template; {} at the start
    window : the logarithms of likelihoods and driven tables of the last slices, at most `lag`, by name in the template:
        (n, [B,] K); as long as they are not more than edges reach back, of all slices
    logs : whether the message before is kept as its logarithm
    """

    model: Prepared
    batch: Shape = ()
    lag: int = 0
    t: int = 0
    before: Mapping[str, Array] = field(default_factory=dict, repr=False)
    window: Mapping[str, Array] = field(default_factory=dict, repr=False)
    logs: bool = True

    def step(self, given: Mapping[Name, Any] | None = None, *, soft: Soft | None = None) -> "tuple[Online, Posterior]":
        """The state after one more slice, and the posterior of the slice `lag` before it, or of slice 0 until then.

        Parameters
        ----------
        given : by variable, its state, or (B,) states, where None, -1 and NaN are missing; by name a vector (d,) or
            (B, d), where NaN is missing, or None for all of it
        soft : by variable, likelihoods (K,) or (B, K)

        Returns
        -------
        state : what to go on from
        posterior : of one slice, a row; its log-likelihood is that of the new evidence given all before it

        Raises
        ------
        ImpossibleEvidenceError
            Where the evidence has probability 0 given all before it.
        """
        task = Task(self.model, _of_one_slice(self, given, soft))
        if self.t >= max(self.model.structure.order, 1) and not self.lag:
            return self._stepped(task)
        found, new = task.evidence, task.data(logs=True)
        window = {name: np.concatenate([self.window[name], a]) if self.window else a for name, a in new.items()}
        run = _run(self, window)
        scale = run.scale[-1]
        if (scale < IMPOSSIBLE / 2).any():
            raise self._impossible()
        n = _slices(window)
        row = max(n - 1 - self.lag, 0)
        marginals = {name: self._row(a[row : row + 1]) for name, a in run.marginals.items()}
        log_likelihood = scale + found.offset if self.batch else float(scale + found.offset)
        states = self.model.network.states
        posterior = Posterior(marginals, log_likelihood, states, self.t + 1 - n + row)
        settled = n - self.lag  # slices of which all that is kept is the message after them
        if settled < 1 or (not self.before and settled < self.model.structure.order):
            return replace(self, t=self.t + 1, window=window), posterior
        message = {name: a[settled - 1] for name, a in run.messages.items()}
        rest = {name: a[settled:] for name, a in window.items()} if self.lag else {}
        return replace(self, t=self.t + 1, window=rest, before=message), posterior

    def _stepped(self, task: Task) -> "tuple[Online, Posterior]":
        """The same without a lag, after the first slices: the message before is enough."""
        after = one_slice(task, self.before, self.logs)
        if (after.scale.min() if self.batch else after.scale) < IMPOSSIBLE / 2:
            raise self._impossible()
        found = after.scale + task.evidence.offset
        log_likelihood = found if self.batch else float(found)
        posterior = Posterior(after.marginals, log_likelihood, self.model.network.states, self.t)
        return Online(self.model, self.batch, 0, self.t + 1, after.messages, {}, after.logs), posterior

    def predict(self, horizon: int = 1) -> Posterior:
        """The distribution of every variable in the slices to come, as `dbn.predict` gives it."""
        ahead = positive(horizon, f"horizon is {horizon!r}; it must be a positive number of slices")
        of, network = self.model.structure, self.model.network
        if network.clusters:
            raise DataError("factored messages are about the slice that is seen; step on with nothing seen")
        if network.drives:
            what = f"the table of {next(iter(network.drives))!r} depends on inputs, also in the slices to come"
            raise DataError(f"{what}; step on with them, and with nothing seen")
        named = (*network.names, *network.joint)
        nothing = {of.evidence(n): np.zeros((ahead, *self.batch, *network.sizes(n))) for n in named}
        whole = {n: np.concatenate([self.window[n], a]) if self.window else a for n, a in nothing.items()}
        found = _run(self, whole).marginals
        nothing_said = np.zeros(self.batch) if self.batch else 0.0
        marginals = {name: self._row(a[-ahead:]) for name, a in found.items()}
        return Posterior(marginals, nothing_said, network.states, self.t)

    def _impossible(self) -> ImpossibleEvidenceError:
        mend = "check it, or the zeros in the CPDs"
        return ImpossibleEvidenceError(f"the evidence of slice {self.t} has probability 0 given that before; {mend}")

    def _row(self, a: Array) -> Array:
        """Slices (n, [B,] K) as rows ([B,] n, K)."""
        return np.moveaxis(a, 0, -2) if self.batch else a


def start(model: Any, sequences: int | None = None, *, lag: int = 0, engine: Engine = None) -> Online:
    """Begin inference on evidence that comes a slice at a time.

    Each step takes the same time and memory, and finds what `filter` finds; with a lag what `smooth` finds for a slice
    given the evidence up to so many slices after it.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs, what `prepare` made of it, or what `emit` returned
    sequences : so many sequences at once; each evidence has an axis for them then
    lag : how many slices of evidence after its own a posterior waits for
    engine : "numpy", "native", "jax" or None; what runs a step

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> state = dbn.start(dbn.umbrella())
    >>> for seen in (1, 1, 0):
    ...     state, posterior = state.step({"Umbrella": seen})
    ...     print(posterior["Rain"].round(3), round(posterior.log_likelihood, 3))
    [[0.182 0.818]] -0.598
    [[0.117 0.883]] -0.448
    [[0.809 0.191]] -1.071
    >>> state.predict(2)["Rain"].round(3)
    array([[0.624, 0.376],
           [0.549, 0.451]])
    """
    if isinstance(lag, bool) or not isinstance(lag, int) or lag < 0:
        raise DataError(f"lag={lag!r}; give a number of slices, 0 or more")
    prepared = prepare(model, engine)
    refuse_field(prepared.network, "its probabilities change with the vectors to come; ask filter or smooth")
    if lag and prepared.network.clusters:
        raise DataError(f"factored messages say nothing of slices before; give lag=0, not {lag}")
    wrong = f"sequences={sequences!r}; give a positive number, or None for one sequence without an axis for it"
    return Online(prepared, () if sequences is None else (positive(sequences, wrong),), lag)


@dataclass(frozen=True)
class _Run:
    scale: Array
    messages: dict[str, Array]
    marginals: dict[Name, Array]


@lru_cache(maxsize=64)
def _following(of: Structure, engine: Engine) -> Program:
    """The program of slices that are alike, from the message of the slice before them."""
    return compile(polynomial(of, LOG_SUM, begun=True, posteriors=True), engine)


def _slices(window: Mapping[str, Array]) -> int:
    """How many slices a window has."""
    return len(next(iter(window.values()))) if window else 0


def _run(state: Online, window: Mapping[str, Array]) -> _Run:
    """The sweep over the slices of a window, from the message before it."""
    of, n = state.model.structure, _slices(window)
    begins = state.t == _slices(state.window)
    engine = engine_of(state.model)
    runs = program(of, LOG_SUM, False, engine) if begins else _following(of, engine)
    given = trusted(runs.template, state.model.log_tables, dict(window), n, state.batch)
    if not begins:
        before = {name: a if state.logs else logarithms(a) for name, a in state.before.items()}
        given = replace(given, initial={name: a[None] for name, a in before.items()})
    outcome = runs.run(given, series=(*scales(of), *messages(of)), wrt=("inputs",))
    reached = outcome.gradients.named()
    marginals = {name: reached[of.evidence(name)] + 0.0 for name in state.model.network.names}
    found = {name: outcome.series[name] for name in messages(of)}
    scale = np.sum([outcome.series[name].reshape(n, *state.batch) for name in scales(of)], 0)
    return _Run(scale, found, marginals)


def _vectors(value: Any, d: int, batch: Shape) -> Any:
    """The vectors of one slice as series of one slice; as they are where they cannot be, for what reads them next."""
    try:
        x = np.full((*batch, d), np.nan) if value is None else np.asarray(value, float)
    except (TypeError, ValueError):
        return value
    x = x[..., None] if d == 1 and x.shape == batch else x
    if x.shape != (*batch, d):
        wanted = f"({d},) numbers" if not batch else f"({batch[0]}, {d}) numbers, a row for each sequence"
        raise DataError(f"a vector of the slice has shape {x.shape}; give {wanted}")
    return x[..., None, :]


def _of_one_slice(state: Online, given: Mapping[Name, Any] | None, soft: Soft | None) -> Evidence:
    """The evidence of one slice, checked."""
    if not state.batch and not soft and (found := _plain(state.model, given or {})):
        return found
    network = state.model.network
    return _read(network, given or {}, soft or {}, state.batch).under(network, state.t)


def _plain(model: Prepared, given: Mapping[Name, Any]) -> Evidence | None:
    """The evidence of a slice that is plain states, of which nothing has to be checked; None for any other."""
    if model.network.drives or type(given) is not dict:
        return None
    found = {}
    for name, value in given.items():
        state = value.item() if isinstance(value, np.integer) else value
        place = model.places[name].get(state) if name in model.places and type(state) in PLAIN else None
        if place is None:
            return None
        if place >= 0:
            found[name] = row = np.zeros((1, len(model.network.states[name])))
            row[0, place] = 1.0
    return Evidence(1, (), found, None, 0.0, frozenset(found))


def _read(network: Network, given: Mapping[Name, Any], soft: Soft, batch: Shape) -> Observations:
    """The evidence of one slice, read as that of several is."""
    if not isinstance(given, Mapping):
        raise DataError(f"the evidence of a slice is a dict from variables to states, not {type(given).__name__}")

    def with_time(name: Name, value: Any) -> Any:
        if not batch:
            return [value]
        if not hasattr(value, "__len__") or len(value) != batch[0]:
            raise DataError(f"evidence of {name!r} is {value!r}; give one for each of the {batch[0]} sequences")
        return value[:, None] if isinstance(value, np.ndarray) else [[one] for one in value]

    series = {
        name: _vectors(value, network.channels[name].size, batch)
        if name in network.channels
        else with_time(name, value)
        for name, value in given.items()
    }
    likely = {name: with_time(name, value) for name, value in soft.items()}
    if batch and not series and not likely:
        series = {network.names[0]: [[None]] * batch[0]}
    return observations(network, series, likely, 1)

"""Expectation maximisation over parts: the E-step is a sum, and each step is kept."""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dbn_bptt.dbn.emissions.own import Expressed
from dbn_bptt.dbn.inference.task import Prepared, given_task, prepare
from dbn_bptt.dbn.learning.climb import Climb, Fit, Rules, climbed
from dbn_bptt.dbn.learning.counts import Counts, counted
from dbn_bptt.dbn.learning.learn import of_network, randomised
from dbn_bptt.dbn.networks.network import Name, Network
from dbn_bptt.errors import DataError
from dbn_bptt.files import read_arrays, write_arrays
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.engines import Engine
from dbn_bptt.scale.data import evidence_in
from dbn_bptt.scale.parts import Part, listed
from dbn_bptt.scale.sums import Total, total

FOUND, REACHED, ORIGIN = "log-likelihoods", "reached", "origin"


def fit(
    model: Any, parts: Any, *, steps: int = 200, tolerance: float = 1e-6, prior: float = 0.0,
    seed: int | np.random.Generator | None = None, engine: Engine = None, progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Fit:  # fmt: skip
    """Learn all CPDs by expectation maximisation from the sequences of all parts, as `dbn.fit` does from those at hand.

    Parameters
    ----------
    model, steps, tolerance, prior : as in `dbn.fit`
    seed : as in `dbn.fit`, but emissions begin as they are: nobody sees all observations
    parts : what the sequences are in, as in `log_likelihood`; it is gone through once for each step
    engine : as in `dbn.smooth`
    checkpoint : the path of a file, optional
        Written after each step, whole or not at all. Where it is there already the fit goes on from it, to the same
        model, bit for bit (with as many threads of BLAS); one that is further than `steps` is handed back as it is. It
        is refused for another model to begin with, engine, prior or data, for which the first E-step is done again.

    Examples
    --------
    >>> from dbn_bptt import dbn, scale
    >>> data = dbn.sample(dbn.umbrella(), 50, T=20, seed=1)["Umbrella"]
    >>> found = scale.fit(dbn.umbrella(), [{"Umbrella": data[:30]}, {"Umbrella": data[30:]}], steps=5)
    >>> found
    Fit: log-likelihood -674.314 -> -673.305 in 5 steps, not converged
    """
    rules = Rules(steps, tolerance, prior)
    prepared, inside = prepare(model, engine), listed(parts)
    _check_sums(prepared.network)
    start = Climb(prepared.network if seed is None else randomised(prepared.network, seed))

    def expected(network: Network) -> tuple[float, Counts]:
        found = total(_counts, inside, Prepared(network, prepared.engine))
        if not found.arrays:
            raise DataError("no part has a sequence; give some to learn from")
        return found.number, dict(found.arrays)

    if checkpoint is None:
        return climbed(of_network(expected), start, rules, progress)
    kept = Checkpoint(Path(checkpoint), _origin(start.model, prepared.engine, prior))
    climb = kept.resumed(start)
    if climb.log_likelihoods:
        now = expected(start.model)[0]
        if not np.isclose(now, climb.log_likelihoods[0], rtol=1e-9, atol=0):
            was = f"log p(evidence) was {climb.log_likelihoods[0]:.10g} under the first model, and is {now:.10g}"
            raise DataError(
                f"the checkpoint {checkpoint} is of a fit to other data: {was}; delete it, or choose another"
            )
    return climbed(of_network(expected), climb, rules, progress, kept.keep)


def _counts(part: Part, model: Prepared) -> Total:
    opened = evidence_in(part, model.network)
    if opened is None:
        return Total()
    return Total(*counted(given_task(model, opened.data, lengths=opened.lengths)), opened.labels)


def _check_sums(network: Network) -> None:
    """Refuse what no sums over sequences say enough of."""
    if network.conditional or network.drives:
        what = "a conditional network" if network.conditional else f"the driven table of {next(iter(network.drives))!r}"
        raise DataError(
            f"{what} is learnt from all vectors at once; use dbn.fit on sequences that fit into one process"
        )
    own = [name for name, emission in network.emissions.items() if isinstance(emission, Expressed)]
    if own:
        mend = "train its parameters by dbn.fit on sequences that fit into one process"
        raise DataError(f"the M-step of {own[0]!r}, an emission of your own, needs all observations at once; {mend}")


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds how far a fit has come, and what it began with."""

    path: Path
    origin: dict[str, str]

    def keep(self, climb: Climb) -> None:
        """Write it."""
        numbers = {
            FOUND: np.array(climb.log_likelihoods),
            REACHED: np.array(climb.reached),
            ORIGIN: np.array(json.dumps(self.origin)),
        }
        try:
            write_arrays(self.path, Prepared(climb.model).tables | _emitted(climb.model) | numbers)
        except OSError as error:
            raise DataError(
                f"cannot write the checkpoint {self.path}: {error.strerror}; choose another place"
            ) from None

    def resumed(self, start: Climb) -> Climb:
        """How far the fit has come that began there; a new file is written at once, so that a wrong path shows."""
        try:
            stored = read_arrays(self.path)
        except FileNotFoundError:
            self.keep(start)
            return start
        except OSError as error:
            raise DataError(f"cannot read the checkpoint {self.path}: {error.strerror}; choose another path") from None
        try:
            origin = dict(json.loads(str(stored[ORIGIN])))
        except (KeyError, ValueError, TypeError):
            raise DataError(f"{self.path} is no checkpoint of a fit; choose another path") from None
        for what, own in self.origin.items():
            if origin.get(what) != own:
                raise DataError(f"the checkpoint {self.path} is of a fit {what}; delete it, or choose another path")
        of = Prepared(start.model).structure
        network = start.model.retabled(lambda table, slice_: stored[of.parameter(table.variable, slice_)])
        emissions = {
            name: emission.at({what: stored[_entry(name, what)] for what in emission.parameters})
            for name, emission in network.emissions.items()
        }
        network = replace(network, emissions=emissions)
        return Climb(network, tuple(map(float, stored[FOUND])), float(stored[REACHED]))


def _entry(name: Name, what: str) -> str:
    return f"{what} of {name}"


def _emitted(network: Network) -> dict[str, Array]:
    """The parameters of emissions, by name of an entry."""
    found = [(name, what, a) for name, emission in network.emissions.items() for what, a in emission.parameters.items()]
    return {_entry(name, what): a for name, what, a in found}


def _origin(start: Network, engine: Engine, prior: float) -> dict[str, str]:
    """What a fit begins with, each under the words for another one."""
    tables = [*start.first.values(), *start.later.values()]
    said = repr([(table.variable, table.parents, start.states[table.variable]) for table in tables]).encode()
    said += repr([(name, emission, emission.states) for name, emission in start.emissions.items()]).encode()
    arrays = [*(table.values for table in tables), *_emitted(start).values()]
    numbers = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
    return {
        "that began with another model or seed": hashlib.sha256(said + numbers).hexdigest(),
        "on another engine": repr(engine),
        "with another prior": repr(float(prior)),
    }

"""What hidden states emit that is no state: vectors of numbers, with their likelihoods and how these are learnt.

An observation multiplies the indicator of its parent's state, e_v[k], by p(x | state k). So every verb is the same
sweep, and what reaches the indicator is the posterior probability with which an observation counts for a state: the
weight that it has in the M-step, whose statistics are sums over observations.
"""

import math
from dataclasses import replace
from typing import Any

from dbn_bptt.dbn.emissions.counts import poisson
from dbn_bptt.dbn.emissions.mixtures import mixture
from dbn_bptt.dbn.emissions.normal import gaussian
from dbn_bptt.dbn.emissions.own import emission
from dbn_bptt.dbn.networks.network import Emission, Name, Network, check_vector
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.errors import ModelError, unknown_name

__all__ = ["emit", "gaussian", "mixture", "poisson", "emission"]


def emit(model: Any, name: Name, emission: Emission) -> Network:
    """A model with an observed vector besides: every verb takes what this returns, and evidence of the vector by name.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs, or what `emit` returned
    name : what the vector is called in evidence: arrays (T, d) or (B, T, d), (T,) or (B, T) where d = 1; NaN is missing
    emission : `gaussian` or another kind, with the variable whose state the vector depends on; or with a tuple of
        variables, and a row for each of their joint states in the order of `itertools.product`, the last one fastest

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> rain = dbn.emit(dbn.umbrella(), "Clouds", dbn.gaussian("Rain", [0.2, 0.9], 0.1))
    >>> dbn.smooth(rain, {"Clouds": [0.8, 0.1, 0.5], "Umbrella": [1, 0, -1]})["Rain"].round(3)
    array([[0.082, 0.918],
           [0.99 , 0.01 ],
           [0.764, 0.236]])

    A level to which two chains add:

    >>> chains = dbn.model([("A", "A", 1), ("B", "B", 1)], {n: {0: [1, 0], 1: [[0.9, 0.1], [0.1, 0.9]]} for n in "AB"})
    >>> level = dbn.emit(chains, "Level", dbn.gaussian(("A", "B"), [0.0, 1.0, 2.0, 3.0], 0.1))
    >>> path = dbn.viterbi(level, {"Level": [0.1, 2.1, 1.9, 2.9]})
    >>> path["A"], path["B"]
    (array([0, 1, 1, 1]), array([0, 0, 0, 1]))
    """
    network = read(model)
    if not hasattr(emission, "log_likelihoods"):
        raise ModelError(f"give an emission, such as gaussian(...), not {type(emission).__name__}")
    check_vector(network, name, emission.size)
    if name in network.emissions:
        raise ModelError(f"{name!r} is a vector already; give this one another name")
    if isinstance(emission.parent, list) or emission.parent == ():
        raise ModelError(f"the parents of an emission are {emission.parent!r}; give one variable, or a tuple of some")
    parents = network.members(emission.parent)
    for parent in parents:
        if parent not in network.states:
            raise unknown_name(parent, network.names, "variable")
    if len(set(parents)) < len(parents):
        raise ModelError(f"the emission of {name!r} depends on {parents!r}; give each variable once")
    if emission.states != math.prod(network.sizes(emission.parent)):
        has = f"{emission.parent!r} has {' x '.join(map(str, network.sizes(emission.parent)))}"
        raise ModelError(f"the emission of {name!r} has {emission.states} states, but {has}; give it a row for each")
    return replace(network, emissions={**network.emissions, name: emission})

"""What hidden states emit that is no state: vectors of numbers, with their likelihoods and how these are learnt.

An observation multiplies the indicator of its parent's state, e_v[k], by p(x | state k). So every verb is the same
sweep, and what reaches the indicator is the posterior probability with which an observation counts for a state: the
weight that it has in the M-step, whose statistics are sums over observations.
"""

from dataclasses import replace
from typing import Any

from dbn_bptt.dbn.emissions.counts import poisson
from dbn_bptt.dbn.emissions.mixtures import mixture
from dbn_bptt.dbn.emissions.normal import gaussian
from dbn_bptt.dbn.emissions.own import emission
from dbn_bptt.dbn.network import Emission, Name, Network, read
from dbn_bptt.errors import ModelError, unknown_name

__all__ = ["emit", "gaussian", "mixture", "poisson", "emission"]


def emit(model: Any, name: Name, emission: Emission) -> Network:
    """A model with an observed vector besides: every verb takes what this returns, and evidence of the vector by name.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs, or what `emit` returned
    name : what the vector is called in evidence: arrays (T, d) or (B, T, d), (T,) or (B, T) where d = 1; NaN is missing
    emission : `gaussian` or `poisson`, with the variable whose state the vector depends on

    Examples
    --------
    >>> from dbn_bptt import dbn
    >>> rain = dbn.emit(dbn.umbrella(), "Clouds", dbn.gaussian("Rain", [0.2, 0.9], 0.1))
    >>> dbn.smooth(rain, {"Clouds": [0.8, 0.1, 0.5], "Umbrella": [1, 0, -1]})["Rain"].round(3)
    array([[0.082, 0.918],
           [0.99 , 0.01 ],
           [0.764, 0.236]])
    """
    network = read(model)
    if name in network.states or name in network.emissions:
        raise ModelError(f"{name!r} is a variable already; give the vector another name")
    if emission.parent not in network.states:
        raise unknown_name(emission.parent, network.names, "variable")
    if emission.states != len(network.states[emission.parent]):
        has = f"{emission.parent!r} has {len(network.states[emission.parent])}"
        raise ModelError(f"the emission of {name!r} has {emission.states} states, but {has}; give it a row for each")
    return replace(network, emissions={**network.emissions, name: emission})

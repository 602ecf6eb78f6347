"""Tables that depend on observed inputs: input-output models, and fields that are conditioned on what was observed.

Such a table is an input of the network polynomial instead of a parameter, another one in every slice. What the sweep
sends it says how often each of its entries is used there, and from this the parameters behind it learn, as those of
emissions do from the weights of states.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dbn_bptt import ops
from dbn_bptt.dbn.networks.network import Driven, Name, Network, check_vector
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.dbn.networks.scores import scores
from dbn_bptt.errors import DataError, ModelError, unknown_name
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.template import Described

OUT = "logits"


def logistic(variable: Name, weights: Any, bias: Any = None, *, steps: int = 20) -> Driven:
    """A table whose logits are linear in a vector, for `drive`: multinomial logistic regression for each column.

    Parameters
    ----------
    variable : whose table it is, with K states
    weights : (K, ..., d), the axes of the table, parents included, and one for the vector
    bias : (K, ...); zeros unless given
    steps : how many steps of L-BFGS an M-step of `fit` takes

    Examples
    --------
    Rain that wind drives away:

    >>> import numpy as np
    >>> from dbn_bptt import dbn
    >>> weights = np.zeros((2, 2, 1))
    >>> weights[1, :, 0] = -1.0                              # [rain now, rain before, wind]
    >>> windy = dbn.drive(dbn.umbrella(), "Wind", dbn.logistic("Rain", weights, np.log([[0.7, 0.3], [0.3, 0.7]])))
    >>> dbn.smooth(windy, {"Umbrella": [1, 1, 1], "Wind": [0.0, 0.0, 3.0]})["Rain"].round(3)
    array([[0.111, 0.889],
           [0.094, 0.906],
           [0.681, 0.319]])
    """
    try:
        w = np.array(weights, float)
        b = np.zeros(w.shape[:-1]) if bias is None else np.array(bias, float)
    except (TypeError, ValueError):
        raise DataError("weights and bias of a table must be arrays of numbers") from None
    if w.ndim < 2 or b.shape != w.shape[:-1]:
        raise DataError(f"weights have shape {w.shape} and bias {b.shape}; give (K, ..., d) and (K, ...)")
    if not (np.isfinite(w).all() and np.isfinite(b).all()):
        raise DataError("weights and bias of a table must be finite numbers")
    t = SliceTemplate("logistic regression")
    flat = ops.reshape(t.parameter("weights", w.shape), (b.size, w.shape[-1]))
    linear = ops.reshape(flat @ t.input("x", w.shape[-1]), b.shape)
    t.define(t.variable(OUT, b.shape), linear + t.parameter("bias", b.shape))
    table = softmax_of(variable, t, {"weights": w, "bias": b}, steps=steps)
    return replace(table, redundant=(w.size + b.size) // len(w))  # a softmax does not see what all states have


def softmax_of(variable: Name, template: Described, parameters: Mapping[str, Any], *, steps: int = 20) -> Driven:
    """A table whose logits are a template's, for `drive`.

    Parameters
    ----------
    variable : whose table it is, with K states
    template : SliceTemplate
        With one input (d,) and a variable ``logits`` (K, ...), the axes of the table, that depends on its own slice
        alone.
    parameters : where learning begins, by name
    steps : how many steps of L-BFGS an M-step of `fit` takes

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> t = db.SliceTemplate("a small neural network")
    >>> x, V, W = t.input("x", 2), t.parameter("V", (3, 2)), t.parameter("W", (4, 3))
    >>> t.define(t.variable("logits", (2, 2)), db.reshape(W @ db.tanh(V @ x), (2, 2)))
    >>> table = db.dbn.softmax_of("Rain", t, t.initial_parameters(0))
    >>> db.dbn.drive(db.dbn.umbrella(), "Weather map", table)
    Network of Rain (2 states), Umbrella (2 states), Weather map (2 inputs)
    """
    return Driven(variable, scores("a table", template, parameters, OUT, steps, normalised=True))


def drive(model: Any, name: Name, table: Driven) -> Network:
    """A model one of whose tables depends on an observed vector; every verb takes it, with the vector in the evidence.

    The vector is given in every slice in which the table is used. A variable with a table of its own for slice 0 keeps
    that, and the vector drives the one for later slices.

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork with discrete CPDs, or a `Network`
    name : what the vector is called in evidence: arrays (T, d) or (B, T, d), (T,) or (B, T) where d = 1; several tables
        may depend on it
    table : `logistic` or `softmax_of`, with the variable whose table it is, in place of the one that it has

    Examples
    --------
    See `logistic`.

    >>> from dbn_bptt import dbn
    >>> dbn.drive(dbn.umbrella(), "Wind", dbn.logistic("Rain", [[[0.0], [0.0]], [[-1.0], [-1.0]]]))
    Network of Rain (2 states), Umbrella (2 states), Wind (1 input)
    """
    network = read(model)
    if not isinstance(table, Driven):
        raise ModelError(f"give a table, such as logistic(...), not {type(table).__name__}")
    variable = table.variable
    if variable not in network.states:
        raise unknown_name(variable, network.names, "variable")
    check_vector(network, name, table.size)
    shape = network.later[variable].values.shape
    if table.scores.shape != shape:
        raise ModelError(f"the driven table of {variable!r} has shape {table.scores.shape}; it must be {shape}")
    driven = replace(table, by=name).normalised(not network.conditional)
    return replace(network, drives={**network.drives, variable: driven})

"""The recurrent network's own discrete DBN: every unit replaced by n independent Bernoulli copies.

Unit i of slice t has n copies that are +1 or -1 with p(+1) = sigmoid(2 a) for tanh, 1 or 0 with p(1) = sigmoid(a) for
sigmoid, and act on others through their mean. That mean has the expectation f(a) and a variance of f'(a) / n, so that
with growing n the network becomes the recurrent one. A slice's state is the vector of counts, one of (n + 1)^H. All
parameters are the recurrent network's own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import DataError, positive
from dbn_bptt.ops.kernels import Array
from dbn_bptt.sweep.bptt import bptt
from dbn_bptt.sweep.given import Arrays
from dbn_bptt.template.builder import SliceTemplate

Activation = Literal["tanh", "sigmoid"]
MOST_STATES = 4096


def sigmoid_belief(
    n_inputs: int, n_hidden: int, n_outputs: int, copies: int, activation: Activation = "tanh"
) -> SliceTemplate:
    """The template of the stochastic network: its loss is -log p(y | x), its BPTT the exact gradient of that.

    Parameters are W, U, b, V, c as in `cells.elman`; the input `log_evidence` (zero unless given) is added to the log-
    likelihood of each state, so that minus its gradient is the posterior of the states. Their means are the rows of the
    constant `means`, (S, n_hidden). The variable h is the mean given the past; its initial state is h_0.

    Examples
    --------
    >>> import numpy as np, dbn_bptt as db
    >>> from dbn_bptt import dbn
    >>> rnn, noisy = db.cells.elman(2, 2, 2), dbn.sigmoid_belief(2, 2, 2, copies=20)
    >>> theta, data = rnn.initial_parameters(0), {"x": np.ones((4, 2)), "y": np.array([0, 1, 1, 0])}
    >>> limit, exact = db.bptt(rnn, theta, data), db.bptt(noisy, theta, data)
    >>> bool(np.abs(exact.gradients["W"] - limit.gradients["W"]).max() < 0.2)
    True
    """
    if activation not in ("tanh", "sigmoid"):
        raise DataError(f"activation {activation!r} is none of 'tanh', 'sigmoid'")
    copies = positive(copies, f"copies is {copies!r}; give a positive number of copies")
    if (copies + 1) ** n_hidden > MOST_STATES:
        raise DataError(
            f"{copies} copies of {n_hidden} units are {(copies + 1) ** n_hidden} states a slice; "
            f"take at least one copy, and at most {MOST_STATES} states"
        )
    t = SliceTemplate(f"{activation} network of {copies} copies a unit")
    W, U, b = t.parameter("W", (n_hidden, n_hidden)), t.parameter("U", (n_hidden, n_inputs)), t.parameter("b", n_hidden)
    V, c = t.parameter("V", (n_outputs, n_hidden)), t.parameter("c", n_outputs)
    x, y = t.input("x", n_inputs), t.target("y", classes=n_outputs)
    counts = np.array(list(product(range(copies + 1), repeat=n_hidden)), float)  # (S, H)
    ways = np.array([math.log(math.comb(copies, k)) for k in range(copies + 1)])[counts.astype(int)]
    S = len(counts)
    log_evidence = t.input("log_evidence", S, default=0.0)
    means = t.constant("means", 2 * counts / copies - 1 if activation == "tanh" else counts / copies)
    M, log_ways = t.constant("counts", counts), t.constant("log_ways", ways.sum(1))
    h, alpha = t.variable("h", n_hidden), t.variable("alpha", S)
    slope = 2.0 if activation == "tanh" else 1.0

    def log_probability(logits: Any) -> Any:
        """The logarithm of p(counts) of all states, (S,) or (S, S before), from the logits of the units."""
        none = copies * ops.sum(ops.softplus(logits), -1)
        return (M @ logits + log_ways if logits.ndim == 1 else M @ logits.T + ops.reshape(log_ways, (S, 1))) - none

    likely = t.variable("log_likelihood", S)
    t.define(likely, ops.log_softmax(c + means @ V.T) @ y + log_evidence)
    a = t.variable("a", (S, n_hidden))  # the pre-activations that follow each state of the slice before
    t.define(a, b + means @ W.T + U @ x)
    start = log_probability(slope * (b + W @ h.prev + U @ x))
    later = ops.logsumexp(log_probability(slope * a) + alpha.prev, -1)
    f, scale = t.variable("f", S), t.variable("scale", ())
    t.define(f, later + likely, first=start + likely)
    t.define(scale, ops.stop_gradient(ops.logsumexp(f)))
    t.define(alpha, f - scale)
    t.define(h, ops.exp(alpha) @ means)
    t.loss("L", -scale)
    t.loss("end", -ops.logsumexp(alpha), at="last")
    return t


@dataclass(frozen=True)
class UnitPosterior:
    """Posterior means of the units of a sigmoid belief network.

    Attributes
    ----------
    means : (T, H), E[h_t | y], the mean over copies given all outputs
    delta : (T, H), n (E[f(a_t) | y] - E[h_t | y]): the gradient in the pre-activations, prior minus posterior mean
    log_likelihood : log p(y | x)
    gradients : of -log p(y | x), by parameter
    """

    means: Array = field(repr=False)
    delta: Array = field(repr=False)
    log_likelihood: float
    gradients: Mapping[str, Array] = field(repr=False)


def unit_posterior(
    noisy: SliceTemplate, parameters: Arrays, data: Arrays, *, initial: Arrays | None = None
) -> UnitPosterior:
    """Posterior means and deltas of a `sigmoid_belief` network for one sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from dbn_bptt import dbn
    >>> noisy = dbn.sigmoid_belief(2, 2, 2, copies=3)
    >>> data = {"x": np.ones((4, 2)), "y": np.array([0, 1, 1, 0])}
    >>> found = dbn.unit_posterior(noisy, noisy.initial_parameters(0), data)
    >>> np.allclose(found.delta.sum(0), found.gradients["b"])
    True
    """
    result = bptt(noisy, parameters, data, initial=initial)
    if result.values.given.batch:
        raise DataError("posterior means are those of one sequence; give data without the axis of a batch")
    states = -result.messages.stack("log_evidence")
    return UnitPosterior(
        means=states @ noisy.arrays["means"],
        delta=result.messages.per_slice("b"),
        log_likelihood=-result.loss,
        gradients=result.gradients,
    )


def as_pgmpy(
    noisy: SliceTemplate, parameters: Mapping[str, Any], x: Any, initial: Any = None
) -> Any:  # fmt: skip
    """A `sigmoid_belief` network as an ordinary pgmpy network, the inputs given: for small sizes, to check with.

    Nodes ``"h0_2"`` hold the count of unit 0 in slice 2, ``"y_2"`` the class.

    Examples
    --------
    >>> import numpy as np
    >>> from dbn_bptt import dbn
    >>> noisy = dbn.sigmoid_belief(1, 2, 2, copies=1)
    >>> network = dbn.sigmoid_belief_as_pgmpy(noisy, noisy.initial_parameters(0), np.ones((2, 1)))
    >>> sorted(network.nodes()), network.check_model()
    (['h0_0', 'h0_1', 'h1_0', 'h1_1', 'y_0', 'y_1'], True)
    """
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork
    from scipy.special import expit, softmax
    from scipy.stats import binom

    W, U, b, V, c = (np.asarray(parameters[name], float) for name in "WUbVc")
    H, n, slope = len(b), int(noisy.arrays["counts"].max()), 2.0 if noisy.arrays["means"].min() < 0 else 1.0
    means, network = noisy.arrays["means"], DiscreteBayesianNetwork()
    start = np.zeros(H) if initial is None else np.asarray(initial, float)
    for t, now in enumerate(np.asarray(x, float)):
        before = [f"h{i}_{t - 1}" for i in range(H)] if t else []
        a = b + (means if t else start[None]) @ W.T + U @ now  # (states before, H)
        for i in range(H):
            p = binom.pmf(np.arange(n + 1)[:, None], n, expit(slope * a[:, i]))
            network.add_node(f"h{i}_{t}")
            network.add_edges_from((u, f"h{i}_{t}") for u in before)
            network.add_cpds(
                TabularCPD(f"h{i}_{t}", n + 1, p / p.sum(0), before or None, [n + 1] * len(before) or None)
            )
        units = [f"h{i}_{t}" for i in range(H)]
        network.add_edges_from((u, f"y_{t}") for u in units)
        p = softmax(c + means @ V.T, 1).T
        network.add_cpds(TabularCPD(f"y_{t}", len(c), p, units, [n + 1] * H))
    return network

"""The checks of the correspondences: each returns the largest difference between the two sides, on a random model."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import networkx as nx
import numpy as np

from dbn_bptt import dbn, ops, paths
from dbn_bptt.cells import elman
from dbn_bptt.dbn.networks.longer_memory import model
from dbn_bptt.dbn.networks.network import Network
from dbn_bptt.dbn.state_space.answers import smooth_gaussian
from dbn_bptt.dbn.state_space.kalman import KalmanFilter
from dbn_bptt.link.all_slices import newton_iterates, prefixes
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program import compile
from dbn_bptt.program.forward_mode import rtrl as by_rtrl
from dbn_bptt.sweep.bptt import bptt, forward
from dbn_bptt.sweep.results import Result
from dbn_bptt.sweep.unroll import unroll
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.structure import interface as interface_of
from dbn_bptt.template.traversal import uses
from dbn_bptt.transforms.tangent import tangent

T = 4
LOSS = ("L", None, ())


@dataclass(frozen=True)
class Setting:
    """A recurrent network with two inputs, three hidden units and two classes, and random numbers."""

    network: SliceTemplate
    rng: np.random.Generator

    def run(self, of: SliceTemplate | None = None) -> tuple[SliceTemplate, dict[str, Array], dict[str, Array], Result]:
        """A network with random parameters and data, and BPTT of it."""
        network = of or self.network
        theta = {name: self.rng.normal(size=network.symbols[name].shape) for name in network.names("parameter")}
        data = {"x": self.rng.normal(size=(T, 2)), "y": self.rng.integers(0, 2, T)}
        return network, theta, data, bptt(network, theta, data)

    def hmm(self) -> tuple[Network, Array, Array, Array, Array]:
        """A hidden Markov model, its tables, and observations."""
        pi, A, B = (self.rng.dirichlet(np.ones(3), n).T for n in (1, 3, 3))
        pi = pi[:, 0]
        network = model([("Z", "Z", 1), ("Z", "Y", 0)], {"Z": {0: pi, 1: A}, "Y": B})
        return network, pi, A, B, self.rng.integers(0, 3, T)


def _largest(*differences: Any) -> float:
    return max(float(np.max(np.abs(d))) for d in differences)


# ----------------------------------------------------------------------------------------------- any recurrent network
def costate(s: Setting) -> float:
    """The message into a state against differences of the value function."""
    network, theta, data, result = s.run(elman(2, 3, 2))
    J, h, step = dbn.value_function(network, theta, data, 1), result.values["h", 1], 1e-5
    numeric = [(J(h + step * e) - J(h - step * e)) / (2 * step) for e in np.eye(3)]
    return _largest(result.messages.adjoint["h", 1] - numeric)


def bellman(s: Setting) -> float:
    """The value functions against the steps of Bellman's recursion, written out."""
    network, theta, data, _ = s.run(elman(2, 3, 2))
    h = s.rng.uniform(-1, 1, (5, 3))
    scores = theta["c"] + h @ theta["V"].T
    own = np.log(np.exp(scores).sum(1, keepdims=True)) - scores[:, data["y"]]
    J = [dbn.value_function(network, theta, data, t) for t in range(T)]
    steps = [np.tanh(theta["b"] + h @ theta["W"].T + theta["U"] @ x) for x in data["x"][1:]]
    later = [*(J[t + 1](after) for t, after in enumerate(steps)), 0.0]
    return _largest(*(J[t](h) - own[:, t] - later[t] for t in range(T)))


def adjoint_chain(s: Setting) -> float:
    """The messages into the states against affine maps composed in the tree of a scan."""
    _, theta, data, result = s.run(elman(2, 3, 2))
    h = result.values.stack("h")
    maps = []
    for t in range(T - 1, -1, -1):
        own = theta["V"].T @ (result.values["yhat", t] - np.eye(2)[data["y"][t]])
        slope = (1 - h[t + 1] ** 2)[:, None] * theta["W"] if t + 1 < T else np.zeros((3, 3))
        maps.append((slope.T, own))
    by_scan = [message for _, message in prefixes(maps)][::-1]
    return _largest(*(by_scan[t] - result.messages.adjoint["h", t] for t in range(T)))


def newton_step(s: Setting) -> float:
    """The tangent of a network that is forced through a guess against a smoothed linear-Gaussian chain."""
    _, theta, data, _ = s.run(elman(2, 3, 2))
    forced, guess = _forced(), s.rng.uniform(-1, 1, (T, 3))
    before = np.concatenate([np.zeros((1, 3)), guess[:-1]])
    free = np.tanh(theta["b"] + before @ theta["W"].T + data["x"] @ theta["U"].T)
    theta = {name: theta[name] for name in forced.names("parameter")}
    step = compile(tangent(forced)).values(theta, {"x": data["x"], "e": guess - free, "e_dot": free - guess})["h_dot"]
    chain = np.eye(3 * T)  # what the states less their predictions are, as one matrix
    for t in range(1, T):
        chain[3 * t : 3 * t + 3, 3 * t - 3 : 3 * t] = -(1 - free[t] ** 2)[:, None] * theta["W"]
    offset = chain @ guess.ravel() + (free - guess).ravel()
    mean = np.linalg.solve(chain.T @ chain, chain.T @ offset)  # of the Gaussian whose precision is chain' chain
    return _largest(guess + step - mean.reshape(T, 3))


def _forced() -> SliceTemplate:
    """Elman's recurrence with an input that moves its state."""
    t = SliceTemplate("forced")
    W, U, b = t.parameter("W", (3, 3)), t.parameter("U", (3, 2)), t.parameter("b", 3)
    x, e, h = t.input("x", 2), t.input("e", 3), t.variable("h", 3)
    t.define(h, ops.tanh(b + W @ h.prev + U @ x) + e)
    return t


def newton_limit(s: Setting) -> float:
    """The forward sweep against Newton's method on all slices at once."""
    _, theta, data, result = s.run(elman(2, 3, 2))
    return _largest(result.values.stack("h") - newton_iterates(theta, data["x"], T)[-1])


def _scalars(s: Setting, slices: int, copies: bool = False) -> tuple[nx.DiGraph, Result, Any, Any]:
    """The numbers of a network on which its loss depends."""
    network, theta, data, _ = s.run()
    data = {name: a[:slices] for name, a in data.items()}
    graph = unroll(network, slices, copies)
    scalars = paths.linearize(graph, forward(graph, theta, data))
    useful = nx.DiGraph(scalars.subgraph(nx.ancestors(scalars, LOSS) | {LOSS}))
    return useful, bptt(network, theta, data), theta, data


def path_sums(s: Setting) -> float:
    """Gradients against the enumeration of all paths, over two slices."""
    scalars, result, _, _ = _scalars(s, 2)
    sources = [(name, None, index) for name in result.gradients for index in np.ndindex(*result.gradients[name].shape)]
    chosen = [sources[k] for k in s.rng.choice(len(sources), 5, replace=False)]
    return _largest([paths.path_sum(scalars, v, LOSS) - result.gradients[v[0]][v[2]] for v in chosen])


def triangular_system(s: Setting) -> float:
    """All adjoints against a sparse solve."""
    scalars, result, _, _ = _scalars(s, T)
    solved = paths.adjoint_solve(scalars, LOSS)
    adjoint = result.messages.adjoint
    pairs = [(node if t is None else (node, t), index, d) for (node, t, index), d in solved.items()]
    return _largest([adjoint[node][index] - d for node, index, d in pairs if node in adjoint])


def lags(s: Setting) -> float:
    """The split of the gradient by lag: polynomials against the itemised gradient."""
    scalars, _, theta, data = _scalars(s, T, copies=True)
    polynomials = paths.sweep(scalars, LOSS, paths.LAG)
    items = paths.credit(s.network, theta, data)
    return _largest(*(
        paths.split_by_lag(polynomials, (name, None, index), T) - items.by_lag(name)[(slice(None), *index)]
        for name in theta for index in list(np.ndindex(*theta[name].shape))[:3]
    ))  # fmt: skip


def rtrl(s: Setting) -> float:
    """Forward mode against reverse mode, and against forward elimination of the scalar graph."""
    scalars, result, theta, data = _scalars(s, 2)
    forwards = by_rtrl(s.network, theta, data)
    jacobian = paths.eliminate(scalars, "forward").jacobian
    eliminated = [d - forwards[v[0]][v[2]] for (v, _), d in jacobian.items() if v[1] is None and v[0] in forwards]
    return _largest(eliminated, *(forwards[name] - g for name, g in result.gradients.items()))


def reverse_elimination(s: Setting) -> float:
    """The multiplications of reverse elimination against the count of edges."""
    scalars, _, _, _ = _scalars(s, T)
    return abs(paths.elimination_cost(scalars, "reverse") - (scalars.number_of_edges() - scalars.in_degree(LOSS)))


def interface(s: Setting) -> float:
    """How many variables are in the one set and not in the other."""
    steps = [step for step in compile(s.network).schedule.steps if step.kind == "scan" and step.direction > 0]
    read = {
        leaf.name for step in steps for zone in step.zones for rule in zone.rules.values()
        for _, _, leaf in uses(rule) if leaf.delay > 0 and leaf.name in step.names
    }  # fmt: skip
    return len(read ^ set(interface_of(s.network)))


# ------------------------------------------------------------------------------------------------ hidden Markov models
def _textbook(pi: Array, A: Array, B: Array, y: Array) -> tuple[Array, Array]:
    """Scaled forward-backward as the textbooks write it."""
    alpha, beta, scale = np.empty((T, 3)), np.ones((T, 3)), np.empty(T)
    for t in range(T):
        f = (A @ alpha[t - 1] if t else pi) * B[y[t]]
        scale[t] = f.sum()
        alpha[t] = f / scale[t]
    for t in range(T - 2, -1, -1):
        beta[t] = A.T @ (B[y[t + 1]] * beta[t + 1]) / scale[t + 1]
    return alpha, beta


def _swept(s: Setting) -> tuple[Result, tuple[Network, Array, Array, Array, Array]]:
    model = s.hmm()
    return bptt(dbn.template(model[0]), {}, {"e_Y": np.eye(3)[model[-1]]}), model


def alpha(s: Setting) -> float:
    """The values of alpha against the forward algorithm."""
    result, (_, *model) = _swept(s)
    return _largest(result.values.stack("alpha") - _textbook(*model)[0])


def beta(s: Setting) -> float:
    """What arrives at alpha against the backward algorithm."""
    result, (_, *model) = _swept(s)
    return _largest(result.messages.stack("alpha") + _textbook(*model)[1])


def _joint(pi: Array, A: Array, B: Array, y: Array) -> tuple[Array, Array]:
    """Every path of hidden states, as indicators (paths, T, states), and its p(path | y), by enumeration."""
    z = np.array(list(product(range(3), repeat=T)))
    p = pi[z[:, 0]] * A[z[:, 1:], z[:, :-1]].prod(1) * B[y, z].prod(1)
    return np.eye(3)[z], p / p.sum()


def gamma(s: Setting) -> float:
    """Indicators times gradients against enumeration."""
    result, (_, *model) = _swept(s)
    z, p = _joint(*model)
    return _largest(-result.messages.stack("e_Z") - np.einsum("n,ntk->tk", p, z))


def expected_counts(s: Setting) -> float:
    """Tables times gradients against enumeration."""
    network, *model = s.hmm()
    z, p = _joint(*model)
    expected = np.einsum("n,nti,ntj->ij", p, z[:, 1:], z[:, :-1])
    return _largest(dbn.expected_counts(network, {"Y": model[-1]})["Z", 1] - expected)


def filtering(s: Setting) -> float:
    """Filtered marginals against the gradients of BPTT truncated to one slice."""
    network, *model = s.hmm()
    data = {"e_Y": np.eye(3)[model[-1]], "e_Z": np.ones((T, 3))}
    polynomial = dbn.template(network)
    theta = {name: polynomial.arrays[name] for name in polynomial.names("parameter")}
    _, gradients = compile(_per_slice(polynomial)).value_and_grad(theta, data, wrt=("inputs",), truncate=1)
    marginals = dbn.filter(network, {"Y": model[-1]})["Z"]
    return _largest(gradients["e_Z"] + marginals, gradients["e_Z"] + _textbook(*model)[0])


def _per_slice(polynomial: SliceTemplate) -> SliceTemplate:
    """The polynomial with the loss -log sum f in every slice, whose gradient does not wait for the last slice."""
    left = {name: symbol for name, symbol in polynomial.symbols.items() if name not in ("L", "end")}
    result = SliceTemplate.of(polynomial.frozen.rewritten(symbols=left))
    result.loss("L", -ops.log(ops.sum(result["f"])))
    return result


def viterbi(s: Setting) -> float:
    """The most probable path's probability against the best of all paths."""
    network, *model = s.hmm()
    z, p = _joint(*model)
    best = np.eye(3)[dbn.viterbi(network, {"Y": model[-1]})["Z"]]
    return _largest(np.log(p.max()) - np.log(p[(z == best).all((1, 2))]))


# -------------------------------------------------------------------------------------------------- linear and Gaussian
def _gaussian(s: Setting) -> tuple[KalmanFilter, dict[str, Array], Array]:
    def spd(n: int) -> Array:
        a = s.rng.normal(size=(n, n))
        return a @ a.T + 0.3 * np.eye(n)

    model = {
        "A": 0.5 * s.rng.normal(size=(2, 2)), "C": s.rng.normal(size=(1, 2)), "Q": spd(2), "R": spd(1),
        "mean": s.rng.normal(size=2), "covariance": spd(2),
    }  # fmt: skip
    return dbn.linear_gaussian(**model), model, s.rng.normal(size=(T, 1))


def bryson_frazier(s: Setting) -> float:
    """Messages into predicted means against the smoother's adjoint recursion."""
    kalman, model, y = _gaussian(s)
    result = bptt(kalman, {}, dbn.kalman_data(kalman, {"y": y}))
    lam, errors = np.zeros(2), []
    for t in range(T - 1, -1, -1):
        S, K, v = (result.values[name, t] for name in ("S", "K", "v"))
        lam = -model["C"].T @ np.linalg.solve(S, v) + (np.eye(2) - K @ model["C"]).T @ model["A"].T @ lam
        errors.append(result.messages.adjoint["m_pred", t] - lam)
    return _largest(*errors)


def smoothed_means(s: Setting) -> float:
    """Smoothed means against the conditional mean of the joint normal distribution."""
    kalman, model, y = _gaussian(s)
    C, noise = np.kron(np.eye(T), model["C"]), np.kron(np.eye(T), model["Q"])
    noise[:2, :2] = model["covariance"]
    powers = [np.linalg.matrix_power(model["A"], t) for t in range(T)]
    L = np.block([[powers[t - u] if u <= t else np.zeros((2, 2)) for u in range(T)] for t in range(T)])  # of noises
    mean, cov = L[:, :2] @ model["mean"], L @ noise @ L.T
    gain = cov @ C.T @ np.linalg.inv(C @ cov @ C.T + np.kron(np.eye(T), model["R"]))
    expected = mean + gain @ (y.ravel() - C @ mean)
    return _largest(smooth_gaussian(kalman, {"y": y}).mean.ravel() - expected)


def gradient_step(s: Setting) -> float:
    """The covariance of loss and roots in the linear-Gaussian network of the scalar graph against the gradient."""
    scalars, _, _, _ = _scalars(s, 2)
    order = list(nx.topological_sort(scalars))
    roots = [k for k, v in enumerate(order) if not scalars.in_degree(v)]
    influence = np.linalg.inv(np.eye(len(order)) - nx.to_numpy_array(scalars, order))[roots]
    covariance = influence.T @ influence
    swept = paths.sweep(scalars, LOSS)
    gradient, at = np.array([swept[order[k]] for k in roots]), order.index(LOSS)
    step = covariance[roots, at] / covariance[at, at] * (-0.1 * covariance[at, at])
    return _largest(step + 0.1 * gradient, covariance[at, at] - gradient @ gradient)


# ------------------------------------------------------------------------------------------------ the network's own DBN
def delta(s: Setting) -> float:
    """Gradients in pre-activations against prior and posterior means, both by enumeration."""
    noisy = dbn.sigmoid_belief(2, 2, 2, copies=1)
    _, theta, data, _ = s.run(elman(2, 2, 2))
    unit_posterior, means = dbn.unit_posterior(noisy, theta, data), noisy.arrays["means"]
    total, expected = 0.0, np.zeros((T, 2))
    for path in product(means, repeat=T):
        h = np.array(path)
        a = theta["b"] + np.vstack([np.zeros(2), h[:-1]]) @ theta["W"].T + data["x"] @ theta["U"].T
        scores = np.exp(theta["c"] + h @ theta["V"].T)
        seen = scores[np.arange(T), data["y"]] / scores.sum(1)
        weight = np.prod(1 / (1 + np.exp(-2 * a * h))) * np.prod(seen)
        total += weight
        expected += weight * (np.tanh(a) - h)
    return _largest(unit_posterior.delta - expected / total)


def many_copies(s: Setting) -> float:
    """How far from flat the error of the gradient times the number of copies is, relative to itself."""
    _, theta, data, limit = s.run(elman(2, 1, 2))
    W = limit.gradients["W"]
    errors = [n * (bptt(dbn.sigmoid_belief(2, 1, 2, n), theta, data).gradients["W"] - W) for n in (400, 800)]
    return _largest(errors[0] - errors[1]) / _largest(errors[1], W)

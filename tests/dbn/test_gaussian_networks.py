"""Networks of Gaussian variables: against conditioning the joint normal of the unrolled network, and pgmpy's own."""

import numpy as np
import pytest
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.models import LinearGaussianBayesianNetwork

from dbn_bptt import dbn
from dbn_bptt.errors import DataError, DbnBpttError, ModelError, UnknownNameError
from tests.dbn import exact


def drawn(rng, variables):
    """CPDs of a random network: any edges from earlier variables of the slice, and from the slice before."""
    cpds = []
    for slice_ in (0, 1):
        for i, name in enumerate(variables):
            parents = [(other, slice_) for other in variables[:i] if rng.random() < 0.5]
            if slice_:
                parents += [(other, 0) for other in variables if rng.random() < 0.5]
            beta = [rng.normal(), *0.6 * rng.normal(size=len(parents))]
            cpds.append(LinearGaussianCPD((name, slice_), beta, rng.uniform(0.3, 1.5), parents))
    return [cpds[k] for k in rng.permutation(len(cpds))]


def unrolled(cpds, T):
    """The joint normal of all variables in all slices, one after the other: mean and covariance by node."""
    by_node = {cpd.variable: cpd for cpd in cpds}
    names = list(dict.fromkeys(name for name, _ in by_node))
    nodes, mean, cov = [], np.zeros(0), np.zeros((0, 0))
    for t in range(T):
        waiting = list(names)
        while waiting:
            name = waiting.pop(0)
            cpd = by_node.get((name, min(t, 1)), by_node[name, 0])
            shift = t - cpd.variable[1]
            parents = [(other, slice_ + shift) for other, slice_ in cpd.evidence]
            if any(parent not in nodes for parent in parents):
                waiting.append(name)
                continue
            weights = np.zeros(len(nodes))
            for parent, weight in zip(parents, cpd.beta[1:], strict=True):
                weights[nodes.index(parent)] += weight
            cross = cov @ weights
            mean = np.append(mean, cpd.beta[0] + weights @ mean)
            cov = np.block([[cov, cross[:, None]], [cross[None], np.array([[weights @ cross + cpd.std**2]])]])
            nodes.append((name, t))
    return nodes, mean, cov


def conditioned(cpds, T, evidence):
    """Means and variances by node, and log p(evidence)."""
    nodes, mean, cov = unrolled(cpds, T)
    seen = [k for k, (name, t) in enumerate(nodes) if name in evidence and not np.isnan(evidence[name][t])]
    values = np.array([evidence[nodes[k][0]][nodes[k][1]] for k in seen])
    G, apart = cov[np.ix_(seen, seen)], values - mean[seen]
    gain = cov[:, seen] @ np.linalg.inv(G)
    log_p = -0.5 * (apart @ np.linalg.solve(G, apart) + np.linalg.slogdet(2 * np.pi * G)[1])
    means, variances = mean + gain @ apart, np.diag(cov - gain @ cov[seen])
    return {node: (m, v) for node, m, v in zip(nodes, means, variances, strict=True)}, log_p


def observations(rng, variables, T, missing):
    chosen = [name for name in variables if rng.random() < 0.6] or [variables[0]]
    found = {name: rng.normal(size=T) for name in chosen}
    for values in found.values():
        values[rng.random(T) < missing] = np.nan
    return found


@pytest.mark.parametrize("seed", range(12))
def test_posteriors_are_those_of_the_joint_normal(seed):
    rng, T = np.random.default_rng(seed), 6
    variables = ["X", ("tuple", 1), "Z", 7][: rng.integers(1, 5)]
    cpds = drawn(rng, variables)
    evidence = observations(rng, variables, T, 0.3)
    network = dbn.gaussian_network(cpds)
    posterior, (right, log_p) = dbn.smooth(network, evidence), conditioned(cpds, T, evidence)
    for (name, t), (mean, variance) in right.items():
        assert posterior[name, t].mean == pytest.approx(mean, abs=1e-10)
        assert posterior[name, t].variance == pytest.approx(variance, abs=1e-10)
        assert posterior[name].mean[t] == posterior[name, t].mean
    assert posterior.log_likelihood == pytest.approx(log_p, abs=1e-9)
    assert dbn.log_likelihood(network, evidence) == pytest.approx(log_p, abs=1e-9)
    filtered = dbn.filter(network, evidence)
    for t in range(T):
        until, _ = conditioned(cpds, t + 1, {name: a[: t + 1] for name, a in evidence.items()})
        for name in variables:
            assert filtered[name, t] == pytest.approx(until[name, t], abs=1e-10)
    ahead = dbn.predict(network, 2, evidence)
    longer, _ = conditioned(cpds, T + 2, {name: np.append(a, [np.nan] * 2) for name, a in evidence.items()})
    for name in variables:
        assert ahead[name, T + 1] == pytest.approx(longer[name, T + 1], abs=1e-10)


def test_what_was_seen_is_what_it_was():
    cpds = drawn(np.random.default_rng(0), ["X", "Y"])
    evidence = {"X": np.array([0.1, np.nan, 0.3])}
    posterior = dbn.smooth(dbn.gaussian_network(cpds), evidence)
    assert posterior["X"].mean[[0, 2]].tolist() == [0.1, 0.3]
    assert posterior["X"].variance[[0, 2]].tolist() == [0.0, 0.0]
    assert (posterior["Y"].variance > 0).all()
    assert posterior.to_frame()["mean"].columns.tolist() == ["X", "Y"] or set(posterior.names) == {"X", "Y"}
    assert [axis.get_ylabel() for axis in posterior.plot(evidence).axes] == [*posterior.names, "X"]


def test_pgmpy_agrees():
    """Its own joint normal of the network, unrolled by hand over three slices."""
    rng = np.random.default_rng(3)
    cpds, T = drawn(rng, ["X", "Y", "Z"]), 3
    model = LinearGaussianBayesianNetwork()
    for t in range(T):
        for cpd in [cpd for cpd in cpds if cpd.variable[1] == min(t, 1)]:
            shift = t - cpd.variable[1]
            parents = [f"{name}_{slice_ + shift}" for name, slice_ in cpd.evidence]
            node = f"{cpd.variable[0]}_{t}"
            model.add_node(node)
            model.add_edges_from((parent, node) for parent in parents)
            model.add_cpds(LinearGaussianCPD(node, cpd.beta, cpd.std, parents))
    mean, cov = model.to_joint_gaussian()
    import networkx as nx

    order = list(nx.topological_sort(model))
    posterior = dbn.smooth(dbn.gaussian_network(cpds), {"X": [np.nan] * T})
    for k, node in enumerate(order):
        name, t = node[0], int(node[2:])
        assert posterior[name, t] == pytest.approx((mean[k], cov[k, k]), abs=1e-6)


def test_a_pgmpy_model_of_two_slices_is_read():
    cpds = [
        LinearGaussianCPD(("X", 0), [0.3], 1.0),
        LinearGaussianCPD(("X", 1), [0.1, 0.9], 0.5, [("X", 0)]),
        LinearGaussianCPD(("Y", 0), [0.0, 2.0], 0.5, [("X", 0)]),
    ]
    model = LinearGaussianBayesianNetwork([(("X", 0), ("X", 1)), (("X", 0), ("Y", 0))])
    model.add_cpds(*cpds)
    y = {"Y": [1.0, 2.0, np.nan]}
    found, same = dbn.smooth(dbn.gaussian_network(model), y), dbn.smooth(dbn.gaussian_network(cpds), y)
    assert np.array_equal(found["X"].mean, same["X"].mean)
    assert repr(dbn.gaussian_network(model)) == "Gaussian network of X, Y"


def test_batches_and_draws():
    cpds = drawn(np.random.default_rng(5), ["X", "Y"])
    network = dbn.gaussian_network(cpds)
    y = np.array([[0.1, np.nan, 0.5], [1.0, -1.0, np.nan]])
    both = dbn.smooth(network, {"Y": y})
    for k in range(2):
        assert both["X"].mean[k] == pytest.approx(dbn.smooth(network, {"Y": y[k]})["X"].mean)
    assert dbn.log_likelihood(network, {"Y": y}).shape == (2,)
    paths = dbn.sample(network, 20_000, {"Y": y}, seed=2)
    assert paths["X"].shape == (2, 20_000, 3)
    assert (paths["Y"][0, :, 0] == 0.1).all()
    deviations = np.sqrt(both["X"].variance)
    assert (np.abs(paths["X"].mean(1) - both["X"].mean) < 0.03 * deviations).all()
    free = dbn.sample(network, 20_000, T=3, seed=2)
    prior = dbn.smooth(network, {"X": [np.nan] * 3})
    assert free["Y"].var(0) == pytest.approx(prior["Y"].variance, rel=0.05)


def test_a_variable_that_is_hardly_known_at_first():
    """A deviation of 1e5 in slice 0 is a diffuse prior."""
    cpds = [LinearGaussianCPD(("X", 0), [0.0], 1e5), LinearGaussianCPD(("X", 1), [0.0, 1.0], 1.0, [("X", 0)])]
    cpds += [LinearGaussianCPD(("Y", 0), [0.0, 1.0], 1.0, [("X", 0)])]
    y, network = np.array([50.0, np.nan, 51.0]), dbn.gaussian_network(cpds)
    as_noise = {name: np.eye(1) for name in "ACQR"} | {"mean": np.zeros(1), "covariance": 1e10 * np.eye(1)}
    mean, covariance, log_p = exact.smoothed(as_noise, y[:, None])
    found, filtered = dbn.smooth(network, {"Y": y}), dbn.filter(network, {"Y": y})
    assert found["X"].mean == pytest.approx(mean[:, 0], rel=1e-11)
    assert found["X"].variance == pytest.approx(covariance[:, 0, 0], rel=1e-11)
    assert filtered["X", 2] == pytest.approx((mean[2, 0], covariance[2, 0, 0]), rel=1e-11)
    assert found.log_likelihood == pytest.approx(log_p, rel=1e-11)


X0, X1 = LinearGaussianCPD(("X", 0), [0.0], 1.0), LinearGaussianCPD(("X", 1), [0.0, 1.0], 1.0, [("X", 0)])
MODELS = {
    "no first slice": ([X1], r"there is no CPD of \('X', 0\) for the first slice"),
    "nothing": ([], "no CPD of any variable"),
    "two of one": ([X0, X1, X1], r"two CPDs of \('X', 1\)"),
    "a parent without a CPD": ([X0, LinearGaussianCPD(("Y", 0), [0.0, 1.0], 1.0, [("Z", 0)])], r"evidence \('Z', 0\), which has no CPD"),
    "backwards": ([X0, LinearGaussianCPD(("Y", 0), [0.0, 1.0], 1.0, [("X", 1)])], "edges go forwards"),
    "no slice": ([LinearGaussianCPD("X", [0.0], 1.0)], "'X' is no variable of slice 0 or 1"),
    "a coefficient too few": ([X0, LinearGaussianCPD(("X", 1), [1.0], 1.0, [("X", 0)])], "give an intercept and a number for each"),
    "a negative deviation": ([LinearGaussianCPD(("X", 0), [1.0], -1.0)], "std -1.0; it must be"),
    "a cycle": (
        [LinearGaussianCPD(("X", 0), [0.0, 1.0], 1.0, [("Y", 0)]), LinearGaussianCPD(("Y", 0), [0.0, 1.0], 1.0, [("X", 0)])],
        "go round: X -> Y|go round: Y -> X",
    ),
    "tables": (dbn.umbrella(), "TabularCPD is no linear-Gaussian CPD"),
}  # fmt: skip


@pytest.mark.parametrize(("cpds", "message"), MODELS.values(), ids=MODELS)
def test_networks_that_are_none_are_refused(cpds, message):
    with pytest.raises(ModelError, match=message):
        dbn.gaussian_network(cpds)


WALK = dbn.gaussian_network([X0, X1])
EVIDENCE = {
    "an unknown name": ({"x": [1.0]}, UnknownNameError, "did you mean 'X'"),
    "words": ({"X": ["a"]}, DataError, "no array of numbers"),
    "a number": ({"X": 1.0}, DataError, r"must be \(T,\)"),
    "no dict": ([1.0], DataError, "must be a dict"),
    "nothing": (None, DataError, "no evidence that tells the number of slices"),
}


@pytest.mark.parametrize(("evidence", "error", "message"), EVIDENCE.values(), ids=EVIDENCE)
def test_evidence_that_is_none_is_refused(evidence, error, message):
    with pytest.raises(error, match=message):
        dbn.smooth(WALK, evidence)


def test_names_and_slices_that_there_are_not():
    posterior = dbn.predict(WALK, 2, {"X": [1.0]})
    with pytest.raises(DataError, match="there is no slice 0; slices run from 1 to 2"):
        posterior["X", 0]
    with pytest.raises(UnknownNameError, match="unknown variable 'Y'"):
        posterior["Y"]
    with pytest.raises(DataError, match="have no names"):
        dbn.smooth(dbn.linear_gaussian([[1.0]], [[1.0]], [[1.0]], [[1.0]], [0.0], [[1.0]]), {"y": [1.0]})["X"]
    different = dbn.gaussian_network([X0, X1, LinearGaussianCPD(("Y", 0), [0.0], 1.0)])
    with pytest.raises(DataError, match="evidence has shapes"):
        dbn.smooth(different, {"X": [1.0], "Y": [1.0, 2.0]})
    with pytest.raises(DbnBpttError, match="GaussianNetwork"):
        dbn.viterbi(WALK, {"X": [1.0]})
    with pytest.raises(DbnBpttError, match="GaussianNetwork"):
        dbn.fit(WALK, {"X": [1.0]})

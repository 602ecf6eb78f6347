"""THEORY.md, section 5, and the correction of section 8: temperature, entropy, random truncation."""

import itertools

import networkx as nx
import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn, paths
from tests.helpers import assert_close
from tests.paths.networks import elman


def test_at_temperature_zero_inference_is_the_most_probable_path():
    model = dbn.umbrella()
    umbrella = [1, 1, 0, 1, 1, 0, 0]
    template = dbn.template(model)
    path = dbn.viterbi(model, {"Umbrella": umbrella})["Rain"]
    distances = []
    for power in (1, 4, 16, 64):
        cold = {name: template.arrays[name] ** power for name in template.names("parameter")}
        result = db.bptt(template, cold, {"e_Umbrella": np.eye(2)[umbrella]})
        distances.append(np.abs(-result.messages.stack("e_Rain") - np.eye(2)[path]).max())
    assert distances[0] > distances[1] > distances[2] > distances[3]
    assert distances[-1] < 1e-6


def test_the_entropy_of_the_posterior():
    """By the expectation semiring on the trellis, by expected counts, and by enumeration of all paths."""
    model, umbrella = dbn.umbrella(), [1, 0, 1, 1]
    cpds = {tuple(c.variables[0]): c.values for c in model.cpds}
    pi, A, B = cpds["Rain", 0], cpds["Rain", 1], cpds["Umbrella", 0]
    trellis = nx.DiGraph()
    for z in range(2):
        trellis.add_edge("start", (0, z), weight=pi[z] * B[umbrella[0], z])
        trellis.add_edge((3, z), "end", weight=1.0)
        for t in range(1, 4):
            trellis.add_edges_from(
                [((t - 1, before), (t, z), {"weight": A[z, before] * B[umbrella[t], z]}) for before in range(2)]
            )
    by_semiring = paths.path_entropy(paths.sweep(trellis, "end", paths.ENTROPY)["start"])
    weights = np.array([
        pi[z[0]] * np.prod([A[z[t], z[t - 1]] for t in range(1, 4)]) * np.prod(B[umbrella, list(z)])
        for z in itertools.product(range(2), repeat=4)
    ])  # fmt: skip
    shares = weights / weights.sum()
    assert by_semiring == pytest.approx(-(shares * np.log(shares)).sum())
    counts = dbn.expected_counts(model, {"Umbrella": umbrella})
    log_joint = sum((counts[key] * np.log(cpds[key])).sum() for key in [("Rain", 0), ("Rain", 1), ("Umbrella", 0)])
    assert by_semiring == pytest.approx(dbn.log_likelihood(model, {"Umbrella": umbrella}) - log_joint)


def test_the_correction_of_random_truncation_makes_it_unbiased():
    """Each lag survives with (1 - c)^k; weighted by its inverse, the mean is the whole gradient (ARTBP)."""
    rnn, theta, data = elman(0, T=4)
    items, c = paths.credit(rnn, theta, data)["W"], 0.4
    mean, plain = np.zeros((3, 3)), np.zeros((3, 3))
    for cuts in itertools.product([False, True], repeat=3):
        chance = np.prod([c if cut else 1 - c for cut in cuts])
        piece = np.r_[0, np.cumsum(cuts)]
        for s in range(4):
            for t in range(s + 1):
                if piece[s] == piece[t]:
                    mean += chance * items[s, t] / (1 - c) ** (s - t)
                    plain += chance * items[s, t]
    gradient = db.bptt(rnn, theta, data).gradients["W"]
    assert_close(mean, gradient, 1e-12)
    assert np.abs(plain - gradient).max() > 1e-2

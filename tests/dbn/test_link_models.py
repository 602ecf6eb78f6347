"""Inference and back-propagation are one: the identity on view, hard cases, learning, and the way to pgmpy and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pgmpy.factors.discrete import TabularCPD
from pgmpy.inference import VariableElimination
from pgmpy.models import DynamicBayesianNetwork

import dbn_bptt as db
from dbn_bptt import dbn
from dbn_bptt.app.cli import main
from tests.dbn_models import STRUCTURES, Structure, build, draw_evidence, enumerated, indicator, random_structure
from tests.helpers import assert_close


def textbook(pi, A, B, y):
    """Scaled forward-backward as Rabiner (1989) writes it: alpha, beta, scales. Columns of A and B are distributions."""
    T, K = len(y), len(pi)
    alpha, beta, c = np.empty((T, K)), np.ones((T, K)), np.empty(T)
    for t in range(T):
        alpha[t] = (pi if t == 0 else A @ alpha[t - 1]) * B[y[t]]
        c[t] = alpha[t].sum()
        alpha[t] /= c[t]
    for t in range(T - 2, -1, -1):
        beta[t] = A.T @ (B[y[t + 1]] * beta[t + 1]) / c[t + 1]
    return alpha, beta, c


def _tables(model):
    cpds = {tuple(c.variables[0]): c.values for c in model.cpds}
    return cpds["Z", 0], cpds["Z", 1], cpds["Y", 0]


# ------------------------------------------------------------------------------------------------------- the identity
def test_the_messages_of_bptt_are_the_beta_messages():
    model = build({"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=1)
    y = np.random.default_rng(0).integers(0, 4, 6)
    alpha, beta, c = textbook(*_tables(model), y)
    template = dbn.template(model)
    graph = db.unroll(template, 6)
    values = db.forward(graph, {}, {"e_Y": np.eye(4)[y]})
    messages = db.backward(graph, values)
    assert values.loss == pytest.approx(-np.log(c).sum())
    np.testing.assert_allclose(values.stack("alpha"), alpha, atol=1e-14)
    np.testing.assert_allclose(-np.stack([messages.adjoint["alpha", t] for t in range(6)]), beta, atol=1e-13)
    arriving = [messages.edge[("alpha", t), ("f", t + 1), 1] for t in range(5)]
    np.testing.assert_allclose(-np.stack(arriving), beta[:-1], atol=1e-13)
    gamma = -np.stack([messages.adjoint["e_Z", t] for t in range(6)])  # the indicators are 1
    np.testing.assert_allclose(gamma, dbn.smooth(model, {"Y": y})["Z"], atol=1e-13)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_all_engines_agree_on_the_polynomial(structure: Structure):
    model = structure.make(2)
    template = dbn.template(model)
    title = next(iter(structure.sizes))
    data = {f"e_{title}": np.random.default_rng(0).random((4, structure.sizes[title])) + 0.1}
    report = db.compare(template, {}, data)
    assert report.ok, str(report)


def test_a_second_derivative_is_a_posterior_covariance():
    """The Hessian of log p in the logarithms of indicators is the covariance of the indicators (THEORY.md, 5)."""
    structure = STRUCTURES[0]
    model = structure.make(4)
    joint = enumerated(model, 2, lambda name, t: None)
    p = joint.joint / joint.joint.sum()
    once = db.adjoint(dbn.template(model)).frozen
    kept = {name: symbol for name, symbol in once.symbols.items() if name not in ("L", "end")}
    twice = db.SliceTemplate.of(once.rewritten(symbols=kept))
    twice.loss("first", db.sum(twice["e_Z_bar"] * np.array([1.0, 0.0, 0.0])), at="first")
    gradients = db.bptt(twice, {}, {"e_Z": np.ones((2, 3))}).messages
    second = -np.stack([gradients.adjoint["e_Z", t] for t in range(2)])  # d^2 log p / d e_0[0] d e_t[k]
    z0 = joint.axes.index(("Z", 0))
    for t in range(2):
        axis = joint.axes.index(("Z", t))
        others = tuple(k for k in range(p.ndim) if k not in (z0, axis))
        both = np.diag(p.sum(others)) if t == 0 else p.sum(others)
        both = both if t == 0 or z0 < axis else both.T
        covariance = both[0] - joint.marginal("Z", 0)[0] * joint.marginal("Z", t)
        own = np.array([joint.marginal("Z", 0)[0], 0, 0]) if t == 0 else 0  # from log to the indicator itself
        np.testing.assert_allclose(second[t], covariance - own, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------- pgmpy
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4))
def test_random_networks_equal_variable_elimination(seed: int, n: int):
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, n)
    T = 3
    model = structure.make(seed)
    evidence = draw_evidence(rng, structure, T)
    posterior = dbn.smooth(model, evidence, T=T)
    network = dbn.unrolled(model, T)
    assert network.check_model()
    seen = {f"{name}_{t}": int(a[t]) for name, a in evidence.items() for t in range(T) if a[t] >= 0}
    engine = VariableElimination(network)
    hidden = [(name, t) for name in structure.sizes for t in range(T) if f"{name}_{t}" not in seen]
    for name, t in hidden[:4]:
        found = engine.query([f"{name}_{t}"], evidence=seen, show_progress=False).values
        np.testing.assert_allclose(posterior[name, t], found, atol=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_the_way_to_a_file_and_back(structure: Structure, tmp_path):
    model = structure.make(5)
    dbn.write_bif(model, tmp_path / "model.bif")
    again = dbn.read_bif(tmp_path / "model.bif")
    for name, array in dbn.smooth(model, T=3).marginals.items():
        np.testing.assert_allclose(dbn.smooth(again, T=3)[name], array, atol=1e-12)


def test_bif_refuses_what_it_could_not_read(tmp_path):
    model = build({"wind speed": 2}, [("wind speed", "wind speed", 1)])
    with pytest.raises(db.DataError, match=r"'wind speed' .* cannot be written in BIF"):
        dbn.write_bif(model, tmp_path / "model.bif")
    with pytest.raises(db.DataError, match="cannot write"):
        dbn.write_bif(dbn.umbrella(), tmp_path / "none" / "model.bif")
    with pytest.raises(db.ModelError, match="nodes are pairs"):
        dbn.write_bif(dbn.unrolled(dbn.umbrella(), 2), tmp_path / "model.bif")
    assert not list(tmp_path.iterdir())


def test_names_that_pgmpy_allows_survive():
    model = build(
        {"wind speed": 2, "wind-speed": 2, "9": 2}, [("wind speed", "wind-speed", 0), ("wind speed", "wind speed", 1)]
    )
    assert len(dbn.unrolled(model, 2).nodes()) == 6
    assert_close(dbn.smooth(model, {"wind-speed": [1, 0]})["9"].sum(-1), np.ones(2), 1e-12)


# -------------------------------------------------------------------------------------- known trouble (THEORY.md)
def test_parentless_variables_of_three_states_and_implied_cpds():
    """pgmpy's initialize_initial_state assumes two states; the CPD of slice 1 is implied by that of slice 0."""
    model = DynamicBayesianNetwork([(("H", 0), ("H", 1)), (("X", 0), ("H", 0))])
    rng = np.random.default_rng(0)
    model.add_cpds(
        TabularCPD(("X", 0), 3, [[0.2], [0.3], [0.5]]),
        TabularCPD(("H", 0), 2, rng.dirichlet(np.ones(2), 3).T, [("X", 0)], [3]),
        TabularCPD(("H", 1), 2, rng.dirichlet(np.ones(2), 6).T, [("H", 0), ("X", 1)], [2, 3]),
    )
    joint = enumerated(model, 3, lambda name, t: None)
    posterior = dbn.smooth(model, T=3)
    for t in range(3):
        np.testing.assert_allclose(posterior["X", t], [0.2, 0.3, 0.5])
        np.testing.assert_allclose(posterior["H", t], joint.marginal("H", t))


def test_evidence_on_the_interface_is_not_dropped():
    """pgmpy's backward_inference drops it."""
    structure = STRUCTURES[0]
    model = structure.make(6)
    evidence = {"Z": np.array([-1, 2, -1]), "Y": np.array([0, 1, 3])}
    joint = enumerated(model, 3, indicator(evidence, structure.sizes))
    posterior = dbn.smooth(model, evidence)
    assert posterior["Z", 1].tolist() == [0, 0, 1]
    for t in (0, 2):
        np.testing.assert_allclose(posterior["Z", t], joint.marginal("Z", t), atol=1e-12)


def test_long_sequences_with_zeros_and_many_symbols_stay_finite():
    """pgmpy underflows to NaN at 64 symbols and T of about 180."""
    model = build({"Z": 64, "Y": 64}, [("Z", "Y", 0), ("Z", "Z", 1)], seed=0, zeros=0.5)
    y = dbn.sample(model, 1, T=2000, seed=1)["Y"][0]
    alpha, beta, c = textbook(*_tables(model), y)
    posterior = dbn.smooth(model, {"Y": y})
    np.testing.assert_allclose(posterior["Z"], alpha * beta, atol=1e-10)
    assert posterior.log_likelihood == pytest.approx(np.log(c).sum())
    counts = dbn.expected_counts(model, {"Y": y})
    assert counts["Z", 1].sum() == pytest.approx(1999)
    assert counts["Y", 0].sum() == pytest.approx(2000)


def test_deterministic_tables_are_exact():
    model = DynamicBayesianNetwork([(("S", 0), ("S", 1)), (("S", 0), ("O", 0))])
    turn = np.roll(np.eye(3), 1, 0)
    model.add_cpds(
        TabularCPD(("S", 0), 3, np.full((3, 1), 1 / 3)),
        TabularCPD(("S", 1), 3, turn, [("S", 0)], [3]),
        TabularCPD(("O", 0), 2, [[1, 1, 0], [0, 0, 1]], [("S", 0)], [3]),
    )
    posterior = dbn.smooth(model, {("O", 4): 1}, T=2000)
    assert posterior["S"].argmax(-1).tolist() == [(t + 2 - 4) % 3 for t in range(2000)]
    assert (posterior["S"].max(-1) == 1).all()
    assert posterior.log_likelihood == pytest.approx(np.log(1 / 3))


def test_sixteen_variables_a_slice_need_no_joint_table():
    """pgmpy takes 0.7 GB and 3 s for eight independent binary chains at T = 3."""
    sizes = {f"{kind}{k}": 2 for k in range(8) for kind in "ZY"}
    edges = [edge for k in range(8) for edge in ((f"Z{k}", f"Y{k}", 0), (f"Z{k}", f"Z{k}", 1))]
    model = build(sizes, edges, seed=0)
    y = np.random.default_rng(0).integers(0, 2, (8, 50))
    posterior = dbn.smooth(model, {f"Y{k}": y[k] for k in range(8)})
    cpds = {tuple(c.variables[0]): c.values for c in model.cpds}
    for k in range(8):
        alpha, beta, _ = textbook(cpds[f"Z{k}", 0], cpds[f"Z{k}", 1], cpds[f"Y{k}", 0], y[k])
        np.testing.assert_allclose(posterior[f"Z{k}"], alpha * beta, atol=1e-12)
    assert "its message has 2 numbers" in dbn.summary(model)


# ------------------------------------------------------------------------------------------- sampling and learning
@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_samples_have_the_posterior_as_their_frequencies(structure: Structure):
    model, T, n = structure.make(7, zeros=0.2), 3, 20_000
    first = next(iter(structure.sizes))
    likely = {first: np.random.default_rng(1).random((T, structure.sizes[first])) + 0.1}
    posterior = dbn.smooth(model, soft=likely)
    paths = dbn.sample(model, n, soft=likely, seed=3)
    for name, K in structure.sizes.items():
        frequency = (paths[name][..., None] == np.arange(K)).mean(0)
        np.testing.assert_allclose(frequency, posterior[name], atol=4.5 * np.sqrt(0.25 / n))
    joint = enumerated(model, T, lambda name, t: likely[name][t] if name in likely else None)
    p = joint.joint / joint.joint.sum()
    rows = np.stack([paths[name][:, t] for name, t in joint.axes], 1)
    places, counts = np.unique(rows, axis=0, return_counts=True)
    expected = p[tuple(places.T)]
    assert (expected > 0).all()
    assert (np.abs(counts / n - expected) < 5 * np.sqrt(expected / n) + 1e-4).all()


def test_samples_repeat_with_their_seed():
    model = dbn.umbrella()
    one, two = (dbn.sample(model, 5, {"Umbrella": [1, 0, 1]}, seed=s)["Rain"].tolist() for s in (4, 4))
    assert one == two
    assert one != dbn.sample(model, 5, {"Umbrella": [1, 0, 1]}, seed=5)["Rain"].tolist()


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_expected_counts_equal_enumeration(structure: Structure):
    model, T = structure.make(8), 3
    evidence = draw_evidence(np.random.default_rng(2), structure, T)
    counts = dbn.expected_counts(model, evidence)
    joint = enumerated(model, T, indicator(evidence, structure.sizes))
    p = joint.joint / joint.joint.sum()
    cpds = {tuple(c.variables[0]): c for c in model.cpds}
    for (name, slice_), found in counts.items():
        cpd = cpds.get((name, slice_)) or cpds[name, 0]
        tied = (name, 1) not in cpds
        expected = np.zeros(cpd.values.shape)
        for t in range(T) if tied else range(slice_, T) if slice_ else range(1):
            shift = t - cpd.variables[0][1]
            axes = [joint.axes.index((v[0], v[1] + shift)) for v in cpd.variables]
            part = p.sum(tuple(k for k in range(p.ndim) if k not in axes))
            expected += np.transpose(part, [sorted(axes).index(axis) for axis in axes])
        np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES[:9], ids=repr)
@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_learning_never_lowers_what_it_raises(structure: Structure, prior: float):
    rng = np.random.default_rng(3)
    evidence = {
        name: np.stack([draw_evidence(rng, structure, 6, 0.7)[name] for _ in range(8)]) for name in structure.sizes
    }
    found = dbn.fit(structure.make(9), evidence, steps=12, prior=prior, tolerance=0.0, seed=1)
    if not prior:
        assert (np.diff(found.log_likelihoods) > -1e-9).all()
    assert dbn.log_likelihood(found.model, evidence).sum() == pytest.approx(found.log_likelihoods[-1])
    assert all(np.allclose(cpd.values.sum(0), 1) for cpd in found.model.cpds)


def test_learning_from_complete_data_counts():
    y = np.array([[0, 1, 1, 0, 1], [1, 1, 1, 0, 0]])
    found = dbn.fit(build({"Y": 2}, [("Y", "Y", 1)]), {"Y": y}, steps=3)
    assert found.converged
    np.testing.assert_allclose(found.model.get_cpds(("Y", 0)).values, [0.5, 0.5])
    np.testing.assert_allclose(found.model.get_cpds(("Y", 1)).values, [[1 / 3, 2 / 5], [2 / 3, 3 / 5]])
    prior = dbn.fit(build({"Y": 2}, [("Y", "Y", 1)]), {"Y": y}, steps=3, prior=1.0).model
    np.testing.assert_allclose(prior.get_cpds(("Y", 1)).values, [[2 / 5, 3 / 7], [3 / 5, 4 / 7]])


# ------------------------------------------------------------------------------------------------ recurrent networks
def test_a_recurrent_network_as_a_two_slice_structure():
    model = dbn.from_template(db.cells.elman(3, 4, 2))
    assert dbn.interface(model) == dbn.interface(db.cells.elman(3, 4, 2)) == ["h"]
    assert {(str(u), str(v)) for u, v in model.get_intra_edges()} == {
        ("(x, 0)", "(a, 0)"), ("(a, 0)", "(h, 0)"), ("(h, 0)", "(o, 0)"), ("(o, 0)", "(yhat, 0)"), ("(o, 0)", "(y, 0)"),
    }  # fmt: skip
    assert {str(node) for node in model.nodes() if model.nodes[node]["observed"]} == {
        "(x, 0)",
        "(x, 1)",
        "(y, 0)",
        "(y, 1)",
    }
    network = dbn.unrolled(model, 4)
    assert not network.is_dconnected("x_0", "y_3", observed=["h_1"])
    assert network.is_dconnected("x_0", "y_3", observed=["h_0"]) is False
    assert network.is_dconnected("x_0", "y_3", observed=["y_1"])
    with pytest.raises(db.ModelError, match="lag -1"):
        dbn.from_template(db.cells.bidirectional("elman", 3, 4, 2))


# ---------------------------------------------------------------------------------------------------- the command
def _files(tmp_path, evidence: str):
    dbn.write_bif(dbn.umbrella(), tmp_path / "model.bif")
    (tmp_path / "evidence.csv").write_text(evidence)
    return [str(tmp_path / "model.bif"), str(tmp_path / "evidence.csv")]


def test_the_command_prints_posteriors(tmp_path, capsys):
    assert main(["smooth", *_files(tmp_path, "Umbrella\n1\n1\n\n")]) == 0
    out, err = capsys.readouterr()
    expected = dbn.smooth(dbn.umbrella(), {"Umbrella": [1, 1, -1]})
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0] == ["t", "Rain=0", "Rain=1", "Umbrella=0", "Umbrella=1"]
    np.testing.assert_allclose(np.array(rows[1:], float)[:, 1:3], expected["Rain"])
    assert float(err.split()[-1]) == pytest.approx(expected.log_likelihood)


def test_the_command_takes_several_sequences(tmp_path, capsys):
    assert main(["smooth", *_files(tmp_path, "sequence,Umbrella\na,1\na,1\nb,0\n")]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [["sequence", "t"], ["a", "0"], ["a", "1"], ["b", "0"]]
    assert float(rows[3][2]) == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ("Umbrela\n1\n", "unknown variable 'Umbrela'; did you mean 'Umbrella'?"),
        ("date,Umbrella\nmonday,1\n", "unknown variable 'date'"),
        ("Umbrella\nwet\n", "evidence of 'Umbrella' is 'wet' in row 1 (slice 0); its states are '0', '1'"),
        ("Umbrella\n", "the evidence has no rows"),
        (",Umbrella\n0,1\n", "a column has no name; write the file without an index"),
        ("t,Umbrella\n1,1\n0,0\n", "the column 't' of the DataFrame is 1, 0, but rows stand for slices 0, 1, 2"),
        ("", "is empty"),
        ("Umbrella,Rain\n1,0,1\n", "row 1 has 3 cells, but there are 2 columns"),
        ("Umbrella\n1,\n1,\n", "row 1 has 2 cells, but there are 1 columns"),
    ],
)
def test_the_command_names_mistakes(tmp_path, capsys, evidence, message):
    assert main(["smooth", *_files(tmp_path, evidence)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "evidence", ["Umbrella\n1.0\n\n0.0\n", "Umbrella\n1\nNaN\n0\n", "t,Umbrella\n0,1\n1,NA\n2,0\n"]
)
def test_the_command_reads_what_programs_write(tmp_path, capsys, evidence):
    assert main(["smooth", *_files(tmp_path, evidence)]) == 0
    expected = dbn.smooth(dbn.umbrella(), {"Umbrella": [1, -1, 0]}).to_frame()
    found = np.loadtxt(capsys.readouterr().out.splitlines(), delimiter=",", skiprows=1)
    np.testing.assert_allclose(found[:, 1:], expected.to_numpy(), atol=1e-12)


def test_the_command_keeps_sequences_apart_that_say_nothing(tmp_path, capsys):
    assert main(["smooth", *_files(tmp_path, "sequence\na\na\nb\n")]) == 0
    assert [line[:4] for line in capsys.readouterr().out.splitlines()[1:]] == ["a,0,", "a,1,", "b,0,"]


def test_the_command_refuses_what_is_no_model(tmp_path, capsys):
    model, evidence = _files(tmp_path, "Umbrella\n1\n")
    for content, message in (
        ("nothing", "is not a BIF file"),
        ((tmp_path / "model.bif").read_text().replace("_0", "_x"), "tells no slice"),
    ):
        (tmp_path / "model.bif").write_text(content)
        assert main(["smooth", model, evidence]) == 2
        assert message in capsys.readouterr().err
    assert main(["smooth", str(tmp_path / "none.bif"), evidence]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_bif_keeps_every_digit(tmp_path):
    model = build({"Y": 2}, [("Y", "Y", 1)])
    for cpd, p in zip(model.cpds, (1e-19, 1.23456789012345e-12), strict=True):
        cpd.values[0], cpd.values[1] = p, 1 - p
    dbn.write_bif(model, tmp_path / "model.bif")
    again = dbn.read_bif(tmp_path / "model.bif")
    for cpd in model.cpds:
        assert again.get_cpds(cpd.variables[0]).values.tolist() == cpd.values.tolist()


def test_bif_with_a_second_table_that_pgmpy_cannot_hold(tmp_path):
    dbn.write_bif(build({"Y": 2, "I": 2}, [("Y", "Y", 1)]), tmp_path / "model.bif")
    assert dbn.smooth(dbn.read_bif(tmp_path / "model.bif"), T=2)["I"].shape == (2, 2)
    text = (tmp_path / "model.bif").read_text()
    start = text.index("table", text.index("probability ( I_1"))
    (tmp_path / "model.bif").write_text(text[:start] + "table 0.125, 0.875;\n}\n" + text[text.index("}", start) + 2 :])
    with pytest.raises(db.ModelError, match="I_1 has no edges, but a table of its own"):
        dbn.read_bif(tmp_path / "model.bif")


def test_the_command_takes_states_called_like_nothing(tmp_path, capsys):
    model = DynamicBayesianNetwork([(("Y", 0), ("Y", 1))])
    names = {("Y", 0): ["NA", "x"], ("Y", 1): ["NA", "x"]}
    model.add_cpds(
        TabularCPD(("Y", 0), 2, [[0.2], [0.8]], state_names={("Y", 0): ["NA", "x"]}),
        TabularCPD(("Y", 1), 2, [[0.5, 0.5], [0.5, 0.5]], [("Y", 0)], [2], names),
    )
    dbn.write_bif(model, tmp_path / "model.bif")
    (tmp_path / "evidence.csv").write_text("Y\nNA\nx\n")
    assert main(["smooth", str(tmp_path / "model.bif"), str(tmp_path / "evidence.csv")]) == 0
    assert float(capsys.readouterr().err.split()[-1]) == pytest.approx(np.log(0.1))


def test_a_file_keeps_the_names_of_variables(tmp_path):
    names = ["Z_bar", "A_before", "a_dot2", "B_after"]
    model = build(dict.fromkeys(names, 2), [(name, name, 1) for name in names])
    dbn.write_bif(model, tmp_path / "model.bif")
    again = dbn.read_bif(tmp_path / "model.bif")
    assert {node[0] for node in again.nodes()} == set(names)
    assert dbn.log_likelihood(again, {"Z_bar": ["0", "1"]}) == pytest.approx(
        dbn.log_likelihood(model, {"Z_bar": [0, 1]})
    )


@pytest.mark.parametrize("T", [1, 2, 9])
def test_a_slice_of_many_variables(T):
    """Against the textbook: what many sensors of one state say is the product of what each says."""
    sizes = {"Z": 3} | {f"Y{k}": 2 + k % 2 for k in range(30)}
    edges = [("Z", "Z", 1), *(("Z", name, 0) for name in sizes if name != "Z")]
    model, rng = build(sizes, edges, seed=3), np.random.default_rng(0)
    cpds = {tuple(c.variables[0]): c.values for c in model.cpds}
    seen = {name: rng.integers(0, size, T) for name, size in sizes.items() if name != "Z"}
    first = np.prod([cpds[name, 0][states[:1]] for name, states in seen.items()], 0)
    later = np.prod([cpds.get((name, 1), cpds[name, 0])[states[1:]] for name, states in seen.items()], 0)
    likely = np.concatenate([first, later])  # (T, states of Z)
    alpha, beta = np.empty((T, 3)), np.ones((T, 3))
    for t in range(T):
        alpha[t] = (cpds["Z", 0] if t == 0 else cpds["Z", 1] @ alpha[t - 1]) * likely[t]
        alpha[t] /= alpha[t].sum()
    for t in range(T - 2, -1, -1):
        beta[t] = cpds["Z", 1].T @ (likely[t + 1] * beta[t + 1])
        beta[t] /= beta[t].sum()
    gamma = alpha * beta
    np.testing.assert_allclose(dbn.smooth(model, seen)["Z"], gamma / gamma.sum(1, keepdims=True), atol=1e-12)
    np.testing.assert_allclose(dbn.filter(model, seen)["Z"], alpha, atol=1e-12)

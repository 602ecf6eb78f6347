"""Driven tables and conditional networks against forward algorithms in PyTorch, differentiated by it."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import dbn
from dbn_bptt.dbn.learning.counts import counted
from dbn_bptt.dbn.learning.random_fields import flat, uphill

torch = pytest.importorskip("torch", reason="the oracle is PyTorch")

K, M, D, T, B = 3, 4, 2, 30, 5
RNG = np.random.default_rng(0)
X, Z, Y = RNG.normal(size=(B, T, D)), RNG.integers(0, K, (B, T)), RNG.integers(0, M, (B, T))


def tensors(**arrays):
    return {name: torch.tensor(a, dtype=torch.float64, requires_grad=True) for name, a in arrays.items()}


def log_weight(scores, first, moves):
    """The logarithm of the weight of all paths of one sequence; moves: (T, K, K), to from."""
    alpha = first + scores[0]
    for t in range(1, len(scores)):
        alpha = scores[t] + torch.logsumexp(moves[t] + alpha[None, :], 1)
    return torch.logsumexp(alpha, 0)


def test_a_linear_chain_field():
    """Log-likelihood, marginals and gradients of a linear-chain CRF whose moves depend on the inputs too."""
    p = {"first": RNG.normal(size=K), "W": RNG.normal(size=(K, D)), "V": RNG.normal(size=(K, K, D)),
         "A": RNG.normal(size=(K, K))}  # fmt: skip
    t = db.SliceTemplate("scores")
    t.define(t.variable("log_likelihood", K), t.parameter("W", (K, D)) @ t.input("x", D))
    chain = dbn.model([("Z", "Z", 1)], {"Z": {0: np.full(K, 1 / K), 1: np.full((K, K), 1 / K)}})
    model = dbn.emit(chain, "X", dbn.emission("Z", t, {"W": p["W"]}))
    model = dbn.conditional(dbn.drive(model, "X", dbn.logistic("Z", p["V"], p["A"])))
    model = model.retabled(lambda table, start: table.values if start else np.exp(p["first"]))

    of, x = tensors(**p), torch.tensor(X)
    scores, moves = x @ of["W"].T, torch.einsum("ijd,btd->btij", of["V"], x) + of["A"]
    scores.retain_grad()
    free = torch.stack([log_weight(s, of["first"], m) for s, m in zip(scores, moves, strict=True)])
    free.sum().backward(retain_graph=True)
    posterior = dbn.smooth(model, {"X": X})
    np.testing.assert_allclose(posterior["Z"], scores.grad.numpy(), atol=1e-10)

    rows, later = np.arange(B)[:, None], np.arange(1, T)
    own = scores[rows, np.arange(T), Z].sum(1) + of["first"][Z[:, 0]] + moves[rows, later, Z[:, 1:], Z[:, :-1]].sum(1)
    theirs = own - free
    np.testing.assert_allclose(dbn.log_likelihood(model, {"X": X, "Z": Z}), theirs.detach().numpy(), rtol=1e-10)
    for tensor in of.values():
        tensor.grad = None
    theirs.sum().backward()
    value, slope = uphill(dbn.prepare(model), dbn.observe(model, {"X": X, "Z": Z}))
    assert value == pytest.approx(float(theirs.detach().sum()), rel=1e-11)
    expected = np.concatenate([np.ravel(of[name].grad.numpy()) for name in ("first", "W", "V", "A")])
    assert slope.shape == flat(model).shape == expected.shape
    np.testing.assert_allclose(slope, expected, atol=1e-9)


def test_an_input_output_hidden_markov_model():
    """log p(y | x), and what its optimum is: that of Adam's and L-BFGS's in PyTorch."""
    rng = np.random.default_rng(1)
    first, B0 = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(M), K).T
    V, A = rng.normal(size=(K, K, D)), rng.normal(size=(K, K))
    model = dbn.model([("Z", "Z", 1), ("Z", "Y", 0)], {"Z": {0: first, 1: np.full((K, K), 1 / K)}, "Y": B0})
    model = dbn.drive(model, "X", dbn.logistic("Z", V, A))
    of, x, y = tensors(V=V, A=A), torch.tensor(X), torch.tensor(Y)

    def theirs():
        moves = torch.log_softmax(torch.einsum("ijd,btd->btij", of["V"], x) + of["A"], 2)
        scores = torch.log(torch.tensor(B0))[y]
        logs = torch.log(torch.tensor(first))
        return torch.stack([log_weight(s, logs, m) for s, m in zip(scores, moves, strict=True)])

    np.testing.assert_allclose(dbn.log_likelihood(model, {"X": X, "Y": Y}), theirs().detach().numpy(), rtol=1e-11)
    theirs().sum().backward()
    seen = dbn.observe(model, {"X": X, "Y": Y})
    _, counts = counted(dbn.inference.task.Task(dbn.prepare(model), seen.under(model)))
    ours = model.drives["Z"].scores.gradient(counts["Z", "driven x"], counts["Z", "driven weights"])
    np.testing.assert_allclose(ours["weights"], of["V"].grad.numpy(), atol=1e-9)
    np.testing.assert_allclose(ours["bias"], of["A"].grad.numpy(), atol=1e-9)

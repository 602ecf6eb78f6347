"""The cells against torch's own modules: loss and every gradient."""

import pytest

import dbn_bptt as db
from dbn_bptt import cells
from tests.helpers import assert_close

torch = pytest.importorskip("torch", reason="torch is not installed (extra: peers)")

n, H, K, T, B = 3, 4, 5, 7, 3


def _layer(kind, tag):
    """How torch's packed weights of one layer and direction are ours: pairs (our name, rows of theirs)."""
    gates = {"elman": [""], "lstm": ["_i", "_f", "_g", "_q"], "gru": ["_r", "_z", "_n"]}[kind]
    return [(gate + tag, slice(k * H, (k + 1) * H)) for k, gate in enumerate(gates)]


def _split(kind, tag, w_ih, w_hh, b_ih, b_hh):
    """Our parameters from torch's. Torch has two biases everywhere; we only where they differ (GRU's candidate)."""
    ours = {}
    for name, rows in _layer(kind, tag):
        ours["U" + name], ours["W" + name] = w_ih[rows], w_hh[rows]
        ours["b" + name] = b_ih[rows] + b_hh[rows]
        if kind == "gru" and name.startswith("_n"):
            ours["b" + name], ours["d" + name] = b_ih[rows], b_hh[rows]
    return ours


def _split_gradients(kind, tag, w_ih, w_hh, b_ih, b_hh):
    """The same for gradients: the sum of two biases has the gradient of either."""
    zero = torch.zeros_like(b_hh)
    ours = _split(kind, tag, w_ih, w_hh, b_ih, zero)
    if kind == "gru":
        ours["d_n" + tag] = b_hh[2 * H :]
    return ours


def _tags(layers, both):
    stack = [str(k + 1) for k in range(layers)] if layers > 1 else [""]
    return [tag + direction for tag in stack for direction in (("_fw", "_bw") if both else ("",))]


def _template(kind, layers, both, activation):
    if kind == "elman" and activation != "tanh":
        return cells.elman(n, H, K, activation=activation)
    if layers > 1:
        layer = cells.both_directions(kind) if both else kind
        return cells.stacked([layer] * layers, n, H, K)
    if both:
        return cells.bidirectional(kind, n, H, K)
    return {"elman": cells.elman, "lstm": cells.lstm, "gru": cells.gru}[kind](n, H, K)


@pytest.mark.parametrize("lengths", [None, [7, 2, 5]], ids=["full", "ragged"])
@pytest.mark.parametrize("both", [False, True], ids=["forwards", "bidirectional"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["elman", "lstm", "gru"])
def test_equals_torch(kind, layers, both, lengths):
    _assert_equals_torch(kind, layers, both, lengths, "tanh")


def test_relu_equals_torch():
    _assert_equals_torch("elman", 1, False, None, "relu")


def _assert_equals_torch(kind, layers, both, lengths, activation):
    torch.manual_seed(0)
    make = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
    options = {"nonlinearity": activation} if kind == "elman" else {}
    module = make(n, H, layers, bidirectional=both, **options).double()
    head = torch.nn.Linear(H * (2 if both else 1), K).double()
    x = torch.randn(T, B, n, dtype=torch.double, requires_grad=True)
    y = torch.randint(0, K, (T, B))
    states = [torch.randn(len(_tags(layers, both)), B, H, dtype=torch.double, requires_grad=True) for _ in "hs"]
    given = (states[0], states[1]) if kind == "lstm" else states[0]
    if lengths is None:
        hidden, _ = module(x, given)
        loss = torch.nn.functional.cross_entropy(head(hidden).reshape(-1, K), y.reshape(-1), reduction="sum")
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        hidden, _ = torch.nn.utils.rnn.pad_packed_sequence(module(packed, given)[0])
        valid = torch.arange(T)[:, None] < torch.tensor(lengths)
        loss = torch.nn.functional.cross_entropy(head(hidden)[valid], y[valid], reduction="sum")
    loss.backward()

    weights = [list(group) for group in module.all_weights]
    parameters = {"V": head.weight, "c": head.bias}
    expected = {"V": head.weight.grad, "c": head.bias.grad}
    for tag, group in zip(_tags(layers, both), weights, strict=True):
        parameters |= _split(kind, tag, *group)
        expected |= _split_gradients(kind, tag, *(w.grad for w in group))
    names = {"h": 0, "s": 1} if kind == "lstm" else {"h": 0}
    initial = {name + tag: states[k][j] for name, k in names.items() for j, tag in enumerate(_tags(layers, both))}
    result = db.bptt(
        _template(kind, layers, both, activation), _numpy(parameters), {"x": x.detach().numpy(), "y": y.numpy()},
        initial=_numpy(initial), lengths=lengths,
    )  # fmt: skip
    assert result.loss == pytest.approx(loss.item(), rel=1e-10)
    assert set(result.gradients) == set(expected)
    for name, g in _numpy(expected).items():
        assert_close(result.gradients[name], g, 1e-10, name)
    assert_close(result.messages.input_gradients["x"], x.grad.numpy(), 1e-10, "x")
    for name, k in names.items():
        for j, tag in enumerate(_tags(layers, both)):
            g = states[k].grad[j].numpy()
            assert_close(result.messages.initial_gradients[name + tag], g, 1e-10, f"initial {name + tag}")


def _numpy(tensors):
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}

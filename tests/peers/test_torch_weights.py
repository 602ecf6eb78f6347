"""Networks taken over from torch compute what torch's compute, and go back unchanged."""

import numpy as np
import pytest

import dbn_bptt as db
from tests.helpers import assert_close

torch = pytest.importorskip("torch", reason="torch is not installed (extra: peers)")

n, H, K, T, B = 3, 4, 5, 7, 2
KINDS = {"RNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}
OPTIONS = [
    {}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}, {"bias": False},
    {"batch_first": True}, {"num_layers": 3, "dropout": 0.5},
]  # fmt: skip


def _made(kind, options, dtype=torch.float64, head=True, **more):
    torch.manual_seed(0)
    module = KINDS[kind](n, H, dtype=dtype, **options, **more).eval()
    size = H * (2 if options.get("bidirectional") else 1)
    return module, torch.nn.Linear(size, K, dtype=dtype) if head else None


def _outputs(module, head, x):
    given = torch.as_tensor(x)
    hidden = module(given.swapaxes(0, 1) if module.batch_first else given)[0]
    hidden = hidden.swapaxes(0, 1) if module.batch_first else hidden
    return (hidden if head is None else head(hidden)).detach().numpy()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)], ids=["64", "32"])
def test_outputs_are_torchs(kind, options, dtype, tolerance):
    module, head = _made(kind, options, dtype)
    template, theta = db.cells.from_torch(module, head)
    x = np.random.default_rng(0).normal(size=(T, B, n)).astype(theta["V"].dtype)
    values = db.compile(template, "numpy").values(theta, {"x": x})
    assert np.abs(values["o"] - _outputs(module, head, x)).max() < tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_torchs_and_all_engines_agree(kind):
    module, head = _made(kind, {"num_layers": 2, "bidirectional": True})
    template, theta = db.cells.from_torch(module, head)
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(T, B, n)), "y": rng.integers(0, K, (T, B))}
    report = db.compare(template, theta, data)
    assert report.ok
    logits = head(module(torch.as_tensor(data["x"]))[0])
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, K), torch.as_tensor(data["y"]).ravel(), reduction="sum")
    loss.backward()
    assert_close(report.loss, loss.item())
    assert_close(report.result.gradients["V"], head.weight.grad.numpy())
    assert_close(report.result.gradients["c"], head.bias.grad.numpy())
    title = {"RNN": "W2_bw", "LSTM": "W_i2_bw", "GRU": "W_r2_bw"}[kind]
    assert_close(report.result.gradients[title], module.weight_hh_l1_reverse.grad.numpy()[:H])


def test_it_is_drawn_and_explained():
    module, head = _made("LSTM", {"num_layers": 2, "bidirectional": True})
    template, theta = db.cells.from_torch(module, head)
    assert "h2_bw" in db.render.svg(template, T=2)
    assert "s1_fw_t" in db.equations(template, format="text")
    assert db.paths.credit(template, theta, {"x": np.ones((3, n)), "y": np.zeros(3, int)}) is not None


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_without_a_head_and_with_relu(nonlinearity):
    module, _ = _made("RNN", {"bidirectional": True}, head=False, nonlinearity=nonlinearity)
    template, theta = db.cells.from_torch(module)
    x = np.random.default_rng(0).normal(size=(T, B, n))
    assert_close(db.compile(template, "numpy").values(theta, {"x": x})["h"], _outputs(module, None, x))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind, options):
    module, head = _made(kind, options)
    template, theta = db.cells.from_torch(module, head)
    moved = {name: a + 0.1 if a.ndim > 1 else a for name, a in theta.items()}
    db.cells.to_torch(moved, module, head)
    again = db.cells.from_torch(module, head)[1]
    for name in template.names("parameter"):
        assert_close(again[name], moved[name], 1e-15, name)
    x = np.random.default_rng(1).normal(size=(T, B, n))
    expected = db.compile(template, "numpy").values(moved, {"x": x})["o"]
    assert_close(_outputs(module, head, x), expected)


def test_what_a_template_cannot_do_is_named():
    trained = torch.nn.LSTM(n, H, num_layers=2, dropout=0.3)
    module, head = _made("GRU", {})
    _, theta = db.cells.from_torch(module, head)
    cases = [
        (lambda: db.cells.from_torch(torch.nn.LSTM(n, H, proj_size=2)), "proj_size=2"),
        (lambda: db.cells.from_torch(trained), r"dropout=0\.3 is switched on; call module\.eval"),
        (lambda: db.cells.from_torch(torch.nn.Linear(n, H)), "not Linear"),
        (
            lambda: db.cells.from_torch(module, torch.nn.Linear(H + 1, K)),
            "the head takes 5 numbers; the hidden state has 4",
        ),
        (lambda: db.cells.from_torch(module, torch.nn.ReLU()), "not ReLU"),
        (lambda: db.cells.to_torch({"W_r": theta["W_r"]}, module), "'W_z' is missing"),
        (lambda: db.cells.to_torch(theta, torch.nn.GRU(n, H + 1)), "the module has"),
        (lambda: db.cells.to_torch(theta, torch.nn.GRU(n, H, bias=False)), "has no biases"),
    ]
    for mistake, message in cases:
        with pytest.raises(db.DataError, match=message):
            mistake()

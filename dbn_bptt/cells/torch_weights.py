"""Networks of torch as templates with their parameters, and back."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from dbn_bptt import ops
from dbn_bptt.cells.networks import Layer, Output, both_directions, elman_layer, gru_layer, lstm_layer, network
from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.builder import At, SliceTemplate

GATES = {"RNN": [""], "LSTM": ["_i", "_f", "_g", "_q"], "GRU": ["_r", "_z", "_n"]}  # in torch's order


def from_torch(
    module: Any, head: Any = None, output: Output = "softmax", loss_at: At = "every"
) -> tuple[SliceTemplate, dict[str, Array]]:
    """The template of a `torch.nn.RNN`, `LSTM` or `GRU`, and its parameters.

    Layers, directions, biases and the nonlinearity of an RNN are read off the module. Data have time first, (T, B, n),
    whatever `batch_first` says. Where torch adds two biases, their sum is one parameter.

    Parameters
    ----------
    module : torch.nn.RNN, LSTM or GRU
    head : torch.nn.Linear, optional
        The output layer; without it the outputs are the hidden states themselves, and a target of their size is
        compared with them by half the squared distance.
    output, loss_at : as in `cells.lstm`

    Raises
    ------
    DataError
        Where the module has what a template cannot do: projections, or dropout that is switched on.

    Examples
    --------
    >>> import torch, dbn_bptt as db
    >>> module = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    >>> template, theta = db.cells.from_torch(module, torch.nn.Linear(8, 2))
    >>> template.names("variable")[-4:], theta["W_i1_fw"].shape
    (['h2_bw', 'h2', 'o', 'yhat'], (4, 4))
    """
    kind = _kind(module)
    layers = [_layer(module, kind)] * module.num_layers
    tags = _tags(module)
    title = f"torch's {kind}"
    if head is None:
        template = _without_head(title, layers, tags, module)
    else:
        _check_head(head, module)
        template = network(
            title, layers, tags, module.input_size, module.hidden_size, head.out_features, output, loss_at
        )
    theta = {name: a for part in _parts(module, kind) for name, a in _read(module, kind, *part).items()}
    if head is not None:
        theta["V"] = _array(head.weight)
        theta["c"] = np.zeros(head.out_features, theta["V"].dtype) if head.bias is None else _array(head.bias)
    return template, {name: theta[name] for name in template.names("parameter")}


def to_torch(theta: Mapping[str, Any], module: Any, head: Any = None) -> None:
    """Write parameters as `from_torch` gives them into a module of the same kind, and into its head.

    Where torch adds two biases, the first gets the sum and the second 0.

    Examples
    --------
    >>> import torch, dbn_bptt as db
    >>> module, other = torch.nn.GRU(3, 4), torch.nn.GRU(3, 4)
    >>> template, theta = db.cells.from_torch(module)
    >>> db.cells.to_torch(theta, other)
    >>> bool(torch.allclose(module(torch.ones(5, 1, 3))[0], other(torch.ones(5, 1, 3))[0], atol=1e-6))
    True
    """
    import torch

    kind = _kind(module)
    wanted = {title: a for part in _parts(module, kind) for title, a in _written(theta, module, kind, *part).items()}
    if head is not None:
        _check_head(head, module)
        wanted |= {
            "head weight": _given(theta, "V"),
            **({} if head.bias is None else {"head bias": _given(theta, "c")}),
        }
    places = dict(module.named_parameters()) | {f"head {n}": p for n, p in (head.named_parameters() if head else ())}
    for title, a in wanted.items():
        if tuple(places[title].shape) != a.shape:
            raise DataError(
                f"the parameters make {title} of shape {a.shape}, the module has {tuple(places[title].shape)}"
            )
    with torch.no_grad():
        for title, a in wanted.items():
            places[title].copy_(torch.as_tensor(np.ascontiguousarray(a)))


# ------------------------------------------------------------------------------------------------------------ structure
def _kind(module: Any) -> str:
    """Which recurrent module of torch something is; what a template cannot do is refused."""
    kind = next((c.__name__ for c in type(module).__mro__ if c.__module__ == "torch.nn.modules.rnn"), "")
    if kind not in GATES:
        raise DataError(f"give a torch.nn.RNN, LSTM or GRU, not {type(module).__name__}")
    if getattr(module, "proj_size", 0):
        raise DataError(f"proj_size={module.proj_size}: a template from torch has no projections; use proj_size=0")
    if module.dropout and module.training and module.num_layers > 1:
        raise DataError(f"dropout={module.dropout} is switched on; call module.eval(), templates have no dropout")
    return kind


def _layer(module: Any, kind: str) -> Layer:
    plain: Mapping[str, Layer] = {"LSTM": lstm_layer, "GRU": gru_layer}
    one = partial(elman_layer, activation=module.nonlinearity) if kind == "RNN" else plain[kind]
    return both_directions(one) if module.bidirectional else one


def _tags(module: Any) -> list[str]:
    return [str(k + 1) for k in range(module.num_layers)] if module.num_layers > 1 else [""]


def _parts(module: Any, kind: str) -> Iterator[tuple[str, str]]:
    """How each layer and direction ends in a template's names and in torch's."""
    for k, tag in enumerate(_tags(module)):
        yield from (
            [(f"{tag}_fw", f"l{k}"), (f"{tag}_bw", f"l{k}_reverse")] if module.bidirectional else [(tag, f"l{k}")]
        )


def _without_head(title: str, layers: list[Layer], tags: list[str], module: Any) -> SliceTemplate:
    t = SliceTemplate(title)
    h: Any = t.input("x", module.input_size)
    for layer, tag in zip(layers, tags, strict=True):
        h = layer(t, h, module.hidden_size, tag)
    t.loss("L", ops.squared_error(h, t.target("y", h.shape)))
    return t


def _check_head(head: Any, module: Any) -> None:
    size = module.hidden_size * (2 if module.bidirectional else 1)
    if not all(hasattr(head, name) for name in ("weight", "bias", "out_features")):
        raise DataError(f"the head must be a torch.nn.Linear, not {type(head).__name__}")
    if head.in_features != size:
        raise DataError(f"the head takes {head.in_features} numbers; the hidden state has {size}")


# -------------------------------------------------------------------------------------------------------------- numbers
def _array(tensor: Any) -> Array:
    found: Array = tensor.detach().cpu().numpy().copy()
    return found


def _read(module: Any, kind: str, tag: str, place: str) -> dict[str, Array]:
    """The parameters of one layer and direction."""
    gates, W = GATES[kind], _array(getattr(module, f"weight_hh_{place}"))
    U = _array(getattr(module, f"weight_ih_{place}"))
    none = np.zeros(len(W), W.dtype)
    inner, outer = (_array(getattr(module, f"bias_{name}_{place}")) if module.bias else none for name in ("hh", "ih"))
    own: dict[str, Array] = {}
    for gate, *parts in zip(gates, *(np.split(a, len(gates)) for a in (W, U, inner, outer)), strict=True):
        after = kind == "GRU" and gate == "_n"  # the reset gate acts on this bias
        own |= {f"W{gate}{tag}": parts[0], f"U{gate}{tag}": parts[1]}
        own[f"b{gate}{tag}"] = parts[3] if after else parts[2] + parts[3]
        if after:
            own[f"d_n{tag}"] = parts[2]
    return own


def _given(theta: Mapping[str, Any], name: str) -> Array:
    if name not in theta:
        raise DataError(f"parameter {name!r} is missing; give what from_torch gives for such a module")
    return np.asarray(theta[name])


def _written(theta: Mapping[str, Any], module: Any, kind: str, tag: str, place: str) -> dict[str, Array]:
    """torch's parameters of one layer and direction."""
    stacked = {letter: np.concatenate([_given(theta, letter + g + tag) for g in GATES[kind]]) for letter in "WUb"}
    found = {f"weight_hh_{place}": stacked["W"], f"weight_ih_{place}": stacked["U"]}
    second = np.zeros_like(stacked["b"])
    if kind == "GRU":
        inside = _given(theta, f"d_n{tag}")
        second[len(second) - len(inside) :] = inside
    if module.bias:
        return found | {f"bias_ih_{place}": stacked["b"], f"bias_hh_{place}": second}
    if np.any(stacked["b"]) or np.any(second):
        raise DataError("the module has no biases (bias=False), but the parameters have some")
    return found

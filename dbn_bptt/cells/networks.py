"""Ready templates: recurrent networks as they stand in textbooks.

Each has the output layer o_t = c + V h_t. With ``output="softmax"`` there is yhat_t = softmax(o_t), the target y is a
class (or probabilities) and the loss is the cross-entropy; with ``output="linear"`` o_t itself is compared with a
target vector by half the squared distance.

A *layer* is the recurrent part alone: a function that adds its variables to a template and returns the hidden state.
`stacked` and `bidirectional` combine layers by name, or your own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError, unknown_name
from dbn_bptt.template.builder import At, SliceTemplate
from dbn_bptt.template.expressions import Expression, Reference

Output = Literal["softmax", "linear"]
Activation = Literal["tanh", "sigmoid", "relu", "identity"]
ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "relu": ops.relu,
    "identity": lambda a: a,
}


class Layer(Protocol):
    """The recurrent part of a cell: adds variables whose names end in `tag` and returns the hidden state.

    A layer with `reverse` reads the hidden state of the next slice where others read that of the previous one.
    """

    def __call__(
        self, t: SliceTemplate, x: Expression, n_hidden: int, tag: str = "", reverse: bool = False
    ) -> Reference:
        """Add the layer to a template."""


def elman_layer(
    t: SliceTemplate,
    x: Expression,
    n_hidden: int,
    tag: str = "",
    reverse: bool = False,
    activation: Activation = "tanh",
) -> Reference:
    """a_t = b + W h_{t-1} + U x_t, h_t = activation(a_t)."""
    (W, U, b) = _affine(t, x, n_hidden, tag)
    a, h = t.variable("a" + tag, n_hidden), t.variable("h" + tag, n_hidden)
    t.define(a, b + W @ _before(h, reverse) + U @ x)
    t.define(h, _activation(activation)(a))
    return h


def lstm_layer(t: SliceTemplate, x: Expression, n_hidden: int, tag: str = "", reverse: bool = False) -> Reference:
    """Input gate i, forget gate f, output gate q, candidate g, cell state s (torch's i, f, o, g, c)."""
    weights = {gate: _affine(t, x, n_hidden, f"_{gate}{tag}") for gate in "ifgq"}
    i, f, g, q, s, h = (t.variable(name + tag, n_hidden) for name in "ifgqsh")
    before = _before(h, reverse)
    for name, gate in zip("ifgq", (i, f, g, q), strict=True):
        W, U, b = weights[name]
        squash = ops.tanh if name == "g" else ops.sigmoid
        t.define(gate, squash(b + W @ before + U @ x))
    t.define(s, f * _before(s, reverse) + i * g)
    t.define(h, q * ops.tanh(s))
    return h


def gru_layer(
    t: SliceTemplate, x: Expression, n_hidden: int, tag: str = "", reverse: bool = False,
    reset: Literal["after", "before"] = "after",
) -> Reference:  # fmt: skip
    """Reset gate r, update gate z, candidate n; h_t = (1 - z_t) n_t + z_t h_{t-1}.

    The reset gate acts after the recurrent product, as in torch and cuDNN: n = tanh(b + U x + r (d + W h)), or before
    it, as in Cho et al. (2014): n = tanh(b + U x + W (r h)).
    """
    if reset not in ("after", "before"):
        raise TemplateError(f"reset={reset!r} is not 'after' or 'before' (the recurrent product)")
    weights = {gate: _affine(t, x, n_hidden, f"_{gate}{tag}") for gate in "rzn"}
    d = t.parameter("d_n" + tag, (n_hidden,)) if reset == "after" else None
    r, z, n, h = (t.variable(name + tag, n_hidden) for name in "rznh")
    before = _before(h, reverse)
    for name, gate in (("r", r), ("z", z)):
        W, U, b = weights[name]
        t.define(gate, ops.sigmoid(b + W @ before + U @ x))
    W, U, b = weights["n"]
    recurrent = W @ (r * before) if d is None else r * (d + W @ before)
    t.define(n, ops.tanh(b + U @ x + recurrent))
    t.define(h, (1 - z) * n + z * before)
    return h


LAYERS: Mapping[str, Layer] = {"elman": elman_layer, "lstm": lstm_layer, "gru": gru_layer}


def both_directions(layer: str | Layer) -> Layer:
    """A layer that runs one copy forwards and one backwards in time and joins their hidden states.

    Examples
    --------
    >>> deep = stacked([both_directions("lstm"), both_directions("lstm")], n_inputs=3, n_hidden=4, n_outputs=2)
    >>> [name for name in deep.names("variable") if name.startswith("h")]
    ['h1_fw', 'h1_bw', 'h1', 'h2_fw', 'h2_bw', 'h2']
    """
    make = _layer(layer)

    def both(t: SliceTemplate, x: Expression, n_hidden: int, tag: str = "", reverse: bool = False) -> Reference:
        parts = [make(t, x, n_hidden, tag + "_fw"), make(t, x, n_hidden, tag + "_bw", reverse=True)]
        h = t.variable("h" + tag, 2 * n_hidden)
        t.define(h, ops.concatenate(parts))
        return h

    return both


def elman(
    n_inputs: int, n_hidden: int, n_outputs: int, activation: Activation = "tanh",
    output: Output = "softmax", loss_at: At = "every",
) -> SliceTemplate:  # fmt: skip
    """The Elman network: a_t = b + W h_{t-1} + U x_t, h_t = activation(a_t), o_t = c + V h_t.

    Examples
    --------
    >>> elman(n_inputs=3, n_hidden=4, n_outputs=2)
    SliceTemplate 'Elman network': parameters W, U, b, V, c; inputs x; variables a, h, o, yhat; loss L
    """
    layer = partial(elman_layer, activation=activation)
    return network("Elman network", [layer], [""], n_inputs, n_hidden, n_outputs, output, loss_at)


def lstm(
    n_inputs: int, n_hidden: int, n_outputs: int, output: Output = "softmax", loss_at: At = "every"
) -> SliceTemplate:
    """The LSTM with forget gate; gates i, f, q, candidate g, cell state s, each with its own W, U, b.

    Examples
    --------
    >>> lstm(n_inputs=3, n_hidden=4, n_outputs=2).names("variable")
    ['i', 'f', 'g', 'q', 's', 'h', 'o', 'yhat']
    """
    return network("LSTM", [lstm_layer], [""], n_inputs, n_hidden, n_outputs, output, loss_at)


def gru(
    n_inputs: int, n_hidden: int, n_outputs: int, reset: Literal["after", "before"] = "after",
    output: Output = "softmax", loss_at: At = "every",
) -> SliceTemplate:  # fmt: skip
    """The GRU, with the reset gate after (torch) or before (Cho et al.) the recurrent product.

    Examples
    --------
    >>> gru(n_inputs=3, n_hidden=4, n_outputs=2, reset="before").names("variable")
    ['r', 'z', 'n', 'h', 'o', 'yhat']
    """
    layer = partial(gru_layer, reset=reset)
    return network("GRU", [layer], [""], n_inputs, n_hidden, n_outputs, output, loss_at)


def jordan(
    n_inputs: int, n_hidden: int, n_outputs: int, teacher_forcing: bool = False, activation: Activation = "tanh",
    output: Output = "softmax", loss_at: At = "every",
) -> SliceTemplate:  # fmt: skip
    """The Jordan network: the previous output feeds back, or with teacher forcing the previous target.

    The initial state is that of yhat (of o where the output is linear), with teacher forcing that of y, as a vector.

    Examples
    --------
    >>> jordan(n_inputs=3, n_hidden=4, n_outputs=2)
    SliceTemplate 'Jordan network': parameters W, U, b, V, c; inputs x; variables a, h, o, yhat; loss L
    """
    t = SliceTemplate("Jordan network")
    x = t.input("x", n_inputs)
    W, U, b = (
        t.parameter("W", (n_hidden, n_outputs)),
        t.parameter("U", (n_hidden, n_inputs)),
        t.parameter("b", n_hidden),
    )
    V, c = t.parameter("V", (n_outputs, n_hidden)), t.parameter("c", n_outputs)
    y = _target(t, n_outputs, output)
    a, h, o = t.variable("a", n_hidden), t.variable("h", n_hidden), t.variable("o", n_outputs)
    fed_back = o
    if output == "softmax":
        fed_back = t.variable("yhat", n_outputs)
        t.define(fed_back, ops.softmax(o))
    t.define(a, b + W @ (y if teacher_forcing else fed_back).prev + U @ x)
    t.define(h, _activation(activation)(a))
    t.define(o, c + V @ h)
    _loss(t, o, y, output, loss_at)
    return t


def stacked(
    layers: Sequence[str | Layer], n_inputs: int, n_hidden: int, n_outputs: int,
    output: Output = "softmax", loss_at: At = "every",
) -> SliceTemplate:  # fmt: skip
    """Layers on top of each other, by name ("elman", "lstm", "gru") or as functions; h1 is the state of the lowest.

    Options of a layer go in by `functools.partial(elman_layer, activation="relu")`. A Jordan network has no layer: its
    recurrence passes through the output.

    Examples
    --------
    >>> stacked(["lstm", "gru"], n_inputs=3, n_hidden=4, n_outputs=2).names("variable")[-4:]
    ['n2', 'h2', 'o', 'yhat']
    """
    if isinstance(layers, str) or not isinstance(layers, Sequence) or not layers:
        raise TemplateError(f"layers={layers!r}; give a list of layers, for example ['lstm', 'lstm']")
    title = "stack of " + ", ".join(m if isinstance(m, str) else "layer" for m in layers)
    tags = [str(k) for k in range(1, len(layers) + 1)]
    return network(title, [_layer(m) for m in layers], tags, n_inputs, n_hidden, n_outputs, output, loss_at)


def bidirectional(
    layer: str | Layer, n_inputs: int, n_hidden: int, n_outputs: int,
    output: Output = "softmax", loss_at: At = "every",
) -> SliceTemplate:  # fmt: skip
    """One layer forwards (h_fw) and one backwards (h_bw) in time; the output sees both.

    Examples
    --------
    >>> bidirectional("elman", n_inputs=3, n_hidden=4, n_outputs=2).names("variable")
    ['a_fw', 'h_fw', 'a_bw', 'h_bw', 'h', 'o', 'yhat']
    """
    title = f"bidirectional {layer if isinstance(layer, str) else 'layer'}"
    return network(title, [both_directions(layer)], [""], n_inputs, n_hidden, n_outputs, output, loss_at)


def network(
    title: str, layers: Sequence[Layer], tags: Sequence[str], n_inputs: int, n_hidden: int, n_outputs: int,
    output: Output, loss_at: At,
) -> SliceTemplate:  # fmt: skip
    """Layers with tags on top of each other, and an output layer."""
    t = SliceTemplate(title)
    h: Reference = t.input("x", n_inputs)
    for layer, tag in zip(layers, tags, strict=True):
        h = layer(t, h, n_hidden, tag)
    V, c = t.parameter("V", (n_outputs, *h.shape)), t.parameter("c", n_outputs)
    y = _target(t, n_outputs, output)
    o = t.variable("o", n_outputs)
    t.define(o, c + V @ h)
    if output == "softmax":
        t.define(t.variable("yhat", n_outputs), ops.softmax(o))
    _loss(t, o, y, output, loss_at)
    return t


def _target(t: SliceTemplate, n_outputs: int, output: str) -> Reference:
    if output not in ("softmax", "linear"):
        raise TemplateError(f"output={output!r} is not 'softmax' or 'linear'")
    return t.target("y", classes=n_outputs) if output == "softmax" else t.target("y", n_outputs)


def _loss(t: SliceTemplate, o: Reference, y: Reference, output: str, loss_at: At) -> None:
    t.loss("L", ops.cross_entropy(o, y) if output == "softmax" else ops.squared_error(o, y), at=loss_at)


def _affine(t: SliceTemplate, x: Expression, n_hidden: int, tag: str) -> tuple[Reference, Reference, Reference]:
    """Recurrent weights W, input weights U and bias b."""
    W = t.parameter("W" + tag, (n_hidden, n_hidden))
    return W, t.parameter("U" + tag, (n_hidden, *x.shape)), t.parameter("b" + tag, n_hidden)


def _before(state: Reference, reverse: bool) -> Reference:
    """The state that the chain has just left."""
    return state.lag(-1 if reverse else 1)


def _activation(name: str) -> Callable[[Any], Any]:
    if name not in ACTIVATIONS:
        raise unknown_name(name, ACTIVATIONS, "activation")
    return ACTIVATIONS[name]


def _layer(layer: str | Layer) -> Layer:
    if not isinstance(layer, str):
        return layer
    if layer not in LAYERS:
        raise unknown_name(layer, LAYERS, "layer")
    return LAYERS[layer]


CELLS: Mapping[str, Callable[..., SliceTemplate]] = {"elman": elman, "jordan": jordan, "lstm": lstm, "gru": gru}

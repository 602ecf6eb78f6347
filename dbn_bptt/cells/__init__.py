"""Ready recurrent networks, and those of torch."""

from dbn_bptt.cells.networks import (
    ACTIVATIONS,
    CELLS,
    LAYERS,
    Activation,
    Layer,
    Output,
    bidirectional,
    both_directions,
    elman,
    elman_layer,
    gru,
    gru_layer,
    jordan,
    lstm,
    lstm_layer,
    stacked,
)
from dbn_bptt.cells.torch_weights import from_torch, to_torch

__all__ = [
    "ACTIVATIONS", "CELLS", "LAYERS", "Activation", "Layer", "Output", "bidirectional", "both_directions", "elman",
    "elman_layer", "from_torch", "gru", "gru_layer", "jordan", "lstm", "lstm_layer", "stacked", "to_torch",
]  # fmt: skip

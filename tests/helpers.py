"""Checks that several test files share."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import dbn_bptt as db


def assert_close(actual: Any, expected: Any, tolerance: float = 1e-12, what: str = "") -> None:
    """Equal up to a difference relative to the largest entry."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    scale = max(1e-3, float(np.max(np.abs(expected), initial=0.0)))
    difference = float(np.max(np.abs(actual - expected), initial=0.0))
    assert difference <= tolerance * scale, f"{what}: differs by {difference:.2e} at scale {scale:.2e}"


def directional_difference(f: Callable[[Any], Any], at: Any, direction: Any, step: float = 1e-3) -> Any:
    """The derivative of f along a direction by the five-point rule."""
    values = [f(at + k * step * direction) for k in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def gradients(result: db.Result) -> Mapping[str, Any]:
    """All gradients of a run; an initial state's under "initial h"."""
    m = result.messages
    return {**m.gradients, **m.input_gradients, **{f"initial {n}": g for n, g in m.initial_gradients.items()}}

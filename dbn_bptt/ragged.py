"""Ragged batches: sequences of several lengths in one array.

`ragged(template)` is a template again, with two more inputs made from the lengths: `valid` is 1 while a sequence runs
and `ends` is 1 in its last slice. A state stops at its sequence's length, in both directions, and later slices count
nothing. The engines know nothing of lengths.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dbn_bptt import ops
from dbn_bptt.definitions import Definition, Piece
from dbn_bptt.errors import DataError, TemplateError
from dbn_bptt.expressions import Expression, Symbol, reference
from dbn_bptt.kernels import Array
from dbn_bptt.slices import EVERY, LAST
from dbn_bptt.template import SliceTemplate
from dbn_bptt.traversal import dependencies, frames

VALID, ENDS = "valid", "ends"


def is_ragged(template: SliceTemplate) -> bool:
    """Whether a template takes lengths."""
    return VALID in template.symbols and ENDS in template.symbols


def ragged(template: SliceTemplate) -> SliceTemplate:
    """The template of a ragged batch.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> print(db.equations(db.ragged(db.cells.elman(3, 4, 2)), format="text").splitlines()[1])
    h_t = (tanh(a_t) if valid_t else h_{t-1})
    """
    template.check()
    if template.origin is not None:
        raise TemplateError("take the adjoint of the ragged template: db.adjoint(db.ragged(template))")
    result = SliceTemplate(template.name)
    for name, symbol in template.symbols.items():
        if name in (VALID, ENDS):
            raise TemplateError(f"the name {name!r} is needed for lengths; rename the template's own {name}")
        result.symbols[name] = symbol
    result.arrays.update(template.arrays)
    result.initial.update(template.initial)
    valid, ends = result.input(VALID, ()), result.input(ENDS, ())
    stops = _stops(template)
    for name, d in template.definitions.items():
        pieces = []
        for piece in d.pieces:
            if d.symbol.kind == "total":
                at_last = piece.domain == LAST
                counted = ops.select(_as_rank(ends if at_last else valid, piece.expression), piece.expression, 0.0)
                pieces.append(Piece(EVERY if at_last else piece.domain, counted))
            elif name in stops:
                state = reference(d.symbol, stops[name])
                pieces.append(Piece(piece.domain, ops.select(valid, piece.expression, state)))
            else:
                pieces.append(piece)
        result.definitions[name] = Definition(d.symbol, tuple(pieces), d.loss)
    return result


def _as_rank(mask: Expression, like: Expression) -> Any:
    return ops.reshape(mask, (1,) * like.ndim)


def _stops(template: SliceTemplate) -> dict[str, int]:
    """For each state the lag of the slice that it keeps after the end: the one before, or the one after."""
    stops: dict[str, int] = {}
    for d in template.definitions.values():
        for piece in d.pieces:
            if frames(piece.expression):
                raise TemplateError(f"{d.symbol.name} looks at another slice of an expression; name it as a variable")
            for symbol, lag, _ in dependencies(piece.expression, piece.domain):
                if lag < -1:
                    raise TemplateError(f"{symbol.name} is used {-lag} slices ahead; lengths allow one slice ahead")
                if lag < 0 and symbol.kind != "variable":
                    mend = f"define a variable v = {symbol.name} and use v.next"
                    raise TemplateError(f"{symbol.name} is data used one slice ahead; for lengths {mend}")
                if lag and symbol.kind == "variable":
                    stops[symbol.name] = min(stops.get(symbol.name, 1), 1 if lag > 0 else -1)
    return stops


def with_lengths(template: SliceTemplate, data: Mapping[str, Any], lengths: Any, T: int | None) -> Mapping[str, Any]:
    """The data with the masks that lengths stand for; each sequence is continued by its last slice.

    What the data hold beyond a length does not matter, NaN and class -1 included.
    """
    if lengths is None:
        if is_ragged(template) and not {VALID, ENDS} & set(data):
            raise DataError("the template is ragged; give lengths=, one integer for each sequence")
        return data
    if not is_ragged(template):
        raise DataError("this graph does not take lengths; unroll db.ragged(template), or call db.bptt(template, ...)")
    known = {template.symbols[name]: np.asarray(value) for name, value in data.items() if name in template.symbols}
    sizes = {symbol: a.shape[:2] for symbol, a in known.items() if _is_batch(symbol, a)}
    if known and not sizes:
        raise DataError("lengths need a batch: inputs (T, B, n) and targets (T, B)")
    ends = np.asarray(lengths)
    slices, batch = next(iter(sizes.values()), (T, ends.size))
    if slices is None or ends.shape != (batch,) or not np.issubdtype(ends.dtype, np.integer):
        raise DataError(f"lengths must be ({batch},) integers, one for each sequence, not {ends.dtype} {ends.shape}")
    if ends.min() < 1 or ends.max() > slices:
        raise DataError(f"lengths run from {ends.min()} to {ends.max()}; each must be from 1 to T = {slices}")
    t = np.arange(slices)[:, None]
    kept = np.minimum(t, ends - 1)
    masks = {VALID: (t < ends).astype(np.float32), ENDS: (t == ends - 1).astype(np.float32)}
    return {name: _continued(np.asarray(value), kept) for name, value in data.items()} | masks


def _is_batch(symbol: Symbol, array: Array) -> bool:
    classes = symbol.probabilities and np.issubdtype(array.dtype, np.integer)
    return array.ndim == 2 + (0 if classes else len(symbol.shape))


def _continued(array: Array, kept: Array) -> Array:
    """The array with row kept[t, b] of sequence b in slice t."""
    if array.shape[:2] != kept.shape:
        return array
    return np.take_along_axis(array, kept.reshape(kept.shape + (1,) * (array.ndim - 2)), 0)

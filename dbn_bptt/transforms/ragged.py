"""Ragged batches: sequences of several lengths in one array.

`ragged(template)` is a template again, so that engines know nothing of lengths. It has two more inputs made from them:
`valid` is 1 while a sequence runs and `ends` is 1 in its last slice. Beyond its end a sequence repeats its last slice:
its data do, and so does whatever an equation reads from another slice, by h_before instead of h.prev and h_after
instead of h.next. So nothing beyond the length takes values that the sequence does not take, and losses count nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dbn_bptt import ops
from dbn_bptt.errors import DataError, TemplateError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Piece
from dbn_bptt.template.domains import EVERY, FIRST, LAST, between, settled
from dbn_bptt.template.expressions import Expression, Reference, Symbol, reference
from dbn_bptt.template.template import Described, Template, checked_template
from dbn_bptt.template.traversal import dependencies, frames, transformed

VALID, ENDS = "valid", "ends"


def is_ragged(template: Described) -> bool:
    """Whether a template takes lengths."""
    return {VALID, ENDS} <= template.frozen.symbols.keys()


def ragged(template: Described) -> SliceTemplate:
    """The template of a ragged batch.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> print(db.equations(db.ragged(db.cells.elman(3, 4, 2)), format="text"))
    h_before_0 = h_{-1}
    h_before_t = (h_{t-1} if valid_t else h_before_{t-1})  for 1 <= t <= T-1
    a_t = b + W h_before_t + U x_t
    h_t = tanh(a_t)
    o_t = c + V h_t
    yhat_t = softmax(o_t)
    L = sum_t (-y_t' log(yhat_t) if valid_t else 0)
    """
    of = checked_template(template, "ragged")
    if of.origin is not None:
        raise TemplateError("take the adjoint of the ragged template: db.adjoint(db.ragged(template))")
    for name in (VALID, ENDS):
        if name in of.symbols:
            raise TemplateError(f"the name {name!r} is needed for lengths; rename the template's own {name}")
    result = SliceTemplate.of(of.rewritten(definitions={}))
    valid, ends = result.input(VALID, ()), result.input(ENDS, ())
    readings: dict[Expression, Expression] = {
        leaf: _reading(result, valid, leaf, first) for leaf, first in _readings(of).items()
    }
    for d in of.definitions.values():
        pieces = [Piece(p.domain, transformed(p.expression, lambda e: readings.get(e, e))) for p in d.pieces]
        if d.symbol.kind == "total":
            pieces = [_counted(piece, valid, ends) for piece in pieces]
        result.add(d.symbol, pieces, d.loss)
    return result


def _counted(piece: Piece, valid: Expression, ends: Expression) -> Piece:
    """A term of a total that counts while the sequence runs; one of the last slice, in that of each sequence."""
    at_last = piece.domain == LAST
    mask = ops.reshape(ends if at_last else valid, (1,) * piece.expression.ndim)
    return Piece(EVERY if at_last else piece.domain, ops.select(mask, piece.expression, 0.0))


def _readings(template: Template) -> dict[Reference, int]:
    """Every reference to another slice, and the first slice whose equations make it."""
    firsts: dict[Reference, int] = {}
    for d in template.definitions.values():
        for piece in d.pieces:
            if frames(piece.expression):
                raise TemplateError(f"{d.symbol.name} looks at another slice of an expression; name it as a variable")
            for symbol, lag, domain in dependencies(piece.expression, piece.domain):
                if lag < -1:
                    raise TemplateError(f"{symbol.name} is used {-lag} slices ahead; lengths allow one slice ahead")
                if lag:
                    leaf = reference(symbol, lag)
                    first = 0 if piece.domain == LAST else domain.low(settled([domain]))  # each sequence has its last
                    firsts[leaf] = min(first, firsts.get(leaf, first))
    return firsts


def _reading(result: SliceTemplate, valid: Reference, leaf: Reference, first: int) -> Reference:
    """The variable that is read instead of a reference to another slice."""
    ahead = leaf.delay < 0
    name = f"{leaf.name}_{'after' if ahead else 'before'}{leaf.delay if leaf.delay > 1 else ''}"
    while name in result.symbols:  # of the template's own
        name += "_"
    seen = result.variable(name, leaf.shape)
    mask = ops.reshape(valid.lag(-1) if ahead else valid, (1,) * leaf.ndim)
    stopped = ops.select(mask, leaf, seen.lag(-1 if ahead else 1))
    if ahead:
        pieces = [Piece(LAST, leaf), Piece(between(0, -1), stopped)]
    else:
        pieces = [Piece(FIRST.shifted(first) & EVERY, leaf), Piece(between(first + 1, 0), stopped)]
    result.add(seen.symbol, pieces)
    return seen


def with_lengths(template: Template, data: Mapping[str, Any], lengths: Any, T: int | None) -> Mapping[str, Any]:
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
    kept = np.minimum(np.arange(slices)[:, None], ends - 1)
    return {name: _continued(np.asarray(value), kept) for name, value in data.items()} | masks(ends, slices)


def masks(lengths: Array, T: int) -> dict[str, Array]:
    """The inputs of a ragged template that say where each sequence runs, and where it ends."""
    t = np.arange(T)[:, None]
    return {VALID: (t < lengths).astype(np.float32), ENDS: (t == lengths - 1).astype(np.float32)}


def _is_batch(symbol: Symbol, array: Array) -> bool:
    classes = symbol.probabilities and np.issubdtype(array.dtype, np.integer)
    return array.ndim == 2 + (0 if classes else len(symbol.shape))


def _continued(array: Array, kept: Array) -> Array:
    """The array with row kept[t, b] of sequence b in slice t."""
    if array.shape[:2] != kept.shape:
        return array
    return np.take_along_axis(array, kept.reshape(kept.shape + (1,) * (array.ndim - 2)), 0)

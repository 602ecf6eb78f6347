"""Segments: a template run over a part of its slices, from a state to a state.

A segment is a template again. It begins in the states that the slices before it left, and ends with one loss more: the
states that it leaves, times what the slices after it say of them. So its gradient with respect to its initial states is
what it says to the segment before, and any program can run it.
"""

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import AFTER_FIRST, EVERY, FIRST, LAST, Domain
from dbn_bptt.template.template import SliceTemplate
from dbn_bptt.template.traversal import frames

LATER = "said_later_of_"


def segment(template: SliceTemplate, is_first: bool, is_last: bool) -> SliceTemplate:
    """The template of a segment: without the first-slice equations, unless it is the first, and so on.

    Unless it is the last, ``said_later_of_h`` is what is said of h in its last slices, as an initial state after the
    end.
    """
    result = equations_of(template, is_first, is_last)
    if not is_last:
        for name, rows in carried(template).items():
            later = result.input(LATER + name, template.symbols[name].shape, default=0.0)
            ends = Domain(LAST.shifted(1 - rows).lows, LAST.highs)
            _add_terminal_loss(result, name, Piece(ends, ops.sum(template[name] * later.lag(-rows))))
    return result


def equations_of(template: SliceTemplate, is_first: bool, is_last: bool) -> SliceTemplate:
    """The template of the equations that hold in a segment."""
    result = template.copy()
    result.definitions.clear()
    if not is_first:
        result.initial.clear()
    for name, d in template.definitions.items():
        if any(frames(p.expression) for p in d.pieces):
            raise TemplateError(f"{name} looks at another slice of an expression; for segments name it as a variable")
        kept = [Piece(domain, p.expression) for p in d.pieces if (domain := _domain(p.domain, name, is_first, is_last))]
        if kept:
            result.definitions[name] = Definition(d.symbol, tuple(kept), d.loss)
        else:
            del result.symbols[name]
    return result


def _add_terminal_loss(result: SliceTemplate, name: str, piece: Piece) -> None:
    result.total(f"terminal_{name}", 0.0)
    symbol = result.symbols[f"terminal_{name}"]
    result.definitions[symbol.name] = Definition(symbol, (piece,), loss=True)


def _domain(domain: Domain, name: str, is_first: bool, is_last: bool) -> Domain | None:
    """The slices of a segment on which a piece holds; None if on none."""
    if domain == EVERY:
        return EVERY
    if domain in (FIRST, AFTER_FIRST):
        return domain if is_first else None if domain == FIRST else EVERY
    if domain == LAST:
        return LAST if is_last else None
    raise TemplateError(f"{name} has an equation for {domain}; segments know those of the first and the last slice")


def carried(template: SliceTemplate) -> dict[str, int]:
    """How many slices of each variable a segment needs of those before it."""
    reaches = equations_of(template, is_first=False, is_last=False).reaches()
    others = {
        "at the start": equations_of(template, is_first=True, is_last=False).reaches(),
        "at the end": equations_of(template, is_first=False, is_last=True).reaches(),
        "in one piece": template.reaches(),
    }
    for where, found in others.items():
        for name, (before, after) in found.items():
            middle = reaches.get(name, (0, 0))[0]
            if after or any(reaches.get(name, (0, 0))[1:]):
                raise TemplateError(f"{name} is used in slices to come; only forward chains can be cut into segments")
            is_given_first = where != "at the end" and (before, middle) == (0, 1) and _is_variable(template, name)
            if before != middle and not is_given_first:
                raise TemplateError(
                    f"{name} is read {before} slices back {where} and {middle} elsewhere; segments need one"
                )
    return {name: before for name, (before, _) in reaches.items() if before and _is_variable(template, name)}


def _is_variable(template: SliceTemplate, name: str) -> bool:
    return template.symbols[name].kind == "variable"

"""Segments: a template run over a part of its slices, from a state to a state.

A segment is a template again. It begins in the states that the slices before it left, and ends with one loss more: the
states that it leaves, times what the slices after it say of them. So its gradient with respect to its initial states is
what it says to the segment before, and any program can run it.
"""

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.template.builder import SliceTemplate
from dbn_bptt.template.definitions import Definition, Piece
from dbn_bptt.template.domains import AFTER_FIRST, EVERY, FIRST, LAST, Domain
from dbn_bptt.template.structure import unused_names
from dbn_bptt.template.template import Template
from dbn_bptt.template.traversal import frames


def segment(template: Template, is_first: bool, is_last: bool) -> Template:
    """The template of a segment: without the first-slice equations, unless it is the first, and so on.

    Unless it is the last, the `partners` of its states are inputs: what is said of a state in the last slices, as an
    initial state after the end.
    """
    result = SliceTemplate.of(equations_of(template, is_first, is_last))
    if is_last:
        return result.frozen
    later, terms = unused_names(template, "_said_later"), unused_names(template, "_term")
    rows_of = carried(template)
    for name, rows in rows_of.items():
        said = result.input(later[name], template.symbols[name].shape, default=0.0)
        ends = Domain(LAST.shifted(1 - rows).lows, LAST.highs)
        result.loss(terms[name], ops.sum(template[name] * said.lag(-rows)), at=ends)
    return result.frozen.rewritten(partners={name: later[name] for name in rows_of})


def equations_of(template: Template, is_first: bool, is_last: bool) -> Template:
    """The template of the equations that hold in a segment."""
    definitions = {}
    for name, d in template.definitions.items():
        if any(frames(p.expression) for p in d.pieces):
            raise TemplateError(f"{name} looks at another slice of an expression; for segments name it as a variable")
        kept = [Piece(domain, p.expression) for p in d.pieces if (domain := _domain(p.domain, name, is_first, is_last))]
        if kept:
            definitions[name] = Definition(d.symbol, tuple(kept), d.loss)
    gone = template.definitions.keys() - definitions.keys()
    symbols = {name: symbol for name, symbol in template.symbols.items() if name not in gone}
    return template.rewritten(symbols=symbols, definitions=definitions, initial=template.initial if is_first else {})


def _domain(domain: Domain, name: str, is_first: bool, is_last: bool) -> Domain | None:
    """The slices of a segment on which a piece holds; None if on none."""
    if domain not in (EVERY, FIRST, AFTER_FIRST, LAST):
        raise TemplateError(f"{name} has an equation for {domain}; segments know those of the first and the last slice")
    if (domain == FIRST and not is_first) or (domain == LAST and not is_last):
        return None
    return EVERY if domain == AFTER_FIRST and not is_first else domain


def carried(template: Template) -> dict[str, int]:
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
                read = f"{name} is read {before} slices back {where} and {middle} elsewhere"
                raise TemplateError(f"{read}; segments need one")
    return {name: before for name, (before, _) in reaches.items() if before and _is_variable(template, name)}


def _is_variable(template: Template, name: str) -> bool:
    return template.symbols[name].kind == "variable"

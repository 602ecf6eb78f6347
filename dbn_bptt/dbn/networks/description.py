"""What a slice tells the next one, and what a slice costs, in words."""

from math import prod
from typing import Any

from dbn_bptt.dbn.networks.network import Name, Network
from dbn_bptt.dbn.networks.reading import read
from dbn_bptt.dbn.polynomial.contraction import Label, Labels, path
from dbn_bptt.dbn.polynomial.forward import Structure, about, parts, structure
from dbn_bptt.dbn.polynomial.forward import interface as interface_of
from dbn_bptt.errors import ModelError
from dbn_bptt.template.structure import interface as interface_of_template
from dbn_bptt.template.template import Described, Template


def interface(model: Any) -> list[Any]:
    """The variables of a slice that have children in slices to come: all that the past tells the future (Murphy 2002).

    Parameters
    ----------
    model : pgmpy DynamicBayesianNetwork, with or without CPDs; or a `Network`; or SliceTemplate

    Examples
    --------
    >>> import dbn_bptt as db
    >>> from dbn_bptt.dbn import interface, umbrella
    >>> interface(umbrella()), interface(db.cells.lstm(n_inputs=3, n_hidden=4, n_outputs=2))
    (['Rain'], ['s', 'h'])
    """
    if isinstance(model, Described):
        return list(interface_of_template(model))
    if isinstance(model, Network):
        return [name for name, lag in interface_of(structure(model), model.names) if lag == 0]
    if not hasattr(model, "get_inter_edges"):
        raise ModelError(f"give a pgmpy DynamicBayesianNetwork or a SliceTemplate, not {type(model).__name__}")
    return list(dict.fromkeys(u[0] for u, _ in model.get_inter_edges()))


def summary(model: Any) -> str:
    """The interface of a model, the size of its messages, and the cost of a slice of inference, as text.

    Examples
    --------
    >>> from dbn_bptt.dbn import summary, umbrella
    >>> print(summary(umbrella()))
    2 variables a slice: Rain (2 states), Umbrella (2 states)
    Rain, Umbrella
      interface to the next slice: Rain; its message has 2 numbers
      order of elimination in a slice: Rain of the slice before, Umbrella
      a slice takes about 20 additions and multiplications; its largest table has 2 entries
    """
    if isinstance(model, Described):
        return _of_template(model.frozen)
    network = read(model)
    of = structure(network)
    listed = ", ".join(f"{name} ({size} states)" for name, size in of.sizes)
    lines = [f"{len(of.sizes)} variables a slice: {listed}"]
    if network.channels:
        vectors = ", ".join(f"{name} ({vector.size})" for name, vector in network.channels.items())
        lines.append(f"observed vectors, and how many numbers they have: {vectors}")
    for part in parts(of):
        lines += [", ".join(map(str, part)), *(f"  {line}" for line in _of_part(of, part))]
    return "\n".join(lines)


def _of_part(of: Structure, part: list[Name]) -> list[str]:
    """The lines about one part of a network."""
    sizes, state = dict(of.sizes), interface_of(of, part)
    factors: list[Labels] = [((name, 0), *of.parents(name, of.order)) for name in part]
    factors += [((name, 0),) for name in part]
    factors += [tuple((name, 0) for name in group) for group in of.joint if group[0] in part]
    messages = [labels for labels in about(of).values() if labels[0][0] in part]
    factors = [*(tuple((name, lag + 1) for name, lag in labels) for labels in messages), *factors]
    paths = [path(factors, labels, sizes) for labels in messages or [()]]
    lines = ["interface to the next slice: none; its slices are independent of each other"]
    if state:
        numbers = " and ".join(str(prod(sizes[name] for name, _ in labels)) for labels in messages)
        held = "its message has" if len(messages) == 1 else "approximated by messages of"
        lines = [f"interface to the next slice: {', '.join(map(_told, state))}; {held} {numbers} numbers"]
    gone = ", ".join(map(_told, _order(factors, paths[0][0], {*(messages[0] if messages else ())})))
    lines.append(f"order of elimination in a slice: {gone}")
    cost, largest = (
        sum(int(info.opt_cost) for _, info in paths),
        max(int(info.largest_intermediate) for _, info in paths),
    )
    lines.append(f"a slice takes about {cost} additions and multiplications; its largest table has {largest} entries")
    return lines


def _told(label: Label) -> str:
    """A variable of this slice or of one before."""
    name, lag = label
    return f"{name}" + (f" of {lag} slices before" if lag > 1 else " of the slice before" if lag else "")


def _order(factors: list[Labels], steps: list[tuple[int, ...]], kept: set[Label]) -> list[Label]:
    """The variables in the order in which they are summed out."""
    left = list(factors)
    gone: list[Label] = []
    for places in steps:
        product = {label for k in places for label in left[k]}
        left = [labels for k, labels in enumerate(left) if k not in places]
        needed = kept.union(*map(set, left))
        gone += sorted((label for label in product if label not in needed), key=str)
        left.append(tuple(label for label in product if label in needed))
    return gone


def _of_template(template: Template) -> str:
    state = interface_of_template(template)
    numbers = sum(prod(template.symbols[name].shape) for name in state)
    names = ", ".join(template.names("variable"))
    told = f"{', '.join(state)} ({numbers} numbers)" if state else "none; its slices are independent of each other"
    return f"{template.name}: variables {names}\n  interface to the next slice: {told}"

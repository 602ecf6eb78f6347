"""The pullback of an equation: from the adjoint of its result, the message to each of its arguments.

It applies the VJP rows of the table, last operation first. Evaluated on arrays it is the step of the reverse sweep that
one node takes; as an expression it is a term of the adjoint template.
"""

from collections.abc import Callable

from dbn_bptt import ops
from dbn_bptt.expressions import Apply, Constant, Expression, Reference, Window
from dbn_bptt.traversal import walk

Place = tuple[Apply | None, int]


def pullback(
    root: Expression,
    value: Expression,
    seed: Expression,
    name: Callable[[Expression, Expression], Expression] = lambda e, g: g,
) -> tuple[dict[Place, Expression], list[tuple[Window, Expression]]]:
    """The messages that an equation sends to its arguments, given the adjoint of its result.

    Parameters
    ----------
    root : Expression
        The right-hand side.
    value : Expression
        What stands for the value of the root: the variable that it defines.
    seed : Expression
        The adjoint of the root.
    name : function, optional
        Called with each operation below the root and its adjoint; may return another expression for the latter.

    Returns
    -------
    messages : dict
        For each place of `uses(root)` the message; no entry where the derivative is zero by definition.
    windows : list
        The windows in the equation with their adjoints.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate()
    >>> w, h, g = t.parameter("w", ()), t.variable("h", ()), t.variable("g", ())
    >>> messages, _ = pullback(db.exp(w * h.prev), value=h, seed=g)
    >>> list(messages.values())
    [batch_sum(multiply(multiply(g, h), h.prev), rank=0), multiply(multiply(g, h), w)]
    """
    if isinstance(root, Reference):
        return {(None, 0): _summed(seed, root)}, []
    adjoints: dict[Expression, Expression] = {root: seed}
    messages: dict[Place, Expression] = {}
    for e in reversed(walk([root])):
        if not isinstance(e, Apply) or e not in adjoints:
            continue
        y, g = (value, seed) if e is root else (e, name(e, adjoints[e]))
        for position, argument in enumerate(e.arguments):
            vjp = e.operation.vjp(position)
            if vjp is None or isinstance(argument, Constant):
                continue
            message = vjp(g, y, *e.arguments, **dict(e.attributes))
            if isinstance(argument, Reference):
                messages[e, position] = _summed(message, argument)
            else:
                adjoints[argument] = adjoints[argument] + message if argument in adjoints else message
    return messages, [(e, g) for e, g in adjoints.items() if isinstance(e, Window)]


def _summed(message: Expression, to: Reference) -> Expression:
    """A parameter has no batch: it gets the sum of the messages of all sequences."""
    summed: Expression = message if to.symbol.timed else ops.batch_sum(message, rank=to.ndim)
    return summed

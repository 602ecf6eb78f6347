"""The pullback of an equation: from the adjoint of its result, the message to each of its arguments.

It applies the VJP rows of the table, last operation first. Evaluated on arrays it is the step of the reverse sweep that
one node takes; as an expression it is a term of the adjoint template.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbn_bptt import ops
from dbn_bptt.errors import TemplateError
from dbn_bptt.template.expressions import Apply, Constant, Expression, Reference, Window, constant
from dbn_bptt.template.traversal import uses, walk

Place = tuple[Apply | None, int]


@dataclass(frozen=True)
class Pulled:
    """What an equation sends back."""

    messages: dict[Place, Expression]  # by place of `uses(root)`; none where the derivative is zero by definition
    sent: list[tuple[int, Reference, Expression]]  # the same in order: number of the place, what it uses, message
    windows: list[tuple[Window, Expression]]  # the windows in the equation with their adjoints
    inner: dict[Expression, Expression]  # the operations in the equation with their adjoints


def pullback(root: Expression, value: Expression, seed: Expression) -> Pulled:
    """The messages that a right-hand side sends to its arguments, given the adjoint of its result.

    `value` stands for the value of the root: the variable that it defines. `seed` is the adjoint of the root.
    """
    adjoints: dict[Expression, Expression] = {root: seed}
    messages: dict[Place, Expression] = {(None, 0): _summed(seed, root)} if isinstance(root, Reference) else {}
    for e in reversed(walk([root])):
        if not isinstance(e, Apply) or e not in adjoints:
            continue
        y, g = value if e is root else e, adjoints[e]
        for position, argument in enumerate(e.arguments):
            vjp = e.operation.vjp(position)
            if vjp is None or isinstance(argument, Constant):
                continue
            message = _message(e, position, vjp, g, y)
            if isinstance(argument, Reference):
                messages[e, position] = _summed(message, argument)
            else:
                adjoints[argument] = adjoints[argument] + message if argument in adjoints else message
    places = [((user, position), leaf) for user, position, leaf in uses(root)]
    sent = [(key, leaf, messages[place]) for key, (place, leaf) in enumerate(places) if place in messages]
    windows = [(e, g) for e, g in adjoints.items() if isinstance(e, Window)]
    inner: dict[Expression, Expression] = {e: g for e, g in adjoints.items() if isinstance(e, Apply) and e is not root}
    return Pulled(messages, sent, windows, inner)


def _message(e: Apply, position: int, vjp: Callable[..., Any], g: Expression, y: Expression) -> Expression:
    """The VJP of an operation for one of its arguments."""
    try:
        message = vjp(g, y, *e.arguments, **dict(e.attributes))
    except (TypeError, ValueError, AttributeError) as error:
        mend = "it gets (g, y, *arguments) as expressions and must use the package's operations"
        raise TemplateError(f"the VJP of {e.operation.name} for argument {position}: {error}; {mend}") from None
    message = message if isinstance(message, Expression) else constant(message)
    if e.operation.elementwise and (message.shape == e.shape or isinstance(message, Constant)):
        message = ops.sum_to(message, e.arguments[position])
    if message.shape != e.arguments[position].shape:
        shapes = f"{message.shape} for an argument of shape {e.arguments[position].shape}"
        raise TemplateError(f"the VJP of {e.operation.name} for argument {position} returns shape {shapes}")
    return message


def _summed(message: Expression, to: Reference) -> Expression:
    """A parameter has no batch: it gets the sum of the messages of all sequences."""
    return message if to.symbol.timed else ops.batch_sum(message, rank=to.ndim)


def unsummed(message: Expression) -> Expression:
    """A message to a parameter before the sum over the batch, which a total takes anyway."""
    return message.arguments[0] if isinstance(message, Apply) and message.operation.over_batch else message

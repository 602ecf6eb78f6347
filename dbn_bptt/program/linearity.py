"""How a scan depends on what it carries, read off its operations.

An operation is affine in an argument if its derivative, as the row's VJP writes it, mentions neither that argument nor
the result, and if its kernel does as the derivative says, which that of a straight-through unit does not. A scan all of
whose operations are affine in what is carried, jointly, is an affine scan. A forward recursion of a network divides
what is linear in the message by a sum of that: up to a scale it is linear, over sums and products, or, where there are
logarithms, over maxima and sums, or over sums of exponentials.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from dbn_bptt.ops.rows import Fold, Move, Operation, Quotient, Sum
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.instructions import Instruction, Loop, Place
from dbn_bptt.template.expressions import Apply, Expression, Symbol, reference
from dbn_bptt.template.traversal import uses

Tag = Literal["constant", "linear", "affine", "other"]
Rule = Callable[[Apply, list[Tag]], Tag]
Key = tuple[str, int | None]


@dataclass(frozen=True)
class Semiring:
    """What sums and products are.

    Attributes
    ----------
    name : what it is called where it runs
    rule : from an operation and the tags of its arguments to the tag of its result
    is_ratio : whether an operation divides its first argument by its second
    """

    name: str
    rule: Rule
    is_ratio: Callable[[Operation], bool]


@dataclass(frozen=True)
class Homogeneous:
    """A scan that is linear up to its scale.

    Attributes
    ----------
    semiring : over what
    at : the place in the loop's body of the instruction that divides by the scale
    """

    semiring: Semiring
    at: int


Reading = Literal["affine", "newton"] | Homogeneous


def reading(loop: Loop, carried: Iterable[Place], base: Callable[[Place], Place]) -> Reading:
    """How a loop depends on the rows that it carries.

    `base` tells of which array a temporary array is a view.
    """
    rows = list(carried)
    names = {place.array for place in rows}
    tags = _tags(loop, rows, base, ARITHMETIC.rule)[0]
    if all(tags.get((name, 0), "constant") != "other" for name in names):
        return "affine"
    if len(rows) == 1:
        (name,) = names
        (at,) = [k for k, item in enumerate(loop.body) if item.target == Place(name, lag=0)][-1:]
        e = loop.body[at].applies
        if e is not None and len(e.arguments) == 2 and _is_one(e.arguments[1]):
            for semiring in SEMIRINGS:
                operands = _tags(loop, rows, base, semiring.rule)[1][at]
                if semiring.is_ratio(e.operation) and operands == ["linear", "linear"]:
                    return Homogeneous(semiring, at)
    return "newton"


def _is_one(e: Expression) -> bool:
    """Whether an expression is one number a sequence."""
    return all(n == 1 for n in e.shape)


def _tags(
    loop: Loop, carried: list[Place], base: Callable[[Place], Place], rule: Rule
) -> tuple[dict[Key, Tag], list[list[Tag]]]:
    """How each place in a loop depends on what is carried at the end, and the operands of each instruction then."""
    known: dict[Key, Tag] = {(place.array, place.lag): "linear" for place in carried}
    seen: list[list[Tag]] = []
    for item in loop.body:
        operands = [known.get(_key(base(place)), "constant") for place in item.operands]
        seen.append(operands)
        known[_key(base(item.target))] = _tag(item, operands, rule)
    return known, seen


def _key(place: Place) -> Key:
    return place.array, place.lag


def _tag(item: Instruction, operands: list[Tag], rule: Rule) -> Tag:
    if item.applies is None:
        return operands[0]
    if "other" in operands:
        return "other"
    return rule(item.applies, operands) if set(operands) != {"constant"} else "constant"


def _arithmetic(e: Apply, operands: list[Tag]) -> Tag:
    """Sums and products of numbers: no operation is known, only what derivatives mention."""
    moving = {k for k, tag in enumerate(operands) if tag != "constant"}
    shapes = tuple(a.shape for a in e.arguments)
    mentioned = {k: mentions(e.operation, k, shapes, e.shape, e.attributes) for k in moving}
    if any(found is None or found & (moving | {RESULT}) for found in mentioned.values()):
        return "other"
    if not is_as_its_derivative_says(e.operation, frozenset(moving), shapes, e.attributes):
        return "other"
    added = set(range(len(operands))) - moving - set().union(*(found or () for found in mentioned.values()))
    return "affine" if added or any(operands[k] == "affine" for k in moving) else "linear"


RESULT = -1


@lru_cache(maxsize=4096)
def mentions(
    operation: Operation,
    position: int,
    shapes: tuple[Shape, ...],
    shape: Shape,
    attributes: tuple[tuple[str, Hashable], ...],
) -> frozenset[int] | None:
    """Which arguments, and perhaps the result, the derivative in one argument mentions; None where there is no VJP.

    Examples
    --------
    >>> from dbn_bptt.ops import tanh
    >>> from dbn_bptt.ops.elementwise import multiply
    >>> mentions(multiply, 0, ((3,), (3,)), (3,), ()), mentions(tanh, 0, ((3,),), (3,), ())
    (frozenset({1}), frozenset({-1}))
    """
    vjp = operation.vjp(position)
    if vjp is None:
        return None
    places = {f"argument {k}": k for k in range(len(shapes))} | {"result": RESULT}
    arguments = [reference(Symbol(f"argument {k}", s, "variable")) for k, s in enumerate(shapes)]
    g, y = (reference(Symbol(name, shape, "variable")) for name in ("message", "result"))
    message = vjp(g, y, *arguments, **dict(attributes))
    if not isinstance(message, Expression):
        return frozenset()
    return frozenset(places[leaf.name] for _, _, leaf in uses(message) if leaf.name in places)


@lru_cache(maxsize=4096)
def is_as_its_derivative_says(
    operation: Operation,
    moving: frozenset[int],
    shapes: tuple[Shape, ...],
    attributes: tuple[tuple[str, Hashable], ...],
) -> bool:
    """Whether a kernel is affine in some arguments together, tried with random numbers."""
    rng = np.random.default_rng(0)

    def is_additive() -> bool:
        fixed, one, other = ([rng.normal(size=shape) for shape in shapes] for _ in range(3))

        def at(a: float, b: float) -> Any:
            arguments = [a * one[k] + b * other[k] if k in moving else fixed[k] for k in range(len(shapes))]
            return operation.forward(*map(np.asarray, arguments), **dict(attributes))

        return np.allclose(at(3, 2) - at(3, 0), at(0, 2) - at(0, 0), rtol=1e-9, atol=1e-9)

    with np.errstate(all="ignore"):
        return all(is_additive() for _ in range(16))


def _folding(fold: np.ufunc) -> Rule:
    """Logarithms: sums for products, and maxima, or logarithms of sums of exponentials, for sums."""

    def rule(e: Apply, operands: list[Tag]) -> Tag:
        moving = [k for k, tag in enumerate(operands) if tag != "constant"]
        role = e.operation.role
        if len(moving) != 1:
            return "other"
        is_times = isinstance(role, Sum) and role.signs[moving[0]] > 0
        is_plus = isinstance(role, Fold) and role.ufunc is fold and moving == [0]
        return operands[moving[0]] if is_times or is_plus or isinstance(role, Move) else "other"

    return rule


def _divides(operation: Operation) -> bool:
    return isinstance(operation.role, Quotient)


def _subtracts(operation: Operation) -> bool:
    return operation.role == Sum((1, -1))


ARITHMETIC = Semiring("sums of products", _arithmetic, _divides)
SEMIRINGS = (
    ARITHMETIC,
    Semiring("maxima of sums", _folding(np.maximum), _subtracts),
    Semiring("logarithms", _folding(np.logaddexp), _subtracts),
)

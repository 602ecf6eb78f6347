"""A schedule as instructions: what is computed from what, and where it goes, as plain data.

A printer turns instructions into the text of some language; the plan of the memory is made on them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from dbn_bptt.ops.kernels import Array
from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.lower import is_linear_map
from dbn_bptt.program.schedule import Schedule
from dbn_bptt.template.expressions import Apply, Expression


@dataclass(frozen=True)
class Place:
    """Numbers that an instruction reads or writes.

    Attributes
    ----------
    array : the name of a symbol; or of a part of the program's own, such as "part 3", which no symbol can have
    slices : the first and the last slice of it that are meant
    lag : in a loop, its row so many slices before the present one
    part : what is written behind it to pick or turn it
    number : a number, instead of an array
    moves : the operations that `part` stands for, the first one first
    """

    array: str = ""
    slices: tuple[int, int] | None = None
    lag: int | None = None
    part: str = ""
    number: float | None = None
    moves: tuple[Apply, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Instruction:
    """An operation, or a mere view or copy of one operand where `applies` is None.

    Attributes
    ----------
    how : it makes its target, as a new array or as a view of an operand; or it writes into it
    """

    target: Place
    applies: Apply | None
    operands: tuple[Place, ...]
    how: Literal["new", "view", "into"]

    @property
    def shows(self) -> bool:
        """Whether its target may be a view of an operand."""
        return self.how == "view" or (self.how == "new" and self.applies is not None and not is_new(self.applies))


@dataclass(frozen=True)
class Fixed:
    """A constant, written out."""

    target: Place
    array: Array


@dataclass(frozen=True)
class Allocate:
    """An array without numbers yet; with the given initial states of a variable in its first and last rows."""

    target: Place
    state: str = ""
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Total:
    """A term of a sum over slices and sequences.

    Attributes
    ----------
    operands : of a fused operation those of `applies`; of an inner product the two arrays; else what is summed
    kind : fused with the operation; the sum of all products of two arrays; the same in every slice; or a plain sum
    adds : whether the target is there already
    """

    target: Place
    sign: int
    kind: Literal["fused", "products", "static", "plain"]
    operands: tuple[Place, ...]
    applies: Expression
    slices: tuple[int, int]
    adds: bool


@dataclass(frozen=True)
class Loop:
    """Instructions slice by slice, over rows of arrays: for each row in the body, the slices that it goes over."""

    direction: int
    rows: tuple[tuple[Place, Place], ...]
    body: tuple[Instruction, ...]


@dataclass(frozen=True)
class Note:
    """What comes now, in words."""

    text: str


@dataclass(frozen=True)
class Member:
    """What is done in some slices, slice by slice; all its places are rows.

    Attributes
    ----------
    slices : the first and the last one
    direction : 1 or -1 where it has to go forwards or backwards, 0 where it does not matter
    """

    slices: tuple[int, int]
    direction: int
    body: "tuple[Instruction | Total, ...]"
    notes: tuple[str, ...] = ()

    @property
    def reads(self) -> list[Place]:
        """What it reads."""
        return [place for item in self.body for place in item.operands]

    @property
    def writes(self) -> set[str]:
        """The arrays that it writes."""
        return {item.target.array for item in self.body}


@dataclass(frozen=True)
class Sweep:
    """Members that go over the slices together."""

    slices: tuple[int, int]
    direction: int
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Fused:
    """Sweeps one after the other, as one function of loops.

    Attributes
    ----------
    own : the arrays that it makes for itself, of one slice of one sequence
    """

    sweeps: tuple[Sweep, ...]
    own: frozenset[str]

    @property
    def items(self) -> "list[Instruction | Total]":
        """Everything that is done."""
        return [item for sweep in self.sweeps for member in sweep.members for item in member.body]


Item = Instruction | Fixed | Allocate | Total | Loop | Note | Fused


@dataclass(frozen=True)
class Loops:
    """A function of loops.

    Attributes
    ----------
    text : its text
    arrays : by name, how many of the axes of slice and sequence an array has, and its core shape
    results : the arrays that it writes
    """

    text: str
    arrays: dict[str, tuple[int, Shape]]
    results: frozenset[str]


@dataclass(frozen=True)
class Extent:
    """The slices that an array holds, None for an array of a single slice, and the shape of one."""

    slices: tuple[int, int] | None
    shape: Shape


@dataclass(frozen=True)
class Listing:
    """The instructions of a program.

    Attributes
    ----------
    schedule : what they were made from
    setup : what depends on parameters and numbers alone, computed first
    items : everything else, in order
    extents : by name, the arrays that the program makes
    """

    schedule: Schedule
    setup: tuple[Item, ...]
    items: tuple[Item, ...]
    extents: dict[str, Extent]


def is_new(e: Apply) -> bool:
    """Whether an operation surely makes a new array."""
    return e.operation.fresh or is_linear_map(e)


def arrays_in(items: Iterable[Item]) -> Iterator[tuple[str, bool]]:
    """The arrays that instructions use, in order, and whether they write there."""
    for item in items:
        if isinstance(item, Loop):
            yield from ((over.array, False) for _, over in item.rows)
            yield from arrays_in(item.body)
        elif isinstance(item, Fused):
            yield from ((name, writes) for name, writes in arrays_in(item.items) if name not in item.own)
        elif not isinstance(item, Note):
            if isinstance(item, Instruction | Total):
                yield from ((p.array, False) for p in item.operands)
            yield item.target.array, True

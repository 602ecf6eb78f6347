"""Where the arrays of all slices lie: in the rows of a few large arrays, used again once what they hold is dead.

Memory that is asked for anew costs more than the work on it: the system hands it out page by page, at each first touch.
So a program asks for it once, and its arrays take turns in it.
"""

import math
import re
from dataclasses import dataclass, field

from dbn_bptt.ops.shapes import Shape
from dbn_bptt.program.source import MARK, Source

MARKED = re.compile(MARK.format(r"(\w+)"))
ELEMENTWISE = re.compile(r"    \w+ = (?:np\.\w+|logistic)\((.*), out=" + MARKED.pattern + r"\)$")


def placed(source: Source, keep: set[str]) -> tuple[list[str], int]:
    """The lines with a place for each array that they mark, and the memory in front of them.

    Results, and what they are views of, are arrays of their own.

    Returns
    -------
    lines : list of str
    numbers : int
        How many numbers the memory holds for each slice of a sequence.
    """
    blocks = _blocks(source.lines)
    life = _life(source, blocks, keep)
    slots = _Slots(source)
    for k, block in enumerate(blocks):
        dying = [name for name, last in life.items() if last == k]
        name = _marked(block[0])
        if name and name not in life:  # a result
            block[0] = MARKED.sub(source.empty(name), block[0])
        elif name:
            if _writes_over(source, block[0], dying):
                slots.release(dying)
            block[0] = MARKED.sub(slots.take(name), block[0])
        slots.release(dying)
        block += [f"    del {name}" for name in dying if name not in source.arrays]
    return [*slots.made(), *(line for block in blocks for line in block)], slots.numbers()


def _blocks(lines: list[str]) -> list[list[str]]:
    """The lines with what is inside of a loop joined to its head."""
    blocks: list[list[str]] = []
    for line in lines:
        if line.startswith("     "):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return blocks


def _marked(line: str) -> str | None:
    found = MARKED.search(line)
    return found[1] if found else None


def _life(source: Source, blocks: list[list[str]], keep: set[str]) -> dict[str, int]:
    """The last block that uses each array of all slices, or a view of it; results have none."""
    bases: dict[str, set[str]] = {}
    life: dict[str, int] = {}
    for k, block in enumerate(blocks):
        words = [] if block[0].lstrip().startswith("#") else re.findall(r"\w+", "\n".join(block))
        used = set().union(*(bases[word] for word in words if word in bases))
        made = re.match(r"    (\w+) = ", block[0])
        if made and made[1] in source.whole:
            bases.setdefault(made[1], {made[1]} | (used if made[1] in source.shown else set()))
            used = used | {made[1]}
        life |= dict.fromkeys(sorted(used), k)
    kept = set().union(*(bases[name] for name in keep if name in bases))
    return {name: k for name, k in life.items() if name not in kept}


def _writes_over(source: Source, line: str, dying: list[str]) -> bool:
    """Whether an elementwise operation, the last to use some arrays, may write over them.

    It may where it computes each slice from the same slice of them.
    """
    operation, name = ELEMENTWISE.match(line), _marked(line)
    if not operation or name is None:
        return False
    whole = operation[1].split(", ")
    return all(other in whole and source.arrays.get(other) == source.arrays[name] for other in dying)


@dataclass
class _Slots:
    """The large arrays, one for each shape: how many slots they have, and which are free."""

    source: Source
    free: dict[Shape, list[int]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    sizes: dict[Shape, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arrays = self.source.arrays.values()
        self.rows = {shape: max(extra for extra, other in arrays if other == shape) for _, shape in arrays}

    def take(self, name: str) -> str:
        """The place of an array, as text."""
        extra, shape = self.source.arrays[name]
        if not self.free.get(shape):
            self.free[shape] = [self.sizes.get(shape, 0)]
            self.sizes[shape] = self.free[shape][0] + 1
        slot = self.held[name] = self.free[shape].pop()
        rows = "" if extra == self.rows[shape] else f", :{_slices(extra)}"
        return f"{self._label(shape)}[{slot}{rows}]"

    def release(self, names: list[str]) -> None:
        """These arrays are dead."""
        for name in names:
            if name in self.held:
                self.free[self.source.arrays[name][1]].append(self.held.pop(name))

    def made(self) -> list[str]:
        """The lines that ask for the memory."""
        lines = ["    # each row of the memory is used again, by another array, once what it holds is no longer needed"]
        for shape, n in self.sizes.items():
            sizes = ", ".join([str(n), _slices(self.rows[shape]), "B", *map(str, shape)])
            lines.append(f"    {self._label(shape)} = empty(({sizes}), dtype)")
        return lines if self.sizes else []

    def numbers(self) -> int:
        """How many numbers there are for each slice of a sequence."""
        return sum(n * math.prod(shape) for shape, n in self.sizes.items())

    def _label(self, shape: Shape) -> str:
        return self.source.names.unused("_".join(["memory", *map(str, shape)]))


def _slices(extra: int) -> str:
    return f"T{extra:+d}" if extra else "T"

"""What things are called in the source: symbols by their own names, everything else by names that no symbol has."""

import keyword
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field

from dbn_bptt.ops import kernels

RESERVED = {
    "T", "B", "np", "math", "dtype", "parameters", "data", "initial", "run", "times", "flat", "empty", "cache", "zip",
    "jax", "jnp", "carry", "rows", "unscaled", "unroll", "affine_scan", "homogeneous_scan", "newton_scan",
    *(name for name, value in vars(kernels).items() if callable(value)),
}  # fmt: skip
NUMBERED = re.compile(r"(part|fixed|ones|memory)(_\d+)*")


@dataclass
class Names:
    """The names given so far, no two alike.

    Examples
    --------
    >>> names = Names(["h", "T", "h_t"])
    >>> names.label("h"), names.label("T"), names.unused("h_t"), names.unused("h_t")
    ('h', 'T_', 'h_t_', 'h_t_')
    """

    symbols: Collection[str]
    labels: dict[str, str] = field(default_factory=dict)  # of symbols
    others: dict[str, str] = field(default_factory=dict)  # of what else has a name, by the name wished for
    taken: set[str] = field(default_factory=set)  # all of these

    def label(self, name: str) -> str:
        """A symbol's name in the source: its own, unless that means something else there."""
        if name not in self.labels:
            label = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name))
            while self._is_taken(label, name):
                label += "_"
            self.labels[name] = label
            self.taken.add(label)
        return self.labels[name]

    def _is_taken(self, label: str, name: str) -> bool:
        is_another = label != name and label in self.symbols
        return (
            label in self.taken
            or label in RESERVED
            or is_another
            or keyword.iskeyword(label)
            or bool(NUMBERED.fullmatch(label))
        )

    def unused(self, wish: str) -> str:
        """The name wished for, longer by underscores if a symbol has it; the same for the same wish."""
        if wish not in self.others:
            name = wish
            while name in self.symbols or name in self.taken:
                name += "_"
            self.others[wish] = name
            self.taken.add(name)
        return self.others[wish]

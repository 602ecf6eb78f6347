"""Definitions: equations by the slices on which they hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dbn_bptt.template.domains import Domain
from dbn_bptt.template.expressions import Expression, Symbol
from dbn_bptt.template.traversal import dependencies


@dataclass(frozen=True)
class Piece:
    """An equation's right-hand side and the slices on which it holds."""

    domain: Domain
    expression: Expression


@dataclass(frozen=True)
class Definition:
    """All pieces of a variable's or total's equation; their domains do not meet."""

    symbol: Symbol
    pieces: tuple[Piece, ...]
    loss: bool = False

    def span(self, T: int) -> tuple[int, int]:
        """The first slice that an equation covers, and the one after the last."""
        ranges = [p.domain.slices(T) for p in self.pieces]
        return min(r.start for r in ranges), max(r.stop for r in ranges)


def every_dependency(definitions: Mapping[str, Definition]) -> Iterator[tuple[Definition, int, Symbol, int, Domain]]:
    """Who depends on whom: definition, index of its piece, symbol, lag, domain."""
    for definition in definitions.values():
        for k, piece in enumerate(definition.pieces):
            for symbol, lag, domain in dependencies(piece.expression, piece.domain):
                yield definition, k, symbol, lag, domain

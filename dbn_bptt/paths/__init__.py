"""Gradients as sums over paths: the scalar graph, semirings, credit by slice, elimination orders."""

from dbn_bptt.paths.elimination import Elimination, eliminate, elimination_cost
from dbn_bptt.paths.itemised import Credit, DerivativeTable, credit, derivative_table
from dbn_bptt.paths.scalar import adjoint_solve, linearize, path_sum, path_weight, paths_between
from dbn_bptt.paths.semirings import (
    ABSOLUTE,
    COUNT,
    ENTROPY,
    GRADIENT,
    HEAVIEST,
    LAG,
    SEMIRINGS,
    WIDEST,
    Semiring,
    heaviest,
    heaviest_paths,
    path_entropy,
    split_by_lag,
    sweep,
)

__all__ = [
    "linearize", "path_sum", "paths_between", "path_weight", "adjoint_solve", "sweep", "Semiring", "SEMIRINGS",
    "GRADIENT", "COUNT", "ABSOLUTE", "HEAVIEST", "WIDEST", "ENTROPY", "LAG", "heaviest", "heaviest_paths",
    "path_entropy", "split_by_lag", "credit", "Credit", "derivative_table", "DerivativeTable", "eliminate",
    "elimination_cost", "Elimination",
]  # fmt: skip

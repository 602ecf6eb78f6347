"""Dynamic Bayesian networks for tests: named structures, random ones, and their joint distribution by enumeration."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork


def cpd(node, size, parents, sizes, rng, zeros=0.0):
    """A CPD with random columns, of which some entries are 0."""
    columns = int(np.prod([sizes[name] for name, _ in parents], dtype=int))
    values = rng.dirichlet(np.ones(size), columns).T
    if zeros:
        values = np.where(rng.random(values.shape) < zeros, 0, values)
        values[rng.integers(size), values.sum(0) == 0] = 1
        values /= values.sum(0)
    return TabularCPD(node, size, values, list(parents) or None, [sizes[name] for name, _ in parents] or None)


def build(sizes: dict[str, int], edges: list[tuple[str, str, int]], seed: int = 0, zeros: float = 0.0) -> Any:
    """A network with random CPDs; edges are (parent, child, lag)."""
    rng = np.random.default_rng(seed)
    model = DynamicBayesianNetwork()
    model.add_nodes_from(sizes)
    for parent, child, lag in edges:
        model.add_edge((parent, 0), (child, lag))
    for name, size in sizes.items():
        inside = [(parent, 0) for parent, child, lag in edges if child == name and not lag]
        before = [(parent, 0) for parent, child, lag in edges if child == name and lag]
        model.add_cpds(cpd((name, 0), size, inside, sizes, rng, zeros))
        if before:
            model.add_cpds(cpd((name, 1), size, [*before, *((p, 1) for p, _ in inside)], sizes, rng, zeros))
    return model


@dataclass(frozen=True)
class Structure:
    """A named structure."""

    name: str
    sizes: dict[str, int]
    edges: list[tuple[str, str, int]]

    def make(self, seed: int = 0, zeros: float = 0.0) -> Any:
        return build(self.sizes, self.edges, seed, zeros)

    def __repr__(self) -> str:
        return self.name


STRUCTURES = [
    Structure("HMM", {"Z": 3, "Y": 4}, [("Z", "Y", 0), ("Z", "Z", 1)]),
    Structure("factorial HMM", {"A": 2, "B": 3, "Y": 2}, [("A", "A", 1), ("B", "B", 1), ("A", "Y", 0), ("B", "Y", 0)]),
    Structure("coupled HMM", {"A": 2, "B": 2, "X": 2, "Y": 3},
              [("A", "A", 1), ("B", "B", 1), ("A", "B", 1), ("B", "A", 1), ("A", "X", 0), ("B", "Y", 0)]),
    Structure("autoregressive HMM", {"Z": 2, "Y": 3}, [("Z", "Z", 1), ("Z", "Y", 0), ("Y", "Y", 1)]),
    Structure("Jordan", {"X": 2, "H": 3, "Y": 2}, [("X", "H", 0), ("H", "Y", 0), ("Y", "H", 1)]),
    Structure("Elman", {"X": 2, "H": 3, "Y": 2}, [("X", "H", 0), ("H", "Y", 0), ("H", "H", 1)]),
    Structure("LSTM-like", {"G": 2, "S": 2, "H": 2, "Y": 2},
              [("H", "G", 1), ("S", "S", 1), ("G", "S", 0), ("S", "H", 0), ("G", "H", 0), ("H", "Y", 0)]),
    Structure("GRU-like", {"R": 2, "N": 2, "H": 3, "Y": 2},
              [("H", "R", 1), ("R", "N", 0), ("H", "N", 1), ("N", "H", 0), ("H", "H", 1), ("H", "Y", 0)]),
    Structure("stacked", {"A": 2, "B": 3, "Y": 2}, [("A", "A", 1), ("A", "B", 0), ("B", "B", 1), ("B", "Y", 0)]),
    Structure("purely inter-slice", {"A": 2, "B": 3}, [("A", "B", 1), ("B", "A", 1)]),
    Structure("observed chain", {"Y": 3}, [("Y", "Y", 1)]),
    Structure("isolated nodes", {"Z": 2, "Y": 2, "I": 3}, [("Z", "Z", 1), ("Z", "Y", 0)]),
    Structure("no time at all", {"A": 3, "B": 2}, [("A", "B", 0)]),
    Structure("two chains", {"A": 2, "B": 3}, [("A", "A", 1), ("B", "B", 1)]),
]  # fmt: skip


def random_structure(rng: np.random.Generator, n: int) -> Structure:
    """Up to n variables of 2 to 4 states with random edges."""
    names = [f"V{k}" for k in range(n)]
    sizes = {name: int(rng.integers(2, 5 if n < 3 else 4)) for name in names}
    order = rng.permutation(n)
    edges = [(names[order[i]], names[order[j]], 0) for j in range(n) for i in range(j) if rng.random() < 0.5]
    edges += [(a, b, 1) for a in names for b in names if rng.random() < 0.4]
    limited = [e for e in edges if sum(other[1] == e[1] for other in edges[: edges.index(e)]) < 3]  # at most 3 parents
    return Structure(f"random {n}", sizes, limited)


@dataclass(frozen=True)
class Enumerated:
    """The joint distribution of all variables in T slices, one axis each, times the likelihood of evidence."""

    axes: list[tuple[str, int]]
    joint: np.ndarray

    @property
    def log_likelihood(self) -> float:
        return float(np.log(self.joint.sum()))

    def marginal(self, name: str, t: int) -> np.ndarray:
        axis = self.axes.index((name, t))
        found = self.joint.sum(tuple(k for k in range(len(self.axes)) if k != axis))
        return found / found.sum()

    def best(self) -> float:
        return float(np.log(self.joint.max()))

    def of(self, states: dict[tuple[str, int], int]) -> float:
        return float(np.log(self.joint[tuple(int(states[axis]) for axis in self.axes)]))


def enumerated(model: Any, T: int, likelihood: Callable[[str, int], np.ndarray | None]) -> Enumerated:
    """The joint distribution by brute force, from the CPDs as they stand in the model."""
    cpds = {tuple(c.variables[0]): c for c in model.cpds}
    names = list(dict.fromkeys(node[0] for node in model.nodes()))
    axes = [(name, t) for t in range(T) for name in names]
    factors = []
    for name, t in axes:
        given = cpds.get((name, min(t, 1))) or cpds[name, 0]
        shift = t - given.variables[0][1]
        factors.append(_aligned(given.values, [(v[0], v[1] + shift) for v in given.variables], axes))
        seen = likelihood(name, t)
        if seen is not None:
            factors.append(_aligned(seen, [(name, t)], axes))
    return Enumerated(axes, reduce(np.multiply, factors))


def _aligned(values: np.ndarray, variables: list[tuple[str, int]], axes: list[tuple[str, int]]) -> np.ndarray:
    order = sorted(range(len(variables)), key=lambda k: axes.index(variables[k]))
    shape = [values.shape[variables.index(axis)] if axis in variables else 1 for axis in axes]
    return np.transpose(values, order).reshape(shape)


def draw_evidence(rng: np.random.Generator, structure: Structure, T: int, share: float = 0.5) -> dict[str, np.ndarray]:
    """Random states for a random part of all variables and slices."""
    return {
        name: np.where(rng.random(T) < share, rng.integers(0, size, T), -1) for name, size in structure.sizes.items()
    }


def indicator(evidence: dict[str, np.ndarray], sizes: dict[str, int]) -> Callable[[str, int], np.ndarray | None]:
    """The likelihood of the evidence in one variable and slice."""

    def likelihood(name: str, t: int) -> np.ndarray | None:
        return np.eye(sizes[name])[evidence[name][t]] if name in evidence and evidence[name][t] >= 0 else None

    return likelihood

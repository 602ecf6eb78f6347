"""The machines that a program can be made for."""

import importlib.util
import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from dbn_bptt.errors import DataError, positive
from dbn_bptt.program import native

ENGINES = ("numpy", "native", "jax", "parallel")


@dataclass(frozen=True)
class Parallel:
    """JAX, with scans parallel in time: an engine, wherever one is named.

    A scan that is affine in what it carries, as every chain of adjoints is, is an associative scan (Blelloch 1990); so
    is a forward recursion of a network, of sums or of maxima, up to its scale. Any other is solved for all slices at
    once by Newton's method, each step of which is an affine scan (Lim et al. 2024): exact where it converges, and run
    slice by slice, with a warning, where it does not.

    Attributes
    ----------
    jacobian : "full", or "diagonal" for an approximation whose cost does not grow with the cube of the state
    trust : from 0 on: how far a step with diagonal Jacobians is held back to where it starts
        That makes of it a Kalman smoother of the linearised slices, in which every state is seen where it was before,
        with a noise of 1 / trust against 1 of the slices' own (Gonzalez et al. 2024).
    tolerance : the change of each number, relative to it or to 1, at which steps end; 1e-10 or 1e-5 by the type
    steps : how many steps it takes at most

    Examples
    --------
    >>> import dbn_bptt as db
    >>> db.Parallel(jacobian="diagonal", steps=50)
    Parallel(jacobian='diagonal', trust=0.0, tolerance=None, steps=50)
    """

    jacobian: Literal["full", "diagonal"] = "full"
    trust: float = 0.0
    tolerance: float | None = None
    steps: int = 100

    def __post_init__(self) -> None:
        if self.jacobian not in ("full", "diagonal"):
            raise DataError(f"jacobian={self.jacobian!r}; give 'full' or 'diagonal'")
        if not (isinstance(self.trust, Real) and 0 <= self.trust < math.inf):
            raise DataError(f"trust={self.trust!r}; give a number from 0 on")
        if self.trust and self.jacobian != "diagonal":
            raise DataError(f"trust={self.trust!r} goes with jacobian='diagonal'")
        if self.tolerance is not None and not (isinstance(self.tolerance, Real) and 0 < self.tolerance < math.inf):
            raise DataError(f"tolerance={self.tolerance!r}; give a positive number")
        positive(self.steps, f"steps={self.steps!r}; give a positive number of steps")

    @property
    def plain(self) -> dict[str, str | int | float | None]:
        """The options of Newton's method as Python's own numbers."""
        tolerance = None if self.tolerance is None else float(self.tolerance)
        return {
            "jacobian": self.jacobian, "trust": float(self.trust), "tolerance": tolerance, "steps": int(self.steps)
        }  # fmt: skip


Engine = str | Parallel | None


def is_jax(engine: Engine) -> bool:
    """Whether an engine is one of JAX's."""
    return engine == "jax" or isinstance(engine, Parallel)


def has_jax() -> bool:
    """Whether JAX is there."""
    return importlib.util.find_spec("jax") is not None


def checked_engine(engine: Engine) -> Engine:
    """An engine that is installed; "parallel" as one with options; or None for the choice by size."""
    if isinstance(engine, Parallel) or engine in ("jax", "parallel"):
        if not has_jax():
            raise DataError(f"engine={engine!r} needs JAX: pip install 'dbn_bptt[jax]'")
        return Parallel() if engine == "parallel" else engine
    if engine is not None and engine not in ENGINES:
        names = ", ".join(map(repr, ENGINES))
        raise DataError(f"engine={engine!r}; give one of {names}, a db.Parallel(...), or None for the choice by size")
    if engine == "native" and not native.is_installed():
        raise DataError("engine='native' needs llvmlite: pip install 'dbn_bptt[native]'")
    return engine

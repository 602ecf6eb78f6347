"""Programs that JAX compiles, called with NumPy's arrays."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dbn_bptt.errors import DataError
from dbn_bptt.ops.kernels import Array
from dbn_bptt.program.jax_source import STEPS
from dbn_bptt.program.numpy_source import Emitted

Run = Callable[..., dict[str, Any]]  # run(parameters, data, initial, T, B, dtype)


def traceable(made: Emitted) -> Run:
    """The function of a JAX source, as JAX traces it."""
    namespace: dict[str, Any] = dict(made.functions)
    exec(made.source, namespace)
    run: Run = namespace["run"]
    return run


def called(run: Run) -> Callable[..., dict[str, Array]]:
    """A function that takes NumPy's arrays, compiled for each shape of them, and returns NumPy's arrays.

    It computes in the type that it is told, whatever `jax_enable_x64` says.
    """
    import jax

    compiled = jax.jit(run, static_argnums=(3, 4, 5))

    def call(parameters: Any, data: Any, initial: Any, T: int, B: int, dtype: Any, empty: Any = None) -> Any:
        with jax.enable_x64(np.dtype(dtype) == np.float64), readable():
            out = jax.device_get(compiled(parameters, data, initial, T, B, dtype))
        for name in [name for name in out if name.startswith(STEPS) and out[name] < 0]:
            mend = "give db.Parallel(steps=, trust=) others, or engine='jax'"
            scan = name.removeprefix(STEPS)
            warnings.warn(
                f"Newton's method does not converge for {scan}, which ran slice by slice; {mend}", stacklevel=2
            )
        return {name: np.array(a) for name, a in out.items()}

    return call


@contextmanager
def readable() -> Iterator[None]:
    """Tell of operations that JAX cannot trace what to do."""
    import jax

    try:
        yield
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError, TypeError) as error:
        if type(error) is TypeError and "immutable" not in str(error):
            raise
        mend = "give db.operation(..., traced=) the same as (xp, *arguments), in terms of the array module xp"
        found = str(error).splitlines()[0]
        raise DataError(f"an operation of the template runs on NumPy alone; {mend} (JAX says: {found})") from None

"""A batch shared out over several devices: each computes the gradients of its sequences, and these are added up.

`program.function` is pure, so that `jax.shard_map` may split its data. Four devices are simulated on this machine's
processor; on a machine with several GPUs leave the first lines out.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
from jax.sharding import PartitionSpec

import dbn_bptt as db


def main() -> None:
    """Gradients of 64 sequences on one device and on four."""
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    rnn = db.cells.lstm(n_inputs=3, n_hidden=8, n_outputs=4)
    theta = rnn.initial_parameters(seed=0)
    data = {"x": rng.normal(size=(50, 64, 3)), "y": rng.integers(0, 4, (50, 64))}
    gradient = jax.value_and_grad(db.compile(rnn, engine="jax").function)

    devices = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    batch = PartitionSpec(None, "batch")  # axis 0 is time, axis 1 the sequences

    def of_a_part(theta: dict[str, jax.Array], data: dict[str, jax.Array]) -> object:
        return jax.lax.psum(gradient(theta, data), "batch")

    shared = jax.shard_map(
        of_a_part, mesh=devices, in_specs=(PartitionSpec(), batch), out_specs=PartitionSpec(), check_vma=False
    )
    loss, found = jax.jit(shared)(theta, data)
    one_loss, one = jax.jit(gradient)(theta, data)
    largest = max(float(np.abs(found[name] - one[name]).max() / np.abs(one[name]).max()) for name in one)
    print(f"{len(jax.devices())} devices: loss {loss:.10f}, on one {one_loss:.10f}")
    print(f"largest relative difference of a gradient: {largest:.1e}")
    assert largest < 1e-12


if __name__ == "__main__":
    main()

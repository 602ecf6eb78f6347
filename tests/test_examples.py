"""Every example runs, and prints its result."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("[0-9]*.py"))


# what an example needs besides
NEEDED = {
    "12_a_character_model": ("jax", "optax"),
    "13_a_batch_over_devices": ("jax",),
    "14_parallel_in_time": ("jax",),
    "16_many_sequences": ("distributed", "pyarrow"),
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path):
    for name in NEEDED.get(path.stem, ()):
        pytest.importorskip(name, reason=f"{name} is not installed")
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_examples():
    assert EXAMPLES

"""The unrolled graph and its two sweeps."""

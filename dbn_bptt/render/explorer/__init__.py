"""The explorer: one HTML file that steps through the two sweeps."""

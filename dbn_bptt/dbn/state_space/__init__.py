"""Linear-Gaussian models: filter, smoother, learning, networks of Gaussian variables, and switching between models."""

"""Discrete dynamic Bayesian networks: what they hold, where they come from, and what they are turned into."""

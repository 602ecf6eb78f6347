"""The network polynomial: the forward recursion of any discrete dynamic Bayesian network as a slice template."""

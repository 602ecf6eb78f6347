"""Exact inference in dynamic Bayesian networks, as back-propagation through time.

pgmpy's `DynamicBayesianNetwork` is the model class; every function takes one and leaves it as it is.

>>> from dbn_bptt import dbn
>>> posterior = dbn.smooth(dbn.umbrella(), {"Umbrella": [1, 1, 0]})
>>> posterior["Rain"].round(3)
array([[0.134, 0.866],
       [0.204, 0.796],
       [0.784, 0.216]])
"""

from dbn_bptt.dbn.infer import expected_counts, filter, log_likelihood, predict, sample, smooth, template, viterbi
from dbn_bptt.dbn.models import umbrella
from dbn_bptt.dbn.posterior import Paths, Posterior

__all__ = [
    "smooth", "filter", "predict", "viterbi", "sample", "log_likelihood", "expected_counts", "template",
    "Posterior", "Paths", "umbrella",
]  # fmt: skip

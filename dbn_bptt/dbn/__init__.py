"""Exact inference in dynamic Bayesian networks, as back-propagation through time.

pgmpy's `DynamicBayesianNetwork` is the model class; every function takes one and leaves it as it is.

>>> from dbn_bptt import dbn
>>> posterior = dbn.smooth(dbn.umbrella(), {"Umbrella": [1, 1, 0]})
>>> posterior["Rain"].round(3)
array([[0.138, 0.862],
       [0.201, 0.799],
       [0.809, 0.191]])
"""

from dbn_bptt.dbn.cost_to_go import ValueFunction, value_function
from dbn_bptt.dbn.emissions import emission, emit, gaussian, mixture, poisson
from dbn_bptt.dbn.evidence.evidence import Observations
from dbn_bptt.dbn.inference.boyen_koller import factored
from dbn_bptt.dbn.inference.online import Online, start
from dbn_bptt.dbn.inference.particle_filter import Particles, particles
from dbn_bptt.dbn.inference.posterior import Paths, Posterior
from dbn_bptt.dbn.inference.ranked import best_paths
from dbn_bptt.dbn.inference.task import Prepared, observe, prepare
from dbn_bptt.dbn.inference.verbs import (
    expected_counts,
    filter,
    log_likelihood,
    predict,
    sample,
    smooth,
    template,
    viterbi,
)
from dbn_bptt.dbn.learning.choice import CrossValidation, Score, cross_validate, free_parameters, score
from dbn_bptt.dbn.learning.climb import Fit
from dbn_bptt.dbn.learning.descent import Move
from dbn_bptt.dbn.learning.learn import fit
from dbn_bptt.dbn.learning.random_fields import conditional
from dbn_bptt.dbn.learning.structures import Search, search
from dbn_bptt.dbn.networks.bif import read_bif, write_bif
from dbn_bptt.dbn.networks.convert import from_template, to_pgmpy, unrolled
from dbn_bptt.dbn.networks.description import interface, summary
from dbn_bptt.dbn.networks.driven import drive, logistic, softmax_of
from dbn_bptt.dbn.networks.longer_memory import durations, model
from dbn_bptt.dbn.networks.models import umbrella
from dbn_bptt.dbn.networks.network import Network
from dbn_bptt.dbn.state_space.drawing import GaussianPaths
from dbn_bptt.dbn.state_space.kalman import kalman_data, linear_gaussian
from dbn_bptt.dbn.state_space.network import GaussianNetwork, gaussian_network
from dbn_bptt.dbn.state_space.posterior import GaussianPosterior
from dbn_bptt.dbn.state_space.regimes import SwitchingPosterior
from dbn_bptt.dbn.state_space.switching import switching
from dbn_bptt.dbn.stochastic_units import UnitPosterior, sigmoid_belief, unit_posterior
from dbn_bptt.dbn.stochastic_units import as_pgmpy as sigmoid_belief_as_pgmpy

__all__ = [
    "smooth", "filter", "predict", "viterbi", "best_paths", "sample", "log_likelihood", "expected_counts", "fit",
    "score", "Score", "free_parameters", "cross_validate", "CrossValidation", "search", "Search", "Move",
    "start", "Online", "particles", "Particles",
    "emit", "gaussian", "mixture", "poisson", "emission", "Network", "to_pgmpy", "model", "durations",
    "drive", "logistic", "softmax_of", "conditional", "factored",
    "prepare", "Prepared", "observe", "Observations",
    "Posterior", "Paths", "Fit", "template", "unrolled", "from_template", "interface", "summary",
    "sigmoid_belief", "unit_posterior", "UnitPosterior", "sigmoid_belief_as_pgmpy",
    "linear_gaussian", "gaussian_network", "GaussianNetwork", "GaussianPosterior", "GaussianPaths", "kalman_data",
    "switching", "SwitchingPosterior", "value_function", "ValueFunction",
    "read_bif", "write_bif", "umbrella",
]  # fmt: skip

"""Chapter 10: the network's own Bayesian network."""

import numpy as np

from dbn_bptt.exercises.checker import Exercise


def unit_probability(a):
    """p(h = +1) of a unit that is +1 or -1 and whose mean is tanh(a); a is an array."""
    return 1 / (1 + np.exp(-2 * a))


def posterior_mean(a, plus, minus):
    """E[h | y], a number, of one unit with pre-activation a; plus, minus are log p(y | h = +1), log p(y | h = -1)."""
    p = np.array([1 / (1 + np.exp(2 * a)), 1 / (1 + np.exp(-2 * a))])
    weight = p * np.exp([minus, plus])
    return (weight[1] - weight[0]) / weight.sum()


def delta(a, mean, n):
    """d(-log p(y))/da for n copies of a unit with pre-activation a; mean is E[hbar | y], that of their average."""
    return n * (np.tanh(a) - mean)


def _solved(a):
    """From the mean: p - (1 - p) = tanh a."""
    return (np.tanh(a) + 1) / 2


def _bayes(a, plus, minus):
    likelihood = {1: np.exp(plus), -1: np.exp(minus)}
    joint = {h: np.exp(h * a) / (np.exp(a) + np.exp(-a)) * likelihood[h] for h in (1, -1)}
    return sum(h * p for h, p in joint.items()) / sum(joint.values())


def _differences(a, mean, n):
    """By differences of -log p(y), where y shifts the log-odds by as much as the posterior mean tells."""
    s = np.arctanh(mean) - a

    def loss(a):
        return -n * (np.logaddexp(a + s, -a - s) - np.logaddexp(a, -a))

    return (loss(a + 1e-5) - loss(a - 1e-5)) / 2e-5


EXERCISES = (
    Exercise(
        solution=unit_probability,
        truth=_solved,
        draw=lambda rng: (rng.normal(size=4),),
        mistakes={
            "the mean of a unit that is +1 or -1 is then tanh(a / 2); the gain 2 is missing": lambda a: (
                1 / (1 + np.exp(-a))
            ),
            "this is the mean, which may be negative": np.tanh,
            "this is p(h = -1)": lambda a: 1 / (1 + np.exp(2 * a)),
        },
    ),
    Exercise(
        solution=posterior_mean,
        truth=_bayes,
        draw=lambda rng: tuple(map(float, rng.normal(size=3))),
        mistakes={
            "the prior is missing: both states were taken as equally probable": lambda a, plus, minus: np.tanh(
                (plus - minus) / 2
            ),
            "the odds are shifted by (plus - minus) / 2, not by all of it: tanh takes half of log-odds": lambda a, plus, minus: (
                np.tanh(a + plus - minus)
            ),
            "the sign is turned": lambda a, plus, minus: -_bayes(a, plus, minus),
            "the evidence is missing: this is the prior mean": lambda a, plus, minus: np.tanh(a),
            "divide by the sum of both joint probabilities": lambda a, plus, minus: (
                np.exp(plus) / (1 + np.exp(-2 * a)) - np.exp(minus) / (1 + np.exp(2 * a))
            ),
            "this is the posterior probability of +1; the mean also has the -1": lambda a, plus, minus: (
                1 / (1 + np.exp(-2 * a - plus + minus))
            ),
        },
    ),
    Exercise(
        solution=delta,
        truth=_differences,
        draw=lambda rng: (float(rng.normal()), float(rng.uniform(-0.9, 0.9)), int(rng.integers(2, 6))),
        mistakes={
            "the sign is turned: it is prior minus posterior mean": lambda a, mean, n: n * (mean - np.tanh(a)),
            "the sign is turned, and the number of copies is missing": lambda a, mean, n: mean - np.tanh(a),
            "the prior mean is tanh(a), not a": lambda a, mean, n: n * (a - mean),
            "the number of copies is missing: each adds its own share": lambda a, mean, n: np.tanh(a) - mean,
            "the slope 1 - tanh(a)^2 does not belong here; the difference of the means takes its place": lambda a, mean, n: (
                n * (np.tanh(a) - mean) * (1 - np.tanh(a) ** 2)
            ),
        },
    ),
)

"""Small models to begin with, as pgmpy networks."""

from typing import Any


def umbrella() -> Any:
    """The umbrella world of Russell and Norvig (Artificial Intelligence: A Modern Approach, section 14.2).

    Whether it rains, and whether the director brings an umbrella; state 1 is yes.

    Examples
    --------
    >>> sorted(str(node) for node in umbrella().nodes())
    ['(Rain, 0)', '(Rain, 1)', '(Umbrella, 0)', '(Umbrella, 1)']
    """
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DynamicBayesianNetwork

    model = DynamicBayesianNetwork([(("Rain", 0), ("Umbrella", 0)), (("Rain", 0), ("Rain", 1))])
    model.add_cpds(
        TabularCPD(("Rain", 0), 2, [[0.5], [0.5]]),
        TabularCPD(("Rain", 1), 2, [[0.7, 0.3], [0.3, 0.7]], [("Rain", 0)], [2]),
        TabularCPD(("Umbrella", 0), 2, [[0.8, 0.1], [0.2, 0.9]], [("Rain", 0)], [2]),
    )
    return model

"""Chapter 8: any dynamic Bayesian network."""

from math import prod

from dbn_bptt import dbn
from dbn_bptt.exercises.checker import Exercise


def interface(edges):
    """The set of variables that the next slice depends on, from edges ((parent, 0), (child, 0 or 1)) of two slices."""
    return {parent for (parent, _), (_, slice_) in edges if slice_ == 1}


def message_size(edges, states):
    """How many numbers the message between two slices has: it is a table over the interface.

    states is a dict from variables to their numbers of states.
    """
    return prod(states[name] for name in interface(edges))


NETWORKS = (
    ((("Z", 0), ("Z", 1)), (("Z", 0), ("Y", 0))),
    ((("A", 0), ("A", 1)), (("B", 0), ("B", 1)), (("A", 0), ("B", 1)), (("A", 0), ("Y", 0)), (("B", 0), ("Y", 0))),
    ((("Z", 0), ("Z", 1)), (("Z", 0), ("Y", 0)), (("Y", 0), ("Y", 1)), (("Y", 0), ("S", 0))),
    ((("Z", 0), ("Z", 1)), (("X", 0), ("Z", 1)), (("Z", 0), ("V", 1)), (("V", 0), ("Y", 0))),
)
STATES = {"Z": 3, "Y": 4, "A": 2, "B": 5, "X": 2, "V": 3, "S": 2}


def _by_package(edges):
    """What `dbn.interface` says of a pgmpy network with these edges."""
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DynamicBayesianNetwork

    model = DynamicBayesianNetwork(list(edges))
    for node in sorted(model.nodes(), key=lambda node: (node[1], node[0])):
        parents = sorted(model.get_parents(node))
        if node[1] == 0 or any(t == 0 for _, t in parents):
            of, k = [STATES[name] for name, _ in parents], STATES[node[0]]
            model.add_cpds(TabularCPD(node, k, [[1 / k] * prod(of)] * k, parents, of))
    return set(dbn.interface(model))


EXERCISES = (
    Exercise(
        solution=interface,
        truth=_by_package,
        draw=tuple((edges,) for edges in NETWORKS),
        mistakes={
            "these are the children over the border; the message is about their parents": lambda edges: {
                child for _, (child, s) in edges if s == 1
            },
            "these are all variables of a slice; those without a child in the next slice are summed out": lambda edges: {
                node[0] for edge in edges for node in edge
            },
            "these are the parents within a slice; look at edges into slice 1": lambda edges: {
                parent for (parent, _), (_, s) in edges if s == 0
            },
            "these are the variables that go on by themselves; others may act on the next slice, too": lambda edges: {
                parent for (parent, _), (child, s) in edges if s == 1 and parent == child
            },
            "these are all parents; only those of nodes in slice 1 are asked for": lambda edges: {
                p for (p, _), _ in edges
            },
            "these are nodes; give the names of the variables": lambda edges: {p for p, (_, s) in edges if s == 1},
        },
    ),
    Exercise(
        solution=message_size,
        truth=lambda edges, states: prod(states[name] for name in _by_package(edges)),
        draw=tuple((edges, STATES) for edges in NETWORKS),
        mistakes={
            "numbers of states are added; a table has an entry for each combination": lambda edges, states: sum(
                states[name] for name in interface(edges)
            ),
            "this is the joint table of a whole slice": lambda edges, states: prod(
                states[name] for name in {node[0] for edge in edges for node in edge}
            ),
            "a variable counts once, however many children it has": lambda edges, states: prod(
                states[parent] for (parent, _), (_, s) in edges if s == 1
            ),
            "not every variable has two states": lambda edges, states: 2 ** len(interface(edges)),
            "this is the number of variables": lambda edges, states: len(interface(edges)),
        },
    ),
)

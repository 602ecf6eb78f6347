"""Which edges? A structure for complete data, found by greedy search, and asked where a sensor fails."""

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

from dbn_bptt import dbn

# Weather lasts; it wets the ground and brings clouds. Somebody waters the ground, now and then for a while.
truth = DynamicBayesianNetwork(
    [
        (("Rain", 0), ("Rain", 1)),
        (("Rain", 0), ("Clouds", 0)),
        (("Hose", 0), ("Hose", 1)),
        (("Rain", 0), ("Wet", 0)),
        (("Hose", 0), ("Wet", 0)),
    ]
)
truth.add_cpds(
    TabularCPD(("Rain", 0), 2, [[0.7], [0.3]]),
    TabularCPD(("Rain", 1), 2, [[0.85, 0.3], [0.15, 0.7]], [("Rain", 0)], [2]),
    TabularCPD(("Hose", 0), 2, [[0.9], [0.1]]),
    TabularCPD(("Hose", 1), 2, [[0.95, 0.4], [0.05, 0.6]], [("Hose", 0)], [2]),
    TabularCPD(("Clouds", 0), 3, [[0.6, 0.05], [0.3, 0.25], [0.1, 0.7]], [("Rain", 0)], [2]),
    TabularCPD(("Wet", 0), 2, [[0.95, 0.2, 0.1, 0.02], [0.05, 0.8, 0.9, 0.98]], [("Rain", 0), ("Hose", 0)], [2, 2]),
)

table = dbn.sample(truth, 40, T=100, seed=0).to_frame()  # a row for each slice, the sequences told apart in its index
found = dbn.search(table)
print(found)
print("\nits moves, and by how much each lowers BIC:")
for move in found.moves:
    print("  ", move)
assert found.bic <= dbn.score(dbn.fit(truth, table, steps=1).model, table).bic + 1e-6
assert np.isclose(found.bic, dbn.score(found.model, table).bic)

# What is known beforehand can be said: sensors cause nothing.
sensors, causes = ("Clouds", "Wet"), ("Rain", "Hose")
forbidden = [((sensor, 0), (cause, slice_)) for sensor in sensors for cause in causes for slice_ in (0, 1)]
told = dbn.search(table, forbidden=forbidden)
print(f"\nthe same in {len(told.moves)} moves, without edges from sensors to causes")
assert set(told.edges) == set(found.edges) == {edge for edge in truth.edges() if edge[0][1] == 0}

# The model that was found is pgmpy's: every verb takes it.
rain = dbn.smooth(found.model, {"Wet": [0, 1, 1, 1, 0], "Clouds": [0, -1, 2, -1, 0]})["Rain"][:, 1]
print("\np(Rain) given a wet ground and some clouds:", *rain.round(3))

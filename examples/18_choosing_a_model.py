"""How many states? Criteria, held-out likelihoods, several starts, best paths; and a linear-Gaussian model, learnt."""

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork

from dbn_bptt import dbn


def chain(states: int, symbols: int = 6) -> DynamicBayesianNetwork:
    """A hidden Markov model to begin with: states that last, symbols that are nearly alike."""
    stay = np.full((states, states), 0.2 / states) + 0.8 * np.eye(states)
    model = DynamicBayesianNetwork([(("Z", 0), ("Z", 1)), (("Z", 0), ("Y", 0))])
    model.add_cpds(
        TabularCPD(("Z", 0), states, np.full((states, 1), 1 / states)),
        TabularCPD(("Z", 1), states, stay, [("Z", 0)], [states]),
        TabularCPD(("Y", 0), symbols, np.full((symbols, states), 1 / symbols), [("Z", 0)], [states]),
    )
    return model


truth = chain(3)
truth.get_cpds(("Y", 0)).values[:] = np.kron(np.eye(3), [[0.5], [0.5]]) * 0.9 + 0.1 / 6
drawn = {"Y": dbn.sample(truth, 24, T=50, seed=0)["Y"]}

print("states  parameters      AIC      BIC   held out, a slice")
scores, held = {}, {}
for states in (2, 3, 4):
    found = dbn.fit(chain(states), drawn, steps=30, starts=10)
    scores[states] = score = dbn.score(found.model, drawn)
    held[states] = dbn.cross_validate(chain(states), drawn, folds=3, steps=30, starts=10)
    out = f"{held[states].mean:.4f} +- {held[states].error:.4f}"
    print(f"{states:6d} {score.parameters:11d} {score.aic:8.1f} {score.bic:8.1f}   {out}")
assert min(scores, key=lambda states: scores[states].bic) == 3
assert max(held, key=lambda states: held[states].mean) == 3

model = dbn.fit(chain(3), drawn, steps=30, starts=10).model
paths = dbn.best_paths(model, 3, {"Y": drawn["Y"][0, :12]})
print("\nthe three most probable paths of the first twelve slices:")
for states, log_probability in zip(paths["Z"], paths.log_probability, strict=True):
    print("  ", *states, f"  log p = {log_probability:.3f}")

# A number that follows itself, seen with noise and now and then not at all.
rng = np.random.default_rng(0)
z, y = 0.0, np.zeros(400)
for t in range(400):
    y[t] = z + 0.5 * rng.normal()
    z = 0.9 * z + rng.normal()
y[rng.random(400) < 0.1] = np.nan
start = dbn.linear_gaussian([[0.5]], [[1.0]], [[1.0]], [[1.0]], mean=[0.0], covariance=[[1.0]])
found = dbn.fit(start, {"y": y}, learn=("A", "Q", "R"), tolerance=1e-8)
learnt = {name: round(float(found.model.parameters[name][0, 0]), 3) for name in ("A", "Q", "R")}
print(f"\n{found}\nlearnt {learnt}; drawn with A = 0.9, Q = 1, R = 0.25")
assert (np.diff(found.log_likelihoods) > -1e-9).all()

dbn.smooth(found.model, {"y": y}).plot({"y": y}).savefig("smoothed.png")
print("wrote smoothed.png")

"""More sequences than one process would hold: expectation maximisation and posteriors on a cluster of Dask's.

Here the cluster is two processes of this machine; `Client("address:8786")` is one of many machines. Each file is opened
by the worker that counts in it, and only sums of counts travel.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from dbn_bptt import dbn, scale


def written(folder: Path) -> Path:
    """Twelve files of 200 sequences each, drawn from the umbrella world: a row a slice."""
    for k in range(12):
        paths = dbn.sample(dbn.umbrella(), 200, T=30, seed=k)
        table = pd.DataFrame({"sequence": np.repeat(np.arange(200), 30), "Umbrella": paths["Umbrella"].ravel()})
        table.to_parquet(folder / f"{k:02d}.parquet", index=False)
    return folder


def main() -> None:
    """Fit, interrupt, go on, and write posteriors."""
    with (
        tempfile.TemporaryDirectory() as name,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        data = written(Path(name))
        print(f"log-likelihood under the model that drew them: {scale.log_likelihood(dbn.umbrella(), data):.3f}")

        checkpoint = Path(name) / "fit.npz"
        begun = scale.fit(dbn.umbrella(), data / "*.parquet", seed=1, steps=10, checkpoint=checkpoint)
        print(f"ten steps:  {begun}")
        found = scale.fit(dbn.umbrella(), data / "*.parquet", seed=1, steps=40, checkpoint=checkpoint)
        print(f"and on:     {found}")
        assert found.log_likelihoods[:11] == begun.log_likelihoods, "it went on where it had stopped, to the last bit"

        posteriors = scale.smooth(found.model, data / "*.parquet", to=Path(name) / "posteriors")
        print(posteriors)
        print(pd.read_parquet(posteriors.paths[0]).head(3).round(3).to_string(index=False))


if __name__ == "__main__":
    main()

"""Sums over more sequences than one machine holds: by Dask where it is installed, part by part.

Log-likelihoods, gradients and expected counts are sums over sequences. Each part of these is opened and summed where it
lies; only sums travel, and they are added in a fixed tree, so that the same parts give the same bits on any number of
workers with as many threads of BLAS. With a `dask.distributed` client it all runs there; otherwise on Dask's local
threads, or as ``dask.config.set(scheduler=...)`` says; and without Dask in turn.

>>> from dbn_bptt import dbn, scale
>>> parts = [{"Umbrella": [[1, 1, 0], [0, 0, 1]]}, {"Umbrella": [[1, 0]]}]  # or paths, a bag, a Dask dataframe ...
>>> round(scale.log_likelihood(dbn.umbrella(), parts), 4)
-5.9642
"""

from dbn_bptt.scale.learning import fit
from dbn_bptt.scale.passes import Smoothed, log_likelihood, smooth, value_and_grad

__all__ = ["value_and_grad", "log_likelihood", "fit", "smooth", "Smoothed"]

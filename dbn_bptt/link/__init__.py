"""The library's claim about itself, as a table that is computed on the spot and can fail."""

from dbn_bptt.link import figures
from dbn_bptt.link.table import Correspondence, Correspondences, correspondences

__all__ = ["Correspondence", "Correspondences", "correspondences", "figures"]

"""Pictures and files of unrolled graphs."""

from dbn_bptt.render.graphml import graphml
from dbn_bptt.render.svg import svg

__all__ = ["graphml", "svg"]

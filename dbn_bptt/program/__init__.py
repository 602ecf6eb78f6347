"""The fast program: a template's loss and gradients as NumPy source."""

from dbn_bptt.program.run import Program, compile

__all__ = ["Program", "compile"]

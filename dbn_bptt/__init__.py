"""Recurrent networks as graphical models: describe one time slice, and derive everything else from it.

>>> import numpy as np, dbn_bptt as db
>>> rnn = db.cells.elman(n_inputs=3, n_hidden=4, n_outputs=2)
>>> result = db.bptt(rnn, rnn.initial_parameters(seed=0), {"x": np.ones((5, 3)), "y": np.array([0, 1, 0, 1, 1])})
>>> sorted(result.gradients)
['U', 'V', 'W', 'b', 'c']
"""

from typing import TYPE_CHECKING

from dbn_bptt.lazy import loaded_when_used

if TYPE_CHECKING:
    from dbn_bptt import cells, dbn, exercises, link, paths, render, scale
    from dbn_bptt.agreement import Report, compare
    from dbn_bptt.errors import (
        DataError,
        DbnBpttError,
        ImpossibleEvidenceError,
        ModelError,
        NotANumberError,
        NotCompiledError,
        TemplateError,
        UnknownNameError,
    )
    from dbn_bptt.ops import (
        concatenate,
        cross_entropy,
        einsum,
        exp,
        inverse,
        log,
        log_softmax,
        logdet,
        logsumexp,
        matmul,
        max,
        outer,
        relu,
        reshape,
        select,
        sigmoid,
        softmax,
        softplus,
        sqrt,
        square,
        squared_error,
        step,
        stop_gradient,
        sum,
        tanh,
        transpose,
    )
    from dbn_bptt.ops.rows import operation
    from dbn_bptt.program import Program, compile
    from dbn_bptt.program.engines import Parallel
    from dbn_bptt.program.forward_mode import hessian_vector_product, rtrl
    from dbn_bptt.sweep.bptt import backward, bptt, forward
    from dbn_bptt.sweep.results import Messages, Result, Values
    from dbn_bptt.sweep.unroll import unroll
    from dbn_bptt.template.builder import SliceTemplate
    from dbn_bptt.template.equations import equations
    from dbn_bptt.template.stored import load, save
    from dbn_bptt.transforms.adjoint import adjoint
    from dbn_bptt.transforms.ragged import ragged
    from dbn_bptt.transforms.tangent import tangent

__all__ = [
    "cells", "dbn", "paths", "link", "render", "scale", "exercises",
    "SliceTemplate", "unroll", "forward", "backward", "bptt",
    "Values", "Messages", "Result", "ragged",
    "adjoint", "tangent", "equations", "save", "load", "compare", "Report", "compile", "Program", "Parallel", "rtrl",
    "hessian_vector_product",
    "operation", "concatenate", "cross_entropy", "einsum", "exp", "inverse", "log", "log_softmax", "logdet",
    "logsumexp", "matmul", "outer", "relu", "reshape", "select", "sigmoid", "softmax", "softplus", "sqrt",
    "square", "squared_error", "step", "stop_gradient", "tanh", "transpose",
    "DbnBpttError", "DataError", "ImpossibleEvidenceError", "ModelError", "NotANumberError", "NotCompiledError",
    "TemplateError", "UnknownNameError",
]  # fmt: skip

__getattr__, __dir__ = loaded_when_used(
    __name__,
    {
        "cells": "",
        "dbn": "",
        "exercises": "",
        "link": "",
        "paths": "",
        "render": "",
        "scale": "",
        "agreement": "Report compare",
        "errors": "DataError DbnBpttError ImpossibleEvidenceError ModelError NotANumberError NotCompiledError "
        "TemplateError UnknownNameError",
        "ops": "concatenate cross_entropy einsum exp inverse log log_softmax logdet logsumexp matmul max outer "
        "relu reshape select sigmoid softmax softplus sqrt square squared_error step stop_gradient sum "
        "tanh transpose",
        "ops.rows": "operation",
        "program": "Program compile",
        "program.engines": "Parallel",
        "program.forward_mode": "hessian_vector_product rtrl",
        "sweep.bptt": "backward bptt forward",
        "sweep.results": "Messages Result Values",
        "sweep.unroll": "unroll",
        "template.builder": "SliceTemplate",
        "template.equations": "equations",
        "template.stored": "load save",
        "transforms.adjoint": "adjoint",
        "transforms.ragged": "ragged",
        "transforms.tangent": "tangent",
    },
)  # fmt: skip

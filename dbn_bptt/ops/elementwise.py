"""Elementwise operations: arithmetic and nonlinearities; their arguments broadcast."""

from typing import Any

import numpy as np

from dbn_bptt.ops import kernels
from dbn_bptt.ops.nests import formula
from dbn_bptt.ops.rows import ATOM, PRODUCT, RAISED, SUM, Operation, Product, Quotient, Sum, operation


def _simpler_product(a: Any, b: Any) -> Any:
    if a.is_all(0) or b.is_all(0):
        return np.zeros(np.broadcast_shapes(a.shape, b.shape))
    a, b = (b, a) if b.number() is not None else (a, b)
    if a.number() is not None and (parts := b.applied(multiply)) and parts[0].number() is not None:
        return (a.number() * parts[0].number()) * parts[1]  # numbers are gathered in front
    return b if a.is_all(1) else a if b.is_all(1) else None


# ------------------------------------------------------------------------------------------------------- arithmetic
add = operation(
    "add", np.add, [lambda g, y, a, b: g, lambda g, y, a, b: g],
    latex="{0} + {1}", text="{0} + {1}", level=SUM, needs=(SUM, SUM),
    infix="+", role=Sum((1, 1)), simplify=lambda a, b: b if a.is_all(0) else a if b.is_all(0) else None,
)  # fmt: skip
subtract = operation(
    "subtract", np.subtract, [lambda g, y, a, b: g, lambda g, y, a, b: -g],
    latex="{0} - {1}", text="{0} - {1}", level=SUM, needs=(SUM, PRODUCT),
    infix="-", role=Sum((1, -1)), simplify=lambda a, b: -b if a.is_all(0) else a if b.is_all(0) else None,
)  # fmt: skip
multiply: Operation = operation(
    "multiply", np.multiply, [lambda g, y, a, b: g * b, lambda g, y, a, b: g * a],
    latex=r"{0} \odot {1}", text="{0} * {1}", level=PRODUCT, needs=(PRODUCT, PRODUCT),
    infix="*", role=Product(), simplify=_simpler_product,
)  # fmt: skip
divide = operation(
    "divide", np.divide, [lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b],
    latex=r"\frac{{0}}{{1}}", text="{0} / {1}", level=PRODUCT, needs=(PRODUCT, RAISED), infix="/", role=Quotient(),
)  # fmt: skip
negative: Operation = operation(
    "negative", np.negative, [lambda g, y, a: -g],
    latex="-{0}", text="-{0}", level=SUM, needs=(PRODUCT,), role=Sum((-1,)),
    simplify=lambda a: next(iter(a.applied(negative)), None),
)  # fmt: skip
square = operation(
    "square", np.square, [lambda g, y, a: 2 * g * a], latex="{0}^{2}", text="{0}^2", level=RAISED, needs=(ATOM,)
)
power = operation(
    "power", kernels.power, [lambda g, y, a, exponent: g * (exponent * a ** (exponent - 1))],
    shape=lambda a, exponent: a,
    latex=lambda a, exponent: f"{a}^{{{exponent:g}}}", text=lambda a, exponent: f"{a}^{exponent:g}",
    level=RAISED, needs=(ATOM,), infix="**", fresh=True, nest=formula("{0} ** {exponent}"),
)  # fmt: skip
exp = operation("exp", np.exp, [lambda g, y, a: g * y], latex=r"\exp({0})")
log = operation("log", np.log, [lambda g, y, a: g / a], latex=r"\log({0})")
sqrt = operation("sqrt", np.sqrt, [lambda g, y, a: 0.5 * g / y], latex=r"\sqrt{{0}}")

# ---------------------------------------------------------------------------------------------------- nonlinearities
tanh = operation("tanh", np.tanh, [lambda g, y, a: g * (1 - square(y))], latex=r"\tanh({0})", activation=True)
sigmoid = operation(
    "sigmoid", kernels.sigmoid, [lambda g, y, a: g * (y * (1 - y))], latex=r"\sigma({0})", activation=True,
    ufunc=kernels.logistic, nest=formula("1.0 / (1.0 + np.exp(-{0}))"),
)  # fmt: skip
step = operation(
    "step", kernels.step, [None], latex=r"[{0} > 0]", text="[{0} > 0]", kinked=True, fresh=True,
    nest=formula("1.0 if {0} > 0 else 0.0"),
)  # fmt: skip
relu = operation(
    "relu", kernels.relu, [lambda g, y, a: g * step(a)], latex=r"\mathrm{relu}({0})", activation=True, kinked=True,
    fresh=True, nest=formula("max({0}, 0.0)"),
)  # fmt: skip
softplus = operation(
    "softplus", kernels.softplus, [lambda g, y, a: g * sigmoid(a)], activation=True, fresh=True,
    nest=formula("max({0}, 0.0) + np.log1p(np.exp(-abs({0})))"),
)  # fmt: skip
select: Operation = operation(
    "select", kernels.select,
    [None, lambda g, y, m, a, b: select(m, g, 0.0), lambda g, y, m, a, b: select(m, 0.0, g)],
    latex=r"\{{1} \text{ if } {0} \text{ else } {2}\}", text="({1} if {0} else {2})", fresh=True,
    nest=formula("{1} if {0} != 0 else {2}"),
)  # fmt: skip


def stop_gradient(a: Any) -> Any:
    """The value of a, through which no message is sent.

    Examples
    --------
    >>> import dbn_bptt as db
    >>> t = db.SliceTemplate("half of a square")
    >>> w = t.parameter("w", ())
    >>> t.loss("L", stop_gradient(w) * w)
    >>> float(db.bptt(t, {"w": 3.0}, T=1).gradients["w"])
    3.0
    """
    return _stop_gradient(a)


_stop_gradient = operation(
    "stop_gradient", kernels.identity, [None], shape=lambda a: a, latex="{0}", text="{0}", needs=(ATOM,),
    stops=True, lower=lambda a: a,
)  # fmt: skip

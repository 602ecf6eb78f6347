"""The engines know no operation: a user's own is compiled as well as those of the table."""

import re
from pathlib import Path

import numpy as np

import dbn_bptt as db
from dbn_bptt.ops.rows import TABLE
from tests.cases import Case, draw
from tests.helpers import assert_close

ROOT = Path(db.__file__).parent
ENGINES = [path for chapter in ("sweep", "program", "transforms") for path in sorted((ROOT / chapter).rglob("*.py"))]
ENGINES += [ROOT / "agreement.py", *sorted((ROOT / "template").glob("*.py"))]

# uses of operations that stay, and why; they *make* expressions, and none looks for an operation
MADE = {
    "template/builder.py": {"broadcast_to"},  # an equation spread to the shape of its variable
    "template/expressions.py": {  # what Python's operators stand for
        "add", "subtract", "multiply", "divide", "negative", "square", "power", "matmul", "transpose", "index", "reshape",
    },
    "template/equations.py": {"add"},  # the terms of a total over the same slices under one sum
    "transforms/pullback.py": {"sum_to", "batch_sum"},  # messages to what was broadcast, and to parameters
    "transforms/adjoint.py": {"broadcast_to"},  # an adjoint spread to the shape of its variable
    "transforms/tangent.py": {"broadcast_to"},
    "transforms/ragged.py": {"reshape", "select"},  # masks
    "transforms/segments.py": {"sum"},  # what is said of a state, times the state
    "sweep/unroll.py": {"batch_sum"},  # the terms of totals
    "program/lower.py": {"matmul", "concatenate"},  # several maps of the same vectors made one
    "program/assemble.py": {"broadcast_to"},  # a term of a total spread to its shape
}  # fmt: skip

NAMED = {
    "agreement.py": {"tanh", "sigmoid"},  # the cells that the reference in NumPy serves, by their options
    "template/expressions.py": {"divide", "matmul"},  # NumPy's functions, taken for rows of their name
    # NumPy's functions in the text of loops, as LLVM knows them
    "program/llvm_source.py": {"exp", "log", "sqrt", "tanh", "square", "negative", "max"},
    "program/elementary.py": {"exp", "tanh", "power"},
}


def test_engines_make_expressions_and_look_for_no_operation():
    for path in ENGINES:
        text = path.read_text()
        here = str(path.relative_to(ROOT))
        assert set(re.findall(r"(?<!dbn_bptt\.)\bops\.(\w+)", text)) <= MADE.get(here, set()), here
        assert not re.search(r"\.operation(\.name)? (is|==|in|not in) (?!operation\b)", text), here
        quoted = set(re.findall(r"[\"'](\w+)[\"']", text)) & (set(TABLE) - {"sum"}) - NAMED.get(here, set())
        assert not quoted, f"{here} names {quoted}"


def _softsign_template(softsign):
    t = db.SliceTemplate("softsign")
    W, x, h = t.parameter("W", (3, 3)), t.input("x", 3), t.variable("h", 3)
    t.define(h, softsign(W @ h.prev + x))
    t.loss("L", db.sum(h * h))
    return t


def _softsign(a, out=None):
    return np.divide(a, 1 + np.abs(a), out=out)


def test_a_users_operation_fuses_and_writes_in_place():
    slope = db.operation("softsign_slope", lambda a: 1 / np.square(1 + np.abs(a)), [None])
    softsign = db.operation("softsign", _softsign, [lambda g, y, a: g * slope(a)], ufunc=_softsign, activation=True)
    t = _softsign_template(softsign)
    loop = db.compile(t).source.split("slice by slice, forwards")[1].split("    # ")[0]
    assert "np.dot(h_prev, W_T, out=h_t)" in loop
    assert re.search(r"operation_softsign\(h_t, out=h_t\)", loop), loop
    drawn = draw(Case("softsign", lambda: t, T=20, B=2))
    expected = drawn.bptt()
    loss, found = db.compile(t).value_and_grad(**drawn.arguments())
    assert_close(loss, expected.loss)
    assert_close(found["W"], expected.gradients["W"])


def test_a_ufunc_of_numpy_needs_no_word():
    arctan = db.operation("arctan_of_tests", np.arctan, [lambda g, y, a: g / (1 + a * a)])
    loop = db.compile(_softsign_template(arctan)).source.split("slice by slice, forwards")[1].split("    # ")[0]
    assert "np.arctan(h_t, out=h_t)" in loop

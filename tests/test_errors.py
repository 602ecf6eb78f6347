"""Bad input: each mistake that a newcomer makes, and words of the message that name culprit and mend."""

import numpy as np
import pytest

import dbn_bptt as db
from dbn_bptt import cells

x, y = np.ones((5, 3)), np.array([0, 1, 0, 1, 1])
X, Y = np.ones((5, 2, 3)), np.zeros((5, 2), int)


def _rnn():
    rnn = cells.elman(3, 4, 2)
    return rnn, rnn.initial_parameters(0)


def _with(**changed):
    """The parameters, some changed; None takes one out."""
    parameters = _rnn()[1] | changed
    return {name: value for name, value in parameters.items() if value is not None}


def _run(parameters=None, data=None, **options):
    rnn, drawn = _rnn()
    return db.bptt(
        rnn, drawn if parameters is None else parameters, {"x": x, "y": y} if data is None else data, **options
    )


def _changed(array, index, value):
    array = np.array(array, float)
    array[index] = value
    return array


class _Elsewhere:
    """An array that NumPy cannot read, as a tensor on a GPU."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


DATA = [
    ("missing parameter", lambda: _run(_with(W=None)), "parameter 'W' is missing; template 'Elman network' needs W, U, b"),
    ("misspelt parameter", lambda: _run(_with(ww=1.0)), "unknown parameter 'ww'; did you mean"),
    ("shape of a parameter", lambda: _run(_with(W=np.ones((4, 3)))), r"parameter 'W' has shape \(4, 3\), not \(4, 4\)"),
    ("NaN in a parameter", lambda: _run(_with(b=_changed(np.ones(4), 2, np.nan))), r"b holds nan at index \(2,\)"),
    ("complex parameter", lambda: _run(_with(b=np.ones(4) * 1j)), "b has type complex128; give real numbers"),
    ("text as a parameter", lambda: _run(_with(b="zeros")), "b has type <U5; give real numbers"),
    ("parameters not by name", lambda: _run([1, 2]), "parameters must be a dict from names to arrays, not list"),
    ("missing data", lambda: _run(data={"x": x}), "input or target 'y' is missing"),
    ("misspelt data", lambda: _run(data={"x": x, "y": y, "Y": y}), "unknown input or target 'Y'; did you mean 'y'"),
    ("NaN in the data", lambda: _run(data={"x": _changed(x, (3, 1), np.nan), "y": y}), r"x holds nan at index \(3, 1\)"),
    ("infinity in the data", lambda: _run(data={"x": _changed(x, (0, 0), np.inf), "y": y}), r"x holds inf at index \(0, 0\)"),
    ("size of an input", lambda: _run(data={"x": np.ones((5, 2)), "y": y}), r"'x' has shape \(5, 2\); it must be \(T, 3\) or \(T, B, 3\)"),
    ("too many axes", lambda: _run(data={"x": np.ones((5, 2, 2, 3)), "y": y}), r"'x' has shape \(5, 2, 2, 3\); it must be"),
    ("slices differ", lambda: _run(data={"x": x, "y": y[:4]}), r"'x' has \(T\[, B\]\) = \(5,\) but 'y' has \(4,\); time is axis 0"),
    ("batch and no batch", lambda: _run(data={"x": X, "y": y}), r"'x' has \(T\[, B\]\) = \(5, 2\) but 'y' has \(5,\)"),
    ("class too large", lambda: _run(data={"x": x, "y": y + 1}), r"target 'y' is class 2 at index \(1,\); classes run from 0 to 1"),
    ("class negative", lambda: _run(data={"x": x, "y": y - 1}), r"target 'y' is class -1 at index \(0,\)"),
    ("one-hot integers", lambda: _run(data={"x": x, "y": np.eye(2, dtype=int)[y]}), "one-hot targets must be floats"),
    ("no distribution", lambda: _run(data={"x": x, "y": np.ones((5, 2))}), r"target 'y' at index \(0,\) is no distribution \(sum 2\)"),
    ("real numbers as classes", lambda: _run(data={"x": x, "y": y * 1.0}), r"class indices \(T,\) or \(T, B\) below 2"),
    ("T = 0", lambda: _run(data={"x": np.ones((0, 3)), "y": np.zeros(0, int)}), r"there are 0 slices \(T\)"),
    ("empty batch", lambda: _run(data={"x": np.ones((5, 0, 3)), "y": np.zeros((5, 0), int)}), r"of batch \(0,\)"),
    ("T against the data", lambda: _run(T=6), "'x' has 5 slices, but T is 6"),
    ("unknown initial state", lambda: _run(initial={"hh": np.ones(4)}), "unknown initial state 'hh'; did you mean 'h'"),
    ("initial state of no state", lambda: _run(initial={"o": np.ones(2)}), "unknown initial state 'o'"),
    ("shape of an initial state", lambda: _run(initial={"h": np.ones(3)}), r"initial state of h has shape \(3,\); it must be \(4,\)"),
    ("NaN in an initial state", lambda: _run(initial={"h": np.full(4, np.nan)}), "initial state of h holds nan"),
    ("lengths of one sequence", lambda: _run(lengths=[5]), r"lengths need a batch"),
    ("number of lengths", lambda: _run(data={"x": X, "y": Y}, lengths=[5]), r"lengths must be \(2,\) integers, one for each sequence"),
    ("lengths out of range", lambda: _run(data={"x": X, "y": Y}, lengths=[6, 0]), "lengths run from 0 to 6; each must be from 1 to T = 5"),
    ("lengths not integer", lambda: _run(data={"x": X, "y": Y}, lengths=[1.5, 2]), "integers, one for each sequence, not float64"),
    ("lengths for a plain graph", lambda: db.forward(db.unroll(_rnn()[0], 5), _rnn()[1], {"x": X, "y": Y}, lengths=[5, 2]),
     r"this graph does not take lengths; unroll db.ragged\(template\)"),
    ("ragged graph without lengths", lambda: db.forward(db.unroll(db.ragged(_rnn()[0]), 5), _rnn()[1], {"x": X, "y": Y}), "give lengths="),
    ("no T", lambda: db.bptt(_counter(), {"w": 1.0}), "got no data that tells the number of slices; give T="),
    ("T not an integer", lambda: db.unroll(_rnn()[0], 2.5), "T is 2.5; the number of slices must be a positive integer"),
    ("T of 0 slices", lambda: db.unroll(_rnn()[0], 0), "T is 0"),
    ("unknown value", lambda: _run().values["hh", 2], "unknown name 'hh'; did you mean 'h'"),
    ("value of no slice", lambda: _run().values["h", 7], r"\('h', 7\): t runs from -1 to 4"),
    ("value without a slice", lambda: _run().values["h"], r"'h': t runs from -1 to 4; write \['h', t\]"),
    ("slice of a parameter", lambda: _run().values["W", 0], r"'W' has no slices; use \['W'\]"),
    ("ragged lists", lambda: _run(data={"x": [[1, 1, 1], [1, 1]], "y": [0, 1]}), "x is not a rectangular array; pad sequences .* lengths="),
    ("data not by name", lambda: _run(data=[x, y]), "inputs and targets must be a dict from names to arrays, not list"),
    ("initial state not by name", lambda: _run(initial=np.ones(4)), "initial states must be a dict .* not ndarray"),
    ("T as text", lambda: _run(T="5"), "T is '5'; the number of slices must be a positive integer"),
    ("a template for a graph", lambda: db.forward(_rnn()[0], {}), "give a graph from unroll"),
    ("a graph for a template", lambda: db.bptt(db.unroll(_rnn()[0], 5), {}), "bptt takes a SliceTemplate"),
    ("text for a template", lambda: db.unroll("rnn", 5), "unroll takes a SliceTemplate, such as"),
    ("values of another graph", lambda: db.backward(db.unroll(_rnn()[0], 5), _run().values), "belong to another graph"),
    ("a loss that is not defined", lambda: _logarithm(-1.0), r"the value of \('L', 0\) is NaN; its equation"),
    ("a derivative that is not defined", lambda: _logarithm(0.0), "the adjoint of 'w' is NaN"),
    ("an inverse that does not exist", lambda: _inverse(), r"\('M', 0\): Singular matrix"),
    ("a forward function that loses axes", lambda: _losing(), "an operation returned shape"),
    ("a missing adjoint", lambda: _run().messages.adjoint["hh", 2], "unknown name 'hh'; did you mean 'h'"),
    ("a missing message", lambda: _run().messages.edge[("h", 2), ("o", 3), 2], "no message went along"),
    ("an edge without its key", lambda: _run().messages.edge[("h", 2), ("a", 3)], r"no message went along \(\('h', 2\), \('a', 3\)\); an edge is .*; there is \(\('h', 2\), \('a', 3\), 2\)"),
    ("gradient of a misspelt parameter", lambda: _run().gradients["w"], "unknown name 'w'; did you mean 'W'"),
    ("masked data", lambda: _run(data={"x": np.ma.masked_less(x, 2), "y": y}), "x has masked elements; fill them"),
    ("data on another device", lambda: _run(data={"x": _Elsewhere(), "y": y}), "x: can't convert cuda:0 device type"),
    ("backward without values", lambda: db.backward(db.unroll(_rnn()[0], 2), None), "backward takes the values of forward, not NoneType"),
    ("scalar graph of a result", lambda: db.paths.linearize(_run().graph, _run()), r"takes the values of forward \(result.values of bptt\), not Result"),
    ("a direction that is no dict", lambda: db.hessian_vector_product(*_rnn(), {"x": x, "y": y}, np.ones(4)), "directions must be a dict"),
    ("forward mode of no template", lambda: db.rtrl(_rnn()[1], {}), "rtrl takes a SliceTemplate.*not dict"),
    ("ragged of no template", lambda: db.ragged({}), "ragged takes a SliceTemplate.*not dict"),
    ("equations of no template", lambda: db.equations({}), "equations takes a SliceTemplate.*not dict"),
    ("a vector of text", lambda: db.compile(_rnn()[0]).flat({"x": x, "y": y})[0]("W"), "give a vector of 42 numbers, not str"),
    ("per slice of a variable", lambda: _run().messages.per_slice("h"), "unknown parameter 'h'"),
]  # fmt: skip


def _logarithm(w):
    t = db.SliceTemplate("logarithm")
    v = t.parameter("w", ())
    t.loss("L", db.log(v) if w < 0 else v * db.log(v * v + 0.0) * 0.0 + db.sqrt(v) * db.sqrt(v))
    return db.bptt(t, {"w": w}, T=1)


def _inverse():
    t = db.SliceTemplate("inverse")
    M = t.variable("M", (2, 2))
    t.define(M, db.inverse(t.parameter("A", (2, 2))))
    t.loss("L", db.sum(M))
    return db.bptt(t, {"A": np.ones((2, 2))}, T=1)


def _losing():
    from dbn_bptt.ops.rows import TABLE

    norm = TABLE.get("norm of all") or db.operation(
        "norm of all", np.linalg.norm, [lambda g, y, a: g * a / y], shape=lambda a: ()
    )
    t = db.SliceTemplate("norm")
    z = t.variable("z", ())
    t.define(z, norm(t.input("x", 3)) * np.ones(()))
    t.loss("L", z)
    return db.bptt(t, {}, {"x": np.ones((1, 2, 3))})


def _counter():
    t = db.SliceTemplate("counter")
    w, h = t.parameter("w", ()), t.variable("h", ())
    t.define(h, w * h.prev)
    t.loss("L", h)
    return t


def _template(build):
    """Build on a template with a few declarations, and check it."""
    t = db.SliceTemplate("mine")
    t.parameter("W", (4, 4))
    t.input("x", 3)
    t.target("y", classes=4)
    t.variable("h", 4)
    build(t, t["W"], t["h"])
    t.check()


def _two(t, W, h, one, other):
    g = t.variable("g", 4)
    t.define(h, one(h, g))
    t.define(g, other(h, g))


def _other_template():
    other = db.SliceTemplate("other")
    return other.variable("h", 3)


TEMPLATES = [
    ("shapes that do not chain", lambda t, W, h: t.define(h, W @ t["x"]), r"matmul\(W of shape \(4, 4\), x of shape \(3,\)\).*4 columns"),
    ("shapes that do not broadcast", lambda t, W, h: t.define(h, h.prev + t["x"]), r"add\(h.prev of shape \(4,\), x of shape \(3,\)\)"),
    ("shape of the equation", lambda t, W, h: t.define(h, t["x"]), r"h has shape \(4,\), its equation \(3,\)"),
    ("a hole", lambda t, W, h: t.variable("g", 2) is None or t.define(h, h.prev), "g is declared but has no equation; define"),
    ("nothing", lambda t, W, h: None, "template 'mine' defines nothing"),
    ("a variable in itself", lambda t, W, h: t.define(h, W @ h), "h -> h need each other in one slice; use .prev"),
    ("a cycle", lambda t, W, h: _two(t, W, h, lambda h, g: g, lambda h, g: h), "need each other in one slice"),
    ("a cycle over slices", lambda t, W, h: _two(t, W, h, lambda h, g: g.prev, lambda h, g: h.next), "look at slices before and after in one cycle; no order of the slices serves both"),
    ("a cycle through a window", lambda t, W, h: t.define(h, (0.5 * h.lag(-4)).lag(4)), "need each other in one slice"),
    ("both directions at once", lambda t, W, h: t.define(h, h.prev + h.next), "look at slices before and after in one cycle; no order of the slices serves both"),
    ("both directions in a loop", lambda t, W, h: _two(t, W, h, lambda h, g: g.lag(3) + h.prev, lambda h, g: h.next + g.next), "look at slices before and after in one cycle; no order of the slices serves both"),
    ("defined twice", lambda t, W, h: t.define(h, h.prev) or t.define(h, h.prev), "h is defined already"),
    ("declared twice", lambda t, W, h: t.input("W", 2), "'W' is declared already, as a parameter; choose another name"),
    ("no name", lambda t, W, h: t.input("my input", 2), "'my input' is not a name"),
    ("no size", lambda t, W, h: t.input("z", 0), "z: shape 0 must consist of positive integers"),
    ("unknown name", lambda t, W, h: t["hh"], "unknown name 'hh'; did you mean 'h'"),
    ("a foreign variable", lambda t, W, h: t.define(h, W[:, :3] @ _other_template()), "h: h belongs to another template"),
    ("an undeclared one", lambda t, W, h: t.define(h, db.SliceTemplate().variable("g", 4)), "unknown name in the equation of h: 'g'"),
    ("lag of a parameter", lambda t, W, h: W.prev, "W is a parameter, the same in every slice: it has no lag"),
    ("define a lagged variable", lambda t, W, h: t.define(h.prev, h), "in its own slice, not h.prev"),
    ("define a parameter", lambda t, W, h: t.define(W, h), "define a variable declared by .variable"),
    ("loss of a vector", lambda t, W, h: t.loss("L", h), r"L: a loss is a scalar per slice, not of shape \(4,\); sum it"),
    ("loss at nowhere", lambda t, W, h: t.loss("L", db.sum(h), at="end"), "at='end' is not one of 'every', 'first', 'last'"),
    ("use of a total", lambda t, W, h: t.loss("L", db.sum(h)) or t.define(h, h.prev + t["L"]), "L is a total over all slices"),
    ("cross-entropy of unlike shapes", lambda t, W, h: db.cross_entropy(t["x"], t["y"]), "declare the target with classes="),
    ("target without a form", lambda t, W, h: t.target("z"), "z: give either the shape of the target or its number of classes"),
    ("initial state of no use", lambda t, W, h: t.define(t.variable("g", 2, initial=[1, 1]), t["x"][:2]) or t.define(h, h.prev),
     "g has an initial state but no equation uses g.prev"),
    ("initial state of a wrong shape", lambda t, W, h: _initial(t, h, np.ones(3)), r"g: the initial state has shape \(3,\), not \(4,\)"),
    ("NaN in a constant", lambda t, W, h: t.define(h, h.prev + np.nan), "a constant in an equation contains NaN"),
    ("text in an equation", lambda t, W, h: h + "one", "'one' cannot stand in an equation"),
    ("truth of an expression", lambda t, W, h: 1 if h else 0, "an expression has no truth value"),
    ("exponent that is an expression", lambda t, W, h: h**h, "the exponent must be a number"),
    ("index out of range", lambda t, W, h: h[4], r"index 4 is outside an axis of size 4 of shape \(4,\)"),
    ("too many indices", lambda t, W, h: h[0, 0], "has more entries than shape"),
    ("index by an array", lambda t, W, h: h[[0, 1]], r"index \[0, 1\] is not an integer or a slice"),
    ("axis out of range", lambda t, W, h: db.sum(h, axis=1), r"axis 1 does not exist: the shape is \(4,\)"),
    ("reshape to another size", lambda t, W, h: db.reshape(h, (3, 2)), r"shape \(4,\) cannot be reshaped to \(3, 2\)"),
    ("two open sizes", lambda t, W, h: db.reshape(h, (-1, -1)), "at most one may be -1"),
    ("einsum of other operands", lambda t, W, h: db.einsum("ij,j->i", W), "does not fit 1 operands"),
    ("einsum of other axes", lambda t, W, h: db.einsum("ij->i", h), "names 2 axes of shape"),
    ("einsum of unlike sizes", lambda t, W, h: db.einsum("ij,j->i", W, t["x"]), "label 'b' has sizes 4 and 3"),
    ("einsum of an unknown label", lambda t, W, h: db.einsum("i->k", h), "output label 'k' occurs in no operand"),
    ("inverse of a vector", lambda t, W, h: db.inverse(h), "is not that of a square matrix"),
    ("outer of a matrix", lambda t, W, h: db.outer(h, W), "outer takes two vectors"),
    ("product with a scalar", lambda t, W, h: W @ 2.0, r"needs at least one axis.*use \*"),
    ("class out of range", lambda t, W, h: db.cross_entropy(h, 4), "class indices must be integers from 0 to 3"),
    ("concatenate without a list", lambda t, W, h: db.concatenate(h, h), "concatenate takes a list of parts"),
    ("einsum without subscripts", lambda t, W, h: db.einsum(W, h), "einsum takes the subscripts first"),
    ("reshape to a fraction", lambda t, W, h: db.reshape(h, 4.0), "shape 4.0 is no tuple of integers"),
    ("logits and target swapped", lambda t, W, h: db.cross_entropy(t.target("k", classes=4), h), "cross_entropy takes the logits first"),
    ("squared error of two shapes", lambda t, W, h: db.squared_error(h, t.target("k", 1)), r"squared_error of shapes \(4,\) and \(1,\); give both one shape"),
    ("concatenate nothing", lambda t, W, h: db.concatenate([]), "concatenate takes a list of parts, at least one"),
    ("concatenate unlike rows", lambda t, W, h: db.concatenate([W, h]), "differ"),
    ("unknown activation", lambda t, W, h: cells.elman(1, 1, 2, activation="tanhh"), "unknown activation 'tanhh'; did you mean 'tanh'"),
    ("unknown output", lambda t, W, h: cells.elman(1, 1, 2, output="soft"), "output='soft' is not 'softmax' or 'linear'"),
    ("unknown layer", lambda t, W, h: cells.stacked(["lstmm"], 1, 1, 2), "unknown layer 'lstmm'; did you mean 'lstm'"),
    ("layers not in a list", lambda t, W, h: cells.stacked("lstm", 1, 1, 2), r"give a list of layers, for example \['lstm', 'lstm'\]"),
    ("unknown reset", lambda t, W, h: cells.gru(1, 1, 2, reset="both"), "reset='both' is not 'after' or 'before'"),
    ("unknown format", lambda t, W, h: db.equations(cells.elman(1, 1, 2), "html"), "format='html' is not 'latex' or 'text'"),
    ("a comparison", lambda t, W, h: db.select(h == 0, h, 0.0), "cannot be compared; step"),
    ("an order", lambda t, W, h: h > 0, "cannot be compared; step"),
    ("a power of a number", lambda t, W, h: 2**h, "the exponent must be a number; write exp"),
    ("an absolute value", lambda t, W, h: abs(h), r"use relu\(a\) \+ relu\(-a\)"),
    ("a NumPy function without a row", lambda t, W, h: np.cos(h), "np.cos has no row in the table of operations"),
    ("a NumPy routine", lambda t, W, h: np.dot(W, h), "np.dot does not work on expressions"),
    ("half a lag", lambda t, W, h: h.lag(0.5), "lag 0.5 is not a whole number of slices"),
    ("an axis twice", lambda t, W, h: db.sum(W, axis=(0, -2)), "name an axis twice"),
    ("axes that do not exist", lambda t, W, h: db.transpose(W, (0, 5)), "do not permute"),
    ("a scalar to concatenate", lambda t, W, h: db.concatenate([h, 3.0]), "which a scalar lacks"),
    ("too many arguments", lambda t, W, h: db.tanh(h, h), r"tanh takes 1 argument\(s\), not 2"),
    ("a shape that is a number", lambda t, W, h: t.parameter("q", 2.0), "shape 2.0 must consist of positive integers"),
    ("no shape", lambda t, W, h: t.parameter("q", None), "shape None must consist of positive integers"),
    ("name and shape exchanged", lambda t, W, h: t.parameter((4, 4), "q"), "is not a name"),
    ("default of a wrong shape", lambda t, W, h: t.parameter("q", 3, default=[1, 2]), r"q: the default has shape \(2,\), not \(3,\)"),
    ("initial state that is a variable", lambda t, W, h: t.variable("g", 4, initial=h), "must be zeros, an array or a parameter, not h"),
    ("an equation that is None", lambda t, W, h: t.define(h, None), "None cannot stand in an equation"),
    ("einsum of digits", lambda t, W, h: db.einsum("1i,i->1", W, h), "labels must be letters"),
    ("a VJP in NumPy", lambda t, W, h: _own(lambda g, y, a: g * np.cos(a)), "the VJP of .* np.cos has no row"),
    ("a VJP of a wrong shape", lambda t, W, h: _own(lambda g, y, a: db.sum(g)), r"returns shape \(\) for an argument of shape \(3,\)"),
    ("VJPs not in a list", lambda t, W, h: db.operation("unlisted", np.sin, 3.0), "give a list of VJPs"),
    ("no loss", lambda t, W, h: t.define(h, h.prev) or db.bptt(t, {"W": np.ones((4, 4))}, {"x": x, "y": y}), "has no loss to send messages from"),
]  # fmt: skip


def _own(vjp):
    """An operation with a faulty VJP, not kept in the table."""
    from dbn_bptt.ops.rows import TABLE

    sine = db.operation("faulty", np.sin, [vjp], elementwise=False)
    del TABLE["faulty"]
    t = db.SliceTemplate("faulty")
    t.loss("L", db.sum(sine(t.parameter("w", 3))))
    return db.bptt(t, {"w": np.ones(3)}, T=1)


def _initial(t, h, value):
    g = t.variable("g", 4, initial=value)
    t.define(g, g.prev)
    t.define(h, h.prev)


@pytest.mark.parametrize(("call", "message"), [row[1:] for row in DATA], ids=[row[0] for row in DATA])
def test_bad_data_is_refused_with_the_culprit_and_the_mend(call, message):
    with pytest.raises(db.DbnBpttError, match=message):
        call()


@pytest.mark.parametrize(("build", "message"), [row[1:] for row in TEMPLATES], ids=[row[0] for row in TEMPLATES])
def test_bad_templates_are_refused_with_the_culprit_and_the_mend(build, message):
    with pytest.raises(db.DbnBpttError, match=message):
        _template(build)


def test_the_sign_of_lags_may_differ_where_there_is_no_loop():
    t = db.SliceTemplate("fine")
    h, g = t.variable("h", 2), t.variable("g", 2)
    t.define(h, db.tanh(h.prev))
    t.define(g, db.tanh(g.next + h.prev + h.next))
    t.check()


def test_a_first_slice_equation_may_turn_the_order_round():
    t = db.SliceTemplate("fine")
    u, v = t.variable("u", 2), t.variable("v", 2)
    t.define(v, u.prev, first=u)
    t.define(u, v, first=np.ones(2))
    t.check()

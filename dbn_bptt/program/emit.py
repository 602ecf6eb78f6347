"""A schedule as NumPy source: one stand-alone function that a student can read.

Every array has the axis of time first and the batch next. A step for all slices is a few array operations; a scan is a
loop over views of the slices, with every result written into its row; a total is a sum over time and batch.
"""

import ast
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx

from dbn_bptt import ops
from dbn_bptt.ops import kernels, shapes
from dbn_bptt.program.lower import is_static
from dbn_bptt.program.memory import placed
from dbn_bptt.program.schedule import Schedule
from dbn_bptt.program.source import Source, Target
from dbn_bptt.program.zones import Step, Zone
from dbn_bptt.template.expressions import Apply, Expression, Reference
from dbn_bptt.template.traversal import terms, walk

HELPERS = '''

def times(a, matrix, out=None):
    """The vectors a (T, B, n) of all slices times a matrix, as one product."""
    rows = None if out is None else out.reshape(-1, out.shape[-1])
    rows = np.matmul(a.reshape(-1, a.shape[-1]), matrix, out=rows)
    return rows.reshape(*a.shape[:-1], matrix.shape[-1])


def flat(a):
    """The vectors (T, B, n) of all slices and sequences as the rows of one matrix."""
    return a.reshape(-1, a.shape[-1])
'''


def emit(schedule: Schedule, results: Sequence[str]) -> tuple[str, dict[str, Callable[..., Any]], int]:
    """The source of a function run(parameters, data, initial, T, B, dtype, empty) that returns some series and totals.

    `empty` makes the arrays that it needs for itself, like `numpy.empty`. Its data have the axes (T, B, ...), slices
    that the equations reach back to in front, and its initial states (slices, B, ...).

    Returns
    -------
    source : str
    functions : dict
        The forward functions of operations that a user added, which the source calls but cannot show.
    numbers : int
        How many numbers it keeps for each slice of a sequence.
    """
    source = Source(schedule, zone=Zone(0, schedule.slices - 1, {}))
    for step in schedule.steps:
        source.lines.append(f"    # {schedule.describe(step)}")
        _WRITERS[step.kind](source, step)
    keep = {source.names.label(name) for name in results}
    lines, numbers = placed(source, keep)
    body = "\n".join([*source.setup, *lines])
    made = {name for step in schedule.steps for name in step.names}
    label = source.names.label
    given = [n for n, s in schedule.symbols.items() if n not in made and re.search(rf"\b{label(n)}\b", body)]
    places = {"parameter": "parameters", "constant": "parameters", "input": "data", "target": "data"}
    unpack = [f"    {label(n)} = {places[k]}[{n!r}]" for n in given if (k := schedule.symbols[n].kind) in places]
    nothing = {n: f"np.zeros({schedule.symbols[n].shape}, dtype)" for n in results if n not in made}
    own = {n: f"{label(n)}.copy()" if label(n) in source.shown else label(n) for n in results}
    back = "    return {" + ", ".join(f"{n!r}: {nothing.get(n, own[n])}" for n in results) + "}"
    shown, functions = _kernels(source.kernels)
    guard = ['@np.errstate(over="ignore")'] if "logistic" in shown else []  # exp(-a) of a sigmoid near 0
    head = "def run(parameters, data, initial, T, B, dtype, empty=np.empty):"
    run = "\n".join([*guard, head, *unpack, body, back])
    return f"import numpy as np\n{HELPERS}{shown}\n\n{run}\n", functions, numbers


# ------------------------------------------------------------------------------------------------------------ steps
def _all_slices(source: Source, step: Step) -> None:
    """A variable in all slices at once; zone by zone where its equation is not the same in all."""
    (name,) = step.names
    if not step.zones:
        _allocate(source, name)
    for zone in step.zones:
        source.zone, rule = zone, zone.rules[name]
        whole = (zone.first, zone.last) == source.schedule.spans[name]
        if whole and isinstance(rule, Reference) and rule.symbol.timed:
            source.show(source.names.label(name), source.view(rule))
        elif whole and not is_static(rule):
            source.into(Target(source.names.label(name), False), rule)
        else:
            if zone is step.zones[0]:
                _allocate(source, name)
            source.into(Target(source.rows(name, zone.first, zone.last), True), rule)


def _allocate(source: Source, name: str) -> None:
    """An array for a series, with given initial states in their rows."""
    schedule, label = source.schedule, source.names.label(name)
    sizes = "".join(f", {n}" for n in schedule.symbols[name].shape)
    place = source.memory(label, schedule.symbols[name].shape, *schedule.spans[name])
    source.line(f"{label} = {place or f'np.empty(({source.count(*schedule.spans[name])}, B{sizes}), dtype)'}")
    before, after = schedule.reaches.get(name, (0, 0)) if name not in schedule.learned else (0, 0)
    if before:
        source.line(f"{label}[:{before}] = initial[{name!r}][:{before}]")
    if after:
        source.line(f"{label}[-{after}:] = initial[{name!r}][-{after}:]")


def _scan(source: Source, step: Step) -> None:
    """A recurrence: slice by slice, each result written into its row."""
    for name in step.names:
        if name in step.local:
            source.line(f"{_row(source, name, 0)} = {source.scratch(source.schedule.symbols[name].shape)}")
        else:
            _allocate(source, name)
    at = len(source.lines)
    for zone in step.zones:
        source.zone = zone
        _loop(source, step, zone)
    source.lines[at:at] = source.buffers
    source.buffers.clear()
    source.free.clear()


def _loop(source: Source, step: Step, zone: Zone) -> None:
    """The loop over the slices of one zone, over views of the rows that it reads and writes."""
    used = {(e.name, e.delay) for e in walk(zone.rules.values()) if isinstance(e, Reference) and e.symbol.timed}
    pairs = sorted(used | {(name, 0) for name in zone.rules}, key=lambda pair: (pair[0], -pair[1]))
    source.views = {(name, lag): _row(source, name, lag) for name, lag in pairs}
    pairs = [(name, lag) for name, lag in pairs if name not in step.local]
    turn = "[::-1]" if step.direction < 0 else ""
    rows = ", ".join(source.rows(name, zone.first - lag, zone.last - lag) + turn for name, lag in pairs)
    views = ", ".join(source.views[pair] for pair in pairs)
    source.line(f"for {views}{',' if len(pairs) == 1 else ''} in zip({rows}):")
    source.indent += "    "
    source.repeated = _repeated(zone)
    for name in _order(zone):
        source.into(Target(source.views[name, 0], True), zone.rules[name])
    source.indent = source.indent[:-4]
    for e, place in source.written.items():
        source.free.setdefault(e.shape, []).append(place)
    source.written.clear()
    source.views = None


def _row(source: Source, name: str, lag: int) -> str:
    """The name of a variable's row in a scan."""
    when = {0: "t", 1: "prev", -1: "next"}.get(lag, f"{'prev' if lag > 0 else 'next'}{abs(lag)}")
    return source.names.unused(f"{name}_{when}")


def _order(zone: Zone) -> list[str]:
    """The variables of a slice, each after those that it needs in the same slice."""
    needs = nx.DiGraph()
    needs.add_nodes_from(zone.rules)
    for name, rule in zone.rules.items():
        inside = (e.name for e in walk([rule]) if isinstance(e, Reference) and e.delay == 0 and e.name in zone.rules)
        needs.add_edges_from((other, name) for other in inside)
    return list(nx.lexicographical_topological_sort(needs, key=list(zone.rules).index))


def _repeated(zone: Zone) -> set[Expression]:
    """The operations in a slice whose results several others use."""
    users: dict[Expression, set[object]] = {}
    for name, rule in zone.rules.items():
        users.setdefault(rule, set()).add(name)
        for e in walk([rule]):
            for argument in e.arguments if isinstance(e, Apply) else ():
                users.setdefault(argument, set()).add(e)
    return {e for e, by in users.items() if len(by) > 1 and isinstance(e, Apply) and not is_static(e)}


def _total(source: Source, step: Step) -> None:
    """A sum over all slices and the batch, term by term."""
    (name,) = step.names
    found = False
    for zone in step.zones:
        source.zone, rule = zone, zone.rules[name]
        for sign, term in terms(rule.arguments[0] if isinstance(rule, Apply) else rule):
            text = _summed(source, term if term.shape == rule.shape else ops.broadcast_to(term, rule.shape))
            first = f"{source.names.label(name)} = {'' if sign > 0 else '-'}{text}"
            source.line(f"{source.names.label(name)} {'+' if sign > 0 else '-'}= {text}" if found else first)
            found = True


def _summed(source: Source, e: Expression) -> str:
    """The sum of an expression over time and batch; of outer products, as one matrix product."""
    if isinstance(e, Apply) and e.operation is ops.outer and not any(map(is_static, e.arguments)):
        left, right = (_named(source, a) for a in e.arguments)
        return f"flat({left}).T @ flat({right})"
    if pair := _inner_product(e):
        left, right = (_named(source, a) for a in pair)
        return f"np.vdot({left}, {right})"
    if is_static(e):
        return f"{source.fixed(e)} * ({source.count(source.zone.first, source.zone.last)} * B)"
    return f"{_named(source, e)}.sum((0, 1))"


def _inner_product(e: Expression) -> tuple[Expression, ...]:
    """The two arrays of which an expression is the sum of all products, element by element; () for any other."""
    if not isinstance(e, Apply) or e.operation.name != "sum" or e.shape:
        return ()
    (product,) = e.arguments
    if not isinstance(product, Apply) or product.operation is not ops.multiply:
        return ()
    fits = all(a.shape == product.shape and not is_static(a) for a in product.arguments)
    return product.arguments if fits else ()


def _named(source: Source, e: Expression) -> str:
    """The name of an array that holds an expression."""
    text = source.simple(e)
    if text is None:
        target = source.temporary(e.shape)
        source.into(target, e)
        text = target.name
    return text


_WRITERS: dict[str, Callable[[Source, Step], None]] = {"all slices": _all_slices, "scan": _scan, "total": _total}


# ---------------------------------------------------------------------------------------------------------- kernels
def _kernels(called: dict[str, Callable[..., Any]]) -> tuple[str, dict[str, Callable[..., Any]]]:
    """The source of the kernels that a function calls, and of what they call in turn; others are handed over."""
    shown: dict[str, str] = {}
    functions: dict[str, Callable[..., Any]] = {}
    queue = list(called.items())
    while queue:
        name, function = queue.pop()
        if name in shown or name in functions:
            continue
        if getattr(function, "__module__", "") not in (kernels.__name__, shapes.__name__):
            functions[name] = function
            continue
        shown[name] = _without_types(inspect.getsource(function))
        names = {node.id for node in ast.walk(ast.parse(shown[name])) if isinstance(node, ast.Name)}
        queue += [(other, f) for other in sorted(names) if inspect.isfunction(f := getattr(kernels, other, None))]
    if "math." in "".join(shown.values()):
        return "\nimport math\n" + "".join(f"\n\n{shown[name]}\n" for name in sorted(shown)), functions
    return "".join(f"\n\n{shown[name]}\n" for name in sorted(shown)), functions


def _without_types(text: str) -> str:
    """A function's source without annotations, which would need more imports."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(tree)

"""The source of the kernels that a program calls, which stands in the program's own."""

import ast
import inspect
from collections.abc import Callable
from typing import Any

from dbn_bptt.ops import kernels, shapes

SHOWN = (kernels.__name__, shapes.__name__, "dbn_bptt.program.parallel_scans")  # modules whose functions are shown


def shown_kernels(called: dict[str, Callable[..., Any]]) -> tuple[str, dict[str, Callable[..., Any]]]:
    """The source of the kernels that a function calls, and of what they call in turn; others are handed over."""
    shown: dict[str, str] = {}
    functions: dict[str, Callable[..., Any]] = {}
    queue = list(called.items())
    while queue:
        name, function = queue.pop()
        if name in shown or name in functions:
            continue
        if getattr(function, "__module__", "") not in SHOWN:
            functions[name] = function
            continue
        shown[name] = _without_types(inspect.getsource(function))
        names = {node.id for node in ast.walk(ast.parse(shown[name])) if isinstance(node, ast.Name)}
        inside = inspect.unwrap(function).__globals__
        queue += [(other, f) for other in sorted(names) if inspect.isfunction(f := inside.get(other))]
    imports = "\nimport math\n" if "math." in "".join(shown.values()) else ""
    return imports + "".join(f"\n\n{shown[name]}\n" for name in sorted(shown)), functions


def _without_types(text: str) -> str:
    """A function's source without annotations, which would need more imports."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(tree)

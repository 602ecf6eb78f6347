"""The reference: a page for each chapter of the package, with every public name, in the order of its `__all__`."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import dbn_bptt
from extension import put

CHAPTERS = {  # of the names of the root, by the folder or file that they come from
    "template": "Templates: one time slice",
    "ops": "Operations",
    "sweep": "The sweeps: values and messages",
    "transforms": "Adjoint, tangent, ragged batches",
    "program": "The fast program",
    "agreement": "Agreement",
    "errors": "Errors",
}
WINGS = {
    "cells": "Cells",
    "dbn": "Dynamic Bayesian networks",
    "paths": "Paths",
    "link": "Correspondences and figures",
    "render": "Pictures and the explorer",
    "scale": "Beyond one machine",
    "exercises": "Exercises",
}


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "generated" / "reference"))
    app.connect("autodoc-process-docstring", _marked, priority=100)  # before NumPy's sections become markup
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _marked(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text with `code`: what reStructuredText would take for markup is text."""
    mark = re.compile(r"(?<![`\w])\*{1,2}(?=\w)|(?<=\w)_(?=[\s,.;:)]|$)")
    lines[:] = [line if ">>>" in line else mark.sub(lambda m: "".join(f"\\{c}" for c in m[0]), line) for line in lines]


def pages() -> dict[str, tuple[str, list[str]]]:
    """By the name of a page, its title and the names on it, from the root of the package."""
    found: dict[str, tuple[str, list[str]]] = {name: (title, []) for name, title in CHAPTERS.items()}
    for name in dbn_bptt.__all__:
        if name not in WINGS:
            found[_home(getattr(dbn_bptt, name))][1].append(name)
    for wing, title in WINGS.items():
        module = importlib.import_module(f"dbn_bptt.{wing}")
        names = [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]
        found[wing] = title, [f"{wing}.{name}" for name in names]
        for name in set(module.__all__) - set(names):  # a module that a wing hands on, such as link.figures
            inner = getattr(module, name)
            own = [n for n, f in vars(inner).items() if inspect.isfunction(f) and f.__module__ == inner.__name__]
            found[wing][1].extend(f"{wing}.{name}.{n}" for n in own if not n.startswith("_"))
    return found


def write(folder: Path) -> None:
    """Write the pages."""
    found = pages()
    table = [".. toctree::", "   :maxdepth: 1", "", *(f"   {page}" for page in found)]
    put(folder / "index.rst", "\n".join([_head("Reference"), "Every public name, by chapter.", "", *table, ""]))
    for page, (title, names) in found.items():
        module = "dbn_bptt" if page in CHAPTERS else f"dbn_bptt.{page}"
        of = "" if page in CHAPTERS else _summary(importlib.import_module(module)) + "\n\n"
        put(folder / f"{page}.rst", _head(title) + of + "\n".join(_entry(name) for name in names))


def _home(obj: Any) -> str:
    """The chapter of the root that an object comes from; instances are operations."""
    module = obj.__module__ if inspect.isclass(obj) or inspect.isfunction(obj) else "dbn_bptt.ops"
    return str(module).split(".")[1]


def _entry(name: str) -> str:
    obj: Any = dbn_bptt
    for part in name.split("."):
        obj = getattr(obj, part)
    if inspect.isclass(obj):
        return f".. autoclass:: dbn_bptt.{name}\n   :members:\n"
    if callable(obj):
        return f".. autofunction:: dbn_bptt.{name}\n"
    return f".. py:data:: dbn_bptt.{name}\n   :type: {type(obj).__name__}\n"


def _head(title: str) -> str:
    return f"{title}\n{'=' * len(title)}\n\n"


def _summary(module: Any) -> str:
    return (inspect.getdoc(module) or "").split("\n\n")[0]

"""The house: imports point one way, and importing is quick."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

import dbn_bptt

ROOT = Path(dbn_bptt.__file__).parent

# a module may import those on the lines above its own
LAYERS = [
    ["errors", "files"],
    ["ops"],
    ["template"],
    ["transforms", "cells"],
    ["sweep"],
    ["program"],
    ["dbn"],
    ["paths"],
    ["link"],
    ["reference"],
    ["agreement"],
    ["render"],
    ["app"],
    ["__main__"],
]
KERNEL = [name for names in LAYERS[: LAYERS.index(["sweep"]) + 1] for name in names]
HEAVY = ["pgmpy", "matplotlib", "torch", "jax", "pandas", "pytest"]


def _imports() -> nx.DiGraph:
    """Who imports whom among the package's modules and folders."""
    graph = nx.DiGraph()
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{a.name}" if node.module == "dbn_bptt" else node.module for a in node.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == "dbn_bptt" and len(parts) > 1 and here not in ("__init__", parts[1]):
                    graph.add_edge(here, parts[1])
    return graph


def test_imports_point_one_way():
    level = {name: k for k, names in enumerate(LAYERS) for name in names}
    graph = _imports()
    assert nx.is_directed_acyclic_graph(graph)
    assert set(graph) <= set(level), "a new module needs its place in LAYERS"
    for user, used in graph.edges:
        assert level[used] < level[user], f"{user} imports {used}"


def test_the_kernel_knows_no_wing():
    graph = _imports()
    for module in set(KERNEL) & set(graph):
        assert not set(graph.successors(module)) & {"program", "dbn", "paths", "render", "app"}


def test_the_reference_imports_nothing_of_ours():
    assert "reference" not in {user for user, _ in _imports().edges}
    assert "dbn_bptt" not in (ROOT / "reference.py").read_text()


def test_importing_is_quick_and_light():
    program = f"import sys, dbn_bptt; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (dbn_bptt, dbn_bptt.dbn, dbn_bptt.paths, dbn_bptt.link, dbn_bptt.render)
    for name in module.__all__
}
CALLED = {name: what for name, what in PUBLIC.items() if inspect.isroutine(what) or inspect.isclass(what)}


@pytest.mark.parametrize("name", CALLED)
def test_every_public_name_is_documented(name):
    documented, own = CALLED[name], name.rpartition(".")[2]
    assert inspect.getdoc(documented)
    assert not str(documented.__doc__).startswith(f"{own}("), "a dataclass's made-up docstring"
    if inspect.isroutine(documented):
        assert ">>>" in documented.__doc__, "an example shows how it is called"

"""The house: imports point one way, files and functions stay small, and what the docs say of it is so."""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import networkx as nx
import pytest

import dbn_bptt

ROOT = Path(dbn_bptt.__file__).parent
DOCS = ROOT.parent / "docs"
SPEC = importlib.util.spec_from_file_location("architecture", DOCS / "architecture.py")
architecture = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(architecture)

# a chapter, or a file of the root, may import those on the lines above its own
LAYERS = [
    ["errors", "lazy"],
    ["files"],
    ["ops"],
    ["template"],
    ["transforms", "cells"],
    ["sweep"],
    ["program"],
    ["dbn"],
    ["scale"],
    ["paths"],
    ["link"],
    ["reference"],
    ["agreement", "exercises"],
    ["render"],
    ["app"],
    ["__main__"],
]
LINE = ["ops", "template", "transforms", "sweep", "program"]  # each stands on the one before
WINGS = {"dbn", "paths", "link", "render", "app", "scale", "exercises"}
HEAVY = ["pgmpy", "matplotlib", "torch", "jax", "dask", "pandas", "pytest"]


def _functions() -> dict[str, ast.FunctionDef]:
    """All functions and methods of the package, by file, line and name."""
    return {
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}": node
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


def _lines(function: ast.FunctionDef) -> int:
    """The lines of a function without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


# -------------------------------------------------------------------------------------------------------- who imports whom
def test_imports_point_one_way():
    level = {name: k for k, names in enumerate(LAYERS) for name in names}
    graph = architecture.rooms()
    assert set(graph) == set(level), "every chapter and file of the root has its place in LAYERS"
    for user, used in graph.edges:
        assert level[used] < level[user], f"{user} imports {used}"


def test_the_kernel_is_one_straight_line_under_the_wings():
    graph = architecture.rooms()
    fewest = nx.transitive_reduction(graph.subgraph(LINE))
    assert set(fewest.edges) == set(zip(LINE[1:], LINE, strict=False))
    for chapter in LINE:
        assert not set(graph.successors(chapter)) & WINGS


def test_there_are_few_floors():
    assert max(architecture.floors(architecture.rooms()).values()) <= 10


def test_no_files_import_each_other_in_a_circle():
    assert next(nx.simple_cycles(architecture.imports()), None) is None


# -------------------------------------------------------------------------------------------------------------- sizes
def test_the_root_holds_few_files_of_its_own():
    assert len([path for path in ROOT.glob("*.py") if not path.name.startswith("__")]) <= 8


def test_files_fit_a_head_and_functions_a_screen():
    files = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {name: n for name, n in files.items() if n > 400} == {}
    assert {name: n for name, f in _functions().items() if (n := _lines(f)) > 50} == {}


def test_the_two_sweeps_can_be_printed_in_a_lecture():
    sweeps = {name: _lines(f) for name, f in _functions().items() if re.match(r"sweep/.*: (evaluate|swept)$", name)}
    assert len(sweeps) == 2
    assert all(n < 25 for n in sweeps.values()), sweeps


def test_a_module_is_what_its_name_says():
    for found in pkgutil.walk_packages(dbn_bptt.__path__, "dbn_bptt."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
            package, _, name = found.name.rpartition(".")
            assert isinstance(getattr(sys.modules[package], name), ModuleType), f"{found.name} gives no module"


# --------------------------------------------------------------------------------------------------------------- docs
def test_the_map_is_that_of_the_tree():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert architecture.updated(page) == page, "run python docs/architecture.py"


def test_every_file_says_what_it_holds():
    unsaid = [name for name, path in architecture.modules().items() if not architecture.sentence(path)]
    assert unsaid == []


@pytest.mark.parametrize("page", [ROOT.parent / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_what_pages_link_to_exists(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s#]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_tests_that_are_named_as_slow_exist():
    from tests.conftest import SLOW

    there = {
        name
        for path in Path(__file__).parent.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert SLOW - there == set()


# ---------------------------------------------------------------------------------------------------- names and weight
def test_the_reference_imports_nothing_of_ours():
    assert not list(architecture.rooms().successors("reference"))
    assert "dbn_bptt" not in (ROOT / "reference.py").read_text()


def test_importing_is_quick_and_light():
    program = f"import sys, dbn_bptt; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (dbn_bptt, dbn_bptt.dbn, dbn_bptt.paths, dbn_bptt.link, dbn_bptt.render, dbn_bptt.scale)
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

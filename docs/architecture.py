"""Writes what docs/architecture.md says of the package's files: the drawing of imports and the tables of files."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import networkx as nx

PACKAGE = Path(__file__).parent.parent / "dbn_bptt"
PAGE = Path(__file__).with_name("architecture.md")


def modules() -> dict[str, Path]:
    """All files by the names of their modules."""
    paths = {path.relative_to(PACKAGE.parent).with_suffix("").parts: path for path in sorted(PACKAGE.rglob("*.py"))}
    return {".".join(p for p in parts if p != "__init__"): path for parts, path in paths.items()}


def imports() -> nx.DiGraph:
    """Which module imports which, wherever in the file, by name."""
    known, graph = modules(), nx.DiGraph()
    graph.add_nodes_from(known)
    for user, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                within = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in known else str(node.module) for name in within]
            graph.add_edges_from((user, name) for name in names if name in known and name != user)
    return graph


def room(module: str) -> str:
    """The chapter or the file of the root to which a module belongs."""
    return module.split(".")[1] if "." in module else "__init__"


def rooms() -> nx.DiGraph:
    """Which chapter or file of the root imports which; the root itself, which hands on names, left out."""
    graph = nx.DiGraph()
    graph.add_nodes_from({room(module) for module in modules()})
    graph.add_edges_from((room(u), room(v)) for u, v in imports().edges if room(u) != room(v))
    graph.remove_node("__init__")
    return graph


def floors(graph: nx.DiGraph) -> dict[str, int]:
    """The floor of each room: 1 where it imports nothing of ours, else one above all that it imports."""
    floor: dict[str, int] = {}
    for name in reversed(list(nx.lexicographical_topological_sort(graph))):
        floor[name] = 1 + max((floor[used] for used in graph.successors(name)), default=0)
    return dict(sorted(floor.items(), key=lambda item: (item[1], item[0])))


def sentence(path: Path) -> str:
    """The first line of a module's docstring."""
    lines = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()
    return lines[0].replace("|", r"\|") if lines else ""


def drawing() -> str:
    """The imports as a Mermaid flowchart: an arrow from each room to those just below it."""
    graph = rooms()
    fewest = nx.transitive_reduction(graph)
    lines = [f"  {name}[{name}{'/' if (PACKAGE / name).is_dir() else '.py'}]" for name in floors(graph)]
    lines += [f"  {user} --> {used}" for user, used in sorted(fewest.edges)]
    return "\n".join(["```mermaid", "flowchart TB", *lines, "```"])


def tables() -> str:
    """Each chapter with its sentence and its files, from the lowest floor up; the files of the root last."""
    chapters = [name for name in floors(rooms()) if (PACKAGE / name).is_dir()]
    blocks = [_table(f"`{name}/`: {sentence(PACKAGE / name / '__init__.py')}", PACKAGE / name) for name in chapters]
    return "\n\n".join([*blocks, _table("Files of the root", PACKAGE, deep=False)])


def _table(title: str, folder: Path, deep: bool = True) -> str:
    paths = sorted(folder.rglob("*.py") if deep else folder.glob("*.py"))
    kept = [path for path in paths if path != folder / "__init__.py"]
    names = {path: str(path.relative_to(folder)).replace("/__init__.py", "/") for path in kept}
    rows = [f"| [{names[p]}](../{p.relative_to(PACKAGE.parent).as_posix()}) | {sentence(p)} |" for p in kept]
    return "\n".join([f"### {title}", "", "| file | what it holds |", "|---|---|", *rows])


BLOCKS: dict[str, Callable[[], str]] = {"drawing": drawing, "files": tables}


def updated(page: str) -> str:
    """The page with what stands between its markers made again."""
    for name, block in BLOCKS.items():
        begin, end = f"<!-- {name}: written by docs/architecture.py -->", f"<!-- end of {name} -->"
        if begin not in page or end not in page:
            raise ValueError(f"{PAGE.name} has no place for {name}; put the lines {begin} and {end}")
        pattern = re.escape(begin) + r".*?" + re.escape(end)
        text = f"{begin}\n{block()}\n{end}"
        page = re.sub(pattern, lambda _, text=text: text, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

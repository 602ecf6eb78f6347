"""A notebook for each chapter of the book, made from the chapter's source."""

import re
from pathlib import Path
from typing import Any

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

from extension import put

DIRECTIVE = re.compile(r"^:::+\{(?:admonition|tip|note|dropdown)\}\s*(.*)$\n(?::\w+:.*\n)*", re.MULTILINE)


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir)))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(docs: Path) -> None:
    """Notebooks beside each other in generated/notebooks."""
    folder = docs / "generated" / "notebooks"
    for chapter in sorted((docs / "book").glob("[0-9]*.md")):
        text = nbformat.writes(notebook(chapter.read_text(encoding="utf-8")))
        put(folder / f"{chapter.stem}.ipynb", text)


def notebook(chapter: str) -> Any:
    """The notebook of a chapter: its text without directives, and its code."""
    made = read_myst_markdown_notebook(_plain(chapter), MdParserConfig())
    for k, cell in enumerate(made.cells):
        cell["id"] = f"cell-{k}"  # the same in every build
        cell["metadata"] = {}
    made["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return made


def _plain(chapter: str) -> str:
    """Markdown as any notebook shows it."""
    text = re.sub(r"^\{download\}.*\n", "", chapter, flags=re.MULTILINE)
    return re.sub(r"^:::+$", "", DIRECTIVE.sub(r"**\1** ", text), flags=re.MULTILINE)

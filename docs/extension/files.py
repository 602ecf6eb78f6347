"""Files of the tree as pages: the README in front, examples and sources whole, where pages link to them."""

import re
from pathlib import Path
from typing import Any

from extension import put

LINK = re.compile(r"\]\((?:\.\./)*((?:examples|dbn_bptt)/[\w/]+\.py)\)")


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir)))
    app.connect("source-read", _pointed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(docs: Path) -> None:
    """A page for every example and for each file that a page links to."""
    examples = sorted(path.relative_to(docs.parent).as_posix() for path in (docs.parent / "examples").glob("*.py"))
    sources = [docs.parent / "README.md", *(page for page in docs.glob("**/*.md") if "generated" not in page.parts)]
    linked = {path for page in sources for path in LINK.findall(page.read_text(encoding="utf-8"))}
    for path in sorted({*examples, *linked}):
        target = docs / "generated" / "files" / (path.removesuffix(".py") + ".md")
        up = "../" * (len(target.relative_to(docs).parts) - 1)
        put(target, f"# {path}\n\n```{{literalinclude}} {up}../{path}\n:language: python\n```\n")
    listed = "".join(f"{path.removesuffix('.py')}\n" for path in examples)
    others = "".join(f"{path.removesuffix('.py')}\n" for path in sorted(linked - set(examples)))
    table = "```{{toctree}}\n:maxdepth: 1\n{}\n```\n"
    put(
        docs / "generated" / "files" / "index.md",
        "# Examples\n\nShort scripts, each printing its result.\n\n"
        + table.format(listed)
        + "\nFiles of the package that pages link to:\n\n"
        + table.format(others),
    )


def _pointed(app: Any, page: str, source: list[str]) -> None:
    """Links to files of the tree lead to their pages; what needs a program of its own to be drawn is text."""
    text = source[0].replace("% README\n", _front(Path(app.srcdir).parent))
    up = "../" * page.count("/")
    text = LINK.sub(lambda found: f"]({up}generated/files/{found[1].removesuffix('.py')}.md)", text)
    source[0] = text.replace("```mermaid", "```text")


def _front(root: Path) -> str:
    """The README as a page of the site, whose folder is docs."""
    text = (root / "README.md").read_text(encoding="utf-8")
    return text.replace("[docs/", "[").replace("](docs/", "](").replace("](examples)", "](generated/files/index.md)")

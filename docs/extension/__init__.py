"""What the site derives from the package and the tree."""

from pathlib import Path


def put(path: Path, text: str) -> None:
    """Write what is new only, so that Sphinx reads no page again without need."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

"""Pictures and files: one scene, many formats. Each loads when it is first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dbn_bptt.render.notebook import register

if TYPE_CHECKING:
    from dbn_bptt.render.explorer.page import html
    from dbn_bptt.render.layout import scene
    from dbn_bptt.render.subjects.scene import Options, Scene
    from dbn_bptt.render.writers.dot import dot
    from dbn_bptt.render.writers.figure import figure
    from dbn_bptt.render.writers.graphml import graphml
    from dbn_bptt.render.writers.mermaid import mermaid
    from dbn_bptt.render.writers.svg import svg
    from dbn_bptt.render.writers.tikz import tikz

__all__ = ["Options", "Scene", "dot", "figure", "graphml", "html", "mermaid", "scene", "svg", "tikz"]

_HOMES = {"html": "explorer.page", "scene": "layout", "Options": "subjects.scene", "Scene": "subjects.scene"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, f'writers.{name}')}"), name)


def __dir__() -> list[str]:
    return __all__


register()

"""Pictures and files: one scene, many formats. Each loads when it is first asked for."""

from typing import TYPE_CHECKING

from dbn_bptt.lazy import loaded_when_used

if TYPE_CHECKING:
    from dbn_bptt.render.explorer.page import html
    from dbn_bptt.render.layout import scene
    from dbn_bptt.render.subjects.scene import Options, Scene
    from dbn_bptt.render.writers.animated_svg import animated_svg
    from dbn_bptt.render.writers.beamer import beamer
    from dbn_bptt.render.writers.dot import dot
    from dbn_bptt.render.writers.figure import figure
    from dbn_bptt.render.writers.gif import gif
    from dbn_bptt.render.writers.graphml import graphml
    from dbn_bptt.render.writers.mermaid import mermaid
    from dbn_bptt.render.writers.svg import svg
    from dbn_bptt.render.writers.tikz import tikz

__all__ = [
    "Options", "Scene", "animated_svg", "beamer", "dot", "figure", "gif", "graphml", "html", "mermaid", "scene", "svg",
    "tikz",
]  # fmt: skip

__getattr__, __dir__ = loaded_when_used(
    __name__,
    {
        "explorer.page": "html", "layout": "scene", "subjects.scene": "Options Scene",
        **{
            f"writers.{name}": name
            for name in ("animated_svg", "beamer", "dot", "figure", "gif", "graphml", "mermaid", "svg", "tikz")
        },
    },
)  # fmt: skip

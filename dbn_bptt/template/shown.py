"""What notebooks show: classes say that they are shown, `render` says how."""

from importlib import import_module


class Shown:
    """Base of what a notebook shows as HTML."""

    def _repr_html_(self) -> str | None:
        """Results know nothing of pictures, which are drawn from them: what draws is found by its name, when asked."""
        return import_module("dbn_bptt.render.notebook").shown(self)

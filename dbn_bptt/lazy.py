"""Packages whose names load when they are first used, so that importing one is quick."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def loaded_when_used(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package (PEP 562).

    Parameters
    ----------
    homes : by module, counted from the package, the names that it gives, with spaces between them; none for a module
        that is handed on itself

    Examples
    --------
    >>> getattr_, dir_ = loaded_when_used("collections", {"abc": "Mapping Set"})
    >>> getattr_("Mapping").__name__, dir_()
    ('Mapping', ['Mapping', 'Set'])
    """
    modules = {name: module for module, names in homes.items() for name in names.split() or [module]}

    def getattr_(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{modules[name]}")
        return getattr(module, name) if name != modules[name] else module

    return getattr_, lambda: sorted(modules)

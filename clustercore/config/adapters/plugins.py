"""Loading what is named by a string: engines, commands, and what only some processes need.

This is the only module that imports by name (tests/architecture); everything else is imported at the top of a module.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def load(path: str) -> Any:
    """Returns what `package.module:name` names. Raises ImportError, AttributeError, or ValueError for a bad path."""
    module, separator, name = path.partition(":")
    if not separator or not name:
        raise ValueError(f"{path!r} is not of the form package.module:Class")
    return getattr(import_module(module), name)


def has_module(name: str) -> bool:
    """Returns whether there is a module of this full name, without importing more than the packages around it."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        # One of the packages around it is not there, or is none.
        return False


def load_module(name: str) -> Any:
    """Imports a module by its full name. Raises ImportError."""
    return import_module(name)

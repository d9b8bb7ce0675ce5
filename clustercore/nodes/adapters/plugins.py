"""Finding engine classes by their dotted path."""

from __future__ import annotations

from importlib import import_module

from clustercore.nodes.domain.engine import Engine


def load_plugin(path: str) -> type[Engine]:
    """The class named by `package.module:Class`. Raises ImportError, AttributeError or ValueError for a bad path."""
    module, separator, name = path.partition(":")
    if not separator or not name:
        raise ValueError(f"{path!r} is not of the form package.module:Class")
    engine: type[Engine] = getattr(import_module(module), name)
    return engine

"""Finding engine classes by their dotted path."""

from __future__ import annotations

from clustercore.config.adapters.plugins import load
from clustercore.nodes.domain.engine import Engine


def load_plugin(path: str) -> type[Engine]:
    """Returns the class named by `package.module:Class`. Raises ImportError, AttributeError or ValueError."""
    engine: type[Engine] = load(path)
    return engine

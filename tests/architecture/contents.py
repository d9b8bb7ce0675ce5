"""What a wheel of the project may hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from tests.architecture.source import PACKAGES


def strangers(names: Iterable[str]) -> set[str]:
    """The top-level names of a wheel that belong neither to the packages, nor the templates, nor its description."""
    tops = {PurePosixPath(name).parts[0] for name in names if ".dist-info/" not in name}
    return tops - {*PACKAGES, "templates"}

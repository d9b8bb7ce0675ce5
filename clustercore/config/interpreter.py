"""How this product starts itself again: the same Python, the same packages, nothing from the current directory."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import clustercore
from clustercore.config.environment import inherited_variables

PACKAGE_ROOT = Path(clustercore.__file__).resolve().parents[1]
"""The directory that holds this very package: a folder of installed packages, or a source tree."""

SETTINGS_MODULE = "DJANGO_SETTINGS_MODULE"
SAFE_PATH = "-P"
"""Without it `-m` and `-c` put the current directory first, and a stray `queue.py` there would be run."""


def python_command(*words: str) -> list[str]:
    """This Python with these words, importing nothing from the current directory."""
    return [sys.executable, SAFE_PATH, *words]


def child_variables(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process's variables with `changes` (None removes), so that a child finds this very package."""
    merged = inherited_variables(changes)
    # Which of our settings it loads is each process's own choice; somebody else's are passed on.
    if SETTINGS_MODULE not in changes and merged.get(SETTINGS_MODULE, "").startswith(f"{clustercore.__name__}."):
        del merged[SETTINGS_MODULE]
    # An empty entry would mean the current directory.
    entries = [entry for entry in merged.pop("PYTHONPATH", "").split(os.pathsep) if entry]
    if not _is_installed() and str(PACKAGE_ROOT) not in entries:
        entries.append(str(PACKAGE_ROOT))
    return {**merged, "PYTHONPATH": os.pathsep.join(entries)} if entries else merged


def _is_installed() -> bool:
    """Folders of installed packages are on every child's path already, behind the standard library."""
    return PACKAGE_ROOT in {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}

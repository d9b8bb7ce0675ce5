"""`clustercore version`, and `clustercore --version`."""

from __future__ import annotations

import clustercore
from clustercore.project.command_line.console import ExitCode, say


def version() -> int:
    """Say which version this is."""
    say(f"clustercore {clustercore.__version__}")
    return ExitCode.DONE

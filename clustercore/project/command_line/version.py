"""`clustercore version`, and `clustercore --version`."""

from __future__ import annotations

import clustercore
from clustercore.terminal.adapters.console import say
from clustercore.terminal.domain.endings import ExitCode


def version() -> int:
    """Say which version this is.

    Examples:

      clustercore version
    """
    say(f"clustercore {clustercore.__version__}")
    return ExitCode.DONE

"""A child that runs while somebody asks for it. Who asks touches a file, whichever process it is."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from pathlib import Path

from clustercore.project.command_line.processes import Child

END_SECONDS = 10.0
"""A child that was asked to end and has not by then is killed."""


class OnDemand:
    """Starts a child when the file `wanted` is touched, and ends it when nobody has touched it for so many seconds.

    The file is there as long as somebody would start the child: who asks for it without it asks in vain.
    """

    def __init__(self, child: Child, wanted: Path, idle_seconds: float) -> None:
        self.child = child
        self._wanted = wanted
        self._idle_seconds = idle_seconds
        self._kill_at = math.inf

    def open(self) -> None:
        """Makes it known that one may ask; nobody has yet. Raises OSError."""
        self._wanted.touch(mode=0o600)
        os.utime(self._wanted, (0, 0))

    def close(self) -> None:
        """Makes it known that nobody need ask any more."""
        with suppress(OSError):
            self._wanted.unlink()

    def keep(self) -> str:
        """Starts, keeps or ends the child; returns what happened, in words, or nothing."""
        # Asking for the exit code of one that has ended also lets the system forget it.
        if not self.child.is_wanted and self.child.exit_code is None and time.monotonic() > self._kill_at:
            self.child.kill()
        if self._is_wanted():
            return self.child.keep() if self.child.is_wanted else self._start()
        if self.child.is_wanted:
            self.child.dismiss()
            self._kill_at = time.monotonic() + END_SECONDS
            return f"{self.child.name} ends: nobody has looked at it for {self._idle_seconds:g} s"
        return ""

    def _start(self) -> str:
        if self.child.pid is not None and self.child.exit_code is None:
            return ""
        try:
            self.child.start()
        except OSError as error:
            return f"{self.child.name} cannot be started: {error}"
        return f"{self.child.name} starts: somebody looks at it"

    def _is_wanted(self) -> bool:
        """The clock of files is the wall's: one that was set back leaves a file in the future, which counts as new."""
        with suppress(OSError):
            return time.time() - self._wanted.stat().st_mtime < self._idle_seconds
        return False

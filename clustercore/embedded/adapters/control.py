"""The client's end of the supervisor's control socket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import clustercore
from clustercore.embedded.adapters.locks import is_locked, locked
from clustercore.embedded.adapters.progress import Patience, processor_seconds
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout
from clustercore.embedded.domain.supervision import ALREADY_RUNNING

LONGEST_LINE = 65_536
_QUIET_SECONDS = 60.0


class ControlConnection:
    """One connection to a supervisor; a status is a dictionary as the supervisor's module describes it."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        """Raises OSError where no supervisor listens, or none can."""
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("this system has no unix sockets")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_seconds)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")

    def send(self, request: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def statuses(self) -> Iterator[dict[str, Any]]:
        """Every status that arrives, until the supervisor closes. Raises OSError (TimeoutError) on the way."""
        while line := self._file.readline(LONGEST_LINE):
            yield json.loads(line)

    def wait_without_limit(self) -> None:
        self._socket.settimeout(None)

    def set_timeout(self, seconds: float) -> None:
        self._socket.settimeout(max(0.01, seconds))

    def interrupt(self) -> None:
        """Says that nothing more is asked: the supervisor closes, and who waits in `statuses` sees the end."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def connect_or_start(layout: Layout, linger_seconds: float, deadline: float) -> ControlConnection:
    """A connection to the data directory's supervisor, started if there is none.

    Raises EmbeddedError when it cannot start, TimeoutError after `deadline` (of `time.monotonic`).
    """
    while True:
        try:
            return ControlConnection(layout.control_socket, max(0.1, deadline - time.monotonic()))
        except OSError:
            _start(layout, linger_seconds, deadline)


def _start(layout: Layout, linger_seconds: float, deadline: float) -> None:
    """One starter at a time; who waited meanwhile finds the supervisor that the other has started."""
    with locked(layout.start_lock, deadline):
        if is_locked(layout.supervisor_lock):
            _wait_for_change(layout, deadline)
        else:
            _launch(layout, linger_seconds)


def _wait_for_change(layout: Layout, deadline: float) -> None:
    """A supervisor lives but did not answer: it has just been started, or it is about to end."""
    while is_locked(layout.supervisor_lock) and not _accepts(layout):
        if time.monotonic() > deadline:
            raise TimeoutError("a supervisor that is stopping did not end")
        time.sleep(0.05)


def _accepts(layout: Layout) -> bool:
    try:
        ControlConnection(layout.control_socket, 1.0).close()
    except OSError:
        return False
    return True


def _launch(layout: Layout, linger_seconds: float) -> None:
    """Start the detached supervisor; it listens when the launched process has ended."""
    command = [sys.executable, "-m", "clustercore.embedded.adapters.supervisor", str(layout.data_dir)]
    launched = subprocess.Popen(
        [*command, str(linger_seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # `-m` puts the working directory first on the path: it must be where this very package lies.
        cwd=Path(clustercore.__file__).resolve().parents[1],
        start_new_session=True,
    )
    said = _last_words(launched)
    if launched.returncode not in (0, ALREADY_RUNNING):
        raise EmbeddedError(f"The supervisor of the embedded servers did not start: {said.strip()[-2000:]}")


def _last_words(launched: subprocess.Popen[str]) -> str:
    """Waits for its end as long as it gets on. Raises TimeoutError, and leaves nothing running."""
    patience = Patience(_QUIET_SECONDS)
    while patience.lasts(lambda: processor_seconds(launched.pid)):
        with suppress(subprocess.TimeoutExpired):
            return launched.communicate(timeout=1.0)[1]
    launched.kill()
    launched.communicate()
    raise TimeoutError("the supervisor of the embedded servers does not get on with its start")

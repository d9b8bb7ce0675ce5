"""Start, keep and stop the embedded servers of a data directory.

`ensure_running` comes before the Django settings are imported: it makes the files that they read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from clustercore.embedded.adapters.control import ControlConnection, connect_or_start
from clustercore.embedded.adapters.directories import layout_of, prepare
from clustercore.embedded.adapters.locks import becomes_free, is_locked
from clustercore.embedded.adapters.logs import tail
from clustercore.embedded.adapters.progress import Patience
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout
from clustercore.embedded.selectors import resolve_endpoints

__all__ = ["EmbeddedError", "Lease", "ensure_running", "status", "stop"]

START_SECONDS = 60.0
"""How long nothing may move before a start is given up; a slow one that goes on is waited for."""

_RENEW_PAUSE_SECONDS = 1.0


class Lease:
    """The servers run as long as somebody holds one of these; a context manager, safe to close twice.

    Should the supervisor be killed, the lease starts another, which finds the data as they were. `ended` is set when
    the servers are gone for good: somebody stopped them, or they fail again and again (`reason` says which).
    """

    def __init__(self, layout: Layout, linger_seconds: float, connection: ControlConnection) -> None:
        self.ended = threading.Event()
        self.reason = ""
        self.waits_for = ""
        """What keeps the servers from running just now, in words: the machine lacks something. Empty while they run."""
        self._layout = layout
        self._linger_seconds = linger_seconds
        self._connection = connection
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="embedded-lease", daemon=True)
        self._watcher.start()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoints(self) -> Endpoints:
        """The servers' addresses as they are now."""
        return resolve_endpoints(self._layout.data_dir, None, None)

    def close(self) -> None:
        """Let go; returns when the supervisor knows. The servers stop a while later unless somebody else holds them."""
        self._closed.set()
        with self._lock, suppress(OSError):
            self._connection.interrupt()
        if self._watcher is not threading.current_thread():
            self._watcher.join(timeout=5)

    def _watch(self) -> None:
        while not self._closed.is_set():
            farewell = self._last_status()
            if self._closed.is_set():
                break
            if farewell.get("phase") in ("stopping", "failed"):
                self._end(str(farewell.get("message")))
                break
            self._renew()
        self._connection.close()

    def _last_status(self) -> dict[str, Any]:
        latest: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            for status_line in self._connection.statuses():
                latest = status_line
                self.waits_for = "" if latest.get("phase") == "ready" else str(latest.get("message") or "")
        return latest

    def _renew(self) -> None:
        """The supervisor is gone without a word: start another, trying until this lease is closed."""
        while not self._closed.is_set():
            try:
                fresh = _ready_connection(self._layout, self._linger_seconds, START_SECONDS)
            except (EmbeddedError, OSError) as error:
                self.waits_for = f"the servers cannot be started: {str(error).partition(chr(10))[0]}"
                self._closed.wait(_RENEW_PAUSE_SECONDS)
                continue
            self.waits_for = ""
            with self._lock:
                self._connection.close()
                self._connection = fresh
                if self._closed.is_set():
                    fresh.interrupt()
            return

    def _end(self, reason: str) -> None:
        self.reason = reason
        self.ended.set()


def ensure_running(
    data_dir: Path,
    *,
    linger_seconds: float = 30,
    start_seconds: float = START_SECONDS,
    tell: Callable[[str], None] | None = None,
) -> Lease:
    """Start the servers of `data_dir` if they do not run, and hold them; returns when both take clients.

    It waits as long as they get on, `start_seconds` at most without a sign of it; `tell` hears what it waits for.
    The servers stop `linger_seconds` after the last lease was closed or its process ended. Raises EmbeddedError with
    the reason, the remedy, and the end of the logs.
    """
    layout = layout_of(data_dir)
    prepare(layout)
    return Lease(layout, linger_seconds, _ready_connection(layout, linger_seconds, start_seconds, tell))


def stop(data_dir: Path, *, timeout_seconds: float = 60, unless_held: bool = False) -> bool:
    """Stop the servers of `data_dir`, whoever holds them; returns when they have ended. False when none ran, or, with
    `unless_held`, when somebody holds them.

    Raises EmbeddedError after the timeout.
    """
    layout = layout_of(data_dir)
    try:
        connection = ControlConnection(layout.control_socket, timeout_seconds)
    except OSError:
        found = is_locked(layout.supervisor_lock)
    else:
        found = True
        with suppress(OSError):
            connection.send({"op": "stop", "unless_held": unless_held})
            found = next(connection.statuses(), {}).get("phase") not in ("starting", "ready")
        connection.close()
        if not found:
            return False
    if not becomes_free(layout.supervisor_lock, timeout_seconds):
        raise EmbeddedError(f"The embedded servers did not stop. {_log_tails(layout)}")
    return found


def status(data_dir: Path) -> dict[str, Any]:
    """What runs: `phase` (absent, starting, ready, stopping, failed), `pid`, `clients` and `servers` by name."""
    layout = layout_of(data_dir)
    try:
        connection = ControlConnection(layout.control_socket, 5.0)
    except OSError:
        return {"phase": "stopping" if is_locked(layout.supervisor_lock) else "absent", "servers": {}}
    try:
        connection.send({"op": "status"})
        return next(connection.statuses(), {"phase": "stopping", "servers": {}})
    except OSError:
        return {"phase": "stopping", "servers": {}}
    finally:
        connection.close()


def _ready_connection(
    layout: Layout, linger_seconds: float, quiet_seconds: float, tell: Callable[[str], None] | None = None
) -> ControlConnection:
    """A held connection to servers that take clients; one that is just stopping is waited for and started anew."""
    patience = Patience(quiet_seconds)
    try:
        while patience.lasts():
            connection = connect_or_start(layout, linger_seconds, patience.deadline)
            if _becomes_ready(layout, connection, linger_seconds, patience, tell):
                return connection
    except TimeoutError:
        pass
    raise EmbeddedError(
        f"The embedded servers of {layout.data_dir} did not come up: nothing moved for {quiet_seconds:.0f} s. "
        f"{_log_tails(layout)}"
    )


def _becomes_ready(
    layout: Layout,
    connection: ControlConnection,
    linger_seconds: float,
    patience: Patience,
    tell: Callable[[str], None] | None,
) -> bool:
    """Whether it came to `ready`; if not, the connection is closed. Raises EmbeddedError when the servers failed."""
    told = ""
    try:
        connection.send({"op": "hold", "linger_seconds": linger_seconds})
        for answer in connection.statuses():
            patience.moved()
            connection.set_timeout(patience.quiet_seconds)
            if tell is not None and answer["message"] not in ("", told):
                told = answer["message"]
                tell(told)
            if answer["phase"] == "ready":
                connection.wait_without_limit()
                return True
            if answer["phase"] == "failed":
                raise EmbeddedError(f"The embedded servers failed: {answer['message']}. {_log_tails(layout)}")
    except (TimeoutError, EmbeddedError):
        connection.close()
        raise
    except OSError:
        pass
    connection.close()
    return False


def _log_tails(layout: Layout) -> str:
    """The end of each log, and where to read on."""
    tails = [f"--- {path.name}\n{tail(path)}" for path in sorted(layout.logs.glob("*.log"))]
    return "\n".join([f"Their logs lie in {layout.logs}.", *tails])

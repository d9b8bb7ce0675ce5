"""Noting outside the database how far the audit log goes, so that its end cannot be cut off and nothing rewritten."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from clustercore.access.adapters.checkpoint_file import CheckpointDamaged, CheckpointFile
from clustercore.access.domain.audit_chain import Head
from clustercore.access.models import AuditEntry

logger = logging.getLogger(__name__)

LEAST_SECONDS = 60.0
"""Between two checkpoints that one process notes by itself."""


class _Pace:
    """When this process noted a checkpoint, and the timer of the one that waits for its minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: float | None = None
        self._timer: threading.Timer | None = None

    def is_due(self) -> bool:
        """Whether to do it now; if it was done within the last minute, it is done once that is over."""
        with self._lock:
            now = time.monotonic()
            wait = 0.0 if self._last is None else self._last + LEAST_SECONDS - now
            if wait <= 0:
                self._last = now
                return True
            if self._timer is None:
                self._timer = threading.Timer(wait, self._when_over)
                self._timer.daemon = True
                self._timer.start()
            return False

    def forget(self) -> None:
        with self._lock:
            self._last = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _when_over(self) -> None:
        with self._lock:
            self._timer, self._last = None, time.monotonic()
        try:
            _note_quietly()
        finally:
            connection.close()


_pace = _Pace()


def checkpoint_file() -> CheckpointFile:
    """Where the checkpoints of this machine's data directory lie, if it keeps any."""
    return CheckpointFile(Path(settings.DATA_DIR) / "audit" / "checkpoints.jsonl")


def establish_checkpoints() -> None:
    """This machine is the hub: it keeps checkpoints, the first at once. Raises OSError."""
    checkpoint_file().establish()
    _pace.forget()
    _note_quietly()


def note_checkpoint() -> Head | None:
    """Notes the end of the log, unless it is noted already; the end, None for an empty log. Raises OSError."""
    row = AuditEntry.objects.order_by("-seq").first()
    if row is None:
        return None
    head = Head(row.seq, row.digest, row.at)
    file = checkpoint_file()
    if _last_of(file) != head:
        file.append(head)
    return head


def note_checkpoint_when_due() -> None:
    """The same within a minute, and at most once in one; only at the hub."""
    if checkpoint_file().is_kept and _pace.is_due():
        _note_quietly()


def _note_quietly() -> None:
    # What was recorded stays recorded: a full disk or a database away now must not undo it.
    try:
        note_checkpoint()
    except (OSError, DatabaseError) as error:
        logger.warning("the audit log's checkpoint could not be noted: %s", error)


def _last_of(file: CheckpointFile) -> Head | None:
    try:
        return file.last()
    except CheckpointDamaged as damage:
        # Verification tells people; here the next checkpoint matters more.
        logger.warning("%s", damage)
        return None

"""Loaded into the workers under test: a process that dies at the very moment a test names, and a further kind of job.

The file `die-before-ringing` in `PUPPET_DIRECTORY` names a task; the first process that is about to send such a
message, its transaction committed, kills itself instead.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from celery.canvas import Signature

from clustercore.jobs.domain.kinds import register
from clustercore.jobs.workflows import ring
from tests.faults.letters import LETTERS
from tests.faults.puppet import strings
from transcription import workflows

FILE = "die-before-ringing"


def dying(send: Callable[[Signature], str]) -> Callable[[Signature], str]:
    """`send`, preceded by the failpoint."""

    def ring_unless_dead(canvas: Signature) -> str:
        with suppress(FileNotFoundError):
            if (strings() / FILE).read_text() in str(canvas):
                (strings() / FILE).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return send(canvas)

    return ring_unless_dead


vars(workflows)["ring"] = dying(ring)
register(LETTERS)

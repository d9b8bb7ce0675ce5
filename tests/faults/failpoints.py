"""Loaded into the workers under test: a process that fails at the very moment a test names, and a further kind of job.

Files in `PUPPET_DIRECTORY` say so. `die-before-ringing` names a task; the first process that is about to send such a
message, or a canvas with one, its transaction committed, kills itself instead. `break-places` makes every place of a
canvas raise, as no place should.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.canvas import Signature

from clustercore.jobs import workflows
from clustercore.jobs.domain.kinds import register
from clustercore.jobs.workflows import take_place
from tests.faults.letters import LETTERS
from tests.faults.puppet import strings
from transcription import tasks

DYING = "die-before-ringing"
BREAKING = "break-places"


def dying(send: Callable[[Signature], str]) -> Callable[[Signature], str]:
    """`send`, preceded by the failpoint."""

    def ring_unless_dead(canvas: Signature) -> str:
        with suppress(FileNotFoundError):
            if (strings() / DYING).read_text() in str(canvas):
                (strings() / DYING).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return send(canvas)

    return ring_unless_dead


def breaking(take: Callable[..., str]) -> Callable[..., str]:
    """`take`, unless places are to break."""

    def take_unless_broken(*arguments: Any) -> str:
        if (strings() / BREAKING).exists():
            raise RuntimeError("a place that breaks")
        return take(*arguments)

    return take_unless_broken


vars(workflows)["ring"] = dying(workflows.ring)
vars(tasks)["take_place"] = breaking(take_place)
register(LETTERS)

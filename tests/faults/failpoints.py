"""Loaded into the workers under test: a process that fails at the very moment a test names, and two kinds of job.

Files in `PUPPET_DIRECTORY` say so. `die-before-ringing` names a task; the first process that is about to send such a
message, or a canvas with one, its transaction committed, kills itself instead. `break-places` makes every place of a
canvas raise, as no place should. `halt` names a step of a unit of the panel: the first thread that comes to it says so
in `halted`, and stands still until there is a file `go`.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.canvas import Signature
from django.db import transaction

from clustercore.jobs import workflows
from clustercore.jobs.domain.kinds import register
from clustercore.jobs.models import Unit
from clustercore.jobs.services import execution as executions
from clustercore.jobs.services import joins, places, settle, turn, work
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.workflows import ring_units, take_place
from tests.faults import panel
from tests.faults.errands import ERRANDS
from tests.faults.letters import LETTERS
from tests.faults.puppet import node, strings
from transcription import tasks

DYING = "die-before-ringing"
BREAKING = "break-places"
HALT, HALTED, GO = "halt", "halted", "go"
HALT_SECONDS = 20.0


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


def halt(step: str, stage: str, ordinal: int) -> None:
    """Stands still here, if this is the step that a test waits for and nobody else has come to it."""
    with suppress(FileNotFoundError):
        wanted = json.loads((strings() / HALT).read_text())
        if wanted != {"step": step, "stage": stage, "ordinal": ordinal}:
            return
        taken = strings() / f"{HALT}.{os.getpid()}.{threading.get_ident()}"
        (strings() / HALT).rename(taken)
        taken.write_text(node())
        taken.rename(strings() / HALTED)
        _wait_until_told()


def _wait_until_told() -> None:
    for _ in range(int(HALT_SECONDS / 0.02)):
        if (strings() / GO).exists():
            return
        threading.Event().wait(0.02)


def halting_claim(take: Callable[..., Claimed | None]) -> Callable[..., Claimed | None]:
    """The claim, with a step before its commit and one after."""

    def claim_and_halt(*arguments: Any) -> Claimed | None:
        with transaction.atomic():
            claimed = take(*arguments)
            if claimed is not None:
                halt("claiming", claimed.stage, claimed.ordinal)
        if claimed is not None:
            halt("claimed", claimed.stage, claimed.ordinal)
        return claimed

    return claim_and_halt


def before(step: str, function: Callable[..., Any], unit_of: Callable[..., tuple[str, int]]) -> Callable[..., Any]:
    """A function, preceded by a step of the unit that its arguments tell."""

    def halted(*arguments: Any) -> Any:
        halt(step, *unit_of(*arguments))
        return function(*arguments)

    return halted


def _of_execution(execution: executions.Execution, *_: object) -> tuple[str, int]:
    return execution.claimed.stage, execution.claimed.ordinal


def _of_rung(_kind: str, _stage: str, unit_ids: list[int]) -> tuple[str, int]:
    return Unit.objects.values_list("stage", "ordinal").get(pk=unit_ids[0])


register(ERRANDS)
register(LETTERS)
register(panel.PANEL)
vars(workflows)["ring"] = dying(workflows.ring)
vars(tasks)["take_place"] = breaking(take_place)
vars(places)["claim"] = vars(turn)["claim"] = halting_claim(claim)
vars(work)["_run"] = before("handling", work._run, _of_execution)
vars(work)["deliver"] = before("answered", work.deliver, _of_execution)
vars(settle)["queue_units"] = before("queueing", queue_units, lambda *_: ("plan", 0))
vars(joins)["_open"] = before("opening", joins._open, lambda _kind, _job, unit: (unit.stage, unit.ordinal))
vars(panel)["ring_units"] = before("ringing", ring_units, _of_rung)

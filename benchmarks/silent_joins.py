"""Included by a benchmark's worker: for jobs whose title says so nobody sends the message that runs the join."""

from __future__ import annotations

from celery.canvas import chord

from clustercore.jobs.models import Unit
from clustercore.jobs.services.places import expect_message
from clustercore.jobs.workflows import send_join
from transcription import workflows

SILENT = "silent"


def send_unless_silent(canvas: chord, unit_id: int) -> None:
    """As if the canvas had been sent, and lost on its way."""
    if Unit.objects.filter(pk=unit_id, job__title__startswith=SILENT).exists():
        expect_message(unit_id)
    else:
        send_join(canvas, unit_id)


vars(workflows)["send_join"] = send_unless_silent

"""Included by a benchmark's worker: jobs whose titles say so have no canvas, and no message of their join, or one."""

from __future__ import annotations

from celery.canvas import chord

from clustercore.jobs.models import Job
from clustercore.jobs.services.places import expect_message
from clustercore.jobs.workflows import send_join
from transcription import workflows

SILENT, OPENED = "silent", "opened"


def send_as_titled(canvas: chord, unit_id: int) -> None:
    """Sends the canvas: of a silent job as if it were lost on its way, of an opened one not at all."""
    title = Job.objects.values_list("title", flat=True).get(units=unit_id)
    if title.startswith(SILENT):
        expect_message(unit_id)
    elif not title.startswith(OPENED):
        send_join(canvas, unit_id)


vars(workflows)["send_join"] = send_as_titled

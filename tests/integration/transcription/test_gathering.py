"""The canvas of a recording that is cut: as wide as there is work for it, for those who can do it."""

from __future__ import annotations

import pytest
from celery.canvas import chord
from django.db.models.functions import Now

from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.submit import submit
from tests.cast import LAPTOP, WORKSTATION, start_node
from transcription import workflows

pytestmark = pytest.mark.django_db


def gathered(monkeypatch: pytest.MonkeyPatch, pieces: int, done: int = 0, slots: int = 3) -> tuple[chord, int, Job]:
    """The canvas that is sent for a job of so many pieces, where so many slots can hear, and for which unit."""
    start_node(WORKSTATION, slots=slots - 1)
    start_node(LAPTOP, slots=1)
    request = JobRequest(kind="transcription", title="talk.wav", parameters={"blob": "0" * 64})
    job, _ = submit(None, request, backlog_limit=100)
    Unit.objects.bulk_create(
        Unit(
            job=job,
            stage="transcribe",
            ordinal=number,
            capability="stt",
            created=Now(),
            state="done" if number < done else "queued",
        )
        for number in range(pieces)
    )
    sent: list[tuple[chord, int]] = []
    monkeypatch.setattr(workflows, "send_join", lambda canvas, unit_id: sent.append((canvas, unit_id)))
    merge = Unit.objects.get(job=job, stage="merge")
    workflows.gather(job.pk, merge.pk)
    [(canvas, unit_id)] = sent
    assert unit_id == merge.pk
    return canvas, unit_id, job


@pytest.mark.parametrize(
    ("pieces", "done", "places"), [(9, 0, 3), (2, 0, 2), (9, 8, 1), (3, 3, 1)], ids=["slots", "pieces", "left", "none"]
)
def test_a_canvas_has_a_place_for_each_slot_and_no_more_than_pieces_are_left(
    monkeypatch: pytest.MonkeyPatch, pieces: int, done: int, places: int
) -> None:
    canvas, merge, job = gathered(monkeypatch, pieces, done)
    assert [one.args for one in canvas.tasks] == [(job.pk, "cap.stt")] * places
    assert canvas.body.args == (merge,)

"""Doors: one for each stage, so that Flower and the logs show what is being done."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task

from clustercore.jobs.services.claim import CanvasPlace
from clustercore.jobs.services.places import work, work_join
from clustercore.jobs.services.work import AttemptFailed
from clustercore.jobs.workflows import take_place


@shared_task(name="transcription.cut", throws=(AttemptFailed,))
def cut(unit_id: int) -> str:
    """Cuts a recording, if this node may."""
    return work(unit_id)


@shared_task(name="transcription.detect", throws=(AttemptFailed,))
def detect(unit_id: int) -> str:
    """Hears in one piece which language a recording is in, if this node may."""
    return work(unit_id)


@shared_task(name="transcription.transcribe", throws=(AttemptFailed,))
def transcribe(unit_id: int) -> str:
    """Transcribes a piece, if this node may."""
    return work(unit_id)


@shared_task(name="transcription.transcribe_all", bind=True)
def transcribe_all(task: Task[Any, Any], job_id: int, queue: str) -> str:
    """Transcribes one piece of a recording after another, while it is that job's turn and this node may."""
    return take_place(task, CanvasPlace(job_id, "transcribe"), queue)


@shared_task(name="transcription.merge", throws=(AttemptFailed,))
def merge(unit_id: int) -> str:
    """Merges a recording's segments once its pieces are over, if this node may."""
    return work_join(unit_id)

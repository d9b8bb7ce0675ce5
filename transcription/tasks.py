"""The door of a canvas's places; those of the stages are made from the stages themselves."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task

from clustercore.jobs.services.claim import CanvasPlace
from clustercore.jobs.workflows import take_place


@shared_task(name="transcription.transcribe_all", bind=True)
def transcribe_all(task: Task[Any, Any], job_id: int, queue: str) -> str:
    """Transcribes one piece of a recording after another, while it is that job's turn and this node may."""
    return take_place(task, CanvasPlace(job_id, "transcribe"), queue)

"""Doors: one for each stage, so that Flower and the logs show what is being done."""

from __future__ import annotations

from celery import shared_task

from clustercore.jobs.services.work import work


@shared_task(name="transcription.cut")
def cut(unit_id: int) -> int | None:
    """Cuts a recording, if this node may."""
    return work(unit_id)


@shared_task(name="transcription.detect")
def detect(unit_id: int) -> int | None:
    """Decides a recording's language on its first piece, if this node may."""
    return work(unit_id)


@shared_task(name="transcription.transcribe")
def transcribe(unit_id: int) -> int | None:
    """Transcribes a piece, if this node may."""
    return work(unit_id)


@shared_task(name="transcription.merge")
def merge(unit_id: int) -> int | None:
    """Merges a recording's segments, if this node may."""
    return work(unit_id)

"""Doors: one for each stage, so that Flower and the logs show what is being done."""

from __future__ import annotations

from celery import shared_task

from clustercore.jobs.services.work import AttemptFailed, work


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


@shared_task(name="transcription.merge", throws=(AttemptFailed,))
def merge(unit_id: int) -> str:
    """Merges a recording's segments, if this node may."""
    return work(unit_id)

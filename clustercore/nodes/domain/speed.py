"""The one speed that is shown of units, jobs and nodes."""

from __future__ import annotations


def speed_of(audio_seconds: float | None, work_seconds: float | None) -> float | None:
    """Returns seconds of sound per second of work; None where either is not known or nothing."""
    return audio_seconds / work_seconds if audio_seconds and work_seconds else None

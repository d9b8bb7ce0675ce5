"""The stage `merge`: segments in order become the transcript. It reads the ledger, never a canvas."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.services.events import record_event
from transcription.models import Recording, Transcript
from transcription.selectors import text_as_heard

NOBODY_SPEAKS = "Nobody was heard to speak in this recording, so its language is not known."


def merge(context: UnitContext) -> Verdict:
    """Handler: the merged text of the recording, as it was heard: corrections are applied when it is read."""
    context.report(0.5)
    text = text_as_heard(context.job_id)
    return Done({"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()})


def record_transcript(unit_id: int, result: Mapping[str, Any]) -> None:
    """In the transaction that completes the merge, which also ends the job."""
    recording = Recording.objects.select_related("job").get(job__units=unit_id)
    language = recording.job.language
    if not language and not recording.segments.exists() and not Transcript.objects.filter(recording=recording).exists():
        record_event(recording.job_id, NOTE, NOBODY_SPEAKS, unit_id=unit_id)
    merged = Transcript(recording=recording, text=result["text"], sha256=result["sha256"], language=language or "")
    Transcript.objects.bulk_create(
        [merged], update_conflicts=True, unique_fields=["recording"], update_fields=["text", "sha256", "language"]
    )

"""The stage `merge`: segments in order become the transcript. It reads the ledger, never a canvas."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from clustercore.jobs.domain.kinds import UnitContext
from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.models import Job
from clustercore.jobs.services.events import record_event
from transcription.models import Recording, Transcript
from transcription.selectors import transcript_of

NOBODY_SPEAKS = "Nobody was heard to speak in this recording, so its language is not known."


def merge(context: UnitContext) -> Verdict:
    """Handler: the merged text of the recording, as it was heard: corrections are applied when it is read."""
    context.report(0.5)
    text = transcript_of(context.job_id, as_heard=True).text
    return Done({"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()})


def record_transcript(unit_id: int, result: Mapping[str, Any]) -> None:
    """In the transaction that completes the merge, which also ends the job."""
    recording = Recording.objects.get(job__units=unit_id)
    language = Job.objects.values_list("language", flat=True).get(units=unit_id)
    _, is_first = Transcript.objects.update_or_create(
        recording=recording,
        defaults={"text": result["text"], "sha256": result["sha256"], "language": language or ""},
    )
    if is_first and not language and not recording.segments.exists():
        record_event(recording.job_id, NOTE, NOBODY_SPEAKS, unit_id=unit_id)

"""How a transcription shows itself on the pages and in the API of all kinds of job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.urls import reverse

from clustercore.jobs.domain.presentation import Presentation
from transcription.domain.stages import KIND, NOUN
from transcription.selectors import facts_of
from transcription.views.reading import FORMATS


def _reader_url(job_id: int) -> str:
    return reverse("transcription:read", args=[job_id])


def _facts(job_ids: Sequence[int]) -> Mapping[int, Mapping[str, Any]]:
    return {
        job_id: {
            **known,
            "reader_url": _reader_url(job_id),
            "audio_url": reverse("transcription:audio", args=[job_id]),
            "downloads": {name: reverse("transcription:download", args=[job_id, name]) for name, _, _ in FORMATS},
        }
        for job_id, known in facts_of(job_ids).items()
    }


PRESENTATION = Presentation(
    kind=KIND,
    noun=NOUN,
    facts=_facts,
    serializer="transcription.api.facts:TranscriptionFactsSerializer",
    fragment="transcription/job_fragment.html",
    result_url=_reader_url,
    new_url=lambda: reverse("transcription:new"),
    action="Transcribe",
)

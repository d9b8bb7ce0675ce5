"""A small talk in the ledger, as the kernel would have it: cut, queued, claimed and heard piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User

from clustercore.jobs.domain.job_request import JobRequest
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.settle import settle
from clustercore.jobs.services.submit import submit
from tests.cast import WORKSTATION, as_claimant, start_node
from transcription.domain.sampling import SAMPLE_RATE
from transcription.models import Recording
from transcription.selectors import transcript_of
from transcription.workflows import TRANSCRIPTION

PIECE_SECONDS = 4.0
SAYINGS = (("Good morning, Anna.", "How are you?"), ("Very well, thank you.",), ("I scream for you.",))
"""What is heard in each piece, a segment each."""


def talk(
    owner: User | None = None,
    *,
    pieces: int = len(SAYINGS),
    name: str = "talk.wav",
    blobs: Sequence[str] = (),
    shared: bool = False,
) -> Job:
    """A talk that is cut, with no piece heard yet; `blobs` are those of the recording and of its pieces."""
    known = [*blobs, *(f"{number:064x}" for number in range(len(blobs), pieces + 1))]
    request = JobRequest(
        kind="transcription",
        title=name,
        fallback_title=name,
        parameters={"prompt": "", "piece_seconds": None, "blob": known[0]},
        language="en",
        owner_id=owner.pk if owner else None,
    )
    job, _ = submit(None, request, backlog_limit=10_000)
    Job.objects.filter(pk=job.pk).update(shared=shared)
    Recording.objects.filter(job=job).update(container="wav", codec="pcm_s16le", seconds=pieces * PIECE_SECONDS)
    size = int(PIECE_SECONDS * SAMPLE_RATE)
    units = [
        NewUnit(
            stage="transcribe",
            ordinal=number,
            payload={"blob": known[number + 1], "start_sample": number * size, "end_sample": (number + 1) * size},
            weight=PIECE_SECONDS,
        )
        for number in range(pieces)
    ]
    queue_units(TRANSCRIPTION, job.pk, units)
    Unit.objects.filter(job=job, stage="cut").update(state="done")
    return Job.objects.get(pk=job.pk)


def taken(stage: str = "transcribe") -> Claimed:
    """The next unit, taken by the workstation."""
    found = claim(as_claimant(start_node(WORKSTATION)), None)
    assert found is not None
    assert Unit.objects.get(pk=found.unit_id).stage == stage
    return found


def ended(claimed: Claimed, verdict: Verdict) -> None:
    """The attempt ends so."""
    assert settle(claimed.key, verdict) == "counted"


def hear(*, count: int = len(SAYINGS), speakers: Sequence[str] = ()) -> None:
    """The workstation hears the next pieces, each of them as `SAYINGS` has it."""
    for _ in range(count):
        claimed = taken()
        ended(claimed, Done(heard_in(Unit.objects.get(pk=claimed.unit_id).ordinal, speakers)))


def heard_in(piece: int, speakers: Sequence[str] = ()) -> dict[str, Any]:
    """What an engine answers for a piece, with what the handler adds."""
    sayings = SAYINGS[piece % len(SAYINGS)]
    segments = [_segment(text, 2.0 * place) for place, text in enumerate(sayings)]
    for place, segment in enumerate(segments):
        number = sum(map(len, SAYINGS[:piece])) + place
        if number < len(speakers):
            segment["speaker"] = speakers[number]
    served = {"engine": "faster-whisper", "model": "large-v3", "rung": 5, "real_time_factor": 0.1}
    return {"segments": segments, "language": "en", "node": WORKSTATION, **served}


def _segment(text: str, start: float) -> dict[str, Any]:
    words = text.split()
    pace = 1.5 / len(words)
    timed = [
        {"word": f" {word}", "start": start + at * pace, "end": start + (at + 1) * pace, "probability": 0.9}
        for at, word in enumerate(words)
    ]
    return {"start": start, "end": start + 1.5, "text": text, "words": timed}


def merge(job: Job) -> None:
    """The workstation merges what was heard, which ends the job."""
    text = transcript_of(job.pk, as_heard=True).text
    ended(taken("merge"), Done({"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}))

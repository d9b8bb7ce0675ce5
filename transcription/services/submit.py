"""From a file and a user's wishes to a job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clustercore.access.domain.identity import Identity
from clustercore.config.environment import environment
from clustercore.jobs.domain.job_request import InvalidRequest, JobRequest
from clustercore.jobs.models import Job
from clustercore.jobs.services.sent_files import Sent, file_at, printable
from clustercore.jobs.services.submit import submit
from clustercore.nodes.domain.tiers import engines_with, orders_with
from transcription.domain.language import parse_language
from transcription.domain.speech_task import Task
from transcription.domain.stages import KIND
from transcription.domain.traits import needs_of
from transcription.models import Recording

QUALITIES = ("any", "normal", "best")
NAMELESS = "recording"
LONGEST_PROMPT = 10_000
LONGEST_WAIT = 366 * 86_400
"""Seconds: a year."""
MOST_TRACKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a user may say about a transcription."""

    language: str | None = None
    """ISO 639-1 code or name; None and `auto` let the first piece in which somebody speaks decide."""
    prompt: str = ""
    """Words to expect, carried to every piece."""
    task: str = Task.TRANSCRIBE
    """`transcribe`: what is said, in its language; `translate`: the same in English."""
    quality: str = "normal"
    """`normal`: no rung more than one below the best live one; `best`: the best only; `any`: every rung."""
    engine: str = ""
    """`engine` or `engine:model`, when only that will do."""
    accept_lower_after: float | None = None
    """Seconds after which any rung may take part."""
    piece_seconds: float | None = None
    """Length of the pieces; None lets the cutter choose for the machines there are."""
    track: int | None = None
    """The audio track that is heard, counted from 1; None: the one a player would play, if there is sound on it."""
    priority: int = 0
    title: str = ""
    """What the job is called; empty: the file's name."""
    idempotency_key: str | None = None


def submit_transcription(identity: Identity | None, path: Path, name: str, wishes: Wishes) -> tuple[Job, bool]:
    """Stores the file and queues its job; returns the job and whether it is new.

    Raises InvalidRequest, KeyReused, BacklogFull, OSError.
    """
    return submit_sent(identity, file_at(path, name), wishes)


def submit_sent(identity: Identity | None, sent: Sent, wishes: Wishes) -> tuple[Job, bool]:
    """Queues a job for a recording. Raises InvalidRequest, KeyReused, BacklogFull, OSError."""
    name = printable(sent.name, NAMELESS)
    request = _request(name, wishes)
    if sent.size == 0:
        raise InvalidRequest("file", f"{name!r} is empty: nothing was recorded, or the copy failed")
    return submit(identity, request, sent)


def keep_recording(job_id: int, request: JobRequest) -> None:
    """In the transaction that writes the job: which recording it is about."""
    Recording.objects.create(job_id=job_id, blob=request.parameters["blob"], name=request.fallback_title)


def _request(name: str, wishes: Wishes) -> JobRequest:
    language = _language(wishes.language)
    engine, model = _engine(wishes.engine)
    _check(wishes)
    return JobRequest(
        kind=KIND,
        title=printable(wishes.title, NAMELESS) if wishes.title else "",
        fallback_title=name,
        parameters=_parameters(wishes),
        language=language,
        needs=needs_of(language),
        priority=wishes.priority,
        min_rung=0 if wishes.quality == "any" else None,
        critical_accuracy=wishes.quality == "best",
        accept_lower_after=wishes.accept_lower_after,
        engine=engine,
        model=model,
        idempotency_key=wishes.idempotency_key,
    )


def _parameters(wishes: Wishes) -> dict[str, Any]:
    """A track is named only where one is wanted: the digest of a request without one is what it always was."""
    track = {} if wishes.track is None else {"track": wishes.track}
    return {"prompt": wishes.prompt, "piece_seconds": wishes.piece_seconds, "task": wishes.task, **track}


def _language(text: str | None) -> str | None:
    try:
        return parse_language(text)
    except ValueError as error:
        raise InvalidRequest("language", str(error)) from None


def _engine(text: str) -> tuple[str, str]:
    engine, _, model = text.partition(":")
    settings = environment()
    known = [path.rpartition(":")[2] for path in engines_with(settings.engines)]
    names = sorted({pattern.partition(":")[0] for pattern in orders_with(settings.tiers)["stt"]})
    if engine and engine not in names:
        raise InvalidRequest(
            "engine", f"{engine!r} is in no tier of 'stt'; there are {', '.join(names)} (plug-ins: {', '.join(known)})"
        )
    return engine, model


def _check(wishes: Wishes) -> None:
    if wishes.quality not in QUALITIES:
        raise InvalidRequest("quality", f"{wishes.quality!r} is not one of {', '.join(QUALITIES)}")
    if wishes.task not in list(Task):
        raise InvalidRequest("task", f"{wishes.task!r} is not one of {', '.join(Task)}")
    if wishes.piece_seconds is not None and not 2 <= wishes.piece_seconds <= 3600:
        raise InvalidRequest("piece_seconds", f"{wishes.piece_seconds} is not between 2 and 3600")
    if wishes.accept_lower_after is not None and not 0 <= wishes.accept_lower_after <= LONGEST_WAIT:
        raise InvalidRequest("accept_lower_after", f"{wishes.accept_lower_after} is not between 0 and {LONGEST_WAIT} s")
    if wishes.track is not None and not 1 <= wishes.track <= MOST_TRACKS:
        raise InvalidRequest("track", f"{wishes.track} is not between 1 and {MOST_TRACKS}")
    if not -100 <= wishes.priority <= 100:
        raise InvalidRequest("priority", f"{wishes.priority} is not between -100 and 100")
    if "\x00" in wishes.prompt or len(wishes.prompt) > LONGEST_PROMPT:
        raise InvalidRequest("prompt", f"at most {LONGEST_PROMPT} characters of text, none of them NUL")
    if re.search("[\ud800-\udfff]", wishes.prompt):
        raise InvalidRequest("prompt", "is no text in the encoding that was said; in a terminal, `locale` tells which")
    key = wishes.idempotency_key
    if key is not None and not (0 < len(key) <= 200 and key.isprintable()):
        raise InvalidRequest("Idempotency-Key", "1 to 200 printable characters")

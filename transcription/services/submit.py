"""From a file and a user's wishes to a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from clustercore.blobs.services import store_file
from clustercore.config.environment import environment
from clustercore.jobs.models import Job
from clustercore.jobs.services.submit import JobRequest, refuse_over_backlog, submit_job
from transcription.domain.language import parse_language
from transcription.models import Recording

QUALITIES = ("any", "normal", "best")
KIND = "transcription"


class InvalidRequest(ValueError):
    """A field that cannot be right. `field` names it, the message says what to give instead."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a user may say about a transcription."""

    language: str | None = None
    """ISO 639-1 code or name; None and `auto` let the first piece decide."""
    prompt: str = ""
    """Words to expect, carried to every piece."""
    quality: str = "normal"
    """`normal`: no rung more than one below the best live one; `best`: the best only; `any`: every rung."""
    engine: str = ""
    """`engine` or `engine:model`, when only that will do."""
    accept_lower_after: float | None = None
    """Seconds after which any rung may take part."""
    piece_seconds: float | None = None
    """Length of the pieces; None lets the cutter choose for the machines there are."""
    priority: int = 0
    idempotency_key: str | None = None
    owner_id: int | None = None
    """Who asks; None for the command line."""


def submit_transcription(path: Path, name: str, wishes: Wishes) -> tuple[Job, bool]:
    """Stores the file and queues its job; returns the job and whether it is new.

    Raises InvalidRequest, BacklogFull, OSError.
    """
    language = _language(wishes.language)
    engine, model = _engine(wishes.engine)
    _check(path, wishes)
    limit = environment().backlog_limit
    refuse_over_backlog(limit)
    blob = store_file(path)
    request = JobRequest(
        kind=KIND,
        title=printable(name),
        parameters={"prompt": wishes.prompt, "piece_seconds": wishes.piece_seconds, "blob": blob},
        language=language,
        priority=wishes.priority,
        min_rung=0 if wishes.quality == "any" else None,
        critical_accuracy=wishes.quality == "best",
        accept_lower_after=wishes.accept_lower_after,
        engine=engine,
        model=model,
        idempotency_key=wishes.idempotency_key,
        owner_id=wishes.owner_id,
    )
    with transaction.atomic():
        job, new = submit_job(request, backlog_limit=limit)
        if new:
            Recording.objects.create(job=job, blob=blob, name=printable(name))
    return job, new


def printable(name: str) -> str:
    """A file name as one line of text: control characters become spaces, at most 255 characters."""
    return "".join(character if character.isprintable() else " " for character in name)[:255] or "recording"


def _language(text: str | None) -> str | None:
    try:
        return parse_language(text)
    except ValueError as error:
        raise InvalidRequest("language", str(error)) from None


def _engine(text: str) -> tuple[str, str]:
    engine, _, model = text.partition(":")
    known = [spec.rpartition(":")[2] for spec in environment().engines]
    names = sorted({pattern.partition(":")[0] for pattern in environment().stt_ladder})
    if engine and engine not in names:
        raise InvalidRequest(
            "engine", f"{engine!r} is not on the ladder; it has {', '.join(names)} (plug-ins: {', '.join(known)})"
        )
    return engine, model


def _check(path: Path, wishes: Wishes) -> None:
    if wishes.quality not in QUALITIES:
        raise InvalidRequest("quality", f"{wishes.quality!r} is not one of {', '.join(QUALITIES)}")
    if wishes.piece_seconds is not None and not 2 <= wishes.piece_seconds <= 3600:
        raise InvalidRequest("piece_seconds", f"{wishes.piece_seconds} is not between 2 and 3600")
    if not path.is_file():
        raise InvalidRequest("file", f"{printable(path.name)!r} is not a file")
    if path.stat().st_size == 0:
        raise InvalidRequest("file", f"{printable(path.name)!r} is empty: nothing was recorded, or the copy failed")

"""The language of a job: pieces are asked one after another until one of them tells, or none is left.

Everything here runs in the transactions that queue and complete units, under the job's row lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.lifecycle import UnitState
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.notes import NOTE
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.control import release_units
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.references import share_references
from transcription.domain.detection import UNKNOWN_LANGUAGE, Heard, decided_language
from transcription.domain.language import language_name
from transcription.domain.traits import needs_of
from transcription.models import Piece

UNDECIDED = "the language is being decided on the first piece in which somebody speaks"
NOT_TOLD = "language not known: nobody was heard to speak in any piece that was asked about it"


def held_until_language(job_id: int) -> str:
    """Why the pieces of a job must wait: nothing once its language is decided, or known to be unknown."""
    language = Job.objects.values_list("language", flat=True).get(pk=job_id)
    return UNDECIDED if language is None else ""


def go_on_detecting(job_id: int, new: Sequence[Piece] | None = None) -> None:
    """Decides the language of a job if enough was heard, or asks the next piece with sound in it.

    `new`: while units of pieces are being queued, those of them that have sound, in order.
    """
    job = Job.objects.get(pk=job_id)
    units = Unit.objects.filter(job=job, stage="detect")
    if job.language is not None or units.exclude(state=UnitState.DONE).exists():
        return
    asked = list(units.order_by("ordinal"))
    following = _following(job, asked, new)
    is_last = following is None and not _is_being_cut(job_id)
    language = decided_language([_heard(unit) for unit in asked], is_last=is_last)
    if language is not None:
        _decide(job, language, asked)
    elif following is not None:
        _ask(job, following)


def _following(job: Job, asked: list[Unit], new: Sequence[Piece] | None) -> Piece | None:
    """The next piece with sound in it: they are asked about in order, and before new ones none was left to ask."""
    if new is not None:
        return next(iter(new), None)
    later = Piece.objects.filter(recording__job=job, ordinal__gt=asked[-1].ordinal if asked else -1)
    in_order = later.order_by("ordinal").select_related("unit").iterator()
    return next((piece for piece in in_order if has_sound(piece.unit.payload)), None)


def has_sound(payload: Mapping[str, Any]) -> bool:
    """Whether there is anything to hear in a piece, by the payload of its unit."""
    return float(payload.get("sound_seconds", 1.0)) > 0


def _heard(unit: Unit) -> Heard:
    result = unit.result or {}
    return Heard(result.get("language"), result.get("probability"))


def _is_being_cut(job_id: int) -> bool:
    return Unit.objects.filter(job_id=job_id, stage="cut").exclude(state=UnitState.DONE).exists()


def _ask(job: Job, piece: Piece) -> None:
    """What the piece's unit needs, this one needs too."""
    unit = NewUnit(stage="detect", ordinal=piece.ordinal, payload={"blob": piece.blob})
    for unit_id in queue_units(kind_named(job.kind), job.pk, [unit]):
        share_references(piece.unit_id, unit_id)


def _decide(job: Job, language: str, asked: list[Unit]) -> None:
    Job.objects.filter(pk=job.pk).update(language=language, needs=needs_of(language))
    told = next((unit for unit in asked if (unit.result or {}).get("language") == language), None)
    if language == UNKNOWN_LANGUAGE or told is None:
        record_event(job.pk, "language", NOT_TOLD)
    else:
        _record_decision(job, told)
    release_units(job.pk, ["transcribe"])


def _record_decision(job: Job, told: Unit) -> None:
    result = told.result or {}
    record_event(job.pk, "language", f"language {result['language']}: {result['how']}", unit_id=told.pk)
    if result.get("assumed"):
        name = language_name(result["language"])
        text = (
            f"the language was taken to be {name}, because {result['how']}: if it is another, ask again and say which"
        )
        record_event(job.pk, NOTE, text, unit_id=told.pk)

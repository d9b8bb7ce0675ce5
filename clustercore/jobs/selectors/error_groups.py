"""Failed jobs by their cause, so that a hundred of one kind read as one line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Func, Max, QuerySet, TextField, Value
from django.db.models.functions import Left

from clustercore.jobs.domain.lifecycle import JobState
from clustercore.jobs.models import Job

CHARACTERS = 300
NEWEST = 5
_SAME = (
    # "transcribe 17: no memory; transcribe 19: no memory" is one cause: what the first unit said.
    (r"; [a-z_]+ \d+: .*$", ""),
    (r"^[a-z_]+ \d+: ", ""),
    (r"\m[0-9a-f]{16,}\M", "…"),
    (r"(/[^\s/:;,'\"]+){2,}", "/…"),
    # Where a word begins: the 3 of MP3 is part of a name.
    (r"\m\d+(\.\d+)?", "N"),
)
"""What differs between errors of one cause (pattern, replacement): pieces, hashes, paths, numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason for which jobs failed, and the newest of them."""

    cause: str
    jobs: int
    newest: tuple[int, ...]
    """The ids of the last few, newest first."""
    last_failed: datetime | None


def failed_by_cause(jobs: QuerySet[Job], limit: int = 100) -> list[Cause]:
    """The causes among the failed ones of these jobs, the one with the most jobs first. One query."""
    failed = jobs.filter(state=JobState.FAILED).order_by().annotate(cause=_normalised())
    newest = ArrayAgg("id", order_by=F("id").desc())
    groups = failed.values("cause").annotate(jobs=Count("id"), ids=newest, last=Max("finished"))
    return [
        Cause(cause=row["cause"], jobs=row["jobs"], newest=tuple(row["ids"][:NEWEST]), last_failed=row["last"])
        for row in groups.order_by("-jobs", "cause")[:limit]
    ]


def _normalised() -> Left:
    text = Left(F("error"), CHARACTERS)
    for pattern, replacement in _SAME:
        text = Func(text, Value(pattern), Value(replacement), Value("g"), function="regexp_replace")  # type: ignore[assignment]
    return Left(text, CHARACTERS, output_field=TextField())

"""What became of the jobs, and the count of what must not have been."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count

from clustercore.jobs.models import Attempt, Job
from tests.faults.checker import JobSeen, UnitSeen, judge
from tests.faults.cluster import heard_words, units_seen
from transcription.models import Transcript


@dataclass(frozen=True, slots=True)
class Looked:
    """A job as it was when it was looked at."""

    job: int
    title: str
    state: str
    heard: tuple[str, ...]
    text: tuple[str, ...]
    done_twice: int
    error: str

    def as_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)


def look(job: Job) -> Looked:
    """Reads it from the ledger that this process is at."""
    text = Transcript.objects.filter(recording__job=job).values_list("text", flat=True).first() or ""
    done = Attempt.objects.filter(unit__job=job, outcome="done").values("unit").annotate(times=Count("pk"))
    return Looked(
        job=job.pk,
        title=job.title,
        state=job.state,
        heard=heard_words(job),
        text=tuple(text.split()),
        done_twice=sum(row["times"] - 1 for row in done),
        error=job.error,
    )


def looked_from(document: Mapping[str, Any]) -> Looked:
    """What another process looked at."""
    return Looked(**{**document, "heard": tuple(document["heard"]), "text": tuple(document["text"])})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of a cluster's accepted jobs was lost, came twice, came from elsewhere, or was not heard as spoken."""

    jobs: int
    lost: int
    duplicated: int
    foreign: int
    inexact: int
    unlike: Sequence[Looked]
    """The jobs that are not as they should be."""


def verdict(
    looks: Sequence[Looked], spoken: Mapping[int, tuple[str, ...]], elsewhere: frozenset[str], units: Sequence[UnitSeen]
) -> Verdict:
    """`spoken` has the words of each accepted job, `elsewhere` the words of the other cluster's recordings."""
    judged = judge(len(spoken), [_as_seen(one, spoken[one.job]) for one in looks], units, {}, [])
    ended_ill = sum(1 for one in looks if one.state not in ("done", "running", "paused"))
    foreign = sum(1 for one in looks for word in {*one.heard, *one.text} if word in elsewhere)
    inexact = [one for one in looks if not one.heard == one.text == spoken[one.job]]
    return Verdict(
        jobs=len(spoken),
        lost=judged.lost + ended_ill + len(spoken) - len(looks),
        duplicated=judged.duplicate_results + sum(one.done_twice for one in looks),
        foreign=foreign,
        inexact=len(inexact),
        unlike=[*inexact, *(one for one in looks if one.done_twice and one not in inexact)],
    )


def units_of(jobs: Sequence[int]) -> list[UnitSeen]:
    """The units of the ledger that this process is at."""
    return units_seen(jobs)


def _as_seen(one: Looked, spoken: tuple[str, ...]) -> JobSeen:
    return JobSeen(one.job, one.state, one.heard, spoken, _hash(one.text), _hash(spoken))


def _hash(words: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()

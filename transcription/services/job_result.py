"""What has become of a job so far, for those who wait for it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, Min, OuterRef

from clustercore.jobs.domain.lifecycle import FINAL_JOB_STATES, OPEN_UNIT_STATES, JobState, UnitState
from clustercore.jobs.models import Job, Unit
from clustercore.nodes.selectors import working_nodes
from transcription.domain import transcript as heard
from transcription.models import Piece, Segment
from transcription.selectors import heard_segment


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job at one moment. `stuck` says why nothing of it can go on, empty while something may."""

    state: str
    error: str
    stuck: str
    bad_media: bool
    """Whether it failed because of the recording itself."""

    @property
    def is_over(self) -> bool:
        return self.state in FINAL_JOB_STATES


def outcome_of(job_id: int) -> Outcome | None:
    """Where the job stands now; None when it was removed."""
    running = Exists(Unit.objects.filter(job=OuterRef("pk"), state=UnitState.LEASED))
    job = Job.objects.filter(pk=job_id).annotate(moves=running).first()
    if job is None:
        return None
    return Outcome(job.state, job.error, _stuck(job), job.state == JobState.FAILED and _bad_media(job_id))


def _stuck(job: Job) -> str:
    if job.state == JobState.PAUSED:
        return f"job {job.pk} is paused: `clustercore resume {job.pk}` lets it go on"
    if job.state != JobState.RUNNING or getattr(job, "moves", False):
        return ""
    # Reasons are written down by nodes: where none lives, nobody writes one.
    if not job.waiting and not working_nodes().exists():
        return "no node is taking work: start one with `clustercore node`"
    return job.waiting


def _bad_media(job_id: int) -> bool:
    """The cutter said so at once: neither given up after several tries, nor crashed."""
    cut = Unit.objects.filter(job_id=job_id, stage="cut", state=UnitState.FAILED, failures=0, strikes=0)
    return cut.exists()


def leading_pieces(job_id: int) -> int:
    """How many pieces from the first on are over, heard or given up: what they say will not change any more."""
    pieces = Unit.objects.filter(job_id=job_id, stage="transcribe")
    first_open: int | None = pieces.filter(state__in=OPEN_UNIT_STATES).aggregate(first=Min("ordinal"))["first"]
    return pieces.count() if first_open is None else first_open


def segments_between(job_id: int, first: int, last: int) -> tuple[heard.Segment, ...]:
    """What was heard in the pieces `first` to `last` (not included), in order."""
    pieces = Piece.objects.filter(recording__job_id=job_id, ordinal__gte=first, ordinal__lt=last)
    rows = Segment.objects.filter(piece__in=pieces).select_related("piece").order_by("piece__ordinal", "position")
    return tuple(heard_segment(row) for row in rows)

"""Which recording an address names, for whoever asks."""

from __future__ import annotations

from django.http import HttpRequest

from clustercore.access.domain.errors import RequestRefused
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission
from clustercore.access.services.identification import require
from clustercore.jobs.selectors.visibility import operable_jobs, visible_jobs
from clustercore.jobs.services.deeds import require_operable
from transcription.models import Recording, Segment


def recording_to_read(request: HttpRequest, job_id: int) -> tuple[Identity, Recording]:
    """Raises RequestRefused: 401 for strangers, 404 for what is not there or not theirs to see."""
    identity = require(request, Permission.VIEW)
    recording = Recording.objects.select_related("job").filter(job__in=visible_jobs(identity), job_id=job_id).first()
    if recording is None:
        raise RequestRefused(404, f"there is no transcript {job_id} that you may read", code="not_found")
    return identity, recording


def recording_to_change(request: HttpRequest, job_id: int) -> tuple[Identity, Recording]:
    """As `recording_to_read`, and 403 for who may only read."""
    identity, recording = recording_to_read(request, job_id)
    require_operable(identity, job_id)
    return identity, recording


def may_change(identity: Identity, recording: Recording) -> bool:
    """Whether this person may correct the transcript."""
    return operable_jobs(identity).filter(pk=recording.job_id).exists()


def segment_of(recording: Recording, segment_id: int) -> Segment:
    """Raises RequestRefused (404) for a segment that is not of this recording."""
    segment = Segment.objects.select_related("recording", "piece").filter(recording=recording, pk=segment_id).first()
    if segment is None:
        raise RequestRefused(404, f"there is no segment {segment_id} in this transcript", code="not_found")
    return segment

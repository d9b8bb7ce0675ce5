"""Which recording somebody means, if it is theirs to read or to change."""

from __future__ import annotations

from collections.abc import Mapping

from clustercore.access.domain.errors import Invalid, NotFound
from clustercore.access.domain.identity import Identity
from clustercore.jobs.selectors.visibility import operable_jobs, visible_jobs
from clustercore.jobs.services.actions import require_operable
from transcription.domain.cues import Layout, LayoutRefused, layout_from
from transcription.models import Recording, Segment


def recording_to_read(identity: Identity, job_id: int) -> Recording:
    """Returns a job's recording. Raises NotFound where there is none, or not theirs to see: nobody can tell which."""
    recording = Recording.objects.select_related("job").filter(job__in=visible_jobs(identity), job_id=job_id).first()
    if recording is None:
        raise NotFound(f"there is no transcript {job_id} that you may read")
    return recording


def recording_to_change(identity: Identity, job_id: int) -> Recording:
    """Returns the same. Raises NotFound, and NotYours for who may only read."""
    recording = recording_to_read(identity, job_id)
    require_operable(identity, job_id)
    return recording


def may_change(identity: Identity, recording: Recording) -> bool:
    """Whether this person may correct the transcript."""
    return operable_jobs(identity).filter(pk=recording.job_id).exists()


def segment_of(recording: Recording, segment_id: int) -> Segment:
    """Returns a segment. Raises NotFound for one that is not of this recording."""
    segment = Segment.objects.select_related("recording", "piece").filter(recording=recording, pk=segment_id).first()
    if segment is None:
        raise NotFound(f"there is no segment {segment_id} in this transcript")
    return segment


def layout_asked(query: Mapping[str, str]) -> Layout:
    """Returns the layout of captions that a query asks for. Raises Invalid."""
    try:
        return layout_from({name: query.get(name) for name in ("max_line_width", "max_line_count")})
    except LayoutRefused as error:
        raise Invalid(f"{error.name}: {error}", field=error.name) from None

"""Reading: pieces, segments and transcripts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from transcription.domain import transcript as heard
from transcription.domain.merge import in_order
from transcription.models import Piece, Recording, Segment


def blobs_of(job_id: int) -> Sequence[str]:
    """The hashes of the recording and of all its pieces."""
    recordings = Recording.objects.filter(job_id=job_id).values_list("blob", flat=True)
    pieces = Piece.objects.filter(recording__job_id=job_id).values_list("blob", flat=True)
    return sorted({*recordings, *pieces})


def blobs_in_use(hashes: Collection[str]) -> set[str]:
    """Those of the blobs that some recording or piece refers to."""
    recordings = Recording.objects.filter(blob__in=hashes).values_list("blob", flat=True)
    return {*recordings, *Piece.objects.filter(blob__in=hashes).values_list("blob", flat=True)}


def transcript_of(job_id: int) -> heard.Transcript:
    """What has been heard so far, in order; complete once the job is done. Raises Recording.DoesNotExist."""
    recording = Recording.objects.select_related("job").get(job_id=job_id)
    rows = Segment.objects.filter(recording=recording).order_by("piece__ordinal", "position")
    segments = in_order(_segment(row) for row in rows)
    return heard.Transcript(tuple(segments), recording.job.language or "", recording.seconds or 0.0)


def _segment(row: Segment) -> heard.Segment:
    words = tuple(heard.Word(**word) for word in row.words)
    return heard.Segment(row.start, row.end, row.text, words)

"""Reading: pieces, segments, what people said about them, and transcripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from clustercore.jobs.domain.lifecycle import OPEN_UNIT_STATES, UnitState
from clustercore.jobs.domain.progress import WIDE_UNITS
from clustercore.jobs.models import Job, Unit
from clustercore.jobs.selectors.progress import units_of_stage
from clustercore.jobs.selectors.remembered import Remembered
from clustercore.jobs.selectors.work import main_stage_of, work_of
from clustercore.terminal.domain.humanize import clock_words
from transcription.domain import transcript as heard
from transcription.domain.corrections import Change, Standing, corrected, standing
from transcription.domain.gaps import UnheardPiece, gaps_of, reason_of
from transcription.domain.merge import in_order
from transcription.domain.reading import Provenance, Reading, segments_shown
from transcription.domain.sampling import SAMPLE_RATE
from transcription.domain.speakers import Turn, speakers_along
from transcription.domain.speech_task import capability_for
from transcription.domain.stages import OUTLINE
from transcription.models import Correction, Piece, Recording, Segment, Speaker, SpeakerTurn, Transcript

PREVIEW_PIECES = 2
PREVIEW_SEGMENTS = 12
PREVIEW_CHARACTERS = 420
_NOT_DONE = [state for state in UnitState if state != UnitState.DONE]


def capability_of(job_id: int) -> str:
    """What a node must be able to do for the pieces of a job. Raises Job.DoesNotExist."""
    return capability_for(Job.objects.values_list("parameters", flat=True).get(pk=job_id))


def open_pieces(job_id: int) -> int:
    """How many pieces of a job are still to be heard."""
    return Unit.objects.filter(job=job_id, stage=OUTLINE.main_stage, state__in=OPEN_UNIT_STATES).count()


def spans_of(unit_ids: Sequence[int]) -> dict[int, str]:
    """Returns from where to where in its recording each of these units is, of those that are pieces: `0:27–0:54`."""  # noqa: RUF002
    pieces = Piece.objects.filter(unit_id__in=unit_ids).values_list("unit_id", "start_sample", "end_sample")
    return {unit: f"{_clock(start)}–{_clock(end)}" for unit, start, end in pieces}  # noqa: RUF001


def _clock(sample: int) -> str:
    return clock_words(sample / SAMPLE_RATE)


def transcript_of(job_id: int, *, as_heard: bool = False) -> heard.Transcript:
    """What has been heard so far, as people corrected it, in order; complete once the job is done, but for its gaps.

    `as_heard` gives what the engines said instead. Raises Recording.DoesNotExist.
    """
    recording = Recording.objects.select_related("job").get(job_id=job_id)
    segments = _as_heard(recording) if as_heard else segments_shown(readings_of(recording))
    gaps = gaps_by_job([job_id]).get(job_id, ())
    return heard.Transcript(segments, recording.job.language or "", recording.seconds or 0.0, gaps)


def text_as_heard(job_id: int) -> str:
    """The text alone, as the engines said it. Raises Recording.DoesNotExist."""
    return heard.Transcript(_as_heard(Recording.objects.get(job_id=job_id)), "", 0.0).text


def _as_heard(recording: Recording) -> tuple[heard.Segment, ...]:
    return tuple(in_order(_segment(row) for row in _rows(recording)))


def gaps_by_job(job_ids: Sequence[int]) -> dict[int, tuple[heard.Gap, ...]]:
    """What merged transcripts lack, by job: of one that was never merged, nobody can tell yet. Two queries."""
    merged = list(Transcript.objects.filter(recording__job__in=job_ids).values_list("recording__job_id", flat=True))
    # The unit's job as well: then the ledger's index finds the few, however many are done.
    unheard = _unheard().filter(recording__job__in=merged, unit__job__in=merged).order_by("recording", "ordinal")
    found: dict[int, list[UnheardPiece]] = defaultdict(list)
    columns = ("recording__job_id", "start_sample", "end_sample", "unit__state", "unit__error")
    for job_id, start, end, state, error in unheard.values_list(*columns):
        found[job_id].append(UnheardPiece(start, end, state, error))
    return {job_id: gaps_of(pieces) for job_id, pieces in found.items()}


def gaps_by_piece(recording: Recording) -> dict[int, str]:
    """Why each piece that a merged transcript lacks was not heard, by its ordinal."""
    rows = _unheard().filter(recording=recording).values_list("ordinal", "unit__state", "unit__error")
    return {ordinal: reason_of(state, error) for ordinal, state, error in rows}


def _unheard() -> QuerySet[Piece]:
    return Piece.objects.filter(recording__transcript__isnull=False, unit__state__in=_NOT_DONE)


def readings_of(recording: Recording, which: Q = Q()) -> list[Reading]:  # noqa: B008 (an empty Q is a constant)
    """The segments of a recording as people read them, in order; all of them, or those that `which` picks."""
    rows = list(_rows(recording).filter(which))
    spoken = voices_of(recording)
    counting = _counting(recording)
    segments = in_order(_segment(row) for row in rows)
    return [_reading(row, segment, spoken, counting) for row, segment in zip(rows, segments, strict=True)]


def _reading(row: Segment, segment: heard.Segment, spoken: Voices, counting: Mapping[int, Standing]) -> Reading:
    label = spoken.labels.get(row.pk, "")
    return Reading(
        id=row.pk,
        piece=row.piece.ordinal,
        heard=segment,
        standing=counting.get(row.pk) or Standing(),
        label=label,
        speaker=spoken.names.get(label, label),
        begins=row.pk in spoken.beginnings,
        provenance=Provenance(node=row.node_name, engine=row.engine, model=row.model, rung=row.rung),
    )


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks in a recording: the label of each segment by its id, the segments where another person begins,
    and the names of labels."""

    labels: Mapping[int, str]
    beginnings: frozenset[int]
    names: Mapping[str, str]

    @property
    def known(self) -> list[tuple[str, str]]:
        """Each label that somebody speaks under or that has a name, with its name, in the order of the labels."""
        labels = sorted({*self.labels.values(), *self.names} - {""}, key=lambda label: (len(label), label))
        return [(label, self.names.get(label, label)) for label in labels]


def voices_of(recording: Recording) -> Voices:
    """Who speaks in each segment that was heard so far."""
    rows = list(_ordered(recording).values_list("pk", "speaker"))
    turns = {
        turn.segment_id: Turn(turn.label, turn.alone)
        for turn in SpeakerTurn.objects.filter(segment__recording=recording, withdrawn=None).order_by("pk")
    }
    said = {at: turns[pk] for at, (pk, _) in enumerate(rows) if pk in turns}
    labels = speakers_along([label for _, label in rows], said)
    begins = [label != earlier for earlier, label in zip(["", *labels], labels, strict=False)]
    names = dict(Speaker.objects.filter(recording=recording).values_list("label", "name"))
    ids = [pk for pk, _ in rows]
    beginnings = frozenset(pk for pk, begin in zip(ids, begins, strict=True) if begin)
    return Voices(dict(zip(ids, labels, strict=True)), beginnings, names)


def hearing_of(job_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """How far the pieces of recordings are heard, by job: plain values, in two queries."""
    states = dict(Job.objects.filter(pk__in=job_ids, recording__isnull=False).values_list("pk", "state"))
    pieces: dict[int, list[tuple[int, str]]] = {job_id: [] for job_id in states}
    rows = Piece.objects.filter(recording__job__in=states).order_by("ordinal")
    for job_id, ordinal, unit_state in rows.values_list("recording__job_id", "ordinal", "unit__state"):
        pieces[job_id].append((ordinal, unit_state))
    return {
        job_id: {
            "state": states[job_id],
            "pieces": len(found),
            "heard": [ordinal for ordinal, unit_state in found if unit_state == UnitState.DONE],
            "going": sum(1 for _, unit_state in found if unit_state == UnitState.LEASED),
        }
        for job_id, found in pieces.items()
    }


def facts_of(job_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What only a transcription knows of itself, by job; in a fixed number of queries."""
    recordings = list(Recording.objects.select_related("job").filter(job__in=job_ids))
    pieces = _pieces(job_ids)
    ends = {recording.job_id: recording.job.finished for recording in recordings}
    wide = {job_id: ends.get(job_id) for job_id, (of_all, _) in pieces.items() if of_all > WIDE_UNITS}
    work = work_of({recording.job_id: main_stage_of(recording.job.kind) for recording in recordings}, wide=wide)
    heard_by = _heard_by([recording.pk for recording in recordings if recording.job_id not in wide])
    heard_by |= {one.pk: _HEARD_BY_OF_WIDE.of(one.pk, wide[one.job_id]) for one in recordings if one.job_id in wide}
    previews = _previews(recordings)
    gaps = gaps_by_job(job_ids)
    return {
        recording.job_id: {
            "file_name": recording.name,
            "seconds": recording.seconds,
            "container": recording.container,
            "codec": recording.codec,
            "sample_rate": recording.sample_rate,
            "channels": recording.channels,
            "language": recording.job.language or "",
            "pieces": pieces.get(recording.job_id, (0, 0))[0],
            "pieces_heard": pieces.get(recording.job_id, (0, 0))[1],
            "gaps": gaps.get(recording.job_id, ()),
            "speed": work[recording.job_id].speed if recording.job_id in work else None,
            "heard_by": heard_by.get(recording.pk, []),
            "preview": previews.get(recording.pk, ""),
        }
        for recording in recordings
    }


def _pieces(job_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """How many pieces each job has, and how many of them are heard: counted in an index of the ledger. One query."""
    counted = units_of_stage(job_ids, OUTLINE.main_stage)
    return {job_id: (sum(states.values()), states.get(UnitState.DONE, 0)) for job_id, states in counted.items()}


def _heard_by(recordings: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Who heard how much of each of these recordings, by their own numbers. One query."""
    rows = Segment.objects.filter(recording__in=recordings).order_by()
    names = ("node_name", "engine", "model", "rung")
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for recording_id, node, engine, model, rung, count in (
        rows.values_list("recording", *names).annotate(segments=Count("pk")).order_by("-segments", *names)
    ):
        found[recording_id].append({"node": node, "engine": engine, "model": model, "rung": rung, "segments": count})
    return found


_HEARD_BY_OF_WIDE = Remembered(lambda recording_id: _heard_by([recording_id]).get(recording_id, []))


def _previews(recordings: Sequence[Recording]) -> dict[int, str]:
    """How each text begins, as people corrected it."""
    rows = Segment.objects.filter(recording__in=recordings, piece__ordinal__lt=PREVIEW_PIECES)
    beginnings = list(rows.filter(position__lt=PREVIEW_SEGMENTS).order_by("recording", "piece__ordinal", "position"))
    counting = _standing_by_segment(Correction.objects.filter(segment__in=beginnings))
    texts: dict[int, list[str]] = defaultdict(list)
    for row in beginnings:
        texts[row.recording_id].append(corrected(_segment(row), counting.get(row.pk, Standing())).text)
    return {pk: heard.beginning(heard.joined(parts), PREVIEW_CHARACTERS) for pk, parts in texts.items()}


def standing_of(segment: Segment) -> Standing:
    """What counts of the corrections of one segment."""
    return standing(_changes(counting_corrections(segment)))


def counting_corrections(segment: Segment) -> QuerySet[Correction]:
    """The corrections of a segment that nobody undid, oldest first."""
    return Correction.objects.filter(segment=segment, withdrawn=None).order_by("pk")


def heard_segment(segment: Segment) -> heard.Segment:
    """A segment as the engine gave it."""
    return _segment(segment)


def _counting(recording: Recording) -> dict[int, Standing]:
    return _standing_by_segment(Correction.objects.filter(segment__recording=recording))


def _standing_by_segment(rows: QuerySet[Correction]) -> dict[int, Standing]:
    by_segment: dict[int, list[Correction]] = defaultdict(list)
    for correction in rows.filter(withdrawn=None).order_by("pk"):
        by_segment[correction.segment_id].append(correction)
    return {segment_id: standing(_changes(found)) for segment_id, found in by_segment.items()}


def _changes(rows: Iterable[Correction]) -> list[Change]:
    return [Change(row.word, row.text) for row in rows]


def _ordered(recording: Recording) -> QuerySet[Segment]:
    return Segment.objects.filter(recording=recording).order_by("piece__ordinal", "position")


def _rows(recording: Recording) -> QuerySet[Segment]:
    return _ordered(recording).select_related("piece")


def _segment(row: Segment) -> heard.Segment:
    words = tuple(heard.Word(**word) for word in row.words)
    return heard.Segment(row.start, row.end, row.text, words, row.speaker)

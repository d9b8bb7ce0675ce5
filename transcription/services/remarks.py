"""What people say about a transcript: corrections and speakers. What the engines heard is never changed."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from clustercore.access.domain.errors import Conflict, NotFound
from clustercore.access.domain.identity import Identity
from clustercore.access.services.audit import record
from clustercore.jobs.domain.job_request import InvalidRequest
from transcription.domain.corrections import is_place, what_stands
from transcription.domain.speakers import LABEL_CHARACTERS, NAME_CHARACTERS, next_label
from transcription.domain.transcript import one_line
from transcription.models import Correction, Recording, Segment, Speaker, SpeakerTurn
from transcription.selectors import counting_corrections, heard_segment, standing_of, voices_of

TEXT_CHARACTERS = 5000
WORD_CHARACTERS = 200


class NothingToUndo(Conflict):
    """There is nothing said there that still counts."""

    code = "nothing_to_undo"


@dataclass(frozen=True, slots=True)
class Where:
    """One word of a segment, by its place among the words heard, or the whole segment (`word` None)."""

    segment: Segment
    word: int | None = None

    def __str__(self) -> str:
        return f"segment {self.segment.pk}" + ("" if self.word is None else f", word {self.word}")


@transaction.atomic
def correct(identity: Identity, where: Where, text: str) -> Correction:
    """Writes a text over a word or a segment; an empty one deletes. Raises InvalidRequest."""
    _locked(where.segment.recording)
    segment, count = heard_segment(where.segment), standing_of(where.segment)
    if where.word is not None and count.whole is not None:
        raise InvalidRequest("word", "the whole segment was rewritten: correct the segment, or undo that first")
    if where.word is not None and not is_place(segment, where.word):
        raise InvalidRequest("word", f"this segment has no word {where.word} that can be corrected by itself")
    most = TEXT_CHARACTERS if where.word is None else WORD_CHARACTERS
    row = Correction.objects.create(
        segment=where.segment,
        word=where.word,
        text=_line("text", text, most),
        replaced=what_stands(segment, count, where.word),
        author_id=identity.user_id,
        author_name=identity.name,
    )
    row.refresh_from_db(fields=["at"])
    # The words themselves stay in the transcript: the audit log is read by others.
    _audit(identity, "transcript.corrected", where.segment, correction=row.pk, word=where.word)
    return row


@transaction.atomic
def undo_correction(identity: Identity, where: Where) -> Correction:
    """Takes the latest correction there back, so that the one before it counts, or what was heard.

    Raises NothingToUndo.
    """
    _locked(where.segment.recording)
    row = counting_corrections(where.segment).filter(word=where.word).last()
    if row is None:
        raise NothingToUndo(f"{where} has no correction that could be undone")
    _withdraw_correction(identity, row)
    return row


@transaction.atomic
def withdraw_correction(identity: Identity, recording: Recording, correction_id: int) -> None:
    """Takes one correction back; what was there before it, or was said after it, counts.

    Raises NotFound, NothingToUndo.
    """
    rows = Correction.objects.select_related("segment__recording").filter(segment__recording=recording)
    row = rows.filter(pk=correction_id).first()
    if row is None:
        raise NotFound(f"there is no correction {correction_id} of this transcript")
    _withdraw_correction(identity, row)


def _withdraw_correction(identity: Identity, row: Correction) -> None:
    if not Correction.objects.filter(pk=row.pk, withdrawn=None).update(withdrawn=Now()):
        raise NothingToUndo(f"correction {row.pk} was undone already")
    _audit(identity, "transcript.correction_undone", row.segment, correction=row.pk, word=row.word)


@transaction.atomic
def name_speaker(identity: Identity, recording: Recording, label: str, name: str) -> Speaker:
    """What a speaker is called from now on, in all segments. Raises InvalidRequest."""
    known = voices_of(_locked(recording)).known
    if label not in [one for one, _ in known]:
        raise InvalidRequest("label", f"nobody speaks as {label[:LABEL_CHARACTERS]!r} in this recording")
    called = _line("name", name, NAME_CHARACTERS)
    if not called:
        raise InvalidRequest("name", "say what the speaker is called")
    row, _ = Speaker.objects.update_or_create(recording=recording, label=label, defaults={"name": called})
    _audit(identity, "transcript.speaker_named", recording, label=label)
    return row


@transaction.atomic
def say_speaker(
    identity: Identity, segment: Segment, label: str | None, *, name: str = "", alone: bool = False
) -> SpeakerTurn:
    """Who speaks from this segment on, or in it `alone`. `label` None is somebody new, unless there is one of that
    `name`; an empty one is nobody known. Raises InvalidRequest.
    """
    known = dict(voices_of(_locked(segment.recording)).known)
    if label is None:
        label = next((one for one, called in known.items() if called == one_line(name)), None)
    new = label is None
    chosen = next_label(known) if label is None else label
    if not new and chosen not in ["", *known]:
        raise InvalidRequest(
            "label", f"nobody speaks as {chosen[:LABEL_CHARACTERS]!r} here; leave it out for a new one"
        )
    row = SpeakerTurn.objects.create(
        segment=segment, label=chosen, alone=alone, author_id=identity.user_id, author_name=identity.name
    )
    row.refresh_from_db(fields=["at"])
    _audit(identity, "transcript.speaker_said", segment, turn=row.pk, label=chosen, alone=alone)
    if new and name.strip():
        name_speaker(identity, segment.recording, chosen, name)
    return row


@transaction.atomic
def undo_speaker(identity: Identity, segment: Segment) -> SpeakerTurn:
    """Takes back what was said last on who speaks in a segment. Raises NothingToUndo."""
    _locked(segment.recording)
    row = SpeakerTurn.objects.filter(segment=segment, withdrawn=None).order_by("pk").last()
    if row is None:
        raise NothingToUndo(f"nobody said who speaks in segment {segment.pk}")
    _withdraw_turn(identity, row)
    return row


@transaction.atomic
def withdraw_turn(identity: Identity, recording: Recording, turn_id: int) -> None:
    """Takes back one thing that was said on who speaks. Raises NotFound, NothingToUndo."""
    rows = SpeakerTurn.objects.select_related("segment__recording").filter(segment__recording=recording)
    row = rows.filter(pk=turn_id).first()
    if row is None:
        raise NotFound(f"nothing was said as {turn_id} in this transcript")
    _withdraw_turn(identity, row)


def _withdraw_turn(identity: Identity, row: SpeakerTurn) -> None:
    if not SpeakerTurn.objects.filter(pk=row.pk, withdrawn=None).update(withdrawn=Now()):
        raise NothingToUndo(f"what was said as {row.pk} was undone already")
    _audit(identity, "transcript.speaker_undone", row.segment, turn=row.pk)


def _locked(recording: Recording) -> Recording:
    """Remarks on one recording are made one after another: each is decided by what stands."""
    return Recording.objects.select_for_update(no_key=True).get(pk=recording.pk)


def _line(field: str, text: str, most: int) -> str:
    line = one_line(text)
    if len(line) > most:
        raise InvalidRequest(field, f"{len(line)} characters; at most {most} can be kept")
    return line


def _audit(identity: Identity, action: str, target: Segment | Recording, **detail: object) -> None:
    recording = target if isinstance(target, Recording) else target.recording
    segment = {} if isinstance(target, Recording) else {"segment": target.pk}
    record(identity, action, f"job {recording.job_id}", **segment, **detail)

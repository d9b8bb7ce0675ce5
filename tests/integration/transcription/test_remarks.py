"""What people say about a transcript stays, whatever happens to its job, and so does what was heard."""

from __future__ import annotations

import pytest

from clustercore.access.models import AuditEntry
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.domain.verdict import Done, Fail
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import retry_job
from tests.people import identity, person
from tests.talk import ended, hear, heard_in, merge, taken, talk
from transcription.models import Correction, Recording, Segment, SpeakerTurn, Transcript
from transcription.selectors import transcript_of
from transcription.services.remarks import (
    NothingToUndo,
    Where,
    correct,
    name_speaker,
    say_speaker,
    undo_correction,
    undo_speaker,
)

pytestmark = pytest.mark.django_db

HEARD = "Good morning, Anna. How are you? Very well, thank you. I scream for you."


def segments(job: Job) -> list[Segment]:
    return list(Segment.objects.filter(recording__job=job).order_by("piece__ordinal", "position"))


def speakers(job: Job) -> list[str]:
    return [segment.speaker for segment in transcript_of(job.pk).segments]


@pytest.fixture
def job() -> Job:
    made = talk(person("otto"))
    hear()
    return made


def test_a_corrected_word_is_read_and_the_heard_one_is_kept(job: Job) -> None:
    correct(identity("otto"), Where(segments(job)[3], 1), "stream")
    assert transcript_of(job.pk).text == HEARD.replace("scream", "stream")
    assert transcript_of(job.pk, as_heard=True).text == HEARD
    assert segments(job)[3].text == "I scream for you."


def test_the_story_of_a_word_is_kept_and_undone_step_by_step(job: Job) -> None:
    where = Where(segments(job)[3], 1)
    for text in ("steam", "stream"):
        correct(identity("otto"), where, text)
    assert list(Correction.objects.values_list("replaced", "text", "author_name")) == [
        ("scream", "steam", "otto"),
        ("steam", "stream", "otto"),
    ]
    assert undo_correction(identity("otto"), where).text == "stream"
    assert "I steam for" in transcript_of(job.pk).text
    undo_correction(identity("otto"), where)
    assert transcript_of(job.pk).text == HEARD
    with pytest.raises(NothingToUndo):
        undo_correction(identity("otto"), where)


def test_a_segment_written_anew_is_undone_as_a_whole(job: Job) -> None:
    where = Where(segments(job)[0])
    correct(identity("otto"), Where(where.segment, 2), "Hanna.")
    correct(identity("otto"), where, "Good evening, Hanna!")
    with pytest.raises(InvalidRequest, match="word: the whole segment was rewritten"):
        correct(identity("otto"), Where(where.segment, 0), "x")
    undo_correction(identity("otto"), where)
    assert transcript_of(job.pk).segments[0].text == "Good morning, Hanna."


def test_a_deleted_segment_is_in_no_text(job: Job) -> None:
    correct(identity("otto"), Where(segments(job)[1]), "")
    assert transcript_of(job.pk).text == HEARD.replace("How are you? ", "")


@pytest.mark.parametrize(
    ("word", "text", "field"),
    [(9, "x", "word"), (0, "x" * 201, "text"), (None, "x " * 2600, "text")],
)
def test_what_cannot_be_kept_is_refused_by_name(job: Job, word: int | None, text: str, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        correct(identity("otto"), Where(segments(job)[0], word), text)
    assert refused.value.field == field
    assert not Correction.objects.exists()


def test_a_name_is_that_of_all_segments_of_the_speaker() -> None:
    job = talk(person("otto"))
    hear(speakers=["S1", "S2", "S1", "S1"])
    assert speakers(job) == ["S1", "S2", "S1", "S1"]
    recording = Recording.objects.get(job=job)
    name_speaker(identity("otto"), recording, "S1", "  Anna\nLee ")
    assert speakers(job) == ["Anna Lee", "S2", "Anna Lee", "Anna Lee"]
    assert [segment.speaker for segment in transcript_of(job.pk, as_heard=True).segments] == ["S1", "S2", "S1", "S1"]


def test_from_here_on_somebody_new_speaks(job: Job) -> None:
    say_speaker(identity("otto"), segments(job)[0], None, name="Ben")
    say_speaker(identity("otto"), segments(job)[2], None)
    assert speakers(job) == ["Ben", "Ben", "B", "B"]
    say_speaker(identity("otto"), segments(job)[3], "A", alone=True)
    assert speakers(job) == ["Ben", "Ben", "B", "Ben"]
    undo_speaker(identity("otto"), segments(job)[2])
    assert speakers(job) == ["Ben", "Ben", "Ben", "Ben"]
    with pytest.raises(NothingToUndo):
        undo_speaker(identity("otto"), segments(job)[2])


def test_somebody_new_with_a_known_name_is_not_new(job: Job) -> None:
    for segment in segments(job)[0], segments(job)[2]:
        say_speaker(identity("otto"), segment, None, name=" Ben ")
    say_speaker(identity("otto"), segments(job)[1], None)
    assert [turn.label for turn in SpeakerTurn.objects.order_by("pk")] == ["A", "A", "B"]


@pytest.mark.parametrize(("label", "name"), [("Z", "Zoe"), ("A", " \n "), ("A", "x" * 81)])
def test_only_a_speaker_who_is_there_gets_a_name_that_is_one(job: Job, label: str, name: str) -> None:
    say_speaker(identity("otto"), segments(job)[0], None)
    with pytest.raises(InvalidRequest):
        name_speaker(identity("otto"), Recording.objects.get(job=job), label, name)
    with pytest.raises(InvalidRequest):
        say_speaker(identity("otto"), segments(job)[0], "nobody")


def test_every_change_is_on_record_without_what_was_said(job: Job) -> None:
    correct(identity("otto"), Where(segments(job)[3], 1), "secret")
    undo_correction(identity("otto"), Where(segments(job)[3], 1))
    say_speaker(identity("otto"), segments(job)[0], None, name="secret")
    undo_speaker(identity("otto"), segments(job)[0])
    entries = AuditEntry.objects.filter(target=f"job {job.pk}").order_by("seq")
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("otto", "transcript.corrected"),
        ("otto", "transcript.correction_undone"),
        ("otto", "transcript.speaker_said"),
        ("otto", "transcript.speaker_named"),
        ("otto", "transcript.speaker_undone"),
    ]
    assert "secret" not in str([entry.detail for entry in entries])


def test_a_correction_outlives_its_author(job: Job) -> None:
    correct(identity("olga"), Where(segments(job)[3], 1), "stream")
    person("olga").delete()
    assert "stream" in transcript_of(job.pk).text
    assert Correction.objects.get().author_name == "olga"


def test_what_people_said_survives_a_retry_of_the_job_and_the_merge() -> None:
    job = talk(person("otto"))
    hear(count=2)
    correct(identity("otto"), Where(segments(job)[0], 2), "Hanna.")
    say_speaker(identity("otto"), segments(job)[0], None, name="Ben")
    before = [segment.pk for segment in segments(job)]
    ended(taken(), Fail("the piece is broken"))
    merge(job)
    assert (Job.objects.get().state, Job.objects.get().gaps) == ("done", 1)
    retry_job(job.pk)
    claimed = taken()
    ended(claimed, Done(heard_in(2)))
    merge(job)
    assert (Job.objects.get().state, Job.objects.get().gaps) == ("done", 0)
    assert [segment.pk for segment in segments(job)][: len(before)] == before
    assert transcript_of(job.pk).text == HEARD.replace("Anna", "Hanna")
    assert Transcript.objects.get().text == HEARD
    assert speakers(job) == ["Ben"] * 4

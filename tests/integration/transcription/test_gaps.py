"""A recording of forty pieces of which one cannot be heard: what people read, what they take away, and its mending."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from html import unescape
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from clustercore.jobs.domain.verdict import Done, Fail
from clustercore.jobs.models import Job, JobEvent, Unit
from clustercore.jobs.services.control import cancel_job, requeue_unit, retry_job
from tests.fakes.transcription.player import captions
from tests.people import person
from tests.talk import ended, heard_in, merge, taken, talk
from transcription.domain.exports import EXPORTS, export
from transcription.domain.transcript import Gap
from transcription.models import Transcript
from transcription.selectors import facts_of, transcript_of
from transcription.services.job_result import leading_pieces, segments_between

pytestmark = pytest.mark.django_db

PIECES, BROKEN = 40, 20
WHY = "no rung of this node worked: oracle:tones: it is noise --> only"
GAP = Gap(80.0, 84.0, f"could not be heard: {WHY}")


def listened_to(owner: User | None = None, *, broken: Collection[int] = (BROKEN,), pieces: int = PIECES) -> Job:
    """A talk all pieces of which were tried, and which is not merged yet."""
    job = talk(owner or person("otto"), pieces=pieces)
    for _ in range(pieces):
        listen(broken)
    return job


def listen(broken: Collection[int] = ()) -> None:
    claimed = taken()
    ordinal = Unit.objects.get(pk=claimed.unit_id).ordinal
    ended(claimed, Fail(WHY) if ordinal in broken else Done(heard_in(ordinal)))


@pytest.fixture
def job() -> Job:
    """It is done, with one gap."""
    made = listened_to()
    merge(made)
    return Job.objects.get(pk=made.pk)


def signed_in(name: str = "otto") -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def page(job: Job, name: str = "otto") -> str:
    return unescape(signed_in(name).get(reverse("transcription:read", args=[job.pk])).content.decode())


def downloads(job: Job) -> dict[str, str]:
    client = signed_in()
    found = {name: client.get(reverse("transcription:download", args=[job.pk, name])) for name in EXPORTS}
    assert {answer.status_code for answer in found.values()} == {200}
    return {name: answer.content.decode() for name, answer in found.items()}


def told_by_the_api(job: Job) -> dict[str, Any]:
    answer = signed_in().get(f"/api/v1/jobs/{job.pk}")
    assert answer.status_code == 200
    return dict(answer.json())


def test_it_is_done_and_its_transcript_knows_what_it_lacks(job: Job) -> None:
    transcript = transcript_of(job.pk)
    assert (job.state, job.gaps, job.error) == ("done", 1, "")
    assert JobEvent.objects.filter(job=job, text="done, with 1 gap").exists()
    assert transcript.gaps == (GAP,)
    assert not [segment for segment in transcript.segments if GAP.start <= segment.start < GAP.end]
    assert len({int(segment.start // 4) for segment in transcript.segments}) == PIECES - 1


def test_every_export_marks_the_gap_in_its_place_and_stays_what_its_readers_take(job: Job) -> None:
    told = downloads(job)
    paragraphs = told["txt"].split("\n\n")
    assert f"[no text from 1:20 to 1:24: could not be heard: {WHY}]" in paragraphs
    for kind, reader in (("srt", "srt"), ("vtt", "webvtt")):
        shown = captions(told[kind], reader)
        assert shown == sorted(shown)
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(shown))
        assert [one for one in shown if one[0] < GAP.end and one[1] > GAP.start] == [
            (GAP.start, GAP.end, "[no text: could not be heard]")
        ]
    rows = [line.split("\t") for line in told["tsv"].splitlines()]
    assert {len(row) for row in rows} == {3}
    assert ["80000", "84000", f"[{GAP.words}]"] in rows
    for name in ("json", "verbose_json", "diarized_json"):
        document = json.loads(told[name])
        assert document["gaps"] == [{"start": 80.0, "end": 84.0, "reason": GAP.reason}]
        assert "no text" not in document["text"]


def test_the_api_counts_the_gaps_and_lists_them_with_the_transcript(job: Job) -> None:
    told = told_by_the_api(job)
    assert (told["state"], told["gaps"]) == ("done", 1)
    assert told["facts"]["gaps"] == [{"start": 80.0, "end": 84.0, "reason": GAP.reason}]
    answer = signed_in().get(f"/api/v1/transcriptions/{job.pk}/transcript")
    assert answer.json()["gaps"] == told["facts"]["gaps"]
    assert (answer.json()["complete"], answer["X-Transcript-Complete"]) == (False, "false")


def test_the_page_says_where_and_why_and_offers_to_try_again_to_who_may(job: Job) -> None:
    Job.objects.update(shared=True)
    button = reverse("transcription:try-again", args=[job.pk])
    theirs, mine = page(job, "vera"), page(job)
    for text in (theirs, mine):
        assert f"1:20 to 1:24:</strong> no text: {GAP.reason}" in text
        assert "Done, with 1 gap" in text
    assert mine.count(button) == 1
    assert button not in theirs
    assert signed_in("vera").post(button).status_code == 403
    assert Job.objects.get().state == "done"


def test_lists_and_the_job_s_page_say_done_with_one_gap_and_offer_to_retry(job: Job) -> None:
    listed = signed_in().get(reverse("jobs:list")).content.decode()
    shown = unescape(signed_in().get(reverse("jobs:detail", args=[job.pk])).content.decode())
    assert "done, with 1 gap" in listed and "done, with 1 gap" in shown
    assert GAP.words in shown
    assert reverse("jobs:retry", args=[job.pk]) in shown
    assert reverse("transcription:read", args=[job.pk]) in shown


def test_while_it_is_tried_again_the_text_stays_at_hand_and_after_that_the_gap_is_gone(job: Job) -> None:
    before = transcript_of(job.pk)
    answer = signed_in().post(reverse("transcription:try-again", args=[job.pk]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("transcription:read", args=[job.pk]))
    told = told_by_the_api(job)
    assert (told["state"], told["gaps"]) == ("running", 1)
    assert told["result_url"] == reverse("transcription:read", args=[job.pk])
    assert transcript_of(job.pk).segments == before.segments
    assert transcript_of(job.pk).gaps == (Gap(80.0, 84.0, "is being tried again"),)
    assert "[no text from 1:20 to 1:24: is being tried again]" in downloads(job)["txt"]
    assert "1:20 to 1:24:</strong> no text: is being tried again" in page(job)
    assert "Try again" not in page(job)
    assert signed_in().get(f"/api/v1/transcriptions/{job.pk}/transcript").json()["text"] == before.text
    listen()
    assert transcript_of(job.pk).gaps == ()
    merge(job)
    told = told_by_the_api(job)
    assert (told["state"], told["gaps"]) == ("done", 0)
    assert Transcript.objects.get().text == transcript_of(job.pk).text != before.text
    assert not [name for name, text in downloads(job).items() if "no text" in text]
    assert signed_in().get(f"/api/v1/transcriptions/{job.pk}/transcript").json()["complete"] is True
    assert "gap" not in re.sub(r"<[^>]*>", "", page(job))


def test_one_piece_alone_can_be_tried_again_and_may_fail_again(job: Job) -> None:
    requeue_unit(Unit.objects.get(job=job, state="failed").pk)
    listen([BROKEN])
    merge(job)
    assert (Job.objects.get().state, Job.objects.get().gaps) == ("done", 1)
    assert transcript_of(job.pk).gaps == (GAP,)


def test_a_retry_that_is_cancelled_leaves_the_text_and_says_what_it_lacks(job: Job) -> None:
    retry_job(job.pk)
    cancel_job(job.pk, "cancelled by otto")
    assert transcript_of(job.pk).gaps == (Gap(80.0, 84.0, "was cancelled: cancelled by otto"),)
    assert told_by_the_api(job)["result_url"] == reverse("transcription:read", args=[job.pk])
    assert "no text from 1:20 to 1:24" in downloads(job)["txt"]


def test_before_it_was_ever_merged_nothing_is_called_a_gap() -> None:
    job = talk(person("otto"), pieces=3)
    listen([0])
    listen([0])
    assert transcript_of(job.pk).gaps == ()
    cancel_job(job.pk, "enough")
    assert transcript_of(job.pk).gaps == ()
    assert "[no text" not in export(transcript_of(job.pk), "txt")
    assert facts_of([job.pk])[job.pk]["gaps"] == ()


def test_pieces_side_by_side_make_one_gap() -> None:
    job = listened_to(broken=(2, 3, 5), pieces=6)
    merge(job)
    assert [(gap.start, gap.end) for gap in transcript_of(job.pk).gaps] == [(8.0, 16.0), (20.0, 24.0)]
    assert Job.objects.get().gaps == 3
    assert page(job).count(reverse("transcription:try-again", args=[job.pk])) == 2


def test_where_no_piece_can_be_heard_the_job_fails_and_names_their_errors() -> None:
    job = listened_to(broken=(0, 1, 2), pieces=3)
    job.refresh_from_db()
    assert (job.state, job.gaps) == ("failed", 0)
    assert [f"transcribe {ordinal}: {WHY}" in job.error for ordinal in range(3)] == [True] * 3
    assert transcript_of(job.pk).gaps == ()


def test_what_follows_a_piece_that_was_given_up_is_final_too() -> None:
    job = talk(person("otto"), pieces=3)
    listen([0])
    assert leading_pieces(job.pk) == 1
    listen()
    assert leading_pieces(job.pk) == 2
    assert [segment.text for segment in segments_between(job.pk, 0, 2)] == ["Very well, thank you."]

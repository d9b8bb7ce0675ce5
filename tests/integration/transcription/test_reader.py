"""The reader's pages: who may see them, what they say, and what a hostile recording cannot do to them."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clustercore.access.models import AuditEntry
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Job
from clustercore.jobs.services.control import cancel_job
from tests.people import identity, person
from tests.talk import ended, hear, heard_in, merge, taken, talk
from transcription.models import Correction, Recording, Segment, Speaker, SpeakerTurn
from transcription.selectors import transcript_of
from transcription.services.remarks import Where, correct, say_speaker

pytestmark = pytest.mark.django_db

ATTACK = '</p><script>alert(1)</script><img src=x onerror="alert(2)">'
BY_SCRIPT = {"HX-Request": "true"}


@pytest.fixture
def job() -> Job:
    made = talk(person("otto"))
    hear()
    return made


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def segment(job: Job, place: int) -> Segment:
    return Segment.objects.filter(recording__job=job).order_by("piece__ordinal", "position")[place]


def address(name: str, job: Job, *more: object) -> str:
    return reverse(f"transcription:{name}", args=[job.pk, *more])


def words_on(text: str) -> list[str]:
    return [unescape(word) for word in re.findall(r"<span data-t=[^>]*>(?:<del>)?([^<]*)", text)]


def every_address(job: Job) -> list[str]:
    one = segment(job, 0).pk
    return [
        address("read", job),
        address("audio", job),
        f"{address('audio', job)}?as=wave",
        f"{address('audio', job)}?as=file",
        address("download", job, "txt"),
        address("piece", job, 0),
        f"{address('correction', job, one)}?word=0",
        address("speaker", job, one),
    ]


def test_the_page_has_every_word_with_its_time_and_who_heard_it(job: Job) -> None:
    text = signed_in("otto").get(address("read", job)).content.decode()
    assert words_on(text) == transcript_of(job.pk).text.split()
    assert text.count("workstation") >= 3
    assert 'data-t="4.00"' in text
    assert "rung 5" in text


def test_nobody_who_may_not_see_the_job_learns_that_it_is_there(job: Job) -> None:
    absent = [place.replace(f"/{job.pk}/", "/999999999999/") for place in every_address(job)]
    client = signed_in("olga")
    assert [client.get(place).status_code for place in every_address(job)] == [404] * 8
    assert [client.get(place).status_code for place in absent] == [404] * 8
    one = segment(job, 0).pk
    for name in ("correction", "speaker", "rename"):
        assert client.post(address(name, job, one), {"text": "x", "label": "new"}).status_code == 404
    assert not Correction.objects.exists()


def test_a_stranger_is_led_to_the_sign_in_page(job: Job) -> None:
    for place in every_address(job):
        response = Client().get(place)
        assert response.status_code == 302
        assert response["Location"].startswith("/sign-in/")


def test_whom_it_is_shared_with_may_read_and_take_it_but_not_change_it(job: Job) -> None:
    Job.objects.update(shared=True)
    client, one = signed_in("vera"), segment(job, 0).pk
    page = client.get(address("read", job)).content.decode()
    assert "shared with you to read" in page
    assert "edit-word" not in page
    assert client.get(address("download", job, "srt")).status_code == 200
    for name in ("correction", "speaker", "rename"):
        assert client.post(address(name, job, one), {"text": "x", "label": "new"}, headers=BY_SCRIPT).status_code == 403
    assert client.get(address("correction", job, one)).status_code == 403
    assert not Correction.objects.exists()
    assert not SpeakerTurn.objects.exists()


def test_a_segment_of_another_transcript_is_not_reached_through_one_s_own(job: Job) -> None:
    merge(job)
    other = talk(person("olga"))
    hear()
    theirs = segment(other, 0).pk
    client = signed_in("otto")
    for name in ("correction", "speaker"):
        assert client.get(address(name, job, theirs)).status_code == 404
        assert client.post(address(name, job, theirs), {"text": "x", "label": "new"}).status_code == 404
    assert not Correction.objects.exists()


def test_a_correction_needs_a_form_of_ours(job: Job) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("otto"))
    assert (
        client.post(address("correction", job, segment(job, 0).pk), {"text": "x"}, headers=BY_SCRIPT).status_code == 403
    )
    assert not Correction.objects.exists()


def test_a_word_is_corrected_shown_with_what_was_heard_and_undone(job: Job) -> None:
    client, one = signed_in("otto"), segment(job, 3)
    answer = client.post(address("correction", job, one.pk), {"word": "1", "text": "stream"}, headers=BY_SCRIPT)
    assert answer.content.decode().startswith(f'<div class="segment" id="s{one.pk}"')
    assert words_on(answer.content.decode()) == ["I", "stream", "for", "you."]
    assert 'title="heard: scream"' in answer.content.decode()
    form = client.get(f"{address('correction', job, one.pk)}?word=1", headers=BY_SCRIPT).content.decode()
    assert 'value="stream"' in form
    assert "scream" in form
    assert "otto" in form
    assert "<html" not in form
    answer = client.post(address("correction", job, one.pk), {"word": "1", "undo": "yes"}, headers=BY_SCRIPT)
    assert words_on(answer.content.decode()) == ["I", "scream", "for", "you."]
    assert AuditEntry.objects.filter(actor="otto", target=f"job {job.pk}").count() == 2
    again = client.post(address("correction", job, one.pk), {"word": "1", "undo": "yes"}, headers=BY_SCRIPT)
    assert again.status_code == 409


def test_a_deleted_word_stays_on_the_page_struck_out(job: Job) -> None:
    client, one = signed_in("otto"), segment(job, 3)
    answer = client.post(
        address("correction", job, one.pk), {"word": "0", "text": "I", "delete": "yes"}, headers=BY_SCRIPT
    )
    assert "<del>I</del>" in answer.content.decode()
    assert transcript_of(job.pk).segments[3].text == "scream for you."


def test_without_a_script_the_form_is_a_page_and_leads_back(job: Job) -> None:
    client, one = signed_in("otto"), segment(job, 3)
    assert "<html" in client.get(address("correction", job, one.pk)).content.decode()
    answer = client.post(address("correction", job, one.pk), {"text": "All of it."})
    assert (answer.status_code, answer["Location"]) == (302, f"{address('read', job)}#s{one.pk}")
    assert transcript_of(job.pk).segments[3].text == "All of it."


@pytest.mark.parametrize("word", ["99", "-1", "1.5", "²", "9" * 30, "x"])
def test_a_word_that_is_not_there_is_not_found(job: Job, word: str) -> None:
    client, one = signed_in("otto"), segment(job, 0).pk
    assert client.get(address("correction", job, one), {"word": word}).status_code == 404
    assert client.post(address("correction", job, one), {"word": word, "text": "x"}).status_code == 404


def test_what_cannot_be_kept_is_said_at_the_field_and_what_was_typed_is_kept(job: Job) -> None:
    client, typed = signed_in("otto"), "x" * 201
    answer = client.post(
        address("correction", job, segment(job, 0).pk), {"word": "0", "text": typed}, headers=BY_SCRIPT
    )
    assert answer.status_code == 422
    assert "at most 200" in answer.content.decode()
    assert typed in answer.content.decode()
    answer = client.post(address("speaker", job, segment(job, 0).pk), {"label": "nobody"}, headers=BY_SCRIPT)
    assert answer.status_code == 422
    assert "nobody speaks as" in unescape(answer.content.decode())


def test_speakers_are_said_and_renamed_for_the_whole_page(job: Job) -> None:
    client = signed_in("otto")
    first, third = segment(job, 0).pk, segment(job, 2).pk
    client.post(address("speaker", job, first), {"label": "new", "name": "Anna"}, headers=BY_SCRIPT)
    answer = client.post(address("speaker", job, third), {"label": "new", "name": "Ben"}, headers=BY_SCRIPT)
    assert json.loads(answer.content)["names"] == {"A": "Anna", "B": "Ben"}
    answer = client.post(address("rename", job, third), {"label": "B", "called": "Benjamin"}, headers=BY_SCRIPT)
    told = json.loads(answer.content)
    assert told["names"]["B"] == "Benjamin"
    assert list(told["labels"].values()) == ["A", "A", "B", "B"]
    text = client.get(address("read", job)).content.decode()
    assert re.findall(r"<bdi>(Anna|Benjamin)</bdi>", text) == ["Anna", "Anna", "Benjamin", "Benjamin"]
    assert text.count('<p class="who" hidden>') == 2
    assert "Benjamin: Very well" in client.get(address("download", job, "txt")).content.decode()


def test_what_was_said_named_and_corrected_is_only_ever_text(job: Job) -> None:
    recording = Recording.objects.get()
    Segment.objects.filter(pk=segment(job, 1).pk).update(text=ATTACK, words=[])
    Job.objects.update(title=ATTACK)
    Recording.objects.update(name=ATTACK)
    correct(identity("otto"), Where(segment(job, 3), 1), ATTACK)
    correct(identity("otto"), Where(segment(job, 2)), ATTACK)
    say_speaker(identity("otto"), segment(job, 0), None)
    Speaker.objects.create(recording=recording, label="A", name=ATTACK[:80])
    client = signed_in("otto")
    places = [address("read", job), address("piece", job, 0), address("correction", job, segment(job, 2).pk)]
    places += [f"{address('correction', job, segment(job, 3).pk)}?word=1", address("speaker", job, segment(job, 0).pk)]
    for place in places:
        text = client.get(place).content.decode()
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "alert(1)" in text


def test_the_page_has_no_script_or_style_of_its_own(job: Job) -> None:
    text = signed_in("otto").get(address("read", job)).content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", text) == []
    assert "<style" not in text
    assert re.findall(r"\s(?:style|on[a-z]+)=", text) == []


def test_a_transcript_that_is_still_heard_shows_what_there_is_and_says_so() -> None:
    job = talk(person("otto"))
    client = signed_in("otto")
    text = client.get(address("read", job)).content.decode()
    assert "Nothing is heard yet" in text
    assert f'data-live="transcript:{job.pk}"' in text
    hear(count=1)
    text = client.get(address("read", job)).content.decode()
    assert "1 of 3 pieces are in the text below" in text
    assert words_on(text) == ["Good", "morning,", "Anna.", "How", "are", "you?"]
    assert text.count("data-waiting") == 2
    assert "data-waiting" in client.get(address("piece", job, 1)).content.decode()
    ended(taken(), Done(heard_in(1)))
    assert words_on(client.get(address("piece", job, 1)).content.decode()) == ["Very", "well,", "thank", "you."]
    assert client.get(address("piece", job, 7)).status_code == 404


def test_a_transcript_that_was_cut_short_says_what_is_missing_and_where_to_go() -> None:
    job = talk(person("otto"))
    hear(count=1)
    cancel_job(job.pk)
    text = signed_in("otto").get(address("read", job)).content.decode()
    assert "1 of 3 pieces are in the text" in text
    assert 'data-live=""' in text
    assert f'href="{reverse("jobs:detail", args=[job.pk])}"' in text


def test_two_hours_of_talk_cost_no_more_queries_than_a_minute(job: Job) -> None:
    client = signed_in("otto")
    with CaptureQueriesContext(connection) as few:
        client.get(address("read", job))
    lengthen(job, 20_000)
    with CaptureQueriesContext(connection) as many:
        text = client.get(address("read", job)).content.decode()
    assert len(words_on(text)) >= 20_000
    assert len(many) == len(few)


def lengthen(job: Job, words: int) -> None:
    """As many words more in the last piece, in segments of a dozen."""
    last = segment(job, 3)
    spoken = [{"word": f"word{n}", "start": n / 3, "end": (n + 1) / 3, "probability": n % 10 / 10} for n in range(12)]
    Segment.objects.bulk_create(
        Segment(
            recording=last.recording,
            piece=last.piece,
            position=1 + number,
            start=last.end + number * 4,
            end=last.end + number * 4 + 4,
            text=" ".join(str(word["word"]) for word in spoken),
            words=spoken,
            node_name=last.node_name,
            engine=last.engine,
            model=last.model,
            rung=last.rung,
            real_time_factor=0.1,
        )
        for number in range(-(-words // 12))
    )

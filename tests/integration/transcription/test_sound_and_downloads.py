"""The recording and its texts over HTTP: ranges, types that nobody can turn into a page, names, tags."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.client import AsyncClient
from django.urls import reverse

from clustercore.blobs import services as blobs
from clustercore.config.environment import environment
from clustercore.jobs.models import Job
from tests.fakes.transcription.recordings import encode
from tests.people import identity, person
from tests.talk import PIECE_SECONDS, hear, merge, talk
from transcription.adapters.flac import write_flac
from transcription.domain.exports import EXPORTS
from transcription.domain.sampling import SAMPLE_RATE
from transcription.models import Piece, Recording, Segment
from transcription.services.remarks import Where, correct

pytestmark = pytest.mark.django_db

PIECES = 3
SOUND = np.random.default_rng(7).integers(-9_000, 9_000, int(PIECES * PIECE_SECONDS * SAMPLE_RATE), dtype=np.int16)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Otto's talk, whose sound is in the store, as it came and in pieces."""
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    whole = encode((SOUND / 32_768)[None].astype(np.float32), SAMPLE_RATE, "wav", tmp_path / "talk.wav")
    stored = [blobs.store_file(whole)]
    for number, part in enumerate(np.split(SOUND, PIECES)):
        write_flac(tmp_path / f"{number}.flac", part)
        stored.append(blobs.store_file(tmp_path / f"{number}.flac"))
    made = talk(person("otto"), blobs=stored, name="My talk.wav")
    hear()
    return made


def signed_in(name: str = "otto") -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def audio(job: Job, query: str = "") -> str:
    return reverse("transcription:audio", args=[job.pk]) + query


def body_of(response: StreamingHttpResponse) -> bytes:
    """All bytes of an answer that streams."""

    async def read() -> bytes:
        content = response.streaming_content
        assert isinstance(content, AsyncIterator)
        return b"".join([block async for block in content])

    return asyncio.run(read())


def fetched(job: Job, query: str = "", wanted: str = "") -> StreamingHttpResponse:
    response = signed_in().get(audio(job, query), headers={"Range": wanted} if wanted else None)
    assert isinstance(response, StreamingHttpResponse)
    return response


def test_what_a_browser_plays_comes_as_it_is(job: Job) -> None:
    response = fetched(job)
    assert response["Content-Type"] == "audio/wav"
    assert response["Content-Disposition"] == 'inline; filename="My talk.wav"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Accept-Ranges"] == "bytes"
    assert body_of(response) == blobs.local_path(Recording.objects.get().blob).read_bytes()


@pytest.mark.parametrize(("query", "of"), [("", Recording), ("?as=file", Recording), ("?as=wave", Piece)])
def test_damaged_sound_is_not_played_and_what_to_do_is_said(job: Job, query: str, of: type[Recording | Piece]) -> None:
    damaged = of.objects.order_by("pk").values_list("blob", flat=True)[0]
    blobs.local_path(damaged).write_bytes(b"damaged")
    response = signed_in().get(audio(job, query))
    assert response.status_code == 404
    assert "submit the recording again" in response.content.decode()


def test_a_range_is_answered_with_just_that(job: Job) -> None:
    whole = blobs.local_path(Recording.objects.get().blob).read_bytes()
    response = fetched(job, wanted="bytes=1000-1999")
    assert (response.status_code, response["Content-Length"]) == (206, "1000")
    assert response["Content-Range"] == f"bytes 1000-1999/{len(whole)}"
    assert body_of(response) == whole[1000:2000]
    beyond = signed_in().get(audio(job), headers={"Range": f"bytes={len(whole)}-"})
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{len(whole)}")
    tag = response["ETag"]
    assert signed_in().get(audio(job), headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("container", "codec"), [("asf", "wmav2"), ("mov,mp4,m4a,3gp,3g2,mj2", "alac"), ("", "")], ids=str
)
def test_what_a_browser_cannot_play_is_joined_from_the_pieces(job: Job, container: str, codec: str) -> None:
    Recording.objects.update(container=container, codec=codec, name="talk.html")
    response = fetched(job)
    assert response["Content-Type"] == "audio/wav"
    assert response["Content-Disposition"] == 'inline; filename="talk.html.wav"'
    content = body_of(response)
    assert len(content) == int(response["Content-Length"])
    with wave.open(io.BytesIO(content)) as file:
        assert file.readframes(file.getnframes()) == SOUND.tobytes()
    across = 44 + int(PIECE_SECONDS * SAMPLE_RATE) * 2
    part = fetched(job, wanted=f"bytes={across - 100}-{across + 99}")
    assert part.status_code == 206
    assert body_of(part) == content[across - 100 : across + 100]


def test_a_page_that_was_sent_as_a_recording_is_never_shown_as_one(job: Job, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script>alert(1)</script>")
    Recording.objects.update(blob=blobs.store_file(page, "text/html"), container="", codec="", name="page.html")
    response = fetched(job, "?as=file")
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == 'attachment; filename="page.html"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert body_of(response) == page.read_bytes()


def test_while_nothing_is_cut_there_is_nothing_to_play(job: Job) -> None:
    Recording.objects.update(container="", codec="")
    Segment.objects.all().delete()
    Piece.objects.all().delete()
    assert signed_in().get(audio(job)).status_code == 404


def test_a_recording_that_was_removed_is_not_found(job: Job) -> None:
    Recording.objects.update(blob="0" * 64)
    assert signed_in().get(audio(job)).status_code == 404
    Piece.objects.filter(ordinal=1).update(blob="0" * 64)
    assert signed_in().get(audio(job, "?as=wave")).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_server_streams_it_too(job: Job) -> None:
    person("otto")

    async def run() -> tuple[int, bytes]:
        client = AsyncClient()
        await client.aforce_login(await asyncio.to_thread(person, "otto"))
        response = await client.get(audio(job), headers={"Range": "bytes=0-3"})
        content = response.streaming_content  # type: ignore[attr-defined]
        return response.status_code, b"".join([block async for block in content])

    assert asyncio.run(run()) == (206, b"RIFF")


def download(job: Job, name: str, query: str = "") -> str:
    return reverse("transcription:download", args=[job.pk, name]) + query


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_every_format_is_taken_away_under_a_safe_name(job: Job, name: str) -> None:
    merge(job)
    Recording.objects.update(name='..\\a/"b"\r\nX: y.wav')
    response = signed_in().get(download(job, name))
    assert response["Content-Type"] == EXPORTS[name].media_type
    assert response["Content-Disposition"].startswith('attachment; filename="a b X y.')
    assert response["X-Content-Type-Options"] == "nosniff"
    assert b"scream" in response.content


def test_a_text_has_a_tag_that_changes_with_a_correction(job: Job) -> None:
    client = signed_in()
    first = client.get(download(job, "txt"))
    assert client.get(download(job, "txt"), headers={"If-None-Match": first["ETag"]}).status_code == 304
    correct(identity("otto"), Where(Segment.objects.get(text="I scream for you."), 1), "stream")
    second = client.get(download(job, "txt"), headers={"If-None-Match": first["ETag"]})
    assert second.status_code == 200
    assert b"I stream for you." in second.content
    assert b"I scream for you." in client.get(download(job, "txt", "?as_heard")).content


def test_only_plain_text_is_shown_in_the_browser_and_only_if_asked(job: Job) -> None:
    client = signed_in()
    assert client.get(download(job, "txt", "?view"))["Content-Disposition"].startswith("inline")
    assert client.get(download(job, "vtt", "?view"))["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("place", ["/jobs/{}/transcript/srt", "/api/v1/transcriptions/{}/transcript?format=srt"])
def test_captions_are_laid_out_as_the_query_asks(job: Job, place: str) -> None:
    client = signed_in()
    address = download(job, "srt") if place.startswith("/jobs") else place.format(job.pk)
    joint = "&" if "?" in address else "?"
    assert b"I scream for you." in client.get(address).content
    assert b"I scream\nfor you." in client.get(f"{address}{joint}max_line_width=9").content
    refused = client.get(f"{address}{joint}max_line_width=2", headers={"Accept": "application/json"})
    assert refused.status_code == 400
    assert b"max_line_width" in refused.content.lower()


def test_a_name_with_dots_keeps_them(job: Job) -> None:
    merge(job)
    Recording.objects.update(name="Interview 12.03.2024")
    assert 'filename="Interview 12.03.2024.srt"' in signed_in().get(download(job, "srt"))["Content-Disposition"]


def test_an_unfinished_text_says_so_in_its_name(job: Job) -> None:
    assert "My talk.partial.srt" in signed_in().get(download(job, "srt"))["Content-Disposition"]
    place = f"/api/v1/transcriptions/{job.pk}/transcript?format="
    assert "My talk.partial.verbose.json" in signed_in().get(f"{place}verbose_json")["Content-Disposition"]
    merge(job)
    assert "My talk.diarized.json" in signed_in().get(f"{place}diarized_json")["Content-Disposition"]
    assert "My talk.srt" in signed_in().get(download(job, "srt"))["Content-Disposition"]


@pytest.mark.parametrize("name", ["docx", "..", "txt%00", "TXT"])
def test_another_format_is_not_found(job: Job, name: str) -> None:
    assert signed_in().get(download(job, "txt").replace("/txt", f"/{name}")).status_code == 404

"""Transcriptions by REST: where a recording may come from, one job a key, and the text in every format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from django.db.models.functions import Now

from clustercore.jobs.models import Job, Unit
from clustercore.jobs.services.control import cancel_job
from tests.faults.waiting import until
from tests.integration.transcription.api.conftest import BACKLOG_LIMIT, Hub
from transcription.domain.exports import EXPORTS
from transcription.models import Recording, Segment

PLACE = "/api/v1/transcriptions"


def submit(hub: Hub, name: str = "rest", person: str = "otto", key: str = "", **fields: Any) -> httpx.Response:
    """A form with a recording."""
    with (
        hub.client(person, **({"Idempotency-Key": key} if key else {})) as client,
        hub.recording(name).path.open("rb") as file,
    ):
        return client.post(PLACE, files={"file": file}, data={"language": "en", **fields})


def finished(hub: Hub, response: httpx.Response) -> Job:
    job = Job.objects.get(pk=response.json()["id"])
    hub.cluster.until_done(job)
    return job


def test_a_form_with_a_recording_becomes_a_job_of_its_sender(hub: Hub) -> None:
    response = submit(hub, title="Board meeting", prompt="Ada, Otto", quality="any", priority="7", track="1")
    assert response.status_code == 201, response.text
    body = response.json()
    assert response.headers["Location"] == f"/api/v1/jobs/{body['id']}"
    assert (body["title"], body["owner"], body["priority"]) == ("Board meeting", "otto", 7)
    with hub.client() as client:
        assert set(client.get(response.headers["Location"]).json()) == set(body)
    job = finished(hub, response)
    assert (job.parameters["prompt"], job.parameters["track"], job.min_rung) == ("Ada, Otto", 1, 0)
    assert Recording.objects.get(job=job).name == "rest.flac"


@pytest.mark.parametrize("place", [PLACE, "/v1/audio/transcriptions"])
@pytest.mark.parametrize(
    ("disposition", "media_type", "name"),
    [
        ('name="file"', "audio/flac", "recording"),
        ("name=\"file\"; filename*=UTF-8''%C3%A4.flac", "application/octet-stream", "ä.flac"),
        ('name="file"; filename=""', "audio/flac", "recording"),
    ],
)
def test_a_recording_is_taken_however_its_part_is_named(
    hub: Hub, place: str, disposition: str, media_type: str, name: str
) -> None:
    head = f"--x\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    field = b'--x\r\nContent-Disposition: form-data; name="language"\r\n\r\neng\r\n'
    if place != PLACE:
        field += b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    sound = hub.recording(f"part-{len(disposition)}").path.read_bytes()
    body = field + head + sound + b"\r\n--x--\r\n"
    with hub.client("otto", **{"Content-Type": "multipart/form-data; boundary=x"}) as client:
        response = client.post(place, content=body)
    assert response.status_code in (200, 201), response.text
    number = response.headers.get("X-Clustercore-Job") or response.json()["id"]
    recording = Recording.objects.get(job_id=number)
    assert (recording.name, recording.job.language) == (name, "en")


def test_a_track_is_counted_from_one(hub: Hub) -> None:
    response = submit(hub, track="0")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "track")


def test_a_resumable_upload_becomes_a_job_and_may_be_used_again(hub: Hub) -> None:
    content = hub.recording("resumed").path.read_bytes()
    tus = {"Tus-Resumable": "1.0.0"}
    with hub.client() as client:
        begun = client.post("/api/v1/uploads", headers=tus | {"Upload-Length": str(len(content))})
        place = begun.headers["Location"]
        asked = {"upload": place.rpartition("/")[2], "language": "en"}
        early = client.post(PLACE, json=asked)
        assert (early.status_code, early.json()["error"]["param"]) == (400, "upload")
        bytes_come = tus | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        assert client.patch(place, headers=bytes_come, content=content).status_code == 204
        with hub.client("olga") as other:
            assert other.post(PLACE, json=asked).json()["error"]["param"] == "upload"
        first, second = client.post(PLACE, json=asked), client.post(PLACE, json=asked)
        assert (first.status_code, second.status_code) == (201, 201)
        assert client.get(place).json()["state"] == "kept"
    words = [segment.text for segment in Segment.objects.filter(recording__job=finished(hub, first))]
    assert tuple(" ".join(words).split()) == hub.recording("resumed").words


def test_the_same_key_is_the_same_job(hub: Hub) -> None:
    first = submit(hub, key="k1")
    again = submit(hub, key="k1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = submit(hub, person="olga", key="k1")
    assert other.status_code == 201
    assert Job.objects.filter(pk__in=[first.json()["id"], other.json()["id"]]).count() == 2
    assert submit(hub, key="k" * 201).json()["error"]["param"] == "Idempotency-Key"


def test_a_key_with_another_recording_or_other_fields_is_a_conflict(hub: Hub) -> None:
    first = submit(hub, key="k2").json()["id"]
    others = [
        submit(hub, "another", key="k2"),
        *(submit(hub, key="k2", **fields) for fields in ({"language": "de"}, {"prompt": "Ada"}, {"priority": "1"})),
    ]
    assert {answer.status_code for answer in others} == {409}
    for told in (answer.json()["error"] for answer in others):
        assert (told["param"], told["code"]) == ("Idempotency-Key", "idempotency_key_reused")
        assert f"job {first} has this key" in told["message"]


def test_a_key_means_one_recording_by_upload_and_by_path_too(hub: Hub) -> None:
    content = hub.recording("rest").path.read_bytes()
    (hub.imports / "rest.flac").write_bytes(content)
    (hub.imports / "other.flac").write_bytes(hub.recording("another").path.read_bytes())
    tus = {"Tus-Resumable": "1.0.0"}
    with hub.client(**{"Idempotency-Key": "k3"}) as client:
        place = client.post("/api/v1/uploads", headers=tus | {"Upload-Length": str(len(content))}).headers["Location"]
        bytes_come = tus | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        assert client.patch(place, headers=bytes_come, content=content).status_code == 204
        ways = [
            {"upload": place.rpartition("/")[2]},
            {"path": str(hub.imports / "rest.flac")},
            {"path": str(hub.imports / "other.flac")},
        ]
        answers = [client.post(PLACE, json={"language": "en", **way}) for way in ways]
    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert submit(hub, key="k3").json()["id"] == answers[0].json()["id"]


def test_a_key_whose_job_was_cancelled_can_be_used_again(hub: Hub) -> None:
    hub.cluster.pull(seconds="20")
    first = submit(hub, key="k4").json()["id"]
    cancel_job(first)
    again = submit(hub, key="k4", language="de")
    assert again.status_code == 201
    assert again.json()["id"] != first
    cancel_job(again.json()["id"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"language": "klingon"}, "language"),
        ({"quality": "superb"}, "quality"),
        ({"engine": "siri"}, "engine"),
        ({"priority": "999"}, "priority"),
        ({"task": "sing"}, "task"),
        ({"owner": "1"}, "owner"),
        ({"state": "done"}, "state"),
        ({"prompt": "x" * 10_001}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"path": "/etc/passwd"}, "path"),
    ],
)
def test_what_cannot_be_right_is_named_and_nothing_is_kept(hub: Hub, fields: dict[str, str], param: str) -> None:
    before = (Job.objects.count(), kept_files(hub))
    refused = submit(hub, **fields)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert (Job.objects.count(), kept_files(hub)) == before


def test_a_recording_must_come_from_somewhere_and_from_one_place(hub: Hub) -> None:
    with hub.client() as client:
        for asked in ({}, {"language": "en"}):
            assert client.post(PLACE, json=asked).json()["error"]["param"] == "file"
        assert client.post(PLACE, json={"upload": "7"}).json()["error"]["param"] == "upload"
        empty = client.post(PLACE, files={"file": ("nothing.wav", b"")})
        assert (empty.status_code, empty.json()["error"]["param"]) == (400, "file")
        two = client.post(PLACE, files=[("file", ("a.wav", b"x")), ("file", ("b.wav", b"y"))])
        assert two.status_code == 400
        assert client.post(PLACE, files={"sound": ("a.wav", b"x")}).json()["error"]["param"] == "sound"


def test_only_who_may_submit_is_heard(hub: Hub) -> None:
    assert submit(hub, person="vera").status_code == 403
    assert httpx.post(hub.url + PLACE, files={"file": b"x"}, trust_env=False).status_code == 401


def test_a_file_in_an_open_folder_is_taken_by_its_path(hub: Hub) -> None:
    (hub.imports / "talks").mkdir(exist_ok=True)
    path = hub.imports / "talks" / "monday.flac"
    path.write_bytes(hub.recording("path").path.read_bytes())
    with hub.client() as client:
        response = client.post(PLACE, json={"path": str(path), "language": "en"})
        assert response.status_code == 201, response.text
        assert response.json()["title"] == "monday.flac"
    finished(hub, response)
    assert path.exists()


def test_nothing_outside_the_open_folders_can_be_read_by_any_path(hub: Hub, tmp_path: Path) -> None:
    secret = tmp_path / "secret.flac"
    secret.write_bytes(hub.recording("path").path.read_bytes())
    link, linked_folder, pipe = hub.imports / "link.flac", hub.imports / "elsewhere", hub.imports / "pipe"
    link.symlink_to(secret)
    linked_folder.symlink_to(tmp_path)
    os.mkfifo(pipe)
    missing = hub.imports / "missing.flac"
    tried = [
        str(secret), str(link), str(linked_folder / "secret.flac"), str(pipe), str(missing), str(hub.imports),
        f"{hub.imports}/../{hub.imports.name}/../web.log", "/etc/passwd", "/proc/self/environ", "/dev/zero",
        f"{hub.imports}\x00", "~/x", "relative.flac", "file:///etc/passwd", str(hub.imports) + "-else/x",
    ]  # fmt: skip
    before = Job.objects.count()
    said = set()
    with hub.client() as client:
        for path in tried:
            refused = client.post(PLACE, json={"path": path})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "path"), path
            if "\x00" not in path:
                said.add(refused.json()["error"]["message"])
    assert len(said) == 1, "whether a file exists elsewhere can be told from the answer"
    assert Job.objects.count() == before
    for made in (link, linked_folder, pipe):
        made.unlink()


def test_the_transcript_comes_in_every_format_as_something_no_browser_shows(hub: Hub) -> None:
    response = submit(hub, name="formats")
    job = finished(hub, response)
    with hub.client() as client:
        for name, exporter in EXPORTS.items():
            told = client.get(f"{PLACE}/{job.pk}/transcript", params={"format": name})
            assert told.status_code == 200
            assert told.headers["Content-Type"] == exporter.media_type
            assert told.headers["Content-Disposition"].startswith("attachment; filename=")
            assert told.headers["X-Content-Type-Options"] == "nosniff"
            assert told.headers["X-Transcript-Complete"] == "true"
            assert hub.recording("formats").words[0] in told.text
        assert client.get(f"{PLACE}/{job.pk}/transcript").json()["complete"] is True
        refused = client.get(f"{PLACE}/{job.pk}/transcript", params={"format": "docx"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "format")


def test_a_translation_is_asked_for_by_its_task(hub: Hub) -> None:
    job = finished(hub, submit(hub, name="formats", task="translate"))
    with hub.client() as client:
        told = client.get(f"{PLACE}/{job.pk}/transcript?format=verbose_json").json()
    assert told["task"] == "translate"
    assert told["text"].split()[0] == hub.recording("formats").words[0].replace("w", "English-")


def test_an_unchanged_transcript_is_not_sent_again(hub: Hub) -> None:
    job = finished(hub, submit(hub, name="formats"))
    place = f"{PLACE}/{job.pk}/transcript?format=srt"
    with hub.client() as client:
        tag = client.get(place).headers["ETag"]
        same = client.get(place, headers={"If-None-Match": tag})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
        assert client.get(place, headers={"If-None-Match": '"other"'}).status_code == 200


def test_what_was_heard_so_far_is_told_as_a_part(hub: Hub) -> None:
    hub.cluster.pull(seconds="1")
    response = submit(hub, name="part")
    job = Job.objects.get(pk=response.json()["id"])
    place = f"{PLACE}/{job.pk}/transcript"
    with hub.client() as client:
        early = client.get(place)
        assert (early.json()["complete"], early.headers["X-Transcript-Complete"]) == (False, "false")
        hub.cluster.until_done(job)
        assert client.get(place, headers={"If-None-Match": early.headers["ETag"]}).status_code == 200


def test_nothing_heard_is_not_told_as_silence(hub: Hub) -> None:
    with hub.client() as client:
        sent = client.post(PLACE, files={"file": ("notes.mp3", b"no recording at all " * 99)}, data={"language": "en"})
        job = Job.objects.get(pk=sent.json()["id"])
        until(lambda: Job.objects.get(pk=job.pk).state == "failed", 30, "the job fails")
        refused = client.get(f"{PLACE}/{job.pk}/transcript?format=txt")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "job_failed")
    assert "not a recording" in refused.json()["error"]["message"]


def test_another_persons_transcript_is_not_there(hub: Hub) -> None:
    job = finished(hub, submit(hub, name="formats"))
    for person, status in (("olga", 404), ("vera", 404), ("ada", 200), ("otto", 200)):
        with hub.client(person) as client:
            assert client.get(f"{PLACE}/{job.pk}/transcript").status_code == status
    Job.objects.filter(pk=job.pk).update(shared=True)
    with hub.client("vera") as client:
        assert client.get(f"{PLACE}/{job.pk}/transcript").status_code == 200


@pytest.mark.parametrize(
    "name", ["../../etc/x.flac", 'a"b.flac', "x" * 5000 + ".flac", "\u202egpj.flac", "<script>.flac", "a;b=c\\d.flac"]
)
def test_a_hostile_file_name_is_only_ever_text(hub: Hub, name: str) -> None:
    with hub.client() as client, hub.recording("rest").path.open("rb") as file:
        response = client.post(PLACE, files={"file": (name, file)}, data={"language": "en"})
        assert response.status_code == 201
        job = finished(hub, response)
        kept = Recording.objects.get(job=job).name
        assert kept.isprintable() and len(kept) <= 255
        told = client.get(f"{PLACE}/{job.pk}/transcript?format=txt")
    disposition = told.headers["Content-Disposition"]
    assert "/" not in disposition.replace("utf-8''", "") and "\n" not in disposition and len(disposition) < 1500
    assert all(len(part) == 64 or part == "hub-identity" for part in kept_files(hub))


@pytest.mark.parametrize(
    "content", [b"<html><script>alert(1)</script>", b"GIF89a" + bytes(500), b"#EXTM3U\n/etc/passwd\n"]
)
def test_what_is_no_recording_fails_with_the_reason_whatever_it_calls_itself(hub: Hub, content: bytes) -> None:
    with hub.client() as client:
        response = client.post(PLACE, files={"file": ("talk.mp3", content, "audio/mpeg")})
        assert response.status_code == 201
        job = Job.objects.get(pk=response.json()["id"])
        assert hub.cluster.until_ended(job) == "failed"
        assert job.error
        assert client.get(f"/api/v1/jobs/{job.pk}").json()["error"] == job.error


def test_a_full_backlog_is_told_with_the_time_to_wait(hub: Hub) -> None:
    known = submit(hub, name="rest", key="before")
    crowd = Job.objects.create(kind="transcription", title="crowd", state="paused", created=Now())
    Unit.objects.bulk_create(
        Unit(job=crowd, stage="transcribe", ordinal=number, capability="stt", created=Now())
        for number in range(BACKLOG_LIMIT)
    )
    before = kept_files(hub)
    refused = submit(hub, name="crowded out")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "backlog_full")
    assert int(refused.headers["Retry-After"]) > 0
    with pytest.raises(openai.InternalServerError, match="pieces of work are waiting"):
        hub.sdk().audio.transcriptions.create(model="whisper-1", file=hub.recording("crowded out").path)
    assert kept_files(hub) == before
    again = submit(hub, name="rest", key="before")
    assert (again.status_code, again.json()["id"]) == (200, known.json()["id"])
    crowd.delete()
    finished(hub, submit(hub, name="crowded out"))


def test_the_schema_describes_what_is_served_in_front_of_django_too(hub: Hub) -> None:
    with hub.client() as client:
        paths = client.get("/api/v1/schema", headers={"Accept": "application/json"}).json()["paths"]
    assert {"get", "post", "options"} <= set(paths["/api/v1/uploads"])
    assert {"get", "head", "patch", "delete"} <= set(paths["/api/v1/uploads/{upload_id}"])
    assert {"post"} <= set(paths["/v1/audio/transcriptions"]) & set(paths["/v1/audio/translations"])
    assert {"get"} <= set(paths["/v1/models"]) & set(paths["/v1/models/{model}"])
    assert "503" in paths[PLACE]["post"]["responses"]


def kept_files(hub: Hub) -> list[str]:
    """The names of the files in the hub's store, once what is on its way has come to rest."""
    store = hub.cluster.data_directory / "blobs"
    until(lambda: not list((store / "incoming").glob("*")), 10, "files are left on their way in")
    return sorted(path.name for path in store.rglob("*") if path.is_file() and "uploads" not in path.parts)

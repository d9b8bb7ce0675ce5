"""The form for a new transcription, as a browser without scripts sends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from clustercore.access.models import AuditEntry
from clustercore.blobs import services as blobs
from clustercore.config.environment import environment
from clustercore.jobs.domain.job_request import InvalidRequest
from clustercore.jobs.models import Job
from clustercore.jobs.services.submit import BacklogFull
from tests.cast import LAPTOP, WORKSTATION, start_node
from tests.people import person
from transcription.models import Recording
from transcription.services.submit import Wishes, submit_transcription
from transcription.views import submitting

pytestmark = pytest.mark.django_db

NEW = "/transcribe/"


@pytest.fixture(autouse=True)
def hub() -> None:
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")


def signed_in(name: str = "otto") -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def recording(name: str = "talk.wav", content: bytes = b"RIFF....") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def context(client: Client, address: str = NEW) -> Any:
    return client.get(address).context


def test_the_form_offers_what_the_cluster_can_do() -> None:
    start_node(WORKSTATION)
    start_node(LAPTOP)
    shown = context(signed_in())
    assert ("de", "German") in shown["languages"]
    assert [value for value, _, _ in shown["qualities"]] == ["normal", "best", "any"]
    assert [(one["value"], one["rung"], one["nodes"]) for one in shown["engines"]] == [
        ("faster-whisper:large-v3", 5, 1),
        ("faster-whisper:small", 3, 1),
    ]


def test_the_form_shows_a_name_in_its_own_direction() -> None:
    assert '<bdi class="upload-name"></bdi>' in signed_in().get(NEW).content.decode()


def test_a_recording_becomes_a_job_of_its_sender() -> None:
    fields = {"file": recording(), "language": "de", "quality": "best", "prompt": "Anneliese,  Qdrant"}
    answer = signed_in().post(NEW, fields)
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("jobs:detail", args=[job.pk]))
    assert (job.owner, job.language, job.critical_accuracy) == (person("otto"), "de", True)
    assert job.parameters["prompt"] == "Anneliese, Qdrant"
    assert blobs.local_path(Recording.objects.get().blob).read_bytes() == b"RIFF...."
    assert AuditEntry.objects.filter(actor="otto", target=f"job {job.pk}").exists()


def test_several_recordings_become_several_jobs() -> None:
    answer = signed_in().post(NEW, {"file": [recording("a.wav"), recording("b.wav", b"RIFF,,,,")]})
    assert answer["Location"] == reverse("jobs:list")
    assert sorted(Job.objects.values_list("title", flat=True)) == ["a.wav", "b.wav"]


def test_the_same_form_sent_twice_is_one_job() -> None:
    client = signed_in()
    key = context(client)["key"]
    for _ in range(2):
        client.post(NEW, {"file": recording(), "key": key})
    assert Job.objects.count() == 1
    client.post(NEW, {"file": recording(), "key": key, "language": "de"})
    client.post(NEW, {"file": recording("other.wav"), "key": key})
    client.post(NEW, {"file": recording(), "key": context(client)["key"]})
    client.post(NEW, {"file": recording(content=b"RIFF,,,,"), "key": key})
    assert Job.objects.count() == 5


def test_the_track_that_was_asked_for_is_asked_for_again_with_the_settings_of_a_job() -> None:
    client = signed_in()
    client.post(NEW, {"file": recording(), "track": "2"})
    job = Job.objects.get()
    assert job.parameters["track"] == 2
    assert context(client, f"{NEW}?from={job.pk}")["values"]["track"] == "2"


def test_a_recording_is_read_to_be_hashed_and_to_be_stored_and_not_again() -> None:
    client = signed_in()
    fields = {"file": recording(content=bytes(8_000_000)), "key": context(client)["key"]}
    process = psutil.Process()
    before = process.io_counters().read_chars
    client.post(NEW, fields)
    assert Job.objects.count() == 1
    assert process.io_counters().read_chars - before < 2.5 * 8_000_000


def test_a_form_whose_job_failed_can_be_sent_again() -> None:
    client = signed_in()
    key = context(client)["key"]
    client.post(NEW, {"file": recording(), "key": key})
    Job.objects.update(state="failed")
    client.post(NEW, {"file": recording(), "key": key})
    assert sorted(Job.objects.values_list("state", flat=True)) == ["failed", "running"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "file"),
        ({"file": ("talk.wav", b"")}, "file"),
        ({"file": ("talk.wav", b"x"), "language": "klingon"}, "language"),
        ({"file": ("talk.wav", b"x"), "quality": "fine"}, "quality"),
        ({"file": ("talk.wav", b"x"), "engine": "magic"}, "engine"),
        ({"file": ("talk.wav", b"x"), "track": "0"}, "track"),
        ({"file": ("talk.wav", b"x"), "track": "second"}, "track"),
        ({"file": ("talk.wav", b"x"), "prompt": "x" * 10_001}, "prompt"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_the_rest_is_kept(fields: dict[str, Any], field: str) -> None:
    sent = {name: recording(*value) if isinstance(value, tuple) else value for name, value in fields.items()}
    answer = signed_in().post(NEW, {"language": "de", "prompt": "Qdrant", **sent})
    assert answer.status_code == 422
    assert list(answer.context["errors"]) == [field]
    assert answer.context["values"]["prompt"].startswith(("Qdrant", "x"))
    assert not Job.objects.exists()


def test_owner_state_and_priority_cannot_be_sent_along() -> None:
    fields = {"file": recording(), "owner": person("ada").pk, "owner_id": 1, "state": "done", "priority": 999}
    signed_in().post(NEW, fields)
    job = Job.objects.get()
    assert (job.owner, job.state, job.priority) == (person("otto"), "running", 0)


def test_another_job_s_settings_and_recording_are_taken_over() -> None:
    client = signed_in()
    client.post(NEW, {"file": recording("first.wav"), "language": "de", "quality": "any", "prompt": "Qdrant"})
    first = Job.objects.get()
    shown = context(client, f"{NEW}?from={first.pk}")
    assert shown["values"] == {"language": "de", "prompt": "Qdrant", "quality": "any", "engine": "", "track": ""}
    client.post(NEW, {"from": first.pk, "language": "fr", "quality": "best"})
    second = Job.objects.exclude(pk=first.pk).get()
    assert (second.title, second.language) == ("first.wav", "fr")
    assert second.recording.blob == first.recording.blob


def test_nobody_takes_over_what_they_may_not_see() -> None:
    signed_in().post(NEW, {"file": recording("first.wav")})
    first = Job.objects.get()
    for source in (first.pk, first.pk + 99, "x", "9" * 40):
        assert signed_in("olga").get(f"{NEW}?from={source}").status_code == 404
        assert signed_in("olga").post(NEW, {"from": source}).status_code == 404
    assert Job.objects.count() == 1


def test_only_who_may_submit_sees_the_form() -> None:
    assert signed_in("vera").get(NEW).status_code == 403
    assert signed_in("vera").post(NEW, {"file": recording()}).status_code == 403
    assert Client().get(NEW)["Location"].startswith("/sign-in/")
    assert not Job.objects.exists()


def test_a_cluster_with_too_much_to_do_says_when_to_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise BacklogFull(7, 7)

    monkeypatch.setattr(submitting, "submit_sent", full)
    answer = signed_in().post(NEW, {"file": recording()})
    assert answer.status_code == 503
    assert "try again in 60 s" in answer.content.decode()
    assert answer["Retry-After"] == "60"


@pytest.mark.parametrize("seconds", [-1.0, 1e18, float("inf"), float("nan")])
def test_a_wait_for_lower_rungs_is_within_a_year(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF....")
    with pytest.raises(InvalidRequest, match="accept_lower_after"):
        submit_transcription(None, path, path.name, Wishes(accept_lower_after=seconds))

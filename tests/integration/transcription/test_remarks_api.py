"""Corrections and speakers for programs: the same rights and the same story as on the page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clustercore.access.domain.roles import Permission
from clustercore.access.models import AuditEntry
from clustercore.jobs.models import Job
from tests.people import person, token_of
from tests.talk import hear, talk
from transcription.models import Correction, Segment, SpeakerTurn
from transcription.selectors import transcript_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> Job:
    made = talk(person("otto"))
    hear()
    return made


def address(name: str, job: Job, *more: object) -> str:
    return reverse(f"transcription:api-{name}", args=[job.pk, *more])


def ask(method: str, place: str, body: Any = None, *, who: str = "otto", scopes: tuple[Permission, ...] = ()) -> Any:
    client = Client(headers={"Authorization": f"Bearer {token_of(who, *scopes)}"})
    if body is None:
        return getattr(client, method)(place)
    return getattr(client, method)(place, body, content_type="application/json")


def ids(job: Job) -> list[int]:
    return list(Segment.objects.filter(recording__job=job).order_by("pk").values_list("pk", flat=True))


def test_segments_tell_what_was_heard_and_what_is_read_a_page_at_a_time(job: Job) -> None:
    ask("post", address("corrections", job), {"segment": ids(job)[0], "word": 2, "text": "Hanna."})
    first = ask("get", address("segments", job) + "?limit=3").json()
    rest = ask("get", address("segments", job) + f"?limit=3&cursor={first['next_cursor']}").json()
    found = [*first["results"], *rest["results"]]
    assert (len(first["results"]), rest["next_cursor"]) == (3, None)
    assert [one["id"] for one in found] == ids(job)
    assert (found[0]["text"], found[0]["heard"]) == ("Good morning, Hanna.", "Good morning, Anna.")
    assert found[0]["words"][2] == {"word": "Hanna.", "start": 1.0, "end": 1.5, "probability": None}
    assert found[0]["heard_words"][2]["word"] == "Anna."
    assert (found[0]["node"], found[0]["engine"], found[0]["rung"]) == ("workstation", "faster-whisper", 5)


def test_a_correction_is_made_listed_and_undone(job: Job) -> None:
    made = ask("post", address("corrections", job), {"segment": ids(job)[3], "word": 1, "text": "stream"})
    assert made.status_code == 201
    row = made.json()
    assert (row["replaced"], row["text"], row["author"], row["withdrawn"]) == ("scream", "stream", "otto", None)
    assert "stream" in transcript_of(job.pk).text
    assert ask("delete", address("correction", job, row["id"])).status_code == 204
    assert "scream" in transcript_of(job.pk).text
    assert ask("delete", address("correction", job, row["id"])).status_code == 409
    [listed] = ask("get", address("corrections", job)).json()["results"]
    assert listed["withdrawn"] is not None
    assert AuditEntry.objects.filter(actor="otto", action__startswith="transcript.").count() == 2


def test_speakers_are_said_named_and_taken_back(job: Job) -> None:
    said = ask("post", address("speakers", job), {"segment": ids(job)[0]})
    assert (said.status_code, said.json()["speakers"]) == (201, [{"label": "A", "name": "A"}])
    named = ask("patch", address("speaker", job, "A"), {"name": "Anna"})
    assert named.json() == {"speakers": [{"label": "A", "name": "Anna"}]}
    assert {segment.speaker for segment in transcript_of(job.pk).segments} == {"Anna"}
    assert ask("delete", address("turn", job, said.json()["turn"])).status_code == 204
    assert {segment.speaker for segment in transcript_of(job.pk).segments} == {""}
    assert ask("get", address("speakers", job)).json() == named.json()


@pytest.mark.parametrize(
    ("name", "body", "param"),
    [
        ("corrections", {"segment": 0, "text": "x"}, "segment"),
        ("corrections", {"word": 0, "text": "x"}, "segment"),
        ("corrections", {"segment": 1}, "text"),
        ("corrections", {"segment": 1, "text": "x", "author": "ada"}, "author"),
        ("corrections", {"segment": 1, "text": "x", "word": -1}, "word"),
        ("corrections", {"segment": 1, "text": "x\x00y"}, "text"),
        ("corrections", {"segment": 2**70, "text": "x"}, "segment"),
        ("speakers", {"segment": 1, "label": "x" * 41}, "label"),
        ("speakers", {"segment": 1, "alone": "perhaps"}, "alone"),
        ("speakers", {"segment": 1, "withdrawn": None}, "withdrawn"),
    ],
)
def test_what_cannot_be_right_is_refused_by_its_name(job: Job, name: str, body: dict[str, Any], param: str) -> None:
    answer = ask("post", address(name, job), body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_what_the_transcript_does_not_have_is_refused(job: Job) -> None:
    one = ids(job)[0]
    answers = [
        ask("post", address("corrections", job), {"segment": one, "word": 50, "text": "x"}),
        ask("post", address("speakers", job), {"segment": one, "label": "Z"}),
        ask("patch", address("speaker", job, "Z"), {"name": "Zoe"}),
    ]
    assert [(answer.status_code, answer.json()["error"]["param"]) for answer in answers] == [
        (400, "word"),
        (400, "label"),
        (400, "label"),
    ]
    assert ask("post", address("corrections", job), {"segment": 10**12, "text": "x"}).status_code == 404
    assert ask("delete", address("correction", job, 10**12)).status_code == 404
    assert ask("delete", address("turn", job, 10**12)).status_code == 404


def everything_asked(job: Job, who: str, scopes: tuple[Permission, ...] = ()) -> list[int]:
    one = ids(job)[0]
    asked = [
        ask("get", address("segments", job), who=who, scopes=scopes),
        ask("get", address("corrections", job), who=who, scopes=scopes),
        ask("get", address("speakers", job), who=who, scopes=scopes),
        ask("post", address("corrections", job), {"segment": one, "text": "x"}, who=who, scopes=scopes),
        ask("post", address("speakers", job), {"segment": one}, who=who, scopes=scopes),
        ask("patch", address("speaker", job, "A"), {"name": "x"}, who=who, scopes=scopes),
        ask("delete", address("correction", job, 1), who=who, scopes=scopes),
        ask("delete", address("turn", job, 1), who=who, scopes=scopes),
    ]
    return [answer.status_code for answer in asked]


def test_others_learn_nothing_and_change_nothing(job: Job) -> None:
    assert everything_asked(job, "olga") == [404] * 8
    Job.objects.update(shared=True)
    assert everything_asked(job, "olga") == [200] * 3 + [403] * 5
    assert everything_asked(job, "vera") == [200] * 3 + [403] * 5
    assert everything_asked(job, "otto", (Permission.VIEW,)) == [200] * 3 + [403] * 5
    assert not Correction.objects.exists()
    assert not SpeakerTurn.objects.exists()

from __future__ import annotations

import uuid
from html import escape
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clustercore.access.domain.roles import Permission as Scope
from clustercore.access.models import ApiToken, AuditEntry
from clustercore.access.services import audit
from clustercore.access.services.tokens import create_token
from clustercore.blobs import services as blobs
from clustercore.blobs.models import Blob, Hub, Upload
from clustercore.config.environment import environment
from clustercore.jobs.domain.lifecycle import AttemptOutcome, JobState, UnitState
from clustercore.jobs.models import Attempt, Counter, Job, JobCount, JobEvent, Question, Unit, WorkDone
from clustercore.nodes.domain.facts import PROTOCOL
from clustercore.nodes.models import Node, NodeModel
from tests.people import PASSWORD, identity, person, token_of
from transcription.models import Correction, Piece, Recording, Segment, Speaker, SpeakerTurn, Transcript

pytestmark = pytest.mark.django_db

MARKUP = '<script>alert("1")</script>.mp3'
OURS = [
    model
    for model in admin.site._registry
    if apps.get_app_config(model._meta.app_label).name.startswith(("clustercore.", "transcription"))
]


@pytest.fixture
def rows() -> dict[str, Any]:
    """One of everything, its names full of markup."""
    now, instance = timezone.now(), uuid.uuid4()
    node = Node.objects.create(
        name="worker-one",
        hostname="worker-one",
        instance=instance,
        protocol=PROTOCOL,
        protocol_instance=instance,
        boot_id="boot",
        process_id=1,
        operating_system="Linux",
        architecture="x86_64",
        cores=8,
        memory_mb=16_000,
        gpus=[{"name": "Graphics 9000", "memory_mb": 8000}],
        version="1",
        capabilities=["stt"],
        hold_reason="on battery",
        last_seen=now,
        started=now,
    )
    NodeModel.objects.create(node=node, capability="stt", engine="vosk", model="small-en", traits=["lang:en"], rung=1)
    job = Job.objects.create(
        language="en", kind="transcription", title=MARKUP, created=now, waiting="no node is online"
    )
    unit = Unit.objects.create(
        job=job,
        stage="transcribe",
        ordinal=3,
        capability="stt",
        created=now,
        state=UnitState.DEAD,
        error="three strikes",
    )
    Attempt.objects.create(
        unit=unit,
        number=1,
        node=node,
        node_name=node.name,
        instance=node.instance,
        outcome=AttemptOutcome.CRASHED,
        lease_until=now,
        started=now,
        reason="out of memory",
    )
    JobEvent.objects.create(job=job, unit=unit, at=now, name="dead", text=f"{MARKUP} died", node_name=node.name)
    Question.objects.create(unit=unit, job=job, text=MARKUP, options=["approve"], created=now)
    Counter.objects.create(name="fenced_results", value=41)
    WorkDone.objects.create(
        kind="transcription", engine="vosk", bucket=3, units=17, microseconds=1_250_000, sound_microseconds=0
    )
    recording = Recording.objects.create(job=job, blob="a" * 64, name=MARKUP, codec="mp3", seconds=3725.0)
    piece = Piece.objects.create(
        recording=recording, unit=unit, ordinal=3, start_sample=16_000, end_sample=40_000, blob="b" * 64
    )
    segment = Segment.objects.create(
        recording=recording,
        piece=piece,
        position=0,
        start=1.25,
        end=2.5,
        text="what was heard",
        node_name=node.name,
        engine="vosk",
        model="small-en",
        rung=1,
        real_time_factor=0.2,
    )
    Transcript.objects.create(recording=recording, text="what was heard", language="en", sha256="c" * 64)
    Correction.objects.create(segment=segment, word=1, text=MARKUP, replaced="was", author_name="otto")
    SpeakerTurn.objects.create(segment=segment, label="A", author_name="otto")
    Speaker.objects.create(recording=recording, label="A", name=MARKUP)
    Blob.objects.create(sha256="d" * 64, size=5_000_000, media_type="audio/flac")
    Upload.objects.create(owner=person("otto"), name=MARKUP, size=10, created=now, expires=now)
    audit.record(identity("otto"), "job.cancel", MARKUP)
    create_token(person("otto"), "for the nightly run", frozenset({Scope.VIEW}))
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:7000")
    return {"node": node, "job": job, "unit": unit}


def changelist(model: type[Any]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def change_page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def act(client: Client, action: str, *rows: Any) -> str:
    """What the page says after a person chose an action for these rows."""
    response = client.post(
        changelist(type(rows[0])), {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
    )
    assert response.status_code == 200
    return response.content.decode()


def page(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_list_and_every_page_can_be_seen(admin_client: Client, rows: dict[str, Any], model: type[Any]) -> None:
    assert "<table" in page(admin_client.get(changelist(model)))
    assert page(admin_client.get(changelist(model), {"q": "1"}))
    row = model.objects.get()
    assert page(admin_client.get(change_page(row)))


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (Job, ["transcription", "no node is online", "0 of 1"]),
        (Unit, ["three strikes", "dead"]),
        (Attempt, ["out of memory", "crashed", "worker-one"]),
        (Node, ["worker-one", "on battery", "Graphics 9000", "online"]),
        (NodeModel, ["vosk", "small-en"]),
        (Counter, ["fenced_results", "41"]),
        (JobCount, ["running", "1"]),
        (WorkDone, ["vosk", "17", "1250000"]),
        (Recording, ["1:02:05", "mp3"]),
        (Segment, ["1.25 to 2.50", "what was heard"]),
        (Transcript, ["what was heard"]),
        (Correction, ["was", "otto"]),
        (SpeakerTurn, ["A", "otto"]),
        (Speaker, ["A", "alert"]),
        (Blob, ["dddddddddddddddd", "4.8", "audio/flac"]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_list_shows_what_matters(
    admin_client: Client, rows: dict[str, Any], model: type[Any], shown: list[str]
) -> None:
    text = page(admin_client.get(changelist(model))).replace("\xa0", " ")
    assert [word for word in shown if word not in text] == []


def test_a_job_shows_its_units_and_events_and_a_unit_its_attempts(admin_client: Client, rows: dict[str, Any]) -> None:
    job = page(admin_client.get(change_page(rows["job"])))
    assert "three strikes" in job
    assert escape(f"{MARKUP} died") in job.replace("&#x27;", "&#39;")
    assert "out of memory" in page(admin_client.get(change_page(rows["unit"])))
    assert "small-en" in page(admin_client.get(change_page(rows["node"])))


def test_a_recording_shows_its_pieces_and_its_transcript(admin_client: Client, rows: dict[str, Any]) -> None:
    text = page(admin_client.get(change_page(Recording.objects.get())))
    assert "1.00 to 2.50" in text
    assert "what was heard" in text


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_a_file_name_with_markup_is_only_ever_text(
    admin_client: Client, rows: dict[str, Any], model: type[Any]
) -> None:
    for address in (changelist(model), change_page(model.objects.get())):
        assert "<script>alert" not in page(admin_client.get(address))


def test_the_key_that_signs_links_is_not_shown(admin_client: Client, rows: dict[str, Any]) -> None:
    hub = Hub.objects.get()
    for address in (changelist(Hub), change_page(hub)):
        assert hub.signing_key not in page(admin_client.get(address))


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_nothing_that_services_own_can_be_typed_over(
    admin_client: Client, rows: dict[str, Any], model: type[Any]
) -> None:
    row = model.objects.get()
    assert admin_client.post(change_page(row), {"state": "done"}).status_code == 403
    assert admin_client.get(reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_add")).status_code == 403


def test_nodes_are_drained_and_undrained(admin_client: Client, rows: dict[str, Any]) -> None:
    assert "1 drained" in act(admin_client, "drain", rows["node"])
    assert Node.objects.get().drained
    assert "1 may take work again" in act(admin_client, "undrain", rows["node"])
    assert not Node.objects.get().drained


def test_a_job_is_paused_resumed_cancelled_and_retried(admin_client: Client, rows: dict[str, Any]) -> None:
    job = rows["job"]
    for action, state in (
        ("pause", JobState.PAUSED),
        ("resume", JobState.RUNNING),
        ("cancel", JobState.CANCELLED),
        ("retry", JobState.RUNNING),
    ):
        act(admin_client, action, job)
        assert Job.objects.get().state == state
    assert Unit.objects.exclude(state=UnitState.BLOCKED).get().state == UnitState.QUEUED


def test_what_cannot_be_done_is_said_with_the_reason(admin_client: Client, rows: dict[str, Any]) -> None:
    text = act(admin_client, "resume", rows["job"])
    assert "only a paused job can be resumed" in text
    assert "done: 1" not in text


def test_who_cancelled_is_on_record(admin_client: Client, rows: dict[str, Any]) -> None:
    act(admin_client, "cancel", rows["job"])
    assert "cancelled by admin" in Job.objects.get().error


def test_dead_units_start_afresh_from_the_job_or_from_the_unit(admin_client: Client, rows: dict[str, Any]) -> None:
    unit = rows["unit"]
    for action, row in (("requeue_dead", rows["job"]), ("requeue", unit)):
        Unit.objects.update(state=UnitState.DEAD, strikes=3)
        act(admin_client, action, row)
        unit.refresh_from_db()
        assert (unit.state, unit.strikes) == (UnitState.QUEUED, 0)


@pytest.mark.parametrize("name", ["otto", "vera"])
def test_whoever_does_not_administer_does_not_enter(client: Client, rows: dict[str, Any], name: str) -> None:
    User.objects.filter(pk=person(name).pk).update(is_staff=True)
    client.force_login(person(name))
    response = client.get(changelist(Job), follow=True)
    assert response.status_code == 403
    assert "no node is online" not in response.content.decode()
    client.post(changelist(Job), {"action": "cancel", "_selected_action": [rows["job"].pk]})
    assert Job.objects.get().state == JobState.RUNNING


def test_a_token_opens_no_page_of_the_admin(client: Client, rows: dict[str, Any]) -> None:
    response = client.get(changelist(Job), headers={"Authorization": f"Bearer {token_of('ada')}"})
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/admin/login/")


def test_an_administrator_by_group_alone_may_do_all(client: Client, rows: dict[str, Any]) -> None:
    client.force_login(person("ada"))
    assert "no node is online" in page(client.get(changelist(Job)))
    act(client, "cancel", rows["job"])
    assert Job.objects.get().state == JobState.CANCELLED


def test_strangers_are_led_to_the_one_sign_in_and_back(client: Client) -> None:
    response = client.get(changelist(Job), follow=True)
    assert response.redirect_chain[-1][0] == f"/sign-in/?next={quote(changelist(Job), safe='')}"
    assert client.post("/admin/login/", {"username": "ada", "password": PASSWORD}).status_code == 302
    assert "_auth_user_id" not in client.session


def test_the_way_back_leads_nowhere_else(client: Client) -> None:
    response = client.get("/admin/login/?next=https://evil.example/")
    assert "evil" not in response["Location"]


def test_its_styles_are_served(client: Client) -> None:
    styles = client.get("/static/unfold/css/styles.css")
    assert styles.status_code == 200
    assert styles["Content-Type"].startswith("text/css")
    assert len(styles.content) > 100_000


def test_every_deed_is_in_the_audit_log(client: Client, rows: dict[str, Any]) -> None:
    client.force_login(person("ada"))
    Unit.objects.update(state=UnitState.DEAD)
    act(client, "requeue", rows["unit"])
    act(client, "pause", rows["job"])
    act(client, "drain", rows["node"])
    act(client, "revoke", ApiToken.objects.get())
    act(client, "disable", person("otto"))
    written = list(AuditEntry.objects.filter(actor="ada").order_by("seq").values_list("actor", "action"))
    assert written == [
        ("ada", action) for action in ("unit.requeue", "job.pause", "nodes.drain", "token.revoked", "person.disabled")
    ]


def test_people_are_looked_at_and_neither_edited_nor_given_passwords_or_roles(
    client: Client, rows: dict[str, Any]
) -> None:
    client.force_login(person("ada"))
    otto = person("otto")
    text = page(client.get(change_page(otto)))
    assert "operator" in text
    assert otto.password not in text
    attempt = {"username": "otto", "is_superuser": "on", "password": "stolen", "role": "administrator"}
    assert client.post(change_page(otto), attempt).status_code == 403
    assert client.get(f"/admin/auth/user/{otto.pk}/password/", follow=True).redirect_chain[-1][0] == "/admin/"
    assert client.get("/admin/auth/user/add/").status_code == 403
    assert client.get("/admin/auth/group/").status_code == 404
    assert client.get("/admin/password_change/")["Location"] == "/account/"
    otto.refresh_from_db()
    assert (otto.is_superuser, otto.check_password(PASSWORD)) == (False, True)


def test_the_last_administrator_stays(client: Client) -> None:
    client.force_login(person("ada"))
    assert "last administrator" in act(client, "disable", person("ada"))
    assert User.objects.get(username="ada").is_active


def test_a_tokens_digest_is_not_shown(client: Client, rows: dict[str, Any]) -> None:
    client.force_login(person("ada"))
    token = ApiToken.objects.get()
    for address in (changelist(ApiToken), change_page(token)):
        assert token.digest not in page(client.get(address))


def test_forgetting_the_hub_is_written_down(client: Client, rows: dict[str, Any]) -> None:
    client.force_login(person("ada"))
    hub = Hub.objects.get()
    client.post(reverse("admin:blobs_hub_delete", args=[hub.pk]), {"post": "yes"})
    assert not Hub.objects.exists()
    assert AuditEntry.objects.get(actor="ada").action == "hub.forget"


def test_the_front_page_names_the_product_and_links_every_list(admin_client: Client) -> None:
    text = page(admin_client.get(reverse("admin:index")))
    assert "clustercore" in text
    assert [model for model in OURS if changelist(model) not in text] == []

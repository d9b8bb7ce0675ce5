"""Who gets in where: every address, every method, by everybody, against a matrix that a person has looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.admin import site
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models.functions import Now
from django.test import Client

from clustercore.access.models import ApiToken
from clustercore.access.services import audit
from clustercore.access.services.tokens import create_token
from clustercore.blobs.models import Upload
from clustercore.blobs.selectors import hub_now
from clustercore.blobs.services import establish_hub, store_file
from clustercore.blobs.sockets.resumable import takes_upload
from clustercore.blobs.sockets.signed import takes_signed
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.jobs.models import Job, Question, Unit, WorkDone
from clustercore.jobs.services.control import cancel_job
from clustercore.nodes.adapters.own_wheel import own_wheel
from clustercore.nodes.models import Node
from clustercore.project.asgi import application
from tests.cast import WORKSTATION
from tests.integration.project.routes import (
    METHODS,
    ROLES,
    Route,
    Row,
    Statuses,
    line,
    read,
    routes,
    summarised,
    written,
)
from tests.people import identity, person, token_of
from tests.talk import hear, talk
from transcription.models import Correction, Segment, Speaker, SpeakerTurn, Transcript

MATRIX = Path(__file__).with_name("route_matrix.txt")
HEADING = (
    "Who gets what where: the status of a bare request, without form or body. test_route_matrix.py compares.",
    "The job is the operator's own and not shared; the viewer is somebody else. `node` is nobody with a blob's signed",
    "address, sent everywhere. `multipart` is a form with a file, which is taken in front of Django.",
)
PEOPLE = {"viewer": "vera", "operator": "otto", "administrator": "ada"}
FORMS = ("/api/v1/transcriptions", "/v1/audio/transcriptions", "/v1/audio/translations")
STREAM = "/api/v1/jobs/<int:job_id>/stream"
BLOB = "/blobs/<sha256:sha256>"
PIECE = b"a piece of sound"


@pytest.fixture
def examples(
    transactional_db: None, redis_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """A value for each parameter that any pattern takes; most of them name something that is the operator's."""
    monkeypatch.setattr(settings, "REQUESTS_PER_MINUTE", 10**6)
    establish_hub(settings.DATA_DIR, "http://127.0.0.1:1")
    sound = tmp_path / "sound"
    sound.write_bytes(PIECE)
    blob = store_file(sound)
    job = talk(person("otto"), blobs=[blob])
    hear()
    # It must not fall silent while the walk goes on.
    Node.objects.update(heartbeat_seconds=86_400)
    audit.record(identity("ada"), "test.began", "the walk")
    segment = Segment.objects.filter(recording__job=job).earliest("pk")
    Speaker.objects.create(recording=segment.recording, label="Anna", name="Anna")
    Transcript.objects.create(recording=segment.recording, text="Good morning", sha256="0" * 64)
    WorkDone.objects.create(
        kind=job.kind, engine="vosk", bucket=3, units=1, microseconds=4_000_000, sound_microseconds=0
    )
    turn = SpeakerTurn.objects.create(segment=segment, label="Anna", author=person("otto"))
    correction = Correction.objects.create(segment=segment, text="Hello", author=person("otto"))
    return {
        "job_id": job.pk,
        "unit_id": unit_with_file(job, blob).pk,
        "question_id": question_about(job).pk,
        "segment_id": segment.pk,
        "turn_id": turn.pk,
        "correction_id": correction.pk,
        "label": "Anna",
        "ordinal": 0,
        "format_name": "txt",
        "sha256": blob,
        "upload_id": upload_of("otto").pk,
        "user_id": person("olga").pk,
        "token_id": create_token(person("otto"), "another", frozenset())[0].pk,
        "token": "no-such-token",
        "key": "no-such-key",
        "engine": "faster-whisper",
        "model": "tiny.en",
        "file_name": "model.bin",
        "wheel_name": own_wheel().name,
        "name": WORKSTATION,
        "place": "tasks",
        "object_id": 1,
        "content_type_id": ContentType.objects.get_for_model(ApiToken).pk,
        "app_label": "jobs",
        "url": "nowhere",
    }


def unit_with_file(job: Job, blob: str) -> Unit:
    """A file of the name that patterns are filled with."""
    unit = Unit.objects.filter(job=job).earliest("pk")
    unit.files = {WORKSTATION: {"sha256": blob, "size": len(PIECE), "media_type": "audio/flac"}}
    unit.save(update_fields=["files"])
    return unit


def question_about(job: Job) -> Question:
    unit = Unit.objects.filter(job=job).earliest("pk")
    return Question.objects.create(unit=unit, job=job, text="May I?", options=["yes"], created=Now())


def upload_of(name: str) -> Upload:
    tomorrow = Now() + timedelta(days=1)
    return Upload.objects.create(owner=person(name), name="talk.wav", size=9, created=Now(), expires=tomorrow)


@pytest.mark.timeout(600)
def test_everybody_gets_in_where_the_matrix_says_and_nowhere_else(
    examples: dict[str, Any], services: Endpoints, tmp_path: Path
) -> None:
    expected = read(MATRIX.read_text()) if MATRIX.exists() else {}
    walked = {**through_django(examples), **async_to_sync(through_asgi)(examples), **at_the_ports(services)}
    found = summarised(walked)
    actual = tmp_path / MATRIX.name
    actual.write_text(written(found, HEADING))
    new = [line(row, found[row]) for row in found if row not in expected]
    gone = [line(row, expected[row]) for row in expected if row not in found]
    changed = [f"{line(row, found[row])}   (was {' '.join(expected[row])})" for row in found.keys() & expected.keys()
               if found[row] != expected[row]]  # fmt: skip
    told = "\n".join(["new:", *new, "gone:", *gone, "changed:", *sorted(changed)])
    assert found == expected, f"{told}\n\nLook at each line; if it is as it should be: cp {actual} {MATRIX}"


def test_the_matrix_lets_no_stranger_in() -> None:
    """What holds of any matrix, however it is rewritten."""
    for (method, pattern), statuses in read(MATRIX.read_text()).items():
        where = f"{method} {pattern}"
        of = dict(zip(ROLES, statuses, strict=True))
        if method == "PORT":
            assert of == {role: "in" if role == "node" else "refused" for role in ROLES}, where
            continue
        assert not {"500", "501", "502"} & set(statuses), where
        is_open = pattern in OPEN or method == "OPTIONS" or of["anonymous"] in {"404", "405", "101/4401"}
        assert is_open or of["anonymous"] in {"302", "401", "403"}, where
        assert pattern == BLOB or of["node"] == of["anonymous"], where
        if pattern.startswith(("/admin/", "/flower/", "/people/", "/audit/")) and method == "GET":
            assert not of["viewer"].startswith("2") and not of["operator"].startswith("2"), where


OPEN = {
    *("/", "/sign-in/", "/setup/<str:token>/", "/set-password/<str:key>/<str:token>/", "/healthz", "/readyz"),
    *("/admin/login/", "/admin/jsi18n/", "/sign-out/", "/install/<str:wheel_name>"),
}
"""Open to everybody, and why: coming in, going out, probes, words of the admin's script, the product itself for pip."""


def taken_in_front(method: str, route: Route, address: str) -> bool:
    """Whether a request never comes to Django, or streams as only ASGI does."""
    scope = {"method": method, "path": address}
    return takes_signed(scope) or takes_upload(scope) or (method in ("GET", "HEAD") and route.pattern == STREAM)


def examples_for(route: Route, examples: Mapping[str, Any]) -> dict[str, Any]:
    """The admin's pages are asked for an object of their own model."""
    if "object_id" not in route.parameters or "content_type_id" in route.parameters:
        return {**examples, "object_id": examples["token_id"]}
    app, model = route.pattern.split("/")[2:4]
    managed = next(one for one in site._registry if (one._meta.app_label, one._meta.model_name) == (app, model))
    first = managed._default_manager.order_by("pk").values_list("pk", flat=True).first()
    return {**examples, "object_id": first if first is not None else 1}


def through_django(examples: Mapping[str, Any]) -> dict[Row, Statuses]:
    """Each request in a transaction of its own that is rolled back, so that none changes what the next one meets."""
    clients = {"anonymous": Client(raise_request_exception=False), "node": Client(raise_request_exception=False)}
    for role, name in PEOPLE.items():
        clients[role] = Client(raise_request_exception=False)
        clients[role].force_login(person(name))
    matrix: dict[Row, Statuses] = {}
    for route in routes():
        address = route.address(examples_for(route, examples))
        for method in METHODS:
            if not taken_in_front(method, route, address):
                matrix[method, route.pattern] = tuple(
                    rolled_back(clients[role], method, signed(address, method, examples) if role == "node" else address)
                    for role in ROLES
                )
    return matrix


def rolled_back(client: Client, method: str, address: str) -> str:
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    with transaction.atomic():
        response: Any = client.generic(method, address)
        # Not `response.close()`: the end of a request would give the connection of this transaction away.
        for close in response._resource_closers:
            close()
        transaction.set_rollback(True)
    client.cookies.load(cookies)
    return str(response.status_code)


def signed(address: str, method: str, examples: Mapping[str, Any]) -> str:
    """The address with a signature that opens one blob: that is all a node has."""
    wanted = method if method in ("GET", "PUT") else "GET"
    return f"{address}?{hub_now().signed_path(wanted, examples['sha256']).partition('?')[2]}"


async def through_asgi(examples: Mapping[str, Any]) -> dict[Row, Statuses]:
    """What Django does not see: bytes that come, a stream, the WebSocket."""
    await sync_to_async(cancel_job)(examples["job_id"])
    matrix: dict[Row, Statuses] = {}
    for route in routes():
        for method in METHODS:
            if taken_in_front(method, route, route.address(examples)):
                matrix[method, route.pattern] = tuple([await answered(method, route, role, examples) for role in ROLES])
    for address in FORMS:
        matrix["POST:multipart", address] = tuple([await form_answered(address, role) for role in ROLES])
    matrix["WS", "/live"] = tuple([await greeted(role) for role in ROLES])
    return matrix


def at_the_ports(services: Endpoints) -> dict[Row, Statuses]:
    """The servers behind the hub's port: their passwords are the node's, and no person has one."""
    strangers = (
        database_lets_in(without_password(services.database_url)),
        broker_lets_in(without_password(services.redis_url)),
    )
    nodes = (database_lets_in(services.database_url), broker_lets_in(services.redis_url))
    names = ("postgresql", "redis")
    return {
        ("PORT", name): tuple("in" if (node if role == "node" else stranger) else "refused" for role in ROLES)
        for name, stranger, node in zip(names, strangers, nodes, strict=True)
    }


def without_password(address: str) -> str:
    """The same address from somebody who guesses."""
    return re.sub(r"://([^:/@]*):[^@]*@", r"://\1:guessed@", address)


def database_lets_in(address: str) -> bool:
    try:
        with psycopg.connect(address, connect_timeout=10):
            return True
    except psycopg.OperationalError:
        return False


def broker_lets_in(address: str) -> bool:
    with redis.Redis.from_url(address) as client:
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return False


async def answered(method: str, route: Route, role: str, examples: Mapping[str, Any]) -> str:
    upload = await sync_to_async(upload_of)("otto")
    address = route.address({**examples, "upload_id": upload.pk})
    if role == "node":
        address = await sync_to_async(signed)(address, method, examples)
    content = PIECE if method == "PUT" else b""
    headers = {**await bearer(role), "Tus-Resumable": "1.0.0"}
    async with web() as client:
        return str((await client.request(method, address, headers=headers, content=content)).status_code)


async def form_answered(address: str, role: str) -> str:
    async with web() as client:
        files = {"file": ("talk.wav", b"no sound")}
        return str((await client.post(address, headers=await bearer(role), files=files)).status_code)


async def greeted(role: str) -> str:
    """101 for who may stay, 403 for a refused handshake, and the code where it is closed at once."""
    headers = {"host": "127.0.0.1", "authorization": "", **await bearer(role)}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/live", "query_string": b"", "headers": pairs, "subprotocols": []}
    socket: Any = ApplicationCommunicator(application, scope)  # type: ignore[no-untyped-call]
    await socket.send_input({"type": "websocket.connect"})
    said = await socket.receive_output(timeout=20)
    if said["type"] == "websocket.close":
        return "403"
    closed = await socket.receive_output(timeout=20) if role not in PEOPLE else {}
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(timeout=20)
    return f"101/{closed['code']}" if closed else "101"


async def bearer(role: str) -> dict[str, str]:
    if role not in PEOPLE:
        return {}
    return {"Authorization": f"Bearer {await sync_to_async(token_of)(PEOPLE[role])}"}


def web() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30)

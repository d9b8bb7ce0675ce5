"""What people keep secret appears in no log, message, metric, audit entry, error or table, whatever goes wrong."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.db import connection

from clustercore.access.domain.identity import at_terminal
from clustercore.access.models import AuditEntry
from clustercore.access.services import secret_store
from clustercore.access.services.audit_checkpoints import establish_checkpoints
from clustercore.access.services.audit_verification import verify_chain
from clustercore.access.services.setup import make_setup_path
from clustercore.blobs.services import establish_hub
from clustercore.embedded.adapters.secrets import free_loopback_port
from clustercore.project import web
from tests.fork_server import fork_server

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "redis_client")]

PASSWORD = "a26 My-First-Password"
WRONG_PASSWORD = "a26 My-Mistyped-Password"
NEW_PASSWORD = "a26 My-Second-Password"
WRONG_TOKEN = "cc_a26ThisTokenWasNeverMadeByAnybodyAtAll000"
VAULT_VALUE = "hf_a26ValueOfTheVault"
PROMPT = "a26 Confidential-Prompt"


@dataclass
class Hub:
    """A web process whose log is read at the end, and every refusal that it gave."""

    url: str
    directory: Path
    refusals: list[httpx.Response] = field(default_factory=list)

    @property
    def log(self) -> str:
        return (self.directory / "web.log").read_text(errors="replace")

    def client(self, **headers: str) -> httpx.Client:
        def remember(response: httpx.Response) -> None:
            if response.status_code >= 400:
                response.read()
                self.refusals.append(response)

        hooks: dict[str, list[Any]] = {"response": [remember]}
        own = {"Origin": self.url, **headers}
        return httpx.Client(base_url=self.url, headers=own, event_hooks=hooks, timeout=30, follow_redirects=True)


@pytest.fixture
def hub(service_environment: dict[str, str], tmp_path: Path, settings: Any) -> Iterator[Hub]:
    settings.DATA_DIR, settings.SETUP_FILE = tmp_path, tmp_path / "secrets" / "setup"
    port = free_loopback_port()
    url = f"http://127.0.0.1:{port}"
    establish_checkpoints()
    verify_chain()
    establish_hub(tmp_path, url)
    environment = {**service_environment, "CLUSTERCORE_DATA_DIR": str(tmp_path), "CLUSTERCORE_DEBUG": "false"}
    process = fork_server().start_logged(web.command(port=port)[1:], environment, tmp_path, tmp_path / "web.log")
    try:
        deadline = time.monotonic() + 60
        while not answers(url):
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "web.log").read_text()
            threading.Event().wait(0.05)
        yield Hub(url, tmp_path)
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def post_form(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    page = client.get(path)
    key = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    token = key.group(1) if key else client.cookies.get("csrftoken", "")
    return client.post(path, data={**fields, "csrfmiddlewaretoken": token})


@contextmanager
def without_table(name: str) -> Iterator[None]:
    """The database as a hub finds it whose tables are gone: whatever needs this one fails as nobody foresaw."""
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{name}" RENAME TO "{name}_away"')
        try:
            yield
        finally:
            cursor.execute(f'ALTER TABLE "{name}_away" RENAME TO "{name}"')


def test_a_day_of_mistakes_leaks_nothing(hub: Hub, redis_client: redis.Redis) -> None:
    setup = make_setup_path()
    with hub.client() as ada:
        assert post_form(ada, setup, name="ada", password=PASSWORD, again=WRONG_PASSWORD).status_code in (400, 422)
        assert post_form(ada, setup, name="ada", password=PASSWORD, again=PASSWORD).status_code == 200
        token = made_token(ada)
        link = made_link(ada)
        wrong_attempts(hub, link, setup)
        changed = post_form(
            ada, "/account/password/", current=WRONG_PASSWORD, password=NEW_PASSWORD, again=NEW_PASSWORD
        )
        assert changed.status_code == 400
        session = ada.cookies["sessionid"]
    secret_store.put(at_terminal("root"), "model-download-token", VAULT_VALUE)
    job = submitted(hub, token)
    requests_that_fail(hub, token)
    metrics = fetched_metrics(hub, token)
    assert {response.status_code for response in hub.refusals} >= {400, 401, 403, 404, 500}
    secrets = {
        "password": PASSWORD,
        "wrong password": WRONG_PASSWORD,
        "new password": NEW_PASSWORD,
        "wrong token": WRONG_TOKEN,
        "vault": VAULT_VALUE,
        "token": token,
        "setup link": setup.strip("/").rpartition("/")[2],
        "password link": link.strip("/").rpartition("/")[2],
        "session": session,
    }
    sinks = {
        "log": hub.log,
        "redis": everything_in(redis_client),
        "audit": json.dumps(list(AuditEntry.objects.values_list("actor", "action", "target", "detail"))),
        "metrics": metrics,
        **{f"refusal of {one.request.method} {one.request.url.path}": whole(one) for one in hub.refusals},
        "files": "".join(
            path.read_bytes().decode("latin-1") for path in hub.directory.rglob("*") if is_a_file_of_ours(path)
        ),
    }
    # The prompt and the sessions' keys belong in the ledger; nothing else of these does.
    sinks_of = {name: {**sinks, "database": dump()} for name in secrets if name != "session"} | {"session": sinks}
    found = [
        (name, place)
        for name, secret in secrets.items()
        for place, text in sinks_of[name].items()
        if secret in text or base64.b64encode(secret.encode()).decode().rstrip("=") in text
    ]
    assert found == []
    assert [place for place, text in sinks.items() if PROMPT in text] == []
    assert "request " in hub.log and "failed" in hub.log, "the failure itself is in the log"
    for body in bodies(redis_client):
        assert all(isinstance(argument, int) for argument in body[0])
        assert body[1] == {}
    assert job


def made_token(client: httpx.Client) -> str:
    key = client.get("/account/") and client.cookies["csrftoken"]
    form = {"name": "for programs", "scopes": ["view", "submit", "metrics"], "days": "7", "csrfmiddlewaretoken": key}
    page = client.post("/account/tokens/", data=form)
    found = re.search(r'id="new-token">(cc_[\w-]+)<', page.text)
    assert found, page.text
    return found.group(1)


def made_link(client: httpx.Client) -> str:
    page = post_form(client, "/people/", name="rosa", role="operator")
    found = re.search(r"(/set-password/[^\"<\s]+)", page.text)
    assert found, page.text
    return found.group(1)


def wrong_attempts(hub: Hub, link: str, setup: str) -> None:
    """People who mistype: passwords, links, and secrets in the wrong field."""
    with hub.client() as stranger:
        assert post_form(stranger, "/sign-in/", name="ada", password=WRONG_PASSWORD).status_code >= 400
        post_form(stranger, "/sign-in/", name=WRONG_TOKEN, password=WRONG_PASSWORD)
        assert post_form(stranger, link, password=NEW_PASSWORD, again=WRONG_PASSWORD).status_code == 400
        stranger.post("/sign-in/", data={"name": "ada", "password": WRONG_PASSWORD})
        stranger.get(setup)
        stranger.post(link, data={"password": NEW_PASSWORD})


def submitted(hub: Hub, token: str) -> int:
    with hub.client(Authorization=f"Bearer {token}") as program:
        files = {"file": ("talk.wav", b"RIFF" + bytes(2000), "audio/wav")}
        answer = program.post("/api/v1/transcriptions", files=files, data={"prompt": PROMPT, "language": "en"})
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


def requests_that_fail(hub: Hub, token: str) -> None:
    """Every kind of refusal, with the secrets wherever a careless program may put them."""
    with hub.client(Authorization=f"Bearer {token}") as program:
        program.get("/api/v1/jobs/999999")
        program.get("/api/v1/nothing", params={"key": VAULT_VALUE})
        program.patch("/api/v1/jobs/999999", json={"priority": "high"})
        program.post("/api/v1/jobs/1/cancel")
        program.post("/api/v1/transcriptions", content=b'{"prompt": "unfinished', headers={"Content-Type": "text/json"})
        program.get("/audit/")
        with without_table("jobs_job"):
            assert program.get("/api/v1/jobs").status_code == 500
        with without_table("access_apitoken"):
            assert program.get("/api/v1/jobs").status_code == 500
        with without_table("jobs_unit"):
            files = {"file": ("talk.wav", b"RIFF" + bytes(2001), "audio/wav")}
            data = {"prompt": PROMPT, "language": "en"}
            assert program.post("/api/v1/transcriptions", files=files, data=data).status_code == 500
    with hub.client(Authorization=f"Bearer {WRONG_TOKEN}") as stranger:
        assert stranger.get("/api/v1/jobs").status_code == 401
        stranger.get("/metrics")
        stranger.get("/v1/models")
    with hub.client() as stranger, without_table("auth_user"):
        post_form(stranger, "/sign-in/", name="ada", password=PASSWORD)


def fetched_metrics(hub: Hub, token: str) -> str:
    with hub.client(Authorization=f"Bearer {token}") as program:
        answer = program.get("/metrics")
    assert answer.status_code == 200
    assert "clustercore_" in answer.text
    return answer.text


def whole(response: httpx.Response) -> str:
    return f"{response.headers}\n{response.text}"


def everything_in(client: redis.Redis) -> str:
    """Every key and value, as Redis would dump them."""
    untyped: Any = client
    texts = []
    for key in untyped.keys("*"):
        kind = untyped.type(key)
        value = {
            b"string": partial(untyped.get, key),
            b"list": partial(untyped.lrange, key, 0, -1),
            b"hash": partial(untyped.hgetall, key),
            b"set": partial(untyped.smembers, key),
            b"zset": partial(untyped.zrange, key, 0, -1),
        }[kind]()
        texts.append(f"{key!r} {value!r}")
    return "\n".join([*texts, *(json.dumps(body) for body in bodies(client))])


def bodies(client: redis.Redis) -> list[Any]:
    """The arguments of the tasks that wait."""
    waiting = [json.loads(item) for key in client.keys("cap.*") for item in client.lrange(key, 0, -1)]
    assert waiting
    return [json.loads(base64.b64decode(message["body"])) for message in waiting]


def dump() -> str:
    """The whole database, as PostgreSQL writes it."""
    with connection.cursor() as cursor:
        return "\n".join(copied(cursor, table) for table in connection.introspection.table_names(cursor))


def copied(cursor: Any, table: str) -> str:
    with cursor.copy(f'COPY "{table}" TO STDOUT') as copy:
        return b"".join(bytes(block) for block in copy).decode()


def is_a_file_of_ours(path: Path) -> bool:
    return path.is_file() and path.name != "web.log" and "blobs" not in path.parts

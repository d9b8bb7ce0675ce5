"""The description of the API: valid, checked in, and kept by the server whoever asks and whatever they send."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection
from django.test import Client

from clustercore.access.models import ApiToken
from clustercore.blobs.services import establish_hub
from clustercore.jobs.domain import presentation
from clustercore.jobs.models import Attempt, Job, JobEvent, Unit
from clustercore.project import web
from tests.cast import LAPTOP, WORKSTATION, start_node, stop_node
from tests.fakes.jobs.presentations import SUMS
from tests.fork_server import Forked, fork_server
from tests.people import ROLES, person, token_of

ROOT = Path(__file__).resolve().parents[3]
CHECKED_IN = ROOT / "docs" / "openapi.yaml"
HOOKS = "tests.fakes.schemathesis_hooks"
SEED = 20261121
EXAMPLES = {"ada": 12, "otto": 12, "vera": 6, None: 4}
"""Test cases for each operation in each phase: fewer for those who are refused most."""
MOST_SECONDS = 150
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance"),
)
ENDLESS = "jobs_stream"
"""It answers for as long as a job runs; tests/integration/telemetry follows it."""


def described(path: Path) -> dict[str, Any]:
    call_command("spectacular", file=str(path), validate=True, fail_on_warn=True)
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if method in {"get", "head", "post", "put", "patch", "delete"}:
                yield method.upper(), path, operation


def test_it_is_valid_and_the_copy_in_the_documents_is_the_same(tmp_path: Path) -> None:
    schema = described(tmp_path / "openapi.yaml")
    assert schema["openapi"].startswith("3.1")
    assert (tmp_path / "openapi.yaml").read_text() == CHECKED_IN.read_text(), (
        "the API changed: run `python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml`"
    )


def test_every_operation_is_explained_secured_and_tells_its_refusals(tmp_path: Path) -> None:
    for method, path, operation in operations(described(tmp_path / "openapi.yaml")):
        where = f"{method} {path}"
        assert operation.get("summary") and operation.get("tags") and operation.get("operationId"), where
        assert {"bearer": []} in operation["security"], where
        assert {"401", "403", "429", "503"} <= set(operation["responses"]), where
        assert "{" not in path or "404" in operation["responses"], where


def test_a_kind_that_registers_itself_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SumFacts" not in described(tmp_path / "before.yaml")["components"]["schemas"]
    monkeypatch.setitem(presentation._PRESENTATIONS, "sums", SUMS)
    schemas = described(tmp_path / "after.yaml")["components"]["schemas"]
    assert {"$ref": "#/components/schemas/SumFacts"} in schemas["JobFacts"]["anyOf"]
    assert schemas["SumFacts"]["properties"]["addends"]["type"] == "integer"


@pytest.mark.django_db
def test_it_is_read_as_yaml_as_json_and_as_a_page_by_who_is_signed_in() -> None:
    client = Client()
    assert client.get("/api/v1/schema").status_code == 401
    client.force_login(person("vera"))
    assert yaml.safe_load(client.get("/api/v1/schema").content)["info"]["title"] == "clustercore"
    assert client.get("/api/v1/schema", headers={"Accept": "application/json"}).json()["openapi"].startswith("3.1")
    page = client.get("/api/v1/docs", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert b"drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page.content
    script = client.get("/api/v1/docs?script=")
    assert (script.status_code, b"/schema" in script.content) == (200, True)


@pytest.fixture
def server(service_environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The web process as it is started, on the test's database; its address."""
    port = free_port()
    environment = service_environment | {"CLUSTERCORE_REQUESTS_PER_MINUTE": "1000000"}
    process = fork_server().start_logged(web.command(port=port)[1:], environment, tmp_path, tmp_path / "web.log")
    try:
        wait_until_alive(f"http://127.0.0.1:{port}", process)
        establish_hub(Path(environment["CLUSTERCORE_DATA_DIR"]), f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_alive(address: str, process: Forked) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline and process.poll() is None, "the web process did not come up"
        try:
            if httpx.get(f"{address}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)


@pytest.fixture
def ledger(transactional_db: None) -> None:
    """Jobs of everybody in every state, with low numbers, as a fuzzer guesses them; two nodes, one of them gone."""
    node = start_node(WORKSTATION)
    stop_node(start_node(LAPTOP))
    for number, state in enumerate(["done", "failed", "cancelled", "paused", "running", "failed"], start=1):
        owner = person(["otto", "olga", "ada", "otto", "otto", "vera"][number - 1])
        job = Job.objects.create(
            pk=number,
            kind="transcription",
            title=f"recording {number}",
            state=state,
            owner=owner,
            shared=number == 2,
            error="transcribe 3: no memory" if state == "failed" else "",
            created=node.started,
            finished=node.started if state in {"done", "failed", "cancelled"} else None,
        )
        unit = Unit.objects.create(
            job=job, stage="transcribe", ordinal=0, capability="stt", state="failed", created=node.started
        )
        JobEvent.objects.create(job=job, at=node.started, name="submitted", text="submitted")
        Attempt.objects.create(
            unit=unit,
            number=1,
            node=node,
            node_name=node.name,
            instance=node.instance,
            outcome="failed",
            lease_until=node.started,
            started=node.started,
            ended=node.started,
            served_by={"engine": "faster-whisper", "model": "large-v3", "rung": 5, "seconds": 1.5},
        )
    with connection.cursor() as cursor:
        cursor.execute(connection.ops.sequence_reset_sql(no_style(), [Job])[0])


@pytest.mark.timeout(2 * MOST_SECONDS)
@pytest.mark.parametrize("who", list(EXAMPLES))
def test_the_server_keeps_it_whatever_is_sent(
    who: str | None, ledger: None, server: str, tmp_path: Path, redis_client: Any
) -> None:
    described(tmp_path / "openapi.yaml")
    headers = ["--header", f"Authorization: Bearer {token_out_of_reach(who)}"] if who else []
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(tmp_path / "openapi.yaml"), "--url", server, *headers),
        *("--checks", ",".join(CHECKS), "--exclude-operation-id", ENDLESS, "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES[who]), "--seed", str(SEED)),
        *("--generation-database", "none", "--no-shrink", "--suppress-health-check", "all", "--warnings", "off"),
        *("--request-timeout", "20", "--no-color"),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=MOST_SECONDS, env=environment, check=False
    )
    log = (tmp_path / "web.log").read_text(errors="replace")
    assert ran.returncode == 0, f"{ran.stdout[-12000:]}\n{ran.stderr[-2000:]}\n{log[-4000:]}"
    assert "Traceback" not in log


def token_out_of_reach(name: str) -> str:
    """A token with a number that no fuzzer guesses, or it would soon have revoked its own."""
    token = token_of(name)
    ApiToken.objects.filter(user__username=name).update(id=10**15 + list(ROLES).index(name))
    return token

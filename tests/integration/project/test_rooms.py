"""Rooms that are set by `CLUSTERCORE_ROOMS`: a kind of job is small, and is asked for, done and shown for real."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from clustercore.access.models import AuditEntry
from clustercore.blobs.services import establish_hub
from clustercore.jobs.models import Attempt
from clustercore.project import web
from tests.fork_server import fork_server
from tests.integration.nodes.conftest import Worker
from tests.integration.project.test_api_schema import free_port, wait_until_alive
from tests.integration.project.test_command_line import COMMAND, ROOT
from tests.people import token_of

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

ROOMS = ROOT / "tests" / "fakes" / "rooms"
NAMES = ("lines", "marks")
TEXT = "one\n\ntwo\nthree\n"
ESSAY = "Short and good.\n\n???\n\nIncomprehensibility may win.\n\nNo."
SETTINGS = {
    "CLUSTERCORE_ROOMS": json.dumps([f"tests.fakes.rooms.{name}" for name in NAMES]),
    "CLUSTERCORE_ENGINES": json.dumps(["tests.fakes.rooms.marks.marker:Marker"]),
    "CLUSTERCORE_TIERS": json.dumps({"mark": ["marker:large", "marker:small"]}),
    "CLUSTERCORE_SLOTS": "2",
    "CLUSTERCORE_NODE_NAME": "one",
    "PYTHONPATH": str(ROOT),
}


@dataclass(frozen=True)
class Cluster:
    """A web process and a node, both with the rooms, and what a person has of them."""

    client: httpx.Client
    """With a token of Otto's."""
    environment: dict[str, str]
    directory: Path
    worker: Worker

    def ask(self, kind: str, text: str, **said: str) -> httpx.Response:
        """Asks for a job over HTTP, as a form with a file."""
        files = {"file": ("text.txt", text.encode(), "text/plain")}
        return self.client.post(f"/api/v1/kinds/{kind}/jobs", data=said, files=files)

    def over(self, job_id: int) -> Any:
        """Returns a job when it is over."""
        return self.client.get(f"/api/v1/jobs/{job_id}?wait=60").json()

    def type(self, *words: str) -> tuple[int, str]:
        """Runs a command; returns how it ended, and what it printed."""
        done = fork_server().run([*COMMAND, *words], self.environment, self.directory, timeout=120)
        return done.returncode, done.stdout + (done.stderr if done.returncode else "")


@pytest.fixture
def cluster(service_environment: dict[str, str], redis_client: redis.Redis, tmp_path: Path) -> Iterator[Cluster]:
    environment = service_environment | SETTINGS
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    establish_hub(Path(environment["CLUSTERCORE_DATA_DIR"]), address)
    pages = fork_server().start_logged(web.command(port=port)[1:], environment, ROOT, tmp_path / "web.log")
    worker = Worker(environment, "one", tmp_path / "worker.log")
    try:
        wait_until_alive(address, pages)
        worker.until_taking_work("cap.any")
        commands = {name: value for name, value in environment.items() if name != "DJANGO_SETTINGS_MODULE"}
        headers = {"Authorization": f"Bearer {token_of('otto')}"}
        with httpx.Client(base_url=address, headers=headers, timeout=90) as client:
            yield Cluster(client, commands, tmp_path, worker)
    finally:
        worker.close()
        pages.terminate()
        pages.wait(20)


def test_a_kind_of_one_stage_is_asked_for_done_and_shown_everywhere(cluster: Cluster) -> None:
    asked = cluster.ask("lines", TEXT, title="My text")
    assert asked.status_code == 201, asked.text
    job = cluster.over(asked.json()["id"])
    assert (job["state"], job["title"], job["facts"]) == ("done", "My text", {"result": {"lines": 4}})
    assert job["units"] == {"done": 1, "running": 0, "failed": 0, "total": 1, "all_queued": True}
    assert "lines.count[" in cluster.worker.log

    page = cluster.client.get(f"/jobs/{job['id']}/").text
    assert "Line count" in page and "&quot;lines&quot;: 4" in page
    assert "New: Line count" in cluster.client.get("/").text

    (cluster.directory / "text.txt").write_text(TEXT)
    code, printed = cluster.type("lines", "text.txt", "--skip-empty")
    assert (code, json.loads(printed or "null")) == (0, {"lines": 3}), printed
    code, printed = cluster.type("submit", "lines", "text.txt", "--set", "skip_empty=yes")
    assert (code, json.loads(printed or "null")) == (0, {"lines": 3}), printed
    assert AuditEntry.objects.filter(action="job.submit").count() == 3


def test_what_a_kind_does_not_ask_is_refused_by_its_name(cluster: Cluster) -> None:
    for said, param in [({"skip_emty": "1"}, "skip_emty"), ({"skip_empty": "perhaps"}, "skip_empty")]:
        refused = cluster.ask("lines", TEXT, **said)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    without = cluster.client.post("/api/v1/kinds/lines/jobs", json={})
    assert (without.status_code, without.json()["error"]["param"]) == (400, "file")
    code, printed = cluster.type("submit", "lines")
    assert code == 2 and "a line count is about one file" in printed
    code, printed = cluster.type("submit", "rhymes", "text.txt")
    assert code == 2 and "there is: lines, marks" in printed


def test_a_form_is_made_of_what_a_kind_asks(cluster: Cluster) -> None:
    client = cluster.client
    form = client.get("/jobs/new/marks/").text
    assert 'name="highest" value="10"' in form and "The mark of a paragraph without fault." in form
    schema = client.get("/api/v1/schema", headers={"Accept": "application/json"}).json()
    operation = schema["paths"]["/api/v1/kinds/marks/jobs"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert "highest" in schema["components"]["schemas"]["MarksRequestRequest"]["properties"]


def test_a_ranked_kind_is_served_by_the_best_model_that_works_and_bears_what_it_says(cluster: Cluster) -> None:
    job = cluster.over(cluster.ask("marks", ESSAY, highest="5").json()["id"])
    assert (job["state"], job["gaps"], job["facts"]) == ("done", 1, {"result": {"mean": 3.67, "of": 3}})
    served = Attempt.objects.filter(outcome="done", unit__stage="mark").order_by("unit__ordinal")
    assert [attempt.served_by["model"] for attempt in served] == ["large", "small", "large"]
    assert served[1].served_by["passed_over"] == ["marker:large: a word is too long"]

    (cluster.directory / "essay.txt").write_text(ESSAY)
    code, printed = cluster.type("mark", "essay.txt")
    assert (code, json.loads(printed or "null")) == (0, {"mean": 8.67, "of": 3}), printed


@pytest.mark.parametrize(("name", "most_files", "most_lines"), [("lines", 8, 120), ("marks", 10, 180)])
def test_a_kind_is_small(name: str, most_files: int, most_lines: int) -> None:
    files = list((ROOMS / name).rglob("*.py"))
    assert len(files) <= most_files
    assert sum(len(file.read_text().splitlines()) for file in files) <= most_lines


def test_the_guide_shows_the_room_as_it_is() -> None:
    room = ROOMS / "lines"
    guide = (ROOT / "docs" / "adding_a_kind.md").read_text()
    shown = re.findall(r"`lines/([\w/]+\.py)`[^\n]*\n\n```python\n(.*?)\n```", guide, re.DOTALL)
    files = {str(file.relative_to(room)) for file in room.rglob("*.py") if file.stat().st_size}
    assert {name for name, _ in shown} == files
    assert all((room / name).read_text() == f"{text}\n" for name, text in shown)

"""Files that go with a result: their bytes are at the hub before it counts, wherever the hub was in between."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError

from clustercore.blobs import services as blobs
from clustercore.blobs.domain.errors import BlobUnavailable, StoreFull
from clustercore.blobs.models import Blob
from clustercore.blobs.selectors import hub_now
from clustercore.config.environment import environment
from clustercore.jobs.domain import kinds
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.unit_context import UnitContext
from clustercore.jobs.domain.verdict import Done, Verdict
from clustercore.jobs.models import Attempt, JobBlob, JobEvent, Unit
from clustercore.jobs.services import delivery, result_files
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.control import cancel_job, remove_job
from clustercore.jobs.services.delivery import Delivery
from clustercore.jobs.services.held_leases import HeldLeases
from clustercore.jobs.services.leases import end_left_behind
from clustercore.jobs.services.queueing import queue_units
from clustercore.jobs.services.references import collect_unreferenced
from clustercore.jobs.services.work import do, workspaces
from clustercore.nodes.domain.hooks import Agent
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.nodes.agent import FakeAgent, agent_of
from tests.integration.jobs.conftest import with_parts
from tests.integration.jobs.test_api import as_
from tests.integration.jobs.test_delivery import forget_attempts
from tests.integration.jobs.test_references import make_old
from tests.people import person

pytestmark = pytest.mark.services

PAGE = b"\x89PNG a page"
SHA256 = hashlib.sha256(PAGE).hexdigest()
Handler = Callable[[UnitContext], Verdict]


class AtOnce:
    """An `Aside` whose work is done when it returns."""

    def start(self, work: Callable[[], None]) -> None:
        work()


@dataclass
class Hubs:
    """Why the hub's store takes nothing; None while it does."""

    trouble: Exception | None = None

    def store(self, path: Path, media_type: str = "") -> str:
        if self.trouble is not None:
            raise self.trouble
        return blobs.store_file(path, media_type)


@pytest.fixture(autouse=True)
def hub(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hubs]:
    """This process is on the hub's machine, whose store is empty."""
    blobs.establish_hub(environment().data_dir, "http://127.0.0.1:1")
    hubs = Hubs()
    monkeypatch.setattr(result_files, "store_file", hubs.store)
    yield hubs
    shutil.rmtree(workspaces(LAPTOP), ignore_errors=True)


@pytest.fixture
def agent(tmp_path: Path) -> FakeAgent:
    return agent_of(start_node(LAPTOP), tmp_path / "spool")


@pytest.fixture
def handled_by(sums: kinds.JobKind, monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], None]:
    """Gives the stages of the tests' kind another handler."""

    def give(handler: Handler) -> None:
        stages = tuple(replace(stage, handler=handler) for stage in sums.stages)
        monkeypatch.setitem(kinds._KINDS, "sums", replace(sums, stages=stages))

    return give


@pytest.fixture(autouse=True)
def makes_a_page(handled_by: Callable[[Handler], None]) -> None:
    """What the handlers do unless a test has its own."""
    handled_by(page_of)


def page_of(context: UnitContext) -> Verdict:
    path = context.workspace / "out.png"
    path.write_bytes(PAGE)
    return Done({"n": 1}, files={"page.png": path})


def taken() -> Claimed:
    found = claim(as_claimant(Node.objects.get(name=LAPTOP)), None)
    assert found is not None
    return found


def works(agent: FakeAgent) -> Claimed:
    """The node does what is next."""
    claimed = taken()
    do(cast(Agent, agent), claimed)
    return claimed


def deliver(agent: FakeAgent) -> None:
    Delivery(AtOnce()).deliver(cast(Agent, agent))


def kept_bytes(agent: FakeAgent) -> list[bytes]:
    folder = agent.spools._directory
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"]


def stored_once() -> bool:
    """One blob, with the right bytes, that a removal of anything else leaves alone."""
    make_old(SHA256)
    collect_unreferenced()
    return [blob.pk for blob in Blob.objects.filter(deleted=None)] == [SHA256] and (
        blobs.local_path(SHA256).read_bytes() == PAGE
    )


def test_a_results_files_are_stored_and_referred_to_as_long_as_the_job_stays(agent: FakeAgent) -> None:
    job, (unit,) = with_parts(1)
    works(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.result) == ("done", {"n": 1})
    assert unit.files == {"page.png": {"sha256": SHA256, "size": len(PAGE), "media_type": "image/png"}}
    assert stored_once()
    assert list(JobBlob.objects.values_list("unit_id", "sha256")) == [(unit.pk, SHA256)]
    cancel_job(job.pk)
    remove_job(job.pk)
    assert not Blob.objects.filter(deleted=None).exists()


def test_two_files_of_one_content_are_one_blob(agent: FakeAgent, handled_by: Callable[[Handler], None]) -> None:
    def two(context: UnitContext) -> Verdict:
        left, right = context.workspace / "left", context.workspace / "right"
        left.write_bytes(PAGE)
        right.write_bytes(PAGE)
        return Done(files={"left.png": left, "right.txt": right})

    handled_by(two)
    _, (unit,) = with_parts(1)
    works(agent)
    unit.refresh_from_db()
    assert {name: file["sha256"] for name, file in unit.files.items()} == {"left.png": SHA256, "right.txt": SHA256}
    assert stored_once()


def outside(context: UnitContext) -> Path:
    path = context.workspace.parent / "passwords"
    path.write_bytes(b"secret")
    return path


def link_to_outside(context: UnitContext) -> Path:
    path = context.workspace / "page.png"
    path.symlink_to(outside(context))
    return path


def never_made(context: UnitContext) -> Path:
    return context.workspace / "page.png"


@pytest.mark.parametrize(
    ("path_of", "name", "says"),
    [
        (outside, "page.png", "lies outside its unit's workspace"),
        (link_to_outside, "page.png", "lies outside its unit's workspace"),
        (never_made, "page.png", "is not there"),
        (never_made, "../page.png", "no name for a file of a result"),
    ],
)
def test_what_a_handler_may_not_hand_over_fails_its_unit_with_the_reason(
    agent: FakeAgent,
    handled_by: Callable[[Handler], None],
    path_of: Callable[[UnitContext], Path],
    name: str,
    says: str,
) -> None:
    handled_by(lambda context: Done(files={name: path_of(context)}))
    _, (unit,) = with_parts(1)
    works(agent)
    unit.refresh_from_db()
    assert unit.state == "failed" and says in unit.error
    assert not Blob.objects.exists()


@pytest.mark.parametrize(
    "trouble",
    [BlobUnavailable("the web process is away"), OperationalError("the database is away"), StoreFull("no room")],
    ids=["store", "database", "disk"],
)
def test_while_the_hub_takes_no_files_they_are_kept_on_disk_and_arrive_once_when_it_does(
    agent: FakeAgent, hub: Hubs, trouble: Exception
) -> None:
    _, (unit,) = with_parts(1)
    hub.trouble = trouble
    claimed = works(agent)
    assert not (workspaces(LAPTOP) / f"attempt-{claimed.key}").exists()
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, kept_bytes(agent)) == ("leased", [PAGE])
    hub.trouble = None
    deliver(agent)
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.attempts_made, unit.files["page.png"]["sha256"]) == ("done", 1, SHA256)
    assert stored_once()
    assert (agent.spools.hubs(), kept_bytes(agent)) == ([], [])


def test_a_lease_goes_on_while_the_files_of_what_is_done_are_on_their_way(
    agent: FakeAgent, hub: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    claimed = works(agent)
    before = Attempt.objects.get(pk=claimed.attempt_id).lease_until
    assert HeldLeases().extend(cast(Agent, agent))
    assert Attempt.objects.get(pk=claimed.attempt_id).lease_until > before


def test_a_new_process_of_the_node_holds_what_the_earlier_one_had_finished_with_files(
    agent: FakeAgent, hub: Hubs, tmp_path: Path
) -> None:
    _, (unit,) = with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    works(agent)
    anew = agent_of(start_node(LAPTOP), tmp_path / "spool")
    assert anew.instance != agent.instance
    Delivery(AtOnce()).adopt(cast(Agent, anew))
    assert end_left_behind(anew.name, anew.boot_id, anew.instance, None) == 0
    hub.trouble = None
    deliver(anew)
    unit.refresh_from_db()
    assert (unit.state, unit.strikes, unit.attempts_made) == ("done", 0, 1)


def test_files_for_an_attempt_that_no_longer_counts_are_dropped_and_not_sent(agent: FakeAgent, hub: Hubs) -> None:
    job, _ = with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    works(agent)
    cancel_job(job.pk)
    hub.trouble = AssertionError("it was sent")
    deliver(agent)
    assert (agent.spools.hubs(), kept_bytes(agent)) == ([], [])
    assert Attempt.objects.get().fenced_results == 1


def test_after_a_restore_files_come_with_the_result_that_finds_its_open_unit(agent: FakeAgent, hub: Hubs) -> None:
    _, (unit,) = with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    works(agent)
    forget_attempts()
    hub.trouble = None
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.files["page.png"]["sha256"]) == ("done", SHA256)
    assert stored_once()
    assert agent.spools.hubs() == []


def test_a_hub_set_up_anew_over_a_restored_ledger_is_offered_files_until_it_takes_them(
    agent: FakeAgent, hub: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SENDING_PAUSE_SECONDS", 0.0)
    _, (unit,) = with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    works(agent)
    forget_attempts()
    (folder,) = agent.spools._directory.glob("hub-*")
    folder.rename(folder.with_name("hub-" + "f" * 64))
    offers = Delivery(AtOnce())
    offers.deliver(cast(Agent, agent))
    assert agent.spools.hubs() == ["f" * 64]
    hub.trouble = None
    offers.deliver(cast(Agent, agent))
    unit.refresh_from_db()
    assert unit.state == "done"
    assert agent.spools.hubs() == []


def test_a_job_is_told_once_why_what_is_done_does_not_end(
    agent: FakeAgent, hub: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SENDING_PAUSE_SECONDS", 0.0)
    job, _ = with_parts(1)
    hub.trouble = StoreFull("no room left on the hub's disk")
    works(agent)
    offers = Delivery(AtOnce())
    for _ in range(3):
        offers.deliver(cast(Agent, agent))
    (event,) = JobEvent.objects.filter(job=job, name="files_kept")
    assert event.text.startswith(f"part 0 is done and waits on {LAPTOP}: its files are not taken: no room left")


def test_files_are_sent_beside_the_thread_that_extends_leases(agent: FakeAgent, hub: Hubs) -> None:
    _, (unit,) = with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    works(agent)
    hub.trouble = None
    Delivery().deliver(cast(Agent, agent))
    for thread in threading.enumerate():
        if thread.name == "delivery of files":
            thread.join(20)
    unit.refresh_from_db()
    assert unit.state == "done"


def test_files_that_were_deleted_between_being_stored_and_referred_to_are_stored_again(
    agent: FakeAgent, hub: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store_and_lose(path: Path, media_type: str = "") -> str:
        sha256 = blobs.store_file(path, media_type)
        make_old(sha256)
        collect_unreferenced()
        return sha256

    _, (unit,) = with_parts(1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(result_files, "store_file", store_and_lose)
        works(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.files) == ("leased", {})
    deliver(agent)
    unit.refresh_from_db()
    assert unit.state == "done"
    assert stored_once()


def test_files_that_came_to_harm_on_the_nodes_disk_are_made_again(agent: FakeAgent, hub: Hubs) -> None:
    _, (unit,) = with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    works(agent)
    hub.trouble = None
    (page,) = (path for path in agent.spools._directory.rglob(SHA256))
    page.write_bytes(b"zeros")
    deliver(agent)
    unit.refresh_from_db()
    assert (unit.state, unit.failures) == ("queued", 1)
    assert "came to harm" in unit.error
    assert not Blob.objects.exists() and agent.spools.hubs() == []


def test_a_full_disk_keeps_a_result_and_its_files_in_the_workspace_until_the_hub_takes_them(
    agent: FakeAgent, hub: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> None:
        hub.trouble = None
        raise OSError(28, "No space left on device")

    _, (unit,) = with_parts(1)
    hub.trouble = BlobUnavailable("the web process is away")
    monkeypatch.setattr(type(agent.spools.of("x")), "put", no_room)
    works(agent)
    unit.refresh_from_db()
    assert (unit.state, len(agent.short_of)) == ("done", 1)
    assert stored_once()


def test_a_later_unit_fetches_what_an_earlier_one_made_by_the_hash_in_its_payload(
    agent: FakeAgent, handled_by: Callable[[Handler], None]
) -> None:
    def read(context: UnitContext) -> Verdict:
        return Done({"read": len(context.fetch(context.payload["page"]).read_bytes())})

    job, (unit, _) = with_parts(2)
    works(agent)
    unit.refresh_from_db()
    sha256 = unit.files["page.png"]["sha256"]
    reader = NewUnit(stage="total", ordinal=1, payload={"page": sha256}, blobs=[sha256])
    queue_units(kinds.kind_named("sums"), job.pk, [reader])
    handled_by(read)
    works(agent)
    assert Unit.objects.get(stage="total", ordinal=1).result == {"read": len(PAGE)}


class TestTheApi:
    def test_a_units_files_are_told_with_their_size_and_taken_away_whole_or_by_range(self, agent: FakeAgent) -> None:
        job, (unit,) = with_parts(1, owner_id=person("otto").pk)
        works(agent)
        client = as_("otto")
        units = client.get(f"/api/v1/jobs/{job.pk}/units").json()["results"]
        told = {"name": "page.png", "size": len(PAGE), "media_type": "image/png", "sha256": SHA256}
        assert [one["files"] for one in units if one["id"] == unit.pk] == [[told]]
        address = f"/api/v1/jobs/{job.pk}/units/{unit.pk}/files/page.png"
        whole = client.get(address, headers={"Accept": "image/png"})
        assert (whole.status_code, content_of(whole)) == (200, PAGE)
        assert whole["Content-Disposition"] == 'attachment; filename="page.png"'
        assert content_of(client.get(address, headers={"Range": "bytes=5-"})) == PAGE[5:]
        assert client.get(address, headers={"If-None-Match": whole["ETag"]}).status_code == 304

    def test_they_are_for_those_who_may_see_the_job(self, agent: FakeAgent) -> None:
        job, (unit,) = with_parts(1, owner_id=person("otto").pk)
        other, _ = with_parts(1, owner_id=person("olga").pk)
        works(agent)
        assert as_("olga").get(f"/api/v1/jobs/{job.pk}/units/{unit.pk}/files/page.png").status_code == 404
        assert as_("olga").get(f"/api/v1/jobs/{other.pk}/units/{unit.pk}/files/page.png").status_code == 404
        assert as_("otto").get(f"/api/v1/jobs/{job.pk}/units/{unit.pk}/files/other.png").status_code == 404

    def test_what_is_no_longer_stored_is_said(self, agent: FakeAgent) -> None:
        job, (unit,) = with_parts(1, owner_id=person("otto").pk)
        works(agent)
        Blob.objects.all().delete()
        store = blobs.local_store(hub_now())
        assert store is not None
        store.remove(SHA256)
        answer = as_("otto").get(f"/api/v1/jobs/{job.pk}/units/{unit.pk}/files/page.png")
        assert answer.status_code == 404 and "no longer stored" in answer.json()["error"]["message"]


def content_of(response: Any) -> bytes:
    async def gathered() -> bytes:
        return b"".join([block async for block in response.streaming_content])

    try:
        return async_to_sync(gathered)()
    finally:
        response.close()

"""What Prometheus reads: the ledger's own figures, in its own format, for whoever may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import F
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from clustercore import __version__
from clustercore.access.domain.roles import Permission
from clustercore.access.services.audit_verification import verify_chain
from clustercore.jobs.domain.verdict import Crashed, Done, HandBack
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import cancel_job, remove_job
from clustercore.jobs.services.settle import settle
from clustercore.nodes.models import Node
from clustercore.telemetry.services import metrics
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node, stop_node
from tests.integration.jobs.conftest import submitted, with_parts
from tests.people import person, token_of

SERVED = {"engine": "faster-whisper", "model": "small", "rung": 3, "seconds": 2.5, "audio_seconds": 10.0}


def scrape(client: Client, name: str = "otto") -> dict[str, list[Sample]]:
    """Samples by metric, as Prometheus' own parser reads them."""
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {token_of(name)}"})
    assert answer.status_code == 200
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def value(found: dict[str, list[Sample]], name: str, **labels: str) -> float:
    [sample] = [sample for sample in found[name] if sample.labels == labels]
    return sample.value


def finished_job(node: Node) -> Job:
    """A job of one part, done from plan to sum."""
    job, _ = with_parts(1)
    for _ in range(2):
        taken = claim(as_claimant(node))
        assert taken is not None
        settle(taken.key, Done({}), served_by=SERVED if taken.stage == "part" else {})
    job.refresh_from_db()
    assert job.state == "done"
    return job


@pytest.fixture
def node(sums: object) -> Iterator[Node]:
    yield start_node(LAPTOP, slots=2)


def test_only_who_may_read_metrics_gets_them(client: Client, node: Node) -> None:
    assert client.get("/metrics").status_code == 401
    for token, status in [
        (token_of("vera"), 403),
        (token_of("otto", Permission.VIEW), 403),
        (token_of("otto", Permission.METRICS), 200),
    ]:
        assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == status
    client.force_login(person("ada"))
    assert client.get("/metrics").status_code == 200
    assert client.post("/metrics").status_code in (403, 405)


def test_jobs_are_counted_as_they_come_and_end_and_how_long_they_took(client: Client, node: Node) -> None:
    finished_job(node)
    cancel_job(submitted().pk)
    found = scrape(client)
    assert value(found, "clustercore_jobs_submitted_total", kind="sums") == 2
    assert value(found, "clustercore_jobs_finished_total", kind="sums", outcome="done") == 1
    assert value(found, "clustercore_jobs_finished_total", kind="sums", outcome="cancelled") == 1
    assert value(found, "clustercore_job_duration_seconds_count", kind="sums") == 1
    assert value(found, "clustercore_job_wait_seconds_count", kind="sums") == 1
    assert value(found, "clustercore_job_duration_seconds_bucket", kind="sums", le="60.0") == 1


def test_work_is_counted_by_engine_with_the_sound_that_was_heard(client: Client, node: Node) -> None:
    finished_job(node)
    finished_job(node)
    found = scrape(client)
    labels = {"kind": "sums", "backend": "faster-whisper"}
    assert value(found, "clustercore_audio_seconds_processed_total", **labels) == 20.0
    assert value(found, "clustercore_chunk_duration_seconds_count", **labels) == 2
    assert value(found, "clustercore_chunk_duration_seconds_sum", **labels) == 5.0
    assert value(found, "clustercore_chunk_duration_seconds_bucket", **labels, le="1.0") == 0
    assert value(found, "clustercore_chunk_duration_seconds_bucket", **labels, le="2.5") == 2
    assert value(found, "clustercore_realtime_factor", backend="faster-whisper") == 0.25


def test_removing_a_job_takes_nothing_from_what_was_counted(client: Client, node: Node) -> None:
    job = finished_job(node)
    finished_job(node)
    before = scrape(client)
    remove_job(job.pk)
    after = scrape(client)
    names = [name for name in before if name.endswith(("_total", "_bucket", "_count", "_sum"))]
    assert len(names) > 8
    assert {name: before[name] for name in names} == {name: after[name] for name in names}


def test_no_speed_is_told_where_nothing_was_heard_lately(client: Client, node: Node) -> None:
    finished_job(node)
    Attempt.objects.update(ended=F("ended") - timedelta(hours=2))
    assert "clustercore_realtime_factor" not in scrape(client)


def test_queues_tell_how_much_waits_and_how_long(client: Client, node: Node) -> None:
    with_parts(3)
    Unit.objects.update(created=F("created") - timedelta(minutes=20))
    found = scrape(client)
    assert value(found, "clustercore_queue_depth", queue="cap.stt") == 3
    assert value(found, "clustercore_oldest_queued_seconds") >= 1200


def test_nodes_tell_whether_they_are_there_and_what_they_have(client: Client, node: Node) -> None:
    Node.objects.filter(pk=node.pk).update(gpus=[{"name": "A GPU", "memory_mb": 1024}, {"name": "Unknown"}])
    stop_node(start_node(WORKSTATION))
    with_parts(1)
    claim(as_claimant(node))
    found = scrape(client)
    assert value(found, "clustercore_node_up", node=LAPTOP) == 1
    assert value(found, "clustercore_node_up", node=WORKSTATION) == 0
    assert value(found, "clustercore_node_memory_bytes", node=LAPTOP) == 8000 * 2**20
    assert (
        value(found, "clustercore_node_slots", node=LAPTOP),
        value(found, "clustercore_node_slots_busy", node=LAPTOP),
    ) == (2, 1)
    assert [sample.labels for sample in found["clustercore_gpu_memory_bytes"]] == [{"node": LAPTOP, "gpu": "0"}]
    assert not any("temperature" in name or "utilization" in name for name in found)


def test_what_went_wrong_is_counted(client: Client, node: Node, settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    verify_chain()  # anew: other tests had logs of their own
    with_parts(1)
    taken = claim(as_claimant(node))
    assert taken is not None
    settle(taken.key, HandBack("the node stops"))
    settle(taken.key, Done({}))
    Unit.objects.update(avoid_until=None, avoid_node=None)
    for _ in range(3):
        Unit.objects.update(run_after=None, avoid_until=None, avoid_node=None)
        again = claim(as_claimant(node))
        assert again is not None
        settle(again.key, Crashed("a fault in native code"))
    found = scrape(client)
    assert value(found, "clustercore_jobs_fenced_total") == 1
    assert value(found, "clustercore_lease_expired_total") == 0
    assert value(found, "clustercore_jobs_dead") == 1
    assert value(found, "clustercore_audit_chain_ok") == 1
    assert value(found, "clustercore_build_info", version=__version__) == 1


def test_nothing_that_a_user_wrote_is_told(client: Client, node: Node) -> None:
    job = finished_job(node)
    Job.objects.filter(pk=job.pk).update(title="the secret of the board", error="in the meeting")
    client.force_login(person("ada"))
    told = client.get("/metrics").content.decode()
    assert "secret" not in told and "meeting" not in told and "ada" not in told.replace("metadata", "")


def test_the_newer_format_is_given_to_who_asks_for_it(client: Client, node: Node) -> None:
    finished_job(node)
    answer = client.get(
        "/metrics",
        headers={
            "Authorization": f"Bearer {token_of('otto')}",
            "Accept": "application/openmetrics-text; version=1.0.0",
        },
    )
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    families = {family.name for family in openmetrics_families(answer.content.decode())}  # type: ignore[no-untyped-call]
    assert {"clustercore_jobs_submitted", "clustercore_job_wait_seconds", "clustercore_build"} <= families


def test_while_the_ledger_is_away_that_is_what_is_told(sums: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(metrics, "counters", away)
    told = metrics.exposition("").body.decode()
    assert re.search(r"^clustercore_ledger_up 0\.0$", told, re.MULTILINE)
    assert "clustercore_build_info" in told and "clustercore_jobs" not in told

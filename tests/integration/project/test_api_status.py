"""The status for people: what is wrong, in words, and no counts of what is not theirs to see."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now
from django.test import Client

from clustercore.jobs.models import Job, Unit
from clustercore.nodes.models import Node
from clustercore.project import health
from tests.cast import WORKSTATION, start_node
from tests.people import person, token_of

pytestmark = pytest.mark.django_db(transaction=True)


def as_(name: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(name)}"})


def waiting_job(owner: str) -> Job:
    job = Job.objects.create(kind="sums", title="add", created=Now(), owner=person(owner))
    Unit.objects.create(job=job, stage="part", ordinal=0, capability="stt", created=Now())
    return job


def test_all_is_well_with_a_node_that_works(redis_client: object) -> None:
    start_node(WORKSTATION)
    body = as_("vera").get("/api/v1/status").json()
    assert (body["ready"], body["reasons"]) == (True, [])
    assert body["nodes"] == {"online": 1, "working": 1, "known": 1}
    assert set(body["checks"]) == {"database", "broker", "migrations", "disk"}


def test_without_a_node_it_says_what_waits_and_what_to_do(redis_client: object) -> None:
    waiting_job("otto")
    body = as_("otto").get("/api/v1/status").json()
    assert body["reasons"] == ["no node is online, and 1 queued wait for one: start one with `clustercore node`"]
    assert body["queue"]["queued"] == 1
    assert body["queue"]["oldest_waiting_seconds"] >= 0
    start_node(WORKSTATION)
    Node.objects.update(drained=True)
    assert "drained or held" in as_("otto").get("/api/v1/status").json()["reasons"][0]


def test_what_is_wrong_with_the_hub_is_a_reason(monkeypatch: pytest.MonkeyPatch, redis_client: object) -> None:
    async def full() -> str:
        return "0.10 GB free: free some space"

    start_node(WORKSTATION)
    monkeypatch.setattr(health, "CHECKS", {**health.CHECKS, "disk": full})
    body = as_("vera").get("/api/v1/status").json()
    assert (body["ready"], body["reasons"]) == (False, ["disk: 0.10 GB free: free some space"])
    assert body["checks"]["disk"] == {"ok": False, "reason": "0.10 GB free: free some space"}


def test_other_peoples_jobs_are_not_counted(redis_client: object) -> None:
    waiting_job("otto")
    assert as_("otto").get("/api/v1/status").json()["jobs"]["running"] == 1
    assert as_("olga").get("/api/v1/status").json()["jobs"]["running"] == 0
    assert as_("ada").get("/api/v1/status").json()["jobs"]["running"] == 1
    assert Client().get("/api/v1/status").status_code == 401

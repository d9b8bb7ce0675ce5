"""Nodes by the API: read by all who may look, drained and forgotten by operators."""

from __future__ import annotations

import pytest
from django.test import Client

from clustercore.access.models import AuditEntry
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, WORKSTATION, start_node, stop_node
from tests.people import token_of

pytestmark = pytest.mark.django_db


def as_(name: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(name)}"})


def holds(node: Node) -> Unit:
    """A unit that the node has in hand."""
    job = Job.objects.create(kind="sums", title="held", created=node.last_seen)
    unit = Unit.objects.create(job=job, stage="part", ordinal=4, capability="stt", state="leased", created=job.created)
    Attempt.objects.create(
        unit=unit,
        number=1,
        node=node,
        node_name=node.name,
        instance=node.instance,
        lease_until=node.last_seen,
        started=node.last_seen,
    )
    return unit


def test_they_are_listed_live_ones_first() -> None:
    start_node(WORKSTATION)
    stop_node(start_node(LAPTOP))
    results = as_("vera").get("/api/v1/nodes").json()["results"]
    assert [(node["name"], node["condition"]) for node in results] == [(WORKSTATION, "online"), (LAPTOP, "offline")]


def test_one_tells_its_machine_its_models_and_what_it_holds() -> None:
    unit = holds(start_node(WORKSTATION))
    body = as_("vera").get(f"/api/v1/nodes/{WORKSTATION}").json()
    assert (body["cores"], body["busy"], body["slots"]) == (4, 1, 1)
    assert [(model["label"], model["rung"]) for model in body["models"]] == [("faster-whisper:large-v3", 5)]
    [held] = body["work"]["holdings"]
    assert (held["job_id"], held["unit_id"], held["stage"], held["ordinal"]) == (unit.job_id, unit.pk, "part", 4)


def test_draining_is_said_and_ended() -> None:
    start_node(WORKSTATION)
    client = as_("otto")
    drained = client.post(f"/api/v1/nodes/{WORKSTATION}/drain").json()
    assert (drained["drained"], drained["condition"]) == (True, "draining")
    assert "undrain" in drained["why"]
    assert client.post(f"/api/v1/nodes/{WORKSTATION}/undrain").json()["condition"] == "online"
    actions = AuditEntry.objects.filter(actor="otto", target=f"node {WORKSTATION}").order_by("seq")
    assert [entry.action for entry in actions] == ["nodes.drain", "nodes.undrain"]


def test_only_one_that_is_gone_is_forgotten() -> None:
    node = start_node(LAPTOP)
    client = as_("otto")
    refused = client.delete(f"/api/v1/nodes/{LAPTOP}")
    assert refused.status_code == 409
    assert "is online" in refused.json()["error"]["message"]
    unit = holds(node)
    stop_node(node)
    assert "still holds work" in client.delete(f"/api/v1/nodes/{LAPTOP}").json()["error"]["message"]
    Attempt.objects.filter(unit=unit).update(outcome="expired")
    assert client.delete(f"/api/v1/nodes/{LAPTOP}").status_code == 204
    assert client.get(f"/api/v1/nodes/{LAPTOP}").status_code == 404
    assert Attempt.objects.get(unit=unit).node_name == LAPTOP


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("delete", ""), ("post", "/drain"), ("post", "/undrain")])
def test_one_that_is_not_there_is_named(method: str, path: str) -> None:
    response = getattr(as_("otto"), method)(f"/api/v1/nodes/nowhere{path}")
    assert response.status_code == 404
    assert "nowhere" in response.json()["error"]["message"]
    assert getattr(as_("otto"), method)(f"/api/v1/nodes/no%00where{path}").status_code == 404


def test_a_viewer_changes_nothing() -> None:
    start_node(WORKSTATION)
    for method, path in (("delete", ""), ("post", "/drain"), ("post", "/undrain")):
        assert getattr(as_("vera"), method)(f"/api/v1/nodes/{WORKSTATION}{path}").status_code == 403
        assert getattr(Client(), method)(f"/api/v1/nodes/{WORKSTATION}{path}").status_code == 401
    assert not Node.objects.get(name=WORKSTATION).drained

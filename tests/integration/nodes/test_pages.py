"""Pages of machines."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from clustercore.access.models import AuditEntry
from clustercore.nodes import views
from clustercore.nodes.adapters.model_store import StoredModel
from clustercore.nodes.models import Node, NodeModel
from tests.cast import PI, WORKSTATION, start_node, stop_node
from tests.people import person

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def as_(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def page(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content[:500]
    return str(response.content.decode())


def test_without_machines_it_says_how_to_add_one_and_no_password() -> None:
    text = page(as_("vera"), "/nodes/")
    assert "No machine has joined yet" in text
    assert "clustercore up -d --listen" in text
    assert "clustercore node</code>" in text
    assert "postgresql://" not in text
    assert "redis://" not in text


def test_each_machine_says_what_it_can_do_and_why_it_does_not() -> None:
    start_node(WORKSTATION)
    Node.objects.filter(pk=start_node(PI).pk).update(hold_reason="on battery: plug it in with `<care>`")
    text = page(as_("vera"), "/nodes/")
    assert "faster-whisper:large-v3" in text
    assert "plug it in with <code>&lt;care&gt;</code>" in text


def test_a_machine_that_is_gone_stands_apart_and_says_when_it_was_seen() -> None:
    node = start_node(PI)
    stop_node(node)
    text = page(as_("vera"), "/nodes/")
    assert text.index("Away") < text.index(f'id="node-{node.pk}-card"')
    assert "Last seen" in text


def test_one_machine_tells_of_models_self_tests_and_the_device_that_was_really_used() -> None:
    node = start_node(WORKSTATION)
    NodeModel.objects.create(
        node=node,
        capability="stt",
        engine="vosk",
        model="de",
        usable=False,
        reason="damaged: `clustercore models pull`",
    )
    result = {"passed": True, "note": "", "device": "cuda", "seconds": 0.5, "real_time_factor": 0.05}
    Node.objects.filter(pk=node.pk).update(self_test={"models": {"faster-whisper:large-v3": result}})
    text = page(as_("vera"), "/nodes/workstation/")
    assert "Self-test passed" in text
    assert "<strong>cuda</strong> · 20x real time" in text
    assert "damaged: <code>clustercore models pull</code>" in text


def test_a_machine_that_nobody_knows_is_not_found() -> None:
    page(as_("vera"), "/nodes/nobody/", 404)


def test_draining_is_done_said_and_recorded_and_offered_back() -> None:
    node = start_node(PI)
    client = as_("otto")
    response = client.post("/nodes/pi/drain/", follow=True)
    assert "takes nothing new" in response.content.decode()
    assert 'action="/nodes/pi/undrain/"' in response.content.decode()
    node.refresh_from_db()
    assert node.drained
    client.post("/nodes/pi/undrain/")
    node.refresh_from_db()
    assert not node.drained
    done = list(AuditEntry.objects.order_by("seq").values_list("actor", "action", "target"))
    assert done == [("otto", "nodes.drain", "node pi"), ("otto", "nodes.undrain", "node pi")]


@pytest.mark.parametrize("verb", ["drain", "undrain", "forget"])
def test_a_viewer_is_offered_nothing_and_refused(verb: str) -> None:
    start_node(PI)
    client = as_("vera")
    assert not re.search(r'action="/nodes/pi/', page(client, "/nodes/pi/"))
    assert client.post(f"/nodes/pi/{verb}/").status_code == 403
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("verb", ["drain", "undrain", "forget"])
def test_what_nobody_knows_cannot_be_acted_on_and_a_link_does_nothing(verb: str) -> None:
    client = as_("otto")
    assert client.post(f"/nodes/nobody/{verb}/").status_code == 404
    assert client.get(f"/nodes/nobody/{verb}/").status_code == 405


def test_a_machine_that_is_here_cannot_be_forgotten_and_one_that_is_gone_can() -> None:
    node = start_node(PI)
    client = as_("otto")
    assert "stop it first" in client.post("/nodes/pi/forget/", follow=True).content.decode()
    Node.objects.filter(pk=node.pk).update(last_seen=timezone.now() - timedelta(days=1), online=False)
    assert 'action="/nodes/pi/forget/"' in page(client, "/nodes/pi/")
    assert "off the list" in client.post("/nodes/pi/forget/", follow=True).content.decode()
    assert not Node.objects.exists()


def test_a_hub_that_runs_from_a_clone_still_shows_its_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise PackageNotFoundError("clustercore")

    monkeypatch.setattr(views, "own_wheel", missing)
    text = page(as_("vera"), "/nodes/")
    assert "in a clone of this hub" in text
    assert "/install/" not in text


def test_what_could_be_brought_is_read_only_for_those_who_may_bring_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def none_lies_here(directory: Path) -> list[StoredModel]:
        read.append(directory)
        return []

    monkeypatch.setattr(views, "list_models", none_lies_here)
    page(as_("vera"), "/nodes/")
    assert read == []
    page(as_("otto"), "/nodes/")
    assert len(read) == 1

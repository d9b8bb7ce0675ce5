"""The rows that nodes write, and what is read from them."""

from __future__ import annotations

import os
from datetime import timedelta
from uuid import UUID, uuid4

import psutil
import pytest
from django.db import DatabaseError, transaction
from django.db.models.functions import Now

from clustercore.nodes import selectors, services
from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.facts import Gpu, Hardware, NodeFacts
from clustercore.nodes.domain.inventory import Inventory, TieredModel
from clustercore.nodes.domain.ledger import NameTakenError, TooOldError
from clustercore.nodes.models import Node, NodeModel

pytestmark = [pytest.mark.services, pytest.mark.django_db]

LARGE = TieredModel(ModelRecord(capability="stt", engine="whisper", model="large", traits=("lang:*",)), 5)
ENGLISH = TieredModel(ModelRecord(capability="stt", engine="sphinx", model="en", traits=("lang:en",)), 0)
MISSING = TieredModel(ModelRecord(capability="tts", engine="piper", model="x", usable=False, reason="download it"), 0)
GONE_PROCESS = 2**22 + 1


KNOWN = ("sums/plan/1", "sums/part/2")


def facts(name: str, instance: UUID | None = None, *, process_id: int = GONE_PROCESS, host: str = "pc") -> NodeFacts:
    hardware = Hardware(
        hostname=host,
        boot_id="boot",
        operating_system="Linux 6",
        architecture="x86_64",
        cores=4,
        memory_mb=8000,
        gpus=(Gpu("H200", 140_000, "570"),),
    )
    return NodeFacts(
        name=name,
        instance=instance or uuid4(),
        process_id=process_id,
        hardware=hardware,
        version="0.1.0",
        slots=2,
        heartbeat_seconds=5.0,
        contracts=KNOWN,
    )


def register(name: str, *records: TieredModel, **changes: int | str) -> Node:
    node: Node = services.register_node(facts(name, **changes), Inventory(records, {}))  # type: ignore[arg-type]
    return node


def age(node: Node, seconds: float) -> None:
    Node.objects.filter(pk=node.pk).update(last_seen=Now() - timedelta(seconds=seconds))


def test_a_node_is_written_with_its_machine_and_its_models() -> None:
    node = register("pc", LARGE, MISSING)
    node.refresh_from_db()
    assert (node.capabilities, node.cores, node.gpus[0]["name"]) == (["any", "stt"], 4, "H200")
    assert node.contracts == list(KNOWN)
    assert [(m.model, m.rung, m.usable) for m in selectors.inventory_of(node.pk)] == [
        ("large", 5, True),
        ("x", 0, False),
    ]


def test_the_same_node_keeps_its_row_its_drain_and_its_self_test() -> None:
    first = register("pc", LARGE)
    services.drain("pc")
    services.record_self_test(first.pk, {"models": {}})
    again = register("pc", ENGLISH)
    again.refresh_from_db()
    assert (again.pk, again.drained, again.self_test) == (first.pk, True, {"models": {}})
    assert [model.engine for model in NodeModel.objects.filter(node=again)] == ["sphinx"]


def test_a_name_in_use_on_another_machine_is_refused() -> None:
    register("pc", LARGE)
    with pytest.raises(NameTakenError, match="--name OTHER"):
        register("pc", LARGE, host="another")


def test_a_name_in_use_by_a_living_process_of_this_machine_is_refused() -> None:
    register("pc", LARGE, process_id=psutil.Process(os.getpid()).ppid())
    with pytest.raises(NameTakenError):
        register("pc", LARGE)


def test_a_name_is_free_once_its_holder_is_silent_or_offline() -> None:
    node = register("pc", LARGE)
    age(node, 12)
    other = register("pc", LARGE, host="another")
    services.go_offline(other.pk, other.instance)
    assert register("pc", LARGE, host="third").hostname == "third"


def test_a_beat_tells_the_reasons_and_brings_the_drain() -> None:
    node = register("pc", LARGE)
    age(node, 100)
    services.drain("pc")
    answer = services.beat(node.pk, node.instance, "hot " * 200, "better nodes are free")
    node.refresh_from_db()
    assert (answer.known, answer.drained) == (True, True)
    assert len(node.hold_reason) == 400
    assert node in selectors.live_nodes()


def test_a_beat_of_a_process_that_lost_the_name_is_not_known() -> None:
    node = register("pc", LARGE)
    assert not services.beat(node.pk, uuid4(), "", "").known


def test_two_missed_beats_make_a_node_offline_and_one_does_not() -> None:
    silent, late, well = register("silent", LARGE), register("late", LARGE), register("well", LARGE)
    age(silent, 11.5)
    age(late, 9)
    assert set(selectors.live_nodes()) == {late, well}
    assert services.mark_silent_nodes_offline() == 1
    assert set(Node.objects.filter(online=True)) == {late, well}


def test_the_best_rung_depends_on_the_language_and_on_who_lives() -> None:
    big = register("big", LARGE)
    register("small", ENGLISH)
    assert selectors.best_live_rung("stt") == 5
    assert selectors.best_live_rung("stt", ["lang:de"]) == 5
    age(big, 60)
    assert selectors.best_live_rung("stt", ["lang:en"]) == 0
    assert selectors.best_live_rung("stt", ["lang:de"]) is None
    assert selectors.best_live_rung("tts") is None


def test_a_drained_node_serves_nobody() -> None:
    register("big", LARGE)
    assert services.drain("big")
    assert selectors.best_live_rung("stt") is None
    assert not selectors.nodes_serving("stt").exists()
    assert selectors.live_capabilities() == []
    assert services.undrain("big")
    assert selectors.live_capabilities() == ["stt"]
    assert not services.drain("nobody")


def test_a_held_node_lives_but_does_not_work() -> None:
    node = register("big", LARGE)
    services.beat(node.pk, node.instance, "too hot", "")
    assert node in selectors.live_nodes()
    assert node not in selectors.working_nodes()


def test_an_inventory_can_change_while_the_node_runs() -> None:
    node = register("big", ENGLISH)
    services.update_inventory(node.pk, Inventory((LARGE, ENGLISH), {}))
    assert selectors.best_live_rung("stt") == 5


def as_a_worker_of_before(name: str) -> dict[str, object]:
    """What it writes of itself: all that it knows of."""
    unknown = ("protocol", "protocol_instance", "contracts")
    columns = services._columns(facts(name), Inventory((), {}))
    return {column: value for column, value in columns.items() if column not in unknown}


@pytest.mark.parametrize("known_before", [False, True])
def test_a_worker_that_does_not_say_its_rules_is_refused_and_told_what_to_install(known_before: bool) -> None:
    if known_before:
        register("pc", LARGE)
    with transaction.atomic(), pytest.raises(DatabaseError, match="install the hub's version here"):
        Node.objects.update_or_create(name="pc", defaults=as_a_worker_of_before("pc"))


def test_a_worker_of_older_rules_hears_that_from_its_own_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PROTOCOL", 0)
    with transaction.atomic(), pytest.raises(TooOldError, match="newer version of clustercore"):
        register("pc", LARGE)


def test_what_a_node_writes_after_it_registered_is_not_asked_for_its_rules() -> None:
    node = register("pc", LARGE)
    assert services.beat(node.pk, node.instance, "", "").known
    services.record_self_test(node.pk, {"models": {}})
    node.refresh_from_db()
    node.save()
    services.go_offline(node.pk, node.instance)

"""What a worker process leaves behind when it dies: a crash only where the machine went on standing."""

from __future__ import annotations

from uuid import uuid4

import pytest

from clustercore.jobs.models import Attempt, Unit
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.leases import end_left_behind
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.integration.jobs.conftest import with_parts

pytestmark = pytest.mark.services


def taken_by(node: Node) -> Claimed:
    found = claim(as_claimant(node))
    assert found is not None
    return found


def strikes() -> list[int]:
    return list(Unit.objects.filter(stage="part").order_by("ordinal").values_list("strikes", flat=True))


def test_a_process_that_registers_again_proves_that_its_predecessor_crashed() -> None:
    with_parts(1)
    taken_by(start_node(LAPTOP))
    successor = start_node(LAPTOP)
    assert end_left_behind(LAPTOP, successor.boot_id, successor.instance, None) == 1
    assert strikes() == [1]
    assert end_left_behind(LAPTOP, successor.boot_id, successor.instance, None) == 0


def test_a_power_cut_is_no_strike_however_often_it_happens() -> None:
    with_parts(1)
    for boot in range(5):
        Node.objects.filter(pk=start_node(LAPTOP).pk).update(boot_id=f"boot {boot}")
        node = Node.objects.get(name=LAPTOP)
        Unit.objects.update(run_after=None, avoid_node=None, avoid_until=None)
        held = taken_by(node)
        # The row in `nodes` says already what the machine is after its start.
        start_node(LAPTOP)
        Node.objects.filter(pk=node.pk).update(boot_id=f"boot {boot + 1}")
        assert end_left_behind(LAPTOP, f"boot {boot + 1}", uuid4(), None) == 0
        assert Attempt.objects.get(pk=held.attempt_id).outcome == "live"
        Attempt.objects.update(outcome="expired")
        Unit.objects.filter(state="leased").update(state="queued")
    assert strikes() == [0]


def test_only_the_suspected_piece_is_struck_and_the_others_are_handed_back() -> None:
    with_parts(3)
    node = start_node(LAPTOP)
    held = [taken_by(node) for _ in range(3)]
    successor = start_node(LAPTOP)
    ended = end_left_behind(LAPTOP, successor.boot_id, successor.instance, {held[1].key})
    assert ended == 3
    assert strikes() == [0, 1, 0]
    outcomes = Attempt.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["handed_back", "crashed", "handed_back"]
    assert set(Unit.objects.filter(stage="part").values_list("state", flat=True)) == {"queued"}


def test_what_other_nodes_hold_is_left_to_them() -> None:
    with_parts(1, min_rung=0)
    taken_by(start_node(WORKSTATION))
    node = start_node(LAPTOP)
    assert end_left_behind(LAPTOP, node.boot_id, node.instance, None) == 0


def test_a_claimant_that_the_ledger_does_not_know_by_its_instance_gets_nothing() -> None:
    with_parts(1)
    before = start_node(LAPTOP)
    start_node(LAPTOP)
    assert claim(as_claimant(before)) is None

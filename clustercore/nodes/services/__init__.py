"""Writing: what nodes say of themselves and what operators ask of them. All times are the database's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.functions import Least, Now

from clustercore.access.domain.errors import Conflict
from clustercore.nodes.adapters.hardware import process_is_alive
from clustercore.nodes.domain.engine import JsonObject
from clustercore.nodes.domain.facts import BEAT_SLACK_SECONDS, MISSED_BEATS, PROTOCOL, BeatAnswer, NodeFacts
from clustercore.nodes.domain.inventory import Inventory, TieredModel
from clustercore.nodes.domain.ledger import NameTakenError, TooOldError
from clustercore.nodes.domain.node_status import NodeWork, work_by_node
from clustercore.nodes.models import Node, NodeModel
from clustercore.nodes.selectors import heard_of, live_nodes

REASON_CHARACTERS = 400
# Said by every node every few seconds for as long as it runs: building them anew costs ten times what they do.
_BEAT = """
UPDATE nodes_node SET last_seen = statement_timestamp(), online = true, hold_reason = %s, idle_reason = %s
WHERE id = %s AND instance = %s RETURNING drained
"""
_MARK_SILENT = """
UPDATE nodes_node SET online = false
WHERE online AND last_seen < statement_timestamp() - (heartbeat_seconds * %s + %s) * interval '1 second'
"""

TOO_OLD = "CC001"
"""The SQLSTATE of the database's refusal; see the migration `0004_protocol`."""


def register_node(facts: NodeFacts, inventory: Inventory) -> Node:
    """Writes the node's row, by its name.

    Raises NameTakenError while another live process holds the name, TooOldError where the hub is of a newer version.
    """
    try:
        return _register(facts, inventory)
    except DatabaseError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        if diagnosis is None or diagnosis.sqlstate != TOO_OLD:
            raise
        raise TooOldError(diagnosis.message_primary) from error


@transaction.atomic
def _register(facts: NodeFacts, inventory: Inventory) -> Node:
    holder = Node.objects.select_for_update().filter(name=facts.name).exclude(instance=facts.instance).first()
    if holder is not None and _is_running(holder, facts):
        raise NameTakenError(facts.name, holder.hostname, holder.process_id)
    node, _ = Node.objects.update_or_create(name=facts.name, defaults=_columns(facts, inventory))
    _replace_models(node.pk, inventory.models)
    return node


@transaction.atomic
def update_inventory(node_id: int, inventory: Inventory) -> None:
    """Replaces what the node can serve."""
    Node.objects.filter(pk=node_id).update(capabilities=list(inventory.capabilities()))
    _replace_models(node_id, inventory.models)


def beat(node_id: int, instance: UUID, hold_reason: str, idle_reason: str) -> BeatAnswer:
    """Says that this process lives and why it takes no work, if it does not."""
    reasons = hold_reason[:REASON_CHARACTERS], idle_reason[:REASON_CHARACTERS]
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, [*reasons, node_id, instance])
        row = cursor.fetchone()
    return BeatAnswer(known=row is not None, drained=row is not None and row[0])


def mark_silent_nodes_offline() -> int:
    """Nodes that missed two beats are offline; how many that were just now."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK_SILENT, [MISSED_BEATS, BEAT_SLACK_SECONDS])
        return int(cursor.rowcount)


def shift_last_seen(step: float) -> None:
    """Moves what nodes were last heard of by a step of the database's clock, in seconds; never into the future."""
    moved = ExpressionWrapper(F("last_seen") + timedelta(seconds=step), output_field=DateTimeField())
    heard = Node.objects.filter(online=True) if step > 0 else Node.objects.filter(last_seen__gt=Now())
    heard.update(last_seen=Least(moved, Now()))


def go_offline(node_id: int, instance: UUID) -> None:
    """The worker process ends in order."""
    Node.objects.filter(pk=node_id, instance=instance).update(online=False, hold_reason="stopped", idle_reason="")


def drain(name: str) -> bool:
    """The node finishes what it has and takes nothing new; False when there is no such node."""
    return bool(Node.objects.filter(name=name).update(drained=True))


def undrain(name: str) -> bool:
    """The node may take work again; False when there is no such node."""
    return bool(Node.objects.filter(name=name).update(drained=False))


class StillThere(Conflict):
    """A node that lives or holds work cannot be forgotten; the message says what to do."""

    code = "still_there"


@transaction.atomic
def forget(name: str) -> bool:
    """Deletes the row of a node that is offline; False when there is no such node. Raises StillThere.

    What it did stays told with its jobs. Should it come back, it registers anew.
    """
    node = Node.objects.select_for_update().filter(name=name).first()
    if node is None:
        return False
    if live_nodes().filter(pk=node.pk).exists():
        raise StillThere(f"node {name} is online: stop it first, or drain it if it is only to rest")
    if work_by_node().get(node.pk, NodeWork()).holdings:
        raise StillThere(f"node {name} still holds work, which goes to others within a minute: try again then")
    node.delete()
    return True


def recorded_self_test(node_id: int) -> JsonObject:
    """The results of the latest self-test; empty if there was none."""
    found: JsonObject | None = Node.objects.filter(pk=node_id).values_list("self_test", flat=True).first()
    return found or {}


def record_self_test(node_id: int, results: JsonObject) -> None:
    """Keeps the results of the latest self-test."""
    Node.objects.filter(pk=node_id).update(self_test=dict(results))


def _is_running(holder: Node, facts: NodeFacts) -> bool:
    if not Node.objects.filter(heard_of(), pk=holder.pk, online=True).exists():
        return False
    same_machine = (holder.hostname, holder.boot_id) == (facts.hardware.hostname, facts.hardware.boot_id)
    # A worker that was killed on this very machine need not be waited for: its process is gone.
    return not same_machine or process_is_alive(holder.process_id)


def _columns(facts: NodeFacts, inventory: Inventory) -> dict[str, Any]:
    hardware = facts.hardware
    return {
        "hostname": hardware.hostname,
        "instance": facts.instance,
        "boot_id": hardware.boot_id,
        "process_id": facts.process_id,
        "protocol": PROTOCOL,
        "protocol_instance": facts.instance,
        "operating_system": hardware.operating_system,
        "architecture": hardware.architecture,
        "cores": hardware.cores,
        "memory_mb": hardware.memory_mb,
        "gpus": [asdict(gpu) for gpu in hardware.gpus],
        "version": facts.version,
        "slots": facts.slots,
        "capabilities": list(inventory.capabilities()),
        "contracts": list(facts.contracts),
        "hold_reason": "",
        "idle_reason": "",
        "online": True,
        "heartbeat_seconds": facts.heartbeat_seconds,
        "last_seen": Now(),
        "started": Now(),
    }


def _replace_models(node_id: int, models: Iterable[TieredModel]) -> None:
    NodeModel.objects.filter(node_id=node_id).delete()
    NodeModel.objects.bulk_create(_row(node_id, model) for model in models)


def _row(node_id: int, model: TieredModel) -> NodeModel:
    record = model.record
    return NodeModel(
        node_id=node_id,
        capability=record.capability,
        engine=record.engine,
        model=record.model,
        traits=list(record.traits),
        rung=model.rung,
        memory_mb=record.memory_mb,
        usable=record.usable,
        reason=record.reason[:REASON_CHARACTERS],
    )

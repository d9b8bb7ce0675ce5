"""What runs where, and what was done lately."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt
from clustercore.jobs.selectors.node_load import minutes_of_the_last_hour
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.leases import extend_leases
from clustercore.jobs.services.settle import settle
from clustercore.nodes.models import Node
from clustercore.nodes.selectors import node_statuses
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node, stop_node
from tests.integration.jobs.conftest import with_parts

SERVED = {"engine": "faster-whisper", "model": "small", "rung": 3, "seconds": 2.0, "audio_seconds": 8.0}


def test_a_node_shows_what_it_holds_and_what_it_did_in_the_last_hour() -> None:
    node = start_node(LAPTOP, slots=2)
    job, parts = with_parts(2)
    first, second = claim(as_claimant(node)), claim(as_claimant(node))
    assert first is not None and second is not None
    settle(first.key, Done({}), served_by=SERVED)
    extend_leases(node.instance, {second.key: 0.25}, 20.0)

    [shown] = node_statuses()

    assert (shown.condition, shown.busy, shown.slots) == ("online", 1, 2)
    [held] = shown.work.holdings
    assert (held.job_id, held.unit_id, held.stage, held.progress) == (job.pk, parts[1].pk, "part", 0.25)
    assert (shown.work.done, shown.work.audio_seconds, shown.work.speed) == (1, 8.0, 4.0)


def test_what_ended_more_than_an_hour_ago_is_not_recent() -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    taken = claim(as_claimant(node))
    assert taken is not None
    settle(taken.key, Done({}), served_by=SERVED)
    Attempt.objects.update(ended=F("ended") - timedelta(minutes=61))
    assert node_statuses()[0].work.done == 0
    assert minutes_of_the_last_hour() == []


def test_the_last_hour_is_told_minute_by_minute_with_the_idle_ones() -> None:
    node = start_node(LAPTOP)
    with_parts(2)
    for _ in range(2):
        taken = claim(as_claimant(node))
        assert taken is not None
        settle(taken.key, Done({}), served_by=SERVED)
    minutes = minutes_of_the_last_hour()
    assert len(minutes) == 60
    assert [minute.at for minute in minutes] == sorted(minute.at for minute in minutes)
    assert (sum(minute.done for minute in minutes), sum(minute.audio_seconds for minute in minutes)) == (2, 16.0)


def test_live_nodes_come_first_and_each_says_why_it_does_not_work() -> None:
    laptop, workstation = start_node(LAPTOP), start_node(WORKSTATION)
    stop_node(laptop)
    Node.objects.filter(pk=workstation.pk).update(drained=True)
    shown = {node.name: node for node in node_statuses()}
    assert list(shown) == [WORKSTATION, LAPTOP]
    assert (shown[WORKSTATION].condition, shown[LAPTOP].condition) == ("draining", "offline")
    assert "no contact" in shown[LAPTOP].why
    assert [model.label for model in shown[LAPTOP].models] == ["faster-whisper:small"]

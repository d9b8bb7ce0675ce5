"""Holds that end by themselves, and slots that renew them meanwhile."""

from __future__ import annotations

import threading

import pytest

from clustercore.nodes.adapters import intake as intake_module
from clustercore.nodes.adapters.intake import Intake
from clustercore.nodes.domain.consumption import Hold, unexpired
from tests.fakes.nodes.ledger import RememberedConsumer


def an_intake() -> tuple[Intake, RememberedConsumer]:
    consumer = RememberedConsumer()
    intake = Intake("one", 2, consumer, lambda: ("echo",), says=lambda: None)  # type: ignore[arg-type]
    intake.release("start")
    return intake, consumer


def test_what_is_held_or_released_reaches_the_consumer_at_once() -> None:
    intake, consumer = an_intake()
    assert consumer.wanted.queues == {"cap.echo", "node.one"}
    intake.hold("heat", "87 degrees")
    assert consumer.wanted.queues == frozenset()
    intake.release("heat")
    assert consumer.wanted.queues == {"cap.echo", "node.one"}


def test_a_row_that_says_drained_holds_and_one_that_does_not_ends_that() -> None:
    intake, _ = an_intake()
    intake.hold("name", "another process took the name")
    intake.obey(drained=True)
    assert intake.hold_reason == "drained by an operator"
    intake.obey(drained=False)
    assert intake.is_open


def test_a_hold_that_a_slot_renews_while_the_old_one_ends_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    intake, _ = an_intake()
    intake.hold("shortage", "no memory left", seconds=0.0)
    renewing = threading.Thread(target=intake.hold, args=("shortage", "no memory left", 60.0))

    def renewed_meanwhile(holds: dict[str, Hold], now: float) -> dict[str, Hold]:
        left = unexpired(holds, now)
        renewing.start()
        renewing.join(0.2)
        return left

    monkeypatch.setattr(intake_module, "unexpired", renewed_meanwhile)
    intake.end_expired_holds()
    renewing.join(10)
    assert intake.hold_reason == "no memory left"

"""What the worker counts as in hand while its broker cannot write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import ResponseError

from clustercore.nodes.adapters.transport import Channel, QoS

TAG = "the message in hand"


TROUBLES = [ResponseError("MISCONF Errors writing to the AOF file"), Unreachable("gone"), RuntimeError("a bug")]


@pytest.fixture(params=TROUBLES, ids=repr)
def in_hand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> QoS:
    """The one message that the worker may have in hand, at a server that takes nothing down."""

    def refuse(*_: object, **__: object) -> Any:
        raise request.param

    monkeypatch.setattr(QoS, "pipe_or_acquire", refuse)
    monkeypatch.setattr(QoS, "restore_by_tag", refuse)
    counted: Any = QoS(None, prefetch_count=1)
    counted._on_collect.cancel()
    counted._delivered[TAG] = object()
    assert not counted.can_consume()
    found: QoS = counted
    return found


@pytest.mark.parametrize("end", [lambda qos: qos.ack(TAG), lambda qos: qos.reject(TAG)])
def test_a_message_that_is_over_makes_room_for_the_next_though_the_server_takes_nothing_down(
    in_hand: QoS, end: Callable[[QoS], None]
) -> None:
    with pytest.raises((ResponseError, Unreachable, RuntimeError)):
        end(in_hand)
    assert in_hand.can_consume()


def test_a_message_that_could_not_be_put_back_is_kept_to_be_put_back_when_its_connection_is_closed(
    in_hand: QoS,
) -> None:
    with pytest.raises((ResponseError, Unreachable, RuntimeError)):
        in_hand.reject(TAG, requeue=True)
    assert not in_hand.can_consume()
    assert TAG in cast(Any, in_hand)._delivered


def test_the_channel_of_a_worker_counts_so() -> None:
    assert Channel.QoS is QoS

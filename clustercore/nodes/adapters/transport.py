"""The Redis transport with a doorkeeper: a malformed message is put aside and counted, and the worker goes on.

kombu decodes whatever lies in a list inside its event loop, so one broken line ends the worker, and the next worker,
and so on. Here every popped item is checked before kombu sees it. Nothing is ever unpickled.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as redis_transport
from kombu.utils.json import loads
from redis.exceptions import ResponseError

from clustercore.nodes.adapters.broker_credentials import located
from clustercore.nodes.domain.messages import (
    HEAD_BYTES,
    MAXIMUM_MESSAGE_BYTES,
    REJECTED_KEPT,
    REJECTED_KEY,
    REJECTED_TOTAL_KEY,
    fault_in_envelope,
    fault_in_task,
)
from clustercore.nodes.domain.queues import carries_units

logger = logging.getLogger(__name__)

BROKER_ABSENCES: tuple[type[Exception], ...] = (*redis_transport.Transport.connection_errors, ResponseError)
"""What the broker's absence looks like. One that answers and refuses to write (its disk or its memory is full) is as
good as away: who waits for its connection, as for a lost one, goes on when there is room."""


def fault_in_item(item: bytes, queue: str) -> str:
    """Why a popped item is not a message for `queue`; empty if it is one."""
    if len(item) > MAXIMUM_MESSAGE_BYTES:
        return f"the message has {len(item)} bytes, at most {MAXIMUM_MESSAGE_BYTES} are read"
    try:
        envelope = loads(item.decode())
        fault = fault_in_envelope(envelope)
        if fault or not carries_units(queue):
            return fault
        return fault_in_task(envelope["headers"], _body(envelope))
    # Decoders of dates, numbers and the like raise all sorts; deep nesting raises RecursionError.
    except Exception as error:
        return f"it cannot be decoded: {type(error).__name__}: {str(error)[:200]}"


def _body(envelope: dict[str, Any]) -> Any:
    body: str = envelope["body"]
    if envelope["properties"].get("body_encoding") == "base64":
        body = base64.b64decode(body, validate=True).decode()
    return loads(body)


def put_aside(channel: Any, queue: str, item: bytes, reason: str) -> None:
    """Keeps the head of a refused message in a bounded list, counts it, and says so. Never raises for a lost server."""
    head = item[:HEAD_BYTES].decode(errors="replace")
    logger.warning("A message in %s is refused: %s. It begins: %.120r", queue, reason, head)
    note = json.dumps({"queue": queue, "reason": reason, "bytes": len(item), "head": head, "at": time.time()})
    try:
        with channel.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.lpush(REJECTED_KEY, note).ltrim(REJECTED_KEY, 0, REJECTED_KEPT - 1).incr(REJECTED_TOTAL_KEY).execute()
    except channel.connection_errors as error:
        logger.warning("The refused message could not be counted: %s", error)


class QoS(redis_transport.QoS):
    """Counts what the worker has in hand. A message that is over is over, also where the server cannot write that down:
    the worker takes no more than it has slots, and would wait for ever for one that it still counts. One that is to be
    served elsewhere is not over: it stays counted, and is put back when its connection is closed."""

    def ack(self, delivery_tag: str) -> None:
        with self._over_all_the_same(delivery_tag):
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if requeue:
            super().reject(delivery_tag, requeue=True)
            return
        with self._over_all_the_same(delivery_tag):
            super().reject(delivery_tag)

    @contextmanager
    def _over_all_the_same(self, delivery_tag: str) -> Iterator[None]:
        """What the server keeps comes again after the visibility time-out, and finds nothing to do."""
        try:
            yield
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis_transport.Channel):
    """A channel that delivers well-formed messages only, and forgets those that are over."""

    QoS = QoS

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        return located(super()._connparams(asynchronous))  # type: ignore[misc]

    def _get_client(self) -> Any:
        channel = self
        base = super()._get_client()  # type: ignore[misc]

        class DoorkeeperClient(base):  # type: ignore[misc,valid-type]
            """Looks at what BRPOP popped; kombu takes nothing for an empty queue."""

            def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
                response = super().parse_response(connection, command_name, **options)
                if command_name == "BRPOP" and response and not channel._admits(*response):
                    return None
                return response

        return DoorkeeperClient

    def _admits(self, key: bytes | str, item: bytes | str) -> bool:
        name = key.decode(errors="replace") if isinstance(key, bytes) else key
        queue = name.rsplit(self.sep, 1)[0]
        raw = item if isinstance(item, bytes) else item.encode()
        if reason := fault_in_item(raw, queue):
            put_aside(self, queue, raw, reason)
            return False
        return True

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:
        if reason := fault_in_envelope(message):
            logger.warning("A broadcast on %s is refused: %s", exchange, reason)
            return False
        return bool(super()._deliver_fanout_message(message, exchange))  # type: ignore[misc]


class Transport(redis_transport.Transport):
    """Stands in for kombu's, see `guard_redis`."""

    Channel = Channel
    connection_errors = BROKER_ABSENCES


def guard_redis() -> None:
    """Makes this the transport of all `redis://` and `rediss://` URLs, before the first connection.

    An entry in kombu's table, not a transport of another name: tools such as Flower look at the URL's scheme.
    """
    path = f"{Transport.__module__}:{Transport.__qualname__}"
    TRANSPORT_ALIASES.update(redis=path, rediss=path)

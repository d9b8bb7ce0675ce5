"""Celery's consumer, hardened: no single message, however odd, ends the worker; each refused one is counted.

It tells of tasks only while somebody listens: who does, as Flower, asks for that every few seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer
from celery.worker.control import Panel, control_command
from kombu.exceptions import MessageStateError

from clustercore.nodes.adapters.transport import put_aside

logger = logging.getLogger(__name__)

LONGEST_RECONNECT_SECONDS = 5.0
"""Celery's own pauses grow to half a minute, which a node would then take nothing for although the broker is back."""
LISTENED_SECONDS = 180.0
"""Who listens asks again and again; who has not asked for so long was killed."""
TASK_EVENTS = "task"
"""Celery's name for the group of events that tell of tasks."""


class TolerantConsumer(Consumer):
    """`CELERY_WORKER_CONSUMER`."""

    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]
    event_dispatcher: Any
    timer: Any
    _silence: Any = None
    """The timer's entry that ends the telling of tasks."""

    def tell_of_tasks(self) -> None:
        """Goes on to tell of tasks for a while."""
        if self._silence is not None:
            self.timer.cancel(self._silence)
        self._silence = self.timer.call_after(LISTENED_SECONDS, self._fall_silent)

    def _fall_silent(self) -> None:
        if self.event_dispatcher is not None and TASK_EVENTS in self.event_dispatcher.groups:
            self.event_dispatcher.groups.discard(TASK_EVENTS)
            logger.info("nobody listens to events any more: no more are sent of tasks")

    def ensure_connected(self, connection: Any) -> Any:
        connection.ensure_connection = partial(connection.ensure_connection, interval_max=LONGEST_RECONNECT_SECONDS)
        return super().ensure_connected(connection)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._refuse(message, f"it cannot be decoded: {exc}")

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        self._refuse(message, "it is not a task")

    def on_unknown_task(self, _body: Any, message: Any, _exc: Exception) -> None:
        self._refuse(message, f"this node knows no task {str(message.headers.get('task'))[:80]!r}")

    def on_invalid_task(self, _body: Any, message: Any, exc: Exception) -> None:
        self._refuse(message, f"it is not valid: {exc}")

    def create_task_handler(self, *arguments: Any, **keywords: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*arguments, **keywords)

        def on_task_received(message: Any) -> None:
            try:
                handle(message)
            except self.connection_errors + self.channel_errors as error:
                if not isinstance(error, KeyError):
                    raise
                self._refuse(message, f"a header is missing: {error}")
            except Exception as error:
                self._refuse(message, f"it is not valid: {type(error).__name__}: {error}")

        return on_task_received

    def _refuse(self, message: Any, reason: str) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        queue = str((message.delivery_info or {}).get("routing_key", "?"))
        put_aside(message.channel, queue, body, reason[:300])
        try:
            message.reject_log_error(logger, self.connection_errors)
        except MessageStateError:
            logger.debug("the refused message was acknowledged before")


_enable_events = Panel.data["enable_events"]


@control_command(name="enable_events")
def enable_events(state: Any) -> Any:
    """Tell worker(s) to send task-related events, for three minutes from each time that they are told."""
    answer = _enable_events(state)
    state.consumer.tell_of_tasks()
    return answer

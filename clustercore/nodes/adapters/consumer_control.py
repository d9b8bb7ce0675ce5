"""Celery's consumer, brought to the wanted queues and prefetch from its own loop, again after each reconnect."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from clustercore.nodes.domain.consumption import Consumption
from clustercore.nodes.domain.queues import carries_units

logger = logging.getLogger(__name__)

START_SECONDS = 5.0
"""What a broker that is well may need until it is consumed from."""


class ConsumerControl:
    """Changes what a Celery worker consumes. Safe to call from any thread: the consumer is touched by its own alone."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    @property
    def ready(self) -> bool:
        """Whether the worker is connected and consumes."""
        consumer = self._consumer()
        return bool(consumer and getattr(consumer, "task_consumer", None) and getattr(consumer, "qos", None))

    def becomes_ready(self, ended: threading.Event) -> bool:
        """Whether the worker consumes within the time that this takes where the broker is well."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready and time.monotonic() < deadline and not ended.wait(0.05):
            pass
        return self.ready

    def apply(self, wanted: Consumption) -> None:
        """Brings the consumer to `wanted` within milliseconds; does nothing while there is no connection."""
        consumer = self._consumer()
        if consumer is not None and self.ready and not self._fits(consumer, wanted):
            consumer.call_soon(self._change, consumer, wanted)

    def wake(self) -> None:
        """Lets the worker's loop look at its flags now."""
        consumer = self._consumer()
        if consumer is not None:
            consumer.call_soon(lambda: None)

    def _consumer(self) -> Any:
        return getattr(self._worker, "consumer", None)

    def _fits(self, consumer: Any, wanted: Consumption) -> bool:
        try:
            return self._queues(consumer) == wanted.queues and self._prefetch(consumer) == max(1, wanted.prefetch)
        # The consumer may be torn down and rebuilt by its own thread while this one looks at it.
        except (AttributeError, RuntimeError):
            return False

    def _queues(self, consumer: Any) -> frozenset[str]:
        names = {queue.name for queue in consumer.task_consumer.queues}
        return frozenset(name for name in names if carries_units(name))

    def _prefetch(self, consumer: Any) -> int:
        # What was last set: a new connection starts without, so that the limit is set anew.
        return int(consumer.qos.prev or 0)

    def _change(self, consumer: Any, wanted: Consumption) -> None:
        """Runs in the consumer's own thread. A broken connection is found and mended by Celery itself."""
        if not self.ready:
            return
        try:
            self._limit(consumer, wanted.prefetch)
            consumed = self._queues(consumer)
            for queue in sorted(consumed - wanted.queues):
                consumer.cancel_task_queue(queue)
            for queue in sorted(wanted.queues - consumed):
                consumer.add_task_queue(queue)
        except Exception as error:
            logger.warning("The queues could not be changed yet: %s", error)

    def _limit(self, consumer: Any, prefetch: int) -> None:
        # 0 would mean no limit at all; taking nothing is cancelling, never this.
        count = max(1, prefetch)
        consumer.qos.value = count
        consumer.qos.set(count)

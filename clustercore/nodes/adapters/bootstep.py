"""Where Celery starts the node agent: a step of the worker, named in the project's Celery application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.concurrency.thread import TaskPool
from celery.exceptions import ImproperlyConfigured
from celery.worker import state

from clustercore.config.environment import environment
from clustercore.nodes.adapters.agent import NodeAgent
from clustercore.nodes.adapters.connection_pool import make_room_for
from clustercore.nodes.adapters.consumer_control import ConsumerControl
from clustercore.nodes.adapters.stopping import Stopper
from clustercore.nodes.domain.ledger import node_ledger

FLOWER_BEAT_SECONDS = 10
"""After twice as long without one Flower shows a worker as offline."""


class AgentStep(bootsteps.StartStopStep):
    """Starts with the worker and stops before its pool.

    It must not require the Consumer: that step's start returns only when the worker ends.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        if not issubclass(worker.pool_cls, TaskPool):
            raise ImproperlyConfigured("A node's slots are threads: leave out --pool, or say --pool threads.")
        # The node's own beats replace these; with Celery's beat every 2 s they cost fifteen times the idle processor
        # time. A rare beat stays, for Flower: it takes a worker without one for offline.
        worker.options.update(without_gossip=True, without_mingle=True, heartbeat_interval=FLOWER_BEAT_SECONDS)
        # Until the agent says so, the worker takes nothing; and it never takes from Celery's default queue.
        worker.app.amqp.queues.deselect([worker.app.conf.task_default_queue])
        self._stopper: Stopper | None = None

    def start(self, parent: Any) -> None:
        settings = environment()
        consumer = ConsumerControl(parent)
        slots = int(parent.concurrency)
        make_room_for(slots)
        agent = NodeAgent(settings, node_ledger.get(), consumer, slots=slots, end_worker=self._end_worker)
        self._stopper = Stopper(agent, settings.grace_seconds, _ending(consumer))
        self._stopper.start()
        agent.start()

    def stop(self, parent: Any) -> None:
        """The worker ends: by our own signals this is done already; by Celery's remote control it is not."""
        if self._stopper is not None:
            self._stopper.hand_back("the worker's shutdown", 1 if parent.exitcode else 0)

    def terminate(self, parent: Any) -> None:
        self.stop(parent)

    def _end_worker(self, code: int) -> None:
        """As a signal does: an agent that failed must not leave its worker waiting for slots without an end."""
        if self._stopper is not None:
            self._stopper.request("the node agent failed", code)


def _ending(consumer: ConsumerControl) -> Callable[[int], None]:
    def end_worker(code: int) -> None:
        if state.should_stop is None:
            state.should_stop = code  # type: ignore[assignment]
        consumer.wake()

    return end_worker

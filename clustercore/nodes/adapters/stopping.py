"""How a node stops: hold, grace, kill the hosts, hand back, go. A second signal ends the grace at once.

Celery's own soft shutdown does nothing for a pool of threads, so SIGTERM, SIGINT and SIGBREAK are ours.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from clustercore.nodes.adapters.agent import NodeAgent

logger = logging.getLogger(__name__)

SIGNALS = ("SIGTERM", "SIGINT", "SIGBREAK")
HAND_BACK_SECONDS = 1.5
EXIT_SECONDS = 1.2
POLL_SECONDS = 0.05
ECHO_SECONDS = 1.0
"""How long the death of a parent may be told again: Linux tells of it once for each thread of the parent that ends."""


class Stopper:
    """Ends the worker in order, and certainly: at most `grace_seconds` + 3 s after the first signal."""

    def __init__(self, agent: NodeAgent, grace_seconds: float, end_worker: Callable[[int], None]) -> None:
        self._agent = agent
        self._grace_seconds = grace_seconds
        self._end_worker = end_worker
        # A SimpleQueue may be used in a signal handler; locks and events may not.
        self._requests: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._once = threading.Lock()
        self._parent = os.getppid()

    def start(self) -> None:
        """Takes over the signals, if this is the main thread, and waits for them in a thread of its own."""
        threading.Thread(target=self._wait, name="node stopper", daemon=True).start()
        if threading.current_thread() is not threading.main_thread():
            return
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, self._on_signal)

    def request(self, reason: str) -> None:
        """Asks for the stop, as a signal does."""
        self._requests.put(reason)

    def hand_back(self) -> None:
        """Grace, then the end of all hosts and leases; once, however often it is asked for."""
        if not self._once.acquire(blocking=False):
            return
        self._agent.intake.hold("stop", "the node is stopping")
        self._agent.stop_self_test()
        self._grace()
        ending = threading.Thread(target=self._agent.end, name="node hand-back", daemon=True)
        ending.start()
        ending.join(HAND_BACK_SECONDS)
        if ending.is_alive():
            logger.warning("The hub does not answer; what was in hand will return when its lease runs out")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._requests.put(signal.Signals(number).name)

    def _wait(self) -> None:
        logger.info("Stopping (%s): taking no new work, grace %g s", self._requests.get(), self._grace_seconds)
        self.hand_back()
        self._end_worker(0)
        time.sleep(EXIT_SECONDS)
        # A slot that does not come back, or a broker that does not answer, must not keep the machine waiting.
        logger.warning("A slot did not come back in time; leaving without it")
        logging.shutdown()
        os._exit(0)

    def _grace(self) -> None:
        began = time.monotonic()
        deadline = began + self._grace_seconds
        while self._agent.busy and (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                reason = self._requests.get(timeout=min(POLL_SECONDS, left))
                if self._lost_its_parent_since(began):
                    continue
                logger.warning("%s again: stopping at once", reason)
                return

    def _lost_its_parent_since(self, began: float) -> bool:
        """Whether a further signal is an echo of the first one, and nobody's wish for a quicker end."""
        time.sleep(POLL_SECONDS)
        return time.monotonic() - began < ECHO_SECONDS and os.getppid() != self._parent

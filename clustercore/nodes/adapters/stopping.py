"""How a node stops: hold, grace, kill the runners, hand back, go. A second request ends the grace at once.

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
from clustercore.nodes.domain.consumption import STOPPING, HoldSource

logger = logging.getLogger(__name__)

SIGNALS = ("SIGTERM", "SIGINT", "SIGBREAK")
HAND_BACK_SECONDS = 1.5
EXIT_SECONDS = 1.2
POLL_SECONDS = 0.05
ECHO_SECONDS = 1.0
"""How long the death of a parent may be told again: Linux tells of it once for each thread of the parent that ends."""


class Stopper:
    """Ends the worker in order, and certainly: at most `grace_seconds` + 3 s after the first who asks for it, a signal,
    Celery itself or an agent that failed. Whoever asks later ends the grace, and nothing else.

    `end_worker` lets Celery end by itself; `leave` ends the process, whatever its slots and the broker do.
    """

    def __init__(
        self,
        agent: NodeAgent,
        grace_seconds: float,
        end_worker: Callable[[int], None],
        leave: Callable[[int], None] | None = None,
    ) -> None:
        self._agent = agent
        self._grace_seconds = grace_seconds
        self._end_worker = end_worker
        self._leave = leave or _leave
        # A SimpleQueue may be used in a signal handler; locks and events may not.
        self._requests: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._handed_back = threading.Event()
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

    def request(self, reason: str, code: int = 0) -> None:
        """Asks for the stop, as a signal does; the process ends with the code of the first who asks."""
        self._requests.put((reason, code))

    def hand_back(self, reason: str, code: int = 0) -> None:
        """Asks for the stop, and returns when all is handed back, or after as long as that may take."""
        self.request(reason, code)
        self._handed_back.wait(self._grace_seconds + HAND_BACK_SECONDS + EXIT_SECONDS)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)

    def _wait(self) -> None:
        reason, code = self._requests.get()
        logger.info("Stopping (%s): taking no new work, grace %g s", reason, self._grace_seconds)
        try:
            self._hand_back()
        finally:
            self._handed_back.set()
            self._end_worker(code)
            time.sleep(EXIT_SECONDS)
            self._leave(code)

    def _hand_back(self) -> None:
        """Grace, then the end of all runners and leases."""
        self._agent.intake.hold(HoldSource.STOP, STOPPING)
        self._agent.stop_self_test()
        self._grace()
        ending = threading.Thread(target=self._agent.end, name="node hand-back", daemon=True)
        ending.start()
        ending.join(HAND_BACK_SECONDS)
        if ending.is_alive():
            logger.warning(
                "Not all was handed back within %g s; the rest returns when its leases run out", HAND_BACK_SECONDS
            )

    def _grace(self) -> None:
        began = time.monotonic()
        deadline = began + self._grace_seconds
        while self._agent.busy and (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                reason, _ = self._requests.get(timeout=min(POLL_SECONDS, left))
                if self._lost_its_parent_since(began):
                    continue
                logger.warning("%s again: stopping at once", reason)
                return

    def _lost_its_parent_since(self, began: float) -> bool:
        """Whether a further signal is an echo of the first one, and nobody's wish for a quicker end."""
        time.sleep(POLL_SECONDS)
        return time.monotonic() - began < ECHO_SECONDS and os.getppid() != self._parent


def _leave(code: int) -> None:
    """A slot that does not come back, or a broker that does not answer, must not keep the machine waiting."""
    logger.warning("The worker did not end within %g s; the process ends without waiting for it", EXIT_SECONDS)
    logging.shutdown()
    os._exit(code)

"""The thread that keeps a node's leases: it beats and extends, and nothing that may wait has a place in it.

A plug-in that hangs, a slow sweep or a disk that does not answer would each cost healthy work its lease.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from clustercore.embedded.domain.shortage import shortage_in
from clustercore.nodes.adapters.elapsed import elapsed_seconds
from clustercore.nodes.adapters.hub_presence import HubPresence
from clustercore.nodes.adapters.intake import Intake
from clustercore.nodes.adapters.registration import Registration
from clustercore.nodes.domain.hooks import Agent, lease_extenders


class LeaseThread:
    """Beats every `heartbeat_seconds`, or soon after `say_soon`; while the hub is away, at every look."""

    def __init__(
        self,
        agent: Agent,
        intake: Intake,
        registration: Registration,
        presence: HubPresence,
        *,
        heartbeat_seconds: float,
        pause_seconds: float,
        fail: Callable[[str, Exception], None],
    ) -> None:
        self._agent = agent
        self._intake = intake
        self._registration = registration
        self._presence = presence
        self._heartbeat_seconds = heartbeat_seconds
        self._pause_seconds = pause_seconds
        self._fail = fail
        # Its own, but for the two events: whoever has something to tell sets the one, whoever ends the node the other.
        self._due = 0.0
        self._soon = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node leases", daemon=True)

    def start(self) -> None:
        """Returns at once; needs a node that has registered."""
        self._thread.start()

    def say_soon(self) -> None:
        """There is something new to tell: the next beat comes at the next look."""
        self._soon.set()

    def end(self) -> None:
        """No more rounds; one that has begun may go on for a moment."""
        self._ended.set()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                if self._soon.is_set() or elapsed_seconds() >= self._due:
                    self._keep()
                self._ended.wait(self._pause_seconds)
        except Exception as error:
            self._fail("leases", error)

    def _keep(self) -> None:
        """A machine that is short of something for now says so and goes on: its leases must live."""
        try:
            with self._presence.asked_by("leases"):
                self._round()
        except (OSError, MemoryError) as error:
            if not (short := shortage_in(error)):
                raise
            self._intake.hold_while_short(short)

    def _round(self) -> None:
        """Leases first: a beat may have to wait for whoever writes the node's row."""
        self._soon.clear()
        # What was to be said soon is not said yet, and the next look tries it again.
        self._due = 0.0
        is_whole = True
        for extender in lease_extenders:
            is_whole &= extender.extend(self._agent)
        answer = self._registration.beat(self._intake.hold_reason, self._intake.idle_reason)
        self._due = elapsed_seconds() + self._heartbeat_seconds if is_whole else 0.0
        if answer is not None and answer.known:
            self._intake.obey(drained=answer.drained)

"""The agent's thread for everything but leases: it registers, applies the wanted consumers and calls the hooks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from clustercore.embedded.domain.shortage import shortage_in
from clustercore.nodes.adapters.consumer_control import ConsumerControl
from clustercore.nodes.adapters.hook_calls import HookCalls
from clustercore.nodes.adapters.hub_presence import HubPresence
from clustercore.nodes.adapters.intake import Intake
from clustercore.nodes.adapters.inventory_watch import InventoryWatch, tell_inventory
from clustercore.nodes.adapters.lease_thread import LeaseThread
from clustercore.nodes.adapters.registration import Registration
from clustercore.nodes.domain.consumption import WITHOUT_BROKER, HoldSource
from clustercore.nodes.domain.ledger import NameTakenError

logger = logging.getLogger(__name__)

LONGEST_RETRY_SECONDS = 5.0


class Upkeep:
    """Registers first, then lets the lease thread begin; the first unit is taken after what an earlier process left
    behind is settled. `ready` is called then."""

    def __init__(
        self,
        intake: Intake,
        registration: Registration,
        presence: HubPresence,
        *,
        inventory: InventoryWatch,
        hooks: HookCalls,
        leases: LeaseThread,
        consumer: ConsumerControl,
        pause_seconds: float,
        ready: Callable[[], None],
        fail: Callable[[str, Exception], None],
    ) -> None:
        self._intake = intake
        self._registration = registration
        self._presence = presence
        self._inventory = inventory
        self._hooks = hooks
        self._leases = leases
        self._consumer = consumer
        self._pause_seconds = pause_seconds
        self._ready = ready
        self._fail = fail
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node upkeep", daemon=True)

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def end(self) -> None:
        """No more ticks; one that has begun may go on for a moment."""
        self._ended.set()

    def _run(self) -> None:
        try:
            self._begin()
            while not self._ended.wait(self._pause_seconds):
                self._tick()
        except Exception as error:
            self._fail("upkeep", error)

    def _begin(self) -> None:
        pause = 0.1
        while not self._ended.is_set() and self._registration.node_id is None:
            with self._presence.asked_by("upkeep"):
                self._register()
            if self._registration.node_id is None:
                self._ended.wait(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        if self._ended.is_set():
            return
        self._leases.start()
        self._hooks.start(self._presence, self._ended, self._pause_seconds)
        if self._consumer.becomes_ready(self._ended):
            self._intake.release(HoldSource.START)
        else:
            self._intake.hold(HoldSource.START, WITHOUT_BROKER)
        self._ready()

    def _register(self) -> None:
        self._intake.obey(drained=self._registration.write(self._inventory.known))
        tell_inventory(self._inventory.known)

    def _tick(self) -> None:
        """A machine that is short of something for now says so and goes on."""
        self._intake.end_expired_holds()
        if self._consumer.ready:
            self._intake.release(HoldSource.START)
        self._intake.apply()
        try:
            with self._presence.asked_by("upkeep"):
                self._do_tick()
        except (OSError, MemoryError) as error:
            if not (short := shortage_in(error)):
                raise
            self._intake.hold_while_short(short)

    def _do_tick(self) -> None:
        if self._registration.lost.is_set():
            self._register_again()
        self._hooks.run("on_tick")
        if (found := self._inventory.changed()) is not None:
            self._registration.write_inventory(found)
            self._inventory.known = found
            tell_inventory(found)
            self._intake.apply()

    def _register_again(self) -> None:
        """Somebody deleted the row, or another process took the name meanwhile."""
        try:
            self._register()
        except NameTakenError as error:
            self._registration.lost.clear()
            self._intake.hold(HoldSource.NAME, str(error))

"""The node agent: one thread in each worker that registers the machine, beats, and says what the worker consumes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from uuid import UUID, uuid4

from celery.worker import state as worker_state
from django.db import InterfaceError, OperationalError, connection

import clustercore
from clustercore.config.environment import Environment
from clustercore.embedded.domain.shortage import database_shortage, shortage_in
from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.holds import AT_START, SHORTAGE_SECONDS, WITHOUT_BROKER, Holds
from clustercore.nodes.adapters.hosts import HostPool
from clustercore.nodes.adapters.inventory import take_inventory
from clustercore.nodes.adapters.repeated_failures import RepeatedFailures
from clustercore.nodes.adapters.self_tests import SelfTestRun
from clustercore.nodes.adapters.spool import DirectorySpools, spool_directory
from clustercore.nodes.adapters.subscription import Subscription
from clustercore.nodes.domain.facts import Consumption, NodeFacts
from clustercore.nodes.domain.hooks import registered_hooks
from clustercore.nodes.domain.inventory import Inventory
from clustercore.nodes.domain.ledger import NameTakenError, NodeLedger, RefusedError
from clustercore.nodes.domain.queues import queue_for, queue_for_node

logger = logging.getLogger(__name__)

DATABASE_ERRORS = (OperationalError, InterfaceError)
INVENTORY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 5.0
TICKS_PER_LEASE = 8


class NotANodeError(RuntimeError):
    """This process is no worker node, so it has no engine hosts and no spool."""


_CURRENT: list[NodeAgent] = []


def current_agent() -> NodeAgent:
    """The agent of this worker process, from any of its threads. Raises NotANodeError elsewhere."""
    try:
        return _CURRENT[0]
    except IndexError:
        raise NotANodeError(
            "There is no node agent in this process: units run only in a worker, started by `clustercore node` "
            "or `celery -A clustercore worker`."
        ) from None


class NodeAgent:
    """Implements `Agent`. Made by the worker's bootstep; `start` returns at once."""

    def __init__(
        self,
        environment: Environment,
        ledger: NodeLedger,
        subscription: Subscription,
        *,
        slots: int,
        end_worker: Callable[[int], None],
    ) -> None:
        self._environment = environment
        self._ledger = ledger
        self._subscription = subscription
        self._slots = slots
        self._end_worker = end_worker
        self._instance = uuid4()
        self._node_id: int | None = None
        self._hardware = read_hardware()
        self._inventory = self._take_inventory()
        self._inventory_due = time.monotonic() + INVENTORY_SECONDS
        self._hosts = self._make_hosts()
        self._spools = DirectorySpools(spool_directory(environment.data_dir, environment.node_name))
        self._holds = Holds(start=AT_START)
        self._barred: dict[str, str] = {}
        self._working: list[str] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._beat_due = 0.0
        self._hub_away = False
        self._self_test: SelfTestRun | None = None
        self._failures = RepeatedFailures(logger)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node agent", daemon=True)

    @property
    def node_id(self) -> int:
        if self._node_id is None:
            raise NotANodeError("This node has not registered yet.")
        return self._node_id

    @property
    def name(self) -> str:
        return self._environment.node_name

    @property
    def instance(self) -> UUID:
        return self._instance

    @property
    def boot_id(self) -> str:
        return self._hardware.boot_id

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def hosts(self) -> HostPool:
        return self._hosts

    @property
    def spools(self) -> DirectorySpools:
        return self._spools

    @property
    def inventory(self) -> Inventory:
        """What this machine can do, as it was last looked at."""
        return self._inventory

    @property
    def capabilities(self) -> tuple[str, ...]:
        return self._inventory.capabilities()

    @property
    def taking_work(self) -> bool:
        return not self._holds

    @property
    def hold_reason(self) -> str:
        """Why nothing is taken; empty when work is taken."""
        return self._holds.reason

    @property
    def idle_reason(self) -> str:
        """Which capabilities are barred, and why."""
        with self._lock:
            return "; ".join(f"{capability}: {reason}" for capability, reason in sorted(self._barred.items()))

    @property
    def busy(self) -> int:
        """How many slots have something in hand."""
        with self._lock:
            working = len(self._working)
        return max(working, self._hosts.busy, len(worker_state.active_requests))

    @contextmanager
    def working(self, tag: str) -> Iterator[None]:
        """Says that a slot has something in hand, for as long as the block runs."""
        with self._lock:
            self._working.append(tag)
        try:
            yield
        finally:
            with self._lock:
                self._working.remove(tag)

    def bar(self, reasons: Mapping[str, str]) -> None:
        """As `Agent.bar`; acts at once."""
        with self._lock:
            changed = self._barred != dict(reasons)
            self._barred = dict(reasons)
        if changed:
            self._beat_due = 0.0
            self.apply()

    def hold(self, source: str, reason: str, seconds: float | None = None) -> None:
        """Takes nothing until `release(source)`, or for so long at most; several sources may hold at once."""
        if self._holds.put(source, reason, seconds):
            self._beat_due = 0.0
            self.apply()

    def hold_while_short(self, short: str) -> None:
        """As `Agent.hold_while_short`."""
        reason = f"this machine has {short}; work is taken up again by itself"
        if reason not in self.hold_reason:
            logger.error("Held for %g s at a time: %s", SHORTAGE_SECONDS, reason)
        self.hold("shortage", reason, SHORTAGE_SECONDS)

    def release(self, source: str) -> None:
        """Ends the hold of this source, if there is one."""
        if self._holds.remove(source):
            self._beat_due = 0.0
            self.apply()

    def wanted(self) -> Consumption:
        """What the worker should consume now."""
        if self._holds:
            return Consumption(prefetch=self._slots)
        with self._lock:
            able = [capability for capability in self._inventory.capabilities() if capability not in self._barred]
        queues = {queue_for(capability) for capability in able} | {queue_for_node(self.name)}
        return Consumption(queues=frozenset(queues), prefetch=self._slots)

    def apply(self) -> None:
        """Brings the worker's consumer to the wanted state; a reconnect resets it, so every tick does it again."""
        self._subscription.apply(self.wanted())

    def start(self) -> None:
        """Makes this the process's agent and starts its thread."""
        _CURRENT[:] = [self]
        self._thread.start()

    def end(self) -> None:
        """No more ticks; whatever is still in hand is handed back and the node is offline. Raises nothing."""
        self._ended.set()
        self._hosts.close()
        try:
            self._run_hooks("on_hand_back")
            with self._writing:
                if self._node_id is not None:
                    self._ledger.go_offline(self._node_id, self._instance)
        except DATABASE_ERRORS as error:
            logger.warning("The hub could not be told that this node stops; its leases will run out: %s", error)
        finally:
            connection.close()

    def stop_self_test(self) -> None:
        """Ends a running self-test: it is not worth a grace."""
        if self._self_test is not None:
            self._self_test.stop()

    def _make_hosts(self) -> HostPool:
        return HostPool(
            self._inventory.plugins,
            self._environment.models_directory,
            slots=self._slots,
            threads=self._environment.engine_threads or max(1, self._hardware.cores // self._slots),
            silent_seconds=self._environment.silent_host_seconds,
            idle_seconds=self._environment.idle_runner_seconds,
            memory_need=self._memory_need,
        )

    def _memory_need(self, engine: str, model: str) -> int:
        return self._inventory.memory_mb(engine, model)

    def _take_inventory(self) -> Inventory:
        environment = self._environment
        return take_inventory(environment.engines, environment.stt_ladder, environment.models_directory)

    def _facts(self) -> NodeFacts:
        return NodeFacts(
            name=self.name,
            instance=self._instance,
            process_id=os.getpid(),
            hardware=self._hardware,
            version=clustercore.__version__,
            slots=self._slots,
            heartbeat_seconds=self._environment.heartbeat_seconds,
        )

    def _run(self) -> None:
        try:
            self._begin()
            pause = min(1.0, self._environment.lease_seconds / TICKS_PER_LEASE)
            while not self._ended.wait(pause):
                self._tick()
        except RefusedError as error:
            logger.critical("%s", error)
            self._end_worker(1)
        except Exception:
            logger.critical("The node agent failed; the worker ends", exc_info=True)
            self._end_worker(1)

    def _begin(self) -> None:
        pause = 0.1
        while not self._ended.is_set() and not self._register():
            self._ended.wait(pause)
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        if self._ended.is_set():
            return
        with self._hub():
            self._run_hooks("on_start")
        if self._subscription.becomes_ready(self._ended):
            self.release("start")
        else:
            self.hold("start", WITHOUT_BROKER)
        self._self_test = SelfTestRun(self._hosts, self._ledger, self.node_id, self._inventory, lambda: self.busy == 0)
        self._self_test.start()

    def _register(self) -> bool:
        with self._hub():
            node = self._ledger.register_node(self._facts(), self._inventory)
            self._node_id = node.pk
            self._beat_due = time.monotonic() + self._environment.heartbeat_seconds
            self._obey(drained=node.drained)
            logger.info("Node %s registered with %d slots", self.name, self._slots)
            self._tell_inventory()
        return self._node_id is not None

    def _tick(self) -> None:
        """A machine that is short of something for now says so and goes on: its leases must live."""
        if self._holds.end_expired():
            self._beat_due = 0.0
        if self._subscription.ready:
            self.release("start")
        self.apply()
        try:
            self._do_tick()
        except (OSError, MemoryError) as error:
            if not shortage_in(error):
                raise
            self.hold_while_short(shortage_in(error))

    def _do_tick(self) -> None:
        with self._hub():
            if time.monotonic() >= self._beat_due:
                self._beat()
            self._run_hooks("on_tick")
            self._look_around()

    def _beat(self) -> None:
        with self._writing:
            if self._ended.is_set():
                return
            answer = self._ledger.beat(self.node_id, self._instance, self.hold_reason, self.idle_reason)
        self._beat_due = time.monotonic() + self._environment.heartbeat_seconds
        if answer.known:
            self.release("name")
            self._obey(drained=answer.drained)
            return
        try:
            self._register()
        except NameTakenError as error:
            self.hold("name", str(error))

    def _obey(self, *, drained: bool) -> None:
        if drained:
            self.hold("operator", "drained by an operator")
        else:
            self.release("operator")

    def _look_around(self) -> None:
        """Models may have been downloaded or deleted since."""
        if time.monotonic() < self._inventory_due:
            return
        self._inventory_due = time.monotonic() + INVENTORY_SECONDS
        found = self._take_inventory()
        if found != self._inventory:
            self._ledger.update_inventory(self.node_id, found)
            self._inventory = found
            self._tell_inventory()
            self.apply()

    def _tell_inventory(self) -> None:
        logger.info("This node can do: %s", ", ".join(self._inventory.capabilities()) or "nothing yet")
        for ranked in self._inventory.records:
            if not ranked.record.usable:
                logger.info("Not usable: %s %s: %s", ranked.record.engine, ranked.record.model, ranked.record.reason)

    @contextmanager
    def _hub(self) -> Iterator[None]:
        """Around what needs the database: its absence is a state of the node, told once, not an error."""
        try:
            yield
        except DATABASE_ERRORS as error:
            self._hub_is_away(error)
        else:
            self._hub_is_back()
        finally:
            # Back to the pool after each tick, and a broken one out of it.
            with suppress(*DATABASE_ERRORS):
                connection.close()

    def _hub_is_away(self, error: Exception) -> None:
        if not self._hub_away:
            logger.warning("The hub's database is away; this node keeps what it has and takes nothing new: %s", error)
        self._hub_away = True
        self.hold("hub", f"the hub's database {database_shortage(error) or 'does not answer'}")

    def _hub_is_back(self) -> None:
        if self._hub_away:
            logger.info("The hub's database is back; this node goes on")
        self._hub_away = False
        self.release("hub")

    def _run_hooks(self, moment: str) -> None:
        """Every hook is called even if another one finds the database away; that is raised at the end."""
        lost: Exception | None = None
        for hook in registered_hooks():
            step = f"The hook {type(hook).__name__}.{moment}"
            try:
                getattr(hook, moment)(self)
                self._failures.over(step)
            except DATABASE_ERRORS as error:
                lost = error
            except Exception as error:
                self._failures.tell(step, error)
        if lost is not None:
            raise lost

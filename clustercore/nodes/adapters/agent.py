"""The node agent: says of itself what its hooks and slots ask, and owns the two threads that keep a node going."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from uuid import UUID, uuid4

from celery.worker import state as worker_state
from django.db import connection

import clustercore
from clustercore.config.environment import Environment
from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.hook_calls import HookCalls
from clustercore.nodes.adapters.hosts import HostPool
from clustercore.nodes.adapters.hub_presence import DATABASE_ERRORS, HubPresence
from clustercore.nodes.adapters.intake import Intake
from clustercore.nodes.adapters.inventory import inventory_here
from clustercore.nodes.adapters.inventory_watch import InventoryWatch
from clustercore.nodes.adapters.lease_thread import LeaseThread
from clustercore.nodes.adapters.registration import Registration
from clustercore.nodes.adapters.self_tests import SelfTestRun
from clustercore.nodes.adapters.spool import DirectorySpools, spool_directory
from clustercore.nodes.adapters.subscription import Subscription
from clustercore.nodes.adapters.upkeep import Upkeep
from clustercore.nodes.domain.facts import NodeFacts
from clustercore.nodes.domain.ledger import NodeLedger, RefusedError

logger = logging.getLogger(__name__)

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
        self._slots = slots
        self._end_worker = end_worker
        self._instance = uuid4()
        self._hardware = read_hardware()
        self._inventory = InventoryWatch(lambda: inventory_here(environment))
        self._hosts = self._make_hosts()
        self._spools = DirectorySpools(spool_directory(environment.data_dir, environment.node_name))
        self._intake = Intake(self.name, slots, subscription, lambda: self.capabilities, says=self._say_soon)
        self._registration = Registration(ledger, self._instance, self._facts)
        self._presence = HubPresence(self._intake)
        self._hooks = HookCalls(self)
        self._self_test: SelfTestRun | None = None
        pause = min(1.0, environment.lease_seconds / TICKS_PER_LEASE)
        self._leases = LeaseThread(
            self,
            self._intake,
            self._registration,
            self._presence,
            heartbeat_seconds=environment.heartbeat_seconds,
            pause_seconds=pause,
            fail=self._fail,
        )
        self._upkeep = Upkeep(
            self._intake,
            self._registration,
            self._presence,
            self._inventory,
            self._hooks,
            self._leases,
            subscription,
            pause_seconds=pause,
            ready=self._begin_self_test,
            fail=self._fail,
        )

    @property
    def node_id(self) -> int:
        if self._registration.node_id is None:
            raise NotANodeError("This node has not registered yet.")
        return self._registration.node_id

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
    def intake(self) -> Intake:
        """What the worker takes, and why not more."""
        return self._intake

    @property
    def capabilities(self) -> tuple[str, ...]:
        return self._inventory.known.capabilities()

    @property
    def taking_work(self) -> bool:
        return self._intake.is_open

    @property
    def busy(self) -> int:
        """How many slots have something in hand."""
        return max(self._intake.working_slots, self._hosts.busy, len(worker_state.active_requests))

    def bar(self, reasons: Mapping[str, str]) -> None:
        self._intake.bar(reasons)

    def hold_while_short(self, short: str) -> None:
        self._intake.hold_while_short(short)

    def working(self, tag: str) -> AbstractContextManager[None]:
        """Says that a slot has something in hand, for as long as the block runs."""
        return self._intake.working(tag)

    def start(self) -> None:
        """Makes this the process's agent and starts its threads."""
        _CURRENT[:] = [self]
        self._upkeep.start()

    def end(self) -> None:
        """No more ticks; whatever is still in hand is handed back and the node is offline. Raises nothing."""
        self._upkeep.end()
        self._leases.end()
        self._hosts.close()
        try:
            self._hooks.run("on_hand_back")
            self._registration.end()
        except DATABASE_ERRORS as error:
            logger.warning("The hub could not be told that this node stops; its leases will run out: %s", error)
        finally:
            connection.close()

    def stop_self_test(self) -> None:
        """Ends a running self-test: it is not worth a grace."""
        if self._self_test is not None:
            self._self_test.stop()

    def _say_soon(self) -> None:
        self._leases.say_soon()

    def _begin_self_test(self) -> None:
        self._self_test = SelfTestRun(
            self._hosts, self._ledger, self.node_id, self._inventory.known, lambda: self.busy == 0
        )
        self._self_test.start()

    def _make_hosts(self) -> HostPool:
        inventory, environment = self._inventory, self._environment
        return HostPool(
            inventory.known.plugins,
            environment.models_directory,
            slots=self._slots,
            threads=environment.engine_threads or max(1, self._hardware.cores // self._slots),
            silent_seconds=environment.silent_host_seconds,
            idle_seconds=environment.idle_runner_seconds,
            memory_need=self._memory_need,
        )

    def _memory_need(self, engine: str, model: str) -> int:
        return self._inventory.known.memory_mb(engine, model)

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

    def _fail(self, thread: str, error: Exception) -> None:
        if isinstance(error, RefusedError):
            logger.critical("%s", error)
        else:
            logger.critical("The node agent failed (%s); the worker ends", thread, exc_info=error)
        self._end_worker(1)

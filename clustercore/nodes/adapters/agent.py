"""The node agent: what hooks and slots ask of a node, and the two threads that keep it going."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from uuid import UUID, uuid4

from celery.worker import state as worker_state
from django.db import connection

import clustercore
from clustercore.config.environment import Environment
from clustercore.nodes.adapters.consumer_control import ConsumerControl
from clustercore.nodes.adapters.hardware import read_hardware
from clustercore.nodes.adapters.hook_calls import HookCalls
from clustercore.nodes.adapters.hub_presence import DATABASE_ERRORS, HubPresence
from clustercore.nodes.adapters.intake import Intake
from clustercore.nodes.adapters.inventory import inventory_here
from clustercore.nodes.adapters.inventory_watch import InventoryWatch
from clustercore.nodes.adapters.lease_thread import LeaseThread
from clustercore.nodes.adapters.registration import Registration
from clustercore.nodes.adapters.runners import RunnerPool
from clustercore.nodes.adapters.self_tests import SelfTestRun
from clustercore.nodes.adapters.spool import DirectorySpools, spool_directory
from clustercore.nodes.adapters.upkeep import Upkeep
from clustercore.nodes.domain.facts import Hardware, NodeFacts
from clustercore.nodes.domain.ledger import NodeLedger, RefusedError

logger = logging.getLogger(__name__)

TICKS_PER_LEASE = 8


class NotANodeError(RuntimeError):
    """This process is no worker node, so it has no engine runners and no spool."""


_CURRENT: list[NodeAgent] = []
"""Written once, before the first thread of the agent starts, and only read from then on."""


def current_agent() -> NodeAgent:
    """Returns the agent of this worker process, in any of its threads. Raises NotANodeError elsewhere."""
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
        consumer: ConsumerControl,
        *,
        slots: int,
        end_worker: Callable[[int], None],
    ) -> None:
        hardware = read_hardware()
        self.name = environment.node_name
        self.instance = uuid4()
        self.boot_id = hardware.boot_id
        self.slots = slots
        self._ledger = ledger
        self._end_worker = end_worker
        self._inventory = _inventory_watch(environment)
        self.runners = _runner_pool(environment, self._inventory, hardware, slots)
        self.spools = DirectorySpools(spool_directory(environment.data_dir, self.name))
        self.intake = Intake(self.name, slots, consumer, lambda: self.capabilities, says=self._say_soon)
        facts = _facts(environment, hardware, self.instance, slots)
        self._registration = Registration(ledger, self.instance, facts)
        self._hooks = HookCalls(self)
        self._self_test: SelfTestRun | None = None
        self._leases, self._upkeep = self._threads(environment, consumer)

    @property
    def node_id(self) -> int:
        if self._registration.node_id is None:
            raise NotANodeError("This node has not registered yet.")
        return self._registration.node_id

    @property
    def capabilities(self) -> tuple[str, ...]:
        return self._inventory.known.capabilities()

    @property
    def taking_work(self) -> bool:
        return self.intake.is_open

    @property
    def busy(self) -> int:
        """How many slots have something in hand."""
        return max(self.runners.busy, len(worker_state.active_requests))

    def bar(self, reasons: Mapping[str, str]) -> None:
        self.intake.bar(reasons)

    def hold_while_short(self, short: str) -> None:
        self.intake.hold_while_short(short)

    def start(self) -> None:
        """Makes this the process's agent and starts its threads."""
        _CURRENT[:] = [self]
        self._upkeep.start()

    def end(self) -> None:
        """Ends the ticks, hands back whatever is still in hand, and takes the node offline. Raises nothing."""
        self._upkeep.end()
        self._leases.end()
        self.runners.close()
        try:
            # What stands on others ends before them, so that no lower room keeps the leases from being handed back.
            self._hooks.run("on_hand_back", last_first=True)
            self._registration.end()
        except DATABASE_ERRORS as error:
            logger.warning("The hub could not be told that this node stops; its leases will run out: %s", error)
        finally:
            connection.close()

    def stop_self_test(self) -> None:
        """Ends a running self-test: it is not worth a grace."""
        if self._self_test is not None:
            self._self_test.stop()

    def _threads(self, environment: Environment, consumer: ConsumerControl) -> tuple[LeaseThread, Upkeep]:
        """They share what follows, each of which says itself how it bears that; the upkeep starts the lease thread."""
        shared = self.intake, self._registration, HubPresence(self.intake)
        pause = min(1.0, environment.lease_seconds / TICKS_PER_LEASE)
        beat = environment.heartbeat_seconds
        leases = LeaseThread(self, *shared, heartbeat_seconds=beat, pause_seconds=pause, fail=self._fail)
        return leases, Upkeep(
            *shared,
            inventory=self._inventory,
            hooks=self._hooks,
            leases=leases,
            consumer=consumer,
            pause_seconds=pause,
            ready=self._begin_self_test,
            fail=self._fail,
        )

    def _say_soon(self) -> None:
        self._leases.say_soon()

    def _begin_self_test(self) -> None:
        inventory = self._inventory.known
        self._self_test = SelfTestRun(self.runners, self._ledger, self.node_id, inventory, lambda: self.busy == 0)
        self._self_test.start()

    def _fail(self, thread: str, error: Exception) -> None:
        if isinstance(error, RefusedError):
            logger.critical("%s", error)
        else:
            logger.critical("The node agent failed (%s); the worker ends", thread, exc_info=error)
        self._end_worker(1)


def _inventory_watch(environment: Environment) -> InventoryWatch:
    return InventoryWatch(lambda: inventory_here(environment))


def _runner_pool(environment: Environment, inventory: InventoryWatch, hardware: Hardware, slots: int) -> RunnerPool:
    def memory_need(engine: str, model: str) -> int:
        # Asked of what is known by then: a model may have been downloaded meanwhile.
        return inventory.known.memory_mb(engine, model)

    return RunnerPool(
        inventory.known.plugins,
        environment.models_directory,
        slots=slots,
        threads=environment.engine_threads or max(1, hardware.cores // slots),
        silent_seconds=environment.silent_runner_seconds,
        idle_seconds=environment.idle_runner_seconds,
        memory_need=memory_need,
    )


def _facts(environment: Environment, hardware: Hardware, instance: UUID, slots: int) -> Callable[[], NodeFacts]:
    """What the process says of itself whenever it registers: the rooms above may know more work by then."""
    return lambda: NodeFacts(
        name=environment.node_name,
        instance=instance,
        process_id=os.getpid(),
        hardware=hardware,
        version=clustercore.__version__,
        slots=slots,
        heartbeat_seconds=environment.heartbeat_seconds,
    )

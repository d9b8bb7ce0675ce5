"""What a handler has of its attempt: the unit that was claimed, and what it may do for it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from clustercore.blobs.services import local_path
from clustercore.embedded.domain.shortage import ResourceShortage, shortage_in
from clustercore.jobs.adapters.attempts_in_flight import Holding
from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.questions import Answer
from clustercore.jobs.domain.unit_context import LeaseLost, UndeclaredBlob
from clustercore.jobs.models import Attempt, Job
from clustercore.jobs.services.claim import Claimed
from clustercore.jobs.services.mishaps import HUB_AWAY, hub_trouble
from clustercore.jobs.services.queueing import names_units, queue_units
from clustercore.jobs.services.result_files import NO_FILES, Attachments
from clustercore.jobs.services.turn_locks import alone_in
from clustercore.nodes.adapters.hardware import memory_kills
from clustercore.nodes.domain.engine import JsonObject
from clustercore.nodes.domain.hooks import Agent, RunnerDied

logger = logging.getLogger(__name__)

SLICE = 500
"""Units queued in one transaction, which keeps the job and the attempt from everybody else."""


@dataclass
class ClaimedUnit:
    """What a handler may know of its unit, and of the node that it runs on."""

    claimed: Claimed
    holding: Holding
    agent: Agent

    @property
    def job_id(self) -> int:
        return self.claimed.job_id

    @property
    def unit_id(self) -> int:
        return self.claimed.unit_id

    @property
    def attempt_id(self) -> int:
        return self.claimed.attempt_id

    @property
    def node_id(self) -> int:
        return self.agent.node_id

    @property
    def node_name(self) -> str:
        return self.agent.name

    @property
    def ordinal(self) -> int:
        return self.claimed.ordinal

    @property
    def payload(self) -> Mapping[str, Any]:
        return self.claimed.payload

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.claimed.parameters

    @property
    def language(self) -> str | None:
        return self.claimed.language

    @property
    def needs(self) -> Sequence[str]:
        return self.claimed.needs

    @property
    def prefers(self) -> Sequence[str]:
        return self.claimed.prefers

    @property
    def engine(self) -> str:
        return self.claimed.engine

    @property
    def model(self) -> str:
        return self.claimed.model

    @property
    def kind(self) -> str:
        return self.claimed.kind

    @property
    def capability(self) -> str:
        return kind_named(self.claimed.kind).stage(self.claimed.stage).capability

    @property
    def minimum_rung(self) -> int:
        return self.claimed.minimum_rung

    @property
    def answer(self) -> Answer | None:
        return self.claimed.answer


@dataclass
class Execution(ClaimedUnit):
    """The `UnitContext` of one attempt."""

    directory: Path
    """Where its workspace is, once it has one."""
    served_by: dict[str, Any] = field(default_factory=dict)
    attachments: Attachments = NO_FILES
    has_workspace: bool = False

    @property
    def workspace(self) -> Path:
        """Made at its first use. Raises ResourceShortage."""
        if not self.has_workspace:
            self.make_workspace()
        return self.directory

    def make_workspace(self) -> None:
        """Makes it now. Raises ResourceShortage."""
        _make_workspace(self.directory)
        self.has_workspace = True

    def remove_workspace(self) -> None:
        """Removes what the attempt kept, if it kept anything."""
        if self.has_workspace:
            shutil.rmtree(self.directory, ignore_errors=True)

    def report(self, fraction: float, note: str = "") -> None:
        if note:
            logger.debug("unit %s: %s", self.unit_id, note)
        self.holding.report(fraction)

    def queue(self, units: Sequence[NewUnit]) -> list[int]:
        """Queues while this attempt is live, a slice in each transaction: between two its lease can be extended."""
        starts = range(0, len(units), SLICE)
        return [unit_id for at in starts for unit_id in self._queue_slice(units[at : at + SLICE])]

    def _queue_slice(self, units: Sequence[NewUnit]) -> list[int]:
        """Waits for the hub while it is away."""
        while True:
            self.report(self.holding.fraction)
            try:
                return self._queue_once(units)
            except HUB_AWAY as absence:
                logger.warning("%s; unit %s waits to queue its pieces", hub_trouble(absence), self.unit_id)
                self.holding.lost.wait(1.0)

    def _queue_once(self, units: Sequence[NewUnit]) -> list[int]:
        with transaction.atomic():
            Job.objects.select_for_update(no_key=True).get(pk=self.job_id)
            if names_units(units):
                alone_in(self.job_id)
            # The second lock keeps a reaper from ending this attempt between the look and the insert.
            live = Attempt.objects.select_for_update().filter(key=self.claimed.key, outcome=AttemptOutcome.LIVE)
            if not live.exists():
                raise LeaseLost("the attempt ended while it was queueing")
            return queue_units(kind_named(self.claimed.kind), self.job_id, units)

    def call_engine(
        self,
        engine: str,
        model: str,
        request: JsonObject,
        on_event: Callable[[JsonObject], None] | None = None,
    ) -> JsonObject:
        def on_report(fraction: float, event: JsonObject | None) -> None:
            self.report(fraction)
            if event is not None and on_event is not None:
                with self._watched_by_nobody():
                    on_event(event)

        kills_before = memory_kills()
        let_connection_go()
        try:
            with self.watched_elsewhere():
                answer = self.agent.runners.call(engine, model, request, tag=self.holding.tag, on_report=on_report)
        except RunnerDied as death:
            if not death.deliberate and (memory_kills() or 0) > (kills_before or 0):
                death.reason = f"{death.reason}: the machine ran out of memory"
            raise
        self.served_by.update(engine=engine, model=model, device=str(answer.get("device", "")))
        return answer

    def fetch(self, sha256: str) -> Path:
        """A blob of this unit on this machine; its own time limits bound the wait, the lease goes on."""
        if sha256 not in self.claimed.blobs:
            raise UndeclaredBlob(f"{self.claimed.stage} asks for blob {sha256}, which its unit does not name")
        let_connection_go()
        with self.watched_elsewhere():
            return local_path(sha256)

    @contextmanager
    def watched_elsewhere(self) -> Iterator[None]:
        """Around what has time limits of its own: the lease goes on without a report."""
        outside = self.holding.watched_elsewhere
        self.holding.watched_elsewhere = True
        try:
            yield
        finally:
            self.holding.watched_elsewhere = outside
            self.holding.last_report = time.monotonic()

    @contextmanager
    def _watched_by_nobody(self) -> Iterator[None]:
        """Around what a handler does of its own while it is watched elsewhere: it may be silent as long as others."""
        self.holding.watched_elsewhere = False
        try:
            yield
        finally:
            self.holding.watched_elsewhere = True
            let_connection_go()


def let_connection_go() -> None:
    """Gives this thread's connection back to the pool, where no transaction is open: what follows takes long."""
    if not connection.in_atomic_block:
        connection.close()


def _make_workspace(path: Path) -> None:
    """Whatever forbids it is a matter of the machine. Raises ResourceShortage."""
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise ResourceShortage(shortage_in(error) or f"no place to work in ({error})") from error

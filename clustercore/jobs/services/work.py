"""One try at a claimed unit: its stage's handler runs, and its verdict is delivered."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connection, transaction

from clustercore.blobs.services import local_path
from clustercore.config.environment import environment
from clustercore.embedded.domain.shortage import ResourceShortage, shortage_in
from clustercore.jobs.adapters.holdings import HOLDINGS, Holding
from clustercore.jobs.domain.kinds import LeaseLost, UndeclaredBlob, kind_named
from clustercore.jobs.domain.lifecycle import AttemptOutcome
from clustercore.jobs.domain.new_unit import NewUnit
from clustercore.jobs.domain.questions import Answer
from clustercore.jobs.domain.result_files import BadResultFile, Files
from clustercore.jobs.domain.spooling import SpooledResult, hash_of_input
from clustercore.jobs.domain.verdict import Ask, Done, Fail, HandBack, Hold, Remake, Unknown, Verdict
from clustercore.jobs.models import Attempt, Job
from clustercore.jobs.services.claim import Claimant, Claimed
from clustercore.jobs.services.mishaps import HUB_AWAY, hub_trouble, verdict_after, why_of
from clustercore.jobs.services.queueing import names_units, queue_units
from clustercore.jobs.services.result_files import NO_FILES, Attachments, attach, stored
from clustercore.jobs.services.settle import Settled
from clustercore.jobs.services.turn import Onward, Turned, turn
from clustercore.jobs.services.turn_locks import alone_in
from clustercore.nodes.adapters.hardware import memory_kills
from clustercore.nodes.domain.engine import JsonObject
from clustercore.nodes.domain.hooks import Agent, HostDied

logger = logging.getLogger(__name__)

SLICE = 500
"""Units queued in one transaction, which keeps the job and the attempt from everybody else."""
LONGEST_REASON = 300

_DROPPED = (Settled.FENCED, Settled.UNKNOWN)


@dataclass
class Execution:
    """The `UnitContext` of one attempt."""

    claimed: Claimed
    holding: Holding
    agent: Agent
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
                answer = self.agent.hosts.call(engine, model, request, tag=self.holding.tag, on_report=on_report)
        except HostDied as death:
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


class AttemptFailed(Exception):
    """A try that failed, as Celery and therefore Flower are told of it; the ledger has recorded it already."""


def told(claimed: Claimed, verdict: Verdict | None) -> str:
    """How an attempt went, in words that name its unit. Raises AttemptFailed."""
    which = f"unit {claimed.unit_id} of job {claimed.job_id} ({claimed.stage} {claimed.ordinal})"
    match verdict:
        case None:
            return f"{which}: dropped, it no longer counted"
        case Done():
            return f"{which}: done"
        case Ask(question):
            return f"{which}: asks, {question}"
        case Hold(why) | HandBack(why) | Remake(why):
            return f"{which}: handed back, {why}"
        case _:
            # One line: what an engine wrote before it died stays in the ledger.
            raise AttemptFailed(f"{which}: {first_line(verdict.why)}")


def first_line(reason: str) -> str:
    """As much of a reason as is fit for a list."""
    return reason.partition("\n")[0][:LONGEST_REASON]


def claimant_of(agent: Agent) -> Claimant:
    """The node of this process as a claimant."""
    return Claimant(
        node_id=agent.node_id,
        node_name=agent.name,
        instance=agent.instance,
        boot_id=agent.boot_id,
        capabilities=agent.capabilities,
        lease_seconds=environment().lease_seconds,
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """One try at a unit, its verdict (None where it no longer counted), and what is next as far as it is known."""

    claimed: Claimed
    verdict: Verdict | None
    following: Claimed | None = None
    has_asked: bool = False
    """Whether it is known."""


def do(agent: Agent, claimed: Claimed, onward: Callable[[], Onward] = Onward) -> Tried:
    """Runs the handler of a claimed unit and delivers its verdict, or keeps it on disk while the hub is away.

    `onward` is asked at its end what the slot would do next.
    """
    holding = Holding(claimed.key, claimed.unit_id, once=claimed.once)
    execution = Execution(claimed, holding, agent, workspaces(agent.name) / holding.tag)
    HOLDINGS.add(holding)
    started = time.monotonic()
    try:
        verdict = _run(execution)
        execution.served_by.setdefault("seconds", round(time.monotonic() - started, 3))
        turned = deliver(execution, verdict, onward) if verdict is not None else Turned(None)
    finally:
        HOLDINGS.remove(claimed.key)
        execution.remove_workspace()
    counts = turned.settled not in _DROPPED
    return Tried(claimed, verdict if counts else None, turned.following, turned.has_asked)


def _run(execution: Execution) -> Verdict | None:
    """The handler's verdict; None when the attempt no longer counts and there is nothing to say."""
    claimed, holding = execution.claimed, execution.holding
    stage = kind_named(claimed.kind).stage(claimed.stage)
    try:
        if claimed.once:
            # What forbids it must be found before anything is done.
            execution.make_workspace()
        holding.begin()
    except LeaseLost as lost:
        # Where its holder is in doubt the ledger is too, and this ends it.
        return HandBack(f"not begun: {lost}") if claimed.once else None
    except Exception as error:
        return verdict_after(error, execution.agent, stage, holding)
    try:
        verdict = stage.handler(execution)
        execution.attachments = attach(verdict, execution.directory)
        return verdict
    except BadResultFile as bad:
        return Fail(str(bad), "bad_result_file")
    except LeaseLost as lost:
        logger.info("attempt %s dropped: %s", execution.attempt_id, lost)
        return None
    except BaseException as error:  # in a thread of Celery's pool a SystemExit would take the slot with it
        follows = verdict_after(error, execution.agent, stage, holding)
        return Unknown(why_of(follows)) if follows is not None and holding.is_in_doubt else follows


def _make_workspace(path: Path) -> None:
    """Whatever forbids it is a matter of the machine. Raises ResourceShortage."""
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise ResourceShortage(shortage_in(error) or f"no place to work in ({error})") from error


def workspaces(node_name: str) -> Path:
    """Where this node's attempts keep their files; what lies there when a node starts, a dead process left."""
    return environment().data_dir / "work" / f"node-{quote(node_name, safe='')}"


def deliver(execution: Execution, verdict: Verdict, onward: Callable[[], Onward]) -> Turned:
    """Stores a verdict's files and settles it; while the hub is away all goes to its spool.

    Where the disk has no room for it either, the slot keeps it in memory and in the workspace, until one of the two
    takes it or the attempt no longer counts.
    """
    with execution.watched_elsewhere():
        while True:
            try:
                verdict_now, files = stored(verdict, execution.attachments)
                return turn(execution.claimed, verdict_now, execution.served_by, files, onward)
            except (*HUB_AWAY, OSError, MemoryError) as absence:
                if short := shortage_in(absence):
                    execution.agent.hold_while_short(short)
                elif not isinstance(absence, HUB_AWAY):
                    raise
                if _kept_on_disk(execution, verdict, absence) or execution.holding.lost.wait(1.0):
                    return Turned(None)


def _kept_on_disk(execution: Execution, verdict: Verdict, absence: Exception) -> bool:
    agent = execution.agent
    kept, paths = _as_document(execution, verdict)
    try:
        spool = agent.spools.of(execution.claimed.hub)
        spool.put(f"attempt-{kept.key}", kept.to_json(), paths)
        HOLDINGS.keep([kept.key])
    except (OSError, MemoryError) as trouble:
        agent.hold_while_short(shortage_in(trouble) or f"no directory for results ({trouble})")
        return False
    why = shortage_in(absence) or hub_trouble(absence)
    logger.warning("%s; result of %s %s kept on disk", why, kept.stage, kept.ordinal)
    return True


def _as_document(execution: Execution, verdict: Verdict) -> tuple[SpooledResult, Mapping[str, Path]]:
    """What is kept of a verdict, and its files; as in the ledger, what no document holds is a failed try."""
    attachments = execution.attachments
    kept = spooled(execution.claimed, verdict, execution.served_by, attachments.files)
    try:
        json.dumps(kept.to_json(), allow_nan=False)
    except (TypeError, ValueError) as bug:
        return spooled(execution.claimed, Unknown(f"its result cannot be stored: {type(bug).__name__}: {bug}"), {}), {}
    return kept, attachments.paths


def spooled(
    claimed: Claimed, verdict: Verdict, served_by: Mapping[str, Any], files: Files | None = None
) -> SpooledResult:
    """A verdict with all that says which unit it is for."""
    return SpooledResult(
        key=claimed.key,
        job_key=claimed.job_key,
        stage=claimed.stage,
        ordinal=claimed.ordinal,
        input_hash=hash_of_input(
            kind=claimed.kind,
            payload=claimed.payload,
            parameters=claimed.parameters,
            language=claimed.language,
            engine=claimed.engine,
            model=claimed.model,
        ),
        verdict=verdict,
        served_by=dict(served_by),
        files=files or {},
    )

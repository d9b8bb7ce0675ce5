"""One try at a claimed unit: its stage's handler runs, and its verdict is delivered."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clustercore.config.environment import environment
from clustercore.embedded.domain.shortage import shortage_in
from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT, Holding
from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.result_files import BadResultFile, Files
from clustercore.jobs.domain.spooling import SpooledResult, hash_of_input
from clustercore.jobs.domain.unit_context import LeaseLost
from clustercore.jobs.domain.verdict import Ask, Done, Fail, HandBack, Hold, Remake, Unknown, Verdict
from clustercore.jobs.services.claim import Claimant, Claimed
from clustercore.jobs.services.execution import Execution
from clustercore.jobs.services.mishaps import HUB_AWAY, hub_trouble, verdict_after, why_of
from clustercore.jobs.services.result_files import attach, stored
from clustercore.jobs.services.settle import Settled
from clustercore.jobs.services.turn import Onward, Turned, turn
from clustercore.nodes.domain.hooks import Agent

logger = logging.getLogger(__name__)

LONGEST_REASON = 300

_DROPPED = (Settled.FENCED, Settled.UNKNOWN)


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
    IN_FLIGHT.add(holding)
    started = time.monotonic()
    try:
        verdict = _run(execution)
        execution.served_by.setdefault("seconds", round(time.monotonic() - started, 3))
        turned = deliver(execution, verdict, onward) if verdict is not None else Turned(None)
    finally:
        IN_FLIGHT.remove(claimed.key)
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
        IN_FLIGHT.keep([kept.key])
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

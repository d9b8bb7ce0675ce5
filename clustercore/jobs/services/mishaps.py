"""What follows from an exception: a verdict on the attempt in which it was raised."""

from __future__ import annotations

import logging

from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from clustercore.blobs.domain.errors import BlobGone, BlobMissing, BlobUnavailable, StoreFull
from clustercore.embedded.domain.database_trouble import is_busy
from clustercore.embedded.domain.shortage import shortage_in
from clustercore.jobs.adapters.attempts_in_flight import Holding
from clustercore.jobs.domain.kinds import Stage
from clustercore.jobs.domain.unit_context import NoModelServes
from clustercore.jobs.domain.verdict import Ask, Crashed, Done, Fail, HandBack, Hold, Remake, Retry, Verdict
from clustercore.nodes.domain.engine import EngineFailure
from clustercore.nodes.domain.hooks import Agent, RunnerDied
from clustercore.nodes.domain.wire import OUT_OF_MEMORY

logger = logging.getLogger(__name__)

HUB_AWAY = (OperationalError, InterfaceError, PoolTimeout, ConnectionError)
"""What a database raises that is away, or busy with somebody else's work: `is_busy` tells the two apart."""

SHORTAGE_PAUSE_SECONDS = 2.0
"""Before another node may have what this one had no room for."""

HUB_FULL_SECONDS = 15.0
HUB_AWAY_SECONDS = 5.0
HUB_BUSY_SECONDS = 1.0


def verdict_after(error: BaseException, agent: Agent, stage: Stage, holding: Holding) -> Verdict | None:
    """Returns what an exception means for its attempt; None when the attempt no longer counts."""
    if isinstance(error, RunnerDied):
        return _after_host_death(holding, error)
    if isinstance(error, BlobMissing):
        return _without_blob(stage, error)
    return _verdict_on(agent, error)


def hub_state(error: BaseException) -> str:
    """What an error of `HUB_AWAY` says of the hub, in words."""
    return "the hub's database is busy" if is_busy(error) else "the hub is away"


def hub_trouble(error: BaseException) -> str:
    """The same with the error's own words."""
    return f"{hub_state(error)}: {error}"


def why_of(verdict: Verdict) -> str:
    """Returns the reason of a verdict; a result has none, and who asks gives none."""
    return "" if isinstance(verdict, Ask | Done) else verdict.why


def _verdict_on(agent: Agent, error: BaseException) -> Verdict:
    if short := shortage_in(error):
        agent.hold_while_short(short)
        return Hold(f"{agent.name} has {short}", seconds=SHORTAGE_PAUSE_SECONDS, not_here=True)
    if isinstance(error, EngineFailure):
        return _after_engine_failure(error)
    if isinstance(error, BlobGone | NoModelServes):
        return Retry(str(error), not_here=isinstance(error, NoModelServes))
    if isinstance(error, StoreFull):
        return Hold(f"the hub's disk is full: {error}", seconds=HUB_FULL_SECONDS)
    if isinstance(error, (*HUB_AWAY, BlobUnavailable)):
        return _after_hub_trouble(error)
    logger.error("a handler raised what it should have returned as a verdict", exc_info=error)
    return Retry(f"{type(error).__name__}: {error}")


def _after_hub_trouble(error: BaseException) -> Hold:
    if is_busy(error):
        return Hold(hub_trouble(error), seconds=HUB_BUSY_SECONDS)
    # It may be this machine alone that does not reach it, and would take what it gave back again and again.
    return Hold(hub_trouble(error), seconds=HUB_AWAY_SECONDS, not_here=True)


def _after_engine_failure(failure: EngineFailure) -> Verdict:
    if failure.code == OUT_OF_MEMORY:
        return Retry(failure.message, not_here=True)
    return Fail(failure.message, failure.code)


def _without_blob(stage: Stage, missing: BlobMissing) -> Verdict:
    if stage.made_by:
        return Remake(f"no longer stored, and made again from what it came from: {missing}", stage.made_by)
    return Fail(
        f"a file of this job is no longer stored and nothing can make it again; submit it as a new job: {missing}",
        "blob_missing",
    )


def _after_host_death(holding: Holding, death: RunnerDied) -> Verdict | None:
    if holding.lost.is_set():
        return None
    if death.deliberate:
        return HandBack(death.reason)
    tail = f"\n{death.log_tail}" if death.log_tail else ""
    return Crashed(f"{death.reason}{tail}")

"""A turn: a slot tells what it did, and is given the next unit, in one trip where nothing else can follow.

That is so while a further unit of the same stage and group is queued and nobody waits for this very one. All else, and
whatever is in doubt, goes the long way by `settle`, which locks the job and looks at what follows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from clustercore.jobs.adapters.attempts_in_flight import IN_FLIGHT
from clustercore.jobs.adapters.statements import StoredFunction
from clustercore.jobs.domain.kinds import JobKind, Recorder, Stage, kind_named
from clustercore.jobs.domain.result_files import Files
from clustercore.jobs.domain.verdict import Done, Verdict, without_nul
from clustercore.jobs.services.claim import (
    CLAIM,
    CanvasPlace,
    Claimant,
    Claimed,
    Passed,
    claim,
    claim_arguments,
    claimed_from,
)
from clustercore.jobs.services.mishaps import HUB_AWAY
from clustercore.jobs.services.settle import Settled, settle_or_retry
from clustercore.jobs.services.telling import job_changed
from clustercore.jobs.services.turn_locks import beside

logger = logging.getLogger(__name__)

NEIGHBOURS = 32
"""So many queued units are looked at for one of the same group."""

# The attempt before its unit, as everywhere. Where the unit is not as its attempt says, nothing of all this may stay.
# What is read before the lock never changes; what decides is read under it.
_COMPLETE_BESIDE = f"""
DECLARE
    of_unit bigint;
    of_job bigint;
    of_stage text;
    of_group text;
BEGIN
SELECT u.id, u.job_id, u.stage, u."group" INTO of_unit, of_job, of_stage, of_group
FROM jobs_attempt a JOIN jobs_unit u ON u.id = a.unit_id WHERE a.key = %(settled)s::uuid;
IF NOT FOUND THEN RETURN; END IF;
PERFORM {beside("of_job")};

UPDATE jobs_attempt a SET outcome = 'done', ended = now(), served_by = %(served_by)s::jsonb
WHERE a.key = %(settled)s::uuid AND a.outcome = 'live' AND a.number = 1
  AND EXISTS (SELECT FROM jobs_unit u WHERE u.id = of_unit AND u.state = 'leased' AND u.attempts_made = 1)
  AND EXISTS (
      SELECT FROM (
          SELECT u."group" FROM jobs_unit u
          WHERE u.job_id = of_job AND u.stage = of_stage AND u.state = 'queued' LIMIT {NEIGHBOURS}
      ) further WHERE further."group" = of_group)
  AND NOT EXISTS (SELECT FROM jobs_unitafter e WHERE e.after_id = of_unit);
IF NOT FOUND THEN RETURN; END IF;

UPDATE jobs_unit u SET state = 'done', result = %(result)s::jsonb, progress = 1, error = '', finished = now()
WHERE u.id = of_unit AND u.state = 'leased';
IF NOT FOUND THEN RAISE EXCEPTION 'attempt %% was live and its unit was not leased', %(settled)s::uuid; END IF;
END;
"""
_PARAMETERS = {"settled": "uuid", "served_by": "jsonb", "result": "jsonb"}

BESIDE = StoredFunction(
    "jobs_complete_beside",
    parameters=_PARAMETERS,
    columns={"is_completed": "boolean"},
    text=f"{_COMPLETE_BESIDE} RETURN QUERY SELECT true;",
)
TURN = StoredFunction(
    "jobs_turn",
    parameters=_PARAMETERS | dict(CLAIM.parameters),
    columns=CLAIM.columns,
    text=f"{_COMPLETE_BESIDE} RETURN QUERY {CLAIM.query}; IF NOT FOUND THEN RETURN NEXT; END IF;",
)
"""No row: nothing was done. One of nothing but NULL: completed, and there is no unit for this node."""


@dataclass(frozen=True, slots=True)
class Onward:
    """What a slot asks for when it has told what it did; without a claimant it asks for nothing."""

    claimant: Claimant | None = None
    place: CanvasPlace | None = None

    def claim(self) -> Claimed | None:
        """Takes the next unit. Raises HUB_AWAY."""
        return claim(self.claimant, self.place) if self.claimant is not None else None


@dataclass(frozen=True, slots=True)
class Turned:
    """What became of a verdict, and the next unit as far as it was asked for together with that."""

    settled: Settled | None
    """None where it did not get to the ledger."""
    following: Claimed | None = None
    has_asked: bool = False


def turn(
    claimed: Claimed, verdict: Verdict, served_by: Mapping[str, Any], files: Files, onward: Callable[[], Onward]
) -> Turned:
    """Settles a verdict, and takes the next unit if that can be had in the same trip. Raises HUB_AWAY, StoreAway."""
    turned = None
    kind = kind_named(claimed.kind)
    stage = kind.stage(claimed.stage)
    if isinstance(verdict, Done) and claimed.attempt_number == 1 and not files and _stands_alone(kind, stage, verdict):
        turned = _quickly(claimed, stage.record, verdict, served_by, onward())
    if turned is None:
        return Turned(settle_or_retry(claimed.key, verdict, served_by, files))
    for job_id in {claimed.job_id, turned.following.job_id if turned.following is not None else claimed.job_id}:
        job_changed(job_id)
    return turned


def _stands_alone(kind: JobKind, stage: Stage, verdict: Done) -> bool:
    """Whether nothing follows from the result itself."""
    if verdict.then or any(other.made_by == stage.name for other in kind.stages):
        return False
    return stage.record is None or not stage.record_locks_job


def _quickly(
    claimed: Claimed, record: Recorder | None, verdict: Done, served_by: Mapping[str, Any], onward: Onward
) -> Turned | None:
    """None where it has to go the long way, which also tells what is wrong with a result."""
    try:
        documents = {"settled": claimed.key, "served_by": _document(served_by), "result": _document(verdict.result)}
        if record is not None:
            return _recorded(claimed.unit_id, record, documents, onward)
        return _in_one_trip(documents, onward) if onward.claimant is not None else None
    except HUB_AWAY:
        IN_FLIGHT.lose_reply()
        raise
    except Exception:
        logger.warning("unit %s of job %s goes the long way", claimed.unit_id, claimed.job_id, exc_info=True)
        return None


def _in_one_trip(documents: Mapping[str, Any], onward: Onward) -> Turned | None:
    assert onward.claimant is not None
    rows = TURN.fetch(**documents, **claim_arguments(onward.claimant, onward.place))
    if not rows:
        return None
    if all(value is None for value in rows[0]):
        return Turned(Settled.COUNTED, has_asked=True)
    following = claimed_from(rows[0])
    if isinstance(following, Passed):
        return Turned(Settled.COUNTED)
    return Turned(Settled.COUNTED, following, has_asked=True)


def _recorded(unit_id: int, record: Recorder, documents: Mapping[str, Any], onward: Onward) -> Turned | None:
    """In one transaction: what the stage records of the result must not be without it."""
    with transaction.atomic():
        if not BESIDE.fetch(**documents):
            return None
        record(unit_id, json.loads(documents["result"]))
        return Turned(Settled.COUNTED, onward.claim(), has_asked=True)


def _document(value: Mapping[str, Any]) -> str:
    """Raises TypeError, ValueError for what no document holds."""
    text = json.dumps(dict(value), allow_nan=False)
    return json.dumps(without_nul(dict(value))) if "\\u0000" in text else text

"""A result whose attempt this ledger does not know: after a restore it may still be what an open unit waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from clustercore.jobs.domain.counters import PLACED_RESULTS
from clustercore.jobs.domain.kinds import kind_named
from clustercore.jobs.domain.lifecycle import AttemptOutcome, JobState, UnitState
from clustercore.jobs.domain.spooling import SpooledResult, hash_of_input
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Attempt, Job, Unit
from clustercore.jobs.services.events import count, record_event
from clustercore.jobs.services.settle import Settled, complete
from clustercore.jobs.services.turn_locks import alone_in

UNFINISHED = (JobState.RUNNING, JobState.PAUSED)


@dataclass(frozen=True, slots=True)
class Deliverer:
    """The node that has the result, as the ledger knows it now."""

    node_id: int
    node_name: str
    instance: UUID
    boot_id: str


@transaction.atomic
def place(found: SpooledResult, by: Deliverer) -> Settled:
    """Takes the result as a new attempt at the open unit that has the same job key, stage, ordinal and input.

    Only what was done is worth it, and only of a stage whose result stands by itself. The bytes of its files must be
    stored before; raises StoreAway where they were deleted since.
    """
    if not isinstance(found.verdict, Done):
        return Settled.UNKNOWN
    job = Job.objects.select_for_update(no_key=True).filter(key=found.job_key, state__in=UNFINISHED).first()
    if job is None:
        return Settled.UNKNOWN
    alone_in(job.pk)
    unit = _open_unit(job, found)
    if unit is None:
        return Settled.UNKNOWN
    attempt = _begin(unit, by)
    settled = complete(attempt.key, job.pk, job.kind, found.verdict, found.served_by, found.files)
    text = f"{unit.stage} {unit.ordinal}: a result that {by.node_name} had kept since before the restore was taken"
    record_event(job.pk, "result_placed", text, unit_id=unit.pk, node_name=by.node_name)
    count(PLACED_RESULTS)
    return settled


def _open_unit(job: Job, found: SpooledResult) -> Unit | None:
    if not kind_named(job.kind).stage(found.stage).self_contained:
        return None
    wanted = Unit.objects.filter(job=job, stage=found.stage, ordinal=found.ordinal)
    # Attempts before the unit, as everywhere: a heartbeat locks them in this order.
    live = Attempt.objects.filter(unit__in=wanted, outcome=AttemptOutcome.LIVE).order_by("pk")
    list(live.select_for_update(of=("self",)).values_list("pk", flat=True))
    unit = wanted.select_for_update().filter(state__in=[UnitState.QUEUED, UnitState.LEASED]).first()
    return unit if unit is not None and _input_of(job, unit.payload) == found.input_hash else None


def _input_of(job: Job, payload: Mapping[str, Any]) -> str:
    return hash_of_input(
        kind=job.kind,
        payload=payload,
        parameters=job.parameters,
        language=job.language,
        engine=job.engine,
        model=job.model,
    )


def _begin(unit: Unit, by: Deliverer) -> Attempt:
    number = unit.attempts_made + 1
    Unit.objects.filter(pk=unit.pk).update(
        state=UnitState.LEASED, attempts_made=F("attempts_made") + 1, leased_at=Now(), hold_reason=""
    )
    return Attempt.objects.create(
        unit=unit,
        number=number,
        node_id=by.node_id,
        node_name=by.node_name,
        instance=by.instance,
        boot_id=by.boot_id,
        lease_until=Now(),
        started=Now(),
    )

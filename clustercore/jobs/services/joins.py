"""Joins: units that wait for units. They are opened by the transaction that closes their last input, or at their time.

Everything here runs under the job's row lock. An edge (`UnitAfter`) knows what became of its input, and the unit counts
its open and its done ones, so that however many there are, closing one costs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from django.db import connection, transaction
from django.db.models import BooleanField, Case, Count, F, Q, QuerySet, Value, When
from django.db.models.functions import Now

from clustercore.jobs.domain.joins import InputOutcome, Inputs, Opening, opening, outcome_of_stage
from clustercore.jobs.domain.kinds import JobKind
from clustercore.jobs.domain.lifecycle import BROKEN_UNIT_STATES, OPEN_UNIT_STATES, UnitState
from clustercore.jobs.domain.new_unit import After, NewUnit
from clustercore.jobs.domain.progression import Counts
from clustercore.jobs.models import Job, Unit, UnitAfter
from clustercore.jobs.services.events import record_event

NOTHING_DONE = "nothing that it waits for was done"

# The joins are locked in the order of their ids, wherever they are.
_CLOSE = """
WITH closed AS (
    UPDATE jobs_unitafter SET outcome = %(outcome)s WHERE outcome = 'open' AND {which} RETURNING unit_id
), counted AS (
    SELECT unit_id, count(*) AS inputs FROM closed GROUP BY unit_id
), locked AS (
    SELECT u.id, counted.inputs FROM jobs_unit u JOIN counted ON counted.unit_id = u.id ORDER BY u.id FOR UPDATE OF u
)
UPDATE jobs_unit u
SET open_inputs = open_inputs - inputs,
    done_inputs = done_inputs + CASE WHEN %(outcome)s = 'done' THEN inputs ELSE 0 END
FROM locked WHERE u.id = locked.id RETURNING u.id"""
_CLOSE_UNIT = _CLOSE.format(which="after_id = %(unit)s")
_CLOSE_STAGE = _CLOSE.format(
    which='job_id = %(job)s AND after_id IS NULL AND stage = %(stage)s AND "group" = %(group)s'
)


def set_waiting(kind: JobKind, job_id: int, created: Mapping[int, NewUnit]) -> None:
    """Lets new units, by id, wait for what they name; those whose inputs are closed already are opened at once.

    Raises ValueError for a unit that is not there.
    """
    joins = {unit_id: new for unit_id, new in created.items() if new.after}
    if not joins:
        return
    _wait_for_inputs(job_id, joins)
    job = Job.objects.get(pk=job_id)
    if any(after.ordinal is None for new in joins.values() for after in new.after):
        close_stages(kind, job, counts_of(job_id))
    open_joins(kind, job, Unit.objects.filter(pk__in=joins))


def _wait_for_inputs(job_id: int, joins: Mapping[int, NewUnit]) -> None:
    known = _known_units(job_id, [after for new in joins.values() for after in new.after])
    rows = [_edge(job_id, unit_id, after, known) for unit_id, new in joins.items() for after in new.after]
    UnitAfter.objects.bulk_create(rows)
    _count_inputs(joins)


def _known_units(job_id: int, afters: Iterable[After]) -> dict[tuple[str, int], tuple[int, str]]:
    """The id and state of each unit that is named, by stage and ordinal."""
    by_stage: dict[str, set[int]] = {}
    for after in afters:
        if after.ordinal is not None:
            by_stage.setdefault(after.stage, set()).add(after.ordinal)
    found: dict[tuple[str, int], tuple[int, str]] = {}
    for stage, ordinals in by_stage.items():
        units = Unit.objects.filter(job_id=job_id, stage=stage, ordinal__in=ordinals)
        found |= {(stage, ordinal): (pk, state) for pk, ordinal, state in units.values_list("pk", "ordinal", "state")}
    return found


def _edge(job_id: int, unit_id: int, after: After, known: Mapping[tuple[str, int], tuple[int, str]]) -> UnitAfter:
    if after.ordinal is None:
        return UnitAfter(job_id=job_id, unit_id=unit_id, stage=after.stage, group=after.group)
    after_id, state = known.get((after.stage, after.ordinal), (unit_id, ""))
    # Ids follow the order in which units are queued: no two can wait for each other.
    if after_id >= unit_id:
        raise ValueError(f"a unit waits for {after.stage} {after.ordinal}, which does not stand before it in the job")
    return UnitAfter(job_id=job_id, unit_id=unit_id, after_id=after_id, outcome=_outcome_of(state))


def _outcome_of(state: str) -> InputOutcome:
    if state == UnitState.DONE:
        return InputOutcome.DONE
    return InputOutcome.OPEN if state in OPEN_UNIT_STATES else InputOutcome.CLOSED


def _count_inputs(unit_ids: Iterable[int]) -> None:
    edges = UnitAfter.objects.filter(unit__in=list(unit_ids)).order_by().values("unit")
    counted = edges.annotate(
        open=Count("pk", filter=Q(outcome=InputOutcome.OPEN)), done=Count("pk", filter=Q(outcome=InputOutcome.DONE))
    )
    for row in counted:
        Unit.objects.filter(pk=row["unit"]).update(open_inputs=row["open"], done_inputs=row["done"])


def wait_again(unit: Unit) -> bool:
    """Looks anew at all inputs of a unit that is queued again; returns whether it waits for any."""
    edges = list(UnitAfter.objects.filter(unit=unit).select_related("after"))
    for edge in edges:
        edge.outcome = _outcome_of(edge.after.state) if edge.after is not None else InputOutcome.OPEN
    UnitAfter.objects.bulk_update(edges, ["outcome"])
    unit.open_inputs = sum(edge.outcome == InputOutcome.OPEN for edge in edges)
    unit.done_inputs = sum(edge.outcome == InputOutcome.DONE for edge in edges)
    return bool(edges)


def reopen_input(unit: Unit) -> None:
    """Lets those that wait for a unit, and are not opened yet, wait for it again: it is tried again."""
    waiting = UnitAfter.objects.filter(after=unit, outcome=InputOutcome.CLOSED, unit__state=UnitState.BLOCKED)
    ids = list(waiting.order_by("unit").values_list("unit", flat=True))
    waiting.update(outcome=InputOutcome.OPEN)
    Unit.objects.filter(pk__in=ids).update(open_inputs=F("open_inputs") + 1)


def close_input(kind: JobKind, job: Job, unit_id: int, *, is_done: bool) -> bool:
    """Tells those that wait for a unit that it is over; returns whether any of them failed by that."""
    outcome = InputOutcome.DONE if is_done else InputOutcome.CLOSED
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE_UNIT, {"outcome": outcome, "unit": unit_id})
        waiting = [row[0] for row in cursor.fetchall()]
    return open_joins(kind, job, Unit.objects.filter(pk__in=waiting)) if waiting else False


def close_stages(kind: JobKind, job: Job, counts: Counts) -> None:
    """Tells those that wait for a stage, or a group of one, that it is over."""
    edges = UnitAfter.objects.filter(job=job, after=None, outcome=InputOutcome.OPEN)
    for stage, group in sorted(set(edges.values_list("stage", "group"))):
        outcome = _outcome_of_stage(kind, job.pk, stage, group, counts)
        if outcome == InputOutcome.OPEN:
            continue
        with connection.cursor() as cursor:
            cursor.execute(_CLOSE_STAGE, {"outcome": outcome, "job": job.pk, "stage": stage, "group": group})


def _outcome_of_stage(kind: JobKind, job_id: int, stage: str, group: str, counts: Counts) -> InputOutcome:
    counted = counts_of(job_id, groups=(group, "")) if group else counts
    names = [one.name for one in kind.stages]
    until_here = names[: names.index(stage) + 1]
    states = (counts_of(job_id, groups=(group,)) if group else counts).get(stage, {})
    return outcome_of_stage(
        open_units=sum(counted.get(name, {}).get(state, 0) for name in until_here for state in OPEN_UNIT_STATES),
        done=states.get(UnitState.DONE, 0),
        broken=sum(states.get(state, 0) for state in BROKEN_UNIT_STATES),
        tolerance=kind.stage(stage).tolerance,
    )


def counts_of(job_id: int, *, groups: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
    """Units of a job by stage and state; of some groups, where they are named."""
    units = Unit.objects.filter(job_id=job_id).order_by()
    if groups is not None:
        units = units.filter(group__in=groups)
    counted: dict[str, dict[str, int]] = {}
    for stage, state, number in units.values_list("stage", "state").annotate(number=Count("pk")):
        counted.setdefault(stage, {})[state] = number
    return counted


def open_joins(kind: JobKind, job: Job, units: QuerySet[Unit]) -> bool:
    """Opens, fails or leaves each blocked unit of these; returns whether any failed."""
    is_due = Case(When(join_until__lte=Now(), then=Value(True)), default=Value(False), output_field=BooleanField())
    blocked = (
        units.filter(state=UnitState.BLOCKED).annotate(is_due=is_due).order_by("pk").select_for_update(of=("self",))
    )
    failed = False
    for unit in blocked.select_for_update(of=("self",)):
        found = opening(Inputs(unit.open_inputs, unit.done_inputs), unit.quorum, is_due=unit.is_due)
        if found == Opening.RUN:
            _open(kind, job, unit)
        elif found == Opening.FAIL:
            _fail(kind, job, unit)
            failed = True
    return failed


def _open(kind: JobKind, job: Job, unit: Unit) -> None:
    stage = kind.stage(unit.stage)
    Unit.objects.filter(pk=unit.pk).update(state=UnitState.QUEUED, unsent=False)
    if stage.opens == "barrier":
        Job.objects.filter(pk=job.pk).update(stage=unit.stage)
    if unit.unsent:
        transaction.on_commit(partial(kind.ring, job.pk, unit.stage, [unit.pk]))


def _fail(kind: JobKind, job: Job, unit: Unit) -> None:
    Unit.objects.filter(pk=unit.pk).update(state=UnitState.FAILED, finished=Now(), error=NOTHING_DONE)
    record_event(job.pk, str(UnitState.FAILED), f"{unit.stage} {unit.ordinal} failed: {NOTHING_DONE}", unit_id=unit.pk)
    close_input(kind, job, unit.pk, is_done=False)


def gather(kind: JobKind, job: Job, counts: Counts) -> None:
    """Sends the canvas of each join whose stage gets no more units, once. Nothing rests on it: a failure is logged."""
    if kind.gather is None:
        return
    edges = UnitAfter.objects.filter(job=job, after=None, outcome=InputOutcome.OPEN, group="")
    waiting = edges.filter(unit__state=UnitState.BLOCKED, unit__unsent=True)
    for stage, unit_id in waiting.values_list("stage", "unit"):
        if not _may_grow(kind, stage, counts):
            transaction.on_commit(_sending_canvas(kind.gather, job.pk, unit_id), robust=True)


def _sending_canvas(gather: Callable[[int, int], None], job_id: int, unit_id: int) -> Callable[[], None]:
    """No partial: Django names what failed by its `__qualname__`."""

    def send_canvas() -> None:
        gather(job_id, unit_id)

    return send_canvas


def _may_grow(kind: JobKind, stage: str, counts: Counts) -> bool:
    names = [one.name for one in kind.stages]
    earlier = names[: names.index(stage)]
    return any(counts.get(name, {}).get(state) for name in earlier for state in OPEN_UNIT_STATES)

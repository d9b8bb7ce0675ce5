"""Joins: units that wait for units. They are opened by the transaction that closes their last input, or at their time.

Everything here runs under the job's row lock. An edge (`UnitAfter`) knows what became of its input, and the unit counts
its open and its done ones, so that however many there are, closing one costs the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from django.db import connection, transaction
from django.db.models import BooleanField, Case, Count, Q, QuerySet, Value, When
from django.db.models.functions import Now

from clustercore.jobs.domain.joins import InputOutcome, Inputs, Opening, opening, outcome_of_stage
from clustercore.jobs.domain.kinds import JobKind
from clustercore.jobs.domain.lifecycle import BROKEN_UNIT_STATES, OPEN_UNIT_STATES, UnitState, moved
from clustercore.jobs.domain.new_unit import After, NewUnit
from clustercore.jobs.domain.progression import Counts, broken_stages
from clustercore.jobs.models import Job, Unit, UnitAfter
from clustercore.jobs.services.events import record_event
from clustercore.jobs.services.snapshot import Snapshot, snapshot_of

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
_CLOSE_UNITS = _CLOSE.format(which="after_id = ANY(%(units)s::bigint[])")
_CLOSE_STAGE = _CLOSE.format(
    which='job_id = %(job)s AND after_id IS NULL AND stage = %(stage)s AND "group" = %(group)s'
)

_COUNT = """
UPDATE jobs_unit u SET open_inputs = counted.open, done_inputs = counted.done
FROM (
    SELECT unit_id, count(*) FILTER (WHERE outcome = 'open') AS open, count(*) FILTER (WHERE outcome = 'done') AS done
    FROM jobs_unitafter WHERE unit_id = ANY(%(units)s::bigint[]) GROUP BY unit_id ORDER BY unit_id
) counted WHERE u.id = counted.unit_id RETURNING u.id"""

_LOOK_AGAIN = f"""
UPDATE jobs_unitafter e SET outcome = CASE
    WHEN u.state = 'done' THEN 'done'
    WHEN u.state IS NULL OR u.state IN ({", ".join(f"'{state}'" for state in OPEN_UNIT_STATES)}) THEN 'open'
    ELSE 'closed' END
FROM jobs_unitafter known LEFT JOIN jobs_unit u ON u.id = known.after_id
WHERE known.id = e.id AND e.unit_id = ANY(%(units)s::bigint[])"""


def set_waiting(kind: JobKind, job_id: int, created: Mapping[int, NewUnit]) -> None:
    """Lets new units, by id, wait for what they name; those whose inputs are closed already are opened at once.

    Raises ValueError for a unit that is not there, and for a stage that cannot be over before its own is.
    """
    joins = {unit_id: new for unit_id, new in created.items() if new.after}
    if not joins:
        return
    for new in joins.values():
        _refuse_stages(kind, new)
    _wait_for_inputs(job_id, joins)
    seen = snapshot_of(job_id)
    if close_stages(kind, job_id, seen) or seen.may_open:
        open_joins(kind, job_id, Unit.objects.filter(pk__in=joins))


def _refuse_stages(kind: JobKind, new: NewUnit) -> None:
    order = kind.order
    for after in new.after:
        if after.stage not in order:
            raise ValueError(f"{new.stage} {new.ordinal} waits for {after.stage!r}: {kind.name!r} has no such stage")
        if after.ordinal is None and order[after.stage] >= order[new.stage]:
            raise ValueError(
                f"{new.stage} {new.ordinal} waits for all of {after.stage}, which is not over before {new.stage} is: "
                "name an earlier stage, or units"
            )


def _wait_for_inputs(job_id: int, joins: Mapping[int, NewUnit]) -> None:
    known = _known_units(job_id, [after for new in joins.values() for after in new.after])
    # What is named twice is one input.
    named = [(unit_id, after) for unit_id, new in joins.items() for after in dict.fromkeys(new.after)]
    UnitAfter.objects.bulk_create([_edge(job_id, unit_id, after, known) for unit_id, after in named])
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


def _count_inputs(unit_ids: Iterable[int]) -> list[int]:
    """Returns those that have inputs."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"units": list(unit_ids)})
        return [row[0] for row in cursor.fetchall()]


def wait_again(unit_ids: Collection[int]) -> list[int]:
    """Looks anew at all inputs of units that are queued again; returns those that have any."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK_AGAIN, {"units": list(unit_ids)})
    return _count_inputs(unit_ids)


def reopen_inputs(job: Job, unit_ids: Collection[int]) -> None:
    """Lets those that wait, and are not opened yet, wait again for units that are tried again, and for their stages.

    Which stages are over all the same is found by whoever looks at the job next.
    """
    waiting = UnitAfter.objects.filter(job=job, unit__state=UnitState.BLOCKED).exclude(outcome=InputOutcome.OPEN)
    again = list(waiting.filter(Q(after=None) | Q(after__in=unit_ids)).values_list("pk", "unit"))
    UnitAfter.objects.filter(pk__in=[edge for edge, _ in again]).update(outcome=InputOutcome.OPEN)
    _count_inputs({unit_id for _, unit_id in again})


def close_inputs(unit_ids: Collection[int], *, is_done: bool) -> list[int]:
    """Tells those that wait for units that these are over; returns their ids."""
    outcome = InputOutcome.DONE if is_done else InputOutcome.CLOSED
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE_UNITS, {"outcome": outcome, "units": list(unit_ids)})
        return [row[0] for row in cursor.fetchall()]


def close_input(kind: JobKind, job_id: int, unit_id: int, *, is_done: bool) -> bool:
    """Tells those that wait for a unit that it is over; returns whether any of them failed by that."""
    waiting = close_inputs([unit_id], is_done=is_done)
    return open_joins(kind, job_id, Unit.objects.filter(pk__in=waiting)) if waiting else False


def close_stages(kind: JobKind, job_id: int, seen: Snapshot) -> bool:
    """Tells those that wait for a stage, or a group of one, that it is over; returns whether any is."""
    is_any_over = False
    by_group = _counts_by_group(job_id) if any(group for _, group in seen.awaited) else {}
    for stage, group in seen.awaited:
        of_group = by_group.get(group, {}) if group else seen.counts
        # What has no group may queue more of any.
        open_anywhere = (of_group, by_group.get("", {})) if group else (seen.counts,)
        outcome = _outcome_of_stage(kind, stage, of_group, open_anywhere)
        if outcome == InputOutcome.OPEN:
            continue
        is_any_over = True
        with connection.cursor() as cursor:
            cursor.execute(_CLOSE_STAGE, {"outcome": outcome, "job": job_id, "stage": stage, "group": group})
    return is_any_over


def _outcome_of_stage(kind: JobKind, stage: str, of_group: Counts, open_anywhere: Sequence[Counts]) -> InputOutcome:
    order = kind.order
    if stage not in order:
        # A node of the version that has it will close it.
        return InputOutcome.OPEN
    until_here = [name for name in order if order[name] <= order[stage]]
    states = of_group.get(stage, {})
    found = outcome_of_stage(
        open_units=sum(
            counts.get(name, {}).get(state, 0)
            for counts in open_anywhere
            for name in until_here
            for state in OPEN_UNIT_STATES
        ),
        done=states.get(UnitState.DONE, 0),
        broken=sum(states.get(state, 0) for state in BROKEN_UNIT_STATES),
        tolerance=kind.stage(stage).tolerance,
    )
    return InputOutcome.CLOSED if found == InputOutcome.DONE and _is_cut_off(kind, stage, open_anywhere) else found


def _is_cut_off(kind: JobKind, stage: str, counts: Sequence[Counts]) -> bool:
    """Whether a stage before this one broke beyond what it bears: what it would have queued is missing."""
    earlier = [rule for rule in kind.rules if kind.order[rule.name] < kind.order[stage]]
    return any(broken_stages(earlier, one) for one in counts)


def _counts_by_group(job_id: int) -> dict[str, dict[str, dict[str, int]]]:
    counted: dict[str, dict[str, dict[str, int]]] = {}
    units = Unit.objects.filter(job_id=job_id).order_by()
    for group, stage, state, number in units.values_list("group", "stage", "state").annotate(number=Count("pk")):
        counted.setdefault(group, {}).setdefault(stage, {})[state] = number
    return counted


# As a snapshot's `may_open`.
_MAY_OPEN = Q(open_inputs=0) | Q(join_until__lte=Now()) | Q(quorum__isnull=False, done_inputs__gt=0)


def open_joins(kind: JobKind, job_id: int, units: QuerySet[Unit]) -> bool:
    """Opens, fails or leaves each blocked unit of these; returns whether any failed."""
    is_due = Case(When(join_until__lte=Now(), then=Value(True)), default=Value(False), output_field=BooleanField())
    blocked = units.filter(_MAY_OPEN, state=UnitState.BLOCKED).annotate(is_due=is_due).order_by("pk")
    failed = False
    for unit in blocked.select_for_update(of=("self",)):
        found = opening(Inputs(unit.open_inputs, unit.done_inputs), unit.quorum, is_due=unit.is_due)
        if found == Opening.RUN:
            _open(kind, job_id, unit)
        elif found == Opening.FAIL:
            _fail(kind, job_id, unit)
            failed = True
    return failed


def _open(kind: JobKind, job_id: int, unit: Unit) -> None:
    # A stage that this version does not know rings no bell here: nodes that know it look for its units.
    stage = kind.stage(unit.stage) if unit.stage in kind.order else None
    held = stage.held(job_id) if stage is not None and stage.held is not None else ""
    state = UnitState.HELD if held else UnitState.QUEUED
    Unit.objects.filter(pk=unit.pk).update(state=moved(unit.state, state), hold_reason=held, unsent=False)
    if stage is not None and stage.opens == "barrier":
        Job.objects.filter(pk=job_id).update(stage=unit.stage)
    if unit.unsent and stage is not None and not held:
        transaction.on_commit(partial(kind.send, job_id, unit.stage, [unit.pk]))


def _fail(kind: JobKind, job_id: int, unit: Unit) -> None:
    Unit.objects.filter(pk=unit.pk).update(state=UnitState.FAILED, finished=Now(), error=NOTHING_DONE)
    record_event(job_id, str(UnitState.FAILED), f"{unit.stage} {unit.ordinal} failed: {NOTHING_DONE}", unit_id=unit.pk)
    close_input(kind, job_id, unit.pk, is_done=False)


def gather(kind: JobKind, job_id: int, seen: Snapshot) -> None:
    """Sends the canvas of each join whose stage gets no more units, once. Nothing rests on it: a failure is logged.

    Where one unit is left it takes none: whoever does that goes on with what waits for it.
    """
    if kind.gather is None:
        return
    for stage, unit_id in seen.unsent:
        left = sum(seen.counts.get(stage, {}).get(state, 0) for state in OPEN_UNIT_STATES)
        if left > 1 and not _may_grow(kind, stage, seen.counts):
            transaction.on_commit(_sending_canvas(kind.gather, job_id, unit_id), robust=True)


def _sending_canvas(gather: Callable[[int, int], None], job_id: int, unit_id: int) -> Callable[[], None]:
    """No partial: Django names what failed by its `__qualname__`."""

    def send_canvas() -> None:
        gather(job_id, unit_id)

    return send_canvas


def _may_grow(kind: JobKind, stage: str, counts: Counts) -> bool:
    order = kind.order
    earlier = [name for name in order if stage not in order or order[name] < order[stage]]
    return any(counts.get(name, {}).get(state) for name in earlier for state in OPEN_UNIT_STATES)
